package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// doctorOn runs `foretop doctor` on a bed.
func doctorOn(t *testing.T, bed *testbed.Bed, args ...string) (out, errs string, code int) {
	t.Helper()
	cmd := exec.Command(foretopProgram(t), append([]string{"doctor", "-F", bed.SSHConfig}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "LC_ALL=C.UTF-8")
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// The whole program on real nodes in each state: what it says of them, that it writes nothing, and what it ends with.
func TestBedDoctor(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 12,
		testbed.On("node003", testbed.UnknownHostKey()), testbed.On("node004", testbed.ChangedHostKey()), testbed.On("node005", testbed.RefuseKey()),
		testbed.On("node006", testbed.Shell("/usr/sbin/nologin")), testbed.On("node007", testbed.HomeFile(".bashrc", "echo welcome aboard\n")),
		testbed.On("node008", nowhere(noexec)...), testbed.On("node009", testbed.HomeFile(".bashrc", "sleep 1000\n")))
	for _, name := range []string{"node010", "node011"} {
		if _, err := bed.Node(name).Signal("sshd", syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	must(t, bed.Node("node012").Freeze(true))
	known, err := os.ReadFile(knownHostsOf(t, bed))
	must(t, err)

	out, errs, code := doctorOn(t, bed, "node[001-012]")
	t.Logf("%s%s", out, errs)
	if code != codeNotLive || errs != "" {
		t.Errorf("exit %d, %q", code, errs)
	}
	for _, want := range []string{
		`(?m)^[●▲] node\[001-002,007\] \(3\): (all well|reached)`,
		`(?m)^✖ node003: needs-trust, host key: host key of \S+ is unknown: ED25519 SHA256:`,
		`(?m)^✖ node004: needs-trust, host key: HOST KEY OF \S+ HAS CHANGED: .*known_hosts:\d+`,
		`(?m)^✖ node005: needs-auth, login: permission denied`,
		`(?m)^✖ node006: refused, shell: the login shell ran no collector \(exit 1\): This account is currently not available`,
		`(?m)^✖ node008: refused, folder: no folder may execute programs`,
		`(?m)^✖ node009: lost, shell: logged in, but no collector started in 30s`,
		`(?m)^✖ node\[010-011\] \(2\): lost, TCP: connection refused by `,
		`(?m)^✖ node012: lost, server: \S+ accepts connections but says nothing`,
		`(?m)^node010\n  ● resolve `, // one of the two is walked through
		`(?m)^  ✖ login .*\n( {33}.*\n)*? {33}ED25519 SHA256:\S+ \(.*\): not taken$`,
		`(?m)^  ✖ folder .*\n( {33}.*\n)*? {33}/dev/shm/foretop-\d+: it may not execute programs$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(out, "\nnode001\n") || strings.Contains(out, "\nnode011\n") {
		t.Error("a healthy node, or the second of a kind, is walked through")
	}

	// Where its own time is over first, the step at which it stands is named.
	out, _, code = doctorOn(t, bed, "--timeout", "8s", "node012")
	if want := regexp.MustCompile(`(?m)^✖ node012: connecting, stalled at server for .*\n    → its sshd hangs .*\n\nnode012\n(  .*\n)*  ◌ server `); code != codeNotLive || !want.MatchString(out) {
		t.Errorf("exit %d:\n%s", code, out)
	}

	out, errs, code = doctorOn(t, bed, "node007")
	if code != codeOK || errs != "" {
		t.Errorf("exit %d, %q", code, errs)
	}
	steps := regexp.MustCompile(`(?m)^  . (resolve|transport|TCP|server|key exchange|host key|login|shell|folder|upload|collector|stream|source \w+) `).FindAllStringSubmatch(out, -1)
	var order []string
	for _, s := range steps {
		order = append(order, s[1])
	}
	if got := strings.Join(order, ","); !strings.HasPrefix(got, "resolve,transport,TCP,server,key exchange,host key,login,shell,folder,") || !strings.Contains(got, "collector,stream,source cpu") {
		t.Errorf("steps %s:\n%s", got, out)
	}
	if !strings.Contains(out, "print 15 bytes, which begin: welcome aboard") {
		t.Errorf("the shell's noise is not told:\n%s", out)
	}

	out, _, code = doctorOn(t, bed, "--json", "node001", "node010")
	var got doctorJSON
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != codeNotLive || len(got.Nodes) != 2 || !got.Nodes[0].Reached || got.Nodes[1].Reached || got.Nodes[0].Collector == nil || len(got.Nodes[0].Sources) < 5 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	for _, s := range got.Nodes[0].Sources {
		if s.State == "unknown" {
			t.Errorf("%s gave no answer", s.Source)
		}
	}

	after, err := os.ReadFile(knownHostsOf(t, bed))
	must(t, err)
	if !bytes.Equal(known, after) {
		t.Error("known_hosts was written")
	}
	for _, name := range []string{"node001", "node007"} { // no collector stays
		eventually(t, 30*time.Second, func() string {
			if ps := processes(t, bed.Node(name), programs); len(ps) > 0 {
				return name + " still runs " + list(ps)
			}
			return ""
		})
	}
}

// knownHostsOf is the file that the bed's configuration names.
func knownHostsOf(t *testing.T, bed *testbed.Bed) string {
	t.Helper()
	b, err := os.ReadFile(bed.SSHConfig)
	must(t, err)
	m := regexp.MustCompile(`(?m)^\s*UserKnownHostsFile\s+"?([^"\n]+?)"?\s*$`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("no UserKnownHostsFile in %s", b)
	}
	return string(m[1])
}
