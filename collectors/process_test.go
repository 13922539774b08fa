package collectors

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/collectors/accelerators"
	"foretop/collectors/kernfs"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// fakeProc writes a process into a fixture tree.
func fakeProc(t testing.TB, root kernfs.Root, pid, ppid int, comm, cmdline, environ, cgroup string, start int) {
	t.Helper()
	dir := "proc/" + strconv.Itoa(pid) + "/"
	write(t, root, dir+"stat", fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194304 0 0 0 0 10 5 0 0 20 0 1 0 %d 0 100 0\n", pid, comm, ppid, start))
	write(t, root, dir+"status", fmt.Sprintf("Name:\t%s\nUid:\t1000\t1000\t1000\t1000\nNSpid:\t%d\n", comm, pid))
	write(t, root, dir+"cmdline", strings.ReplaceAll(cmdline, " ", "\x00")+"\x00")
	if environ != "" {
		environ = strings.ReplaceAll(environ, " ", "\x00") + "\x00"
	}
	write(t, root, dir+"environ", environ)
	write(t, root, dir+"cgroup", "0::"+cgroup+"\n")
}

func (p *played) walk() {
	p.t.Helper()
	p.ms.Add(4000)
	p.tick()
}

// told lists the processes that are told, as "pid rank|launcher|-".
func (p *played) told() []string {
	p.m.board.mu.Lock()
	defer p.m.board.mu.Unlock()
	var list []string
	for _, f := range p.m.board.processes {
		role := "-"
		if f.Rank {
			role = "rank"
		} else if f.Launcher {
			role = "launcher"
		}
		list = append(list, fmt.Sprintf("%d %s", f.Pid, role))
	}
	return list
}

func TestWhichProcesses(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	write(t, root, "etc/passwd", "ann:x:1000:1000::/:/bin/sh\n")
	slurm := "/system.slice/slurmstepd.scope/job_5/step_0/user/task_0"
	task := "SLURM_JOB_ID=5 SLURM_STEP_ID=0 SLURM_PROCID=0"
	rank := func(n int) string { return task + fmt.Sprintf(" RANK=%d LOCAL_RANK=%d WORLD_SIZE=2", n, n) }
	fakeProc(t, root, 10, 1, "bash", "bash job.sh", task, slurm, 10)
	fakeProc(t, root, 11, 10, "torchrun", "python3 /usr/bin/torchrun t.py", task, slurm, 10)
	fakeProc(t, root, 12, 11, "python3", "python3 t.py", rank(0), slurm, 10)
	fakeProc(t, root, 13, 11, "sh", "sh -c python3", rank(1), slurm, 10)
	fakeProc(t, root, 14, 13, "python3", "python3 t.py", rank(1), slurm, 10)
	fakeProc(t, root, 15, 12, "pt_data_worker", "python3 t.py", rank(0), slurm, 10)
	fakeProc(t, root, 16, 15, "python3", "python3 gpu-helper", rank(0), slurm, 10) // holds a GPU: told for that
	fakeProc(t, root, 20, 1, "nginx", "nginx", "", "/kubepods/pod1/x", 10)
	fakeProc(t, root, 21, 1, "python3", "python3 serve.py", "RANK=0", "/kubepods/pod2/x", 10) // an operator's pod: no rank
	fakeProc(t, root, 30, 1, "a.out", "./a.out", "SLURM_PROCID=3 SLURM_JOB_ID=6", "/slurm/uid_1000/job_6/step_0/task_3", 10)
	p := play(t, root, sourcesOf("process"))
	p.hold(accelerators.Holder{PID: 16, GPU: 2, Memory: 5, Known: true}, accelerators.Holder{PID: 20, GPU: 0}, accelerators.Holder{PID: 999, GPU: 1})
	p.walk()
	want := []string{"11 launcher", "12 rank", "14 rank", "16 rank", "20 -", "30 rank"}
	if d := cmp.Diff(want, p.told()); d != "" {
		t.Fatal(d)
	}
	first := p.m.board.processes
	p.walk()
	if p.m.board.told != 1 {
		t.Error("told again without a change")
	}
	// Memory that wavers is not news; memory that grows is.
	p.hold(accelerators.Holder{PID: 16, GPU: 2, Memory: 9, Known: true}, accelerators.Holder{PID: 20, GPU: 0})
	p.walk()
	if p.m.board.told != 1 {
		t.Error("told again for 4 bytes")
	}
	p.hold(accelerators.Holder{PID: 16, GPU: 2, Memory: 9 << 30, Known: true})
	p.walk()
	if d := cmp.Diff([]string{"11 launcher", "12 rank", "14 rank", "16 rank", "30 rank"}, p.told()); d != "" {
		t.Error(d)
	}
	if got := p.m.board.processes[3].Held[0].MemoryBytes; got != 9<<30 {
		t.Errorf("holds %d", got)
	}
	if p.m.board.processes[0] != first[0] {
		t.Error("a process that did not change was described again")
	}
	// One that was killed and that its parent has not asked after; then one whose first thread alone has ended.
	living, _ := root.Read("proc/12/stat", nil)
	dead := bytes.Replace(living, []byte(" S "), []byte(" Z "), 1)
	write(t, root, "proc/12/stat", string(dead))
	p.walk()
	if d := cmp.Diff([]string{"11 launcher", "14 rank", "16 rank", "30 rank"}, p.told()); d != "" {
		t.Error(d)
	}
	write(t, root, "proc/12/stat", string(bytes.Replace(dead, []byte(" 20 0 1 0 "), []byte(" 20 0 2 0 "), 1)))
	p.walk()
	if d := cmp.Diff([]string{"11 launcher", "12 rank", "14 rank", "16 rank", "30 rank"}, p.told()); d != "" {
		t.Error(d)
	}
	// Another process under the same number.
	fakeProc(t, root, 31000, 1, "vim", "vim", "HOME=/", "/user.slice", 99)
	os.RemoveAll(root.Path("proc/30"))
	if err := os.Rename(root.Path("proc/31000"), root.Path("proc/30")); err != nil { // its folder has another inode, as the kernel's have
		t.Fatal(err)
	}
	os.RemoveAll(root.Path("proc/12"))
	p.walk()
	if d := cmp.Diff([]string{"11 launcher", "14 rank", "15 rank", "16 rank"}, p.told()); d != "" {
		t.Error(d) // 15 lost its parent: it is the first of its line now
	}
}

// A rank that writes its title destroys its environment: what was read before holds. Another program in the same process is read anew.
func TestTitleAndExec(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	env := "RANK=3 LOCAL_RANK=1 WORLD_SIZE=8"
	fakeProc(t, root, 10, 1, "python3", "python3 t.py", env, "/", 86_400_000)
	p := play(t, root, sourcesOf("process"))
	p.walk()
	write(t, root, "proc/10/cmdline", "ray::train\x00\x00\x00\x00\x00")
	write(t, root, "proc/10/environ", "ain\x00\x00\x00\x00")
	p.walk()
	f := p.m.board.processes[0]
	if f.Env["RANK"] != "3" || f.EnvState != facts.EnvState_ENV_READ || f.Command != "ray::train" {
		t.Errorf("after its title: %v", f)
	}
	fakeProc(t, root, 10, 1, "python3", "python3 u.py", "RANK=4 LOCAL_RANK=1 WORLD_SIZE=8", "/", 86_400_000)
	p.walk()
	if f := p.m.board.processes[0]; f.Env["RANK"] != "4" {
		t.Errorf("after exec: %v", f)
	}
	// A title from the start: nothing was read before.
	fakeProc(t, root, 11, 1, "ray::x", "ray::x", "", "/slurm/uid_1/job_5/step_0/task_1", 10)
	write(t, root, "proc/11/environ", "\x00\x00\x00\x00")
	p.walk()
	if f := p.m.board.processes[1]; f.Pid != 11 || f.EnvState != facts.EnvState_ENV_CLOBBERED {
		t.Errorf("clobbered: %v", f)
	}
}

// The parent of multiprocessing's children that hold an accelerator is told beside them, though it holds none and says nothing; a worker of Ray Train is
// known by its title. Who has lost its parent says so at once.
func TestSpawnedAndAdopted(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000000.0 1\n")
	child := func(pid, ppid int) {
		fakeProc(t, root, pid, ppid, "python3", "", "", "/", 100)
		write(t, root, fmt.Sprintf("proc/%d/cmdline", pid), "/usr/bin/python3\x00-c\x00from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)\x00--multiprocessing-fork\x00")
	}
	fakeProc(t, root, 1, 0, "systemd", "/sbin/init", "", "/", 1)
	fakeProc(t, root, 10, 1, "python3", "python3 train.py", "", "/", 50)
	child(11, 10)
	child(12, 10)
	child(13, 10) // holds nothing
	fakeProc(t, root, 20, 1, "raylet", "/opt/raylet --gcs-address=10.0.0.1:6379", "", "/", 50)
	fakeProc(t, root, 21, 20, "ray::IDLE", "ray::IDLE", "", "/", 60)
	fakeProc(t, root, 22, 20, "ray::RayTrainWo", "ray::RayTrainWorker.run", "", "/", 60)
	p := play(t, root, sourcesOf("process"))
	p.hold(accelerators.Holder{PID: 11, GPU: 0}, accelerators.Holder{PID: 12, GPU: 1})
	p.walk()
	if d := cmp.Diff([]string{"10 -", "11 -", "12 -", "20 launcher", "22 -"}, p.told()); d != "" {
		t.Fatal(d)
	}
	parents := func() (list []string) {
		for _, f := range p.m.board.processes {
			list = append(list, fmt.Sprint(f.Pid, " ", f.Parent, " ", f.ParentInit))
		}
		return list
	}
	if d := cmp.Diff([]string{"10 systemd true", "11 python3 false", "12 python3 false", "20 systemd true", "22 raylet false"}, parents()); d != "" {
		t.Error(d)
	}
	p.walk()
	if p.m.board.told != 1 {
		t.Error("told again without a change")
	}
	os.RemoveAll(root.Path("proc/10")) // old processes: none of them is due to be looked at
	child(11, 1)
	child(12, 1)
	p.walk()
	if d := cmp.Diff([]string{"11 systemd true", "12 systemd true", "20 systemd true", "22 raylet false"}, parents()); d != "" {
		t.Error(d)
	}
	// In a container, its first process adopts.
	write(t, root, "proc/20/status", "Uid:\t0\t0\t0\t0\nNSpid:\t20\t1\n")
	fakeProc(t, root, 23, 20, "python3", "python3 t.py", "RANK=0 LOCAL_RANK=0", "/", 100)
	p.walk()
	if got := parents(); got[len(got)-1] != "23 raylet true" {
		t.Errorf("got %v", got)
	}
}

// Reading the memory of a process that hangs in the kernel may not return: the process is told without its words, the walk goes on.
func TestHangingProcess(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	for pid := 10; pid < 20; pid++ {
		fakeProc(t, root, pid, 1, "python3", "python3 t.py", fmt.Sprintf("RANK=%d WORLD_SIZE=10", pid), "/", 10)
	}
	fifo := root.Path("proc/13/cmdline")
	os.Remove(fifo)
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p := play(t, root, sourcesOf("process"))
	p.hold(accelerators.Holder{PID: 13, GPU: 0})
	p.walk()
	if got := p.told(); len(got) != 10 || got[3] != "13 -" {
		t.Fatalf("told %v", got)
	}
	if f := p.m.board.processes[3]; f.Comm != "python3" || f.Command != "" || f.EnvState != facts.EnvState_ENV_UNKNOWN {
		t.Errorf("got %v", f)
	}
	if c := p.condition("process"); c.state != facts.SourceState_SOURCE_OK || !strings.Contains(c.text, "do not return") {
		t.Errorf("got %+v", c)
	}
	began := time.Now()
	p.walk()
	if took := time.Since(began); took > 900*time.Millisecond {
		t.Errorf("it was asked again: the walk took %v", took)
	}
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0) // lets the goroutine go
	if err == nil {
		w.Close()
	}
}

// On the machine itself: a process is told soon after it started, and gone after it ended; another user's secrets stay.
func TestRealProcesses(t *testing.T) {
	p := play(t, "", sourcesOf("process", "usage"))
	p.m.board.detail.Store(true)
	p.walk()
	c := exec.Command("sh", "-c", "while :; do :; done # --token=abc")
	c.Env = []string{"RANK=7", "WORLD_SIZE=8", "PATH=" + os.Getenv("PATH"), "MY_SECRET=hunter2"}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	find := func() *facts.Process {
		for _, f := range p.m.board.processes {
			if f.Pid == int32(c.Process.Pid) {
				return f
			}
		}
		return nil
	}
	for i := 0; find() == nil; i++ {
		if i > 50 {
			t.Fatal("not told")
		}
		time.Sleep(100 * time.Millisecond)
		p.walk()
	}
	f := find()
	if f.Env["RANK"] != "7" || len(f.Env) != 2 || strings.Contains(f.Command, "abc") || f.User == "" || f.PidNamespace == 0 || f.Cwd == "" {
		t.Errorf("got %v", f)
	}
	now := p.m.clock.Now().UnixMilli()
	if f.StartWallMs < now-10_000 || f.StartWallMs > now+3_600_000 { // the test's clock runs ahead
		t.Errorf("started at %d, it is %d", f.StartWallMs, now)
	}
	busy := false
	for i := 0; i < 50 && !busy; i++ {
		time.Sleep(100 * time.Millisecond)
		p.walk()
		for _, u := range p.m.board.usage.Told {
			busy = busy || u.Pid == f.Pid && u.CpuPermille > 0
		}
	}
	if !busy {
		t.Error("it uses no CPU")
	}
	c.Process.Kill()
	c.Wait()
	p.walk()
	if find() != nil {
		t.Error("still told after its end")
	}
}

// How busy a process is takes two looks: until then it is unknown, not idle.
func TestUsageTakesTwoLooks(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	rank := "RANK=1 LOCAL_RANK=1 WORLD_SIZE=2"
	fakeProc(t, root, 10, 1, "python3", "python3 t.py", rank, "/", 10)
	p := play(t, root, sourcesOf("process"))
	p.m.board.detail.Store(true)
	p.walk()
	r := newUsage(p.m)
	for look, want := range []string{"", "10 0", "10 500"} {
		p.ms.Add(2000)
		if look == 2 {
			write(t, root, "proc/10/stat", "10 (python3) S 1 1 1 0 -1 4194304 0 0 0 0 110 5 0 0 20 0 1 0 10 0 100 0\n")
		}
		if err := r.read(p.ctx); err != nil {
			t.Fatal(err)
		}
		var got string
		for _, u := range p.m.board.usage.Told {
			got += fmt.Sprintf("%d %d", u.Pid, u.CpuPermille)
		}
		if got != want {
			t.Errorf("look %d: %q, want %q", look, got, want)
		}
	}
}

func TestUsers(t *testing.T) {
	script(t, "getent", `test "$2" = 4711 && echo 'ldap-ann:*:4711:100:Ann:/home/ann:/bin/zsh'`)
	u := newUsers("")
	if got := u.name(0); got != "root" {
		t.Errorf("0 is %q", got)
	}
	late := time.Now().Add(20 * time.Second)
	for u.name(4711) == "" && time.Now().Before(late) {
		time.Sleep(10 * time.Millisecond)
	}
	if got := u.name(4711); got != "ldap-ann" {
		t.Errorf("4711 is %q", got)
	}
	for !known(u, 4712) {
		u.name(4712)
		time.Sleep(10 * time.Millisecond)
		if time.Now().After(late) {
			t.Fatal("never answered")
		}
	}
}

func known(u *users, uid uint32) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.names[uid]
	return ok && !u.busy
}

// An old process is looked at seldom, and the seldomer the older it is; a young one at each walk, by the node's uptime; and one that takes an accelerator at
// once, for it may have executed another program since.
func TestWhenAProcessIsLookedAt(t *testing.T) {
	const up, day = 1_000_000, 86_400 // s
	root := kernfs.Root(t.TempDir())
	uptime := func(s int) { write(t, root, "proc/uptime", fmt.Sprintf("%d.00 1\n", s)) }
	uptime(up)
	ages := map[int]int{10: 5, 11: 100, 12: 3600, 13: 10 * day, 14: 10 * day}
	exec := func(pid int, command string) { // without another folder: its inode stays
		fakeProc(t, root, pid, 1, "python3", command, fmt.Sprintf("RANK=%d WORLD_SIZE=9", pid), "/", (up-ages[pid])*100)
	}
	for pid := range ages {
		exec(pid, "python3 before")
	}
	p := play(t, root, sourcesOf("process"))
	p.walk()
	for pid := range ages {
		exec(pid, "python3 after")
	}
	seen := func() (pids []int32) {
		for _, f := range p.m.board.processes {
			if f.Command == "python3 after" {
				pids = append(pids, f.Pid)
			}
		}
		return pids
	}
	for _, c := range []struct {
		later int // s
		holds int32
		want  []int32
	}{
		{5, 0, []int32{10}},
		{50, 0, []int32{10}},
		{100, 0, []int32{10, 11}},
		{100, 14, []int32{10, 11, 14}},
		{1700, 0, []int32{10, 11, 14}},
		{3000, 0, []int32{10, 11, 12, 13, 14}},
	} {
		uptime(up + c.later)
		if c.holds != 0 {
			p.hold(accelerators.Holder{PID: c.holds})
		}
		p.walk()
		if got := seen(); !slices.Equal(got, c.want) {
			t.Errorf("after %d s: looked at again are %v, want %v", c.later, got, c.want)
		}
	}
}
