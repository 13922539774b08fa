package sshpool

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"foretop/telemetry"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// server is an SSH server inside the test, over loopback TCP.
type server struct {
	t        testing.TB
	listener net.Listener
	config   *ssh.ServerConfig
	host     ssh.Signer
	command  func(*request) // what an exec request does

	mu     sync.Mutex
	conns  []net.Conn
	logins int
	deaf   bool // answers no keepalives
	execs  []string
	onConn func(ssh.Conn)
	refuse atomic.Bool // opens no more sessions

	entering, mostEntering int                            // connections that are not logged in, guarded by mu
	forward                func(ssh.Conn, ssh.NewChannel) // of direct-tcpip; nil: forward

	// beside does something else with a session beside another on one connection, nil: it is served; after is called when a session has ended.
	beside func(ssh.Conn, ssh.NewChannel)
	after  func(ssh.Conn)
	open   func(ssh.NewChannel)    // what is done with every session; nil: it is served
	wrap   func(net.Conn) net.Conn // what lies between the world and each connection, called by one goroutine; nil: nothing
}

// request is one exec request.
type request struct {
	ssh.Channel
	server  *server
	command string
	ended   chan struct{} // the client closed the channel
}

func (r *request) exit(code int) {
	_, _ = r.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(code)}))
	r.Close()
}

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newServer starts a server that lets the given keys in (any key when there are none).
func newServer(t testing.TB, command func(*request), allowed ...ssh.PublicKey) *server {
	t.Helper()
	s := &server{t: t, host: newSigner(t), command: command}
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		for _, k := range allowed {
			if sameKey(k, key) {
				return nil, nil
			}
		}
		if len(allowed) == 0 {
			return nil, nil
		}
		return nil, errors.New("no")
	}}
	s.config.AddHostKey(s.host)
	s.listen("127.0.0.1:0")
	t.Cleanup(s.stop)
	return s
}

func (s *server) listen(addr string) {
	s.t.Helper()
	var err error
	for range 50 {
		if s.listener, err = net.Listen("tcp", addr); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	l := s.listener
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.entering++
			s.mostEntering = max(s.mostEntering, s.entering)
			wrap := s.wrap
			s.mu.Unlock()
			if wrap != nil {
				conn = wrap(conn)
			}
			go s.serve(conn)
		}
	}()
}

// change alters a server that already listens.
func (s *server) change(f func(*ssh.ServerConfig)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.config)
}

// set alters what a server does.
func (s *server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// stop closes the listener and all connections.
func (s *server) stop() {
	s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	config, onConn := s.config, s.onConn
	s.mu.Unlock()
	c, channels, requests, err := ssh.NewServerConn(conn, config)
	s.mu.Lock()
	s.entering--
	s.mu.Unlock()
	if err != nil {
		return
	}
	s.mu.Lock()
	s.logins++
	s.mu.Unlock()
	go func() {
		for r := range requests {
			s.mu.Lock()
			deaf := s.deaf
			s.mu.Unlock()
			if r.WantReply && !deaf {
				_ = r.Reply(false, nil)
			}
		}
	}()
	if onConn != nil {
		go onConn(c)
	}
	var open atomic.Int32
	for n := range channels {
		s.mu.Lock()
		all, beside, after, through := s.open, s.beside, s.after, s.forward
		s.mu.Unlock()
		switch n.ChannelType() {
		case "session":
			if s.refuse.Load() {
				_ = n.Reject(ssh.ResourceShortage, "no more sessions")
				continue
			}
			if all != nil {
				go all(n)
				continue
			}
			if beside != nil && open.Load() > 0 {
				beside(c, n)
				continue
			}
			open.Add(1)
			go func() {
				s.session(n)
				open.Add(-1)
				if after != nil {
					after(c)
				}
			}()
		case "direct-tcpip":
			if through != nil {
				go through(c, n)
				continue
			}
			go forward(n)
		default:
			_ = n.Reject(ssh.UnknownChannelType, "no")
		}
	}
	_ = c.Wait()
}

func (s *server) session(n ssh.NewChannel) {
	channel, requests, err := n.Accept()
	if err != nil {
		return
	}
	ended := make(chan struct{})
	defer close(ended)
	for r := range requests {
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		var m struct{ Command string }
		_ = ssh.Unmarshal(r.Payload, &m)
		s.mu.Lock()
		s.execs = append(s.execs, m.Command)
		s.mu.Unlock()
		_ = r.Reply(true, nil)
		go s.command(&request{channel, s, m.Command, ended})
	}
}

// forward serves a direct-tcpip channel, as a jump host does.
func forward(n ssh.NewChannel) {
	var m struct {
		Host     string
		Port     uint32
		From     string
		FromPort uint32
	}
	_ = ssh.Unmarshal(n.ExtraData(), &m)
	conn, err := net.Dial("tcp", net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port))))
	if err != nil {
		_ = n.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	channel, requests, err := n.Accept()
	if err != nil {
		conn.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	go func() {
		_, _ = io.Copy(conn, channel)
		conn.Close()
	}()
	_, _ = io.Copy(channel, conn)
	channel.Close()
	conn.Close()
}

func (s *server) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// resolved is how to reach s with a signer in memory and its key known.
func (s *server) resolved(signer ssh.Signer) *Resolved {
	return &Resolved{Alias: "node", HostName: "127.0.0.1", Port: s.port(), User: "u", IdentityAgent: "none",
		Signers: []ssh.Signer{signer}, HostKeys: []ssh.PublicKey{s.host.PublicKey()}}
}

// knownHosts writes a known_hosts file and gives its path.
func knownHosts(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	var b bytes.Buffer
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func hostLine(s *server) string {
	return knownhosts.Line([]string{"[127.0.0.1]:" + strconv.Itoa(s.port())}, s.host.PublicKey())
}

// collect plays a collector without a shell: the start line, then a tick every 20 ms until the channel ends.
func collect(r *request) {
	nonce, ok := telemetry.NonceIn(r.command)
	if !ok {
		r.exit(1)
		return
	}
	_, _ = io.WriteString(r, telemetry.StreamLine(nonce))
	tick(r)
}

func tick(r *request) {
	go func() {
		_, _ = io.Copy(io.Discard, r)
		r.exit(0)
	}()
	for {
		select {
		case <-r.ended:
			return
		case <-time.After(20 * time.Millisecond):
			if _, err := io.WriteString(r, "tick\n"); err != nil {
				return
			}
		}
	}
}

// shell gives a command that runs requests under a real login shell, as sshd would.
func shell(path string, env ...string) func(*request) {
	return func(r *request) {
		cmd := exec.Command(path, "-c", r.command)
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool {
			return len(s) > 4 && (s[:4] == "XDG_" || s[:5] == "HOME=")
		}), env...)
		in, err := cmd.StdinPipe()
		if err != nil {
			r.exit(255)
			return
		}
		cmd.Stdout, cmd.Stderr = r, r.Stderr()
		if err := cmd.Start(); err != nil {
			_, _ = io.WriteString(r.Stderr(), err.Error())
			r.exit(255)
			return
		}
		go func() {
			_, _ = io.Copy(in, r)
			in.Close()
		}()
		go func() { // sshd closes the pipes with the channel
			<-r.ended
			in.Close()
		}()
		_ = cmd.Wait()
		r.exit(max(cmd.ProcessState.ExitCode(), 0))
	}
}
