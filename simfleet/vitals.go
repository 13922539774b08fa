package simfleet

import (
	"math"
	"time"

	"foretop/telemetry"
)

// vitals are a node's readings and what they grow from. They are made when the node is first asked, and anew when it has rebooted.
type vitals struct {
	state    telemetry.State
	noise    noise
	boots    int
	boot     time.Duration // when, in virtual time
	last     time.Duration // the moment of the readings
	started  bool
	detailed time.Duration // the moment of the detail readings
	read     [telemetry.NumGroups]time.Duration

	gpus  [gpusPerNode]gpuVitals
	ports [numPorts]portVitals
	host  hostVitals

	doings []doing // scratch of advance
}

// paces says how often the collector reads each group.
var paces = [telemetry.NumGroups]time.Duration{
	telemetry.GroupHost: time.Second, telemetry.GroupGPU: time.Second, telemetry.GroupGPUSlow: 30 * time.Second, telemetry.GroupPort: time.Second,
	telemetry.GroupPortErrors: 10 * time.Second, telemetry.GroupNet: time.Second, telemetry.GroupDisk: time.Second, telemetry.GroupFS: 30 * time.Second,
	telemetry.GroupSelf: time.Second, telemetry.GroupGPULinks: time.Second, telemetry.GroupNetErrors: 10 * time.Second, telemetry.GroupCalls: time.Second,
}

func newVitals(n *Node, boot time.Duration, boots int, at time.Duration) *vitals {
	v := &vitals{boots: boots, boot: boot, detailed: -1, noise: noise(n.id(word("noise"), uint64(boots)))}
	for _, c := range []struct {
		scope telemetry.Scope
		n     int
	}{
		{telemetry.ScopeNode, 1}, {telemetry.ScopeGroup, int(telemetry.NumGroups)}, {telemetry.ScopeSource, numSources}, {telemetry.ScopeGPU, n.gpuCount()},
		{telemetry.ScopePort, n.machine.ports}, {telemetry.ScopeHWCounter, n.machine.ports * len(hwCounters)}, {telemetry.ScopeNet, n.machine.nets}, {telemetry.ScopeDisk, numDisks},
		{telemetry.ScopeFS, numFS}, {telemetry.ScopeCore, numThreads}, {telemetry.ScopeGPULink, n.gpuCount() * n.machine.links},
		{telemetry.ScopeGPUPart, len(n.machine.parts)}, {telemetry.ScopeCall, len(n.machine.inventory.Calls)},
	} {
		v.state.Resize(c.scope, c.n)
	}
	// What was counted before the fleet's time: as if the node had always run about as it runs now.
	v.backdate(n, max(0, at-boot))
	return v
}

// load is what the jobs of a node did in a window, added up.
type load struct {
	slots    []doing
	seconds  float64 // the window, as long as counters have to grow
	cores    float64 // busy
	memory   float64 // bytes
	shm      float64
	readMBs  float64
	saveMBs  float64
	netGBs   [gpusPerNode]float64 // of each RDMA port, each way
	saving   float64              // share of the window in which a checkpoint was written
	reading  float64              // … in which data was waited for
	starving float64              // … in which GPUs waited for it for longer than a healthy job's do
}

// advance brings the readings up to a moment.
func (v *vitals) advance(n *Node, at time.Duration) {
	window := time.Second
	l := load{seconds: 1, slots: v.doings[:0]}
	if v.started {
		l.seconds = (at - v.last).Seconds()
		window = min(at-v.last, 10*time.Second)
	}
	_, local := n.model.cycle(at)
	for _, s := range n.slots {
		l.add(n, s, s.job.during(at-window, at), at)
	}
	v.doings = l.slots
	v.misroute(n, &l, local)
	for g := range gpusPerNode {
		v.gpu(n, g, &l, local)
	}
	v.parts(n)
	v.port(n, &l, local)
	v.hostReadings(n, &l, at, local)
	first := !v.started
	v.last, v.started = at, true
	if first || at-v.read[telemetry.GroupGPUSlow] >= paces[telemetry.GroupGPUSlow] {
		v.gpuSlow(n, at, local)
		v.read[telemetry.GroupGPUSlow] = at
	}
	if first || at-v.read[telemetry.GroupPortErrors] >= paces[telemetry.GroupPortErrors] {
		v.portErrors(n, at)
		v.read[telemetry.GroupPortErrors], v.read[telemetry.GroupNetErrors] = at, at
	}
	if first || at-v.read[telemetry.GroupFS] >= paces[telemetry.GroupFS] {
		v.filesystems(n, at)
		v.read[telemetry.GroupFS] = at
	}
	for g := range telemetry.NumGroups {
		if paces[g] <= time.Second {
			v.read[g] = at
		}
		v.state.Set(telemetry.ReadMS, int(g), (v.read[g] - v.boot).Milliseconds())
	}
	v.sources(n, local)
	v.wear(n, at, local)
}

// add takes in what one job did on the node.
func (l *load) add(n *Node, s slot, d doing, at time.Duration) {
	l.slots = append(l.slots, d)
	p := &s.job.pattern
	up := 1 - d.all.down
	if n.killed(s, at) {
		up = 0
	}
	work := d.all.compute + d.all.comm + d.all.wait + d.all.data
	ramp := 1 - 0.55*d.all.load
	l.cores += p.cores * (work + 0.6*d.all.load + 0.3*d.all.checkpoint) * up
	l.cores += p.cores * 0.9 * d.all.idle * up         // compilers
	l.cores += float64(s.job.ranks) * d.all.stall * up // a rank that waits spins on one core
	l.memory += p.hostGiB * float64(gib) * ramp * up
	l.shm += p.shmGiB * float64(gib) * ramp * up
	l.readMBs += (p.readMBs*(d.all.compute+d.all.comm) + (p.memGiB*40)*d.all.load) * up
	saves := d.all.checkpoint
	if d.all.stall > 0 && d.guilty && d.at.member == s.member {
		saves += d.culprit.checkpoint
	}
	if _, local := n.model.cycle(at); n.jams(s.job, local) {
		saves *= 0.004
	}
	l.saveMBs += p.writeMBs * saves * up
	l.saving += saves * up
	if d.starved > 0 {
		l.starving = max(l.starving, d.starved*up)
		l.readMBs += 2 * p.readMBs * d.starved * up
	}
	l.reading += (d.all.data*0.4 + d.all.load) * up
	if len(s.job.member) > 1 {
		for _, g := range s.job.device {
			l.netGBs[g] = min(portLimitGBs, p.netGBs*(d.all.comm*1.25+d.all.compute*0.35)) * up
		}
	}
}

// sources says how each of the collector's sources does.
func (v *vitals) sources(n *Node, local time.Duration) {
	const ok, unsupported, denied = 1, 2, 3 // facts.SourceState
	for i := range numSources {
		state := int64(ok)
		switch {
		case i == sourceKernelLog && n.kernelDenied(local):
			state = denied
		case i >= sourceNVIDIA && i <= sourceHuawei && i != n.machine.source, i == sourceRDMA && n.machine.ports == 0:
			state = unsupported
		}
		v.state.Set(telemetry.SourceStateEnum, i, state)
	}
}

func round(f float64) int64 { return int64(math.Round(f)) }
