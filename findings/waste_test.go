package findings

import (
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// withPorts gives the world's nodes a port beside each GPU, one for storage, and a management interface, all quiet.
func (w *world) withPorts() {
	for _, n := range w.nodes {
		for g := range 8 {
			n.Ports = append(n.Ports, fleet.Port{Name: "mlx5_" + string(rune('0'+g)), State: portActive, GPU: g, Near: fleet.NearPCIe, Fact: &facts.Port{Netdev: "ib" + string(rune('0'+g))}, PortTotals: &fleet.PortTotals{}})
		}
		n.Ports = append(n.Ports, fleet.Port{Name: "mlx5_8", State: portActive, GPU: -1, Fact: &facts.Port{Netdev: "ens6"}, PortTotals: &fleet.PortTotals{}})
		n.Nets = []fleet.Net{{Name: "eno1", Physical: true, NetCounts: &fleet.NetCounts{}}, {Name: "ens6", Physical: true, NetCounts: &fleet.NetCounts{}}, {Name: "bond0", NetCounts: &fleet.NetCounts{}}}
	}
}

// wrongWay lets the job's traffic go over the management network.
func wrongWay(w *world) {
	w.withPorts()
	for _, n := range w.nodes {
		n.Nets[0].RxBytesPerS, n.Nets[0].TxBytesPerS = 1.1e9, 1.0e9
	}
}

func TestJobsOnTheWrongNIC(t *testing.T) {
	const over = "traffic goes over eno1, not over its GPUs' ports (a, b)"
	for _, tt := range []struct {
		name   string
		after  time.Duration
		change func(*world)
		want   string // of the rule; "" it says nothing
		level  fleet.Severity
	}{
		{"all quiet", time.Hour, (*world).withPorts, "", 0},
		{"over the management network", 2 * time.Minute, wrongWay, over, fleet.Warning},
		{"for a moment", 30 * time.Second, wrongWay, "", 0},
		{"over its own ports", time.Hour, func(w *world) {
			wrongWay(w)
			for _, n := range w.nodes {
				for i := range 8 {
					n.Ports[i].RcvBytesPerS, n.Ports[i].XmitBytesPerS = 20e9, 20e9
				}
			}
		}, "", 0},
		{"data that is read", time.Hour, func(w *world) {
			w.withPorts()
			for _, n := range w.nodes {
				n.Nets[0].RxBytesPerS, n.Nets[0].TxBytesPerS = 3e9, 2e7
			}
		}, "", 0},
		{"over the storage port", 2 * time.Minute, func(w *world) {
			w.withPorts()
			for _, n := range w.nodes {
				n.Ports[8].RcvBytesPerS, n.Ports[8].XmitBytesPerS = 9e9, 9e9
			}
		}, "traffic goes over mlx5_8, not over its GPUs' ports (a, b)", fleet.Warning},
		{"over the storage adapter's interface", 2 * time.Minute, func(w *world) {
			w.withPorts()
			for _, n := range w.nodes {
				n.Nets[1].RxBytesPerS, n.Nets[1].TxBytesPerS = 1e9, 1e9
			}
		}, "traffic goes over ens6, not over its GPUs' ports (a, b)", fleet.Warning},
		{"its own port's interface is the right one", time.Hour, func(w *world) {
			w.withPorts()
			for _, n := range w.nodes {
				n.Nets[1].Name = "ib0"
				n.Nets[1].RxBytesPerS, n.Nets[1].TxBytesPerS = 1e9, 1e9
			}
		}, "", 0},
		{"a node that others use too", time.Hour, func(w *world) {
			wrongWay(w)
			for _, n := range w.nodes {
				n.Jobs = append(n.Jobs, "other")
			}
		}, "", 0},
		{"a job on one node", time.Hour, func(w *world) { wrongWay(w); w.job.Nodes = w.job.Nodes[:1] }, "", 0},
		{"ports that are not told", time.Hour, func(w *world) {
			wrongWay(w)
			for _, n := range w.nodes {
				n.Ports[2].RcvBytesPerS = fleet.None()
			}
		}, "", 0},
		{"no ports beside its GPUs", time.Hour, func(w *world) {
			wrongWay(w)
			for _, n := range w.nodes {
				for i := range n.Ports {
					n.Ports[i].GPU = -1
				}
			}
		}, "", 0},
		{"all over one of eight", 2 * time.Minute, func(w *world) {
			w.withPorts()
			for _, n := range w.nodes {
				n.Ports[3].RcvBytesPerS, n.Ports[3].XmitBytesPerS = 20e9, 20e9
			}
		}, "all traffic goes over mlx5_3, its other ports are quiet (a, b)", fleet.Notice},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, m := newWorld(), new(fleet.Memory)
			tt.change(w)
			w.judge(noon.Add(-tt.after), m)
			w.judge(noon, m)
			got := fleet.Verdict{}
			for _, v := range w.job.Findings {
				if v.Rule == "waste.wrong-nic" {
					got = v
				}
			}
			if got.Text != tt.want || got.Severity != tt.level {
				t.Errorf("%s %q, wanted %s %q", got.Severity, got.Text, tt.level, tt.want)
			}
		})
	}
}

func TestHeldAndIdle(t *testing.T) {
	for _, tt := range []struct {
		idle       int
		rule, text string
	}{{0, "", "running"}, {7, "waste.partial", "7 of 16 GPUs idle"}, {16, "waste.idle", "16 of 16 GPUs idle"}} {
		w := newWorld()
		w.job.IdleGPUs = tt.idle
		for i := range tt.idle {
			w.job.GPUs[i].GPU.IdleSince = noon.Add(-time.Duration(10+i) * time.Minute)
		}
		v := w.judge(noon, new(fleet.Memory))
		if v.Rule != tt.rule || v.Text != tt.text || tt.idle > 0 && (v.Severity != fleet.Notice || len(v.Evidence) == 0 || v.Remedy == "") {
			t.Errorf("%d idle: %+v", tt.idle, v)
		}
		if tt.idle == 16 && !v.Since.Equal(noon.Add(-10*time.Minute)) {
			t.Errorf("idle since %s", v.Since)
		}
	}
}
