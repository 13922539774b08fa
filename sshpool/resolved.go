package sshpool

import (
	"net"
	"strconv"

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
	Strict            bool     // StrictHostKeyChecking yes: ssh itself would not even ask about an unknown key
	HostKeyAlgorithms []string // as configured, in order; nil: ours

	IdentityFiles    []string // private keys, or public ones whose private half an agent holds
	CertificateFiles []string
	IdentitiesOnly   bool
	IdentityAgent    string // socket path, "none", or empty: SSH_AUTH_SOCK
	NoPublicKey      bool   // PubkeyAuthentication no

	ProxyJump     string // hops, first to last: "user@a:22,b"; empty: none
	ProxyCommand  string // with tokens expanded; empty: none
	BindAddress   string
	AddressFamily string // "inet", "inet6", else any

	Unsupported []string // options in force that only OpenSSH itself can honour, for the remedy

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
