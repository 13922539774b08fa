package sshpool

import (
	"crypto/sha1"
	"encoding/hex"
	"path/filepath"
	"strconv"
	"strings"
)

// tokens expands what ssh_config(5) allows in file names and ProxyCommand: %-tokens, ${VARIABLES} and a leading ~.
type tokens struct {
	r   *Resolved
	env environment
}

// paths expands file names; "none" and empty names are dropped.
func (t tokens) paths(names []string) []string {
	var out []string
	for _, n := range names {
		if n != "" && !strings.EqualFold(n, "none") {
			out = append(out, t.path(n))
		}
	}
	return out
}

func (t tokens) path(name string) string {
	name = strings.Trim(name, `"`)
	if name == "~" || strings.HasPrefix(name, "~/") {
		name = t.env.Home + name[1:]
	}
	name = t.expand(t.variables(name))
	if !filepath.IsAbs(name) && t.env.Home != "" && strings.HasPrefix(name, ".ssh/") {
		name = filepath.Join(t.env.Home, name)
	}
	return name
}

// agent understands IdentityAgent's special words: SSH_AUTH_SOCK, none, $NAME.
func (t tokens) agent(value string) string {
	switch {
	case value == "" || value == "SSH_AUTH_SOCK":
		return ""
	case strings.EqualFold(value, "none"):
		return "none"
	case strings.HasPrefix(value, "$") && !strings.HasPrefix(value, "${"):
		if socket := t.env.Getenv(value[1:]); socket != "" {
			return socket
		}
		return "none"
	}
	return t.path(value)
}

func (t tokens) variables(s string) string {
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(s, "${")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		name, rest, ok := strings.Cut(after, "}")
		if !ok {
			out.WriteString("${" + after)
			return out.String()
		}
		out.WriteString(t.env.Getenv(name))
		s = rest
	}
}

// expand replaces %-tokens; an unknown one is left as it is.
func (t tokens) expand(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		i++
		if v, ok := t.token(s[i]); ok {
			out.WriteString(v)
		} else {
			out.WriteString(s[i-1 : i+1])
		}
	}
	return out.String()
}

func (t tokens) token(c byte) (string, bool) {
	switch c {
	case '%':
		return "%", true
	case 'h':
		return t.r.HostName, true
	case 'n':
		return t.r.Alias, true
	case 'p':
		return strconv.Itoa(t.r.Port), true
	case 'r':
		return t.r.User, true
	case 'u':
		return t.env.LocalUser, true
	case 'd':
		return t.env.Home, true
	case 'i':
		return strconv.Itoa(t.env.UID), true
	case 'l':
		return t.env.HostName, true
	case 'L':
		short, _, _ := strings.Cut(t.env.HostName, ".")
		return short, true
	case 'j':
		return t.r.ProxyJump, true
	case 'k':
		if t.r.HostKeyAlias != "" {
			return t.r.HostKeyAlias, true
		}
		return t.r.Alias, true
	case 'C': // hash of %l%h%p%r%j, says ssh_config(5); without a jump host older versions give the same
		sum := sha1.Sum([]byte(t.env.HostName + t.r.HostName + strconv.Itoa(t.r.Port) + t.r.User + t.r.ProxyJump))
		return hex.EncodeToString(sum[:]), true
	}
	return "", false
}
