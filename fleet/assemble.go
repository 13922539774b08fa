package fleet

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"foretop/jobs"
)

// assemblePause is how long to leave between two assemblies of jobs, by how much work one is: at most a few percent of a core, at most a second. What
// their processes use is followed in every snapshot.
func assemblePause(processes int) time.Duration {
	return min(time.Second, time.Duration(processes)*100*time.Microsecond)
}

// jobBook knows which processes make up which job. It is used by one publication at a time.
type jobBook struct {
	version     uint64
	changed     time.Time // when it last rose
	at          time.Time
	jobs        []jobs.Job
	generation  uint64                           // of the set of nodes
	processes   int                              // that the jobs were assembled of
	ranks       map[string]map[processKey]placed // by node
	on          map[string][]string              // jobs by node
	memory      map[string]*Memory               // of the rules, by job
	faded       map[string]*Memory               // as it was before the jobs were last assembled
	layoutRules []LayoutRule
	fold        func([]string) string // of names to a node set; nil: the first few
	plans       []plan
	ghosts      []plan            // jobs of which only their scheduler tells
	ended       []ending          // oldest first
	heeded      [2]uint64         // versions of the jobs and of what schedulers say that were last joined
	known       uint64            // version of what schedulers know that the jobs were assembled with
	whole       map[string]ending // jobs of which processes went away, as they were before
	restored    time.Time         // when the version last rose in what was kept
}

// placed is a process's place in a job.
type placed struct {
	job       string
	rank      int
	scheduler string
}

// update assembles the jobs anew when who runs where changed.
func (b *jobBook) update(live []*node, generation uint64, schedule *scheduleBook, now time.Time) {
	if now.Sub(b.at) < assemblePause(b.processes) && b.version > 0 {
		return
	}
	dirty := generation != b.generation || b.version == 0
	news := b.known != schedule.version && len(schedule.list) > 0
	for _, n := range live {
		n.mu.Lock()
		n.processes.settle()
		dirty = dirty || n.processes.dirty
		n.mu.Unlock()
	}
	if !dirty && !news {
		return
	}
	facts := make([]jobs.NodeFacts, 0, len(live))
	b.processes = 0
	for _, n := range live {
		n.mu.Lock()
		n.processes.dirty = false
		nf := jobs.NodeFacts{Node: n.name, Names: schedule.namesOf(n.name)} // one that tells nothing yet is watched too
		if n.hello != nil {
			nf.BootID, nf.Hostname, nf.Processes, nf.Identities = n.hello.BootId, n.hello.Hostname, n.processes.ordered, n.processes.identities
			b.processes += len(nf.Processes)
		}
		if n.inventory != nil {
			nf.GPUs = n.inventory.Gpus
		}
		facts = append(facts, nf)
		n.mu.Unlock()
	}
	b.generation, b.at, b.known = generation, now, schedule.version
	list := jobs.AssembleWith(facts, schedule.known)
	if !dirty && reflect.DeepEqual(list, b.jobs) {
		return // what schedulers say of the jobs themselves is joined each time
	}
	b.version++
	if b.changed = now; b.version == 1 && !b.restored.IsZero() {
		b.changed = b.restored
	}
	b.jobs = list
	was, plans := b.ranks, b.plans
	b.index()
	b.layOut(facts)
	b.retire(was, plans, live, now)
}

func (b *jobBook) index() {
	b.ranks = map[string]map[processKey]placed{}
	b.on = map[string][]string{}
	memory := make(map[string]*Memory, len(b.jobs))
	b.plans = make([]plan, len(b.jobs))
	place := func(j *jobs.Job, node string, key processKey, rank int) {
		if b.ranks[node] == nil {
			b.ranks[node] = map[processKey]placed{}
		}
		b.ranks[node][key] = placed{j.Key, rank, j.Scheduler}
		if on := b.on[node]; len(on) == 0 || on[len(on)-1] != j.Key {
			b.on[node] = append(on, j.Key)
		}
	}
	for i := range b.jobs {
		j := &b.jobs[i]
		b.plans[i] = makePlan(j, b.fold)
		for _, o := range j.Others {
			place(j, o.Node, processKey{o.PID, o.StartTicks}, -1)
		}
		for _, r := range j.Ranks {
			place(j, r.Node, processKey{r.PID, r.StartTicks}, r.Rank)
		}
		memory[j.Key] = b.memory[j.Key]
		if memory[j.Key] == nil {
			memory[j.Key] = new(Memory)
		}
	}
	for node, on := range b.on {
		slices.Sort(on)
		b.on[node] = slices.Compact(on)
	}
	b.memory, b.faded = memory, b.memory
}

// views makes the snapshot's jobs, worst first.
func (b *jobBook) views(f *Fleet, s *Snapshot, now time.Time) []*Job {
	out := make([]*Job, 0, len(b.jobs)+len(b.ended))
	pending, logs := 0, f.logs.now()
	for _, n := range s.Nodes {
		if n.State.Pending() {
			pending++
		}
	}
	for i := range b.plans {
		out = append(out, b.plans[i].view(s, f.opt.IdleAfter))
	}
	for i := range b.ghosts {
		out = append(out, b.ghosts[i].view(s, f.opt.IdleAfter))
	}
	out = append(out, b.farewells(s, now)...)
	reports := f.ras.join(s, out, now)
	for _, v := range out {
		v.NodesPending = pending
		v.Log, v.RAS = logs[v.Key], reports[v.Key]
		if f.opt.Rules.Job != nil {
			verdict := f.opt.Rules.Job(v, s.Node, now, b.remembers(v.Key))
			v.State, v.Severity, v.StateText = verdict.State, verdict.Severity, verdict.Text
		}
	}
	sortJobs(out)
	return out
}

// sortJobs puts those that run first, then the worst, the largest, by id.
func sortJobs(out []*Job) {
	slices.SortStableFunc(out, func(a, b *Job) int {
		if x, y := a.Ended.IsZero(), b.Ended.IsZero(); x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), -cmp.Compare(len(a.GPUs), len(b.GPUs)), compareNames(a.ID, b.ID), cmp.Compare(a.Key, b.Key))
	})
}

// remembers is the rules' memory of a job; one that ended has a new one each time.
func (b *jobBook) remembers(key string) *Memory {
	if m := b.memory[key]; m != nil {
		return m
	}
	return new(Memory)
}

// plan is what of a job stays the same until its processes change: snapshots share it.
type plan struct {
	job     Job
	devices []device
	given   []device // that its scheduler gave it beside those
	told    *Told
	asked   Asked
}

// device is a GPU of a job and the rank on it, -1 for none.
type device struct {
	node      string
	gpu, rank int
}

func makePlan(j *jobs.Job, fold func([]string) string) plan {
	p := plan{job: Job{
		Key: j.Key, ID: j.ID, Name: j.Name, User: j.User, Framework: j.Framework, Scheduler: j.Scheduler, Partition: j.Partition,
		Restarts: j.Restarts, World: j.World, Missing: j.Missing, MissingN: j.MissingN, StateText: "running",
		Ranks: make([]Rank, 0, len(j.Ranks)), Unwatched: j.Unwatched,
	}}
	v := &p.job
	if j.StartMS > 0 {
		v.Start = time.UnixMilli(j.StartMS)
	}
	if j.EndLimitMS > 0 {
		v.EndLimit = time.UnixMilli(j.EndLimitMS)
	}
	nodes := map[string]bool{}
	used := make(map[device]bool, len(j.Ranks))
	add := func(node string, gpus []int, rank int) {
		nodes[node] = true
		for _, g := range gpus {
			if k := (device{node: node, gpu: g}); !used[k] {
				used[k] = true
				p.devices = append(p.devices, device{node, g, rank})
			}
		}
	}
	left := func(node string, pid int32, ticks uint64, gpus []int, why jobs.Orphan) {
		if why != jobs.NotOrphan && len(gpus) > 0 {
			v.Leftovers = append(v.Leftovers, Leftover{node, pid, ticks, len(gpus), why})
		}
	}
	for _, r := range j.Ranks {
		v.Ranks = append(v.Ranks, Rank{
			Rank: r.Rank, LocalRank: r.LocalRank, Node: r.Node, PID: r.PID, StartTicks: r.StartTicks, GPUs: r.GPUs,
			Inferred: r.Inferred, Task: r.Task, Pod: r.Pod, InnerPID: r.InnerPID, Orphan: r.Orphan,
		})
		add(r.Node, r.GPUs, r.Rank)
		left(r.Node, r.PID, r.StartTicks, r.GPUs, r.Orphan)
	}
	for _, o := range j.Others {
		add(o.Node, o.GPUs, -1)
		left(o.Node, o.PID, o.StartTicks, o.GPUs, o.Orphan)
	}
	slices.SortStableFunc(v.Leftovers, func(x, y Leftover) int { return compareNames(x.Node, y.Node) })
	if len(v.Unwatched) > 0 {
		v.UnwatchedText = foldNames(v.Unwatched, fold)
	}
	v.Nodes = slices.SortedFunc(maps.Keys(nodes), compareNames)
	return p
}

// view is the job as it is now. A GPU that it was given for so long as idleAfter, and that no process holds, is idle.
func (p *plan) view(s *Snapshot, idleAfter time.Duration) *Job {
	v := p.job
	if p.told != nil {
		v.tell(p.told)
	} else {
		v.Asked = p.asked
	}
	given := p.told != nil && !p.told.StartAt.IsZero() && s.At.Sub(p.told.StartAt) >= idleAfter
	v.GPUs = make([]GPURef, len(p.devices)+len(p.given))
	var n *Node
	for i := range v.GPUs {
		d := device{}
		if i < len(p.devices) {
			d = p.devices[i]
		} else {
			d = p.given[i-len(p.devices)]
		}
		if n == nil || n.Name != d.node { // ranks of a node follow one another
			n = s.byName[d.node]
		}
		ref := GPURef{Node: d.node, Index: d.gpu, Rank: d.rank, State: Lost}
		if n != nil {
			ref.State = n.State
			if d.gpu < len(n.GPUs) {
				ref.GPU = &n.GPUs[d.gpu]
				ref.Empty = given && n.State == Live && n.ProcessesTold && len(ref.GPU.Holders) == 0
			}
		}
		v.GPUs[i] = ref
	}
	v.means()
	return &v
}

// means fills in what the job's GPUs come to. GPUs of nodes that are not live do not count: their last values would hide that they are gone.
func (j *Job) means() {
	var power, util, tensor, sm, mem, temp, clock mean
	used, total, net := None(), None(), None()
	for _, ref := range j.GPUs {
		g := ref.GPU
		if g == nil || ref.State != Live || g.Stale > 0 {
			continue
		}
		power.add(g.PowerPct())
		util.add(g.UtilPct)
		tensor.add(g.TensorActivityPct)
		sm.add(g.SMActivityPct)
		mem.add(g.MemPct())
		temp.add(g.TempC)
		clock.add(g.ClockPct())
		used = Reading(add(float64(used), float64(g.MemUsedBytes)))
		total = Reading(add(float64(total), float64(g.MemTotalBytes)))
		net = Reading(add(add(float64(net), float64(g.NetRxBytesPerS)), float64(g.NetTxBytesPerS)))
		if ref.Empty || !g.IdleSince.IsZero() {
			j.IdleGPUs++
		}
	}
	j.PowerPct, j.UtilPct, j.TensorPct, j.SMPct = power.value(), util.value(), tensor.value(), sm.value()
	j.MemPct, j.TempC, j.ClockPct = mem.value(), temp.value(), clock.value()
	j.MemUsedBytes, j.MemTotalBytes, j.NetBytesPerS = used, total, net
}

type mean struct {
	sum Reading
	n   int
}

func (m *mean) add(r Reading) {
	if r.Known() {
		m.sum += r
		m.n++
	}
}

func (m *mean) value() Reading {
	if m.n == 0 {
		return None()
	}
	return m.sum / Reading(m.n)
}

// Label is the rank's number, or the pid of a process that is no rank.
func (r *Rank) Label() string {
	if r.Rank < 0 {
		return "pid " + strconv.Itoa(int(r.PID))
	}
	return strconv.Itoa(r.Rank)
}
