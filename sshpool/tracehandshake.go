package sshpool

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// stages are the steps of one handshake: each begins where the one before it ends. nil: nobody looks.
type stages struct {
	t *tracing

	mu   sync.Mutex
	now  *span
	name string // of now
	// of key exchange and login, whose words come later
	exchange *span
	told     bool
	offers   []offered
}

// offered is one of our keys, and what became of it.
type offered struct {
	key  string
	fate string // "": the server did not take it
}

// stages begins the first: waiting for the server's version line.
func (t *tracing) stages() *stages {
	if t == nil {
		return nil
	}
	st := &stages{t: t}
	st.next("server")
	return st
}

// next ends the stage that goes on, well, and begins another; mu is held, or nobody else knows the stages yet.
func (st *stages) next(name string) {
	st.now.end(nil)
	st.now, st.name = st.t.step(name), name
}

// version is called with the server's version line.
func (st *stages) version(line string) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.name == "server" {
		st.now.say(line)
		st.next("key exchange")
		st.exchange = st.now
	}
}

// hostKey is called with the verdict on the key that the server showed; bad nil: it is trusted.
func (st *stages) hostKey(k *knowledge, r *Resolved, key ssh.PublicKey, bad *HostKeyError, taken bool) {
	if st == nil {
		return
	}
	words := []string{keyKind(key.Type()) + " " + ssh.FingerprintSHA256(key)}
	if bad == nil {
		words = append(words, k.whyTrusted(r, key, taken))
	} else {
		words = append(words, "looked up as "+strings.Join(k.names, ", "), "in "+filesLooked(r))
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.name == "host key" || st.name == "login" { // keys are exchanged anew from time to time
		return
	}
	st.next("host key")
	st.now.say(words...)
	if bad == nil {
		st.next("login")
	}
}

// meeting gives a callback of the login before which the server is met; where nobody looks, the callback itself.
func (st *stages) meeting(login authCallback) authCallback {
	if st == nil {
		return login
	}
	return func(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
		st.met(c.Algorithms)
		return login(c)
	}
}

type authCallback = func(*ssh.ClientAuthContext) (ssh.AuthMethod, error)

// met is called with what was agreed upon once keys are exchanged.
func (st *stages) met(a ssh.NegotiatedAlgorithms) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.told {
		return
	}
	st.told = true
	cipher := a.Write.Cipher
	if a.Write.MAC != "" {
		cipher += " with " + a.Write.MAC
	}
	if a.Read != a.Write {
		cipher += ", " + strings.TrimSuffix(a.Read.Cipher+" with "+a.Read.MAC, " with ") + " from it"
	}
	st.exchange.say(a.KeyExchange+", host key by "+a.HostKey, cipher)
}

// offersKey is called when a key's turn comes, and signs when the server takes it.
func (st *stages) offersKey(i *identity) {
	if st == nil {
		return
	}
	key := keyKind(i.public.Type()) + " " + ssh.FingerprintSHA256(plainKey(i.public))
	if _, certified := certifiedType(i.public.Type()); certified {
		key = "certificate of " + key
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.offers = append(st.offers, offered{key: key + " (" + i.origin + ")"})
}

func (st *stages) signs(err error) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.offers) == 0 {
		return
	}
	last := &st.offers[len(st.offers)-1]
	if last.fate = "taken"; err != nil {
		last.fate = "would be taken, but it did not sign: " + err.Error()
	}
}

// end says what became of each key, and ends the stage that goes on.
func (st *stages) end(auth *authAttempt, err error) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.name == "login" {
		st.now.say("as " + auth.resolved.User)
		for i, o := range st.offers {
			switch {
			case o.fate == "" && err != nil && i == len(st.offers)-1 && len(auth.methods) == 0:
				o.fate = "no answer to it"
			case o.fate == "":
				o.fate = "not taken"
			case o.fate == "taken" && i < len(st.offers)-1:
				o.fate = "taken, but it was not enough"
			case o.fate == "taken" && err != nil:
				o.fate = "taken, but the login failed"
			}
			st.now.say(o.key + ": " + o.fate)
		}
		if left := len(auth.identities) - auth.next; err != nil && left > 0 {
			st.now.say(strconv.Itoa(left) + " more of your keys were not offered")
		}
		if len(st.offers) == 0 && err == nil {
			st.now.say("it asked for no key")
		}
		if err != nil && len(auth.methods) > 0 {
			st.now.say("the server takes " + strings.Join(auth.methods, ", "))
		}
		if auth.agentErr != nil {
			st.now.say("the agent does not answer: " + auth.agentErr.Error())
		}
		if words := firstLine(auth.banner); words != "" {
			st.now.say("it says: " + words)
		}
	}
	st.now.end(err)
}

func plainKey(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

func filesLooked(r *Resolved) string {
	files := slices.Concat(r.UserKnownHosts, r.GlobalKnownHosts)
	if len(files) == 0 {
		return "no file"
	}
	return strings.Join(files, ", ")
}

// whyTrusted names the line by which a key that was judged good is trusted; taken says that none did, and the configuration takes new keys.
func (k *knowledge) whyTrusted(r *Resolved, key ssh.PublicKey, taken bool) string {
	if taken {
		return "no file knows it: taken, as StrictHostKeyChecking says"
	}
	k.complete()
	at := func(e KnownKey) string {
		if e.Line == 0 {
			return e.File
		}
		return fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		for _, e := range k.all() {
			if e.marker == 'c' && sameKey(e.Key, cert.SignatureKey) {
				return "signed by the authority at " + at(e)
			}
		}
	}
	for _, e := range k.trusted() {
		if sameKey(e.Key, plainKey(key)) {
			return "known by " + at(e)
		}
	}
	return "not looked at: NoHostAuthenticationForLocalhost"
}
