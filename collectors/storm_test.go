package collectors

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Two thousand real processes start and end while /proc is walked: what vanishes between its listing and its reading is no error, and the rank among them is
// told all the while.
func TestProcessStorm(t *testing.T) {
	const storm = 2000
	rank := exec.Command("sleep", "600")
	rank.Env = []string{"PATH=" + os.Getenv("PATH"), "RANK=5", "LOCAL_RANK=5", "WORLD_SIZE=8"}
	if err := rank.Start(); err != nil {
		t.Fatal(err)
	}
	defer rank.Wait()
	defer rank.Process.Kill()
	sources := sourcesOf("process", "usage", "cpu")
	for i := range sources {
		sources[i].Every = quick
	}
	f := startFront(t, Options{Every: quick, Sources: sources})
	f.start("", 0)
	f.detail()
	told := func() bool { return f.procs[int32(rank.Process.Pid)] != nil }
	f.await("the rank", told)
	// Each shell forks in its turn, so that processes end while their parents are read.
	var lanes sync.WaitGroup
	started := make(chan struct{}, storm)
	for range 4 {
		lanes.Go(func() {
			c := exec.Command("sh", "-c", fmt.Sprintf(`i=0; while [ $i -lt %d ]; do /bin/true & i=$((i+1)); [ $((i %% 20)) -ne 0 ] || wait; echo; done; wait`, storm/4))
			c.Env = []string{"PATH=" + os.Getenv("PATH"), "RANK=9", "WORLD_SIZE=8", "LOCAL_RANK=9"}
			out, err := c.StdoutPipe()
			if err != nil || c.Start() != nil {
				return
			}
			b := make([]byte, 1)
			for n, err := out.Read(b); err == nil; n, err = out.Read(b) {
				if n > 0 {
					started <- struct{}{}
				}
			}
			c.Wait()
		})
	}
	done := make(chan struct{})
	go func() { lanes.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		case <-time.After(quick):
		}
		f.mu.Lock()
		if !told() {
			t.Fatal("the rank is not told any more")
		}
		f.mu.Unlock()
	}
	if n := len(started); n != storm {
		t.Fatalf("%d processes were started", n)
	}
	f.mu.Lock()
	samples := f.samples
	f.mu.Unlock()
	f.await("the calm after it", func() bool {
		ranks := 0
		for _, p := range f.procs {
			if p.Env["RANK"] == "9" {
				ranks++
			}
		}
		return f.samples > samples+3 && ranks == 0 && told()
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range []string{"process", "usage", "cpu"} {
		if n := f.note(name); n.State != facts.SourceState_SOURCE_OK {
			t.Errorf("%s is %v: %s", name, n.State, n.Text)
		}
	}
}

// A tree that changes while it is read: processes of which any file may be gone, empty or cut short by the time that it is opened.
func TestTreeThatChangesUnderneath(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	write(t, root, "proc/stat", "cpu 1 1 1 1\n")
	fakeProc(t, root, 5, 1, "python3", "python3 t.py", "RANK=5 LOCAL_RANK=5 WORLD_SIZE=8", "/", 10)
	sources := sourcesOf("process", "usage")
	for i := range sources {
		sources[i].Every = minEvery
	}
	f := startFront(t, Options{Root: root, Every: minEvery, Sources: sources})
	f.start("", 0)
	f.detail()
	f.await("the lasting rank", func() bool { return f.procs[5] != nil })
	r := rand.New(rand.NewPCG(3, 4))
	files := []string{"stat", "status", "cmdline", "environ", "cgroup"}
	for range 3000 {
		pid := 10 + r.IntN(40)
		name := procPath(int32(pid), files[r.IntN(len(files))])
		switch r.IntN(5) {
		case 0:
			os.RemoveAll(root.Path(procPath(int32(pid), "")))
		case 1:
			os.Remove(root.Path(name))
		case 2:
			write(t, root, name, "")
		case 3:
			write(t, root, name, strings.Repeat("x", r.IntN(80)))
		default:
			fakeProc(t, root, pid, 1, "python3", "python3 t.py", fmt.Sprintf("RANK=%d LOCAL_RANK=0 WORLD_SIZE=8", pid), "/", 10+r.IntN(3))
		}
	}
	for pid := 10; pid < 50; pid++ {
		os.RemoveAll(root.Path(procPath(int32(pid), "")))
	}
	f.await("the calm after it", func() bool {
		return len(f.procs) == 1 && f.procs[5] != nil && f.note("process").State == facts.SourceState_SOURCE_OK && f.note("usage").State == facts.SourceState_SOURCE_OK
	})
}

// 256 CPUs of which some are offline, and come and go: a core that is not there has no reading, and a number keeps its core.
func TestCoresComeAndGo(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	put := func(second uint64, online func(n int) bool) {
		var b strings.Builder
		fmt.Fprintf(&b, "cpu  %d 0 0 %d 0 0 0 0 0 0\n", second*128, second*128)
		for n := range 256 {
			if online(n) {
				busy := uint64(n % 100) // of 100 ticks
				fmt.Fprintf(&b, "cpu%d %d 0 0 %d 0 0 0 0 0 0\n", n, 1000+second*busy, 1000+second*(100-busy))
			}
		}
		b.WriteString("intr 5 1 2\nctxt 7\nbtime 1\nprocesses 9\nprocs_running 1\nprocs_blocked 0\n")
		write(t, root, "proc/stat", b.String())
	}
	p := play(t, root, sourcesOf("cpu"))
	p.m.board.detail.Store(true)
	all := func(int) bool { return true }
	even := func(n int) bool { return n%2 == 0 && n != 128 } // hyper-threading off, one CPU besides
	half := func(n int) bool { return n < 128 }
	second := uint64(0)
	check := func(what string, count int, online func(int) bool) {
		t.Helper()
		second++
		put(second, online)
		p.tick()
		second++
		put(second, online)
		p.tick()
		if got := p.m.board.state.Count(telemetry.ScopeCore); got != count {
			t.Fatalf("%s: %d cores, want %d", what, got, count)
		}
		for n := range count {
			want := telemetry.Absent
			if online(n) {
				want = int64(n % 100)
			}
			if got := p.get(telemetry.CoreBusyPct, n); got != want {
				t.Errorf("%s: core %d is %d %% busy, want %d", what, n, got, want)
			}
		}
		if c := p.condition("cpu"); c.state != facts.SourceState_SOURCE_OK {
			t.Errorf("%s: %+v", what, c)
		}
	}
	check("all", 256, all)
	check("every other", 255, even)
	check("half of them", 128, half)
	check("all again", 256, all)
	generation := p.m.board.generation
	check("all still", 256, all)
	if p.m.board.generation != generation {
		t.Error("the same cores are another inventory")
	}
}

// What a process says of itself is its own: names with control characters and brackets, endless command lines and environments, and cgroups without end reach
// the front end clean and bounded, and cost the others nothing.
func TestHostileProc(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	rank := "RANK=%d LOCAL_RANK=0 WORLD_SIZE=8"
	fakeProc(t, root, 10, 1, "py\x1b]0;x\x07\x1b[2J) S 1 (", "python3 \x1b[31mred\x9b31m\r\n\xff\xfe\u202etxt", fmt.Sprintf(rank, 10), "/\x1b[1;1H/x", 10)
	fakeProc(t, root, 11, 1, "python3", "python3 "+strings.Repeat("y", 2<<20), fmt.Sprintf(rank, 11), "/"+strings.Repeat("g", 1<<20), 10)
	fakeProc(t, root, 12, 1, "python3", "python3 t.py", strings.Repeat("A", 900<<10)+" "+fmt.Sprintf(rank, 12), "/", 10)
	fakeProc(t, root, 13, 1, "python3", "python3 t.py", fmt.Sprintf(rank, 13)+" MASTER_ADDR="+strings.Repeat("z", 100<<10)+" SLURM_JOB_NAME=\x1b[5mjob\x00\x01", "/", 10)
	fakeProc(t, root, 14, 1, "python3", strings.Repeat("a ", 50_000), fmt.Sprintf(rank, 14), "/", 10)
	fakeProc(t, root, 15, 15, "python3", "python3 its own parent", fmt.Sprintf(rank, 15), "/", 10)
	fakeProc(t, root, 16, 17, "sh", "sh", fmt.Sprintf(rank, 16), "/", 10)
	fakeProc(t, root, 17, 16, "sh", "sh", fmt.Sprintf(rank, 16), "/", 10)
	fakeProc(t, root, 18, 1, "python3", "python3 t.py", fmt.Sprintf(rank, 18), "/", 10)
	write(t, root, "proc/18/status", strings.Repeat("NSpid:\t1\t2\t3\t4\t5\t6\t7\t8\t9\n", 2000)+"Uid:\t99999999999999999999\n")
	write(t, root, "proc/19", "a file where a folder should be")
	write(t, root, "proc/99999999999/stat", "no such number")
	write(t, root, "proc/0/stat", "0 (idle) R 0 0\n")
	f := startFront(t, Options{Root: root, Every: quick, Sources: sourcesOf("process")})
	f.await("the processes", func() bool { return len(f.procs) >= 5 && f.procs[18] != nil })
	f.mu.Lock()
	defer f.mu.Unlock()
	for pid, p := range f.procs {
		for _, s := range []string{p.Comm, p.Command, p.Cgroup, p.Cwd, p.User, p.Env["MASTER_ADDR"], p.Env["SLURM_JOB_NAME"]} {
			if s != telemetry.Clean(s, len(s)+len("…")) {
				t.Errorf("process %d says %q", pid, s)
			}
			if len(s) > maxPath+maxCommandBytes {
				t.Errorf("process %d says %d bytes", pid, len(s))
			}
		}
		if len(p.NsPids) > 32 {
			t.Errorf("process %d has %d numbers", pid, len(p.NsPids))
		}
	}
	if p := f.procs[10]; p.StartTicks != 10 || !strings.HasPrefix(p.Comm, "py") {
		t.Errorf("a name with brackets: %v", p)
	}
	// 12 has its rank beyond what is read; 15 to 17 are their own ancestors.
	if pids := slices.Sorted(maps.Keys(f.procs)); !slices.Equal(pids, []int32{10, 11, 13, 14, 18}) {
		t.Errorf("told are %v", pids)
	}
	if p := f.procs[13]; len(p.Env["MASTER_ADDR"]) != telemetry.EnvValueBytes("MASTER_ADDR") {
		t.Errorf("a value of %d bytes", len(p.Env["MASTER_ADDR"]))
	}
	if n := f.note("process"); n.State == facts.SourceState_SOURCE_FAILING {
		t.Errorf("process: %s", n.Text)
	}
	for i, n := range f.sizes {
		if n > telemetry.MaxFrameBytes {
			t.Errorf("frame %d has %d bytes", i, n)
		}
	}
}
