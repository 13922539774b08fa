package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"foretop/jobs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const maxProcesses = 4096 // of one node

type processKey struct {
	pid   int32
	start uint64
}

// processTable is what a node told of its processes.
type processTable struct {
	facts   map[processKey]*facts.Process
	usage   map[processKey]*facts.ProcessUsage
	held    map[int]bool // GPUs that are held
	dirty   bool         // who is there changed: jobs are to be assembled anew
	version uint64       // grows with every change of who is there or what they use
	told    bool         // they were told at least once
	ordered []*facts.Process

	identities []jobs.Identity // of ordered: they depend on this node's processes alone
}

func (t *processTable) apply(payload []byte) error {
	p := new(facts.Processes)
	if err := facts.Decode(payload, p); err != nil {
		return err
	}
	if p.Whole || t.facts == nil {
		t.facts = make(map[processKey]*facts.Process, len(p.Set))
	}
	for _, gone := range p.Gone {
		k := processKey{gone.Pid, gone.StartTicks}
		delete(t.facts, k)
		delete(t.usage, k)
	}
	for _, set := range p.Set {
		shareWords(set)
		t.facts[processKey{set.Pid, set.StartTicks}] = set
	}
	if len(t.facts) > maxProcesses {
		return &telemetry.Malformed{What: fmt.Sprintf("%d ranks and accelerator processes, more than the %d allowed", len(t.facts), maxProcesses)}
	}
	t.order()
	t.identities = jobs.IdentifyAll(t.ordered)
	t.dirty, t.told = true, true
	t.version++
	return nil
}

func (t *processTable) order() {
	t.ordered = make([]*facts.Process, 0, len(t.facts))
	t.held = map[int]bool{}
	for _, p := range t.facts {
		t.ordered = append(t.ordered, p)
		for _, h := range p.Held {
			t.held[int(h.Gpu)] = true
		}
	}
	slices.SortFunc(t.ordered, func(a, b *facts.Process) int {
		return cmp.Or(cmp.Compare(a.Pid, b.Pid), cmp.Compare(a.StartTicks, b.StartTicks))
	})
}

func (t *processTable) use(told []*facts.ProcessUsage) {
	t.version++
	t.usage = make(map[processKey]*facts.ProcessUsage, len(told))
	for _, u := range told {
		t.usage[processKey{u.Pid, u.StartTicks}] = u
	}
}

func (t *processTable) holds(gpu int) bool { return t.held[gpu] }

// shownProcesses is what snapshots show of a node's processes: made anew only when they, what they use, or their jobs changed.
type shownProcesses struct {
	table, jobs uint64 // versions it was made of
	list        []*Process
	holders     [][]Holder // by GPU
	on          []string   // jobs
}

func (n *node) showProcesses(b *jobBook) *shownProcesses {
	if n.shown != nil && n.shown.table == n.processes.version && n.shown.jobs == b.version {
		return n.shown
	}
	s := &shownProcesses{table: n.processes.version, jobs: b.version, on: b.on[n.name]}
	s.list = n.processes.views(b.ranks[n.name])
	if n.inventory != nil {
		s.holders = holdersOf(s.list, len(n.inventory.Gpus))
	}
	n.shown = s
	return s
}

func (t *processTable) views(places map[processKey]placed) []*Process {
	out := make([]*Process, len(t.ordered))
	all := make([]Process, len(t.ordered))
	for i, p := range t.ordered {
		k := processKey{p.Pid, p.StartTicks}
		v := &all[i]
		*v = Process{Process: p, Rank: -1, CPUPct: None(), RSS: Reading(p.RssBytes), Threads: None()}
		if u := t.usage[k]; u != nil {
			v.CPUPct, v.RSS, v.Threads, v.Status = Reading(u.CpuPermille)/10, Reading(u.RssBytes), Reading(u.Threads), u.State
		}
		if at, ok := places[k]; ok {
			v.Job, v.Rank = at.job, at.rank
		}
		out[i] = v
	}
	return out
}

func holdersOf(list []*Process, gpus int) [][]Holder {
	out := make([][]Holder, gpus)
	for _, p := range list {
		for _, h := range p.Held {
			if int(h.Gpu) >= gpus {
				continue
			}
			mem := None()
			if h.MemoryKnown {
				mem = Reading(h.MemoryBytes)
			}
			out[h.Gpu] = append(out[h.Gpu], Holder{PID: p.Pid, MemBytes: mem, Rank: p.Rank, Job: p.Job})
		}
	}
	return out
}
