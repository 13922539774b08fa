package sshpool

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// newPrivate makes a private key file's text and its signer.
func newPrivate(t testing.TB) ([]byte, ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), s
}

func keyOnDisk(t testing.TB, dir, name, passphrase string) (path string, signer ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, name)
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, name, []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err = ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return path, signer
}

// playedAgent is an agent on a socket; sign may make it fail.
type playedAgent struct {
	agent.ExtendedAgent
	refuse ssh.PublicKey
	conns  atomic.Int32
}

func (a *playedAgent) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	if a.refuse != nil && sameKey(key, a.refuse) {
		return nil, errors.New("declined by the user")
	}
	return a.ExtendedAgent.SignWithFlags(key, data, flags)
}

func (a *playedAgent) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return a.SignWithFlags(key, data, 0)
}

func newAgent(t testing.TB) (*playedAgent, string) {
	t.Helper()
	a := &playedAgent{ExtendedAgent: agent.NewKeyring().(agent.ExtendedAgent)}
	dir, err := os.MkdirTemp("", "ag") // sun_path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
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
			a.conns.Add(1)
			go func() {
				defer c.Close()
				_ = agent.ServeAgent(a, c)
			}()
		}
	}()
	return a, socket
}

func addToAgent(t testing.TB, a *playedAgent) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func origins(ids []identity) []string {
	var out []string
	for _, i := range ids {
		origin := filepath.Base(i.origin)
		if i.signer == nil {
			origin += " (locked)"
		}
		out = append(out, origin)
	}
	return out
}

func TestIdentityOrder(t *testing.T) {
	dir := t.TempDir()
	plain, _ := keyOnDisk(t, dir, "plain", "")
	locked, _ := keyOnDisk(t, dir, "locked", "secret")
	a, socket := newAgent(t)
	addToAgent(t, a)
	inAgent := addToAgent(t, a)
	publicOnly := filepath.Join(dir, "public")
	if err := os.WriteFile(publicOnly, ssh.MarshalAuthorizedKey(inAgent.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := []string{filepath.Join(dir, "missing"), broken, plain, locked, publicOnly}
	for _, c := range []struct {
		what string
		r    Resolved
		want []string
	}{
		{"agent first, configured ones before others", Resolved{IdentityFiles: files, IdentityAgent: socket}, []string{"agent", "agent", "plain", "locked (locked)"}},
		{"only configured", Resolved{IdentityFiles: files, IdentityAgent: socket, IdentitiesOnly: true}, []string{"agent", "plain", "locked (locked)"}},
		{"no agent", Resolved{IdentityFiles: files, IdentityAgent: "none"}, []string{"plain", "locked (locked)"}},
		{"agent gone", Resolved{IdentityFiles: files, IdentityAgent: socket + "x"}, []string{"plain", "locked (locked)"}},
		{"no keys wanted", Resolved{IdentityFiles: files, IdentityAgent: socket, NoPublicKey: true}, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			k := newKeyring()
			defer k.close()
			ids, agentErr := k.identities(&c.r)
			if diff := cmp.Diff(c.want, origins(ids)); diff != "" {
				t.Error(diff)
			}
			if c.what == "agent gone" != (agentErr != nil) {
				t.Errorf("agent error: %v", agentErr)
			}
			if len(ids) > 0 && c.r.IdentityAgent == socket && !sameKey(ids[0].public, inAgent.PublicKey()) {
				t.Error("the configured key of the agent is not the first")
			}
		})
	}
}

func TestAgentLogin(t *testing.T) {
	a, socket := newAgent(t)
	key := addToAgent(t, a)
	s := newServer(t, collect, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		r := s.resolved(nil)
		r.Signers, r.IdentityAgent = nil, socket
		p.Add(Target{Name: name, Resolved: r})
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		rec.reached(name, Live, 0)
	}
	if n := a.conns.Load(); n != 1 {
		t.Errorf("%d connections to the agent", n)
	}
}

// A key that the server would take but whose signer fails does not stop the next one.
func TestFailingSignerIsPassedOver(t *testing.T) {
	a, socket := newAgent(t)
	declined := addToAgent(t, a)
	a.refuse = declined.PublicKey()
	path, good := keyOnDisk(t, t.TempDir(), "good", "")
	s := newServer(t, collect, declined.PublicKey(), good.PublicKey())
	p, rec := newTestPool(t, Config{})
	r := s.resolved(nil)
	r.Signers, r.IdentityAgent, r.IdentityFiles = nil, socket, []string{path}
	p.Add(Target{Name: "n", Resolved: r})
	rec.reached("n", Live, 0)

	only := *r
	only.IdentityFiles = nil
	p.Add(Target{Name: "only", Resolved: &only})
	st, _ := rec.reached("only", NeedsAuth, 0)
	if !strings.Contains(st.Cause, "did not sign") || st.Remedy == "" {
		t.Errorf("status %+v", st)
	}
}

func TestLockedKey(t *testing.T) {
	path, key := keyOnDisk(t, t.TempDir(), "id_locked", "secret")
	s := newServer(t, collect, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	r := s.resolved(nil)
	a, socket := newAgent(t)
	r.Signers, r.IdentityAgent, r.IdentityFiles = nil, socket, []string{path}
	p.Add(Target{Name: "n", Resolved: r})
	st := check(t, rec, NeedsAuth, "key "+path+" is locked by a passphrase", "ssh-add "+path)
	if !st.NextTry.IsZero() {
		t.Error("retries by itself")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKeyWithPassphrase(b, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(agent.AddedKey{PrivateKey: private}); err != nil { // the user did as told
		t.Fatal(err)
	}
	p.Retry("n")
	rec.reached("n", Live, 0)
}

func newCert(t testing.TB, kind uint32, key ssh.PublicKey, ca ssh.Signer, principal string, until time.Time) *ssh.Certificate {
	t.Helper()
	c := &ssh.Certificate{Key: key, CertType: kind, KeyId: "test", ValidPrincipals: []string{principal}, ValidBefore: uint64(until.Unix())}
	if err := c.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestUserCertificate(t *testing.T) {
	ca := newSigner(t)
	path, key := keyOnDisk(t, t.TempDir(), "id_c", "")
	cert := newCert(t, ssh.UserCert, key.PublicKey(), ca, "u", time.Now().Add(time.Hour))
	if err := os.WriteFile(path+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, collect, newSigner(t).PublicKey())
	checker := ssh.CertChecker{IsUserAuthority: func(k ssh.PublicKey) bool { return sameKey(k, ca.PublicKey()) }}
	s.change(func(c *ssh.ServerConfig) { c.PublicKeyCallback = checker.Authenticate })
	p, rec := newTestPool(t, Config{})
	r := s.resolved(nil)
	r.Signers, r.IdentityFiles = nil, []string{path}
	p.Add(Target{Name: "n", Resolved: r})
	rec.reached("n", Live, 0)
}

func TestMoreThanAKeyWanted(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	next := ssh.ServerAuthCallbacks{
		KeyboardInteractiveCallback: func(ssh.ConnMetadata, ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) { return nil, nil },
	}
	s.change(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			return nil, &ssh.PartialSuccessError{Next: next}
		}
	})
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	check(t, rec, NeedsAuth, "also asks for keyboard-interactive after the key", "")
}

func TestPasswordOnly(t *testing.T) {
	s := newServer(t, collect)
	s.change(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = nil
		c.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil }
	})
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(newSigner(t))})
	check(t, rec, NeedsAuth, "wants password", "ssh-copy-id")
}
