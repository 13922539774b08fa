package fleet

import (
	"math"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// gauge is a reading as a number, NaN for absent.
func gauge(st *telemetry.State, m telemetry.Metric, entity int) float64 {
	if v := st.Get(m, entity); v != telemetry.Absent {
		return float64(v)
	}
	return math.NaN()
}

func share(st *telemetry.State, part, whole telemetry.Metric, entity int) float64 {
	p, w := gauge(st, part, entity), gauge(st, whole, entity)
	if !(w > 0) {
		return math.NaN()
	}
	return 100 * p / w
}

// cpu is how the time of all CPUs was spent, in percent.
type cpu struct{ busy, user, system, iowait, steal Reading }

func cpuShares(r *telemetry.Rates) cpu {
	user, system := r.Rate(telemetry.CPUUserMS, 0), r.Rate(telemetry.CPUSystemMS, 0)
	idle, iowait, steal := r.Rate(telemetry.CPUIdleMS, 0), r.Rate(telemetry.CPUIowaitMS, 0), r.Rate(telemetry.CPUStealMS, 0)
	total := add(add(add(add(user, system), idle), iowait), steal)
	pct := func(v float64) Reading {
		if !(total > 0) {
			return None()
		}
		return Reading(100 * v / total)
	}
	return cpu{busy: pct(add(add(user, system), steal)), user: pct(user), system: pct(system), iowait: pct(iowait), steal: pct(steal)}
}

// freshScopes says of which scopes something arrived since the last view; what is not fresh is taken over from it.
type freshScopes uint32

const allFresh freshScopes = ^freshScopes(0)

func (f *freshScopes) note(d *telemetry.Decoder) {
	for sc := range telemetry.NumScopes {
		if d.TouchedScope(sc) {
			*f |= 1 << sc
		}
	}
}

// kept gives the list of the last view where nothing of its scope arrived since, else a new one.
func kept[T any](n *node, sc telemetry.Scope, last func(*Node) []T, make func() []T) []T {
	if n.fresh&(1<<sc) == 0 && n.view != nil {
		return last(n.view)
	}
	return make()
}

// makeView clones what the node says now into an immutable Node.
func (n *node) makeView(f *Fleet, now time.Time) *Node {
	if n.fromAfar(now) {
		return n.viewAfar(f, now)
	}
	st := n.decoder.State()
	shown := n.showProcesses(&f.jobs)
	v := &Node{
		Name: n.name, State: n.status.State, Cause: n.status.Cause, Remedy: n.status.Remedy, Since: n.since,
		Attempt: n.status.Attempt, NextTry: n.status.NextTry, Banner: n.status.Banner, HostKey: n.status.HostKey,
		LastFrame: n.lastFrame, LastData: n.lastData,
		Hello: n.hello, Inventory: n.inventory, Boot: n.boot,
		Scheduled: f.schedule.nodes[n.name],
		Processes: shown.list, ProcessesTold: n.processes.told, Jobs: shown.on, Top: n.top,
		Kernel: n.kernel.view(), KernelLost: n.kernel.lost, KernelUntold: n.kernel.untold, XidEvents: n.xidEvents,
	}
	n.viewState(v, f, now)
	v.Unlike = n.unlike
	v.ClockOffsetS, v.ClockWayS = n.clockOffset(), n.clock.way
	v.Host = n.viewHost(st, now)
	if n.inventory != nil {
		v.GPUs = n.viewGPUs(f, st, shown.holders, now)
		v.Parts = n.viewParts(st, shown.partHolders)
		v.Links, v.Calls = n.viewLinks(st, now), n.viewCalls(st, now)
		v.Ports = n.viewPorts(st, now)
		v.Nets = n.viewNets(st, now)
		v.Disks = n.viewDisks(st, now)
		v.FS = kept(n, telemetry.ScopeFS, func(v *Node) []Filesystem { return v.FS }, func() []Filesystem { return n.viewFS(st) })
		v.Cores = n.viewCores(st)
		v.Sources = kept(n, telemetry.ScopeSource, func(v *Node) []Source { return v.Sources }, func() []Source { return n.viewSources(st) })
		n.fresh = 0
	}
	v.Self = Self{
		CPUPct:        Reading(n.rate(telemetry.SelfCPUUS, 0, now) / 10_000),
		RSSBytes:      Reading(gauge(st, telemetry.SelfRSSBytes, 0)),
		SentBytesPerS: Reading(n.rate(telemetry.SelfSentBytes, 0, now)),
		Every:         n.pace.every, Late: n.pace.late, Spared: n.pace.spared,
	}
	if f.opt.Rules.Node != nil {
		v.Problems = f.opt.Rules.Node(v, now, &n.memory)
		n.mark(v)
	}
	return v
}

// viewState holds the connection's word against what arrived: live is who sends samples.
func (n *node) viewState(v *Node, f *Fleet, now time.Time) {
	if v.State != Live {
		return
	}
	switch age := now.Sub(n.lastData); {
	case n.lastData.Before(n.since) && now.Sub(n.since) <= f.opt.StaleAfter:
		v.State, v.Cause = Deploying, "waiting for its first sample"
	case age > n.pace.patience(f.opt.StaleAfter):
		v.State = Stale
		if v.Cause == "" {
			v.Cause = "no sample for " + age.Round(time.Second).String()
		}
	}
}

// mark carries the problems' severity to the GPUs and ports that they name.
func (n *node) mark(v *Node) {
	for _, p := range v.Problems {
		if p.GPU >= 0 && p.GPU < len(v.GPUs) {
			v.GPUs[p.GPU].Severity = max(v.GPUs[p.GPU].Severity, p.Severity)
		}
		if p.Port >= 0 && p.Port < len(v.Ports) {
			v.Ports[p.Port].Severity = max(v.Ports[p.Port].Severity, p.Severity)
		}
	}
}

func (n *node) viewHost(st *telemetry.State, now time.Time) Host {
	get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, 0)) }
	pct := func(m telemetry.Metric) Reading { return Reading(n.rate(m, 0, now) / 10_000) } // µs a second
	c := cpu{None(), None(), None(), None(), None()}
	if !n.groupAt[telemetry.GroupHost].stale(now) {
		c = cpuShares(&n.rates)
	}
	return Host{
		CPUBusyPct: c.busy, CPUUserPct: c.user, CPUSystemPct: c.system, CPUIowaitPct: c.iowait, CPUStealPct: c.steal,
		Load1: get(telemetry.Load1Milli) / 1000, Load5: get(telemetry.Load5Milli) / 1000, Load15: get(telemetry.Load15Milli) / 1000,
		PSICPUSomePct: pct(telemetry.PSICPUSomeUS), PSIMemorySomePct: pct(telemetry.PSIMemorySomeUS), PSIMemoryFullPct: pct(telemetry.PSIMemoryFullUS),
		PSIIOSomePct: pct(telemetry.PSIIOSomeUS), PSIIOFullPct: pct(telemetry.PSIIOFullUS),
		ProcsRunning: get(telemetry.ProcsRunning), ProcsBlocked: get(telemetry.ProcsBlocked), Processes: get(telemetry.ProcessCount),
		MemTotalBytes: get(telemetry.MemTotalBytes), MemAvailableBytes: get(telemetry.MemAvailableBytes),
		MemUsedBytes: get(telemetry.MemTotalBytes) - get(telemetry.MemAvailableBytes),
		MemFreeBytes: get(telemetry.MemFreeBytes), MemCachedBytes: get(telemetry.MemCachedBytes), MemBuffersBytes: get(telemetry.MemBuffersBytes),
		MemShmemBytes: get(telemetry.MemShmemBytes), MemDirtyBytes: get(telemetry.MemDirtyBytes), MemSlabBytes: get(telemetry.MemSlabBytes),
		SwapTotalBytes: get(telemetry.SwapTotalBytes), SwapUsedBytes: get(telemetry.SwapTotalBytes) - get(telemetry.SwapFreeBytes),
		HugePagesTotal: get(telemetry.HugePagesTotal), HugePagesFree: get(telemetry.HugePagesFree), HugePageBytes: get(telemetry.HugePageBytes),
		UptimeS: get(telemetry.UptimeMS) / 1000, MemCorrected: get(telemetry.MemCorrectedErrors), MemUncorrected: get(telemetry.MemUncorrectedErrors),
	}
}

func (n *node) viewSources(st *telemetry.State) []Source {
	out := make([]Source, len(n.inventory.Sources))
	for i, inv := range n.inventory.Sources {
		s := Source{Name: inv.Name, EveryMS: inv.EveryMs, CallUS: Reading(gauge(st, telemetry.SourceCallUS, i)),
			StuckS: Reading(gauge(st, telemetry.SourceStuckMS, i)) / 1000}
		if v := st.Get(telemetry.SourceStateEnum, i); v != telemetry.Absent && v >= 0 && v <= int64(facts.SourceState_SOURCE_STUCK) {
			s.State = facts.SourceState(v)
		}
		if i < len(n.notes) && n.notes[i] != nil {
			s.Text, s.Remedy = n.notes[i].Text, n.notes[i].Remedy
		}
		out[i] = s
	}
	return out
}
