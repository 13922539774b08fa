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
// when all of the front ends' connections there are cut at once. Ninety-nine in a hundred of those logins succeed. By way of trial there are twelve, for a few logins.
func TestTwentyFrontEnds(t *testing.T) {
	fronts, nodes, logins := many(12, 20), many(2, 40), many(40, 1000)
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
	var over atomic.Bool
	var words sync.Map
	var plain sync.WaitGroup
	defer plain.Wait()
	defer over.Store(true)
	for range 2 {
		plain.Go(func() {
			for !over.Load() {
				tried.Add(1)
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
	// Their connections at the jump host end, all in the same moment. Plain logins that die with them are not the front ends' doing: they are told apart by their age.
	var old []string
	for limit := time.Now().Add(patience); len(old) < fronts; time.Sleep(50 * time.Millisecond) {
		out, _ := exec.Command("pgrep", "-P", strconv.Itoa(jump.cmd.Process.Pid), "-O", "3").Output()
		if old = strings.Fields(string(out)); time.Now().After(limit) {
			t.Fatalf("only %d connections at the jump host", len(old))
		}
	}
	_ = exec.Command("kill", append([]string{"-KILL"}, old...)...).Run()
	time.Sleep(500 * time.Millisecond) // the nodes' sshd sees it too
	wait("after the cut")
	for limit := time.Now().Add(10 * patience); tried.Load() < int64(logins); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("only %d plain logins", tried.Load())
		}
	}
	over.Store(true)
	plain.Wait()
	t.Logf("%d of %d plain logins failed; %d connections of the front ends were cut", failed.Load(), tried.Load(), len(old))
	if n := failed.Load(); n > max(1, tried.Load()/100) {
		words.Range(func(k, _ any) bool { t.Log(k); return true })
		t.Errorf("%d of %d plain logins failed", n, tried.Load())
	}
}
