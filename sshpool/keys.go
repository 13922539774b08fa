package sshpool

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// maxKeyBytes bounds a private key or certificate file.
const maxKeyBytes = 1 << 20

// keyring holds what all nodes share of the user's identity: agents and key files, each read once for as long as it is unchanged.
type keyring struct {
	mu     sync.Mutex
	agents map[string]*sharedAgent
	files  map[string]*keyFile
}

func newKeyring() *keyring {
	return &keyring{agents: make(map[string]*sharedAgent), files: make(map[string]*keyFile)}
}

func (k *keyring) agent(socket string) *sharedAgent {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.agents[socket]
	if a == nil {
		a = &sharedAgent{socket: socket}
		k.agents[socket] = a
	}
	return a
}

func (k *keyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.agents {
		a.forget()
	}
}

func (k *keyring) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.agents {
		a.close()
	}
	clear(k.files) // unlocked keys with them
}

// keyFile is one identity file as it was read.
type keyFile struct {
	state  fileState
	once   sync.Once
	public ssh.PublicKey // nil: no key could be read
	signer ssh.Signer    // nil: encrypted, or only the public half is here
	locked bool          // encrypted
	err    error

	unlocked atomic.Pointer[unlockedKey] // by a passphrase that a person gave; nil: not yet
}

type unlockedKey struct{ signer ssh.Signer }

// key is the public half; nil: none could be read, or an old PEM form hides it and nobody has opened it yet.
func (f *keyFile) key() ssh.PublicKey {
	if u := f.unlocked.Load(); u != nil && f.public == nil {
		return u.signer.PublicKey()
	}
	return f.public
}

// able is who signs with it; nil: nobody yet.
func (f *keyFile) able() ssh.Signer {
	if u := f.unlocked.Load(); u != nil {
		return u.signer
	}
	return f.signer
}

var errWrongPassphrase = errors.New("wrong passphrase")

// unlock opens an encrypted key file for as long as the program runs and the file stays as it is. The passphrase is not kept.
func (k *keyring) unlock(path string, passphrase []byte) error {
	b, err := readSmall(path)
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKeyWithPassphrase(b, passphrase)
	clear(b)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return errWrongPassphrase
	} else if err != nil {
		return fmt.Errorf("read key %s: %w", path, err)
	}
	f := k.file(path)
	if f.public != nil && !sameKey(f.public, signer.PublicKey()) {
		return fmt.Errorf("read key %s: it is another key than its .pub file says", path)
	}
	f.unlocked.Store(&unlockedKey{signer})
	return nil
}

// file reads an identity file: a private key in any of OpenSSH's forms, or a public one whose private half an agent may hold.
func (k *keyring) file(path string) *keyFile {
	state := stateOf(path)
	k.mu.Lock()
	f := k.files[path]
	if f == nil || f.state != state {
		f = &keyFile{state: state}
		k.files[path] = f
	}
	k.mu.Unlock()
	f.once.Do(func() { f.read(path) })
	return f
}

func (f *keyFile) read(path string) {
	b, err := readSmall(path)
	if err != nil {
		f.public = publicKeyFile(path + ".pub") // the private half may live in an agent
		f.err = err
		return
	}
	if key, _, _, _, err := ssh.ParseAuthorizedKey(b); err == nil {
		f.public = key
		return
	}
	signer, err := ssh.ParsePrivateKey(b)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		f.locked, f.public = true, locked.PublicKey
		if f.public == nil { // old PEM forms hide it
			f.public = publicKeyFile(path + ".pub")
		}
	case err != nil:
		f.err = fmt.Errorf("read key %s: %w", path, err)
		f.public = publicKeyFile(path + ".pub")
	default:
		f.signer, f.public = signer, signer.PublicKey()
	}
}

// hidden are those of a host's identity files that do not say which key they hold before they are opened: of old PEM forms, encrypted, without a .pub beside them.
func (k *keyring) hidden(r *Resolved) (files []string) {
	for _, path := range r.IdentityFiles {
		if f := k.file(path); f.locked && f.key() == nil {
			files = append(files, path)
		}
	}
	return files
}

func publicKeyFile(path string) ssh.PublicKey {
	b, err := readSmall(path)
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		return nil
	}
	return key
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxKeyBytes))
}
