package ui

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/charmbracelet/x/ansi"
)

// fabricNode is a node with ports of every kind and condition: InfiniBand in NDR, one slower than its peers, one down, one that saw better days; a RoCE bond, an EFA device.
func fabricNode() *fleet.Node {
	f := &fixture{seed: 9}
	f.addNodes("gpu%03d", 1, 1, 4)
	n := f.nodes[0]
	n.Ports = nil
	none := fleet.None()
	quiet := func() *fleet.PortErrors { return &fleet.PortErrors{} }
	add := func(p fleet.Port, fact *facts.Port) *fleet.Port {
		p.Fact = fact
		p.LinkLayer, p.Rate = fact.LinkLayer, fact.Rate
		if p.Errors == nil {
			p.Errors = quiet()
		}
		n.Ports = append(n.Ports, p)
		return &n.Ports[len(n.Ports)-1]
	}
	ib := func(i int, rate string, mbps fleet.Reading) *fleet.Port {
		return add(fleet.Port{Name: fmt.Sprintf("mlx5_%d", i), State: 4, PhysState: 5, RateMbps: mbps, RateMaxMbps: 400_000, RcvBytesPerS: 41.2e9, XmitBytesPerS: 40.8e9, XmitWaitPerS: 3e8,
			GPU: i, Near: fleet.NearPCIe, PCIeGen: 5, PCIeGenMax: 5, PCIeWidth: 16, PCIeWidthMax: 16, Netdev: fmt.Sprintf("ibp%ds0", 24+i), PortTotals: &fleet.PortTotals{}},
			&facts.Port{Device: fmt.Sprintf("mlx5_%d", i), LinkLayer: "InfiniBand", Rate: rate, Lid: uint32(33 + i), SmLid: 1, Guid: fmt.Sprintf("a088:c203:000%d:1234", i), Firmware: "28.39.1002",
				HcaType: "MT4129", BoardId: "MT_0000000838", Driver: "mlx5_core", Pci: fmt.Sprintf("0000:%02x:00.0", 0x18+i), RateMax: "kind of device"})
	}
	ib(0, "400 Gb/sec (4X NDR)", 400_000)
	ib(1, "200 Gb/sec (2X NDR)", 200_000)
	down := ib(2, "10 Gb/sec (4X SDR)", 10_000)
	down.State, down.PhysState, down.RcvBytesPerS, down.XmitBytesPerS, down.XmitWaitPerS, down.LinkDowned = 1, 2, 0, 0, 0, 3
	bad := ib(3, "400 Gb/sec (4X NDR)", 400_000)
	bad.Severity, bad.SymbolError, bad.OutOfSequence, bad.LinkDowned, bad.PCIeWidth = fleet.Warning, 65535, 1500, 255, 8
	for _, m := range []telemetry.Metric{telemetry.PortSymbolError, telemetry.PortLinkDowned, telemetry.PortXmitWait} {
		bad.Errors.Stopped |= 1 << telemetry.PortErrorAt(m)
	}
	for _, c := range []struct {
		name        string
		value, perS float64
	}{{"port_rcv_data", 1.2e15, 10.3e9}, {"port_xmit_data", 1.1e15, 10.2e9}, {"port_rcv_packets", 9e12, 12e6}, {"port_xmit_wait", 1<<32 - 1, 0}, {"symbol_error", 65535, 0}, {"link_downed", 255, 0},
		{"port_rcv_errors", 311, 0.4}, {"VL15_dropped", 4, 0}, {"local_link_integrity_errors", 0, 0}, {"out_of_sequence", 1500, 12}, {"duplicate_request", 0, 0}, {"np_cnp_sent", 0, 0},
		{"rnr_nak_retry_err", 0, 0}, {"packet_seq_err", 77, 0}, {"rx_write_requests", 4e9, 2e6}, {"req_cqe_flush_error", 5000, 0}, {"counter_of_tomorrow", 9, 1}} {
		bad.Counters = append(bad.Counters, fleet.Counter{Name: c.name, Value: fleet.Reading(c.value), PerS: fleet.Reading(c.perS), Def: telemetry.LookupCounter("mlx5_core", c.name)})
	}
	bond := add(fleet.Port{Name: "mlx5_bond_0", State: 4, PhysState: 5, RateMbps: 100_000, RateMaxMbps: 200_000, RcvBytesPerS: 9.2e9, XmitBytesPerS: 8.8e9, XmitWaitPerS: 0, GPU: 2, Near: fleet.NearNUMA,
		PCIeGen: 4, PCIeGenMax: 4, PCIeWidth: 16, PCIeWidthMax: 16, Netdev: "bond0", PortTotals: &fleet.PortTotals{}},
		&facts.Port{Device: "mlx5_bond_0", LinkLayer: "Ethernet", Rate: "100 Gb/sec (2X HDR)", Guid: "946d:ae03:0042:1180", HcaType: "MT4125", Driver: "mlx5_core", RateMax: "ethtool"})
	bond.Errors.PerS[telemetry.PortErrorAt(telemetry.PortNPCNPSent)] = 12_000
	add(fleet.Port{Name: "rdmap79s0", State: 4, PhysState: 5, RateMbps: 100_000, RateMaxMbps: none, RcvBytesPerS: none, XmitBytesPerS: none, XmitWaitPerS: none, PCIeGen: none, PCIeWidth: none, PCIeGenMax: none, PCIeWidthMax: none, GPU: 1, Near: fleet.NearOrder, PortTotals: &fleet.PortTotals{SymbolError: none, LinkDowned: none, OutOfSequence: none, PacketSeqErr: none, LocalAckTimeoutErr: none}},
		&facts.Port{Device: "rdmap79s0", LinkLayer: "Unspecified", Driver: "efa", NumaNode: -1})
	n.Nets = []fleet.Net{
		{Name: "ens11f0np0", Driver: "mlx5_core", Physical: true, Master: "bond0", Up: 1, SpeedMbps: 100_000, RxBytesPerS: 4.6e9, TxBytesPerS: 4.4e9, NetCounts: &fleet.NetCounts{SpeedMaxMbps: 200_000, RxPFCPause: 9e6, RxDiscards: 220, RxCRCErrors: 0, FECUncorrected: 31, RxPFCPausePerS: 18_233}},
		{Name: "ens11f1np1", Driver: "mlx5_core", Physical: true, Master: "bond0", Up: 0, SpeedMbps: none, RxBytesPerS: 0, TxBytesPerS: 0, RxErrors: 12, NetCounts: &fleet.NetCounts{RxPFCPause: none, RxDiscards: none, TxDiscards: none, RxCRCErrors: 4, FECUncorrected: none, RxPFCPausePerS: none, RxPausePerS: none}},
		{Name: "eno1", Driver: "igb", Physical: true, Up: 1, SpeedMbps: 1000, RxBytesPerS: 2e4, TxBytesPerS: 1e4, NetCounts: &fleet.NetCounts{RxPFCPause: none, RxCRCErrors: 0, FECUncorrected: none, RxPFCPausePerS: none, RxPausePerS: 0}},
		{Name: "bond0", BondMode: "802.3ad", Up: 1, SpeedMbps: 100_000, RxBytesPerS: 4.6e9, TxBytesPerS: 4.4e9, RxDropped: 12, NetCounts: &fleet.NetCounts{RxPFCPause: none, RxDiscards: none, TxDiscards: none, RxCRCErrors: none, FECUncorrected: none, RxPFCPausePerS: none, RxPausePerS: none}},
		{Name: "docker0", Up: 0, RxBytesPerS: 0, TxBytesPerS: 0, NetCounts: &fleet.NetCounts{}},
	}
	inv := n.Inventory
	for i := range 4 {
		inv.Gpus = append(inv.Gpus, &facts.GPU{NumaNode: int32(i / 2), CpuAffinity: fmt.Sprintf("%d-%d,%d-%d", 56*(i/2), 56*(i/2)+55, 112+56*(i/2), 167+56*(i/2)),
			PciPath: fmt.Sprintf("pci0000:%d5/0000:%d5:01.0/0000:%d6:00.0/0000:%d7:00.0/0000:%d8:00.0", i, i, i, i, i)})
		inv.GpuLinks = append(inv.GpuLinks, &facts.GPULink{Gpu: uint32(i), Kind: "NVLink", Remote: "switch"}, &facts.GPULink{Gpu: uint32(i), Link: 1, Kind: "NVLink", Remote: "switch"})
	}
	for i := range n.Ports {
		fact := n.Ports[i].Fact
		fact.PciPath = fmt.Sprintf("pci0000:%d5/0000:%d5:01.0/0000:%d6:00.0/0000:%d7:01.0/0000:%d9:00.0", i, i, i, i, i)
		inv.Ports = append(inv.Ports, fact)
	}
	return n
}

// section draws a part of the node's page by itself.
func drawnSection(w, h int, draw func(m *Model, a area, n *fleet.Node)) string {
	n := fabricNode()
	s := &fleet.Snapshot{At: noon, Nodes: []*fleet.Node{n}}
	d := drive(s, 80, 24, Options{})
	d.node.show(n, 0)
	c := &canvas{}
	c.reset(w, h, false)
	draw(d.Model, c.whole(), n)
	return trim(ansi.Strip(c.render(&d.theme)))
}

func TestFabricSections(t *testing.T) {
	for _, s := range []struct {
		name string
		rows func(m *Model, n *fleet.Node, w int) int
		draw func(m *Model, a area, n *fleet.Node)
	}{
		{"ports", (*Model).portRows, (*Model).drawPorts},
		{"topology", (*Model).topologyRows, (*Model).drawTopology},
		{"interfaces", func(_ *Model, n *fleet.Node, _ int) int { return len(deviceLines(n)) }, func(_ *Model, a area, n *fleet.Node) { drawLines(a, deviceLines(n), "none") }},
	} {
		for _, w := range []int{200, 100, 80, 59, 30} {
			t.Run(fmt.Sprint(s.name, w), func(t *testing.T) {
				h := 0
				drawnSection(w, 1, func(m *Model, _ area, n *fleet.Node) { h = s.rows(m, n, w) })
				got := drawnSection(w, h+3, s.draw)
				lines := strings.Split(got, "\n")
				for i, l := range lines {
					if i >= h && l != "" {
						t.Errorf("line %d of %d: %q", i+1, h, l)
					}
				}
				golden(t, filepath.Join("fabric", fmt.Sprintf("%s-%d", s.name, w)), strings.Join(lines[:h], "\n"))
			})
		}
	}
}

// Each width and height, down to nothing, is filled and no more.
func TestFabricFitsEverywhere(t *testing.T) {
	for w := range 130 {
		for _, h := range []int{0, 1, 5, 40} {
			for _, draw := range []func(m *Model, a area, n *fleet.Node){(*Model).drawPorts, (*Model).drawTopology} {
				if got := drawnSectionOf(w, h, draw); got > w {
					t.Fatalf("%d cells in %d", got, w)
				}
			}
		}
	}
}

func drawnSectionOf(w, h int, draw func(m *Model, a area, n *fleet.Node)) (widest int) {
	for _, l := range strings.Split(drawnSection(w, h, draw), "\n") {
		widest = max(widest, ansi.StringWidth(l))
	}
	return widest
}

func TestTopologyWithoutGPUs(t *testing.T) {
	c := &canvas{}
	c.reset(60, 3, false)
	d := drive(empty(), 80, 24, Options{})
	n := &fleet.Node{}
	if rows := d.topologyRows(n, 60); rows != 1 {
		t.Errorf("%d rows", rows)
	}
	d.drawTopology(c.whole(), n)
	if got := trim(ansi.Strip(c.render(&d.theme))); !strings.Contains(got, "no accelerator is known of this node") {
		t.Errorf("%q", got)
	}
}
