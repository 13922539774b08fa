package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// frontEnd is the program in a process of its own, kept busy by a node that never answers; words is the file that its standard error goes to.
func frontEnd(t *testing.T, bed *testbed.Bed, off string) (cmd *exec.Cmd, words string) {
	t.Helper()
	must(t, bed.Node(off).PowerOff())
	cmd = exec.Command(foretopProgram(t), append([]string{"snapshot", "-F", bed.SSHConfig, "--wait", "300s"}, bed.Names()...)...)
	cmd.Env = append(cmd.Environ(), "HOME="+t.TempDir())
	stderr, err := os.Create(filepath.Join(t.TempDir(), "words"))
	must(t, err)
	defer stderr.Close()
	cmd.Stderr = stderr
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, stderr.Name()
}

// collecting waits for one collector, with a reader where the node has a driver, on each of the nodes.
func collecting(t *testing.T, words string, nodes ...*testbed.Node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, 40*time.Second, func() string {
			if len(processes(t, n, collectorsOn)) == 1 && len(processes(t, n, programs)) == 2 {
				return ""
			}
			said, err := os.ReadFile(words)
			must(t, err)
			return n.Name + " runs " + list(processes(t, n, ".")) + "\n" + string(said)
		})
	}
}

// played are options for nodes with the played driver, which does as the profile says.
func played(t *testing.T, profile string) []testbed.Option {
	return []testbed.Option{
		testbed.NVIDIA(playedDriver(t), "FORETOP_PLAY_NVML", profile),
		testbed.Env(map[string]string{"FORETOP_PLAY_NVIDIA": "1"}), // in place of /proc/driver/nvidia
	}
}

// A front end that is killed leaves nothing on any node: one second later neither the collector nor its NVML reader is there.
func TestBedFrontEndKilled(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 4, played(t, "")...)
	cmd, words := frontEnd(t, bed, "node004")
	nodes := bed.Nodes[:3]
	collecting(t, words, nodes...)
	time.Sleep(2 * time.Second)

	must(t, cmd.Process.Kill())
	killed := time.Now()
	_ = cmd.Wait()
	for _, n := range nodes {
		gone := eventually(t, 20*time.Second, func() string {
			if ps := processes(t, n, programs); len(ps) > 0 {
				return n.Name + " still runs " + list(ps)
			}
			return ""
		})
		if d := gone.Sub(killed); d > time.Second+slack {
			t.Errorf("%s was clean only %v after the front end was killed", n.Name, d)
		} else {
			t.Logf("%s: clean %v after the kill", n.Name, d)
		}
	}
}

// A front end that stands still (a laptop that sleeps) leaves its connections open: the collectors end by themselves when no heartbeat has come for 30 s.
func TestBedFrontEndAsleep(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 3, played(t, "")...)
	cmd, words := frontEnd(t, bed, "node003")
	nodes := bed.Nodes[:2]
	collecting(t, words, nodes...)
	must(t, cmd.Process.Signal(syscall.SIGSTOP))
	asleep := time.Now()
	for _, n := range nodes {
		gone := eventually(t, 60*time.Second, func() string {
			if ps := processes(t, n, programs); len(ps) > 0 {
				return n.Name + " still runs " + list(ps)
			}
			return ""
		})
		t.Logf("%s: clean %v after the front end fell asleep", n.Name, gone.Sub(asleep))
		// The last heartbeat was up to 10 s before, so 20 s is the least there can be.
		if d := gone.Sub(asleep); d < 18*time.Second || d > 31*time.Second+slack {
			t.Errorf("%s ended its collector after %v", n.Name, d)
		}
	}
}

// Five cuts of a network that drops every packet without a word: the front end dials again each time, and 60 s after the last there is one collector
// on the node, not six.
func TestBedFiveCuts(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 2, played(t, "")...)
	// A shorter patience than the program's 10 s, and otherwise its own waits: more of the cuts leave a half-open connection behind, in less time.
	o := observe(t, sshpool.Config{ConfigFile: bed.SSHConfig, Timing: sshpool.Timing{Gone: 3 * time.Second}}, named(bed.Names()...)...)
	o.allLive(30*time.Second, bed.Names()...)
	n, began, most := bed.Node("node001"), time.Now(), 0
	count := func() int {
		c := len(processes(t, n, collectorsOn))
		most = max(most, c)
		return c
	}
	var back time.Time
	for range 5 {
		cut := time.Now()
		must(t, n.Blackhole(true))
		o.reaches("node001", fleet.Lost, "no answer for", cut, 20*time.Second)
		count()
		must(t, n.Blackhole(false))
		back = o.reaches("node001", fleet.Live, "", time.Now(), 30*time.Second).at
		count()
	}
	one := eventually(t, 60*time.Second-time.Since(back), func() string {
		if c := count(); c != 1 {
			return "there are " + list(processes(t, n, collectorsOn))
		}
		return ""
	})
	t.Logf("one collector %v after the last reconnection; at most %d at a time", one.Sub(back), most)
	if now := o.now("node001"); now.State != fleet.Live {
		t.Errorf("now %v", now)
	}
	o.steady(began, "node002")
}
