package ui

import (
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// plain is a fleet of one node without GPUs, RDMA devices, or a word about its swap.
func plain() *fleet.Snapshot {
	f := &fixture{seed: 8}
	f.addNodes("login%d", 1, 1, 0)
	n := f.nodes[0]
	n.Host.SwapTotalBytes, n.Host.SwapUsedBytes = fleet.None(), fleet.None()
	n.Sources[2] = fleet.Source{Name: "rdma", State: facts.SourceState_SOURCE_UNSUPPORTED, Text: "no RDMA devices here"}
	return f.snapshot()
}

// TestNodeWithoutGPUs shows that such a node's page has nothing about GPUs and that what it lacks is not called unchecked.
func TestNodeWithoutGPUs(t *testing.T) {
	for _, size := range sizes[:3] {
		d := drive(plain(), size.w, size.h, Options{})
		d.keys("2", "enter")
		seen := d.text()
		for range 8 {
			d.keys("pgdown")
			d.must(t)
			seen += "\n" + d.text()
		}
		for _, want := range []string{"CPU and memory", "no RDMA devices here", "▸ CPU and memory"} {
			if !strings.Contains(seen, want) {
				t.Errorf("%s: no %q in\n%s", size.name, want, seen)
			}
		}
		for _, not := range []string{"GPU 0", "GPUs ─", "of limit", "swap", "not checked", "Xid: read"} {
			if strings.Contains(seen, not) {
				t.Errorf("%s: %q in\n%s", size.name, not, seen)
			}
		}
		d.keys("tab", "tab", "tab", "tab", "tab", "tab")
		if d.node.focused != secHost {
			t.Errorf("%s: six steps round six sections lead to %q", size.name, nodeSections()[d.node.focused].title)
		}
	}
}

// TestNoPorts shows that why no RDMA port is known is told by what its source says.
func TestNoPorts(t *testing.T) {
	for _, c := range []struct {
		state facts.SourceState
		text  string
		want  string
	}{
		{facts.SourceState_SOURCE_OK, "", "no RDMA port on this node"},
		{facts.SourceState_SOURCE_UNSUPPORTED, "no RDMA devices here", "no RDMA devices here"},
		{facts.SourceState_SOURCE_DENIED, "no way in", "not checked: denied: no way in"},
		{facts.SourceState_SOURCE_STUCK, "", "not checked: stuck"},
	} {
		n := &fleet.Node{Sources: []fleet.Source{{Name: "rdma", State: c.state, Text: c.text}}}
		if got := noPorts(n); got != c.want {
			t.Errorf("%s: %q, want %q", c.state, got, c.want)
		}
	}
}

// TestXidIsTheCause shows that of the Xids of one incident the first is shown, not those that follow from it.
func TestXidIsTheCause(t *testing.T) {
	line := func(ago time.Duration, xid int, s fleet.Severity) fleet.KernelLine {
		return fleet.KernelLine{At: noon.Add(-ago), Class: fleet.KernelClass{Severity: s, Kind: "xid", Xid: xid}}
	}
	for _, c := range []struct {
		want  string
		lines []fleet.KernelLine
	}{
		{"79", []fleet.KernelLine{line(time.Minute, 79, fleet.Critical), line(50*time.Second, 154, fleet.Critical)}},
		{"79", []fleet.KernelLine{line(2*time.Minute, 13, fleet.Warning), line(time.Minute, 79, fleet.Critical), line(50*time.Second, 154, fleet.Critical)}},
		{"48", []fleet.KernelLine{line(5*time.Hour, 79, fleet.Critical), line(time.Minute, 48, fleet.Critical), line(50*time.Second, 154, fleet.Critical)}},
		{"79", []fleet.KernelLine{line(5*time.Hour, 79, fleet.Critical), line(time.Minute, 13, fleet.Warning)}},
	} {
		if got := nodeXid(&fleet.Node{Kernel: c.lines}); got != c.want {
			t.Errorf("%v: %s, want %s", c.lines, got, c.want)
		}
	}
}

// TestNetworkScale shows that a port that is full one way only is not at the end of the scale, and one that is full both ways is.
func TestNetworkScale(t *testing.T) {
	d := metricOf("network").def()
	g := &fleet.GPU{NetRxBytesPerS: 50e9, NetTxBytesPerS: 0}
	if got := d.level(float64(d.read(g)), 10); got != 5 {
		t.Errorf("one way full: step %d of 10", got)
	}
	g.NetTxBytesPerS = 50e9
	if got := d.level(float64(d.read(g)), 10); got != 9 {
		t.Errorf("both ways full: step %d of 10", got)
	}
}
