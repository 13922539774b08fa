package telemetry

import "math"

// Rates keeps the change a second of every counter. A counter's group says when it was read; its rate is the change over the time between two
// reads, whatever the pace of samples. A counter that went backward was reset: its rate is unknown for that once. Not safe for concurrent use.
type Rates struct {
	generation uint64
	readMS     [NumGroups]int64
	was        [maxMetrics][]int64
	rate       [maxMetrics][]float64
}

// counters are the places of counters in the metric table.
var counters = func() (at []int) {
	for i, d := range defs {
		if d.Kind == Counter {
			at = append(at, i)
		}
	}
	return at
}()

// Update takes in the sample that d applied last.
func (r *Rates) Update(d *Decoder) {
	if d.last.Generation != r.generation {
		*r = Rates{generation: d.last.Generation}
	}
	var elapsed [NumGroups]float64 // seconds; 0: not read anew
	for g := range NumGroups {
		t := d.state.Get(ReadMS, int(g))
		if t == Absent || t == r.readMS[g] {
			continue
		}
		if elapsed[g] = float64(t-r.readMS[g]) / 1000; elapsed[g] < 0 || r.readMS[g] == 0 {
			elapsed[g] = math.NaN()
		}
		r.readMS[g] = t
	}
	for _, i := range counters {
		if dt := elapsed[defs[i].Group]; dt != 0 {
			r.column(i, d.state.cols[i], dt)
		}
	}
}

func (r *Rates) column(i int, now []int64, dt float64) {
	if now == nil {
		r.was[i], r.rate[i] = nil, nil
		return
	}
	if len(r.was[i]) != len(now) {
		r.was[i], r.rate[i] = absentColumn(len(now)), make([]float64, len(now))
	}
	was, rate := r.was[i], r.rate[i]
	for j, v := range now {
		rate[j] = math.NaN()
		if v != Absent && was[j] != Absent && v >= was[j] {
			rate[j] = float64(v-was[j]) / dt
		}
		was[j] = v
	}
}

// Rate is the change a second of a counter, in its unit; NaN where it is not known.
func (r *Rates) Rate(m Metric, entity int) float64 {
	if c := r.rate[slot(m)]; entity >= 0 && entity < len(c) {
		return c[entity]
	}
	return math.NaN()
}
