package findings

import (
	"fmt"
	"math"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// portsOf is a node with nothing but n like ports, well and quiet.
func portsOf(n int, layer string) *fleet.Node {
	v := &fleet.Node{Name: "n1", State: fleet.Live}
	for i := range n {
		v.Ports = append(v.Ports, fleet.Port{Name: fmt.Sprintf("mlx5_%d", i), LinkLayer: layer, State: portActive, PhysState: 5, RateMbps: 400_000, RateMaxMbps: 400_000,
			PCIeGen: 5, PCIeGenMax: 5, PCIeWidth: 16, PCIeWidthMax: 16, RcvBytesPerS: 40e9, XmitBytesPerS: 40e9, XmitWaitPerS: 0, Errors: &fleet.PortErrors{},
			Fact: &facts.Port{Driver: "mlx5_core", HcaType: "MT4129", RateMax: "ethtool"}, PortTotals: &fleet.PortTotals{}})
	}
	return v
}

// errs makes a port's counter of damage or congestion change so fast.
func errs(p *fleet.Port, m telemetry.Metric, perS float64) {
	e := *p.Errors
	e.PerS[telemetry.PortErrorAt(m)] = float32(perS)
	p.Errors = &e
}

func stop(p *fleet.Port, m telemetry.Metric) {
	errs(p, m, math.NaN())
	p.Errors.Stopped |= 1 << telemetry.PortErrorAt(m)
}

// What counters say of a port, after so long of the same.
func TestPortSigns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		layer string
		after time.Duration
		do    func(n *fleet.Node, p *fleet.Port)
		want  []string
	}{
		{"quiet", "InfiniBand", time.Hour, func(*fleet.Node, *fleet.Port) {}, []string{}},
		{"nothing known", "InfiniBand", time.Hour, func(_ *fleet.Node, p *fleet.Port) {
			none := fleet.None()
			p.Errors, p.RateMbps, p.RateMaxMbps, p.PCIeWidth, p.PCIeGen, p.SymbolError, p.Fact = nil, none, none, none, none, none, nil
		}, []string{}},
		{"a bad cable", "InfiniBand", 20 * time.Second, func(_ *fleet.Node, p *fleet.Port) { errs(p, telemetry.PortSymbolError, 12) },
			[]string{"warning gpu-1 port0 mlx5_0 12 symbol errors/s: cable or transceiver?"}},
		{"a bad moment", "InfiniBand", 10 * time.Second, func(_ *fleet.Node, p *fleet.Port) { errs(p, telemetry.PortSymbolError, 12) }, []string{}},
		{"retrains", "InfiniBand", 20 * time.Second, func(_ *fleet.Node, p *fleet.Port) { errs(p, telemetry.PortLinkErrorRecovery, 0.2) },
			[]string{"warning gpu-1 port0 mlx5_0 link retrains, 0.2/s: cable or transceiver?"}},
		{"losses on Ethernet", "Ethernet", 20 * time.Second, func(_ *fleet.Node, p *fleet.Port) { errs(p, telemetry.PortOutOfSequence, 50) },
			[]string{"warning gpu-1 port0 mlx5_0 receives 50 packets/s out of sequence: losses on the path?"}},
		{"adaptive routing", "InfiniBand", 20 * time.Second, func(_ *fleet.Node, p *fleet.Port) { errs(p, telemetry.PortOutOfSequence, 500) }, []string{}},
		{"no acknowledgements", "Ethernet", 20 * time.Second, func(_ *fleet.Node, p *fleet.Port) { errs(p, telemetry.PortLocalAckTimeoutErr, 2) },
			[]string{"warning gpu-1 port0 mlx5_0 2.0 acknowledgements/s do not come: the path, or the other end?"}},
		{"receivers not ready", "Ethernet", 20 * time.Second, func(_ *fleet.Node, p *fleet.Port) { errs(p, telemetry.PortRNRNakRetryErr, 0.1) },
			[]string{"warning gpu-1 port0 mlx5_0 its receivers are not ready, 0.1 times/s"}},
		{"receivers not ready for long", "Ethernet", 6 * time.Minute, func(_ *fleet.Node, p *fleet.Port) { errs(p, telemetry.PortRNRNakRetryErr, 0.1) },
			[]string{"critical gpu-1 port0 mlx5_0 its receivers are not ready, 0.1 times/s"}},
		{"a connection given up, one step", "Ethernet", 0, func(_ *fleet.Node, p *fleet.Port) {
			errs(p, telemetry.PortReqTransportRetriesExceeded, 0.1)
		}, []string{"warning gpu-1 port0 mlx5_0 gave a connection up: retries exceeded"}},
		{"EFA", "Unspecified", 0, func(_ *fleet.Node, p *fleet.Port) {
			errs(p, telemetry.PortNoCompletionCmds, 0.1)
			errs(p, telemetry.PortUnresponsiveRemotes, 0.1)
		}, []string{"warning gpu-1 port0 mlx5_0 its adapter left a command unanswered", "notice gpu-1 port0 mlx5_0 a remote end did not respond"}},
		{"no credit", "InfiniBand", time.Minute, func(_ *fleet.Node, p *fleet.Port) {
			p.XmitWaitPerS = 2e9
			errs(p, telemetry.PortXmitWait, 2e9)
		}, []string{"notice gpu-1 port0 mlx5_0 congestion: it had to wait for about 32 % of the time"}},
		{"congestion control at its work", "Ethernet", time.Minute, func(_ *fleet.Node, p *fleet.Port) {
			errs(p, telemetry.PortNPECNMarked, 10_000)
			errs(p, telemetry.PortRPCNPHandled, 10_000)
		}, []string{}},
		{"congestion", "Ethernet", time.Minute, func(_ *fleet.Node, p *fleet.Port) {
			errs(p, telemetry.PortNPECNMarked, 2_000_000)
			errs(p, telemetry.PortRPCNPHandled, 300_000)
		}, []string{"notice gpu-1 port0 mlx5_0 congestion: 2000k packets/s came marked (ECN)", "notice gpu-1 port0 mlx5_0 congestion: told to slow down, 300k CNPs/s"}},
		{"counters at their limit", "InfiniBand", time.Minute, func(_ *fleet.Node, p *fleet.Port) {
			stop(p, telemetry.PortSymbolError)
			stop(p, telemetry.PortXmitWait) // normal on a busy fabric: shown, no problem
			stop(p, telemetry.PortVL15Dropped)
			stop(p, telemetry.PortLinkDowned)
		}, []string{"notice gpu-1 port0 mlx5_0 counts no more, at its limit: symbol_error, link_downed (perfquery -R resets it)"}},
		{"slower than its peers", "InfiniBand", 0, func(_ *fleet.Node, p *fleet.Port) { p.RateMbps = 200_000 },
			[]string{"warning gpu-1 port0 mlx5_0 runs at 200 Gb/s, its peers at 400"}},
		{"all as slow, the adapter could do more", "Ethernet", 0, func(n *fleet.Node, _ *fleet.Port) {
			for i := range n.Ports {
				n.Ports[i].RateMbps = 100_000
			}
		}, []string{"notice gpu-1 port0 mlx5_0 runs at 100 of 400 Gb/s", "notice gpu-1 port1 mlx5_1 runs at 100 of 400 Gb/s", "notice gpu-1 port2 mlx5_2 runs at 100 of 400 Gb/s"}},
		{"only its kind could do more", "InfiniBand", 0, func(n *fleet.Node, _ *fleet.Port) {
			for i := range n.Ports {
				n.Ports[i].RateMbps, n.Ports[i].Fact = 200_000, &facts.Port{HcaType: "MT4129", RateMax: "kind of device"}
			}
		}, []string{}},
		{"another kind is no peer", "InfiniBand", 0, func(_ *fleet.Node, p *fleet.Port) {
			p.RateMbps, p.RateMaxMbps, p.Fact = 200_000, 200_000, &facts.Port{HcaType: "MT4125"}
		}, []string{}},
		{"a port that is down has no rate", "InfiniBand", 0, func(_ *fleet.Node, p *fleet.Port) { p.State, p.RateMbps = portDown, 10_000 },
			[]string{"notice gpu-1 port0 mlx5_0 down"}},
		{"narrow PCIe", "InfiniBand", 0, func(_ *fleet.Node, p *fleet.Port) { p.PCIeWidth = 8 }, []string{"warning gpu-1 port0 mlx5_0 PCIe ×8 of ×16"}},
		{"slow PCIe", "InfiniBand", 0, func(_ *fleet.Node, p *fleet.Port) { p.PCIeGen = 3 }, []string{"warning gpu-1 port0 mlx5_0 PCIe gen 3 of gen 5"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, m := portsOf(3, tt.layer), new(fleet.Memory)
			tt.do(n, &n.Ports[0])
			var got []fleet.Problem
			for at := time.Duration(0); at <= tt.after; at += time.Second {
				got = Node(n, noon.Add(at), m)
			}
			if d := cmp.Diff(tt.want, say1(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

// What passed is told as the past, then not at all, and nothing of it stays in memory.
func TestPortSignsPass(t *testing.T) {
	n, m := portsOf(1, "Ethernet"), new(fleet.Memory)
	p := &n.Ports[0]
	at := func(d time.Duration) []string { return say1(Node(n, noon.Add(d), m)) }
	at(0)
	errs(p, telemetry.PortReqTransportRetriesExceeded, 0.2)
	errs(p, telemetry.PortSymbolError, 100)
	at(time.Second)
	at(20 * time.Second)
	p.Errors = &fleet.PortErrors{}
	for d, want := range map[time.Duration][]string{
		time.Minute:      {"warning gpu-1 port0 mlx5_0 gave a connection up: retries exceeded"},
		10 * time.Minute: {"notice gpu-1 port0 mlx5_0 gave a connection up: retries exceeded, 9 min ago"},
	} {
		if d := cmp.Diff(want, at(d)); d != "" {
			t.Error(d)
		}
	}
	at(2 * time.Hour)
	got := at(2*time.Hour + time.Second)
	if kept := pastOf[nodePast](m).ports[0].signs; len(got) > 0 || kept == nil || *kept != (portSignsPast{}) {
		t.Errorf("%q, remembered is %+v", got, kept)
	}
}

func TestSymbolErrorsOfAnHour(t *testing.T) {
	n, m := portsOf(1, "InfiniBand"), new(fleet.Memory)
	p := &n.Ports[0]
	step := func(minutes int, total fleet.Reading, want ...string) {
		t.Helper()
		p.SymbolError = total
		if want == nil {
			want = []string{}
		}
		if d := cmp.Diff(want, say1(Node(n, noon.Add(time.Duration(minutes)*time.Minute), m))); d != "" {
			t.Errorf("at %d min: %s", minutes, d)
		}
	}
	step(0, 50_000) // the past
	step(59, 50_119)
	step(61, 50_119) // an hour is over
	step(80, 50_200)
	step(90, 50_239, "warning gpu-1 port0 mlx5_0 120 symbol errors in 29 min: cable or transceiver?")
	step(150, 50_239, "warning gpu-1 port0 mlx5_0 120 symbol errors in 89 min: cable or transceiver?")
	step(182, 50_239)
	step(183, 10) // reset
	step(184, 129)
	step(185, 130, "warning gpu-1 port0 mlx5_0 120 symbol errors in 2 min: cable or transceiver?")
	step(186, fleet.None())
}

// A link that comes back at a lesser rate is told for an hour; then that is how it is meant to be.
func TestRateFalls(t *testing.T) {
	n, m := portsOf(1, "InfiniBand"), new(fleet.Memory)
	n.Ports[0].Fact = nil
	at := func(d time.Duration, rate fleet.Reading) []string {
		n.Ports[0].RateMbps = rate
		return say1(Node(n, noon.Add(d), m))
	}
	at(0, 400_000)
	for _, d := range []time.Duration{time.Second, 50 * time.Minute} {
		if diff := cmp.Diff([]string{"warning gpu-1 port0 mlx5_0 fell from 400 to 100 Gb/s"}, at(d, 100_000)); diff != "" {
			t.Error(diff)
		}
	}
	at(time.Hour+time.Second, 100_000)
	if got := at(time.Hour+2*time.Second, 100_000); len(got) > 0 {
		t.Errorf("after an hour: %q", got)
	}
	at(2*time.Hour, 400_000)
	if got := at(2*time.Hour+time.Second, 200_000); len(got) != 1 {
		t.Errorf("it fell again: %q", got)
	}
}

func TestNetProblems(t *testing.T) {
	quiet := func() *fleet.Node {
		return &fleet.Node{Name: "n1", State: fleet.Live, Nets: []fleet.Net{{Name: "ens1", Physical: true, Up: 1, Master: "bond0", NetCounts: &fleet.NetCounts{}}, {Name: "ens2", Physical: true, Up: 1, Master: "bond0", NetCounts: &fleet.NetCounts{}},
			{Name: "eno1", Physical: true, Up: 0, NetCounts: &fleet.NetCounts{}}, {Name: "bond0", Up: 1, BondMode: "802.3ad", NetCounts: &fleet.NetCounts{RxDiscardsPerS: 1e6}}}}
	}
	for _, tt := range []struct {
		name string
		do   func(d *fleet.Net)
		want []string
	}{
		{"quiet", func(*fleet.Net) {}, []string{}},
		{"paused", func(d *fleet.Net) { d.RxPFCPausePerS = 25_000 }, []string{"notice gpu-1 port-1 ens1 congestion: the switch pauses it, 25k times/s (PFC)"}},
		{"pausing", func(d *fleet.Net) { d.TxPFCPausePerS = 2500 }, []string{"notice gpu-1 port-1 ens1 congestion: it pauses the switch, 2500 times/s (PFC): is this host slow?"}},
		{"paused now and then", func(d *fleet.Net) { d.RxPFCPausePerS = 30 }, []string{}},
		{"over the cloud's limit", func(d *fleet.Net) { d.AllowanceExceededPerS = 200 }, []string{"notice gpu-1 port-1 ens1 congestion: 200 packets/s over what the cloud allows"}},
		{"corrupted", func(d *fleet.Net) { d.RxCRCErrorsPerS = 4 }, []string{"warning gpu-1 port-1 ens1 receives 4.0 corrupted packets/s: cable or transceiver?"}},
		{"beyond correction", func(d *fleet.Net) { d.FECUncorrectedPerS = 40 }, []string{"warning gpu-1 port-1 ens1 40 errors/s beyond correction (FEC): cable or transceiver?"}},
		{"absent", func(d *fleet.Net) {
			none := fleet.None()
			*d = fleet.Net{Name: "ens1", Physical: true, Master: "bond0", Up: none, NetCounts: &fleet.NetCounts{RxPFCPausePerS: none, TxPFCPausePerS: none, RxDiscardsPerS: none, TxDiscardsPerS: none, RxCRCErrorsPerS: none, SymbolErrorsPerS: none, FECUncorrectedPerS: none, AllowanceExceededPerS: none}}
		}, []string{}},
		{"a member of a bond was never up", func(d *fleet.Net) { d.Up = 0 }, []string{"notice gpu-1 port-1 ens1 down: bond0 runs without it"}},
	} {
		n, m := quiet(), new(fleet.Memory)
		tt.do(&n.Nets[0])
		var got []fleet.Problem
		for s := range 40 {
			got = Node(n, noon.Add(time.Duration(s)*time.Second), m)
		}
		if d := cmp.Diff(tt.want, say1(got)); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	n, m := quiet(), new(fleet.Memory)
	Node(n, noon, m)
	n.Nets[1].Up = 0
	if d := cmp.Diff([]string{"warning gpu-1 port-1 ens2 down: bond0 runs without it"}, say1(Node(n, noon.Add(time.Second), m))); d != "" {
		t.Error(d)
	}
	n.Nets[3].Up = 0
	if got := say1(Node(n, noon.Add(2*time.Second), m)); len(got) > 0 {
		t.Errorf("the whole bond is down, which its port tells: %q", got)
	}
}

// The ports of a healthy fleet say nothing, whatever its jobs send.
func TestHealthyFabricIsQuiet(t *testing.T) {
	t.Parallel()
	s := newSim(t, 16, 3, "name: healthy\nfaults: []\n")
	for range 180 {
		for _, n := range s.step().Nodes {
			for _, p := range n.Problems {
				if p.Port >= 0 {
					t.Fatalf("after %s: %s: %s", s.at, n.Name, p.Text)
				}
			}
		}
	}
}
