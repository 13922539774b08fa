package fleet

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// node is the mutable state of one node. Everything below mu is guarded by it.
type node struct {
	listed bool // its name is a scheduler's own
	name   string
	hears  atomic.Bool // a stream of it was greeted, and is open

	mu          sync.Mutex
	changed     bool // since the last view was made
	removed     bool // from the fleet; frames may still arrive
	status      Status
	since       time.Time
	session     *session
	pace        linkPace
	detail      bool // the level that the screen asks for
	greeted     bool // this stream said hello
	hello       *facts.Hello
	inventory   *facts.Inventory
	boot        time.Time // when the node booted, on our clock
	lastFrame   time.Time
	lastData    time.Time
	decoder     telemetry.Decoder
	fresh       freshScopes
	slow        []GPUSlow // by GPU, shared by views
	slowTold    bool      // something of them was told since they were made
	slowAt      time.Time // when it last was
	rates       telemetry.Rates
	processes   processTable
	kernel      kernelTail
	xidEvents   bool // the driver tells Xids by itself, on this stream
	notes       []*facts.SourceNote
	top         []*facts.ProcessUsage
	groupAt     [telemetry.NumGroups]groupTime
	idleSince   []time.Time     // by GPU: held and doing nothing since
	busyFor     []time.Duration // by GPU: how much of late speaks against its idleness
	idleAt      time.Time       // when that was last looked at
	nearest     []int           // by port: the GPU it belongs to
	nearBy      []Nearness      // and how that is known
	portSlow    shelf[portSlow]
	netCounts   shelf[NetCounts]
	counterDefs []telemetry.CounterDef // of the inventory's hw_counters; nil: nobody has asked yet
	partAt      []int                  // by part of the inventory: its place in views
	linkAt      []int                  // by link of the inventory
	past        *past
	memory      Memory // of the rules
	shown       *shownProcesses
	view        *Node // as last published
	viewAt      time.Time
	heardAt     time.Time // when something of it last changed
	jobsVersion uint64    // of the job book that the view was made with
	unlike      []Problem // what the comparison with other nodes found
	clock       clockSight

	overseen    *Overseen     // what a metrics server says of it; nil: none is asked, or it says nothing
	overseenBy  string        // which
	overseenOld time.Duration // from which age on that is stale
	xidsAfar    []KernelLine  // of the Xids that it tells
}

// groupTime tells when a group of readings last moved: the node's clock says what was read when, ours says how old that is.
type groupTime struct {
	readMS int64
	at     time.Time
	period time.Duration // between the last two reads
}

// staleAfter is how old readings may be at least before they are stale: some nodes read them slower than once a second.
const staleAfter = 5 * time.Second

// age is how long ago the group was read; 0 when that is not known.
func (g *groupTime) age(now time.Time) time.Duration {
	if g.at.IsZero() {
		return 0
	}
	return max(0, now.Sub(g.at))
}

// stale says that the group was not read for longer than its pace explains: its values are the past's.
func (g *groupTime) stale(now time.Time) bool { return g.age(now) > max(staleAfter, 3*g.period) }

func newNode(name string, now time.Time) *node {
	return &node{name: name, since: now, changed: true, clock: clockSight{way: None()}}
}

func (n *node) apply(f *Fleet, kind telemetry.Kind, payload []byte, at time.Time) (Reply, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lastFrame = at
	n.changed, n.heardAt = true, at
	n.clock.heard(at)
	if !n.greeted && kind != telemetry.KindHello {
		return Reply{}, &telemetry.Malformed{What: "a frame before hello"}
	}
	reply, err := n.take(f, kind, payload, at)
	if f.opt.Tap != nil && kind != telemetry.KindSample && !n.removed && err == nil {
		f.opt.Tap.Frame(n.name, kind, payload, at)
	}
	return reply, err
}

func (n *node) take(f *Fleet, kind telemetry.Kind, payload []byte, at time.Time) (Reply, error) {
	switch kind {
	case telemetry.KindHello:
		f.identities.Add(1)
		return n.applyHello(payload, at)
	case telemetry.KindInventory:
		return Reply{}, n.applyInventory(f, payload)
	case telemetry.KindSample:
		return n.applySample(f, payload, at)
	case telemetry.KindProcesses:
		return Reply{}, n.processes.apply(f.opt.Unpacked, payload)
	case telemetry.KindUsage:
		return Reply{}, n.applyUsage(payload)
	case telemetry.KindKernelLog:
		return Reply{}, n.kernel.apply(payload, f.opt.Rules.Kernel, n)
	case telemetry.KindGPUEvents:
		return Reply{}, n.applyEvents(payload, f.opt.Rules.Kernel)
	case telemetry.KindRAS:
		return Reply{}, n.applyRAS(f, payload, at)
	case telemetry.KindSourceNotes:
		return Reply{}, n.applyNotes(payload)
	}
	return Reply{}, nil // a newer collector's; also bye, whose words come with the end of the stream
}

func (n *node) applyHello(payload []byte, at time.Time) (Reply, error) {
	h := new(facts.Hello)
	if err := facts.Decode(payload, h); err != nil {
		return Reply{}, err
	}
	if h.ProtocolMajor != telemetry.ProtocolMajor {
		return Reply{}, &telemetry.Malformed{What: fmt.Sprintf("protocol %d.%d, this foretop speaks %d.%d: its collector is of another version",
			h.ProtocolMajor, h.ProtocolMinor, telemetry.ProtocolMajor, telemetry.ProtocolMinor)}
	}
	if n.hello != nil && n.hello.BootId != h.BootId {
		n.kernel = kernelTail{}
		n.processes.forget()
	}
	n.hello, n.greeted = h, true
	n.boot = at.Add(-time.Duration(h.MonoMs) * time.Millisecond)
	n.pace = linkPace{}
	n.clock.restart()
	n.decoder = telemetry.Decoder{}
	n.rates = telemetry.Rates{}
	n.portSlow, n.netCounts = shelf[portSlow]{}, shelf[NetCounts]{}
	n.groupAt = [telemetry.NumGroups]groupTime{}
	n.notes, n.top = nil, nil
	n.kernel.xids.reset()
	n.xidEvents = false
	n.processes.use(nil)
	n.fresh = allFresh
	return Reply{Start: &facts.Start{
		ProtocolMajor: telemetry.ProtocolMajor, ProtocolMinor: telemetry.ProtocolMinor,
		BootId: h.BootId, KernelSequence: n.kernel.last, KernelVia: n.kernel.via,
	}}, nil
}

func (n *node) applyInventory(f *Fleet, payload []byte) error {
	inv, err := f.readInventory(payload)
	if err != nil {
		return err
	}
	n.inventory = inv
	n.fresh, n.slowTold = allFresh, true
	n.shown = nil
	n.processes.dirty = true // which GPU a rank sees may depend on it
	n.nearest, n.nearBy = nearestGPUs(inv)
	n.portSlow, n.netCounts, n.counterDefs = shelf[portSlow]{}, shelf[NetCounts]{}, nil
	n.arrange(inv)
	n.kernel.locate(inv)
	return nil
}

// readInventory takes an inventory apart, and checks it.
func (f *Fleet) readInventory(payload []byte) (*facts.Inventory, error) {
	if u := f.opt.Unpacked; u != nil {
		return u.inventories.of(payload, f.unpackInventory)
	}
	return f.unpackInventory(payload)
}

func (f *Fleet) unpackInventory(payload []byte) (*facts.Inventory, error) {
	inv := new(facts.Inventory)
	if err := facts.Decode(payload, inv); err != nil {
		return nil, err
	}
	if err := checkInventory(inv); err != nil {
		return nil, err
	}
	f.shared.share(inv)
	return inv, nil
}

// checkInventory says what of an inventory cannot be.
func checkInventory(inv *facts.Inventory) error {
	for sc, have := range map[telemetry.Scope]int{
		telemetry.ScopeGPU: len(inv.Gpus), telemetry.ScopePort: len(inv.Ports), telemetry.ScopeHWCounter: len(inv.HwCounters),
		telemetry.ScopeNet: len(inv.Nets), telemetry.ScopeDisk: len(inv.Disks), telemetry.ScopeFS: len(inv.Filesystems),
		telemetry.ScopeSource: len(inv.Sources), telemetry.ScopeGPUPart: len(inv.GpuParts), telemetry.ScopeGPULink: len(inv.GpuLinks),
		telemetry.ScopeCall: len(inv.Calls),
	} {
		if have > telemetry.MaxEntities(sc) {
			return &telemetry.Malformed{What: fmt.Sprintf("inventory of %d entries where %d are allowed", have, telemetry.MaxEntities(sc))}
		}
	}
	for _, c := range inv.HwCounters {
		if int(c.Port) >= len(inv.Ports) {
			return &telemetry.Malformed{What: "a counter of a port that is not there"}
		}
	}
	return accelerators(inv)
}

// accelerators checks what an inventory says belongs to which accelerator.
func accelerators(inv *facts.Inventory) error {
	gpus := uint32(len(inv.Gpus))
	for _, p := range inv.GpuParts {
		if p.Gpu >= gpus {
			return &telemetry.Malformed{What: "a part of a GPU that is not there"}
		}
	}
	for _, l := range inv.GpuLinks {
		if l.Gpu >= gpus {
			return &telemetry.Malformed{What: "a link of a GPU that is not there"}
		}
	}
	for _, c := range inv.Calls {
		if int(c.Source) >= len(inv.Sources) {
			return &telemetry.Malformed{What: "a call of a source that is not there"}
		}
	}
	if len(inv.UnseenGpus) > telemetry.MaxEntities(telemetry.ScopeGPU) {
		return &telemetry.Malformed{What: fmt.Sprintf("%d GPUs that are not visible", len(inv.UnseenGpus))}
	}
	return nil
}

func (n *node) applySample(f *Fleet, payload []byte, at time.Time) (Reply, error) {
	s, needWhole, err := n.decoder.Apply(payload)
	if err != nil || needWhole {
		return Reply{Whole: needWhole}, err
	}
	if f.opt.Tap != nil && !n.removed {
		f.opt.Tap.Sample(n.name, &n.decoder, at)
	}
	n.rates.Update(&n.decoder)
	n.lastData = at
	n.clock.sample(n.decoder.State().Get(telemetry.WallOffsetMS, 0))
	n.fresh.note(&n.decoder)
	st := n.decoder.State()
	if n.decoder.TouchedGroup(telemetry.GroupGPUSlow) {
		n.slowTold, n.slowAt = true, at
		if f.opt.Replay && n.inventory != nil { // nobody may look before it is told anew
			n.readSlow(st, at)
		}
	}
	for g := range n.groupAt {
		if t := st.Get(telemetry.ReadMS, g); t != telemetry.Absent && t != n.groupAt[g].readMS {
			// The read was somewhat before the sample was sent: the node's own clock says how much.
			was := n.groupAt[g].readMS
			n.groupAt[g] = groupTime{readMS: t, at: at.Add(-time.Duration(max(0, min(s.MonoMS-t, 60_000))) * time.Millisecond)}
			if was > 0 && t > was {
				n.groupAt[g].period = time.Duration(t-was) * time.Millisecond
			}
		}
	}
	n.noteIdle(at)
	n.remember(f, at)
	n.pace.sample(time.Duration(s.MonoMS)*time.Millisecond, at, n.boot)
	if n.pace.spared = 0; !n.detail {
		n.pace.spared = Sparing(int(f.size.Load()))
	}
	return Reply{Every: n.pace.due()}, nil
}

func (n *node) applyUsage(payload []byte) error {
	u := new(facts.Usage)
	if err := facts.Decode(payload, u); err != nil {
		return err
	}
	n.processes.use(u.Told)
	n.top = u.Top
	return nil
}

func (n *node) applyNotes(payload []byte) error {
	notes := new(facts.SourceNotes)
	if err := facts.Decode(payload, notes); err != nil {
		return err
	}
	for _, note := range notes.Notes {
		if int(note.Source) >= telemetry.MaxEntities(telemetry.ScopeSource) {
			return &telemetry.Malformed{What: "a note of an unknown source"}
		}
		for int(note.Source) >= len(n.notes) {
			n.notes = append(n.notes, nil)
		}
		n.notes[note.Source] = note
	}
	n.fresh |= 1 << telemetry.ScopeSource
	return nil
}

// A held GPU below idleUtilPct does nothing. A moment of work does not end its idleness: work of busyEnough does, where each second of work counts and
// ten without take one away. Who works for more than about a tenth of the time is thus never idle.
const (
	idleUtilPct = 5
	busyEnough  = 5 * time.Second
	busyForgets = 10
)

func (n *node) noteIdle(at time.Time) {
	st := n.decoder.State()
	if more := st.Count(telemetry.ScopeGPU) - len(n.idleSince); more > 0 {
		n.idleSince = append(n.idleSince, make([]time.Time, more)...)
		n.busyFor = append(n.busyFor, make([]time.Duration, more)...)
	}
	stale := n.groupAt[telemetry.GroupGPU].stale(at)
	passed := min(max(0, at.Sub(n.idleAt)), busyEnough)
	n.idleAt = at
	for i := range n.idleSince {
		util := st.Get(telemetry.GPUUtilPct, i)
		switch idle, busy := &n.idleSince[i], &n.busyFor[i]; {
		case stale || util == telemetry.Absent || !n.processes.holds(i):
			*idle, *busy = time.Time{}, 0
		case idle.IsZero() && util < idleUtilPct:
			*idle, *busy = at, 0
		case util < idleUtilPct:
			*busy = max(0, *busy-passed/busyForgets)
		case !idle.IsZero():
			if *busy += passed; *busy >= busyEnough {
				*idle, *busy = time.Time{}, 0
			}
		}
	}
}

// setDetail asks for another level; the node is told at once, without waiting for it.
func (n *node) setDetail(f *Fleet, detail bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.detail == detail {
		return
	}
	if f.opt.Tap != nil && !n.removed {
		f.opt.Tap.Level(n.name, detail, f.opt.Now())
	}
	n.detail = detail
	if !detail {
		n.processes.use(nil)
		n.top = nil
		n.changed = true
	}
	if s := n.session; s != nil && s.greeted && !s.telling {
		s.telling = true
		go s.tellLevel(n)
	}
}

// rate is a counter's change a second, NaN where it is not known or is the past's.
func (n *node) rate(m telemetry.Metric, entity int, now time.Time) float64 {
	if n.groupAt[telemetry.GroupOf(m)].stale(now) {
		return math.NaN()
	}
	return n.rates.Rate(m, entity)
}
