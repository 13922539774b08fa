package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"foretop/jobs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Bounds on what one node may tell of its processes, far above any real one.
const (
	maxProcesses    = 4096
	maxProcessBytes = 4 << 20 // of all, as kept
	maxHeld         = 64
	maxNSPids       = 16
	maxEnv          = 256
)

type processKey struct {
	pid   int32
	start uint64
}

// processTable is what a node told of its processes.
type processTable struct {
	facts   map[processKey]*facts.Process
	usage   map[processKey]*facts.ProcessUsage
	held    map[int]bool // GPUs that are held
	bytes   int          // what facts take
	loose   bool         // facts changed since they were last put in order
	dirty   bool         // who is there changed: jobs are to be assembled anew
	version uint64       // grows with every change of who is there or what they use
	told    bool         // they were told at least once
	ordered []*facts.Process

	identities []jobs.Identity // of ordered: they depend on this node's processes alone
}

func (t *processTable) apply(u *Unpacked, payload []byte) error {
	p, err := readProcesses(u, payload)
	if err != nil {
		return err
	}
	if p.Whole || t.facts == nil {
		t.facts, t.bytes = make(map[processKey]*facts.Process, min(len(p.Set), maxProcesses)), 0
	}
	for _, gone := range p.Gone {
		t.drop(processKey{gone.Pid, gone.StartTicks})
	}
	for _, set := range p.Set {
		k := processKey{set.Pid, set.StartTicks}
		t.drop(k)
		t.facts[k] = set
		t.bytes += sizeOf(set)
	}
	if len(t.facts) > maxProcesses || t.bytes > maxProcessBytes {
		return &telemetry.Malformed{What: fmt.Sprintf("%d ranks and accelerator processes of %d KiB, more than the %d or %d KiB allowed",
			len(t.facts), t.bytes>>10, maxProcesses, maxProcessBytes>>10)}
	}
	t.loose, t.told = true, true
	return nil
}

// readProcesses takes a list of processes apart, and checks each of them.
func readProcesses(u *Unpacked, payload []byte) (*facts.Processes, error) {
	if u != nil {
		return u.processes.of(payload, unpackProcesses)
	}
	return unpackProcesses(payload)
}

func unpackProcesses(payload []byte) (*facts.Processes, error) {
	p := new(facts.Processes)
	if err := facts.Decode(payload, p); err != nil {
		return nil, err
	}
	var before *facts.Process
	for _, set := range p.Set {
		if len(set.Held) > maxHeld || len(set.NsPids) > maxNSPids || len(set.Env) > maxEnv || len(set.LayoutFlags) > maxEnv || len(set.LayoutFiles) > telemetry.MaxLayoutFiles {
			return nil, &telemetry.Malformed{What: fmt.Sprintf("a process with %d accelerators, %d namespaces, %d variables and %d configuration files", len(set.Held), len(set.NsPids), len(set.Env), len(set.LayoutFiles))}
		}
		shareWords(set, before)
		before = set
	}
	return p, nil
}

func (t *processTable) drop(k processKey) {
	if p := t.facts[k]; p != nil {
		t.bytes -= sizeOf(p)
		delete(t.facts, k)
		delete(t.usage, k)
	}
}

// sizeOf is about what a process takes in memory.
func sizeOf(p *facts.Process) int {
	n := 400 + len(p.User) + len(p.Comm) + len(p.Command) + len(p.Cgroup) + len(p.Cwd) + len(p.Versions) + 8*len(p.NsPids) + 80*len(p.Held)
	for k, v := range p.Env {
		n += 32 + len(k) + len(v)
	}
	n += 64 * len(p.LayoutFlags)
	for _, f := range p.LayoutFiles {
		n += 200 + len(f.Name) + len(f.Trouble) + 64*len(f.Keys)
	}
	return n
}

// settle puts in order what frames changed. It is left until somebody looks, so that a node which tells the same a thousand times a second pays for
// that alone.
func (t *processTable) settle() {
	if !t.loose {
		return
	}
	t.loose, t.dirty = false, true
	t.version++
	t.order()
	t.identities = jobs.IdentifyAll(t.ordered)
}

// forget drops what was told, as after a reboot.
func (t *processTable) forget() { *t = processTable{version: t.version, loose: true} }

func (t *processTable) order() {
	t.ordered = make([]*facts.Process, 0, len(t.facts))
	t.held = map[int]bool{}
	for _, p := range t.facts {
		t.ordered = append(t.ordered, p)
		for _, h := range p.Held {
			t.held[int(h.Gpu)] = true
		}
	}
	slices.SortFunc(t.ordered, byPid)
}

func byPid(a, b *facts.Process) int {
	return cmp.Or(cmp.Compare(a.Pid, b.Pid), cmp.Compare(a.StartTicks, b.StartTicks))
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
	partHolders [][]Holder // by part of a GPU, as views have them
	on          []string   // jobs
}

func (n *node) showProcesses(b *jobBook) *shownProcesses {
	n.processes.settle()
	if n.shown != nil && n.shown.table == n.processes.version && n.shown.jobs == b.version {
		return n.shown
	}
	s := &shownProcesses{table: n.processes.version, jobs: b.version, on: b.on[n.name]}
	s.list = n.processes.views(b.ranks[n.name])
	if n.inventory != nil {
		s.holders, s.partHolders = holdersOf(s.list, n.inventory, n.partAt)
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
			v.Job, v.Rank, v.Scheduler = at.job, at.rank, at.scheduler
		}
		out[i] = v
	}
	return out
}

func holdersOf(list []*Process, inv *facts.Inventory, partAt []int) (of, ofParts [][]Holder) {
	of = make([][]Holder, len(inv.Gpus))
	if len(inv.GpuParts) > 0 {
		ofParts = make([][]Holder, len(inv.GpuParts))
	}
	for _, p := range list {
		for _, held := range p.Held {
			if int(held.Gpu) >= len(of) {
				continue
			}
			h := Holder{PID: p.Pid, Part: -1, MemBytes: None(), Rank: p.Rank, Job: p.Job}
			if held.MemoryKnown {
				h.MemBytes = Reading(held.MemoryBytes)
			}
			if i := int(held.Part) - 1; i >= 0 && i < len(ofParts) && inv.GpuParts[i].Gpu == held.Gpu {
				h.Part = partAt[i]
				ofParts[h.Part] = append(ofParts[h.Part], h)
			}
			of[held.Gpu] = append(of[held.Gpu], h)
		}
	}
	return of, ofParts
}
