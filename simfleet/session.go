package simfleet

import (
	"io"

	"foretop/telemetry"

	"golang.org/x/crypto/ssh"
)

// session serves one session channel: the start command of a collector gets a stream, its other commands a played answer, that which reads the end of a log gets it, hostname
// and a few more what they print, anything else the words that this node is simulated.
func (h *host) session(channel ssh.Channel, in <-chan *ssh.Request) {
	defer channel.Close()
	for r := range in {
		switch r.Type {
		case "exec":
			var exec struct{ Command string }
			if ssh.Unmarshal(r.Payload, &exec) != nil {
				_ = r.Reply(false, nil)
				return
			}
			_ = r.Reply(true, nil)
			h.fleet.tasks.Add(1)
			go func() {
				defer h.fleet.tasks.Done()
				ssh.DiscardRequests(in)
			}()
			exit(channel, h.run(channel, exec.Command))
			return
		case "shell":
			_ = r.Reply(true, nil)
			h.fleet.tasks.Add(1)
			go func() {
				defer h.fleet.tasks.Done()
				ssh.DiscardRequests(in)
			}()
			_, _ = io.WriteString(channel, h.node.name+" is simulated: it has no shell.\r\n")
			exit(channel, 1)
			return
		case "env", "pty-req", "window-change":
			_ = r.Reply(r.Type != "env", nil)
		default:
			_ = r.Reply(false, nil)
		}
	}
}

// run carries out one command and gives its exit status: a collector, for good or for one answer, what reads the end of a job's log, or one of a few others.
func (h *host) run(channel ssh.Channel, command string) int {
	if bytes, path, ok := asksLog(command); ok {
		return h.tell(channel, bytes, path)
	}
	nonce, ok := telemetry.NonceIn(command)
	if !ok {
		if args, ok := asksTool(command); ok {
			return h.tool(channel, channel.Stderr(), args)
		}
		return h.command(channel, channel.Stderr(), command)
	}
	s := newStream(h, channel, nonce)
	h.fleet.tasks.Add(1)
	go func() {
		defer h.fleet.tasks.Done()
		s.listen()
	}()
	if h.fleet.opts.RawBytes > 0 {
		return s.raw(h.fleet.opts.RawBytes)
	}
	return s.run()
}

func exit(channel ssh.Channel, status int) {
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
}
