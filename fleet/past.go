package fleet

import (
	"math"
	"time"

	"foretop/telemetry"
)

// past holds the recent past of one node's numbers: rings of one byte a value, in tiers of growing step. The rings lie outside the Go heap, where the
// garbage collector neither scans them nor counts them; pages that were never written cost nothing.
type past struct {
	gpus  int
	rows  int // 8 a GPU, then the host's
	tiers []tier
	mem   []byte // all rings: to be given back as one

	perGPU []float64 // scratch
}

// tier is one resolution: for every row a ring of slots.
type tier struct {
	step  time.Duration
	slots int
	ring  []byte    // slots × rows: what is written at one time lies together, and pages of times to come stay untouched
	slot  int64     // the slot being filled: time / step
	sum   []float32 // of the values in it, by row
	count []uint16
}

// pastShape says what is kept for a fleet of a size: 159 MB for 1,000 nodes of 8 GPUs once a day has passed, 62 MB of it after 15 minutes.
type pastShape []struct {
	step  time.Duration
	slots int
}

func shapeOf(nodes int) pastShape {
	if nodes <= 1000 {
		return pastShape{{time.Second, 900}, {time.Minute, 1440}}
	}
	return pastShape{{5 * time.Second, 180}, {10 * time.Minute, 144}}
}

func newPast(shape pastShape, gpus int) *past {
	p := &past{gpus: gpus, rows: gpus*int(NumGPUSeries) + int(NumHostSeries), perGPU: make([]float64, gpus)}
	size := 0
	for _, s := range shape {
		size += p.rows * s.slots
	}
	p.mem = offHeap(size)
	rest := p.mem
	for _, s := range shape {
		n := p.rows * s.slots
		p.tiers = append(p.tiers, tier{step: s.step, slots: s.slots, ring: rest[:n:n],
			sum: make([]float32, p.rows), count: make([]uint16, p.rows)})
		rest = rest[n:]
	}
	return p
}

// grown is the same past with room for more GPUs; the old one is freed.
func (p *past) grown(shape pastShape, gpus int) *past {
	q := newPast(shape, gpus)
	old, now := p.gpus*int(NumGPUSeries), gpus*int(NumGPUSeries)
	for i := range p.tiers {
		from, to := &p.tiers[i], &q.tiers[i]
		to.slot = from.slot
		copy(to.sum, from.sum[:old])
		copy(to.sum[now:], from.sum[old:])
		copy(to.count, from.count[:old])
		copy(to.count[now:], from.count[old:])
		for s := range int64(from.slots) {
			copy(to.at(s), from.at(s)[:old])
			copy(to.at(s)[now:], from.at(s)[old:])
		}
	}
	p.free()
	return q
}

// HistoryBytes is about how much memory outside the Go heap the past of a fleet of 8 GPUs a node comes to take.
func HistoryBytes(nodes int) int64 {
	slots := 0
	for _, t := range shapeOf(nodes) {
		slots += t.slots
	}
	return int64(nodes) * int64(slots) * int64(8*NumGPUSeries+NumHostSeries)
}

// free gives the rings back; the past must not be used any more.
func (p *past) free() {
	if p != nil && p.mem != nil {
		giveBack(p.mem)
		p.mem, p.tiers = nil, nil
	}
}

// One byte a value: 0 is absent; percents and degrees in halves up to 127; bytes a second on a logarithmic scale, 1 KiB/s to 300 GB/s in steps of 8 %.
func quantise(row int, gpuRows int, v float64) byte {
	if v != v {
		return 0
	}
	if isBytes(row, gpuRows) {
		if v < 1024 {
			return 1
		}
		return byte(min(255, 2+math.Round(math.Log(v/1024)/logStep)))
	}
	return byte(max(1, min(255, 1+math.Round(2*v))))
}

func unquantise(row int, gpuRows int, b byte) float64 {
	switch {
	case b == 0:
		return math.NaN()
	case !isBytes(row, gpuRows):
		return float64(b-1) / 2
	case b == 1:
		return 0
	}
	return 1024 * math.Exp(float64(b-2)*logStep)
}

var logStep = math.Log(1.08)

func isBytes(row, gpuRows int) bool {
	if row < gpuRows {
		return SeriesID(row%int(NumGPUSeries)) == SeriesNet
	}
	s := SeriesID(row-gpuRows) + NumGPUSeries
	return s == SeriesHostNet || s == SeriesHostDisk
}

// put notes a value of a row at a time, which must not go backward.
func (p *past) put(row int, v float64) {
	if v != v {
		return
	}
	for i := range p.tiers {
		t := &p.tiers[i]
		t.sum[row] += float32(v)
		t.count[row]++
	}
}

// advance ends slots that are over at a time. A clock that was set back leaves a past that never was: it is dropped.
func (p *past) advance(at time.Time) {
	for i := range p.tiers {
		t := &p.tiers[i]
		now := at.UnixNano() / int64(t.step)
		if now < t.slot-2 {
			clear(t.ring)
			clear(t.sum)
			clear(t.count)
			t.slot = now
		}
		if now <= t.slot {
			continue
		}
		if t.slot != 0 {
			p.keep(t)
			for s := max(t.slot+1, now-int64(t.slots)); s < now; s++ {
				clear(t.at(s))
			}
		}
		clear(t.sum)
		clear(t.count)
		t.slot = now
	}
}

// keep writes the slot being filled into the ring.
func (p *past) keep(t *tier) {
	ring := t.at(t.slot)
	for row := range t.sum {
		ring[row] = quantise(row, p.gpus*int(NumGPUSeries), t.mean(row))
	}
}

// at is the ring's row of values at a slot.
func (t *tier) at(slot int64) []byte {
	i := int(slot%int64(t.slots)) * len(t.sum)
	return t.ring[i : i+len(t.sum)]
}

func (t *tier) mean(row int) float64 {
	if t.count[row] == 0 {
		return math.NaN()
	}
	return float64(t.sum[row]) / float64(t.count[row])
}

// History answers a query, oldest first, NaN where nothing is known; nil for an unknown node.
func (f *Fleet) History(q Query) []float64 {
	n := f.node(q.Node)
	if n == nil || q.Points <= 0 || q.Points > 10_000 || q.Span <= 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.past == nil {
		return nil
	}
	return n.past.read(q, f.opt.Now())
}

func (p *past) read(q Query, now time.Time) []float64 {
	row, ok := p.row(q)
	if !ok {
		return nil
	}
	t := &p.tiers[0]
	for i := 1; i < len(p.tiers) && q.Span > t.step*time.Duration(t.slots); i++ {
		t = &p.tiers[i]
	}
	out := make([]float64, q.Points)
	from := now.Add(-q.Span)
	for i := range out {
		a := from.Add(q.Span * time.Duration(i) / time.Duration(q.Points))
		b := from.Add(q.Span * time.Duration(i+1) / time.Duration(q.Points))
		out[i] = p.between(t, row, a, b)
	}
	return out
}

// between is the mean over slots that begin in (a, b]; where the steps asked for are finer than the slots, or a sample came late, the last value holds for
// two slots.
func (p *past) between(t *tier, row int, a, b time.Time) float64 {
	gpuRows := p.gpus * int(NumGPUSeries)
	first, last := a.UnixNano()/int64(t.step)+1, b.UnixNano()/int64(t.step)
	sum, count := 0.0, 0
	for s := first; s <= last; s++ {
		if v := p.at(t, row, gpuRows, s); v == v {
			sum += v
			count++
		}
	}
	if count > 0 {
		return sum / float64(count)
	}
	for s := last; s > last-3; s-- {
		if v := p.at(t, row, gpuRows, s); v == v {
			return v
		}
	}
	return math.NaN()
}

func (p *past) at(t *tier, row, gpuRows int, slot int64) float64 {
	switch {
	case slot == t.slot:
		return t.mean(row)
	case slot > t.slot || slot <= t.slot-int64(t.slots) || slot < 0:
		return math.NaN()
	}
	return unquantise(row, gpuRows, t.at(slot)[row])
}

// remember notes the numbers of the sample that was just applied.
func (n *node) remember(f *Fleet, at time.Time) {
	st := n.decoder.State()
	gpus := st.Count(telemetry.ScopeGPU)
	switch {
	case n.removed, f.opt.NoHistory:
		return
	case n.past == nil:
		n.past = newPast(f.past, gpus)
	case n.past.gpus < gpus: // never fewer: a reader that starts anew, or a GPU that fell off, takes no past away
		n.past = n.past.grown(f.past, gpus)
	}
	p := n.past
	p.advance(at)
	if n.groupAt[telemetry.GroupGPU].stale(at) {
		gpus = 0
	}
	for i := range gpus {
		row := i * int(NumGPUSeries)
		p.put(row+int(SeriesUtil), gauge(st, telemetry.GPUUtilPct, i))
		p.put(row+int(SeriesPower), share(st, telemetry.GPUPowerMW, telemetry.GPUPowerLimitMW, i))
		p.put(row+int(SeriesTensor), gauge(st, telemetry.GPUTensorActivityPermille, i)/10)
		p.put(row+int(SeriesSM), gauge(st, telemetry.GPUSMActivityPermille, i)/10)
		p.put(row+int(SeriesMem), share(st, telemetry.GPUMemUsedBytes, telemetry.GPUMemTotalBytes, i))
		p.put(row+int(SeriesTempC), gauge(st, telemetry.GPUTempC, i))
		p.put(row+int(SeriesClock), share(st, telemetry.GPUSMClockMHz, telemetry.GPUSMClockMaxMHz, i))
	}
	n.rememberTraffic(p, at)
	if n.groupAt[telemetry.GroupHost].stale(at) {
		return
	}
	host := p.gpus * int(NumGPUSeries)
	put := func(s SeriesID, v float64) { p.put(host+int(s-NumGPUSeries), v) }
	put(SeriesCPU, float64(cpuShares(&n.rates).busy))
	put(SeriesHostMem, 100-share(st, telemetry.MemAvailableBytes, telemetry.MemTotalBytes, 0))
}

// rememberTraffic notes what went through ports, interfaces and disks.
func (n *node) rememberTraffic(p *past, at time.Time) {
	st := n.decoder.State()
	total := func(entities int, metrics ...telemetry.Metric) float64 {
		sum := math.NaN()
		for i := range entities {
			for _, m := range metrics {
				sum = add(sum, n.rate(m, i, at))
			}
		}
		return sum
	}
	perGPU := p.perGPU
	for i := range perGPU {
		perGPU[i] = math.NaN()
	}
	for i, g := range n.nearest {
		if g >= 0 && g < len(perGPU) {
			perGPU[g] = add(add(perGPU[g], n.rate(telemetry.PortRcvDataBytes, i, at)), n.rate(telemetry.PortXmitDataBytes, i, at))
		}
	}
	for i, v := range perGPU {
		p.put(i*int(NumGPUSeries)+int(SeriesNet), v)
	}
	host := p.gpus * int(NumGPUSeries)
	net := add(total(st.Count(telemetry.ScopePort), telemetry.PortRcvDataBytes, telemetry.PortXmitDataBytes),
		total(st.Count(telemetry.ScopeNet), telemetry.NetRxBytes, telemetry.NetTxBytes))
	p.put(host+int(SeriesHostNet-NumGPUSeries), net)
	p.put(host+int(SeriesHostDisk-NumGPUSeries), total(st.Count(telemetry.ScopeDisk), telemetry.DiskReadBytes, telemetry.DiskWriteBytes))
}

// add sums what is known.
func add(a, b float64) float64 {
	switch {
	case a != a:
		return b
	case b != b:
		return a
	}
	return a + b
}

// HistoryAt is History as it was at a moment, as far as it is still known: what the finest steps have forgotten is told by the coarser ones.
func (f *Fleet) HistoryAt(at time.Time, q Query) []float64 {
	n := f.node(q.Node)
	if n == nil || q.Points <= 0 || q.Points > 10_000 || q.Span <= 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.past == nil {
		return nil
	}
	p := n.past
	row, ok := p.row(q)
	if !ok {
		return nil
	}
	out := make([]float64, q.Points)
	from := at.Add(-q.Span)
	for i := range out {
		a := from.Add(q.Span * time.Duration(i) / time.Duration(q.Points))
		b := from.Add(q.Span * time.Duration(i+1) / time.Duration(q.Points))
		out[i] = math.NaN()
		for k := range p.tiers {
			if t := &p.tiers[k]; b.UnixNano()/int64(t.step) > t.slot-int64(t.slots) {
				out[i] = p.between(t, row, a, b)
				break
			}
		}
	}
	return out
}

// row is where a query's series is; false: there is none.
func (p *past) row(q Query) (int, bool) {
	row := q.GPU*int(NumGPUSeries) + int(q.Series)
	if q.GPU < 0 {
		row = p.gpus*int(NumGPUSeries) + int(q.Series) - int(NumGPUSeries)
	}
	return row, q.Series < NumSeries && (q.GPU < 0) == (q.Series >= NumGPUSeries) && q.GPU < p.gpus
}
