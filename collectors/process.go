package collectors

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	maxTold  = 1024             // processes told
	youngFor = 30 * time.Second // a process this young may yet execute another program: looked at on each walk
	agedWait = time.Minute      // between two looks at an older one: half its age, within these bounds
	agedMost = 30 * time.Minute
	maxComm  = 64 // a kernel thread's name may be longer than the usual 15 bytes
	maxPath  = 1024
)

// proc is what is known of one process.
type proc struct {
	pid       int32
	inode     uint64 // of /proc/PID: another one means another process
	start     uint64 // ticks since boot
	ppid      int32
	kernel    bool
	comm      string
	command   string // masked
	cmdSum    uint64 // of the command line as it was read
	known     bool   // the command line was read
	silent    bool   // reading its memory does not return: never again
	env       map[string]string
	envState  facts.EnvState
	cgroup    string
	launcher  bool
	spawned   bool                // a child of Python's multiprocessing
	titled    bool                // its title says that it is a rank
	flags     map[string]string   // of the parallel layout
	files     []string            // that its command line names, as it has them
	asked     bool                // for what they say
	said      []*facts.LayoutFile // that
	versions  string              // of the libraries that it has loaded
	libsAsked int                 // how often it was asked for them
	rank      string              // the words of rankOf
	fact      *facts.Process
	usageSeen bool
	idle      bool   // it used no CPU between the last two looks
	cpuTicks  uint64 // at the last look for usage
	usageMS   int64
	visited   uint64 // number of the walk that saw it last
	chosen    uint64 // and of the last one that chose it to be told
	looked    uint64 // and of the one that looked at it last
	lookMS    int64  // when to look at it again, by the node's uptime
	holds     bool   // an accelerator
}

// procTable is what the source process hands to the source usage. Neither waits for the other: what is in it is never changed, and no file is read under
// its lock.
type procTable struct {
	mu   sync.Mutex
	seen []seenProc // by the last walk: all at detail level, else those that are told
	all  bool
}

// seenProc is a process as a walk saw it. Of proc itself only what does not change is for the source usage, and what only that one uses.
type seenProc struct {
	*proc
	comm, command string
	told          bool
}

// show hands a walk's processes over: all, or those that are told.
func (t *procTable) show(procs map[int32]*proc, all bool) {
	list := make([]seenProc, 0, 32)
	for _, p := range procs {
		if all || p.fact != nil {
			list = append(list, seenProc{p, p.comm, p.command, p.fact != nil})
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen, t.all = list, all
}

func (t *procTable) last() (list []seenProc, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen, t.all
}

// processReader walks /proc and tells which processes hold an accelerator, or are ranks or launchers.
type processReader struct {
	m      *machine
	procs  map[int32]*proc
	keys   map[string]bool // of the environment, that are told
	walk   uint64
	upMS   int64 // at this walk: what start times count to. It counts a laptop's sleep, which the monotonic clock does not
	bootMS int64 // when the node started, by its wall clock
	list   []procEntry
	buf    []byte
	prober *prober
	layout fileReader[[]*facts.LayoutFile]
	libs   fileReader[string]
	last   []*facts.Process
	any    bool // a list was told: until then an empty one is news as well, for the front end may hold an older
	hidden bool // /proc shows this user his own processes only
}

func newProcess(m *machine) reader {
	return &processReader{m: m, procs: map[int32]*proc{}, keys: toldKeys(), prober: newProber(m.root), hidden: os.Geteuid() != 0 && hidesProcesses(m.root)}
}

// toldKeys are the variables of an environment that are told.
func toldKeys() map[string]bool {
	keys := map[string]bool{}
	for _, k := range telemetry.EnvKeys {
		keys[k] = true
	}
	return keys
}

func (r *processReader) close() {
	r.prober.close()
	r.layout.close()
	r.libs.close()
}

func (r *processReader) read(ctx context.Context) error {
	var err error
	if r.list, err = listProcesses(r.m.root, r.list[:0]); err != nil {
		return err
	}
	if len(r.list) == 0 {
		return denied("/proc shows no processes", "mount /proc without hidepid, or run the collector as root")
	}
	r.walk++
	r.upMS = r.uptime()
	r.bootMS = r.m.clock.Now().UnixMilli() - r.upMS
	for _, e := range r.list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.visit(e)
	}
	for pid, p := range r.procs {
		if p.visited != r.walk {
			delete(r.procs, pid)
		}
	}
	alive := func(p processKey) bool { return r.procs[p.pid] != nil && r.procs[p.pid].start == p.start }
	r.layout.forget(alive)
	r.libs.forget(alive)
	told, foreign := r.tell()
	b := r.m.board
	r.m.procs.show(r.procs, b.detail.Load())
	b.mu.Lock()
	b.state.SetUint(telemetry.ProcessCount, 0, uint64(len(r.list)))
	if !r.any || !slices.Equal(told, r.last) {
		r.any = true
		b.processes = told
		b.told++
		r.last = told
	}
	b.mu.Unlock()
	return r.condition(foreign)
}

// condition says what this user is not shown.
func (r *processReader) condition(foreign int) error {
	switch {
	case r.prober.abandoned > 0 && r.prober.full():
		return &condition{state: facts.SourceState_SOURCE_STUCK, text: "the memory of several processes cannot be read: the reads do not return",
			remedy: "those processes hang in the kernel: see their stacks and the kernel log"}
	case r.prober.abandoned > 0:
		return remark("the memory of some processes cannot be read: the reads do not return")
	case r.hidden:
		return &condition{state: facts.SourceState_SOURCE_OK, text: "other users' processes are hidden here (hidepid): they were not looked at", remedy: "needs root, or the group of hidepid"}
	case foreign > 0 && os.Geteuid() == 0:
		return remark("some environments may not be read, not even by root: the ranks there are known by cgroup and command line only")
	case foreign > 0:
		return &condition{state: facts.SourceState_SOURCE_OK, text: "other users' environments may not be read: their ranks are known by cgroup and command line only",
			remedy: "needs CAP_SYS_PTRACE, or root"}
	}
	return nil
}

// visit takes a process into the table, or looks at it again where it may have become another program.
func (r *processReader) visit(e procEntry) {
	p := r.procs[e.pid]
	if p != nil && p.inode == e.inode && e.inode != 0 {
		p.visited = r.walk
		if p.kernel || r.upMS < p.lookMS {
			return
		}
	}
	r.revisit(e.pid, e.inode, p)
}

// revisit looks at a process, p where it is known.
func (r *processReader) revisit(pid int32, inode uint64, p *proc) {
	var s procStat
	if !r.stat(pid, &s) {
		return // gone
	}
	if p == nil || p.start != s.startTicks {
		p = &proc{pid: pid, start: s.startTicks}
		r.procs[pid] = p
	}
	p.visited, p.looked = r.walk, r.walk
	p.lookMS = r.nextLook(p)
	p.inode = inode
	p.ppid = s.ppid
	p.kernel = s.kernel
	if comm := telemetry.Clean(string(s.comm), maxComm); p.comm != comm {
		p.comm = comm
		p.fact = nil
	}
	if !p.kernel && s.state != 'Z' && !p.silent {
		r.look(p)
	}
}

// nextLook is when a process is looked at again. Those that started together are not all looked at together.
func (r *processReader) nextLook(p *proc) int64 {
	age := r.upMS - int64(min(p.start, 1<<53))*tickMS
	if age < youngFor.Milliseconds() {
		return 0
	}
	wait := min(max(age/2, agedWait.Milliseconds()), agedMost.Milliseconds())
	return r.upMS + wait + wait/16*int64(p.pid%8)
}

func (r *processReader) stat(pid int32, s *procStat) bool {
	var err error
	if r.buf, err = r.m.root.Read(procPath(pid, "stat"), r.buf); err != nil {
		return false
	}
	return parseProcStat(r.buf, s)
}

// look reads the command line, and the environment once for each program that the process runs.
func (r *processReader) look(p *proc) {
	answer, ok := r.prober.ask(p.pid, p.known, p.cmdSum)
	if !ok {
		p.silent = true
		p.envState = facts.EnvState_ENV_UNKNOWN
		p.fact = nil
		return
	}
	if answer.unchanged {
		return
	}
	p.known, p.cmdSum = true, answer.sum
	args := splitArgs(answer.cmdline)
	p.command = telemetry.Clean(maskCommand(args), maxCommandBytes)
	p.launcher, p.spawned, p.titled = isLauncher(args), spawned(args), titledRank(args)
	p.setLayout(args)
	env, state := parseEnviron(answer.environ, r.keys)
	if answer.denied {
		env, state = nil, facts.EnvState_ENV_DENIED
	}
	// A rank that sets its title changes its command line and overwrites its environment: what was read before still holds.
	if state == facts.EnvState_ENV_READ || p.envState != facts.EnvState_ENV_READ {
		p.env, p.envState = env, state
	}
	p.rank = rankOf(p.env)
	p.fact = nil
	var err error
	if r.buf, err = r.m.root.Read(procPath(p.pid, "cgroup"), r.buf); err == nil {
		p.cgroup = telemetry.Clean(parseCgroup(r.buf), maxPath)
	}
}

// splitArgs cuts /proc/PID/cmdline at its NULs. A title written over it is padded with them.
func splitArgs(b []byte) []string {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	var args []string
	for start, i := 0, 0; i <= len(b) && len(b) > 0; i++ {
		if i == len(b) || b[i] == 0 {
			args = append(args, string(b[start:i]))
			start = i + 1
		}
	}
	return args
}
