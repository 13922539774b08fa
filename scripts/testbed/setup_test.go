package testbed

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// fakeApt stands where apt-get is on a node: it notes what it is asked and "installs" tmux.
const fakeApt = `#!/bin/sh
echo "$DEBIAN_FRONTEND $(test -x /usr/sbin/policy-rc.d && echo held) $*" >>/run/asked
[ ! -e /run/broken ] || { echo "no such mirror"; exit 100; }
case " $* " in *" install "*) cp /bin/true /usr/bin/tmux ;; esac
`

// setup runs scripts/setup.sh on a node, which has a file system of its own to install to.
func setup(t *testing.T, n *Node, env ...string) (output string, status int) {
	t.Helper()
	cmd, err := n.Command(t.Context(), append(append([]string{"env"}, env...), "sh", "/run/scripts/setup.sh")...)
	must(t, err)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestSetupInstallsWhatIsMissing(t *testing.T) {
	bed := Nodes(t, 1, Bind("..", "/run/scripts"))
	n := bed.Nodes[0]
	if out, status := setup(t, n); status != 0 || out != "" {
		require(t, []string{out})
	}
	execOn(t, n, "sh", "-c", "cat >/usr/local/bin/apt-get <<'END'\n"+fakeApt+"END\nchmod 755 /usr/local/bin/apt-get")
	asked := func() string { return execOn(t, n, "sh", "-c", "cat /run/asked 2>/dev/null; rm -f /run/asked") }

	if out, status := setup(t, n); status != 0 || out != "" || asked() != "" {
		t.Errorf("nothing is missing, but: %d %s", status, out)
	}
	execOn(t, n, "rm", "/usr/bin/tmux")
	out, status := setup(t, n, "CI=true")
	calls := strings.Split(asked(), "\n")
	if status != 0 || out != "setup: installing tmux\n" || len(calls) != 2 ||
		!strings.HasSuffix(calls[0], " update") || !strings.HasSuffix(calls[1], " -y --no-install-recommends install tmux") {
		t.Errorf("status %d, output %q, calls %q", status, out, calls)
	}
	if !strings.HasPrefix(calls[len(calls)-1], "noninteractive held ") {
		t.Errorf("packages may ask, or start their servers: %q", calls)
	}
	if _, err := os.Stat("/usr/sbin/policy-rc.d"); err != nil {
		if _, err := n.Exec("test", "!", "-e", "/usr/sbin/policy-rc.d"); err != nil {
			t.Error("policy-rc.d is still there")
		}
	}
	if out, status := setup(t, n); status != 0 || asked() != "" {
		t.Errorf("the second run: %d %s", status, out)
	}
	execOn(t, n, "sh", "-c", "rm /usr/bin/tmux; touch /run/broken")
	if out, status := setup(t, n); status != 100 || !strings.Contains(out, "no such mirror") {
		t.Errorf("an installation that fails: %d %s", status, out)
	}
}

func TestSetupNamesWhatIsMissing(t *testing.T) {
	bed := Nodes(t, 1, Bind("..", "/run/scripts"))
	n := bed.Nodes[0]
	execOn(t, n, "sh", "-c", "rm -f /usr/bin/tmux /usr/bin/tcsh")
	out, status := setup(t, n, "setpriv", "--reuid=2001", "--clear-groups")
	if status != 1 || !strings.Contains(out, "apt-get install --no-install-recommends tmux tcsh") {
		t.Errorf("an ordinary user gets %d and\n%s", status, out)
	}
}
