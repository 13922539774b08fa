package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
)

// memoryGroup makes a cgroup whose processes may hold so many bytes, and says how a process is put into it. It goes with the test.
func memoryGroup(t *testing.T, bytes int) (enter func(pid int)) {
	t.Helper()
	name := fmt.Sprintf("foretop-oom-%d", os.Getpid())
	for _, kind := range []struct{ root, limit, swap string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.swappiness"},
		{"/sys/fs/cgroup", "memory.max", "memory.swap.max"},
	} {
		dir := filepath.Join(kind.root, name)
		if _, err := os.Stat(filepath.Join(kind.root, "cgroup.procs")); err != nil || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			for range 100 { // until the kernel has let its processes go
				if os.Remove(dir) == nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
			t.Errorf("%s stays behind", dir)
		})
		if os.WriteFile(filepath.Join(dir, kind.limit), fmt.Append(nil, bytes), 0o644) != nil {
			continue
		}
		_ = os.WriteFile(filepath.Join(dir, kind.swap), []byte("0"), 0o644) // there may be no swap
		return func(pid int) {
			if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, pid), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	testbed.Require(t, "no memory cgroup can be made here")
	return nil
}

// A rank takes more memory than its cgroup may hold: the kernel itself kills it, and says so in its log. The job says which of its ranks that was.
func TestARankIsKilledForWantOfMemory(t *testing.T) {
	const python = "/usr/bin/python3"
	testbed.Need(t, python)
	if os.Geteuid() != 0 {
		testbed.Require(t, "a cgroup needs root")
	}
	enter := memoryGroup(t, 96<<20)
	var ranks [2]*exec.Cmd
	const eater = "import sys\nsys.stdin.read(1)\nheld = []\nwhile True:\n    held.append(bytearray(b\"x\") * (1 << 20))\n"
	file := filepath.Join(t.TempDir(), "train.py")
	if err := os.WriteFile(file, []byte(eater), 0o644); err != nil {
		t.Fatal(err)
	}
	var eat [2]*os.File
	for i := range ranks {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := exec.Command(python, file)
		c.Stdin = in
		c.Env = append(os.Environ(), fmt.Sprintf("RANK=%d", i), fmt.Sprintf("LOCAL_RANK=%d", i), "WORLD_SIZE=2", "LOCAL_WORLD_SIZE=2", "GROUP_RANK=0", "MASTER_ADDR=localhost", "MASTER_PORT=29517",
			"TORCHELASTIC_RUN_ID=eats-memory")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		in.Close()
		ranks[i], eat[i] = c, out
		t.Cleanup(func() {
			out.Close()
			_ = c.Process.Kill()
			_ = c.Wait()
		})
	}
	enter(ranks[1].Process.Pid)

	w := watch(t)
	w.start("node", exec.Command(collectorFor(t, runtime.GOARCH)))
	job := func() *fleet.Job {
		for _, j := range w.fleet.Publish().Jobs {
			if strings.Contains(j.Key+j.ID, "eats-memory") {
				return j
			}
		}
		return nil
	}
	w.await("node", "a job of two ranks", func(*fleet.Node) bool { j := job(); return j != nil && len(j.Ranks) == 2 })
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		job() // rules look at a job once a second: both ranks have been seen by then
	}
	began := time.Now()
	if _, err := eat[1].Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	var said fleet.Verdict
	w.await("node", "the job to say that rank 1 was killed", func(*fleet.Node) bool {
		j := job()
		if j == nil {
			return false
		}
		for _, v := range j.Findings {
			if v.Rule == "job.oom" {
				said = v
				return true
			}
		}
		return false
	})
	t.Logf("after %.1f s: %s (%s)", time.Since(began).Seconds(), said.Text, strings.Join(said.Evidence, "; "))
	if want := fleet.SuspectRank("node", 1); len(said.Suspects) != 1 || said.Suspects[0] != want || said.Severity != fleet.Critical {
		t.Errorf("%s, suspects %v: want %v", said.Severity, said.Suspects, want)
	}
}
