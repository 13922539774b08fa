package export

import (
	"compress/gzip"
	"fmt"
	"io"
	"testing"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// fleetOf is a fleet of nodes as real ones are: 8 GPUs, 9 RDMA ports, a rank on each GPU.
func fleetOf(nodes int) *fleet.Snapshot {
	s := &fleet.Snapshot{At: noon}
	for i := range nodes {
		name := fmt.Sprintf("node%03d", i)
		n := &fleet.Node{Name: name, State: fleet.Live, Since: noon, LastData: noon, Boot: noon, Inventory: &facts.Inventory{}, Hello: &facts.Hello{Hostname: name, Kernel: "6.8.0", Arch: "amd64"},
			Self: fleet.Self{CPUPct: 0.2, RSSBytes: 14 << 20, SentBytesPerS: 640},
			Nets: []fleet.Net{{Name: "eth0", Physical: true, NetCounts: &fleet.NetCounts{}}, {Name: "eth1", Physical: true, NetCounts: &fleet.NetCounts{}}}, FS: make([]fleet.Filesystem, 4), Disks: make([]fleet.Disk, 4)}
		for g := range 8 {
			card := gpu(g, 97, 694.25)
			card.Info.Minor, card.Info.Uuid = int32(g), fmt.Sprintf("GPU-604ac76c-d9cf-fef3-62e9-%08d%04d", i, g)
			card.MemUtilPct, card.SMClockMHz, card.SMClockMaxMHz, card.MemClockMHz, card.MemTempC = 41, 1980, 1980, 2619, 71
			card.SMActivityPct, card.TensorActivityPct, card.DRAMActivityPct, card.NVLinkRXBytesPerS, card.NVLinkTXBytesPerS, card.NetRxBytesPerS, card.NetTxBytesPerS = 91, 44, 38, 2e11, 2e11, 4e10, 4e10
			card.Slow.PCIeGen, card.Slow.PCIeWidth, card.Slow.PCIeReplays, card.Slow.ECCVolatileCorrected, card.Slow.ECCVolatileUncorrected, card.Slow.RemappedCorrected, card.Slow.RemappedUncorrected = 5, 16, 0, 0, 0, 0, 0
			card.Holders = []fleet.Holder{{Job: fmt.Sprint("slurm/", i/16), Rank: i%16*8 + g}}
			n.GPUs = append(n.GPUs, card)
			n.Ports = append(n.Ports, fleet.Port{Name: fmt.Sprint("mlx5_", g), PortTotals: &fleet.PortTotals{}})
		}
		for _, source := range []string{"cpu", "memory", "disk", "net", "rdma", "nvml", "process", "kernel_log", "filesystem", "pressure"} {
			n.Sources = append(n.Sources, fleet.Source{Name: source, State: facts.SourceState_SOURCE_OK, CallUS: 812})
		}
		for f := range n.FS {
			n.FS[f] = fleet.Filesystem{Mount: fmt.Sprint("/mnt", f), Device: fmt.Sprint("/dev/nvme", f), Type: "ext4", SizeBytes: 1e12, AvailableBytes: 4e11}
		}
		for d := range n.Disks {
			n.Disks[d].Name = fmt.Sprint("nvme", d)
		}
		s.Nodes = append(s.Nodes, n)
		if i%16 == 0 {
			s.Jobs = append(s.Jobs, &fleet.Job{Key: fmt.Sprint("slurm/", i/16), ID: fmt.Sprint(i / 16), User: "ann", World: 128})
		}
	}
	return s
}

// BenchmarkScrape is what one scrape of 1,000 nodes of 8 GPUs costs, plain and as Prometheus asks for it.
func BenchmarkScrape(b *testing.B) {
	s := fleetOf(1000)
	size := func(b *testing.B, bytes int64, w *counted, runs int) {
		b.ReportMetric(float64(bytes)/(1<<20), "MB/scrape")
		b.ReportMetric(float64(w.series)/float64(runs), "series")
	}
	b.Run("plain", func(b *testing.B) {
		var w counted
		for range b.N {
			if err := Metrics(&w, s, OpenMetrics); err != nil {
				b.Fatal(err)
			}
		}
		size(b, w.bytes/int64(b.N), &w, b.N)
	})
	b.Run("gzip", func(b *testing.B) {
		var w, packed counted
		for range b.N {
			z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
			if err := Metrics(io.MultiWriter(&w, z), s, OpenMetrics); err != nil {
				b.Fatal(err)
			}
			z.Close()
		}
		size(b, packed.bytes/int64(b.N), &w, b.N)
	})
}

// counted counts what is written to it.
type counted struct {
	bytes, series int64
	within        bool // a line has begun
}

func (c *counted) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	for _, x := range p {
		if !c.within && x != '#' {
			c.series++
		}
		c.within = x != '\n'
	}
	return len(p), nil
}
