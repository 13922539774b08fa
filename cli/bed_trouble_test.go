package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// trouble is a node that cannot be watched, or only just.
type trouble struct {
	node   string
	what   string
	state  fleet.State
	cause  string // regular expression
	remedy string // regular expression
	within time.Duration
	opts   []testbed.Option
}

// nowhere makes all folders in which a collector may live useless.
func nowhere(how func(paths ...string) []testbed.Option) []testbed.Option {
	return how("/tmp", "/var/tmp", "/dev/shm", testbed.Home)
}

func full(paths ...string) []testbed.Option { return []testbed.Option{testbed.Full(paths...)} }

func noexec(paths ...string) []testbed.Option {
	var opts []testbed.Option
	for _, p := range paths {
		opts = append(opts, testbed.Mount(p, "noexec"))
	}
	return opts
}

// Every trouble of a real cluster at once, among healthy nodes: each is told by its state, its cause and what to do; none delays a healthy node.
func TestBedTroubles(t *testing.T) {
	troubles := []trouble{
		{what: "unknown host key", state: fleet.NeedsTrust, cause: "unknown|not known|not in", remedy: "ssh", opts: []testbed.Option{testbed.UnknownHostKey()}},
		{what: "changed host key", state: fleet.NeedsTrust, cause: "(?i)changed", remedy: "ssh-keygen -R|attack|reinstall", opts: []testbed.Option{testbed.ChangedHostKey()}},
		{what: "refused key", state: fleet.NeedsAuth, cause: "permission denied", remedy: "ssh-copy-id", opts: []testbed.Option{testbed.RefuseKey()}},
		{what: "wrong user", state: fleet.NeedsAuth, cause: "permission denied", remedy: "ssh-copy-id"},
		{what: "unreachable host", state: fleet.Lost, cause: "no answer from 10[.0-9]+:22", remedy: "up", within: 15 * time.Second},
		{what: "silent server", state: fleet.Lost, cause: "accepts connections but says nothing", remedy: "hangs", within: 30 * time.Second},
		{what: "disk full", state: fleet.Refused, cause: "disk full", remedy: "free some space", opts: nowhere(full)},
		{what: "noexec everywhere", state: fleet.Refused, cause: "noexec", remedy: "allow execution", opts: nowhere(noexec)},
		{what: "2 MB of banner", state: fleet.Misbehaving, cause: "more than 1 MiB of output", remedy: "silent", opts: []testbed.Option{testbed.Noise(2_000_000)}},
		{what: "no login", state: fleet.Refused, cause: "not available|login shell", remedy: "shell", opts: []testbed.Option{testbed.Shell("/usr/sbin/nologin")}},
		{what: "login that hangs", state: fleet.Lost, cause: "no collector started in", remedy: "hang", within: 40 * time.Second,
			opts: []testbed.Option{testbed.HomeFile(".bashrc", "sleep 1000\n")}},
		// These are live, whatever they look like.
		{what: "healthy", state: fleet.Live},
		{what: "home mounted noexec", state: fleet.Live, opts: noexec(testbed.Home)},
		{what: "home full", state: fleet.Live, opts: full(testbed.Home)},
		{what: "1 MB of banner", state: fleet.Live, opts: []testbed.Option{testbed.Noise(1_000_000)}},
		{what: "1 MB of banner in tcsh", state: fleet.Live, opts: []testbed.Option{testbed.Shell("/usr/bin/tcsh"), testbed.Noise(1_000_000)}},
		{what: "tcsh", state: fleet.Live, opts: []testbed.Option{testbed.Shell("/usr/bin/tcsh")}},
		{what: "fish", state: fleet.Live, opts: []testbed.Option{testbed.Shell("/usr/bin/fish")}},
		{what: "healthy too", state: fleet.Live},
	}
	var opts []testbed.Option
	byWhat := map[string]*trouble{}
	for i := range troubles {
		c := &troubles[i]
		c.node = fmt.Sprintf("node%03d", i+1)
		byWhat[c.what] = c
		for _, o := range c.opts {
			opts = append(opts, testbed.On(c.node, o))
		}
	}
	bed := testbed.Nodes(t, len(troubles), opts...)
	must(t, bed.Node(byWhat["unreachable host"].node).PowerOff())
	must(t, bed.Node(byWhat["silent server"].node).Freeze(true))

	o := observe(t, sshpool.Config{ConfigFile: asUser(t, bed, byWhat["wrong user"].node, "nobody-we-know")}, named(bed.Names()...)...)
	var live []time.Time
	for i := range troubles {
		c := &troubles[i]
		within := max(c.within, 40*time.Second)
		m := o.reaches(c.node, c.state, c.cause, time.Time{}, within)
		took := m.at.Sub(o.opened)
		t.Logf("%-24s %6.2f s  %v", c.what, took.Seconds(), m)
		if c.state != fleet.Live && !matches(c.remedy, m.remedy) {
			t.Errorf("%s: remedy %q has no %q", c.what, m.remedy, c.remedy)
		}
		if c.state == fleet.Live {
			live = append(live, m.at)
		}
		if strings.ContainsAny(m.cause+m.remedy, "\x1b\n\r\t") {
			t.Errorf("%s: raw text %q %q", c.what, m.cause, m.remedy)
		}
	}
	// All that is healthy is live while the slow troubles are still being waited for, on the slowest machine: eight nodes are sent a collector each, some through a
	// megabyte of noise. Whoever waited for a bad one would be later than it.
	slow := o.reaches(byWhat["silent server"].node, fleet.Lost, "", time.Time{}, time.Second).at
	for _, at := range live {
		if !at.Before(slow) {
			t.Errorf("a healthy node was live %v after the silent one was given up", at.Sub(slow))
		}
	}
	for i := range troubles {
		if c := &troubles[i]; c.state == fleet.Live {
			o.steadySince(c.node, o.reaches(c.node, fleet.Live, "", time.Time{}, time.Second).at)
		}
	}
}

// asUser is the bed's ssh configuration, but for one node's login name.
func asUser(t *testing.T, bed *testbed.Bed, node, user string) string {
	t.Helper()
	b, err := os.ReadFile(bed.SSHConfig)
	must(t, err)
	path := filepath.Join(t.TempDir(), "ssh_config")
	must(t, os.WriteFile(path, append([]byte("Host "+node+"\n\tUser "+user+"\n"), b...), 0o600))
	return path
}
