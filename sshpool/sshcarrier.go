package sshpool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshCarrier is one authenticated connection. It uses x/crypto's connection and raw channels rather than its Client and Session:
// three goroutines and 12 kB less a node.
type sshCarrier struct {
	conn ssh.Conn
	over chan struct{} // closed when the connection has ended
	env  []string      // NAME=VALUE, for the user's own commands
	// Of a connection that an OpenSSH master holds: how it is told, and what ends the master where it is ours.
	via    string
	socket string // the master's, where that is ours
	done   func()
}

// newSSHCarrier takes a connection over. The node asks for nothing that we grant: channels are refused, global requests answered
// "no", which is also the answer OpenSSH's keepalives expect.
func newSSHCarrier(s *secured) *sshCarrier {
	over := make(chan struct{})
	go func() {
		defer close(over)
		channels, requests := s.channels, s.requests
		for channels != nil || requests != nil {
			select {
			case c, ok := <-channels:
				if !ok {
					channels = nil
					continue
				}
				_ = c.Reject(ssh.Prohibited, "not served")
			case r, ok := <-requests:
				if !ok {
					requests = nil
					continue
				}
				if r.WantReply {
					_ = r.Reply(false, nil)
				}
			}
		}
	}()
	return &sshCarrier{conn: s.Conn, over: over}
}

// openGrace is how long the answer to an open may take when the connection has ended.
const openGrace = time.Second

// openChannel is the connection's, but for one that x/crypto forgets: it waits for ever for the answer to an open that it took in the moment in which the connection ended.
func (c *sshCarrier) openChannel(kind string, extra []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	type opened struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	done := make(chan opened, 1)
	go func() {
		channel, requests, err := c.conn.OpenChannel(kind, extra)
		done <- opened{channel, requests, err}
	}()
	select {
	case o := <-done:
		return o.channel, o.requests, o.err
	case <-c.over:
	}
	late := time.NewTimer(openGrace)
	defer late.Stop()
	select {
	case o := <-done:
		return o.channel, o.requests, o.err
	case <-late.C:
		return nil, nil, errCutOpening
	}
}

// Close ends the connection, and the master that holds it where that is ours.
func (c *sshCarrier) Close() error {
	err := c.conn.Close()
	if c.done != nil {
		c.done()
	}
	return err
}

// probe asks for a sign of life. A master answers for itself what concerns the whole connection, so through one a channel is asked for: yes or no, the node answers.
func (c *sshCarrier) probe() error {
	if c.via != "" {
		channel, requests, err := c.openChannel("session", nil)
		var refused *ssh.OpenChannelError
		if errors.As(err, &refused) {
			return nil
		}
		if err != nil {
			return err
		}
		go ssh.DiscardRequests(requests)
		return channel.Close()
	}
	_, _, err := c.conn.SendRequest("keepalive@openssh.com", true, nil)
	return err
}

// run opens a session channel and asks for the command. ctx ends the connection when the node does not answer: x/crypto has no
// other way out of an open that hangs.
func (c *sshCarrier) run(ctx context.Context, o order) (*process, error) {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	channel, requests, err := c.openChannel("session", nil)
	if err != nil {
		var open *ssh.OpenChannelError
		if !errors.As(err, &open) {
			err = errCutOpening // x/crypto has no one word for it
		}
		return nil, c.runError(ctx, "open session", err)
	}
	p := &process{stdin: channel, stdout: channel, stderr: newTail(), closeStdin: channel.CloseWrite, exit: newExit()}
	p.kill = func() { channel.Close() }
	go serveRequests(requests, p.exit)
	p.signal = func(name string) {
		_, _ = channel.SendRequest("signal", false, ssh.Marshal(struct{ Name string }{name}))
	}
	go p.hear(channel.Stderr(), o, func() { c.conn.Close() }) // it ends with the connection only: the node may ignore a channel's close
	if o.users {
		for _, pair := range c.env {
			name, value, _ := strings.Cut(pair, "=")
			_, _ = channel.SendRequest("env", false, ssh.Marshal(struct{ Name, Value string }{name, value}))
		}
	}
	if o.term != nil {
		if err := o.term.ask(channel); err != nil {
			channel.Close()
			return nil, c.runError(ctx, "get a terminal", err)
		}
		p.resize = func(columns, lines int) { _, _ = channel.SendRequest("window-change", false, windowOf(columns, lines)) }
	}
	if !o.send() {
		channel.Close()
		return nil, errGivenUp
	}
	request, payload := "exec", ssh.Marshal(struct{ Command string }{o.command})
	if o.term != nil && o.command == "" {
		request, payload = "shell", nil
	}
	ok, err := channel.SendRequest(request, true, payload)
	if err != nil {
		return nil, c.runError(ctx, "start command", err)
	}
	if !ok {
		o.refused()
		channel.Close()
		return nil, &problem{state: Refused, again: pauseLong, cause: "the node's sshd does not run commands for this account",
			remedy: "check ForceCommand and the account's restrictions in its sshd_config and authorized_keys"}
	}
	return p, nil
}

func (c *sshCarrier) runError(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var open *ssh.OpenChannelError
	if errors.As(err, &open) {
		return &problem{state: Refused, again: pauseLong, cause: "the node's sshd opens no session: " + clean(open.Message),
			remedy: "check MaxSessions and the account's restrictions in its sshd_config", err: err}
	}
	if errors.Is(err, io.EOF) {
		err = errCarrierClosed
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// serveRequests waits for the exit status; it ends with the channel.
func serveRequests(requests <-chan *ssh.Request, e *exit) {
	for r := range requests {
		switch r.Type {
		case "exit-status":
			if len(r.Payload) >= 4 {
				e.set(int(int32(binary.BigEndian.Uint32(r.Payload))), "")
			}
		case "exit-signal":
			var m struct {
				Signal     string
				CoreDumped bool
				Error      string
				Lang       string
			}
			if ssh.Unmarshal(r.Payload, &m) == nil {
				e.set(-1, m.Signal)
			}
		}
		if r.WantReply {
			_ = r.Reply(r.Type == "keepalive@openssh.com", nil)
		}
	}
	e.set(-1, "")
}
