//go:build unix

package sshpool

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Twenty front ends of one login node reach their nodes through one jump host, a real sshd as it comes (MaxStartups 10:30:100); meanwhile plain ssh goes on through it, also
// when all of the front ends' connections there are cut at once. Ninety-nine in a hundred of those logins succeed.
func TestTwentyFrontEnds(t *testing.T) {
	fronts, nodes, logins := 20, many(4, 40), many(150, 1000)
	jump, far := startSSHD(t, "MaxStartups 10:30:100"), startSSHD(t, "MaxStartups 2000:100:2000")
	fake, err := fakeCollector()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(jump.root, "both")
	text := fmt.Sprintf("Host jump\n  HostName 127.0.0.1\n  User ftsh\nInclude %s\n", jump.config)
	text = fmt.Sprintf("Host n*\n  User ftsh\n  ProxyJump jump\n  Port %d\n  IdentityFile %s/id\n  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile %s/known\n  GlobalKnownHostsFile none\n", far.port, far.root, far.root) + text
	var names []string
	for i := range nodes {
		name := "n" + strconv.Itoa(i)
		names = append(names, name)
		text = fmt.Sprintf("Host %s\n  HostName 127.0.0.%d\n", name, i+2) + text
	}
	// What stands in jump.config is for the jump host only.
	text = strings.Replace(text, "Include "+jump.config, fmt.Sprintf("  Port %d\n  IdentityFile %s/id\n  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile %s/known\n  GlobalKnownHostsFile none", jump.port, jump.root, jump.root), 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range fronts {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %s", frontEnd, config, far.root+"/tmp/foretop-$u", fake, strings.Join(names, " ")))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	all := func() bool { return far.connections() >= fronts*nodes }
	var tried, failed atomic.Int64
	var words sync.Map
	var plain sync.WaitGroup
	for range 2 {
		plain.Go(func() {
			for tried.Add(1) <= int64(logins) {
				out, err := exec.Command("ssh", "-F", config, "-o", "BatchMode=yes", "-o", "KexAlgorithms=curve25519-sha256", "jump", "true").CombinedOutput()
				if err != nil {
					failed.Add(1)
					words.Store(string(out), true)
				}
			}
		})
	}
	wait := func(what string) {
		t.Helper()
		for limit := time.Now().Add(6 * patience); !all(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("%s: %d connections to the nodes, want %d", what, far.connections(), fronts*nodes)
			}
		}
	}
	wait("at first")
	cuts := 0
	for tried.Load() < int64(logins)*3/4 { // their connections at the jump host end, all in the same moment
		out, _ := exec.Command("pgrep", "-P", strconv.Itoa(jump.cmd.Process.Pid)).Output()
		pids := strings.Fields(string(out))
		if len(pids) >= fronts && cuts == 0 {
			// plain logins that die with them are not the front ends' doing: they are cut apart from them by their age
			old, _ := exec.Command("pgrep", "-P", strconv.Itoa(jump.cmd.Process.Pid), "-O", "3").Output()
			_ = exec.Command("kill", append([]string{"-KILL"}, strings.Fields(string(old))...)...).Run()
			cuts += len(strings.Fields(string(old)))
		}
		time.Sleep(50 * time.Millisecond)
	}
	plain.Wait()
	wait("after the cut")
	t.Logf("%d of %d plain logins failed; %d connections of the front ends were cut", failed.Load(), logins, cuts)
	if cuts < fronts {
		t.Errorf("only %d connections were cut", cuts)
	}
	if n := failed.Load(); n*100 > int64(logins) {
		words.Range(func(k, _ any) bool { t.Log(k); return true })
		t.Errorf("%d of %d plain logins failed", n, logins)
	}
}
