package collectors

import (
	"sync"
	"sync/atomic"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// board is where the sources write and the stream reads. A source reads the system without the lock, then writes what it got under it: the lock
// is never held over a system call. What the pointers lead to is never changed in place, so the stream may encode it after the lock is gone.
type board struct {
	detail  atomic.Bool  // the front end wants the detail level
	everyMS atomic.Int64 // the pace that the front end asked for; 0 = the usual
	moved   atomic.Bool  // an accelerator changed hands: processes are to be looked at before their time
	crowd   atomic.Int32 // how many collectors run on this node, as far as they can be seen
	slower  atomic.Int64 // by how much readings are taken seldomer; 0 = not yet known: not at all
	easedMS int64        // since when by so much

	mu         sync.Mutex
	state      telemetry.State
	inventory  *facts.Inventory // only its lists and messages are replaced; generation grows with each change
	generation uint64
	notes      []condition // by source
	since      []int64     // by source: when it came into its condition
	notesSeen  uint64      // grows with each change of notes
	processes  []*facts.Process
	told       uint64 // grows with each new list of processes
	usage      *facts.Usage
	segments   []*segment        // of accelerators, by source
	events     []*facts.GPUEvent // not yet told
	eventsSent uint64            // sequence of the last event put
	restricted map[string]bool   // PCI addresses of devices that refuse counters: no source is to ask them
}

// Where many users watch one node, their collectors together cost it little more than a few: readings come seldomer while nobody looks closely.
const (
	company     = 5  // so many read at the usual pace; beyond, readings of one are half a second apart for each
	mostStretch = 10 // seconds between readings
	firstStep   = 3  // seconds: whoever sees a pace for the first time takes what is older than 5 s for stale
)

// stretch is by how much readings are taken seldomer.
func (b *board) stretch() int64 {
	if b.detail.Load() {
		return 1
	}
	return max(b.slower.Load(), 1)
}

// ease slows readings down step by step, two of them at each pace, so that none is late by the pace of those before it; it is asked once a tick, at the node's
// monotonic time. They are as quick as wanted at once.
func (b *board) ease(nowMS int64) {
	want, crowd := int64(1), int64(b.crowd.Load())
	if crowd > company && !b.detail.Load() {
		want = min(crowd/2, mostStretch)
	}
	is := max(b.slower.Load(), 1)
	if want > is {
		if nowMS-b.easedMS < 2*1000*is {
			return
		}
		want = min(want, max(firstStep, 2*is))
	}
	if want != is {
		b.slower.Store(want)
		b.easedMS = nowMS
	}
}

// paceMS is how often accelerators are read: as the front end asked, never faster than once a second.
func (b *board) paceMS() int64 { return max(b.everyMS.Load(), 1000) * b.stretch() }

func newBoard(sources int) *board {
	b := &board{generation: 1, inventory: &facts.Inventory{}, notes: make([]condition, sources), since: make([]int64, sources)}
	b.state.Resize(telemetry.ScopeNode, 1)
	b.state.Resize(telemetry.ScopeGroup, int(telemetry.NumGroups))
	b.state.Resize(telemetry.ScopeSource, sources)
	return b
}

// resize says how many entities a scope has now, and that they may mean other things than before. The caller holds the lock and has
// put the scope's new inventory in place.
func (b *board) resize(sc telemetry.Scope, n int) {
	b.state.Resize(sc, 0)
	b.state.Resize(sc, n)
	b.generation++
}

// read notes that a group was read at the time given. The caller holds the lock.
func (b *board) read(g telemetry.Group, monoMS int64) {
	b.state.Set(telemetry.ReadMS, int(g), monoMS)
}

// latest notes when a group was last read, where several sources read parts of it; 0: not at all. The caller holds the lock.
func (b *board) latest(g telemetry.Group, monoMS int64) {
	if monoMS > 0 {
		b.read(g, max(monoMS, b.state.Get(telemetry.ReadMS, int(g))))
	}
}

// maxEvents is how many events of accelerators wait for a stream that is blocked; the oldest go first.
const maxEvents = 256

// event puts what a driver reported. The caller holds the lock.
func (b *board) event(e *facts.GPUEvent) {
	b.eventsSent++
	e.Sequence = b.eventsSent
	if len(b.events) == maxEvents {
		b.events = b.events[1:]
	}
	b.events = append(b.events, e)
}

// note takes a source's condition down. The caller holds the lock.
func (b *board) note(source int, c condition, monoMS int64) {
	b.state.Set(telemetry.SourceStateEnum, source, int64(c.state))
	if b.notes[source] == c {
		return
	}
	b.notes[source] = c
	b.since[source] = monoMS
	b.notesSeen++
}

func (b *board) sourceNotes() *facts.SourceNotes {
	m := &facts.SourceNotes{}
	for i, c := range b.notes {
		m.Notes = append(m.Notes, &facts.SourceNote{
			Source: uint32(i), State: c.state, Text: c.text, Remedy: c.remedy, SinceMonoMs: b.since[i],
		})
	}
	return m
}

// snapshot gives the inventory as it is now, for the encoder. The caller holds the lock.
func (b *board) snapshot() *facts.Inventory {
	i := b.inventory
	return &facts.Inventory{
		Cpu: i.Cpu, MemoryTotalBytes: i.MemoryTotalBytes, Gpus: i.Gpus, Ports: i.Ports, HwCounters: i.HwCounters, Nets: i.Nets, Disks: i.Disks,
		Filesystems: i.Filesystems, Sources: i.Sources, GpuDriverVersion: i.GpuDriverVersion, CudaVersion: i.CudaVersion, Product: i.Product,
		GpuParts: i.GpuParts, GpuLinks: i.GpuLinks, Calls: i.Calls, UnseenGpus: i.UnseenGpus,
	}
}
