//go:build unix

package sshpool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/telemetry"

	"golang.org/x/crypto/ssh"
)

// peer is a server that is broken or means harm.
type peer struct {
	name  string
	raw   func(net.Conn)  // what it does with a connection; nil: it is an SSH server
	setup func(*server)   // of an SSH server
	run   func(*request)  // what an exec does; nil: it is a collector
	known func(*Resolved) // what is known of it beforehand; nil: all is well
	state State           // where it ends up
	cause string          // what is said of it
}

const greeting = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"

// peers are all the ways in which a server can be stuck, talk nonsense, or end.
func peers() []peer {
	say := func(texts ...string) func(net.Conn) {
		return func(c net.Conn) {
			for _, s := range texts {
				_, _ = io.WriteString(c, s)
			}
			_, _ = io.Copy(io.Discard, c)
		}
	}
	endless := func(first, again string) func(net.Conn) {
		return func(c net.Conn) {
			b := []byte(strings.Repeat(again, 32<<10/len(again)))
			_, err := io.WriteString(c, first)
			for err == nil {
				_, err = c.Write(b)
			}
		}
	}
	header := func(length uint32, fill byte) string { // of a binary packet
		return string(append(binary.BigEndian.AppendUint32(nil, length), bytes.Repeat([]byte{fill}, 4096)...))
	}
	stream := func(then func(*request)) func(*request) {
		return func(r *request) {
			nonce, _ := telemetry.NonceIn(r.command)
			_, _ = io.WriteString(r, telemetry.StreamLine(nonce)+"tick\n")
			then(r)
		}
	}
	flood := func(w io.Writer, b []byte) {
		for {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}
	zeros := make([]byte, 32<<10)
	return []peer{
		// Before the key exchange.
		{name: "silent", raw: say(), state: Lost, cause: "says nothing"},
		{name: "half a version", raw: say("SSH-2.0-Open"), state: Lost, cause: "did not finish the handshake"},
		{name: "another protocol", raw: func(c net.Conn) { _, _ = io.WriteString(c, "220 mail ESMTP\r\n"); c.Close() }, state: Lost, cause: "not an SSH server; it says: 220 mail ESMTP"},
		{name: "lines without end", raw: endless("", "hello\x1b]52;c;x\a there\r\n"), state: Lost, cause: "not an SSH server; it says: hello"},
		{name: "a line without end", raw: endless("", "SSSSSSSS"), state: Lost, cause: "not an SSH server; it says: SSSS"},
		{name: "an old version", raw: say("SSH-1.5-OpenSSH_1.2\r\n"), state: Lost, cause: "did not finish the handshake"},
		{name: "closes at once", raw: func(c net.Conn) { c.Close() }, state: Lost, cause: "closed the connection before a word"},
		{name: "closes after its version", raw: func(c net.Conn) { _, _ = io.WriteString(c, greeting); c.Close() }, state: Lost, cause: "closed the connection in the handshake"},
		{name: "throttled", raw: func(c net.Conn) { _, _ = io.WriteString(c, "Not allowed at this time\r\n"); c.Close() }, state: Lost, cause: "server throttled: Not allowed at this time"},
		// In it.
		{name: "stalls in the key exchange", raw: say(greeting), state: Lost, cause: "did not finish the handshake"},
		{name: "a packet of 4 GB", raw: say(greeting, header(1<<32-1, 0)), state: Lost, cause: "handshake with"},
		{name: "a packet of no length", raw: say(greeting, header(0, 0)), state: Lost, cause: "handshake with"},
		{name: "garbage", raw: say(greeting, header(100, 0xa5)), state: Lost, cause: "handshake with"},
		{name: "packets without end", raw: endless(greeting, "\x00\x00\x00\x0c\x0a\x02garbage..."), state: Misbehaving, cause: "sends more than 1 MiB before"},
		{name: "another host's key", known: func(r *Resolved) {}, setup: func(s *server) {
			s.change(func(c *ssh.ServerConfig) {
				*c = ssh.ServerConfig{PublicKeyCallback: c.PublicKeyCallback}
				c.AddHostKey(newSigner(s.t))
			})
		}, state: NeedsTrust, cause: "CHANGED"},
		// Logging in.
		{name: "stalls at login", setup: func(s *server) {
			s.change(func(c *ssh.ServerConfig) {
				c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
					<-s.t.Context().Done()
					return nil, errors.New("over")
				}
			})
		}, state: Lost, cause: "did not finish the handshake"},
		{name: "a banner of 200 KB", setup: func(s *server) {
			s.change(func(c *ssh.ServerConfig) {
				c.BannerCallback = func(ssh.ConnMetadata) string { return strings.Repeat("\x1b[2J welcome ", 16<<10) }
			})
		}, state: Live, cause: ""},
		{name: "cuts while logging in", setup: func(s *server) {
			s.change(func(c *ssh.ServerConfig) {
				c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
					s.mu.Lock()
					defer s.mu.Unlock()
					for _, conn := range s.conns {
						conn.Close()
					}
					return nil, nil
				}
			})
		}, state: Lost, cause: "closed the connection while logging in"},
		// Sessions.
		{name: "never opens a channel", setup: func(s *server) { s.set(func() { s.open = func(ssh.NewChannel) {} }) }, state: Lost, cause: "no collector started in"},
		{name: "refuses channels", setup: func(s *server) { s.refuse.Store(true) }, state: Refused, cause: "opens no session: no more sessions"},
		{name: "never answers an exec", setup: func(s *server) {
			hook := func(n ssh.NewChannel) {
				if _, requests, err := n.Accept(); err == nil {
					for range requests {
					}
				}
			}
			s.set(func() { s.open = hook })
		}, state: Lost, cause: "no collector started in"},
		{name: "refuses execs", setup: func(s *server) {
			hook := func(n ssh.NewChannel) {
				if _, requests, err := n.Accept(); err == nil {
					ssh.DiscardRequests(requests)
				}
			}
			s.set(func() { s.open = hook })
		}, state: Refused, cause: "does not run commands"},
		{name: "starts nothing", run: func(*request) {}, state: Lost, cause: "no collector started in"},
		{name: "noise without end", run: func(r *request) { flood(r, zeros) }, state: Misbehaving, cause: "more than 1 MiB of output"},
		{name: "noise on stderr without end", run: stream(func(r *request) { flood(r.Stderr(), zeros) }), state: Misbehaving, cause: "more than 1 MiB of error messages"},
		{name: "closes the channel", run: func(r *request) { r.Close() }, state: Lost, cause: "closed before the collector started"},
		// The stream.
		{name: "data without end", run: stream(func(r *request) { flood(r, zeros) }), state: Misbehaving, cause: "more than it may send"},
		{name: "data in single bytes", run: stream(func(r *request) { flood(r, []byte{0}) }), state: Misbehaving, cause: "more than it may send"},
		{name: "stalls in the stream", setup: func(s *server) { s.set(func() { s.deaf = true }) }, run: stream(func(*request) {}), state: Lost, cause: "no answer for"},
		{name: "a silent collector", run: stream(func(*request) {}), state: Stale, cause: "ssh answers"},
		{name: "cut in the stream", run: stream(func(r *request) { r.server.drop(false) }), state: Lost, cause: "connection lost"},
		{name: "reset under load", run: stream(func(r *request) {
			go func() {
				time.Sleep(50 * time.Millisecond)
				r.server.drop(true)
			}()
			for {
				if _, err := io.WriteString(r, strings.Repeat("tick\n", 1000)); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}), state: Lost, cause: "connection lost"},
		{name: "an exit status of one byte", run: stream(func(r *request) {
			_, _ = r.SendRequest("exit-status", false, []byte{1})
			r.Close()
		}), state: Lost, cause: "connection lost"},
		{name: "asks without end", setup: func(s *server) {
			hook := func(c ssh.Conn) {
				for {
					if _, _, err := c.SendRequest("keepalive@openssh.com", true, zeros[:1024]); err != nil {
						return
					}
				}
			}
			s.set(func() { s.onConn = hook })
		}, state: Live, cause: ""},
		{name: "opens channels", setup: func(s *server) {
			hook := func(c ssh.Conn) {
				for range 500 { // and none when the connection ends: see openChannel
					var refused *ssh.OpenChannelError
					if _, _, err := c.OpenChannel("forwarded-tcpip", zeros[:1024]); !errors.As(err, &refused) {
						return
					}
				}
			}
			s.set(func() { s.onConn = hook })
		}, state: Live, cause: ""},
	}
}

// drop ends all connections of a server, by a reset or in order.
func (s *server) drop(reset bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		if t, ok := c.(*net.TCPConn); ok && reset {
			_ = t.SetLinger(0)
		}
		c.Close()
	}
	s.conns = nil
}

// budgeted takes a stream in as the fleet does: a node that sends too much is cut off.
func budgeted(_ string, r io.Reader) error {
	buf := make([]byte, 2048)
	for left := 512 << 10; ; {
		n, err := r.Read(buf)
		if left -= n + 16; left < 0 {
			return flooding{}
		}
		if err != nil {
			return err
		}
	}
}

type flooding struct{}

func (flooding) Error() string     { return "more than it may send" }
func (flooding) Misbehaving() bool { return true }

// All of them at once, each at a node of its own, with a healthy one beside them: each is told what is wrong with it, the healthy one never wavers, memory is bounded, and when the pool is
// closed nothing is left.
func TestHostilePeers(t *testing.T) {
	settled := goroutines()
	t.Run("at once", func(t *testing.T) {
		key := newSigner(t)
		timing := quick()
		timing.Handshake, timing.Start, timing.Gone = 3*time.Second, 3*time.Second, 4*time.Second
		timing.BackoffMin, timing.BackoffNear, timing.BackoffMax = 2*time.Second, 2*time.Second, 2*time.Second
		p, rec := newTestPool(t, Config{Timing: timing})
		rec.serve = budgeted
		healthy := newServer(t, collect, key.PublicKey())
		p.Add(Target{Name: "healthy", Resolved: healthy.resolved(key)})
		rec.reached("healthy", Live, 0)
		all := peers()
		for _, x := range all {
			p.Add(Target{Name: x.name, Resolved: x.start(t, key)})
		}
		stop, most := make(chan struct{}), make(chan uint64, 1)
		go watchHeap(stop, most)
		over := sync.OnceFunc(func() { close(stop) })
		defer over()
		for _, x := range all {
			rec.until(x.name+" "+x.state.String()+": "+x.cause, func() bool {
				for _, s := range rec.statuses[x.name] {
					if s.State == x.state && strings.Contains(s.Cause, x.cause) {
						return true
					}
				}
				return false
			})
		}
		time.Sleep(time.Second) // and they go on
		over()
		if mb := <-most >> 20; mb > 160 {
			t.Errorf("%d MB of heap for %d hostile peers and their servers", mb, len(all))
		}
		p.Close()
		rec.mu.Lock()
		defer rec.mu.Unlock()
		for name, list := range rec.statuses {
			for _, s := range list {
				if text := s.Cause + s.Remedy + s.Notes; strings.ContainsAny(text, "\x1b\a\r\n\x00") || len(text) > 4096 {
					t.Errorf("%s: raw or endless text: %.200q", name, text)
				}
				if s.State != Live && s.State != Connecting && s.State != Waiting && s.State != Deploying && (s.Cause == "" || s.Remedy == "" && s.State != Stale) {
					t.Errorf("%s: %v without words: %+v", name, s.State, s)
				}
			}
		}
		if l := rec.statuses["healthy"]; len(l) != 3 || l[2].State != Live {
			t.Errorf("the healthy node: %+v", l)
		}
	})
	for limit := time.Now().Add(patience); goroutines() > settled; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", settled, goroutines(), buf[:runtime.Stack(buf, true)])
		}
	}
}

func goroutines() int { return runtime.NumGoroutine() }

// start makes one of them and says how it is reached.
func (x *peer) start(t *testing.T, key ssh.Signer) *Resolved {
	t.Helper()
	if x.raw != nil {
		r := listener(t, x.raw)
		r.Signers = []ssh.Signer{key}
		return r
	}
	command := x.run
	if command == nil {
		command = collect
	}
	s := newServer(t, command, key.PublicKey())
	r := s.resolved(key)
	if x.known != nil {
		r.HostKeys, r.UserKnownHosts = nil, []string{knownHosts(t, hostLine(s))}
		x.known(r)
	}
	if x.setup != nil {
		x.setup(s)
	}
	return r
}

// watchHeap gives the most heap that was in use until it is stopped.
func watchHeap(stop <-chan struct{}, most chan<- uint64) {
	var m runtime.MemStats
	high := uint64(0)
	for {
		select {
		case <-stop:
			most <- high
			return
		case <-time.After(100 * time.Millisecond):
			runtime.ReadMemStats(&m)
			high = max(high, m.HeapInuse)
		}
	}
}
