package sshpool

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// identity is one key that may be offered to a host.
type identity struct {
	public ssh.PublicKey
	signer ssh.Signer // nil: locked
	origin string     // for the words: a file's path, or "agent"
	file   string     // the private key's; ""
}

// authAttempt is one handshake's authentication. Keys are offered in OpenSSH's order; a key that the server would take but that cannot
// sign (locked, declined, agent gone) is passed over, and remembered for the words.
type authAttempt struct {
	stages     *stages // nil: nobody looks
	resolved   *Resolved
	identities []identity
	next       int      // first identity not yet offered
	offered    []string // origins, in order
	unable     []string // origins of those the server would have taken but that could not sign
	locked     string   // file of the first locked key that the server would take
	hidden     []string // files of locked keys that do not say which key they are
	signErr    error
	banner     string // the server's words, at most 2 KiB
	methods    []string
	reached    bool // authentication began
	partial    bool // a key was taken, and more is asked for
	agentErr   error

	asking
}

// identities gathers the keys for a host, in the order of sshconnect2.c pubkey_prepare: given signers, certificates named in the
// configuration, keys of the agent that are also configured, the agent's other keys (unless IdentitiesOnly), then the files.
func (k *keyring) identities(r *Resolved) (ids []identity, agentErr error) {
	if r.NoPublicKey {
		return nil, nil
	}
	seen := make(map[string]bool)
	add := func(i identity) {
		blob := string(i.public.Marshal())
		if !seen[blob] && len(i.algorithms(r.KeyAlgorithms)) > 0 && rsaBits(i.public) >= r.MinRSABits {
			seen[blob] = true
			ids = append(ids, i)
		}
	}
	for _, s := range r.Signers {
		add(identity{public: s.PublicKey(), signer: s, origin: "given"})
	}
	held := make(map[string]identity) // by public key blob: who can sign
	var agentIDs []identity
	if socket := agentSocket(r.IdentityAgent); socket != "" {
		a := k.agent(socket)
		keys, err := a.list()
		agentErr = err
		for _, key := range keys {
			public, err := ssh.ParsePublicKey(key.Blob)
			if err != nil {
				continue
			}
			i := identity{public: public, signer: &agentSigner{a, public}, origin: "agent"}
			held[string(key.Blob)] = i
			agentIDs = append(agentIDs, i)
		}
	}
	var files, certificates []identity
	configured := make(map[string]bool)
	for _, path := range r.IdentityFiles {
		f := k.file(path)
		public := f.key()
		if public == nil {
			continue
		}
		blob := string(public.Marshal())
		configured[blob] = true
		i := identity{public, f.able(), path, path}
		if h, ok := held[blob]; ok {
			i.signer = h.signer
		}
		if i.signer != nil || f.locked {
			files = append(files, i)
		}
		if c, ok := k.withCertificate(i, path+"-cert.pub"); ok {
			files = append(files, c)
			configured[string(c.public.Marshal())] = true
		}
	}
	for _, path := range r.CertificateFiles {
		for _, i := range slices.Concat(files, agentIDs) {
			if c, ok := k.withCertificate(i, path); ok {
				certificates = append(certificates, c)
				configured[string(c.public.Marshal())] = true
				break
			}
		}
	}
	for _, i := range certificates {
		add(i)
	}
	for _, i := range agentIDs {
		if configured[string(i.public.Marshal())] {
			add(i)
		}
	}
	for _, i := range agentIDs {
		if !r.IdentitiesOnly {
			add(i)
		}
	}
	for _, i := range files {
		add(i)
	}
	return ids, agentErr
}

// withCertificate joins a key with the certificate in path, when that is the key's.
func (k *keyring) withCertificate(i identity, path string) (identity, bool) {
	cert, ok := k.file(path).public.(*ssh.Certificate)
	if !ok || !sameKey(cert.Key, i.public) {
		return identity{}, false
	}
	c := identity{public: cert, origin: path, file: i.file}
	if i.signer != nil {
		signer, err := ssh.NewCertSigner(cert, i.signer)
		if err != nil {
			return identity{}, false
		}
		c.signer = signer
	}
	return c, true
}

func agentSocket(configured string) string {
	switch configured {
	case "":
		return os.Getenv("SSH_AUTH_SOCK")
	case "none":
		return ""
	}
	return configured
}

// keys offers the identities that are left; nil: there are none. After a signer's error x/crypto gives its list up; the rest is then offered by the next call.
func (a *authAttempt) keys() ssh.AuthMethod {
	if a.next >= len(a.identities) {
		return nil
	}
	return ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
		var signers []ssh.Signer
		for n := a.next; n < len(a.identities); n++ {
			signers = append(signers, &offer{attempt: a, index: n})
		}
		return signers, nil
	})
}

// offer is one identity inside one handshake; it notes what became of it. It offers the algorithms that the wrapped signer has.
type offer struct {
	attempt *authAttempt
	index   int
}

func (o *offer) identity() *identity { return &o.attempt.identities[o.index] }

func (o *offer) PublicKey() ssh.PublicKey {
	if o.index >= o.attempt.next { // x/crypto asks for the key of each signer as it comes to it
		o.attempt.next = o.index + 1
		o.attempt.offered = append(o.attempt.offered, o.identity().origin)
		o.attempt.stages.offersKey(o.identity())
	}
	return o.identity().public
}

func (o *offer) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return o.SignWithAlgorithm(rand, data, "")
}

func (o *offer) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	i := o.identity()
	sig, err := i.sign(rand, data, algorithm)
	o.attempt.stages.signs(err)
	if err != nil {
		o.attempt.unable = append(o.attempt.unable, i.origin)
		o.attempt.signErr = err
		if i.signer == nil && o.attempt.locked == "" {
			o.attempt.locked = i.file
		}
	}
	return sig, err
}

// Algorithms makes the offer a MultiAlgorithmSigner; the key's own kind decides, and what the configuration allows.
func (o *offer) Algorithms() []string {
	return o.identity().algorithms(o.attempt.resolved.KeyAlgorithms)
}

// algorithms are those by which a key may sign; allowed nil: any.
func (i *identity) algorithms(allowed []string) []string {
	base, certified := certifiedType(i.public.Type())
	list := []string{base}
	switch m, ok := i.signer.(ssh.MultiAlgorithmSigner); {
	case ok:
		list = m.Algorithms()
	case base == ssh.KeyAlgoRSA:
		list = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	if allowed == nil {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(a string) bool {
		if plain, is := strings.CutSuffix(a, certSuffix); certified || is {
			a = plain + certSuffix
		}
		return !slices.Contains(allowed, a)
	})
}

// certSuffix ends the names of algorithms of certificates.
const certSuffix = "-cert-v01@openssh.com"

// rsaBits is the length of an RSA key, also inside a certificate; enough for any bound where it is no RSA key.
func rsaBits(key ssh.PublicKey) int {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	if c, ok := key.(ssh.CryptoPublicKey); ok {
		if k, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok {
			return k.N.BitLen()
		}
	}
	return math.MaxInt
}

func (i *identity) sign(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	switch s := i.signer.(type) {
	case nil:
		return nil, errors.New("locked by a passphrase")
	case ssh.AlgorithmSigner:
		return s.SignWithAlgorithm(rand, data, algorithm)
	default:
		return s.Sign(rand, data)
	}
}

// problem words a failed authentication.
func (a *authAttempt) problem(err error) *problem {
	r := a.resolved
	who := r.User + "@" + r.HostName
	p := &problem{state: NeedsAuth, again: pauseHold, err: &AuthError{User: r.User, Host: r.HostName, Offered: a.offered, Methods: a.methods, Err: err}}
	words := clean(a.banner)
	switch {
	case a.closed:
		p.cause = "no answer that " + who + " takes (" + strings.Join(a.methods, ", ") + ")"
		p.remedy = "retry to be asked again, or put your public key there (ssh-copy-id " + quote(who) + ")"
		p.err = &AskedError{User: r.User, Host: r.HostName, Kind: a.kind, Closed: true}
	case a.locked != "":
		p.cause = "key " + a.locked + " is locked by a passphrase"
		p.remedy = "unlock it for the agent: ssh-add " + quote(a.locked) + ", then retry"
	case len(a.unable) > 0:
		p.cause = fmt.Sprintf("%s would let key %s in, but it did not sign: %s", who, a.unable[0], clean(a.signErr.Error()))
		p.remedy = "confirm, touch or unlock the key (ssh-add -l shows the agent's), then retry"
	case looksRefused(words):
		p.state, p.cause = Refused, words
		p.remedy = "the node lets in only whom it says: start a job there, or ask its admin; then retry"
	case strings.Contains(err.Error(), "Too many authentication failures"):
		p.cause = fmt.Sprintf("%s: too many keys offered (%d)", who, len(a.offered))
		p.remedy = "name the right key: IdentityFile and IdentitiesOnly yes for this host in your ssh configuration"
	case len(a.identities) == 0 && len(a.hidden) > 0:
		p.cause = "key " + a.hidden[0] + " is locked by a passphrase, and no .pub file beside it says which key it is"
		p.remedy = "unlock it for the agent: ssh-add " + quote(a.hidden[0]) + ", then retry"
	case len(a.identities) == 0:
		p.cause = "no key to offer to " + who
		p.remedy = "start an agent and ssh-add a key, or set IdentityFile for this host"
		if a.agentErr != nil {
			p.remedy = "the agent does not answer (" + clean(a.agentErr.Error()) + "): start one, ssh-add a key, then retry"
		}
	case a.partial:
		p.cause = fmt.Sprintf("%s also asks for %s after the key", who, strings.Join(a.methods, ", "))
		p.remedy = a.askElsewhere()
	case !slices.Contains(a.methods, "publickey"):
		p.cause = fmt.Sprintf("%s wants %s", who, strings.Join(a.methods, " or "))
		p.remedy = "put your public key there (ssh-copy-id " + quote(who) + "), or " + a.askElsewhere()
	default:
		p.cause = fmt.Sprintf("permission denied (%s) for %s; keys offered: %s", strings.Join(a.methods, ","), who, some(a.offered))
		p.remedy = "check the user name (" + r.User + ") and that one of these keys is in its authorized_keys: ssh-copy-id " + quote(who)
	}
	p.notes = words
	return p
}

// AuthError says that a host took none of our keys.
type AuthError struct {
	User, Host string
	Offered    []string // key files, or "agent"
	Methods    []string // that the host takes
	Err        error
}

func (e *AuthError) Error() string {
	return "authenticate as " + e.User + "@" + e.Host + ": " + e.Err.Error()
}

func (e *AuthError) Unwrap() error { return e.Err }

// looksRefused knows the words of account checks that let nobody in without a job, or nobody at all (pam_slurm, pam_slurm_adopt,
// pam_nologin). It must not take the usual legal banner for one.
func looksRefused(words string) bool {
	w := lower(words)
	for _, s := range []string{"pam_slurm", "no active job", "access denied by", "system is going down", "nologin"} {
		if strings.Contains(w, s) {
			return true
		}
	}
	return false
}

func some(list []string) string {
	if len(list) > 3 {
		return strings.Join(list[:3], ", ") + fmt.Sprintf(" and %d more", len(list)-3)
	}
	return strings.Join(list, ", ")
}
