package findings

import (
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/jobs"
	"foretop/schedulers"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// emission makes one rule speak.
type emission struct {
	rule  string
	after time.Duration // it holds for so long
	node  func(n *fleet.Node)
	then  func(n *fleet.Node) // before the second look
	job   func(w *world)
	peers func(nodes []*fleet.Node) // of which the last is unlike the others
}

func grewBy(n fleet.Reading) fleet.Rise { return fleet.Rise{Total: 100 + n, Grew: n, At: noon} }

func kernelTold(texts ...string) func(*fleet.Node) {
	return func(n *fleet.Node) {
		for _, text := range texts {
			n.Kernel = append(n.Kernel, line(time.Minute, -1, text))
		}
	}
}

// emissions has a way to make each rule speak.
var emissions = []emission{
	{rule: "hw.xid", node: kernelTold("NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=x, GPU has fallen off the bus.")},
	{rule: "hw.sxid", node: kernelTold("nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)")},
	{rule: "hw.gpu-driver", node: kernelTold("NVRM: GPU 0000:3b:00.0: RmInitAdapter failed! (0x23:0x65:1401)")},
	{rule: "hw.pcie-errors", node: kernelTold("pcieport 0000:5d:00.0: DPC: containment event, status:0x1f01 source:0x0000")},
	{rule: "hw.iommu", node: kernelTold("DMAR: [DMA Read NO_PASID] Request device [5d:00.0] fault addr 0xffff [fault reason 0x06] PTE Read access is not set")},
	{rule: "hw.disk", node: kernelTold("nvme nvme1: Device not ready; aborting reset, CSTS=0x1")},
	{rule: "hw.filesystem", node: kernelTold("EXT4-fs (sda1): Remounting filesystem read-only")},
	{rule: "hw.fs-server", node: kernelTold("nfs: server filer not responding, still trying")},
	{rule: "hw.link", node: kernelTold("mlx5_core 0000:18:00.0 ens6f0: Link down")},
	{rule: "hw.nic", node: kernelTold("mlx5_core 0000:41:00.0: poll_health:852:(pid 0): device's health compromised - reached miss count")},
	{rule: "hw.memory", node: kernelTold("EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0 page:0x1 offset:0x0 grain:32)")},
	{rule: "hw.host-heat", node: kernelTold("mce: CPU3: Package temperature above threshold, cpu clock throttled (total events = 1)")},
	{rule: "node.oom", node: kernelTold("Out of memory: Killed process 1 (python) total-vm:1kB")},
	{rule: "node.hung", node: kernelTold("INFO: task python:41235 blocked for more than 120 seconds.")},
	{rule: "node.kernel", node: kernelTold("Kernel panic - not syncing: x")},
	{rule: "node.crash", node: kernelTold("python[41235]: segfault at 0 ip 0 sp 0 error 4 in libc.so.6[7f00+1000]")},

	{rule: "hw.gpu-lost", node: func(n *fleet.Node) { n.GPUs[0].Status = telemetry.GPULost }},
	{rule: "hw.gpu-unseen", node: func(n *fleet.Node) {
		n.Inventory = &facts.Inventory{UnseenGpus: []*facts.UnseenGPU{{Pci: "0000:3b:00.0", Why: "no driver"}}}
	}},
	{rule: "hw.ecc", node: func(n *fleet.Node) { n.GPUs[0].Slow.ECCVolatileUncorrected = 1 }},
	{rule: "hw.ecc-mode", node: func(n *fleet.Node) { n.GPUs[0].Slow.ECCMode = 0 }},
	{rule: "hw.remap", node: func(n *fleet.Node) { n.GPUs[0].Slow.RemapFailure = 1 }},
	{rule: "hw.recovery", node: func(n *fleet.Node) { n.GPUs[0].Slow.RecoveryAction = telemetry.RecoveryGPUReset }},
	{rule: "hw.throttle", after: 10 * time.Second, node: func(n *fleet.Node) { n.GPUs[0].ThrottleBits = hwPowerBrake }},
	{rule: "hw.nvlink", node: func(n *fleet.Node) { n.GPUs[0].Slow.LinksUp = 17 }},
	{rule: "hw.fabric", node: func(n *fleet.Node) { n.GPUs[0].Slow.FabricState = telemetry.FabricNotStarted }},
	{rule: "hw.c2c", node: func(n *fleet.Node) { n.GPUs[0].Slow.C2CLinks, n.GPUs[0].Slow.C2CLinksUp = 10, 8 }},
	{rule: "hw.gpu-reset", node: func(n *fleet.Node) { n.GPUs[0].Slow.Resets = grewBy(1) }},
	{rule: "hw.pcie", node: func(n *fleet.Node) { n.GPUs[0].Slow.PCIeWidth = 8 }},
	{rule: "hw.power-limit", node: func(n *fleet.Node) {
		n.GPUs = append(n.GPUs, fineGPU(2))
		n.GPUs[0].PowerLimitW = 400
	}},
	{rule: "hw.port-down", node: func(n *fleet.Node) { n.Ports[0].State = portInit }},
	{rule: "hw.port-flap", after: time.Second, node: func(*fleet.Node) {}, then: func(n *fleet.Node) { n.Ports[0].LinkDowned++ }},
	{rule: "hw.port-errors", after: 20 * time.Second, node: func(n *fleet.Node) {
		n.Ports[0].Errors = &fleet.PortErrors{}
		errs(&n.Ports[0], telemetry.PortSymbolError, 12)
	}},
	{rule: "hw.congestion", after: time.Minute, node: func(n *fleet.Node) {
		n.Ports[0].Errors = &fleet.PortErrors{}
		errs(&n.Ports[0], telemetry.PortOutOfBuffer, 500)
	}},
	{rule: "hw.port-rate", node: func(n *fleet.Node) {
		n.Ports[0].RateMbps, n.Ports[0].RateMaxMbps, n.Ports[0].Fact = 200_000, 400_000, &facts.Port{RateMax: "ethtool"}
	}},
	{rule: "hw.disk-full", node: func(n *fleet.Node) { n.FS[0].AvailableBytes = 0 }},
	{rule: "hw.fs-hung", node: func(n *fleet.Node) { hungFS(n, "/data", 5) }},
	{rule: "node.memory", node: func(n *fleet.Node) { n.Host.MemUsedBytes = 9.9e11 }},
	{rule: "node.source", node: func(n *fleet.Node) { n.Sources[0].State = facts.SourceState_SOURCE_DENIED }},
	{rule: "scheduler.node", node: func(n *fleet.Node) { slurmSays(n, schedulers.Drained, 2) }},
	{rule: "scheduler.unjoined", node: func(n *fleet.Node) {
		n.Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Why: "two nodes have its name"}}
	}},
	{rule: "waste.strangers", after: 2 * time.Minute, node: func(n *fleet.Node) {
		slurmSays(n, schedulers.Usable, 2)
		n.Processes = []*fleet.Process{{Process: &facts.Process{User: "ann", Held: []*facts.Held{{Gpu: 1}}}}}
	}},

	{rule: "hw.gpu-missing", peers: func(nodes []*fleet.Node) { last := nodes[len(nodes)-1]; last.GPUs = last.GPUs[:7] }},
	{rule: "hw.differs", peers: func(nodes []*fleet.Node) { nodes[len(nodes)-1].Inventory.GpuDriverVersion = "550.54.15" }},
	{rule: "hw.affinity", peers: func(nodes []*fleet.Node) { nodes[len(nodes)-1].Ports[3].GPU = -1 }},
	{rule: "hw.clock", after: time.Minute, peers: func(nodes []*fleet.Node) { nodes[len(nodes)-1].GPUs[2].SMClockMHz = 1200 }},
	{rule: "hw.clock-skew", after: time.Minute, peers: func(nodes []*fleet.Node) { nodes[len(nodes)-1].ClockOffsetS = -4 }},

	{rule: "job.hang", after: time.Minute, job: func(w *world) { w.each(spin) }},
	{rule: "job.straggler", after: time.Minute, job: func(w *world) { w.slow(11) }},
	{rule: "job.missing", job: func(w *world) { w.job.MissingN, w.job.Missing = 2, []int{4, 5} }},
	{rule: "job.nodes-lost", job: func(w *world) { w.nodes["a"].State = fleet.Lost }},
	{rule: "job.gpu-broken", job: func(w *world) { w.job.GPUs[3].GPU.Severity = fleet.Critical }},
	{rule: "job.hurt", job: func(w *world) { w.trouble("b", fleet.Warning, 5, -1, "GPU5 slowed: too hot (hardware)") }},
	{rule: "job.leftovers", after: 2 * time.Minute, job: func(w *world) {
		w.job.Leftovers = []fleet.Leftover{{Node: "a", PID: 1, GPUs: 8, Why: jobs.Superseded}}
	}},
	{rule: "job.libraries", job: func(w *world) {
		w.job.Libraries = []fleet.Library{{Name: "nccl", Version: "2.26", Ranks: 15, Node: "a"}, {Name: "nccl", Version: "2.21", Ranks: 1, Node: "b"}}
	}},
	{rule: "job.unchecked", job: func(w *world) {
		w.each(func(g *fleet.GPU) { g.UtilPct, g.PowerW, g.SMActivityPct = fleet.None(), fleet.None(), fleet.None() })
	}},
	{rule: "job.ended", job: func(w *world) { w.job.Ended = noon }},
	{rule: "waste.idle", job: func(w *world) { w.job.IdleGPUs = 16 }},
	{rule: "waste.partial", job: func(w *world) { w.job.IdleGPUs = 7 }},
	{rule: "waste.wrong-nic", after: 2 * time.Minute, job: wrongWay},
	{rule: "scheduler.leftover", after: 2 * time.Minute, job: func(w *world) {
		w.told(func(j *schedulers.Job, _ *fleet.Told) { j.Phase, j.State = schedulers.Ended, "FAILED" })
		w.processes()
	}},
	{rule: "scheduler.suspended", job: func(w *world) {
		w.told(func(j *schedulers.Job, _ *fleet.Told) { j.Phase = schedulers.Suspended })
	}},
	{rule: "scheduler.completing", job: func(w *world) {
		w.told(func(j *schedulers.Job, _ *fleet.Told) {
			j.Phase, j.EndAt = schedulers.Completing, noon.Add(-10*time.Minute)
		})
	}},
	{rule: "scheduler.node-down", job: func(w *world) {
		w.told(func(*schedulers.Job, *fleet.Told) {})
		slurmSays(w.nodes["a"], schedulers.Down, 8)
	}},
	{rule: "scheduler.unseen", after: time.Hour, job: func(w *world) { w.told(func(*schedulers.Job, *fleet.Told) {}); w.noProcess() }},
	{rule: "scheduler.elsewhere", job: func(w *world) {
		w.told(func(_ *schedulers.Job, t *fleet.Told) { t.Elsewhere, t.ElsewhereText = []string{"c"}, "c" })
	}},
}

// filmed are rules that need more of a job's past than stands here: jobrule_test.go plays it to them.
var filmed = []string{"job.stopped", "job.restarted", "job.oom", "job.memory-creep", "job.memory-imbalance", "job.dataloader", "job.checkpoint-stall", "job.no-progress"}

func slurmSays(n *fleet.Node, c schedulers.Condition, gpus int) {
	n.Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Proof: fleet.ProofHost, Node: &schedulers.Node{Name: n.Name, Condition: c, GPUs: gpus}}}
}

// emit gives what is said, as rule and severity.
func (e *emission) emit(set Set) (said []fleet.Problem) {
	twice := func(look func(at time.Time)) {
		look(noon.Add(-e.after))
		look(noon)
	}
	m := new(fleet.Memory)
	switch {
	case e.node != nil:
		n := twoGPUs()
		e.node(n)
		twice(func(at time.Time) {
			if e.then != nil && at.Equal(noon) {
				e.then(n)
			}
			said = set.Node(n, at, m)
		})
	case e.job != nil:
		w := newWorld()
		w.rules = newWatches(set)
		w.work(noon.Add(-e.after), m)
		e.job(w)
		for at := noon.Add(-e.after); !at.After(noon); at = at.Add(time.Second) {
			v := w.judge(at, m)
			said = said[:0]
			for _, v := range append(slices.Clone(w.job.Findings), v) {
				said = append(said, fleet.Problem{Rule: v.Rule, Severity: v.Severity, Text: v.Text, Remedy: v.Remedy, Evidence: v.Evidence})
			}
		}
	default:
		s := peersOfKind(6)
		e.peers(s.Nodes)
		last := s.Nodes[len(s.Nodes)-1]
		for at := noon.Add(-e.after); ; at = at.Add(5 * time.Second) {
			if last.Unlike = set.Fleet(s, at, m)[last.Name]; !at.Before(noon) {
				break
			}
		}
		said = set.Node(last, noon, new(fleet.Memory))
	}
	return said
}

// TestEachRuleSpeaks: every rule of the table is emitted, nothing is emitted that is not in the table, nothing beyond the severities that it says, and each
// tells what to do where the table knows it.
func TestEachRuleSpeaks(t *testing.T) {
	spoken := map[string]bool{}
	for i := range emissions {
		e := &emissions[i]
		t.Run(e.rule, func(t *testing.T) {
			own := false
			for _, p := range e.emit(Set{}) {
				r := LookupRule(p.Rule)
				switch {
				case r == nil && p.Rule == "" && p.Severity == fleet.Fine && (p.Text == "running" || p.Text == ""):
					continue // of a job with nothing to be said
				case r == nil:
					t.Errorf("%q says %q, and is not in the table", p.Rule, p.Text)
					continue
				case p.Severity < r.From || p.Severity > r.To:
					t.Errorf("%s speaks as %s, the table says %s to %s", p.Rule, p.Severity, r.From, r.To)
				case p.Severity > fleet.Fine && p.Remedy == "" && r.Remedy != "":
					t.Errorf("%s says nothing of what to do", p.Rule)
				}
				if !telemetry.IsClean([]byte(strings.Join(p.Evidence, ""))) {
					t.Errorf("%s: evidence %q", p.Rule, p.Evidence)
				}
				own = own || p.Rule == e.rule
			}
			if !own {
				t.Fatalf("it does not speak: %+v", e.emit(Set{}))
			}
			off, err := Without(e.rule)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range e.emit(off) {
				if p.Rule == e.rule && p.Severity > fleet.Fine {
					t.Errorf("switched off, it says %q", p.Text)
				}
			}
		})
		spoken[e.rule] = true
	}
	for _, r := range Table() {
		if spoken[r.ID] == slices.Contains(filmed, r.ID) {
			t.Errorf("%s: spoken %t, filmed %t", r.ID, spoken[r.ID], !spoken[r.ID])
		}
	}
}

func TestTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Table() {
		group, thing, ok := strings.Cut(r.ID, ".")
		switch {
		case !ok || !slices.Contains([]string{"hw", "node", "job", "waste", "scheduler"}, group) || thing == "" || strings.ToLower(thing) != thing:
			t.Errorf("%q is no id", r.ID)
		case seen[r.ID]:
			t.Errorf("%s stands twice", r.ID)
		case r.What == "" || r.Doc == "" || r.Subject == "" || r.From > r.To:
			t.Errorf("%s: %+v", r.ID, r)
		case (r.node == nil) == (r.job == nil):
			t.Errorf("%s is of nodes and of jobs, or of neither", r.ID)
		}
		seen[r.ID] = true
	}
	if _, err := Without("hw.pcie", "hw.nothing"); err == nil || !strings.Contains(err.Error(), "hw.nothing") {
		t.Errorf("an unknown rule: %v", err)
	}
}

// Every kind of kernel line that the tables know has a rule.
func TestEachKernelLineHasARule(t *testing.T) {
	for _, table := range kernelTables() {
		for _, r := range table {
			if id := kernelRule(r.kind); LookupRule(id) == nil {
				t.Errorf("kind %q has the rule %q", r.kind, id)
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	n := fineNode()
	n.GPUs[0].Slow.ECCVolatileUncorrected = fleet.None()
	n.GPUs[0].Slow.RemapFailure = 1
	n.Sources[0].State = facts.SourceState_SOURCE_DENIED
	set, _ := Without("hw.throttle")
	n.Problems = set.Node(n, noon, new(fleet.Memory))
	got := map[string]Answer{}
	for _, a := range set.AnswersOf(n) {
		got[a.Rule.ID] = a
	}
	for _, tt := range []struct {
		rule  string
		state State
		why   string
	}{
		{"hw.remap", Yes, ""}, {"hw.ecc", NotChecked, "ECC counters: not told by its driver"}, {"hw.xid", NotChecked, "kernel log: no permission"},
		{"hw.throttle", NotChecked, "switched off in the configuration"}, {"hw.recovery", No, ""}, {"hw.port-down", No, ""}, {"hw.port-errors", NotChecked, "counters: not told by its driver"},
		{"scheduler.node", NotChecked, "no scheduler is known to know it"},
	} {
		if a := got[tt.rule]; a.State != tt.state || a.Why != tt.why {
			t.Errorf("%s answers %s, %q; wanted %s, %q", tt.rule, a.State, a.Why, tt.state, tt.why)
		}
	}
	n.State = fleet.Lost
	n.Problems = set.Node(n, noon, new(fleet.Memory))
	for _, a := range set.AnswersOf(n) {
		if a.Rule.ID == "hw.remap" && (a.State != NotChecked || a.Why != "the node is lost") {
			t.Errorf("of a lost node: %s, %q", a.State, a.Why)
		}
	}
	w := newWorld()
	w.work(noon, new(fleet.Memory))
	w.judge(noon, new(fleet.Memory))
	for _, a := range (Set{}).AnswersOfJob(w.job, func(name string) *fleet.Node { return w.nodes[name] }) {
		switch want := map[string]State{"job.hang": No, "job.no-progress": NotChecked, "job.oom": NotChecked, "scheduler.suspended": NotChecked}[a.Rule.ID]; {
		case a.State == Yes, want != No && a.State != want, a.Rule.ID == "job.hang" && a.State != No:
			t.Errorf("%s answers %s, %q", a.Rule.ID, a.State, a.Why)
		}
	}
}
