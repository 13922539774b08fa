package sshpool

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
)

func TestBannerNoise(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, func(r *request) {
		nonce, _ := telemetry.NonceIn(r.command)
		line := "Welcome to \x1b[31mnode\x1b[0m FORETOP-STREAM 0123456789abcdef\n"
		_, _ = io.WriteString(r, strings.Repeat(line, 1<<20/len(line))+"no newline here: ")
		_, _ = io.WriteString(r, telemetry.StreamLine(nonce)+"first bytes\n")
		tick(r)
	}, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	st, _ := rec.reached("n", Live, 0)
	rec.line("n", "first bytes")
	if !strings.HasPrefix(st.Notes, "Welcome to ") || strings.Contains(st.Notes, "\x1b") || len(st.Notes) > 1024 {
		t.Errorf("notes %q", st.Notes)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if first := rec.lines["n"][0]; first != "first bytes" {
		t.Errorf("stream begins with %q", first)
	}
}

func TestEndlessNoise(t *testing.T) {
	key := newSigner(t)
	zeros := make([]byte, 32<<10)
	s := newServer(t, func(r *request) {
		for {
			if _, err := r.Write(zeros); err != nil {
				return
			}
		}
	}, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	check(t, rec, Misbehaving, "1 MiB", "shell start-up files")
}

func TestRestrictedShell(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, func(r *request) {
		_, _ = io.WriteString(r, "This account is currently not available.\n")
		r.exit(1)
	}, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	check(t, rec, Refused, "(exit 1): This account is currently not available.", "shell")
}

func TestHungShell(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, func(*request) {}, key.PublicKey())
	timing := quick()
	timing.Start = 300 * time.Millisecond
	p, rec := newTestPool(t, Config{Timing: timing})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	check(t, rec, Lost, "no collector started in 300ms", "home folder may hang")
}

type badNode struct{}

func (badNode) Error() string     { return "frame of 4294967295 bytes\x1b[2J" }
func (badNode) Misbehaving() bool { return true }

func TestMisbehaving(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	rec.serve = func(string, io.Reader) error { return badNode{} }
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	st := check(t, rec, Misbehaving, "frame of 4294967295 bytes", "look at it")
	if strings.Contains(st.Cause, "\x1b") || time.Until(st.NextTry) < 30*time.Minute {
		t.Errorf("status %+v", st)
	}
}

func TestPanicInServe(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	rec.serve = func(node string, r io.Reader) error {
		if node == "bad" {
			panic("decoder")
		}
		_, err := io.Copy(io.Discard, r)
		return err
	}
	p.Add(Target{Name: "bad", Resolved: s.resolved(key)})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	st, _ := rec.reached("bad", Lost, 0)
	if !strings.Contains(st.Cause, "decoder") {
		t.Errorf("cause %q", st.Cause)
	}
}

func TestMissingProgramWithConfig(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, rec := newTestPool(t, Config{Home: home, Program: "no-such-ssh-program"})
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	name := "127.0.0.1:" + strconv.Itoa(s.port())
	if err := os.WriteFile(filepath.Join(home, ".ssh", "known_hosts"), []byte(hostLine(s)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Add(Target{Name: name})
	rec.reached(name, NeedsAuth, 0) // defaults: the host is known, there is no key
	if err := os.WriteFile(filepath.Join(home, ".ssh", "config"), []byte("Host x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Add(Target{Name: "x"})
	st, _ := rec.reached("x", Lost, 0)
	if !strings.Contains(st.Cause, "no ssh program") || !strings.Contains(st.Remedy, "install") {
		t.Errorf("status %+v", st)
	}
}
