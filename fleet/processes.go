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
	t.usage = make(map[processKey]*facts.ProcessUsage, len(told))
	for _, u := range told {
		t.usage[processKey{u.Pid, u.StartTicks}] = u
	}
}

func (t *processTable) holds(gpu int) bool { return t.held[gpu] }

// views makes what the snapshot shows; rank and job are filled in by the jobs.
func (t *processTable) views() []*Process {
	if len(t.ordered) == 0 {
		return nil
	}
	out := make([]*Process, len(t.ordered))
	all := make([]Process, len(t.ordered))
	for i, p := range t.ordered {
		v := &all[i]
		*v = Process{Process: p, Rank: -1, CPUPct: None(), RSS: Reading(p.RssBytes), Threads: None()}
		if u := t.usage[processKey{p.Pid, p.StartTicks}]; u != nil {
			v.CPUPct, v.RSS, v.Threads, v.Status = Reading(u.CpuPermille)/10, Reading(u.RssBytes), Reading(u.Threads), u.State
		}
		out[i] = v
	}
	return out
}
