package testbed

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// plan is what boot.sh reads of a node's settings: variables, then calls of its functions in order.
func (n *Node) plan(home string, user account) string {
	var b strings.Builder
	call := func(words ...string) {
		for i, w := range words {
			if i > 0 {
				w = quote(w)
			}
			b.WriteString(w + " ")
		}
		b.WriteString("\n")
	}
	for _, v := range []struct{ name, value string }{
		{"NODE_NAME", n.Name},
		{"NODE_ADDR", n.Addr},
		{"NODE_GATEWAY", n.network.addr(-9)},
		{"NODE_GATEWAY_MAC", n.network.mac(0)},
		{"NODE_SSHD", sshdPath},
	} {
		fmt.Fprintf(&b, "export %s=%s\n", v.name, quote(v.value))
	}
	switch {
	case n.settings.freezable:
		call("show", home, "/run/bed/home")
		fmt.Fprintf(&b, "export NODE_FUSE_HOME=%s\n", quote(user.home))
	default:
		call("show", home, user.home)
	}
	for _, m := range n.settings.mounts {
		path, kind, from := m.path, "1777", ""
		if path == Home || path == user.home {
			path, kind, from = user.home, "755", home
		}
		call("fresh", path, m.options, kind, fmt.Sprint(user.id), from, fmt.Sprint(m.fill))
	}
	call("show", filepath.Dir(n.profilePath()), playedDir)
	for _, x := range n.settings.binds {
		src, err := filepath.Abs(x.src)
		if err != nil {
			src = x.src
		}
		call("show", src, x.dst)
	}
	if n.settings.sysfs != "" {
		call("lay_sys", n.settings.sysfs)
	}
	return b.String()
}

// quote makes one word of a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// sortedEnv is an environment as KEY=VALUE, in order.
func sortedEnv(env map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out
}
