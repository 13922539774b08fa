package telemetry

import "math"

// Rates keeps the change a second of every counter. A counter's group says when it was read; its rate is the change over the time between two
// reads, whatever the pace of samples. A counter that went backward was reset: its rate is unknown for that once. Not safe for concurrent use.
type Rates struct {
	generation uint64
	readMS     [NumGroups]int64
	count      [NumScopes]int
	kept       [NumScopes][numLevels]counted
}

// counted is all counters of one scope and level, of all its entities; two lists, for one of pairs would take a third more.
type counted struct {
	was  []int64 // as the State held it last
	rate []float32
}

// counterSpans are the places of counters in the metric table, by scope and level; counterAt is a metric's place among those, -1 for none.
var counterSpans, counterAt = func() (spans [NumScopes][numLevels][]int, at [maxMetrics]int) {
	for i, d := range defs {
		at[i] = -1
		if d.Kind == Counter {
			span := &spans[d.ID.Scope()][d.Level]
			at[i] = len(*span)
			*span = append(*span, i)
		}
	}
	return spans, at
}()

// Update takes in the sample that d applied last.
func (r *Rates) Update(d *Decoder) {
	if d.last.Generation != r.generation || d.state.count != r.count {
		*r = Rates{generation: d.last.Generation, count: d.state.count}
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
	for sc := range counterSpans {
		for level, places := range counterSpans[sc] {
			for k, i := range places {
				if dt := elapsed[defs[i].Group]; dt != 0 {
					r.column(&r.kept[sc][level], k, len(places), d.state.column(i), float64(defs[i].Quantum)/dt)
				}
			}
		}
	}
}

// column takes in one counter, the k-th of n, of all entities; perS turns a change as held into one a second.
func (r *Rates) column(all *counted, k, n int, now []int64, perS float64) {
	if now == nil {
		return
	}
	if all.was == nil {
		all.was, all.rate = make([]int64, n*len(now)), make([]float32, n*len(now))
		for i := range all.was {
			all.was[i], all.rate[i] = Absent, float32(math.NaN())
		}
	}
	was, rate := all.was[k*len(now):(k+1)*len(now)], all.rate[k*len(now):(k+1)*len(now)]
	for j, v := range now {
		before := was[j]
		if was[j], rate[j] = v, float32(math.NaN()); v != Absent && before != Absent && v >= before {
			rate[j] = float32(float64(v-before) * perS)
		}
	}
}

// Rate is the change a second of a counter, in its unit; NaN where it is not known.
func (r *Rates) Rate(m Metric, entity int) float64 {
	sc, i := m.Scope(), slot(m)
	n, k, kept := r.count[sc], counterAt[i], r.kept[sc][defs[i].Level].rate
	if at := k*n + entity; k >= 0 && entity >= 0 && entity < n && at < len(kept) {
		return float64(kept[at])
	}
	return math.NaN()
}
