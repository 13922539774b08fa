package sshpool

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// parseG reads the answer of `ssh -G`: lines of a lower-case option and its value. Tokens and ~ are expanded here, because -G
// leaves them in identityfile, certificatefile, identityagent, proxycommand and the known_hosts files.
func parseG(out []byte, alias string, env environment) (*Resolved, error) {
	r := &Resolved{Alias: alias}
	var identities, certificates, users, globals []string
	var proxy, agent string
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		switch key {
		case "hostname":
			r.HostName = value
		case "port":
			n, err := strconv.Atoi(value)
			if err != nil {
				return nil, fmt.Errorf("read ssh -G for %s: port %q", alias, value)
			}
			r.Port = n
		case "user":
			r.User = value
		case "hostkeyalias":
			r.HostKeyAlias = value
		case "userknownhostsfile":
			users = strings.Fields(value)
		case "globalknownhostsfile":
			globals = strings.Fields(value)
		case "stricthostkeychecking":
			r.Strict = value == "true" || value == "yes"
		case "hostkeyalgorithms":
			r.HostKeyAlgorithms = strings.Split(value, ",")
		case "identityfile":
			identities = append(identities, value)
		case "certificatefile":
			certificates = append(certificates, value)
		case "identitiesonly":
			r.IdentitiesOnly = value == "yes"
		case "identityagent":
			agent = value
		case "pubkeyauthentication":
			r.NoPublicKey = value == "no" || value == "false"
		case "proxyjump":
			r.ProxyJump = noneIsEmpty(value)
		case "proxycommand":
			proxy = noneIsEmpty(value)
		case "bindaddress":
			r.BindAddress = value
		case "addressfamily":
			r.AddressFamily = value
		case "pkcs11provider":
			if noneIsEmpty(value) != "" {
				r.Unsupported = append(r.Unsupported, "PKCS11Provider")
			}
		case "knownhostscommand":
			if noneIsEmpty(value) != "" {
				r.Unsupported = append(r.Unsupported, "KnownHostsCommand")
			}
		case "hostbasedauthentication":
			if value == "yes" {
				r.Unsupported = append(r.Unsupported, "HostbasedAuthentication")
			}
		case "proxyusefdpass":
			if value == "yes" {
				r.Unsupported = append(r.Unsupported, "ProxyUseFdpass")
			}
		}
	}
	if r.HostName == "" || r.User == "" {
		return nil, fmt.Errorf("read ssh -G for %s: no host name or user in its answer", alias)
	}
	t := tokens{r: r, env: env}
	r.IdentityFiles = t.paths(identities)
	r.CertificateFiles = t.paths(certificates)
	r.UserKnownHosts = t.paths(users)
	r.GlobalKnownHosts = t.paths(globals)
	r.IdentityAgent = t.agent(agent)
	r.ProxyCommand = t.expand(proxy)
	return r, nil
}

func noneIsEmpty(s string) string {
	if strings.EqualFold(s, "none") {
		return ""
	}
	return s
}

// environment is what token expansion needs to know of this machine.
type environment struct {
	Home      string // ~ and %d
	LocalUser string // %u
	UID       int    // %i
	HostName  string // %l
	Getenv    func(string) string
}

// defaultIdentities are OpenSSH's, in its order (readconf.c), those x/crypto can read.
func defaultIdentities(home string) []string {
	var files []string
	for _, name := range []string{"id_rsa", "id_ecdsa", "id_ed25519"} {
		files = append(files, filepath.Join(home, ".ssh", name))
	}
	return files
}

// withoutProgram is how a host is reached where no ssh program is installed: OpenSSH's defaults, no configuration.
func withoutProgram(s spec, named string, env environment) (*Resolved, error) {
	config := named
	if config == "" {
		config = filepath.Join(env.Home, ".ssh", "config")
	}
	if _, err := os.Stat(config); err == nil || named != "" {
		return nil, &problem{state: Lost, again: pauseHold, cause: "no ssh program to read " + config,
			remedy: "install the OpenSSH client (ssh), which foretop asks what the configuration means"}
	}
	r := &Resolved{
		Alias: s.Host, HostName: s.Host, Port: 22, User: env.LocalUser,
		IdentityFiles:    defaultIdentities(env.Home),
		UserKnownHosts:   []string{filepath.Join(env.Home, ".ssh", "known_hosts"), filepath.Join(env.Home, ".ssh", "known_hosts2")},
		GlobalKnownHosts: []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"},
	}
	if s.User != "" {
		r.User = s.User
	}
	if s.Port != 0 {
		r.Port = s.Port
	}
	return r, nil
}
