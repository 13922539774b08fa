package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
	"foretop/simfleet"
)

// memoryGroup makes a control group of its own with a limit, of whichever version this machine has, and gives its folder and the file that tells the most that was ever in use.
func memoryGroup(t *testing.T, limit int64) (folder, peak string) {
	t.Helper()
	testbed.NeedRoot(t)
	name := fmt.Sprintf("foretop-test-%d", os.Getpid())
	file := ""
	if _, err := os.Stat("/sys/fs/cgroup/memory/memory.limit_in_bytes"); err == nil {
		folder, file, peak = "/sys/fs/cgroup/memory/"+name, "memory.limit_in_bytes", "memory.max_usage_in_bytes"
	} else {
		_ = os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+memory"), 0o644)
		folder, file, peak = "/sys/fs/cgroup/"+name, "memory.max", "memory.peak"
	}
	must(t, os.Mkdir(folder, 0o755))
	t.Cleanup(func() {
		for limit := time.Now().Add(20 * time.Second); os.Remove(folder) != nil; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Errorf("%s cannot be removed", folder)
				return
			}
		}
	})
	must(t, os.WriteFile(filepath.Join(folder, file), []byte(strconv.FormatInt(limit, 10)), 0o644))
	return folder, filepath.Join(folder, peak)
}

// The whole program, with ssh asked for every name, in a control group: by way of trial 250 nodes in 128 MiB, with FORETOP_SOAK 1,000 nodes in 512 MiB for a minute. All are live, and nothing is
// killed for want of memory.
func TestTermMemoryGroup(t *testing.T) {
	t.Parallel()
	nodes, limit, hold := 250, int64(128<<20), 5*time.Second
	if soak() {
		nodes, limit, hold = 1000, 512<<20, time.Minute
	}
	folder, peak := memoryGroup(t, limit)
	sim, err := simfleet.StartChild(t.Context(), simfleet.Options{Nodes: nodes, Seed: 1, Scenario: simfleet.Healthy()})
	must(t, err)
	t.Cleanup(func() { sim.Close() })
	file, err := sim.WriteFiles(t.TempDir())
	must(t, err)
	var names []string
	for _, n := range sim.Nodes() {
		names = append(names, n.Name)
	}
	program := foretopProgram(t)
	s := testbed.NewTerm(t, 200, 60, []string{"HOME=" + t.TempDir()}, "sh", "-c", `echo $$ >"$1/cgroup.procs" && shift && exec "$@"`, "sh", folder, program, "-F", file, fold(names))
	s.WaitFor(fmt.Sprintf(`%d live`, nodes), 3*time.Minute)
	time.Sleep(hold)
	s.WaitFor(fmt.Sprintf(`%d live`, nodes), 10*time.Second)
	b, err := os.ReadFile(peak)
	if err == nil {
		n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		t.Logf("%d nodes: at most %d MiB of %d", nodes, n>>20, limit>>20)
	}
	s.Keys("q")
	if code := s.WaitExit(20 * time.Second); code != codeOK {
		t.Errorf("exit code %d", code)
	}
}
