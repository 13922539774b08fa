package sshpool

import (
	"net"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"
)

// Resolved is all that is needed to reach a host: what `ssh -G` answers, with every token expanded. It is shared and never changed.
type Resolved struct {
	Alias    string // what was asked for: the name in the configuration
	HostName string // what to dial
	Port     int
	User     string

	HostKeyAlias      string   // looked up in known_hosts in place of the host name; empty: the host name
	UserKnownHosts    []string // files, in order
	GlobalKnownHosts  []string
	Trust             TrustPolicy
	HashKnownHosts    bool     // a key that is taken is written under a hashed name
	LocalTrusted      bool     // NoHostAuthenticationForLocalhost: the loopback's key is not looked at
	HostKeyAlgorithms []string // as configured, in order; nil: ours
	CASignatures      []string // algorithms by which an authority may have signed a host certificate; nil: any

	IdentityFiles    []string // private keys, or public ones whose private half an agent holds
	CertificateFiles []string
	IdentitiesOnly   bool
	IdentityAgent    string   // socket path, "none", or empty: SSH_AUTH_SOCK
	NoPublicKey      bool     // PubkeyAuthentication no
	KeyAlgorithms    []string // by which our keys may sign (PubkeyAcceptedAlgorithms); nil: any
	MinRSABits       int      // RequiredRSASize; 0: any

	Ways    []string // of authentication that may be used, in order: publickey, keyboard-interactive, password; nil: all three
	NoAsk   bool     // BatchMode: nobody is to be asked
	Prompts int      // NumberOfPasswordPrompts; 0: 3

	KeyExchanges, Ciphers, MACs []string // as configured, in order; nil: ours

	ProxyJump     string // hops, first to last: "user@a:22,b"; empty: none
	ProxyCommand  string // with tokens expanded; empty: none
	BindAddress   string
	BindInterface string
	AddressFamily string // "inet", "inet6", else any

	ConnectTimeout time.Duration // 0: ours
	AliveEvery     time.Duration // ServerAliveInterval; 0: ours
	AliveCount     int           // ServerAliveCountMax, of AliveEvery; 0: ours
	ForwardAgent   bool          // asked for, and not done
	Env            []string      // NAME=VALUE, sent with the user's own commands and shells

	ControlPath string   // the socket of an OpenSSH master, if one runs; ""
	NeedsSSH    []string // options in force that only ssh itself honours: it is the way to this host
	MaySSH      []string // ways to log in that only ssh itself has: tried where none of ours lets in

	// Given by callers that hold keys in memory (simulated fleets): trusted host keys beside the known_hosts files, and signers
	// before all identity files.
	HostKeys []ssh.PublicKey
	Signers  []ssh.Signer
}

// addr is host:port as net.Dial takes it.
func (r *Resolved) addr() string {
	port := r.Port
	if port == 0 {
		port = 22
	}
	return net.JoinHostPort(r.HostName, strconv.Itoa(port))
}

// knownNames are the names to look up in known_hosts: the first is what OpenSSH looks up, a second one, the bare host, is
// asked only when the first says nothing (sshconnect.c, "checking without port identifier").
func (r *Resolved) knownNames() (name, bare string) {
	if r.HostKeyAlias != "" {
		return lower(r.HostKeyAlias), ""
	}
	host := lower(r.HostName)
	if r.Port == 22 || r.Port == 0 {
		return host, ""
	}
	return "[" + host + "]:" + strconv.Itoa(r.Port), host
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
