package sshpool

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// oldKey writes a key in the PEM form that hides which key it is, under a passphrase.
func oldKey(t *testing.T, passphrase string) (file string, public ssh.PublicKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 it is what old keys are
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte(passphrase), x509.PEMCipherAES128)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "id_old")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if public, err = ssh.NewPublicKey(&key.PublicKey); err != nil {
		t.Fatal(err)
	}
	return file, public
}

// An old key without its .pub is asked for when no other key is let in, opens for the right passphrase, and is then offered to all.
func TestHiddenKey(t *testing.T) {
	file, public := oldKey(t, "open sesame")
	s := newServer(t, collect, public)
	other, _ := oldKey(t, "another")
	p, rec := newTestPool(t, Config{Ask: true})
	for _, name := range []string{"a", "b"} {
		r := s.askResolved(name)
		r.IdentityFiles = []string{other, file}
		p.Add(Target{Name: name, Resolved: r})
	}
	both := func(file string) func(Question) bool {
		return func(q Question) bool { return answerable(q) && len(q.Nodes) == 2 && q.File == file }
	}
	q := asked(t, p, "of the first file", both(other))
	if q.Kind != AskPassphrase || len(p.Questions()) != 1 {
		t.Errorf("%+v", p.Questions())
	}
	reply(t, p, q, "wrong")
	p.Decline(asked(t, p, "again", func(q Question) bool { return q.Tries == 1 && both(other)(q) }).ID)
	for _, name := range []string{"a", "b"} {
		p.Retry(name)
	}
	// Retry lets it be asked again: it is opened now, is not let in, and the second file comes.
	reply(t, p, asked(t, p, "of the first file", both(other)), "another")
	reply(t, p, asked(t, p, "of the second file", both(file)), "open sesame")
	rec.reached("a", Live, 0)
	rec.reached("b", Live, 0)
	unasked(t, p)
}

// One that is not opened does not keep the host from being asked for a password; and where nobody is asked it is named.
func TestHiddenKeyDeclined(t *testing.T) {
	s, tried := passwords(t, "right")
	s.change(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, ssh.ErrNoAuth }
	})
	file, _ := oldKey(t, "open sesame")
	r := s.askResolved("n")
	r.IdentityFiles = []string{file}
	p, rec := newTestPool(t, Config{Ask: true})
	p.asks.mu.Lock()
	p.asks.closed["passphrase "+file] = true // declined
	p.asks.mu.Unlock()
	p.Add(Target{Name: "n", Resolved: r})
	q := asked(t, p, "at all", answerable)
	if q.Kind != AskPassword {
		t.Errorf("%+v", q)
	}
	reply(t, p, q, "right")
	rec.reached("n", Live, 0)
	if tried.Load() != 1 {
		t.Errorf("%d attempts", tried.Load())
	}

	quiet, heard := newTestPool(t, Config{})
	quiet.Add(Target{Name: "n", Resolved: r})
	st, _ := heard.reached("n", NeedsAuth, 0)
	if !strings.Contains(st.Cause, "id_old is locked by a passphrase, and no .pub file") || !strings.Contains(st.Remedy, "ssh-add") {
		t.Errorf("%+v", st)
	}
}
