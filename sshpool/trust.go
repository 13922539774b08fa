package sshpool

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// KeyVerdict is what is wrong with a host key.
type KeyVerdict uint8

// The verdicts.
const (
	KeyUnknown   KeyVerdict = iota // no file knows the host
	KeyOtherKind                   // files know the host by keys of other types only
	KeyChanged                     // a file holds another key of the same type: an alarm
	KeyRevoked                     // a file revokes this very key: an alarm
	KeyBadCert                     // a certificate by a known authority, but not valid for this host now
	KeyTooShort                    // an RSA key of fewer bits than the configuration asks for
)

// HostKeyError says that a host's key is not trusted. It is never overridden here: the user decides outside, or answers a question.
type HostKeyError struct {
	Verdict KeyVerdict
	Name    string        // as known_hosts writes it: host, or [host]:port
	Key     ssh.PublicKey // what the host showed
	Known   []KnownKey    // what the files hold for it
	Detail  string        // of KeyBadCert and KeyTooShort

	hasty    bool // the algorithms were ordered before all files were passed over
	resolved *Resolved
}

// KeyKind is the word that OpenSSH has for the shown key's type: "ED25519".
func (e *HostKeyError) KeyKind() string { return keyKind(e.Key.Type()) }

// Fingerprint is the shown key's SHA-256 in OpenSSH's form.
func (e *HostKeyError) Fingerprint() string { return ssh.FingerprintSHA256(e.Key) }

func (e *HostKeyError) Error() string {
	kind, print := keyKind(e.Key.Type()), e.Fingerprint()
	switch e.Verdict {
	case KeyOtherKind:
		return fmt.Sprintf("host key of %s is of an unknown kind: %s %s (known: %s)", e.Name, kind, print, e.places())
	case KeyChanged:
		return fmt.Sprintf("HOST KEY OF %s HAS CHANGED: now %s %s, known is another (%s); someone may be listening in", e.Name, kind, print, e.places())
	case KeyRevoked:
		return fmt.Sprintf("HOST KEY OF %s IS REVOKED: %s %s (%s)", e.Name, kind, print, e.places())
	case KeyTooShort:
		return fmt.Sprintf("host key of %s is too short: %s", e.Name, e.Detail)
	case KeyBadCert:
		return fmt.Sprintf("host certificate of %s is not valid: %s (authority %s)", e.Name, e.Detail, e.places())
	}
	return fmt.Sprintf("host key of %s is unknown: %s %s", e.Name, kind, print)
}

func (e *HostKeyError) places() string {
	var out []string
	for _, k := range e.Known {
		out = append(out, fmt.Sprintf("%s %s:%d", keyKind(k.Key.Type()), k.File, k.Line))
		if len(out) == 3 && len(e.Known) > 3 {
			return strings.Join(append(out, "…"), ", ")
		}
	}
	return strings.Join(out, ", ")
}

// keyKind is the word OpenSSH prints for a key type.
func keyKind(keyType string) string {
	base, _ := certifiedType(keyType)
	switch {
	case base == ssh.KeyAlgoED25519:
		return "ED25519"
	case base == ssh.KeyAlgoRSA:
		return "RSA"
	case strings.HasPrefix(base, "ecdsa-"):
		return "ECDSA"
	}
	return strings.ToUpper(base)
}

// judge decides about a shown key; nil means trusted. Strict always.
func (k *knowledge) judge(r *Resolved, key ssh.PublicKey, now func() time.Time) *HostKeyError {
	name, _ := r.knownNames()
	first := len(k.later) > 0
	fail := func(v KeyVerdict, known []KnownKey) *HostKeyError {
		return &HostKeyError{Verdict: v, Name: name, Key: key, Known: known, hasty: first, resolved: r}
	}
	if r.LocalTrusted && r.HostKeyAlias == "" && r.ProxyJump == "" && r.ProxyCommand == "" && isLoopback(r.HostName) {
		return nil
	}
	if bits := rsaBits(key); bits < r.MinRSABits {
		bad := fail(KeyTooShort, nil)
		bad.Detail = fmt.Sprintf("%d bits, RequiredRSASize is %d", bits, r.MinRSABits)
		return bad
	}
	cert, certified := key.(*ssh.Certificate)
	for _, e := range k.all() {
		if e.marker != 'r' {
			continue
		}
		if sameKey(e.Key, key) || certified && (sameKey(e.Key, cert.Key) || sameKey(e.Key, cert.SignatureKey)) {
			return fail(KeyRevoked, []KnownKey{e})
		}
	}
	if certified {
		for _, e := range k.all() {
			if e.marker != 'c' || !sameKey(e.Key, cert.SignatureKey) {
				continue
			}
			if err := checkHostCert(cert, r, now); err != nil {
				bad := fail(KeyBadCert, []KnownKey{e})
				bad.Detail = clean(err.Error())
				return bad
			}
			return nil
		}
		key = cert.Key // no authority of ours signed it: judged as the plain key inside, as OpenSSH does
	}
	if k.lookedUp(key) {
		return nil
	}
	k.complete()
	trusted := k.trusted()
	var same []KnownKey
	for _, e := range trusted {
		if sameKey(e.Key, key) {
			return nil
		}
		if e.Key.Type() == key.Type() {
			same = append(same, e)
		}
	}
	switch {
	case len(same) > 0:
		return fail(KeyChanged, same)
	case len(trusted) > 0:
		return fail(KeyOtherKind, trusted)
	}
	return fail(KeyUnknown, nil)
}

// isLoopback says that a host is this machine by name or address.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return lower(host) == "localhost" || ip != nil && ip.IsLoopback()
}

func checkHostCert(cert *ssh.Certificate, r *Resolved, now func() time.Time) error {
	if len(r.CASignatures) > 0 && cert.Signature != nil && !slices.Contains(r.CASignatures, cert.Signature.Format) {
		return fmt.Errorf("it is signed by %s, which CASignatureAlgorithms does not allow", cert.Signature.Format)
	}
	checker := ssh.CertChecker{
		Clock:           now,
		IsHostAuthority: func(ssh.PublicKey, string) bool { return true },
	}
	host := r.HostName
	if r.HostKeyAlias != "" {
		host = r.HostKeyAlias
	}
	return checker.CheckHostKey(net.JoinHostPort(lower(host), "22"), nil, cert)
}

// trustProblem words a host key that is not trusted.
func trustProblem(e *HostKeyError, r *Resolved, connect string) *problem {
	p := &problem{state: NeedsTrust, again: pauseHold, cause: e.Error(), err: e}
	file := "your known_hosts"
	if len(e.Known) > 0 {
		file = e.Known[0].File
	} else if len(r.UserKnownHosts) > 0 {
		file = r.UserKnownHosts[0]
	}
	if r.Trust == TrustKnown {
		connect = strings.Replace(connect, "ssh ", "ssh -o StrictHostKeyChecking=ask ", 1)
	}
	switch e.Verdict {
	case KeyChanged:
		p.remedy = fmt.Sprintf("ask the node's admin whether it was reinstalled; only then: ssh-keygen -f %s -R %s, and %s to take the new key", quote(file), quote(e.Name), connect)
	case KeyRevoked:
		p.remedy = "do not connect; tell the node's admin"
	case KeyTooShort:
		p.remedy = "ask the node's admin for a longer key, or lower RequiredRSASize for this host"
	case KeyBadCert:
		p.remedy = "ask the node's admin for a new host certificate"
	default:
		p.remedy = fmt.Sprintf("compare the fingerprint with the admin's, then take the key: %s (it goes to %s)", connect, file)
	}
	return p
}

// heals tells when the files have come to trust the key that was shown: the user took it, as the remedy says. It looks at the files'
// state first, so that waiting costs a few stats.
func (t *trustFiles) heals(e *HostKeyError) func() bool {
	paths := slices.Concat(e.resolved.UserKnownHosts, e.resolved.GlobalKnownHosts)
	states := make([]fileState, len(paths))
	look := func() {
		for i, path := range paths {
			states[i] = stateOf(path)
		}
	}
	look()
	return func() bool {
		if unchanged(states) {
			return false
		}
		look()
		return t.known(e.resolved, true).judge(e.resolved, e.Key, time.Now) == nil
	}
}
