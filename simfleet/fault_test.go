package simfleet

import (
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// world is a model with readings taken of some nodes every second, as a collector does.
type world struct {
	*Model
	at time.Duration
}

func newWorld(t *testing.T, faults string) *world {
	t.Helper()
	s, err := Parse(t.Name(), []byte("name: test\nfaults:\n"+faults))
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewModel(ModelOptions{Nodes: 64, Seed: 3, Scenario: s, Epoch: epoch})
	if err != nil {
		t.Fatal(err)
	}
	return &world{Model: m}
}

// role is the job of a role.
func (w *world) role(t *testing.T, role string) *job {
	t.Helper()
	for _, j := range w.jobs {
		if j.role == role {
			return j
		}
	}
	t.Fatalf("no job is the %s", role)
	return nil
}

func (w *world) member(t *testing.T, role string, i int) *Node {
	t.Helper()
	return w.nodes[w.role(t, role).member[i]]
}

// until takes readings of the nodes each second up to a moment.
func (w *world) until(at time.Duration, nodes ...*Node) {
	for ; w.at < at; w.at += time.Second {
		for _, n := range nodes {
			n.Sample(w.at, telemetry.Detail, func(*telemetry.State, time.Duration) {})
		}
	}
	w.at = at
	for _, n := range nodes {
		n.Sample(at, telemetry.Detail, func(*telemetry.State, time.Duration) {})
	}
}

// mean is a metric's mean over some seconds; the world goes on by them.
func (w *world) mean(n *Node, m telemetry.Metric, entity, seconds int) float64 {
	sum := 0.0
	for range seconds {
		w.until(w.at+time.Second, n)
		sum += float64(get(n, m, entity))
	}
	return sum / float64(seconds)
}

// get is the last reading.
func get(n *Node, m telemetry.Metric, entity int) int64 { return n.vitals.state.Get(m, entity) }

func (w *world) log(n *Node) string {
	var b strings.Builder
	for _, r := range n.KernelLog(w.at, bootSequence-1) {
		b.WriteString(r.Text + "\n")
	}
	return b.String()
}

func (w *world) pids(n *Node) (pids []int32) {
	_, list := n.Processes(w.at)
	for _, p := range list {
		pids = append(pids, p.Pid)
	}
	return pids
}

// traffic is the bytes a second that a port has taken in over some seconds.
func (w *world) traffic(n *Node, port, seconds int) float64 {
	before := get(n, telemetry.PortRcvDataBytes, port)
	w.until(w.at+time.Duration(seconds)*time.Second, n)
	return float64(get(n, telemetry.PortRcvDataBytes, port)-before) / float64(seconds)
}

func between(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s is %g, want %g to %g", what, got, low, high)
	}
}

// hung checks what a GPU looks like whose rank waits in a collective for ever.
func (w *world) hung(t *testing.T, n *Node, g int) {
	t.Helper()
	between(t, "utilisation of a waiting rank", w.mean(n, telemetry.GPUUtilPct, g, 5), 99, 100)
	between(t, "power of a waiting rank, of its limit", w.mean(n, telemetry.GPUPowerMW, g, 5)/powerLimitW/1000, 0.19, 0.26)
	between(t, "its tensor activity", w.mean(n, telemetry.GPUTensorActivityPermille, g, 5), 0, 5)
	between(t, "its port's traffic", w.traffic(n, g, 10), 0, 1e5)
}

// works checks what it looks like when all is well.
func (w *world) works(t *testing.T, n *Node, g int) {
	t.Helper()
	between(t, "power of a working rank, of its limit", w.mean(n, telemetry.GPUPowerMW, g, 30)/powerLimitW/1000, 0.6, 1)
	between(t, "its tensor activity", w.mean(n, telemetry.GPUTensorActivityPermille, g, 30), 150, 600)
	between(t, "its port's traffic", w.traffic(n, g, 30), 3e9, 40e9)
}

func TestGPULost(t *testing.T) {
	w := newWorld(t, "  - {at: 160s, for: 60s, fault: gpu-lost, job: pretrain, member: 16, gpu: 3}\n")
	n, far := w.member(t, "pretrain", 16), w.member(t, "pretrain", 2)
	w.until(5*time.Second, n, far)
	w.works(t, n, 3)
	pids := w.pids(n)
	w.until(170*time.Second, n, far)
	if get(n, telemetry.GPUStatus, 3) != telemetry.GPULost {
		t.Errorf("status %d", get(n, telemetry.GPUStatus, 3))
	}
	for _, d := range telemetry.Defs() {
		if d.ID.Scope() == telemetry.ScopeGPU && d.ID != telemetry.GPUStatus && get(n, d.ID, 3) != telemetry.Absent {
			t.Errorf("%s of the lost GPU is %d, want it absent", d.Name, get(n, d.ID, 3))
		}
	}
	if log := w.log(n); !strings.Contains(log, "NVRM: Xid (PCI:0000:61:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.") {
		t.Errorf("the kernel says\n%s", log)
	}
	if !slices.Equal(w.pids(n), pids) {
		t.Errorf("processes %v, before %v", w.pids(n), pids)
	}
	w.hung(t, n, 2)
	w.until(195*time.Second, far)
	w.hung(t, far, 0)
	w.until(275*time.Second, n, far)
	if get(n, telemetry.GPUStatus, 3) != telemetry.GPUOK || get(n, telemetry.GPUMemTotalBytes, 3) != gpuMemoryBytes {
		t.Error("the GPU did not come back")
	}
	if slices.Equal(w.pids(n), pids) {
		t.Error("the job was not started anew")
	}
	w.works(t, n, 3)
	w.until(w.at, far)
	w.works(t, far, 0)
}

func TestGPULostUntilReboot(t *testing.T) {
	w := newWorld(t, "  - {at: 10s, for: 60s, fault: gpu-lost, job: pretrain, member: 1, gpu: 0, reboot: true}\n")
	n := w.member(t, "pretrain", 1)
	w.until(25*time.Second, n)
	boot := n.BootID(w.at)
	if n.Condition(w.at).Dead || get(n, telemetry.GPUStatus, 0) != telemetry.GPULost || w.log(n) == "" {
		t.Error("no lost GPU on a node that answers")
	}
	if !n.Condition(31*time.Second).Dead || !n.Condition(69*time.Second).Dead || n.Condition(71*time.Second).Dead {
		t.Error("no reboot from 30 s to 70 s")
	}
	w.until(71*time.Second, n)
	if n.BootID(w.at) == boot || get(n, telemetry.GPUStatus, 0) != telemetry.GPUOK || w.log(n) != "" {
		t.Errorf("after the reboot: GPU status %d, the kernel says %q", get(n, telemetry.GPUStatus, 0), w.log(n))
	}
	w.until(110*time.Second, n)
	w.works(t, n, 0)
}

func TestThermalThrottle(t *testing.T) {
	w := newWorld(t, "  - {at: 60s, for: 60s, fault: thermal-throttle, job: fsdp, member: 2, gpu: 5, factor: 1.6}\n")
	n, far := w.member(t, "fsdp", 2), w.member(t, "fsdp", 0)
	w.until(10*time.Second, n, far)
	healthy := w.mean(far, telemetry.GPUTensorActivityPermille, 1, 30)
	clock := w.mean(n, telemetry.GPUSMClockMHz, 5, 10)
	w.until(85*time.Second, n, far)
	between(t, "temperature", float64(get(n, telemetry.GPUTempC, 5)), 84, shutdownTempC)
	between(t, "clock", float64(get(n, telemetry.GPUSMClockMHz, 5)), 600, clock*0.75)
	if bits := get(n, telemetry.GPUThrottleBits, 5); bits&throttleHWHeat == 0 || bits&throttleSWHeat == 0 {
		t.Errorf("throttle bits %#x", bits)
	}
	slowed := w.mean(far, telemetry.GPUTensorActivityPermille, 1, 30)
	between(t, "tensor activity of its peers, of what it was", slowed/healthy, 0.5, 0.75)
	w.until(230*time.Second, n, far)
	between(t, "temperature afterwards", float64(get(n, telemetry.GPUTempC, 5)), 30, 78)
	if bits := get(n, telemetry.GPUThrottleBits, 5); bits&(throttleHWHeat|throttleSWHeat|throttleHW) != 0 {
		t.Errorf("throttle bits afterwards %#x", bits)
	}
	w.works(t, n, 5)
}

func TestStraggler(t *testing.T) {
	w := newWorld(t, "  - {at: 60s, for: 60s, fault: straggler, job: deepspeed, member: 1, gpu: 3, factor: 2}\n")
	n := w.member(t, "deepspeed", 1)
	j := w.role(t, "deepspeed")
	w.until(5*time.Second, n)
	healthy := w.mean(n, telemetry.GPUPowerMW, 0, 40)
	w.until(61*time.Second, n)
	culprit := w.mean(n, telemetry.GPUTensorActivityPermille, 3, 20)
	peer := w.mean(n, telemetry.GPUTensorActivityPermille, 4, 20)
	between(t, "tensor activity of a peer, of the straggler's", peer/culprit, 0, 0.6)
	between(t, "utilisation of a peer", w.mean(n, telemetry.GPUUtilPct, 4, 5), 90, 100)
	w.until(111*time.Second, n)
	between(t, "power of a peer, of what it was", w.mean(n, telemetry.GPUPowerMW, 0, 8)/healthy, 0.4, 0.85)
	before, _, _ := j.span(70 * time.Second)
	between(t, "how much longer a step takes", before.slow, 2, 2)
	w.until(125*time.Second, n)
	w.works(t, n, 4)
}

func TestHang(t *testing.T) {
	w := newWorld(t, "  - {at: 60s, for: 40s, fault: hang, job: jax, member: 1, gpu: 6}\n  - {at: 60s, for: 40s, fault: hang, job: pretrain, restart: true}\n")
	n, big := w.member(t, "jax", 1), w.member(t, "pretrain", 9)
	w.until(59*time.Second, n, big)
	pids, bigPids := w.pids(n), w.pids(big)
	w.until(62*time.Second, n, big)
	w.hung(t, big, 5)
	w.until(85*time.Second, n)
	between(t, "utilisation of the rank that never entered", w.mean(n, telemetry.GPUUtilPct, 6, 3), 0, 1)
	between(t, "of one that waits for it", w.mean(n, telemetry.GPUUtilPct, 5, 3), 99, 100)
	w.until(150*time.Second, n, big)
	if !slices.Equal(pids, w.pids(n)) {
		t.Error("a job that hung and went on has other processes")
	}
	if slices.Equal(bigPids, w.pids(big)) {
		t.Error("a job that was started anew has the same processes")
	}
	w.works(t, n, 6)
	if log := w.log(n); log != "" {
		t.Errorf("the kernel says %s", log)
	}
}

func TestOOMKill(t *testing.T) {
	w := newWorld(t, "  - {at: 60s, for: 30s, fault: oom-kill, job: srun, member: 2}\n")
	n, far := w.member(t, "srun", 2), w.member(t, "srun", 0)
	w.until(59*time.Second, n, far)
	free := get(n, telemetry.MemAvailableBytes, 0)
	_, before := n.Processes(w.at)
	w.until(65*time.Second, n, far)
	between(t, "memory left, of what it was", float64(get(n, telemetry.MemAvailableBytes, 0))/float64(free), 0, 0.25)
	w.until(70*time.Second, n, far)
	log := w.log(n)
	for _, want := range []string{"invoked oom-killer", "oom-kill:constraint=CONSTRAINT_NONE", "Out of memory: Killed process", "oom_reaper: reaped process"} {
		if !strings.Contains(log, want) {
			t.Errorf("the kernel does not say %q but\n%s", want, log)
		}
	}
	if p := w.pids(n); len(p) != 0 {
		t.Errorf("processes %v", p)
	}
	if p := w.pids(far); len(p) != 0 {
		t.Errorf("processes of the job elsewhere: %v", p)
	}
	between(t, "GPU memory", float64(get(n, telemetry.GPUMemUsedBytes, 0)), 0, float64(gib))
	w.until(120*time.Second, n, far)
	_, after := n.Processes(w.at)
	if len(after) != len(before) || after[0].Env["SLURM_RESTART_COUNT"] != "1" || before[0].Env["SLURM_RESTART_COUNT"] != "" || after[0].StartWallMs <= before[0].StartWallMs {
		t.Errorf("afterwards %d processes, the first with %v", len(after), after[0].Env)
	}
	w.works(t, n, 0)
}

func TestECCAndRowRemap(t *testing.T) {
	w := newWorld(t, "  - {at: 60s, for: 60s, fault: ecc, job: k8s, gpu: 6}\n  - {at: 60s, for: 60s, fault: row-remap, node: 0, gpu: 1}\n")
	n, other := w.member(t, "k8s", 0), w.nodes[0]
	w.until(59*time.Second, n, other)
	pids, otherPids := w.pids(n), w.pids(other)
	ecc := get(n, telemetry.GPUECCVolatileUncorrected, 6)
	w.until(95*time.Second, n, other)
	if got := get(n, telemetry.GPUECCVolatileUncorrected, 6); got != ecc+1 {
		t.Errorf("uncorrected errors %d, before %d", got, ecc)
	}
	for _, x := range []struct {
		n *Node
		g int
	}{{n, 6}, {other, 1}} {
		if get(x.n, telemetry.GPURemapPending, x.g) != 1 || get(x.n, telemetry.GPURemappedUncorrected, x.g) != 1 {
			t.Errorf("%s: remap pending %d, rows %d", x.n.name, get(x.n, telemetry.GPURemapPending, x.g), get(x.n, telemetry.GPURemappedUncorrected, x.g))
		}
	}
	if log := w.log(n); !strings.Contains(log, "): 94, pid=") || !strings.Contains(log, "): 63, pid=") {
		t.Errorf("the kernel says\n%s", log)
	}
	if slices.Equal(pids, w.pids(n)) || !slices.Equal(otherPids, w.pids(other)) {
		t.Error("the job of the contained error must start anew, that of the remapped row must not")
	}
	w.until(160*time.Second, n, other)
	if get(n, telemetry.GPURemapPending, 6) != 0 || get(other, telemetry.GPURemapPending, 1) != 0 {
		t.Error("a row is still to be remapped")
	}
}

func TestLinkFlap(t *testing.T) {
	w := newWorld(t, "  - {at: 60s, for: 24s, fault: link-flap, job: srun, member: 1, port: 2, flaps: 3}\n")
	n := w.member(t, "srun", 1)
	w.until(59*time.Second, n)
	downed, changes := get(n, telemetry.PortLinkDowned, 2), get(n, telemetry.NetCarrierChanges, netIPoIB+2)
	w.until(61*time.Second, n)
	if get(n, telemetry.PortState, 2) != portStateDown || get(n, telemetry.PortPhysState, 2) != physPolling || get(n, telemetry.NetUp, netIPoIB+2) != 0 {
		t.Error("the port is not down")
	}
	between(t, "traffic of a port that is down", w.traffic(n, 2, 1), 0, 0)
	w.until(64*time.Second, n)
	if get(n, telemetry.PortState, 2) != portStateActive || get(n, telemetry.NetUp, netIPoIB+2) != 1 {
		t.Error("the port is not up again")
	}
	w.until(100*time.Second, n)
	if got := get(n, telemetry.PortLinkDowned, 2); got != downed+3 {
		t.Errorf("link_downed %d, before %d", got, downed)
	}
	if got := get(n, telemetry.NetCarrierChanges, netIPoIB+2); got != changes+6 {
		t.Errorf("carrier changes %d, before %d", got, changes)
	}
	if log := w.log(n); strings.Count(log, "mlx5_core 0000:4f:00.0 ibp79s0: Link down") != 3 || strings.Count(log, "ibp79s0: Link up") != 3 {
		t.Errorf("the kernel says\n%s", log)
	}
	w.works(t, n, 2)
}

func TestKernelLogDenied(t *testing.T) {
	w := newWorld(t, "  - {at: 10s, for: 20s, fault: kernel-log-denied, node: gpu060}\n")
	n := w.nodes[59]
	if len(n.KernelLog(5*time.Second, 0)) == 0 || len(n.KernelLog(15*time.Second, 0)) != 0 {
		t.Error("the kernel log is not denied, or always")
	}
	version, notes := n.Notes(15 * time.Second)
	if len(notes) != 1 || notes[0].State != facts.SourceState_SOURCE_DENIED || notes[0].Remedy == "" || sourceTable[notes[0].Source].name != "kernel_log" {
		t.Errorf("notes %v", notes)
	}
	w.until(15*time.Second, n)
	if got := get(n, telemetry.SourceStateEnum, sourceKernelLog); got != int64(facts.SourceState_SOURCE_DENIED) {
		t.Errorf("source state %d", got)
	}
	w.until(35*time.Second, n)
	if v, notes := n.Notes(w.at); v == version || len(notes) != 0 || get(n, telemetry.SourceStateEnum, sourceKernelLog) != int64(facts.SourceState_SOURCE_OK) {
		t.Errorf("afterwards: notes %v", notes)
	}
}

func TestNodeDies(t *testing.T) {
	w := newWorld(t, "  - {at: 60s, for: 40s, fault: node-dies, job: fsdp, member: 5}\n")
	n, far := w.member(t, "fsdp", 5), w.member(t, "fsdp", 0)
	w.until(59*time.Second, n, far)
	boot, energy, pids := n.BootID(w.at), get(n, telemetry.GPUEnergyMJ, 0), w.pids(n)
	if n.Condition(59*time.Second).Dead || !n.Condition(61*time.Second).Dead || !n.Condition(99*time.Second).Dead || n.Condition(101*time.Second).Dead {
		t.Error("the node is not dead from 60 s to 100 s")
	}
	w.until(70*time.Second, far)
	w.hung(t, far, 3)
	w.until(101*time.Second, n, far)
	if n.BootID(w.at) == boot {
		t.Error("the node came back without a reboot")
	}
	between(t, "uptime in seconds", float64(get(n, telemetry.UptimeMS, 0))/1000, 30, 50)
	between(t, "energy since the boot, of before", float64(get(n, telemetry.GPUEnergyMJ, 0))/float64(energy), 0, 0.01)
	if got := w.pids(n); len(got) != 0 {
		t.Errorf("processes right after the reboot: %v", got)
	}
	if records := n.KernelLog(w.at, 0); len(records) != bootLineCount || records[0].MonoUs != 0 {
		t.Errorf("%d kernel lines after the reboot", len(records))
	}
	w.until(150*time.Second, n, far)
	if got := w.pids(n); len(got) != len(pids) || slices.Equal(got, pids) {
		t.Errorf("processes %v, before %v", got, pids)
	}
	w.works(t, n, 0)
}

func TestConditions(t *testing.T) {
	w := newWorld(t, "  - {at: 1s, for: 2s, fault: node-freezes, node: 1}\n  - {at: 2s, for: 2s, fault: half-open, node: 1}\n  - {at: 3s, fault: slow-link, node: 65, bytes_per_second: 900}\n")
	n := w.nodes[1]
	for at, want := range map[time.Duration]Condition{
		0: {}, 1500 * time.Millisecond: {Frozen: true}, 2500 * time.Millisecond: {Frozen: true, HalfOpen: true},
		3500 * time.Millisecond: {HalfOpen: true, BytesPerSecond: 900}, time.Hour: {BytesPerSecond: 900},
	} {
		if got := n.Condition(at); got != want {
			t.Errorf("at %v: %+v, want %+v", at, got, want)
		}
	}
}
