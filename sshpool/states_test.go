//go:build unix

package sshpool

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestLive(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	rec.line("n", "tick")
	rec.mu.Lock()
	var states []string
	for _, st := range rec.statuses["n"] {
		states = append(states, st.State.String())
	}
	rec.mu.Unlock()
	if got := strings.Join(states, " "); got != "waiting connecting live" {
		t.Errorf("states: %s", got)
	}
}

// check waits for a state and wants words in its cause and remedy.
func check(t *testing.T, rec *recorder, state State, cause, remedy string) Status {
	t.Helper()
	s, _ := rec.reached("n", state, 0)
	if !strings.Contains(s.Cause, cause) {
		t.Errorf("cause %q does not say %q", s.Cause, cause)
	}
	if !strings.Contains(s.Remedy, remedy) {
		t.Errorf("remedy %q does not say %q", s.Remedy, remedy)
	}
	return s
}

func TestHostKeys(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	other := newSigner(t).PublicKey()
	name := "[127.0.0.1]:" + strconv.Itoa(s.port())
	for _, c := range []struct {
		what, line    string
		verdict       KeyVerdict
		cause, remedy string
	}{
		{"unknown", "# nothing", KeyUnknown, "unknown: ED25519 SHA256:", "ssh node"},
		{"changed", knownhosts.Line([]string{name}, other), KeyChanged, "CHANGED", "ssh-keygen -f"},
		{"revoked", "@revoked * " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.host.PublicKey()))), KeyRevoked, "REVOKED", "do not connect"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := s.resolved(key)
			r.HostKeys, r.UserKnownHosts = nil, []string{knownHosts(t, "# comment", c.line)}
			p, rec := newTestPool(t, Config{})
			before := s.count()
			p.Add(Target{Name: "n", Resolved: r})
			st := check(t, rec, NeedsTrust, c.cause, c.remedy)
			var bad *HostKeyError
			if !errors.As(st.Err, &bad) || bad.Verdict != c.verdict {
				t.Errorf("error: %v", st.Err)
			}
			if c.verdict == KeyChanged && !strings.Contains(st.Cause, r.UserKnownHosts[0]+":2") {
				t.Errorf("cause without file and line: %q", st.Cause)
			}
			if !st.NextTry.IsZero() || s.count() != before {
				t.Errorf("retried by itself, or authenticated: next %v, logins %d", st.NextTry, s.count()-before)
			}
			// The user takes the key and asks again.
			if err := os.WriteFile(r.UserKnownHosts[0], []byte(hostLine(s)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p.Retry("n")
			rec.reached("n", Live, 0)
		})
	}
}

func TestKeyTakenOutside(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	r := s.resolved(key)
	r.HostKeys, r.UserKnownHosts = nil, []string{knownHosts(t)}
	timing := quick()
	timing.TrustLook = 20 * time.Millisecond
	p, rec := newTestPool(t, Config{Timing: timing})
	p.Add(Target{Name: "n", Resolved: r})
	_, at := rec.reached("n", NeedsTrust, 0)
	appendFile(t, r.UserKnownHosts[0], keyLine("elsewhere", s.host.PublicKey())+"\n") // not this host's
	time.Sleep(100 * time.Millisecond)
	appendFile(t, r.UserKnownHosts[0], hostLine(s)+"\n")
	rec.reached("n", Live, at)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.statuses["n"]) != at+2 {
		t.Errorf("asked the node more than once: %+v", rec.statuses["n"])
	}
}

func TestNetworkWords(t *testing.T) {
	wrap := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, c := range []struct {
		err   error
		cause string
		again pause
	}{
		{wrap(syscall.EHOSTUNREACH), "no route to host n1", pauseNear},
		{wrap(syscall.ENETUNREACH), "no route to host n1", pauseNear},
		{wrap(syscall.ECONNREFUSED), "connection refused by n1:22", pauseNear},
		{wrap(syscall.ETIMEDOUT), "no answer from n1:22", pauseNear},
		{context.DeadlineExceeded, "no answer from n1:22", pauseNear},
		{&net.DNSError{Err: "no such host", Name: "n1", IsNotFound: true}, "name not found: n1", pauseFar},
		{&net.DNSError{Err: "timeout", Name: "n1", IsTimeout: true}, "no answer from the name server for n1", pauseFar},
		{wrap(syscall.EMFILE), "dial n1:22: this program has no file left to open", pauseFar},
	} {
		p := networkProblem(c.err, "n1:22")
		if p.state != Lost || p.cause != c.cause || p.again != c.again || p.remedy == "" {
			t.Errorf("%v: %+v", c.err, p)
		}
	}
}

func TestRefusedKey(t *testing.T) {
	s := newServer(t, collect, newSigner(t).PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(newSigner(t))})
	st := check(t, rec, NeedsAuth, "permission denied (publickey) for u@127.0.0.1", "authorized_keys")
	var auth *AuthError
	if !errors.As(st.Err, &auth) || len(auth.Offered) != 1 || !st.NextTry.IsZero() {
		t.Errorf("error %v, next try %v", st.Err, st.NextTry)
	}
}

func TestNoKey(t *testing.T) {
	s := newServer(t, collect, newSigner(t).PublicKey())
	r := s.resolved(nil)
	r.Signers = nil
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: r})
	check(t, rec, NeedsAuth, "no key to offer", "ssh-add")
}

func TestServerRefusesAccount(t *testing.T) {
	s := newServer(t, collect, newSigner(t).PublicKey())
	s.change(func(c *ssh.ServerConfig) {
		c.BannerCallback = func(ssh.ConnMetadata) string {
			return "Access denied by pam_slurm_adopt: you have no active jobs on this node\r\n\x1b]52;c;x\a"
		}
	})
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(newSigner(t))})
	st := check(t, rec, Refused, "no active jobs on this node", "job")
	if strings.ContainsAny(st.Cause, "\x1b\a\r\n") {
		t.Errorf("raw text passed: %q", st.Cause)
	}
}

// A connection that breaks while logging in says nothing about the key: it is tried again.
func TestCutWhileLoggingIn(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	cuts := 0
	s.change(func(c *ssh.ServerConfig) {
		allow := c.PublicKeyCallback
		c.PublicKeyCallback = func(m ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if cuts++; cuts == 1 {
				for _, conn := range s.conns {
					conn.Close()
				}
			}
			return allow(m, k)
		}
	})
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	_, at := rec.reached("n", Lost, 0)
	check(t, rec, Lost, "closed the connection while logging in", "PAM")
	rec.reached("n", Live, at)
}

func TestLegalBannerIsNoRefusal(t *testing.T) {
	s := newServer(t, collect, newSigner(t).PublicKey())
	s.change(func(c *ssh.ServerConfig) {
		c.BannerCallback = func(ssh.ConnMetadata) string {
			return "Unauthorized access is not allowed; your account may be monitored.\n"
		}
	})
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(newSigner(t))})
	st := check(t, rec, NeedsAuth, "permission denied", "ssh-copy-id")
	if !strings.Contains(st.Notes, "may be monitored") {
		t.Errorf("notes %q", st.Notes)
	}
}

func TestConnectionRefused(t *testing.T) {
	s := newServer(t, collect)
	r := s.resolved(newSigner(t))
	s.stop()
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: r})
	st := check(t, rec, Lost, "connection refused by "+r.addr(), "sshd")
	if st.NextTry.IsZero() {
		t.Error("no next try")
	}
	s.listen(r.addr()) // it comes up
	rec.reached("n", Live, 0)
}

func TestNameNotFound(t *testing.T) {
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: &Resolved{HostName: "no-such-host.invalid", Port: 22, User: "u"}})
	s, _ := rec.reached("n", Lost, 0)
	if !strings.Contains(s.Cause, "name not found") && !strings.Contains(s.Cause, "name server") {
		t.Errorf("cause %q", s.Cause)
	}
}

func TestBadName(t *testing.T) {
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "-oProxyCommand=true"})
	s, _ := rec.reached("-oProxyCommand=true", Lost, 0)
	if !s.NextTry.IsZero() || s.Remedy == "" {
		t.Errorf("status %+v", s)
	}
}

// listener accepts and does with each connection what f says.
func listener(t *testing.T, f func(net.Conn)) *Resolved {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go f(c)
		}
	}()
	return &Resolved{Alias: "n", HostName: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: "u", IdentityAgent: "none"}
}

func TestSilentServerDelaysNobody(t *testing.T) {
	silent := listener(t, func(net.Conn) {})
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	timing := quick()
	timing.Handshake = 4 * time.Second
	p, rec := newTestPool(t, Config{Timing: timing})
	begun := time.Now()
	for i := range 2 * paceFirst { // more than may be starting at once
		r := *silent
		r.HostName = "127.0.9." + strconv.Itoa(i+1)
		p.Add(Target{Name: "silent" + strconv.Itoa(i), Resolved: &r})
	}
	p.Add(Target{Name: "silent", Resolved: silent})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	if took := time.Since(begun); took > 3500*time.Millisecond {
		t.Errorf("a silent server delayed another node by %v", took)
	}
	st, _ := rec.reached("silent", Lost, 0)
	if !strings.Contains(st.Cause, "says nothing") || st.Remedy == "" {
		t.Errorf("status %+v", st)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, s := range rec.statuses["n"] {
		if s.State == Lost {
			t.Errorf("the live node was lost: %+v", s)
		}
	}
}

func TestThrottled(t *testing.T) {
	for _, words := range []string{"Exceeded MaxStartups\r\n", "Not allowed at this time\r\n"} {
		r := listener(t, func(c net.Conn) {
			_, _ = io.WriteString(c, words)
			c.Close()
		})
		p, rec := newTestPool(t, Config{})
		p.Add(Target{Name: "n", Resolved: r})
		check(t, rec, Lost, "server throttled", "slows down")
		p.pace.mu.Lock()
		limit := p.pace.limit
		p.pace.mu.Unlock()
		if limit >= paceFirst {
			t.Errorf("the pace did not slow down: %d", limit)
		}
		p.Close()
	}
}

func TestNotSSH(t *testing.T) {
	r := listener(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		c.Close()
	})
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: r})
	check(t, rec, Lost, "not an SSH server; it says: HTTP/1.1 400", "port")
}
