package fleet

import (
	"time"

	"foretop/telemetry/facts"
)

// Overview is what a metrics server knows of many nodes at one time. It and all it points to is never changed again.
type Overview struct {
	From  string        // in a word: "prometheus"
	Every time.Duration // how often it is asked
	Nodes []Overseen
	Jobs  []OverseenJob // that another foretop, which the server asks, sees
}

// Overseen is one node as a metrics server knows it. What it does not know is absent.
type Overseen struct {
	Name      string
	At        time.Time // when the newest of it was measured, by our clock
	Host      Host
	GPUs      []GPU            // Info and Slow are set
	Inventory *facts.Inventory // of these GPUs
	State     State            // Live, or how another foretop, which the server asks, does not reach it
	Xids      []OverseenXid    // by GPU
	HearsXids bool             // it would tell of one
}

// A node that a metrics server tells nothing new of is stale after overseenStale, or three rounds, and forgotten after overseenGone.
const (
	overseenStale = 90 * time.Second
	overseenGone  = time.Hour
)

// Overlook takes over what a metrics server says. Its nodes become known; those of which it says nothing any more keep what it said last, and grow old.
func (f *Fleet) Overlook(o *Overview) {
	now := f.opt.Now()
	f.mu.Lock()
	for i := range o.Nodes {
		if name := o.Nodes[i].Name; f.nodes[name] == nil {
			f.nodes[name] = newNode(name, now)
			f.order = nil
			f.generation++
		}
	}
	f.mu.Unlock()
	for i := range o.Nodes {
		if n := f.node(o.Nodes[i].Name); n != nil {
			n.oversee(o, &o.Nodes[i], f.opt.Rules.Kernel)
		}
	}
	f.afar.Store(o)
	for _, name := range f.unseenSince(now.Add(-overseenGone)) {
		f.Remove(name)
	}
}

func (n *node) oversee(o *Overview, seen *Overseen, classify func(string) KernelClass) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.xidsAfar = xidsAfar(n.xidsAfar, o.From, seen, classify)
	n.overseen, n.overseenBy, n.overseenOld = seen, o.From, max(overseenStale, 3*o.Every)
	n.changed = true
}

// unseenSince names the nodes that are known from a metrics server only, and not since a time.
func (f *Fleet) unseenSince(at time.Time) (names []string) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for name, n := range f.nodes {
		n.mu.Lock()
		if n.overseen != nil && n.overseen.At.Before(at) && n.status.State == Waiting {
			names = append(names, name)
		}
		n.mu.Unlock()
	}
	return names
}

// Leave forgets what a node said itself: it is not connected any more, on purpose. What a metrics server says of it stays.
func (f *Fleet) Leave(name string) {
	n := f.node(name)
	if n == nil {
		return
	}
	n.leave(f.opt.Now())
	f.identities.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.generation++ // its jobs are to be assembled without it
}

func (n *node) leave(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.past.free()
	fresh := newNode(n.name, now)
	processes := n.processes.version
	n.status, n.since, n.session, n.detail, n.greeted = fresh.status, now, nil, false, false
	n.hello, n.inventory, n.boot, n.lastFrame, n.lastData = nil, nil, time.Time{}, time.Time{}, time.Time{}
	n.decoder, n.rates, n.fresh, n.slow, n.slowTold = fresh.decoder, fresh.rates, allFresh, nil, false
	n.processes, n.kernel, n.xidEvents, n.notes, n.top = fresh.processes, fresh.kernel, false, nil, nil
	n.groupAt, n.idleSince, n.busyFor, n.past, n.memory, n.shown, n.view = fresh.groupAt, nil, nil, nil, fresh.memory, nil, nil
	n.unlike, n.clock = nil, clockSight{way: None()}
	n.portSlow, n.netCounts = fresh.portSlow, fresh.netCounts
	n.counterDefs, n.nearest, n.nearBy, n.partAt, n.linkAt = nil, nil, nil, nil, nil
	n.processes.version, n.processes.dirty = processes+1, true
	n.changed = true
}

// fromAfar says that a node is shown as a metrics server knows it: it is not connected, is about to be, or cannot be while the server hears of it. That
// somebody has to answer for its host key or password is shown all the same.
func (n *node) fromAfar(now time.Time) bool {
	if n.overseen == nil {
		return false
	}
	switch s := n.status.State; s {
	case Lost, Refused:
		return now.Sub(n.overseen.At) <= n.overseenOld
	case Live:
		return n.lastData.Before(n.since) // before its first sample
	default:
		return s.Pending()
	}
}

// viewAfar is the node as a metrics server knows it.
func (n *node) viewAfar(f *Fleet, now time.Time) *Node {
	o := n.overseen
	v := &Node{
		Name: n.name, State: o.State, Since: n.since, Attempt: n.status.Attempt, NextTry: n.status.NextTry, Banner: n.status.Banner,
		Via: n.overseenBy, LastData: o.At, LastFrame: o.At, Inventory: o.Inventory, Host: o.Host, GPUs: append([]GPU(nil), o.GPUs...),
		Kernel: n.xidsAfar, XidEvents: o.HearsXids, Unlike: n.unlike, ClockOffsetS: None(), ClockWayS: None(),
		Scheduled: f.schedule.nodes[n.name], Self: Self{CPUPct: None(), RSSBytes: None(), SentBytesPerS: None()},
	}
	switch age := now.Sub(o.At); {
	case age > n.overseenOld:
		v.State, v.Cause = Stale, n.overseenBy+" has had nothing new of it for "+age.Round(time.Second).String()
		v.Remedy = "is its exporter up? Enter asks the node itself, over SSH"
	case o.State != Live:
		v.Cause = "so says another foretop, by way of " + n.overseenBy
	}
	if f.opt.Rules.Node != nil {
		v.Problems = f.opt.Rules.Node(v, now, &n.memory)
		n.mark(v)
	}
	if n.status.State.Out() { // somebody opened it, in vain
		v.Problems = append(v.Problems, Problem{Severity: Notice, GPU: -1, Port: -1, Since: n.since, Text: "not connected, " + n.status.State.String() + ": " + n.status.Cause})
		v.Remedy = n.status.Remedy
	}
	return v
}

// agedAfar says that such a view is out of date by time alone.
func (n *node) agedAfar(now time.Time) bool {
	if n.status.State.Out() && now.Sub(n.overseen.At) > n.overseenOld {
		return true
	}
	if n.view.State == Stale {
		return now.Sub(n.viewAt) >= 10*time.Second // all of a fleet may be, when its server is down
	}
	return now.Sub(n.overseen.At) > n.overseenOld
}

// AbsentHost is a host of which nothing is known.
func AbsentHost() Host {
	none := None()
	return Host{
		CPUBusyPct: none, CPUUserPct: none, CPUSystemPct: none, CPUIowaitPct: none, CPUStealPct: none, Load1: none, Load5: none, Load15: none,
		PSICPUSomePct: none, PSIMemorySomePct: none, PSIMemoryFullPct: none, PSIIOSomePct: none, PSIIOFullPct: none,
		ProcsRunning: none, ProcsBlocked: none, Processes: none, MemTotalBytes: none, MemAvailableBytes: none, MemUsedBytes: none,
		MemFreeBytes: none, MemCachedBytes: none, MemBuffersBytes: none, MemShmemBytes: none, MemDirtyBytes: none, MemSlabBytes: none,
		SwapTotalBytes: none, SwapUsedBytes: none, HugePagesTotal: none, HugePagesFree: none, HugePageBytes: none, UptimeS: none, MemCorrected: none, MemUncorrected: none,
	}
}

// AbsentGPU is a GPU of which only is known who it is.
func AbsentGPU(index int, who *facts.GPU, slow *GPUSlow) GPU {
	none := None()
	return GPU{
		Index: index, Info: who, Slow: slow, UtilPct: none, MemUtilPct: none, MemUsedBytes: none, MemTotalBytes: none, TempC: none, MemTempC: none,
		PowerW: none, PowerLimitW: none, SMClockMHz: none, SMClockMaxMHz: none, MemClockMHz: none, MemClockMaxMHz: none,
		SMActivityPct: none, TensorActivityPct: none, DRAMActivityPct: none, ThrottleBits: -1,
		NVLinkTXBytesPerS: none, NVLinkRXBytesPerS: none, NetRxBytesPerS: none, NetTxBytesPerS: none,
	}
}

// AbsentSlow is a GPU's health of which nothing is known.
func AbsentSlow() *GPUSlow {
	none := None()
	rise := Rise{Total: none, Grew: none, last: none}
	return &GPUSlow{
		ECCMode: none, ECCVolatileCorrected: none, ECCVolatileUncorrected: none, ECCAggregateCorrected: none, ECCAggregateUncorrected: none,
		SRAMUncorrected: none, SRAMThresholdExceeded: none, RemappedCorrected: none, RemappedUncorrected: none, RemapPending: none, RemapFailure: none,
		RetiredPagesCorrected: none, RetiredPagesUncorrected: none, RetiredPending: none, PCIeGen: none, PCIeGenMax: none, PCIeWidth: none, PCIeWidthMax: none,
		PCIeReplays: none, SlowdownTempC: none, ShutdownTempC: none, Processes: none, RecoveryAction: -1, FabricState: -1, FabricStatus: -1, FabricHealthBits: -1,
		Links: none, LinksUp: none, LinksMost: none, NVLinkReplays: rise, NVLinkRecoveries: rise, NVLinkCRCErrors: rise, C2CLinks: none, C2CLinksUp: none,
		Resets: rise, ExecErrors: rise,
	}
}
