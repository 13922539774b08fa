package sshpool

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// spec is a target's name taken apart: [user@]host[:port], where host may be an alias of the ssh configuration.
type spec struct {
	User, Host string
	Port       int // 0: not given
}

// parseName takes apart "user@host:port", "host", "[::1]:22", "::1". It refuses what could be taken for an option or be seen
// by a shell: ssh puts host names into ProxyCommand and Match exec lines.
func parseName(name string) (spec, error) {
	var s spec
	if name == "" || len(name) > 512 {
		return s, fmt.Errorf("read node name: empty or longer than 512 bytes")
	}
	if i := strings.IndexFunc(name, badInName); i >= 0 {
		return s, fmt.Errorf("read node name %q: unfit character %q", name, name[i:i+1])
	}
	rest := name
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		s.User, rest = rest[:i], rest[i+1:]
		if s.User == "" || strings.HasPrefix(s.User, "-") {
			return s, fmt.Errorf("read node name %q: unfit user name", name)
		}
	}
	switch {
	case strings.HasPrefix(rest, "["):
		host, port, err := net.SplitHostPort(rest)
		if inner, ok := strings.CutSuffix(rest[1:], "]"); err != nil && ok {
			host, port = inner, ""
		}
		if s.Host = host; port != "" {
			return s.withPort(name, port)
		}
	case strings.Count(rest, ":") == 1:
		host, port, _ := strings.Cut(rest, ":")
		s.Host = host
		return s.withPort(name, port)
	default:
		s.Host = rest // a name, or a bare IPv6 address
	}
	return s, s.checkHost(name)
}

func (s spec) withPort(name, port string) (spec, error) {
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return s, fmt.Errorf("read node name %q: port %q is not a number from 1 to 65535", name, port)
	}
	s.Port = n
	return s, s.checkHost(name)
}

func (s spec) checkHost(name string) error {
	if s.Host == "" || strings.HasPrefix(s.Host, "-") || strings.ContainsAny(s.Host, "[]") {
		return fmt.Errorf("read node name %q: unfit host name", name)
	}
	return nil
}

// badInName holds what OpenSSH refuses in host names (valid_hostname in ssh.c), and all space, control and non-ASCII characters.
func badInName(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("'`\"$\\;&<>|(){}*?!#", r)
}
