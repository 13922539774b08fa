package sshpool

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// answer is what `ssh -G` printed: the values of each lower-case option, in order.
type answer map[string][]string

func readG(out []byte) answer {
	a := make(answer)
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		a[key] = append(a[key], value)
	}
	return a
}

// first gives an option's only value; "" where it has none, or "none".
func (a answer) first(key string) string {
	if len(a[key]) == 0 || strings.EqualFold(a[key][0], "none") {
		return ""
	}
	return a[key][0]
}

// yes says that an option is switched on: versions differ in whether they print yes or true.
func (a answer) yes(key string) bool { return a.first(key) == "yes" || a.first(key) == "true" }

func (a answer) no(key string) bool { return a.first(key) == "no" || a.first(key) == "false" }

// number gives a count or seconds; 0 where there is none.
func (a answer) number(key string) int {
	n, err := strconv.Atoi(a.first(key))
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// parseG reads the answer of `ssh -G`. Tokens and ~ are expanded here, because -G leaves them in identityfile, certificatefile, identityagent, proxycommand and the
// known_hosts files. base is what the same ssh answers without any configuration: what equals it was not asked for; nil: all was.
func parseG(out []byte, alias string, env environment, base answer) (*Resolved, error) {
	a := readG(out)
	r := &Resolved{Alias: alias, HostName: a.first("hostname"), User: a.first("user")}
	if p := a.first("port"); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil {
			return nil, fmt.Errorf("read ssh -G for %s: port %q", alias, p)
		}
		r.Port = n
	}
	if r.HostName == "" || r.User == "" {
		return nil, fmt.Errorf("read ssh -G for %s: no host name or user in its answer", alias)
	}
	t := tokens{r: r, env: env}
	r.HostKeyAlias = a.first("hostkeyalias")
	r.ProxyJump = a.first("proxyjump")
	r.BindAddress, r.BindInterface = a.first("bindaddress"), a.first("bindinterface")
	r.AddressFamily = a.first("addressfamily")
	r.IdentitiesOnly = a.yes("identitiesonly")
	r.NoPublicKey = a.no("pubkeyauthentication")
	r.Trust = trustPolicy(a.first("stricthostkeychecking"))
	r.HashKnownHosts = a.yes("hashknownhosts")
	r.LocalTrusted = a.yes("nohostauthenticationforlocalhost")
	r.ConnectTimeout = time.Duration(a.number("connecttimeout")) * time.Second
	if every := a.number("serveraliveinterval"); every > 0 {
		r.AliveEvery, r.AliveCount = time.Duration(every)*time.Second, a.number("serveralivecountmax")
	}
	r.ForwardAgent = len(a["forwardagent"]) > 0 && !a.no("forwardagent") // yes, or an agent's socket
	r.MinRSABits = a.number("requiredrsasize")
	r.ControlPath = a.first("controlpath")
	r.Env = environ(env, a["sendenv"], a["setenv"])
	r.IdentityFiles = t.paths(a["identityfile"])
	r.CertificateFiles = t.paths(a["certificatefile"])
	r.UserKnownHosts = t.paths(fileList(a.first("userknownhostsfile")))
	r.GlobalKnownHosts = t.paths(fileList(a.first("globalknownhostsfile")))
	if len(a["identityagent"]) > 0 {
		r.IdentityAgent = t.agent(a["identityagent"][0])
	}
	r.ProxyCommand = t.expand(a.first("proxycommand"))
	r.Ways, r.NoAsk, r.Prompts = a.ways(), a.yes("batchmode"), a.number("numberofpasswordprompts")
	a.algorithms(r, base)
	a.transports(r, base)
	return r, nil
}

// fileList splits a list of files. ssh prints names with spaces as they are: a piece that cannot begin a name goes on with the one before it.
func fileList(s string) []string {
	var out []string
	for _, piece := range strings.Split(s, " ") {
		if len(out) > 0 && !strings.ContainsAny(piece[:min(1, len(piece))], `/~$%"`) && !strings.EqualFold(piece, "none") {
			out[len(out)-1] += " " + piece
			continue
		}
		out = append(out, piece)
	}
	return out
}

// environment is what token expansion needs to know of this machine.
type environment struct {
	Home      string // ~ and %d
	LocalUser string // %u
	UID       int    // %i
	HostName  string // %l
	Getenv    func(string) string
	Environ   func() []string // NAME=VALUE; nil: none is sent
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
