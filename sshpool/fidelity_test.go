//go:build unix

package sshpool

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	fidelityBase  = "HostName 127.0.0.1\nPort {port}\nUser ftsh\nIdentityFile {root}/id\nIdentitiesOnly yes\nIdentityAgent none\n"
	fidelityKnown = "[127.0.0.1]:{port} {key}\n"
)

// fidelityCase is one configuration, and what it comes to. Words in braces are the lab's.
type fidelityCase struct {
	name, config string // of Host h, before fidelityBase
	known        string // of the user's file; "" the plain line
	end          string // "" connected
	via          string // how, where not by our own client
	more         string // of the configuration, after fidelityBase
}

// What each configuration comes to, with OpenSSH's own client as the judge: whether it connects, as whom, with which key, what the host key is thought of, what reaches the node.
func TestAsOpenSSH(t *testing.T) {
	l := newLab(t)
	for _, c := range slices.Concat(identityCases(), matchCases(), hostKeyCases(), algorithmCases(), wayCases()) {
		t.Run(c.name, func(t *testing.T) {
			l.t = t
			if c.known == "" {
				c.known = fidelityKnown
			}
			if c.end == "" {
				c.end = endUp
			}
			reset := func() {
				l.write("known", l.words.Replace(c.known), 0o600)
			}
			const gates = "Host gate gate2\n" + fidelityBase + "UserKnownHostsFile {dir}/gates\nGlobalKnownHostsFile none\n" +
				"Host gatekey\nIdentityFile {dir}/id-rsa\n" + fidelityBase + "UserKnownHostsFile {dir}/gates\nGlobalKnownHostsFile none\n" +
				"Host stranger\n" + fidelityBase + "UserKnownHostsFile /dev/null\nGlobalKnownHostsFile none\n" +
				"Host closed\nUser nobodyhere\n" + fidelityBase + "UserKnownHostsFile {dir}/gates\nGlobalKnownHostsFile none\n"
			l.write("config", l.words.Replace(gates+"Host h\n"+c.config+fidelityBase+"UserKnownHostsFile {dir}/known\nGlobalKnownHostsFile none\n"+c.more), 0o600)
			l.write("included", "SetEnv FT_X=included\n", 0o600)
			l.write("gates", l.words.Replace(fidelityKnown), 0o600)
			l.write("global", l.words.Replace(fidelityKnown), 0o600)
			l.write("revoked", l.words.Replace("{key}\n{hk2}\n"), 0o600)
			l.write("revokedno", l.words.Replace("{other}\n"), 0o600)
			l.copyKey("h-ftsh-"+fmt.Sprint(l.d.port), "with space")
			t.Setenv("FT_S1", "sent")
			const command = `printf '%s/%s/%s' "$FT_X" "$FT_S1" "$USER"`
			l.identities()
			reset()
			want := l.bySSH(command)
			if want.end != c.end {
				t.Errorf("the case is not what it means to be: ssh is %s: %s", want.end, want.detail)
			}
			written := l.text("known")
			reset()
			got, via := l.byPool(command)
			if got.end != want.end || got.out != want.out || got.identity != want.identity {
				t.Errorf("ours  %+v\nssh's %+v", got, want)
			}
			if (via == "") != (c.via == "") || !strings.Contains(via, c.via) {
				t.Errorf("by %q, want %q", via, c.via)
			}
			if ours := l.text("known"); sortedLines(ours) != sortedLines(written) {
				t.Errorf("known_hosts: ours\n%s\nssh's\n%s", ours, written)
			}
		})
	}
}

// sortedLines leaves out blank lines and, of several keys that ssh learns from a host it is already connected to (UpdateHostKeys), all but that there are some.
func sortedLines(s string) string {
	var list []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, strings.Join(strings.Fields(line)[:min(2, len(strings.Fields(line)))], " "))
		}
	}
	return strings.Join(list, "\n")
}

// copyKey gives the authorized key other names.
func (l *lab) copyKey(names ...string) {
	b, err := os.ReadFile(l.d.root + "/id")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, name := range names {
		l.write(name, string(b), 0o600)
	}
}
