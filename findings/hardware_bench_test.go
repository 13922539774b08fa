package findings

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"foretop/fleet"
)

// usedCPU is the time that this process has computed.
func usedCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkHardware is what all rules of nodes cost a second, on 1,000 nodes of 8 GPUs with 9 ports: each node is judged once, and the nodes are compared as often as they are.
func BenchmarkHardware(b *testing.B) {
	s := peersOfKind(1000)
	memories := make([]*fleet.Memory, len(s.Nodes))
	for i, n := range s.Nodes {
		memories[i] = new(fleet.Memory)
		n.Ports = append(n.Ports, fleet.Port{Name: "mlx5_8", State: portActive, GPU: -1, RateMbps: 200_000, PortTotals: &fleet.PortTotals{}})
		for p := range n.Ports {
			n.Ports[p].Errors = &fleet.PortErrors{}
			n.Ports[p].RateMaxMbps = n.Ports[p].RateMbps
		}
		for k := range 10 {
			n.Nets = append(n.Nets, fleet.Net{Name: fmt.Sprint("eth", k), Physical: true, Up: 1, NetCounts: &fleet.NetCounts{}})
		}
		n.FS = []fleet.Filesystem{{Mount: "/", Type: "ext4", SizeBytes: 1e12, AvailableBytes: 4e11, Files: 1e6, FilesFree: 5e5}}
		n.FS = append(n.FS, n.FS[0], n.FS[0], n.FS[0])
		for range 18 {
			n.Sources = append(n.Sources, fleet.Source{Name: "cpu", State: 1})
		}
		for range 60 {
			n.Kernel = append(n.Kernel, line(time.Minute, -1, "usb 1-1: new device"))
		}
		for range 8 {
			n.Processes = append(n.Processes, &fleet.Process{})
		}
	}
	set, whole := Set{}, new(fleet.Memory)
	at := noon
	b.ReportAllocs()
	used := usedCPU()
	for b.Loop() {
		at = at.Add(time.Second)
		for i, n := range s.Nodes {
			if p := set.Node(n, at, memories[i]); len(p) > 0 {
				b.Fatal(say1(p))
			}
		}
		if at.Second()%5 == 0 {
			if found := set.Fleet(s, at, whole); len(found) > 0 {
				b.Fatal(found)
			}
		}
	}
	b.ReportMetric(float64((usedCPU()-used).Microseconds())/float64(b.N)/1000, "ms-CPU/s")
}
