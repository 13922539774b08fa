package ui

import (
	"fmt"
	"math"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// noon is when all fixtures are taken.
var noon = time.Date(2026, 11, 23, 12, 3, 41, 0, time.UTC)

const gib = 1 << 30

// fixture builds snapshots.
type fixture struct {
	nodes []*fleet.Node
	jobs  []*fleet.Job
	seed  uint32
}

// noise is a number from 0 to 1 that is the same on every run.
func (f *fixture) noise() float64 {
	f.seed = f.seed*1664525 + 1013904223
	return float64(f.seed>>8) / (1 << 24)
}

// addNodes adds live nodes without jobs.
func (f *fixture) addNodes(pattern string, from, to, gpus int) {
	for i := from; i <= to; i++ {
		n := &fleet.Node{
			Name: fmt.Sprintf(pattern, i), State: fleet.Live, Since: noon.Add(-time.Hour), LastFrame: noon.Add(-300 * time.Millisecond),
			LastData: noon.Add(-300 * time.Millisecond), Boot: noon.Add(-41 * 24 * time.Hour),
			Hello: &facts.Hello{Hostname: fmt.Sprintf(pattern, i), Os: "Ubuntu 22.04.5 LTS", Kernel: "5.15.0-1068", Arch: "amd64", Build: "0.1.0"},
			Inventory: &facts.Inventory{Product: "DGX H100", GpuDriverVersion: "570.86.15", MemoryTotalBytes: 2048 * gib,
				Cpu: &facts.CPU{Model: "Xeon 8480C", Sockets: 2, Cores: 112, Threads: 224}},
		}
		f.hostOf(n)
		for g := range gpus {
			n.GPUs = append(n.GPUs, f.gpu(g))
		}
		for p := range min(gpus, 8) {
			n.Ports = append(n.Ports, fleet.Port{Name: fmt.Sprintf("mlx5_%d", p), LinkLayer: "InfiniBand", Rate: "400 Gb/sec (4X NDR)", State: 4, PhysState: 5,
				RateMbps: 400_000, RcvBytesPerS: 41.2e9, XmitBytesPerS: 40.8e9, XmitWaitPerS: 120, GPU: p, PortTotals: &fleet.PortTotals{SymbolError: 0, LinkDowned: 0, OutOfSequence: 0}})
		}
		f.nodes = append(f.nodes, n)
	}
}

func (f *fixture) hostOf(n *fleet.Node) {
	none := fleet.None()
	n.Host = fleet.Host{CPUBusyPct: 23, CPUUserPct: 18, CPUSystemPct: 4, CPUIowaitPct: 1, CPUStealPct: 0, Load1: 31.2, Load5: 28.4, Load15: 25,
		PSICPUSomePct: 0.1, PSIMemorySomePct: 0, PSIMemoryFullPct: 0, PSIIOSomePct: 2.3, PSIIOFullPct: 0.4, ProcsRunning: 30, ProcsBlocked: 0, Processes: none,
		MemTotalBytes: 2048 * gib, MemAvailableBytes: 1636 * gib, MemUsedBytes: 412 * gib, MemFreeBytes: 900 * gib, MemCachedBytes: 700 * gib, MemBuffersBytes: 2 * gib,
		MemShmemBytes: 64 * gib, MemDirtyBytes: gib / 4, MemSlabBytes: 9 * gib, SwapTotalBytes: 0, SwapUsedBytes: 0,
		HugePagesTotal: none, HugePagesFree: none, HugePageBytes: none, UptimeS: 41 * 86400}
	for range 224 {
		n.Cores = append(n.Cores, fleet.Core{BusyPct: fleet.Reading(f.noise() * 60), SystemPct: 2, IowaitPct: 0})
	}
	n.Nets = []fleet.Net{{Name: "bond0", Driver: "bonding", Physical: true, Up: 1, SpeedMbps: 100_000, RxBytesPerS: 2.1e9, TxBytesPerS: 1.9e9, RxErrors: 0, TxErrors: 0, RxDropped: 12, TxDropped: 0, NetCounts: &fleet.NetCounts{}}}
	n.Disks = []fleet.Disk{{Name: "nvme0n1", Model: "SAMSUNG MZWLO3T8", SizeBytes: 3840e9, ReadBytesPerS: 1.2e6, WriteBytesPerS: 310e6, ReadsPerS: 30, WritesPerS: 900, BusyPct: 12}}
	n.FS = []fleet.Filesystem{{Mount: "/", Device: "/dev/nvme0n1p2", Type: "ext4", SizeBytes: 3500e9, AvailableBytes: 1400e9}, {Mount: "/scratch", Device: "/dev/md0", Type: "xfs", SizeBytes: 28e12, AvailableBytes: 0.6e12}}
	n.Sources = []fleet.Source{
		{Name: "cpu", State: facts.SourceState_SOURCE_OK, CallUS: 210, StuckS: none, EveryMS: 1000},
		{Name: "nvml", State: facts.SourceState_SOURCE_OK, CallUS: 5400, StuckS: none, EveryMS: 1000},
		{Name: "rdma", State: facts.SourceState_SOURCE_OK, CallUS: 800, StuckS: none, EveryMS: 1000},
		{Name: fleet.KernelLogSource, State: facts.SourceState_SOURCE_OK, CallUS: 20, StuckS: none, EveryMS: 1000},
	}
	n.Self = fleet.Self{CPUPct: 0.2, RSSBytes: 14 << 20, SentBytesPerS: 690}
	n.Kernel = []fleet.KernelLine{
		{Sequence: 1, At: noon.Add(-9 * time.Hour), Level: 6, Text: "nvidia-nvswitch0: open (major=510)", GPU: -1},
		{Sequence: 2, At: noon.Add(-3 * time.Hour), Level: 4, Text: "perf: interrupt took too long (2511 > 2500), lowering kernel.perf_event_max_sample_rate to 79500", GPU: -1},
	}
}

func (f *fixture) gpu(index int) fleet.GPU {
	none := fleet.None()
	slow := fleet.GPUSlow{SlowdownTempC: 87, ShutdownTempC: 92, ECCVolatileCorrected: 0, ECCVolatileUncorrected: 0, ECCAggregateCorrected: 0, ECCAggregateUncorrected: 0,
		RemappedCorrected: 0, RemappedUncorrected: 0, RemapPending: 0, RemapFailure: 0, PCIeGen: 5, PCIeGenMax: 5, PCIeWidth: 16, PCIeWidthMax: 16, PCIeReplays: 0,
		ECCMode: 1, SRAMUncorrected: 0, SRAMThresholdExceeded: 0, RetiredPagesCorrected: none, RetiredPagesUncorrected: none, RetiredPending: none, Processes: none,
		FabricState: telemetry.FabricCompleted, FabricSince: noon.Add(-time.Hour), FabricHealthBits: 0x51AA, Links: 18, LinksUp: 18, LinksMost: 18, C2CLinks: none, C2CLinksUp: none,
		Resets: fleet.Rise{Total: none}, ExecErrors: fleet.Rise{Total: none}}
	return fleet.GPU{Index: index, Slow: &slow,
		Info: &facts.GPU{Uuid: fmt.Sprintf("GPU-%08x", f.seed), Name: "NVIDIA H100 80GB HBM3", Pci: fmt.Sprintf("0000:%02x:00.0", 0x1b+index), Vendor: "nvidia", Serial: "1650123456789",
			Architecture: "Hopper", ComputeCapability: "9.0", Vbios: "96.00.99.00.01", Firmware: "GSP 570.86.15", BoardPart: "692-2G520-0200-000", Inforom: "G520.0200.00.05",
			CpuAffinity: "0-55,112-167", ModuleId: int32(index + 1)},
		UtilPct: 0, MemUtilPct: 0, MemUsedBytes: gib, MemTotalBytes: 80 * gib, TempC: 34, MemTempC: 40,
		PowerW: 71, PowerLimitW: 700, SMClockMHz: 345, SMClockMaxMHz: 1980, MemClockMHz: 2619, MemClockMaxMHz: 2619,
		SMActivityPct: 0, TensorActivityPct: 0, DRAMActivityPct: 0, ThrottleBits: 1, NetRxBytesPerS: none, NetTxBytesPerS: none}
}

// load is how hard the ranks of a job work.
type load struct{ power, util, tensor, mem, net float64 }

// addJob puts a job on the nodes from…to (numbers of names), a rank a GPU.
func (f *fixture) addJob(id, name, user, framework string, from, to, gpusANode int, l load) *fleet.Job {
	j := &fleet.Job{Key: "slurm/" + id, ID: id, Name: name, User: user, Framework: framework, Scheduler: "slurm", Partition: "h100",
		Start: noon.Add(-4 * time.Hour), EndLimit: noon.Add(44 * time.Hour), State: fleet.JobRunning, StateText: "running"}
	rank := 0
	for i := from; i <= to; i++ {
		n := f.nodes[i-1]
		j.Nodes, n.Jobs = append(j.Nodes, n.Name), append(n.Jobs, j.Key)
		for local := range gpusANode {
			g := &n.GPUs[local]
			pid := int32(41235 + local)
			g.Holders = append(g.Holders, fleet.Holder{PID: pid, MemBytes: 70 * gib, Rank: rank, Job: j.Key})
			g.PowerW, g.UtilPct, g.TensorActivityPct = fleet.Reading(7*(l.power+f.noise()*2)), fleet.Reading(l.util), fleet.Reading(l.tensor+f.noise())
			g.MemUsedBytes, g.TempC, g.SMClockMHz, g.ThrottleBits = fleet.Reading(l.mem*gib), 61, 1755, 4
			g.DRAMActivityPct, g.NetRxBytesPerS, g.NetTxBytesPerS = 58, fleet.Reading(l.net/2), fleet.Reading(l.net/2)
			p := &fleet.Process{Process: &facts.Process{Pid: pid, User: user, Command: "python train.py --config " + name, Comm: "python",
				Held: []*facts.Held{{Gpu: uint32(local), MemoryBytes: 70 * gib, MemoryKnown: true}}}, CPUPct: 101, RSS: 9 * gib, Threads: 64, Status: "R", Job: j.Key, Rank: rank}
			n.Processes = append(n.Processes, p)
			j.Ranks = append(j.Ranks, fleet.Rank{Rank: rank, LocalRank: local, Node: n.Name, PID: pid, GPUs: []int{local}})
			j.GPUs = append(j.GPUs, fleet.GPURef{Node: n.Name, Index: local, Rank: rank, GPU: g, State: n.State})
			rank++
		}
	}
	j.World = rank
	f.jobs = append(f.jobs, j)
	return j
}

// state changes how a node is reached, and what jobs know of it.
func (f *fixture) state(number int, s fleet.State, since time.Duration, cause, remedy string) *fleet.Node {
	n := f.nodes[number-1]
	n.State, n.Since, n.Cause, n.Remedy = s, noon.Add(-since), cause, remedy
	n.LastFrame, n.LastData = noon.Add(-since), noon.Add(-since)
	for _, j := range f.jobs {
		for i := range j.GPUs {
			if j.GPUs[i].Node == n.Name {
				j.GPUs[i].State = s
			}
		}
	}
	return n
}

// snapshot finishes: means of jobs, totals.
func (f *fixture) snapshot() *fleet.Snapshot {
	s := &fleet.Snapshot{Sequence: 7, At: noon, Nodes: f.nodes, Jobs: f.jobs}
	t := &s.Totals
	t.Nodes, t.Jobs = len(f.nodes), len(f.jobs)
	for _, n := range f.nodes {
		t.ByState[n.State]++
		t.GPUs += len(n.GPUs)
		for i := range n.GPUs {
			if len(n.GPUs[i].Holders) > 0 {
				t.GPUsHeld++
			}
			if !n.GPUs[i].IdleSince.IsZero() {
				t.GPUsIdle++
			}
			if n.GPUs[i].Status != telemetry.GPUOK {
				t.GPUsBad++
			}
		}
		if src := nodeSource(n, fleet.KernelLogSource); n.State == fleet.Live && src != nil && src.State == facts.SourceState_SOURCE_OK {
			t.KernelLogRead++
			t.XidRead++
		}
		for _, p := range n.Problems {
			if p.Severity == fleet.Critical {
				t.Critical++
			} else if p.Severity == fleet.Warning {
				t.Warning++
			}
		}
	}
	for _, j := range f.jobs {
		if j.Severity == fleet.Critical {
			t.Critical++
		} else if j.Severity == fleet.Warning {
			t.Warning++
		}
		meansOf(j)
	}
	return s
}

func meansOf(j *fleet.Job) {
	var n fleet.Reading
	for _, r := range j.GPUs {
		g := r.GPU
		n++
		j.PowerPct += g.PowerPct()
		j.UtilPct += g.UtilPct
		j.TensorPct += g.TensorActivityPct
		j.MemUsedBytes += g.MemUsedBytes
		j.MemTotalBytes += g.MemTotalBytes
		j.TempC += g.TempC
		j.ClockPct += g.ClockPct()
		j.NetBytesPerS += sum(g.NetRxBytesPerS, g.NetTxBytesPerS)
	}
	for _, r := range []*fleet.Reading{&j.PowerPct, &j.UtilPct, &j.TensorPct, &j.TempC, &j.ClockPct} {
		*r /= n
	}
	j.SMPct, j.MemPct = fleet.None(), j.MemUsedBytes.Share(j.MemTotalBytes)
}

// testSource is a fleet that does nothing by itself.
type testSource struct {
	snap    *fleet.Snapshot
	watched []string
	retried []string

	followed string
}

func (s *testSource) Snapshot() *fleet.Snapshot { return s.snap }
func (s *testSource) Watch(nodes []string)      { s.watched = nodes }
func (s *testSource) Follow(job string)         { s.followed = job }
func (s *testSource) Retry(node string)         { s.retried = append(s.retried, node) }

// History is a wave with a hole in it, and at the end a fall.
func (s *testSource) History(q fleet.Query) []float64 {
	scale := 1.0
	if q.Series == fleet.SeriesNet || q.Series == fleet.SeriesHostNet || q.Series == fleet.SeriesHostDisk {
		scale = 5e8
	}
	out := make([]float64, q.Points)
	for i := range out {
		out[i] = scale * (70 + 25*math.Sin(float64(i+10*q.GPU)/9))
		if i > q.Points*9/10 {
			out[i] = scale * 12
		}
		if i > 100 && i < 120 {
			out[i] = math.NaN()
		}
	}
	return out
}

// healthy is a fleet with nothing wrong.
func healthy() *fleet.Snapshot {
	f := &fixture{seed: 1}
	f.addNodes("gpu%03d", 1, 64, 8)
	f.jobsOf()
	f.look(f.nodes[0])
	return f.snapshot()
}

func (f *fixture) jobsOf() {
	f.addJob("8123", "llama3-70b-pt", "ann", "torchrun", 1, 32, 8, load{97, 99, 41, 71, 9.6e9})
	f.addJob("8131", "gemma-9b", "cy", "torchrun", 42, 49, 8, load{93, 98, 44, 60, 4.8e9})
	f.addJob("8140", "vision-sweep-with-a-very-long-name", "dana", "mpi", 51, 54, 8, load{64, 80, 22, 33, 1e9})
	f.addJob("8130", "dpo-7b", "bob", "torchrun", 40, 41, 8, load{88, 97, 38, 54, 3e9})
	e := f.addJob("8127", "eval", "bob", "", 50, 50, 8, load{11, 0, 0, 2, math.NaN()})
	e.EndLimit, e.Framework = time.Time{}, ""
}

// hang is the night: Xid 79 took a GPU, the job on it stands still at full utilisation, and nodes are lost, stale and silent.
func hang() *fleet.Snapshot {
	f := &fixture{seed: 2}
	f.addNodes("gpu%03d", 1, 64, 8)
	f.jobsOf()
	j := f.jobs[0]
	for i := range j.GPUs {
		g := j.GPUs[i].GPU
		g.PowerW, g.UtilPct, g.TensorActivityPct = fleet.Reading(147+7*f.noise()), 100, 0
		g.NetRxBytesPerS, g.NetTxBytesPerS = 2e5, 2e5
	}
	j.State, j.Severity, j.StateText = fleet.JobSuspect, fleet.Critical, "no progress 41 s · suspect rank 131"
	bad := f.nodes[16]
	f.look(bad)
	since := noon.Add(-41 * time.Second)
	bad.Problems = []fleet.Problem{{Severity: fleet.Critical, Text: "Xid 79 GPU3: fell off the bus", GPU: 3, Port: -1, Since: since}}
	g := &bad.GPUs[3]
	g.Status, g.Stale, g.Severity = telemetry.GPULost, 41*time.Second, fleet.Critical
	bad.Kernel = append(bad.Kernel,
		fleet.KernelLine{Sequence: 3, At: since.Add(-time.Second), Level: 3, Text: "pcieport 0000:5d:00.0: AER: Uncorrected (Fatal) error received", GPU: -1, Class: fleet.KernelClass{Severity: fleet.Warning, Kind: "pcie", Text: "PCIe AER uncorrectable"}},
		fleet.KernelLine{Sequence: 4, At: since, Level: 3, Text: "NVRM: Xid (PCI:0000:5d:00): 79, pid=41238, name=python, GPU has fallen off the bus.", GPU: 3, Class: fleet.KernelClass{Severity: fleet.Critical, Kind: "xid", Text: "Xid 79, fell off the bus", Xid: 79}})
	slow := &f.nodes[40].GPUs[3]
	slow.Severity = fleet.Warning
	f.nodes[40].Problems = []fleet.Problem{{Severity: fleet.Warning, Text: "GPU3 throttled by heat for 3 min", GPU: 3, Port: -1, Since: noon.Add(-3 * time.Minute)}}
	f.jobs[3].State, f.jobs[3].Severity, f.jobs[3].StateText = fleet.JobSuspect, fleet.Warning, "rank 11 slower than its peers"
	e := f.jobs[4]
	e.State, e.Severity, e.StateText, e.IdleGPUs = fleet.JobIdle, fleet.Notice, "7 of 8 GPUs idle", 7
	for i := 1; i < 8; i++ {
		f.nodes[49].GPUs[i].IdleSince = noon.Add(-20 * time.Minute)
	}
	f.state(51, fleet.Stale, 12*time.Second, "collector silent 12 s; ssh answers", "")
	lost := f.state(52, fleet.Lost, 3*time.Minute, "no route to host", "is the node powered on? its BMC knows")
	lost.NextTry, lost.Attempt = noon.Add(8*time.Second), 6
	lost.GPUs = lost.GPUs[:8]
	denied := f.nodes[52]
	denied.Sources[3] = fleet.Source{Name: fleet.KernelLogSource, State: facts.SourceState_SOURCE_DENIED, Text: "/dev/kmsg: permission denied", Remedy: "needs CAP_SYSLOG, or group adm",
		CallUS: fleet.None(), StuckS: fleet.None(), EveryMS: 1000}
	denied.Kernel = nil
	m := f.jobs[2]
	m.State, m.StateText, m.MissingN, m.Missing, m.Ranks = fleet.JobPartial, "8 of 32 ranks not seen", 8, []int{8, 9, 10, 11, 12, 13, 14, 15}, m.Ranks[:24]
	s := f.snapshot()
	s.Jobs = []*fleet.Job{f.jobs[0], f.jobs[3], f.jobs[1], f.jobs[2], f.jobs[4]}
	return s
}

// connecting is a thousand nodes of which 412 have answered.
func connecting() *fleet.Snapshot {
	f := &fixture{seed: 3}
	f.addNodes("gpu%04d", 1, 407, 8)
	for i := 408; i <= 1000; i++ {
		n := &fleet.Node{Name: fmt.Sprintf("gpu%04d", i), State: fleet.Waiting}
		switch {
		case i <= 410:
			n.State, n.Cause, n.Remedy = fleet.NeedsTrust, "its host key is not known", "ssh "+n.Name+" once and compare the fingerprint"
		case i <= 412:
			n.State, n.Cause, n.Remedy = fleet.Refused, "Access denied by pam_slurm_adopt: you have no active jobs on this node", "no job of yours runs here"
		case i <= 420:
			n.State, n.Since = fleet.Connecting, noon.Add(-2*time.Second)
		}
		f.nodes = append(f.nodes, n)
	}
	return f.snapshot()
}

// empty is a fleet of no nodes.
func empty() *fleet.Snapshot { return (&fixture{}).snapshot() }

// allLost is a fleet behind a cut cable.
func allLost() *fleet.Snapshot {
	f := &fixture{seed: 4}
	f.addNodes("gpu%03d", 1, 12, 8)
	for i := range 12 {
		f.state(i+1, fleet.Lost, 4*time.Minute, "no answer for 10 s", "Ctrl-r dials again")
	}
	return f.snapshot()
}
