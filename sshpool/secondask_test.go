package sshpool

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// oneSession makes a server refuse a second session beside the stream, and run what is ordered over another connection.
func (s *server) oneSession() {
	s.set(func() {
		s.beside = func(_ ssh.Conn, n ssh.NewChannel) { _ = n.Reject(ssh.ConnectionFailed, "open failed") }
	})
}

// speaks is a node that streams, and says a word for every other command.
func speaks(r *request) {
	if r.command == "word" {
		_, _ = io.WriteString(r, "one\n")
		r.exit(0)
		return
	}
	collect(r)
}

// A second connection to a host that was let in by a typed password uses that password: nobody is asked again, one attempt each, also when it was typed long ago. Where it is not
// taken any more the action says so, and begins no question of its own.
func TestSecondConnectionPassword(t *testing.T) {
	s, tried := passwords(t, "right")
	s.command = speaks
	s.oneSession()
	p, rec := newTestPool(t, Config{Ask: true})
	p.Add(Target{Name: "n", Resolved: s.askResolved("n")})
	reply(t, p, asked(t, p, "for the password", answerable), "right")
	rec.reached("n", Live, 0)
	p.AwaitLive(t.Context(), "n", patience)
	act := func() error {
		var out bytes.Buffer
		exit, err := p.Exec(t.Context(), "n", Command{Line: "word", Stdout: &out})
		if err == nil && (exit.Code != 0 || out.String() != "one\n") {
			t.Errorf("%+v: %q", exit, out.String())
		}
		if q := p.Questions(); len(q) != 0 {
			t.Errorf("asked for an action: %+v", q)
		}
		return err
	}
	for i := range int32(3) {
		if i == 2 {
			p.asks.mu.Lock()
			p.asks.fresh = 0
			p.asks.mu.Unlock()
		}
		if err := act(); err != nil || tried.Load() != i+2 {
			t.Errorf("action %d: %v, %d attempts", i, err, tried.Load())
		}
	}
	s.change(func(c *ssh.ServerConfig) {
		c.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
			tried.Add(1)
			return nil, errors.New("changed")
		}
	})
	before := tried.Load()
	for range 3 {
		if err := act(); !errors.Is(err, ErrNotStarted) || !strings.Contains(err.Error(), "asks for a password") {
			t.Errorf("%v", err)
		}
	}
	if n := tried.Load() - before; n != 1 {
		t.Errorf("%d attempts with a password that is not taken any more", n)
	}
	p.asks.mu.Lock()
	left := len(p.asks.open)
	p.asks.mu.Unlock()
	if left != 0 {
		t.Errorf("%d questions are left of connections that are none", left)
	}
}

// A second connection to a host that wants a one-time code is none: no conversation begins by itself, neither for an action nor after a cut, and the person is asked once more
// where there is one.
func TestSecondConnectionCode(t *testing.T) {
	k := &codes{}
	s := newServer(t, speaks)
	s.oneSession()
	k.serve(s, false)
	p, rec := newTestPool(t, Config{Ask: true})
	p.Add(Target{Name: "n", Resolved: s.askResolved("n")})
	enter := func(code string, rounds int) {
		t.Helper()
		q := asked(t, p, "before it begins", func(q Question) bool { return len(q.Nodes) == 1 && !q.Busy })
		k.set(code)
		p.Begin(q.ID)
		if rounds == 2 {
			reply(t, p, asked(t, p, "password", answerable), "right")
		}
		reply(t, p, asked(t, p, "code", func(q Question) bool { return answerable(q) && strings.Contains(q.Prompts[0].Text, "code") }), code)
	}
	enter("1", 2)
	_, at := rec.reached("n", Live, 0)
	p.AwaitLive(t.Context(), "n", patience)
	before := k.prompts()
	_, err := p.Exec(t.Context(), "n", Command{Line: "word"})
	if !errors.Is(err, ErrNotStarted) || !strings.Contains(err.Error(), "one session a connection") || !strings.Contains(err.Error(), "MaxSessions 2") {
		t.Errorf("%v", err)
	}
	if q := p.Questions(); k.prompts() != before || len(q) != 0 {
		t.Errorf("%d prompts and %+v for an action", k.prompts()-before, q)
	}
	s.cut()
	_, at = rec.reached("n", NeedsAuth, at)
	if k.prompts() != before {
		t.Error("a conversation began by itself after a cut")
	}
	enter("2", 1) // the password is known
	rec.reached("n", Live, at)
	unasked(t, p)
}
