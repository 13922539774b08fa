package sshpool

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A key that a person looked at is written down and the node comes; no other is.
func TestTrust(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	other := newSigner(t).PublicKey()
	file := knownHosts(t)
	p, rec := newTestPool(t, Config{})
	add := func(name string, change func(*Resolved)) *HostKeyError {
		r := s.resolved(key)
		r.HostKeys, r.UserKnownHosts = nil, []string{file}
		change(r)
		p.Add(Target{Name: name, Resolved: r})
		st, _ := rec.reached(name, NeedsTrust, 0)
		bad, ok := st.Err.(*HostKeyError)
		if !ok {
			t.Fatalf("%s: %+v", name, st)
		}
		return bad
	}
	refused := func(name, fingerprint, words string) {
		t.Helper()
		if err := p.Trust(name, fingerprint); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(file); err != nil || len(b) > 0 {
			t.Errorf("%s: known_hosts %q %v", name, b, err)
		}
	}
	strict := add("strict", func(r *Resolved) { r.Trust = TrustKnown })
	if strict.MayBeTaken() {
		t.Error("a strict configuration lets it be taken")
	}
	refused("strict", strict.Fingerprint(), "StrictHostKeyChecking is yes")
	changed := add("changed", func(r *Resolved) {
		r.UserKnownHosts = []string{knownHosts(t, strings.Replace(hostLine(s), sshLine(s.host.PublicKey()), sshLine(other), 1))}
	})
	if changed.Verdict != KeyChanged || len(changed.Known) != 1 || changed.Known[0].Line != 1 {
		t.Errorf("%+v", changed)
	}
	refused("changed", changed.Fingerprint(), "HAS CHANGED")
	bad := add("n", func(*Resolved) {})
	refused("n", strict.Fingerprint()+"x", "it shows another key by now")
	refused("nobody", bad.Fingerprint(), "no such node")
	if err := p.Trust("n", bad.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	rec.reached("n", Live, 0)
	if b, err := os.ReadFile(file); err != nil || string(b) != hostLine(s)+"\n" {
		t.Errorf("known_hosts %q, want %q", b, hostLine(s))
	}
}

// sshLine is a key as known_hosts writes it.
func sshLine(key interface{ Marshal() []byte }) string {
	return base64.StdEncoding.EncodeToString(key.Marshal())
}

// The key of a jump host, accepted at one of the nodes behind it, lets all of them on.
func TestTrustJumpHost(t *testing.T) {
	config, _, key := writeConfig(t, "User u\n")
	jump, node := newServer(t, nil, key.PublicKey()), newServer(t, collect, key.PublicKey())
	appendFile(t, config, "UserKnownHostsFile "+knownHosts(t, hostLine(node))+"\nStrictHostKeyChecking ask\n")
	appendFile(t, config, fmt.Sprintf("Host jump\n HostName 127.0.0.1\n Port %d\n", jump.port()))
	for i := range 10 {
		appendFile(t, config, fmt.Sprintf("Host n%d\n HostName 127.0.0.1\n Port %d\n ProxyJump jump\n", i, node.port()))
	}
	timing := quick()
	timing.TrustLook = 50 * time.Millisecond
	p, rec := newTestPool(t, Config{ConfigFile: config, Timing: timing})
	var bad *HostKeyError
	for i := range 10 {
		name := fmt.Sprintf("n%d", i)
		p.Add(Target{Name: name})
		st, _ := rec.reached(name, NeedsTrust, 0)
		_ = errors.As(st.Err, &bad)
	}
	if bad == nil {
		t.Fatal("no node says which key")
	}
	if err := p.Trust("n4", bad.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		rec.reached(fmt.Sprintf("n%d", i), Live, 0)
	}
	if jump.count() != 1 {
		t.Errorf("%d logins at the jump host", jump.count())
	}
}

// A node that is let go, and a pool that closes, end a conversation that waits for a person.
func TestNobodyAnswers(t *testing.T) {
	k := &codes{}
	s := newServer(t, collect)
	k.serve(s, false)
	p, rec := newTestPool(t, Config{Ask: true})
	for _, name := range []string{"a", "b"} {
		p.Add(Target{Name: name, Resolved: s.askResolved(name)})
		rec.reached(name, NeedsAuth, 0)
	}
	q := asked(t, p, "of both", func(q Question) bool { return len(q.Nodes) == 2 })
	p.Begin(q.ID)
	q = asked(t, p, "password", answerable)
	for _, name := range []string{"a", "b"} {
		if name == q.Host {
			p.Remove(name)
		}
	}
	q = asked(t, p, "of the other", func(q Question) bool { return len(q.Nodes) == 1 && !q.Busy && len(q.Prompts) == 0 })
	p.Begin(q.ID)
	asked(t, p, "password again", answerable)
	begun := time.Now()
	p.Close()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	if s.count() != 0 {
		t.Error("somebody logged in")
	}
}
