package fleet

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"foretop/jobs"
)

// assembleEvery is how often jobs are put together anew at most; what their processes use is followed in every snapshot.
const assembleEvery = time.Second

// jobBook knows which processes make up which job. It is used by one publication at a time.
type jobBook struct {
	version uint64
	at      time.Time
	jobs    []jobs.Job
	nodes   int
	ranks   map[string]map[processKey]placed // by node
	on      map[string][]string              // jobs by node
	memory  map[string]Memory                // of the rules, by job
}

// placed is a process's place in a job.
type placed struct {
	job  string
	rank int
}

// update assembles the jobs anew when who runs where changed.
func (b *jobBook) update(live []*node, now time.Time) {
	if now.Sub(b.at) < assembleEvery && b.version > 0 {
		return
	}
	dirty := len(live) != b.nodes
	for _, n := range live {
		n.mu.Lock()
		dirty = dirty || n.processes.dirty
		n.mu.Unlock()
	}
	if !dirty {
		return
	}
	facts := make([]jobs.NodeFacts, 0, len(live))
	for _, n := range live {
		n.mu.Lock()
		n.processes.dirty = false
		if n.hello != nil && len(n.processes.ordered) > 0 {
			nf := jobs.NodeFacts{Node: n.name, BootID: n.hello.BootId, Hostname: n.hello.Hostname, Processes: n.processes.ordered}
			if n.inventory != nil {
				nf.GPUs = n.inventory.Gpus
			}
			facts = append(facts, nf)
		}
		n.mu.Unlock()
	}
	b.nodes, b.at = len(live), now
	b.version++
	b.jobs = jobs.Assemble(facts)
	b.index()
}

func (b *jobBook) index() {
	b.ranks = map[string]map[processKey]placed{}
	b.on = map[string][]string{}
	memory := make(map[string]Memory, len(b.jobs))
	place := func(job, node string, key processKey, rank int) {
		if b.ranks[node] == nil {
			b.ranks[node] = map[processKey]placed{}
		}
		b.ranks[node][key] = placed{job, rank}
		if on := b.on[node]; len(on) == 0 || on[len(on)-1] != job {
			b.on[node] = append(on, job)
		}
	}
	for i := range b.jobs {
		j := &b.jobs[i]
		for _, o := range j.Others {
			place(j.Key, o.Node, processKey{o.PID, o.StartTicks}, -1)
		}
		for _, r := range j.Ranks {
			place(j.Key, r.Node, processKey{r.PID, r.StartTicks}, r.Rank)
		}
		memory[j.Key] = b.memory[j.Key]
		if memory[j.Key] == nil {
			memory[j.Key] = Memory{}
		}
	}
	for node, on := range b.on {
		slices.Sort(on)
		b.on[node] = slices.Compact(on)
	}
	b.memory = memory
}

// place writes into a node's view which job each of its processes and GPUs belongs to.
func (b *jobBook) place(v *Node) {
	v.Jobs = b.on[v.Name]
	ranks := b.ranks[v.Name]
	if ranks == nil {
		return
	}
	byPID := make(map[int32]placed, len(v.Processes))
	for _, p := range v.Processes {
		if at, ok := ranks[processKey{p.Pid, p.StartTicks}]; ok {
			p.Job, p.Rank = at.job, at.rank
			byPID[p.Pid] = at
		}
	}
	for i := range v.GPUs {
		for j := range v.GPUs[i].Holders {
			h := &v.GPUs[i].Holders[j]
			if at, ok := byPID[h.PID]; ok {
				h.Job, h.Rank = at.job, at.rank
			}
		}
	}
}

// views makes the snapshot's jobs, worst first.
func (b *jobBook) views(f *Fleet, s *Snapshot, now time.Time) []*Job {
	out := make([]*Job, 0, len(b.jobs))
	for i := range b.jobs {
		v := makeJob(&b.jobs[i], s, f.opt.IdleAfter)
		if f.opt.Rules.Job != nil {
			verdict := f.opt.Rules.Job(v, s.Node, now, b.memory[v.Key])
			v.State, v.Severity, v.StateText = verdict.State, verdict.Severity, verdict.Text
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b *Job) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), -cmp.Compare(len(a.GPUs), len(b.GPUs)), compareNames(a.ID, b.ID), cmp.Compare(a.Key, b.Key))
	})
	return out
}

func makeJob(j *jobs.Job, s *Snapshot, idleAfter time.Duration) *Job {
	v := &Job{
		Key: j.Key, ID: j.ID, Name: j.Name, User: j.User, Framework: j.Framework, Scheduler: j.Scheduler, Partition: j.Partition,
		Restarts: j.Restarts, World: j.World, Missing: j.Missing, MissingN: j.MissingN, StateText: "running",
		Ranks: make([]Rank, 0, len(j.Ranks)),
	}
	if j.StartMS > 0 {
		v.Start = time.UnixMilli(j.StartMS)
	}
	if j.EndLimitMS > 0 {
		v.EndLimit = time.UnixMilli(j.EndLimitMS)
	}
	seen := map[string]bool{}
	note := func(node string) {
		if !seen[node] {
			seen[node] = true
			v.Nodes = append(v.Nodes, node)
		}
	}
	used := make(map[gpuKey]bool, len(j.Ranks))
	for _, r := range j.Ranks {
		note(r.Node)
		rank := Rank{Rank: r.Rank, LocalRank: r.LocalRank, Node: r.Node, PID: r.PID, GPUs: r.GPUs}
		n := s.Node(r.Node)
		if n != nil {
			rank.Process = findProcess(n, r.PID, r.StartTicks)
		}
		v.Ranks = append(v.Ranks, rank)
		for _, g := range r.GPUs {
			v.addGPU(n, r.Node, g, r.Rank, used)
		}
	}
	for _, o := range j.Others {
		note(o.Node)
		if n := s.Node(o.Node); n != nil {
			v.addHeld(n, o.PID, used)
		}
	}
	slices.SortFunc(v.Nodes, compareNames)
	v.means()
	return v
}

type gpuKey struct {
	node string
	gpu  int
}

func (j *Job) addGPU(n *Node, node string, gpu, rank int, used map[gpuKey]bool) {
	k := gpuKey{node, gpu}
	if used[k] {
		return
	}
	used[k] = true
	ref := GPURef{Node: node, Index: gpu, Rank: rank, State: Lost}
	if n != nil {
		ref.State = n.State
		if gpu < len(n.GPUs) {
			ref.GPU = &n.GPUs[gpu]
		}
	}
	j.GPUs = append(j.GPUs, ref)
}

// addHeld adds the GPUs that a process which is no rank holds.
func (j *Job) addHeld(n *Node, pid int32, used map[gpuKey]bool) {
	for i := range n.GPUs {
		for _, h := range n.GPUs[i].Holders {
			if h.PID == pid {
				j.addGPU(n, n.Name, i, -1, used)
			}
		}
	}
}

func findProcess(n *Node, pid int32, start uint64) *Process {
	i, ok := slices.BinarySearchFunc(n.Processes, pid, func(p *Process, pid int32) int { return cmp.Compare(p.Pid, pid) })
	for ; ok && i < len(n.Processes) && n.Processes[i].Pid == pid; i++ {
		if n.Processes[i].StartTicks == start {
			return n.Processes[i]
		}
	}
	return nil
}

// means fills in what the job's GPUs come to. GPUs of nodes that are not live do not count: their last values would hide that they are gone.
func (j *Job) means() {
	var power, util, tensor, sm, mem, temp, clock mean
	used, total, net := None(), None(), None()
	for _, ref := range j.GPUs {
		g := ref.GPU
		if g == nil || ref.State != Live {
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
		if !g.IdleSince.IsZero() {
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
