package report

import (
	"math"
	"time"

	"foretop/fleet"
)

// samples are the numbers that snapshots themselves have: one reading each. They stand for histories where these do not reach so far back.
type samples struct {
	at    []time.Time
	gpus  [][]gpuReading // by snapshot, then by device
	hosts [][]hostReading
}

type gpuReading [fleet.NumGPUSeries]float32

type hostReading [fleet.NumHostSeries]float32

var unknown = float32(math.NaN())

// take adds what a snapshot says of the devices and nodes that are known so far.
func (p *samples) take(s *fleet.Snapshot, devices []device, nodes []string) {
	gpus := make([]gpuReading, len(devices))
	var n *fleet.Node
	for i := range devices {
		d := &devices[i]
		if n == nil || n.Name != d.node {
			n = s.Node(d.node)
		}
		gpus[i] = readGPU(n, d.gpu)
	}
	hosts := make([]hostReading, len(nodes))
	for i, name := range nodes {
		hosts[i] = readHost(s.Node(name))
	}
	p.at, p.gpus, p.hosts = append(p.at, s.At), append(p.gpus, gpus), append(p.hosts, hosts)
}

// readGPU is what is known of a GPU now; of one that does not answer, or of a node that is not live, nothing.
func readGPU(n *fleet.Node, index int) gpuReading {
	var r gpuReading
	for i := range r {
		r[i] = unknown
	}
	if n == nil || n.State != fleet.Live {
		return r
	}
	for i := range n.GPUs {
		g := &n.GPUs[i]
		if g.Index != index || g.Stale > 0 {
			continue
		}
		r[fleet.SeriesUtil], r[fleet.SeriesPower], r[fleet.SeriesTensor], r[fleet.SeriesSM] = float32(g.UtilPct), float32(g.PowerPct()), float32(g.TensorActivityPct), float32(g.SMActivityPct)
		r[fleet.SeriesMem], r[fleet.SeriesTempC], r[fleet.SeriesClock], r[fleet.SeriesNet] = float32(g.MemPct()), float32(g.TempC), float32(g.ClockPct()), float32(sum(g.NetRxBytesPerS, g.NetTxBytesPerS))
	}
	return r
}

func readHost(n *fleet.Node) hostReading {
	var r hostReading
	for i := range r {
		r[i] = unknown
	}
	if n == nil || n.State != fleet.Live {
		return r
	}
	h := &n.Host
	r[fleet.SeriesCPU-fleet.NumGPUSeries] = float32(h.CPUBusyPct)
	r[fleet.SeriesHostMem-fleet.NumGPUSeries] = float32(100 - h.MemAvailableBytes.Share(h.MemTotalBytes))
	disks, net := fleet.None(), fleet.None()
	for i := range n.Disks {
		disks = sum(disks, sum(n.Disks[i].ReadBytesPerS, n.Disks[i].WriteBytesPerS))
	}
	for i := range n.Ports {
		net = sum(net, sum(n.Ports[i].RcvBytesPerS, n.Ports[i].XmitBytesPerS))
	}
	r[fleet.SeriesHostDisk-fleet.NumGPUSeries], r[fleet.SeriesHostNet-fleet.NumGPUSeries] = float32(disks), float32(net)
	return r
}

// sum adds what is known.
func sum(a, b fleet.Reading) fleet.Reading {
	switch {
	case !a.Known():
		return b
	case !b.Known():
		return a
	}
	return a + b
}

// column spreads a quantity of a device, or of a node, over columns of equal time: the mean of the readings in each.
func (p *samples) column(from, to time.Time, columns int, value func(i int) (float32, bool)) []float64 {
	total, count := make([]float64, columns), make([]int, columns)
	out := nothing(columns)
	width := to.Sub(from) / time.Duration(columns)
	if width <= 0 {
		return out
	}
	for i, at := range p.at {
		v, there := value(i)
		c := int(at.Sub(from) / width)
		if !there || v != v || at.Before(from) || at.After(to) {
			continue
		}
		c = min(c, columns-1)
		total[c] += float64(v)
		count[c]++
	}
	for c := range out {
		if count[c] > 0 {
			out[c] = total[c] / float64(count[c])
		}
	}
	return out
}

func (p *samples) gpu(device int, s fleet.SeriesID, from, to time.Time, columns int) []float64 {
	return p.column(from, to, columns, func(i int) (float32, bool) {
		if device >= len(p.gpus[i]) {
			return 0, false
		}
		return p.gpus[i][device][s], true
	})
}

func (p *samples) host(node int, s fleet.SeriesID, from, to time.Time, columns int) []float64 {
	return p.column(from, to, columns, func(i int) (float32, bool) {
		if node >= len(p.hosts[i]) {
			return 0, false
		}
		return p.hosts[i][node][s-fleet.NumGPUSeries], true
	})
}
