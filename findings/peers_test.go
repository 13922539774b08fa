package findings

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// peersOfKind is a fleet of n like nodes of eight GPUs with a port beside each, all busy with one job.
func peersOfKind(n int) *fleet.Snapshot {
	s := &fleet.Snapshot{At: noon}
	j := &fleet.Job{Key: "slurm/8123", ID: "8123"}
	for i := range n {
		v := &fleet.Node{
			Name: fmt.Sprintf("n%d", i), State: fleet.Live, Jobs: []string{j.Key}, ClockOffsetS: fleet.Reading(-0.01 * float64(i%3)), ClockWayS: 0.05,
			Hello:     &facts.Hello{Kernel: "6.8.0-57-generic"},
			Inventory: &facts.Inventory{Product: "S8", GpuDriverVersion: "570.86.15"},
			Host:      fleet.Host{MemTotalBytes: 1e12, MemUsedBytes: 5e11},
		}
		for g := range 8 {
			gpu := fineGPU(g)
			gpu.Info = &facts.GPU{Vendor: "nvidia", Name: "H100", Firmware: "GSP 570", Vbios: "96.00", Pci: fmt.Sprintf("0000:%02x:00.0", 16+g)}
			v.GPUs = append(v.GPUs, gpu)
			v.Inventory.Gpus = append(v.Inventory.Gpus, gpu.Info)
			v.Ports = append(v.Ports, fleet.Port{Name: fmt.Sprintf("mlx5_%d", g), LinkLayer: "InfiniBand", State: portActive, PhysState: 5, RateMbps: 400_000, GPU: g, Near: fleet.NearPCIe,
				Fact: &facts.Port{Driver: "mlx5_core", Firmware: "28.39"}, PortTotals: &fleet.PortTotals{}})
		}
		s.Nodes = append(s.Nodes, v)
		j.Nodes = append(j.Nodes, v.Name)
		for g := range v.GPUs {
			j.GPUs = append(j.GPUs, fleet.GPURef{Node: v.Name, Index: g, Rank: 8*i + g, GPU: &v.GPUs[g], State: fleet.Live})
		}
	}
	s.Jobs = []*fleet.Job{j}
	return s
}

// compared is what the comparison says of each node after so long of the same.
func compared(s *fleet.Snapshot, after time.Duration) []string {
	m := new(fleet.Memory)
	var found map[string][]fleet.Problem
	for at := noon.Add(-after); !at.After(noon); at = at.Add(5 * time.Second) {
		found = Set{}.Fleet(s, at, m)
	}
	out := []string{}
	for _, n := range s.Nodes {
		for _, p := range found[n.Name] {
			out = append(out, fmt.Sprintf("%s %s %s gpu%d port%d: %s", n.Name, p.Rule, p.Severity, p.GPU, p.Port, p.Text))
		}
	}
	return out
}

func TestNodesUnlikeTheirPeers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		nodes  int
		after  time.Duration
		change func(s *fleet.Snapshot, last *fleet.Node)
		want   []string
	}{
		{"all alike", 6, time.Hour / 10, func(*fleet.Snapshot, *fleet.Node) {}, []string{}},
		{"two of a kind are no peers", 2, time.Minute, func(_ *fleet.Snapshot, last *fleet.Node) { last.Inventory.GpuDriverVersion = "550" }, []string{}},
		{"another driver, and a job on both", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) { last.Inventory.GpuDriverVersion = "550" },
			[]string{"n5 hw.differs warning gpu-1 port-1: differs from its peers: GPU driver 550"}},
		{"another driver, kernel and firmware", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.Jobs = nil
			last.Inventory.GpuDriverVersion, last.Hello.Kernel, last.Ports[0].Fact.Firmware = "550", "5.15", "20.1"
		}, []string{"n5 hw.differs notice gpu-1 port-1: differs from its peers: GPU driver 550, adapter firmware 20.1, kernel 5.15"}},
		{"a VBIOS of its own", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) { last.Inventory.Gpus[3].Vbios = "95.02" },
			[]string{"n5 hw.differs notice gpu-1 port-1: differs from its peers: VBIOS 95.02 and 96.00"}},
		{"brought up to date, half of them", 6, 0, func(s *fleet.Snapshot, _ *fleet.Node) {
			for _, n := range s.Nodes[:3] {
				n.Inventory.GpuDriverVersion = "580"
			}
		}, []string{}},
		{"another kind of node", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.Inventory.Product, last.Inventory.GpuDriverVersion = "S4", "550"
			last.GPUs, last.Inventory.Gpus = last.GPUs[:4], last.Inventory.Gpus[:4]
		}, []string{}},
		{"what is not told differs from nothing", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.Inventory.GpuDriverVersion, last.Hello = "", nil
			for i := range last.Inventory.Gpus {
				last.Inventory.Gpus[i].Vbios, last.Inventory.Gpus[i].Firmware = "", ""
			}
		}, []string{}},
		{"a lost node is compared with nobody", 6, time.Minute, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.State, last.Inventory.GpuDriverVersion, last.ClockOffsetS = fleet.Lost, "550", 99
		}, []string{}},
		{"a GPU fewer", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.GPUs, last.Ports[7].GPU = last.GPUs[:7], -1
		}, []string{"n5 hw.gpu-missing warning gpu-1 port-1: 7 GPUs, its peers have 8"}},
		{"a GPU that is only not shown", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.GPUs, last.Ports[7].GPU = last.GPUs[:7], -1
			last.Inventory.UnseenGpus = []*facts.UnseenGPU{{Pci: "0000:17:00.0"}}
		}, []string{}},
		{"half a board", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) { last.GPUs, last.Ports = last.GPUs[:4], last.Ports[:4] },
			[]string{"n5 hw.gpu-missing notice gpu-1 port-1: 4 GPUs, its peers have 8"}},
		{"a narrow link whose maximum is as narrow", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) {
			for i := range last.GPUs {
				last.GPUs[i].Slow.PCIeWidth, last.GPUs[i].Slow.PCIeWidthMax = 8, 8
			}
			last.GPUs = last.GPUs[:8:8]
		}, func() (out []string) {
			for g := range 8 {
				out = append(out, fmt.Sprintf("n5 hw.pcie warning gpu%[1]d port-1: GPU%[1]d PCIe ×8, on its peers ×16", g))
			}
			return out
		}()},
		{"an old riser", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) { last.GPUs[2].Slow.PCIeGenMax = 4 },
			[]string{"n5 hw.pcie warning gpu2 port-1: GPU2 PCIe at most generation 4, on its peers 5"}},
		{"generation lowered while idle", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) { last.GPUs[2].Slow.PCIeGen = 1 }, []string{}},
		{"a leaf of half the speed", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) {
			for i := range last.Ports {
				last.Ports[i].RateMbps = 200_000
			}
			last.Ports = last.Ports[:1]
			last.GPUs, last.Inventory.Gpus = last.GPUs[:8], last.Inventory.Gpus[:8]
		}, []string{"n5 hw.port-rate warning gpu-1 port0: mlx5_0 runs at 200 Gb/s, on its peers at 400", "n5 hw.affinity warning gpu-1 port-1: 1 of 8 GPUs have a NIC beside them, on its peers 8"}},
		{"a port that is down is told otherwise", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.Ports[1].State, last.Ports[1].RateMbps = portDown, 10_000
		}, []string{}},
		{"a GPU without its NIC", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) { last.Ports[3].GPU = -1 },
			[]string{"n5 hw.affinity warning gpu-1 port-1: 7 of 8 GPUs have a NIC beside them, on its peers 8"}},
		{"a GPU without its NIC, on a node alone", 1, 0, func(_ *fleet.Snapshot, last *fleet.Node) { last.Ports[3].GPU = -1 },
			[]string{"n0 hw.affinity notice gpu-1 port-1: GPU3 has no NIC beside it, 7 others have"}},
		{"a board with a NIC for two GPUs", 1, 0, func(_ *fleet.Snapshot, last *fleet.Node) { last.Ports = last.Ports[:4] }, []string{}},
		{"its power limit lowered", 6, 0, func(_ *fleet.Snapshot, last *fleet.Node) {
			for i := range last.GPUs {
				last.GPUs[i].PowerLimitW, last.GPUs[i].PowerW = 500, 460
			}
		}, []string{"n5 hw.power-limit notice gpu-1 port-1: power limit of its GPUs 500 W, of its peers' 700 W"}},
		{"a slow clock", 6, time.Minute, func(_ *fleet.Snapshot, last *fleet.Node) { last.GPUs[2].SMClockMHz, last.GPUs[2].PowerW = 1200, 500 },
			[]string{"n5 hw.clock warning gpu2 port-1: GPU2 clock 1200 MHz, peers at equal load 1755 MHz"}},
		{"a slow clock for a moment", 6, 15 * time.Second, func(_ *fleet.Snapshot, last *fleet.Node) { last.GPUs[2].SMClockMHz = 1200 }, []string{}},
		{"a slow clock that is told to be throttled", 6, time.Minute, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.GPUs[2].SMClockMHz, last.GPUs[2].ThrottleBits = 1200, hwThermal
		}, []string{}},
		{"a slow clock of one that works hard while all wait", 6, time.Minute, func(s *fleet.Snapshot, last *fleet.Node) {
			for _, n := range s.Nodes {
				for g := range n.GPUs {
					n.GPUs[g].PowerW, n.GPUs[g].SMClockMHz = 300, 1980
				}
			}
			last.GPUs[2].PowerW, last.GPUs[2].SMClockMHz, last.GPUs[2].ThrottleBits = 699, 1400, swPowerCap
		}, []string{}},
		{"a slow clock at its power limit, its peers too", 6, time.Minute, func(s *fleet.Snapshot, last *fleet.Node) {
			for _, n := range s.Nodes {
				for g := range n.GPUs {
					n.GPUs[g].PowerW, n.GPUs[g].ThrottleBits = 698, swPowerCap
				}
			}
			last.GPUs[2].SMClockMHz = 1300
		}, []string{"n5 hw.clock warning gpu2 port-1: GPU2 clock 1300 MHz, peers at equal load 1755 MHz"}},
		{"a slow clock where nobody says why clocks are what they are", 6, time.Minute, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.GPUs[2].PowerW, last.GPUs[2].SMClockMHz, last.GPUs[2].ThrottleBits = 690, 1200, -1
		}, []string{}},
		{"a slow clock of one that is idle", 6, time.Minute, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.GPUs[2].UtilPct, last.GPUs[2].SMClockMHz, last.GPUs[2].PowerW = 0, 345, 70
		}, []string{}},
		{"a clock ahead", 6, time.Minute, func(_ *fleet.Snapshot, last *fleet.Node) { last.ClockOffsetS = 3.2 },
			[]string{"n5 hw.clock-skew warning gpu-1 port-1: clock 3.2 s ahead of the other nodes'"}},
		{"a clock an hour behind", 6, time.Minute, func(_ *fleet.Snapshot, last *fleet.Node) { last.ClockOffsetS = -3700 },
			[]string{"n5 hw.clock-skew warning gpu-1 port-1: clock 61 min behind the other nodes'"}},
		{"a way so long that it may explain it", 6, time.Minute, func(_ *fleet.Snapshot, last *fleet.Node) {
			last.ClockOffsetS, last.ClockWayS = -1.2, 0.9
		}, []string{}},
		{"our own clock is wrong", 6, time.Minute, func(s *fleet.Snapshot, _ *fleet.Node) {
			for _, n := range s.Nodes {
				n.ClockOffsetS += 100
			}
		}, []string{}},
		{"clocks that are not told", 6, time.Minute, func(s *fleet.Snapshot, last *fleet.Node) {
			for _, n := range s.Nodes {
				n.ClockOffsetS = fleet.None()
			}
			last.ClockOffsetS = 5
		}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := peersOfKind(tt.nodes)
			tt.change(s, s.Nodes[len(s.Nodes)-1])
			s.Jobs[0].GPUs = s.Jobs[0].GPUs[:0]
			for _, n := range s.Nodes {
				for g := range n.GPUs {
					s.Jobs[0].GPUs = append(s.Jobs[0].GPUs, fleet.GPURef{Node: n.Name, Index: g, GPU: &n.GPUs[g], State: n.State})
				}
			}
			if diff := cmp.Diff(tt.want, compared(s, tt.after)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// What a node's own rules say is not said again by the comparison.
func TestAPeerSaysNothingTwice(t *testing.T) {
	n := twoGPUs()
	n.GPUs[0].Slow.PCIeWidth = 8
	pcie := problem("hw.pcie", fleet.Warning, "GPU0 PCIe ×8, on its peers ×16")
	pcie.GPU = 0
	other := pcie
	other.GPU, other.Text = 1, "GPU1 PCIe ×8, on its peers ×16"
	n.Unlike = []fleet.Problem{pcie, other}
	got := say1(Node(n, noon, new(fleet.Memory)))
	want := []string{"warning gpu0 port-1 GPU0 PCIe ×8 of ×16", "warning gpu1 port-1 GPU1 PCIe ×8, on its peers ×16"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The comparison is pure: the same fleet, the same answer, whatever the order in which maps are walked.
func TestComparisonIsPure(t *testing.T) {
	s := peersOfKind(9)
	for i, n := range s.Nodes[6:] {
		n.Inventory.GpuDriverVersion, n.Hello.Kernel = fmt.Sprint(i), "x"
		n.ClockOffsetS = 9
	}
	want := compared(s, time.Minute)
	for range 20 {
		if got := compared(s, time.Minute); !slices.Equal(got, want) {
			t.Fatalf("%v, then %v", want, got)
		}
	}
}
