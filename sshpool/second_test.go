//go:build unix

package sshpool

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// A real sshd with MaxSessions 1: the collector is put there and streams, and commands, the collector's tools and a shell each get a connection of their own, which is
// closed with them.
func TestMaxSessionsOne(t *testing.T) {
	d := startSSHD(t, "MaxSessions 1")
	node := "ftbash@127.0.0.1"
	p, rec := d.pool(t, quick())
	p.Add(Target{Name: node})
	rec.reached(node, Live, 0)
	if !p.AwaitLive(t.Context(), node, patience) {
		t.Fatal("not live")
	}
	logins := func() int { return strings.Count(d.logged(), "Accepted publickey") }
	before := logins()
	for i := range 3 {
		var out bytes.Buffer
		if exit, err := p.Exec(t.Context(), node, Command{Line: "echo one; exit 3", Stdout: &out}); err != nil || exit.Code != 3 || out.String() != "one\n" {
			t.Errorf("%d: %v, %v: %q", i, exit, err, out.String())
		}
	}
	var tool bytes.Buffer
	if exit, err := p.Tool(t.Context(), node, []string{"told", "41:7"}, &tool, nil); err != nil || exit.Code != 0 || !strings.Contains(tool.String(), "told 41:7") {
		t.Errorf("%v, %v: %q", exit, err, tool.String())
	}
	s := p.Shell(t.Context(), node, ShellAt{})
	s.Getenv = func(string) string { return "" }
	w := onTerminal(t, s)
	w.keys("echo in''side\r")
	w.sees(`[\r\n]inside\r\n`)
	w.keys("exit\r")
	if err := w.ended(); err != nil {
		t.Error(err)
	}
	if n := logins() - before; n != 5 {
		t.Errorf("%d logins for five actions", n)
	}
	rec.mu.Lock()
	for _, s := range rec.statuses[node] {
		if s.State == Lost || s.State == Refused {
			t.Errorf("the stream suffered: %+v", s)
		}
	}
	rec.mu.Unlock()
	// Of the connections only the stream's is left.
	for limit := time.Now().Add(patience); d.connections() != 1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%d connections are left", d.connections())
		}
	}
}

// connections is how many a server has: a process each.
func (d *sshd) connections() int {
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(d.cmd.Process.Pid)).Output()
	return len(strings.Fields(string(out)))
}

// Servers that have room for one session a connection, each in its way.
func TestOneSession(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*server)
		lost   bool // the first action costs the stream
	}{
		{"refuses a second one", func(s *server) {
			s.set(func() {
				s.beside = func(_ ssh.Conn, n ssh.NewChannel) { _ = n.Reject(ssh.ConnectionFailed, "open failed") }
			})
		}, false},
		{"prohibits a second one", func(s *server) {
			s.set(func() {
				s.beside = func(_ ssh.Conn, n ssh.NewChannel) { _ = n.Reject(ssh.Prohibited, "one at a time") }
			})
		}, false},
		{"closes the connection at a second one", func(s *server) {
			s.set(func() { s.beside = func(c ssh.Conn, _ ssh.NewChannel) { c.Close() } })
		}, true},
		{"closes the connection after each", func(s *server) {
			s.set(func() { s.after = func(c ssh.Conn) { c.Close() } })
		}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			p, rec, s := liveNode(t, shell("/bin/sh"))
			c.change(s)
			before := s.count()
			run := func() {
				t.Helper()
				var out bytes.Buffer
				exit, err := p.Exec(t.Context(), "n", Command{Line: "do: echo one", Stdout: &out})
				if err != nil || exit.Code != 0 || out.String() != "one\n" {
					t.Errorf("%v, %v: %q", exit, err, out.String())
				}
			}
			run()
			if c.lost {
				_, at := rec.reached("n", Lost, 0)
				_, at = rec.reached("n", Live, at)
				p.AwaitLive(t.Context(), "n", patience)
				before = s.count()
				run()
				rec.mu.Lock()
				defer rec.mu.Unlock()
				if now := rec.statuses["n"]; len(now) != at {
					t.Errorf("the second action cost the stream too: %+v", now[at:])
				}
			}
			if n := s.count() - before; n != 1 {
				t.Errorf("%d more logins", n)
			}
		})
	}
}

// Where no second connection can be made it is said why nothing was started.
func TestNoSecondConnection(t *testing.T) {
	p, _, s := liveNode(t, shell("/bin/sh"))
	s.set(func() {
		s.beside = func(_ ssh.Conn, n ssh.NewChannel) { _ = n.Reject(ssh.ConnectionFailed, "open failed") }
	})
	s.change(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, errors.New("no") }
	})
	_, err := p.Exec(t.Context(), "n", Command{Line: "do: true"})
	if !errors.Is(err, ErrNotStarted) || errors.Is(err, ErrEndUnknown) || !strings.Contains(err.Error(), "one session a connection") || !strings.Contains(err.Error(), "permission denied") {
		t.Error(err)
	}
}

// A collector is put on a node whose server ends the connection after each session.
func TestDeployWhereConnectionsEnd(t *testing.T) {
	key := newSigner(t)
	home := t.TempDir()
	s := newServer(t, shell("/bin/sh", "HOME="+home), key.PublicKey())
	s.set(func() { s.after = func(c ssh.Conn) { c.Close() } })
	p, rec := newTestPool(t, Config{Payload: fakeSet(t), Folders: []string{home + "/tmp"}, Shared: home + "/shared"})
	if err := os.Mkdir(home+"/shared", 0o700); err != nil {
		t.Fatal(err)
	}
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	rec.line("n", "hello ")
	if n := s.count(); n < 2 || n > 4 {
		t.Errorf("%d logins", n)
	}
}
