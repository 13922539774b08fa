package sshpool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// mayBeTaken says that a key is merely unknown. A changed or revoked one, or a certificate that is not valid, is never taken.
func (e *HostKeyError) mayBeTaken() bool {
	return e.Verdict == KeyUnknown || e.Verdict == KeyOtherKind
}

// MayBeTaken says that a person may accept the key here: it is merely unknown, and the configuration lets ssh ask (StrictHostKeyChecking is not yes).
func (e *HostKeyError) MayBeTaken() bool {
	return e.mayBeTaken() && (e.resolved == nil || e.resolved.Trust != TrustKnown)
}

// plain is the key itself: a certificate of an unknown authority is known by the key inside.
func (e *HostKeyError) plain() ssh.PublicKey {
	if cert, ok := e.Key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return e.Key
}

// line is what known_hosts holds of the key, as ssh itself writes it.
func (e *HostKeyError) line(hash bool) string {
	name := e.Name
	if hash {
		name = knownhosts.HashHostname(name)
	}
	return name + " " + string(ssh.MarshalAuthorizedKey(e.plain()))
}

// take trusts a key that no file knows because the configuration says so (StrictHostKeyChecking accept-new or no), and writes it down. As with ssh itself, a file that cannot
// take it does not keep the host out. It gives nil, or why the key is not trusted after all.
func (t *trustFiles) take(e *HostKeyError) *HostKeyError {
	if err := t.write(e); err != nil {
		var other *HostKeyError
		if errors.As(err, &other) {
			return other
		}
	}
	return nil
}

// write adds the key to the first of the user's files. One that was written there meanwhile is not added twice, and one that meanwhile contradicts it is the error.
func (t *trustFiles) write(e *HostKeyError) error {
	if !e.mayBeTaken() {
		return e
	}
	t.writing.Lock()
	defer t.writing.Unlock()
	switch now := t.known(e.resolved, true).judge(e.resolved, e.Key, time.Now); {
	case now == nil:
		return nil
	case !now.mayBeTaken():
		return now
	}
	if len(e.resolved.UserKnownHosts) == 0 || e.resolved.UserKnownHosts[0] == os.DevNull {
		t.keep(e)
		return nil
	}
	path := e.resolved.UserKnownHosts[0]
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write host key of %s: %w", e.Name, err)
	}
	if err := t.add(path, e); err != nil {
		return fmt.Errorf("write host key of %s: %w", e.Name, err)
	}
	return nil
}

// add writes a line to a file's end, and to its index where that is of the file as it was before: thousands of new keys must not have it read anew for each. Nobody looks
// into the index meanwhile.
func (t *trustFiles) add(path string, e *HostKeyError) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	before := stateOf(path)
	line := e.line(e.resolved.HashKnownHosts)
	if before.size > 0 { // a last line without an end
		last := []byte{'\n'}
		if _, err := f.ReadAt(last, before.size-1); err == nil && last[0] != '\n' {
			line = "\n" + line
		}
	}
	_, err = f.WriteString(line)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	c, now := t.files[path], stateOf(path)
	if c == nil || !c.read.Load() || c.state != before || now.id != before.id || now.size != before.size+int64(len(line)) || strings.ContainsAny(e.Name, "*?!,") {
		return nil // somebody else writes too: it is read again
	}
	c.lines.Lock()
	defer c.lines.Unlock()
	c.file.written(e.Name, e.plain())
	c.state = now
	return nil
}

// keep trusts a key for as long as the program runs: there is no file for it.
func (t *trustFiles) keep(e *HostKeyError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil {
		t.kept = make(map[string][]ssh.PublicKey)
	}
	t.kept[e.Name] = append(t.kept[e.Name], e.plain())
}

func (t *trustFiles) keptFor(name string) []ssh.PublicKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept[name]
}

// Trust takes the key that a node showed, if its fingerprint is the one that a person looked at: it is written where ssh itself would write it, and the node is tried again. A
// changed, revoked or invalid key is never taken: the error says what to do.
func (p *Pool) Trust(name, fingerprint string) error {
	p.mu.Lock()
	n := p.nodes[name]
	p.mu.Unlock()
	if n == nil {
		return fmt.Errorf("trust %s: no such node", name)
	}
	n.mu.Lock()
	bad := n.untrusted
	n.mu.Unlock()
	switch {
	case bad == nil:
		return fmt.Errorf("trust %s: it has shown no key that is not trusted", name)
	case bad.Fingerprint() != fingerprint:
		return fmt.Errorf("trust %s: it shows another key by now: %s", name, bad.Fingerprint())
	case !bad.mayBeTaken():
		return fmt.Errorf("trust %s: %w", name, bad)
	case !bad.MayBeTaken():
		return fmt.Errorf("trust %s: StrictHostKeyChecking is yes for it", name)
	}
	if err := p.trust.write(bad); err != nil {
		return fmt.Errorf("trust %s: %w", name, err)
	}
	p.Retry(name)
	return nil
}
