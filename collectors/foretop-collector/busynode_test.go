package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// driverCalls is the played driver's profile: eight H100 at work, each call at the latency that is known of a real driver, or assumed on the dear side.
const driverCalls = `gpus 8
latency realistic
`

// busyNode is a node in the middle of a training job for real collectors: the files of the machine h100, with 192 CPUs and 9 RDMA ports, real processes of
// this machine in its /proc, and the played driver with its eight GPUs.
type busyNode struct {
	*testbed.Work
	root, profile string
	env           []string
}

// newBusyNode starts processes until there are so many.
func newBusyNode(t testing.TB, processes int) *busyNode {
	t.Helper()
	root := testbed.Machine(t, "h100")
	n := &busyNode{root: root, profile: filepath.Join(root, "profile")}
	for _, dir := range []string{filepath.Dir(root), root} {
		if err := os.Chmod(dir, 0o755); err != nil { // for other users
			t.Fatal(err)
		}
	}
	testbed.Rewrite(t, root, "proc/self/mountinfo", func(s string) string { return strings.ReplaceAll(s, `/mnt/with\040space`, "/mnt/x") })
	for _, dir := range []string{"dev/shm", "home", "lustre/scratch", "mnt/x", "raid"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	testbed.Rewrite(t, root, "dev/kmsg", func(string) string { return "6,1,1,-;NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.90.07\n" })
	n.Work = testbed.NewWork(t, root)
	n.fillProc(t, processes)
	n.setProfile(t, driverCalls)
	n.env = append(os.Environ(), "FORETOP_ROOT="+root, "FORETOP_NVML="+readerFor(t, arch), "LD_LIBRARY_PATH="+driverFor(t, arch), "FORETOP_PLAY_NVML="+n.profile)
	return n
}

// fillProc puts this machine's own processes into /proc, by links, and starts more, eight of them ranks.
func (n *busyNode) fillProc(t testing.TB, processes int) {
	t.Helper()
	proc := filepath.Join(n.root, "proc")
	for _, pid := range pidsIn(t, proc) {
		if err := os.RemoveAll(filepath.Join(proc, strconv.Itoa(pid))); err != nil {
			t.Fatal(err)
		}
	}
	os.Remove(filepath.Join(proc, "uptime")) // real start times count to the real one
	more := max(processes-len(pidsIn(t, "/proc")), 8)
	for i := range more {
		c := exec.Command("sleep", "100000")
		c.Env = []string{"PATH=/usr/bin:/bin"}
		if rank := more - i - 1; rank < 8 {
			c.Env = append(c.Env, "RANK="+strconv.Itoa(rank), "LOCAL_RANK="+strconv.Itoa(rank), "WORLD_SIZE=8", "MASTER_ADDR=gpu017", "MASTER_PORT=29400")
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			c.Process.Kill()
			c.Wait()
		})
	}
	n.linkProcesses(t)
	for _, dir := range []string{"net", "sys", "sys/fs", "sys/kernel", "sys/kernel/random"} { // what prometheus-node-exporter reads besides
		linkMissing(t, "/proc/"+dir, filepath.Join(proc, dir))
	}
}

// linkProcesses puts the processes that run now into the node's /proc.
func (n *busyNode) linkProcesses(t testing.TB) {
	linkMissing(t, "/proc", filepath.Join(n.root, "proc"))
}

// linkMissing links what a folder has and another one lacks.
func linkMissing(t testing.TB, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		return
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := filepath.Join(to, e.Name())
		if _, err := os.Lstat(name); err == nil {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), name); err != nil {
			t.Fatal(err)
		}
	}
}

func pidsIn(t testing.TB, dir string) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (n *busyNode) setProfile(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(n.profile+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(n.profile+".new", n.profile); err != nil {
		t.Fatal(err)
	}
}

// work lets the job go on, a step a second, until the test ends.
func (n *busyNode) work(t testing.TB) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				n.Step()
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
}

// collector is the program as a node runs it, by the user of that number; 0: this one.
func (n *busyNode) collector(t testing.TB, uid uint32) *exec.Cmd {
	c := exec.Command(collectorFor(t, arch))
	c.Env = append([]string(nil), n.env...)
	c.Dir = "/"
	if uid != 0 {
		c.SysProcAttr = asUser(uid)
	}
	return c
}

// processCost is the CPU time and memory of a process and everything that it started.
type processCost struct {
	cpu      time.Duration
	rss, pss int // bytes
}

// costOf adds up a process and its children: CPU from the scheduler's own count, to the nanosecond, memory as resident and in proportion to who shares it.
func costOf(t testing.TB, pid int) (own, children processCost) {
	t.Helper()
	own = costOfOne(t, pid)
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, w := range strings.Fields(string(b)) {
			child, _ := strconv.Atoi(w)
			o, c := costOf(t, child)
			children = children.plus(o).plus(c)
		}
	}
	return own, children
}

func (a processCost) plus(b processCost) processCost {
	return processCost{a.cpu + b.cpu, a.rss + b.rss, a.pss + b.pss}
}

func costOfOne(t testing.TB, pid int) (c processCost) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		t.Skip("no /proc/PID/task/*/schedstat here")
	}
	for _, f := range files {
		text, _ := os.ReadFile(f)
		first, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		c.cpu += time.Duration(ns)
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(text)) {
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		kib, _ := strconv.Atoi(w[1])
		switch w[0] {
		case "Rss:":
			c.rss = kib << 10
		case "Pss:":
			c.pss = kib << 10
		}
	}
	return c
}
