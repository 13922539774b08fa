package simfleet

import (
	"slices"
	"time"
)

// mode is what a job as a whole does.
type mode uint8

const (
	running       mode = iota
	evaluating         // all ranks
	evaluatingOne      // one; the others wait for it
	compiling
	savingAll
	savingOne // one rank saves, the others wait for it
	jammed    // saving does not go on
	stalled   // all ranks wait in a collective
	loading   // processes start, weights are read
	gone      // no processes
)

const forever = time.Duration(1<<63 - 1)

// span is a stretch of a scenario's cycle in which a job does one thing.
type span struct {
	from, to time.Duration
	mode     mode
	runs     int           // starts anew within the cycle so far
	since    time.Duration // when the last of those was; meaningless when runs is 0
	slow     float64       // how many times as long a step takes, at least 1
	work     time.Duration // progress since the cycle began, in the time that a healthy job needs for it, at from
	culprit  place         // the GPU that the others wait for
	guilty   bool          // there is a culprit
	way      way           // how what is slow is slow
	hung     bool          // it stands still for no other reason than that it hangs: starting it anew helps
}

// place is a GPU of a job; gpu -1: all of a node.
type place struct{ member, gpu int }

// is says whether the place is that GPU, or has it.
func (p place) is(member, gpu int) bool { return p.member == member && (p.gpu == gpu || p.gpu < 0) }

// way is how a step takes longer.
type way uint8

const (
	computes     way = iota // the culprit computes longer, the others wait
	gaps                    // the culprit's kernels start late
	communicates            // the culprit communicates longer
	starves                 // all wait for data
)

// effect is what a fault does to its job.
type effect struct {
	from, to time.Duration
	mode     mode // stalled or gone; running: slower
	slow     float64
	way      way
	culprit  place
	guilty   bool
	restart  time.Duration // when it starts anew; 0: it does not
	hang     bool          // starting it anew would help
}

// timeline cuts the cycle into spans. end is forever where the scenario does not repeat.
func timeline(effects []effect, load, end time.Duration) []span {
	cuts := []time.Duration{0, end}
	for _, e := range effects {
		cuts = append(cuts, e.from, e.to)
		if e.restart > 0 && e.restart < forever-load {
			cuts = append(cuts, e.restart, e.restart+load)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var spans []span
	var work time.Duration
	for i := range len(cuts) - 1 {
		from, to := cuts[i], cuts[i+1]
		if from < 0 || from >= end {
			continue
		}
		s := spanAt(effects, load, from)
		s.from, s.to, s.work = from, min(to, end), work
		if s.mode == running && s.to != forever {
			work += time.Duration(float64(s.to-s.from) / s.slow)
		}
		spans = append(spans, s)
	}
	return spans
}

func spanAt(effects []effect, load, at time.Duration) span {
	s := span{slow: 1}
	helpless := false
	for _, e := range effects {
		if e.restart > 0 && e.restart <= at {
			s.runs++
			s.since = max(s.since, e.restart)
			if at < e.restart+load {
				s.mode = max(s.mode, loading)
			}
		}
		if at < e.from || at >= e.to {
			continue
		}
		s.mode = max(s.mode, e.mode)
		s.hung, helpless = s.hung || e.hang, helpless || e.mode == stalled && !e.hang
		if e.guilty && (e.slow > s.slow || e.mode != running) {
			s.culprit, s.guilty = e.culprit, true
		}
		if e.slow > s.slow {
			s.slow, s.way = e.slow, e.way
		}
	}
	s.hung = s.hung && s.mode == stalled && !helpless
	return s
}

// doing is what a job did in a window.
type doing struct {
	all     shares // of every rank but the culprit
	culprit shares
	at      place // the culprit
	guilty  bool
	starved float64 // share of the window in which it waited for data though it should not
}

// during says what the job does between two moments.
func (j *job) during(from, to time.Duration) doing {
	var d doing
	if to <= from {
		to = from + time.Millisecond
	}
	if s, ok := j.ordered(to); ok {
		return doing{all: s, culprit: s}
	}
	total := float64(to - from)
	for from < to {
		s, base, work := j.span(from)
		until := to
		if s.to != forever {
			until = min(to, base+s.to)
		}
		weight := float64(until-from) / total
		all, culprit := j.inSpan(&s, from, until, base, work)
		d.all.add(all, weight)
		d.culprit.add(culprit, weight)
		if s.mode == running && s.way == starves {
			d.starved += weight * (1 - 1/s.slow)
		}
		if s.guilty {
			d.at, d.guilty = s.culprit, true
		}
		from = until
	}
	return d
}

// span finds the span at a moment, when its cycle began, and the work done before that cycle.
func (j *job) span(at time.Duration) (s span, base, work time.Duration) {
	local := at
	if j.repeat > 0 && at >= 0 {
		k := at / j.repeat
		base = k * j.repeat
		local, work = at-base, k*j.cycleWork
	}
	i, _ := slices.BinarySearchFunc(j.spans, local, func(s span, t time.Duration) int {
		if s.to <= t {
			return -1
		}
		return 1
	})
	s = j.spans[min(i, len(j.spans)-1)]
	if s.hung {
		if _, starts, last := j.stopAt(at); starts > 0 && last >= base+s.from {
			s.mode, s.guilty = running, false
		}
	}
	return s, base, work
}

func (j *job) inSpan(s *span, from, to, base, work time.Duration) (all, culprit shares) {
	switch s.mode {
	case gone:
		return shares{down: 1}, shares{down: 1}
	case loading:
		return shares{load: 1}, shares{load: 1}
	case stalled:
		return shares{stall: 1}, shares{idle: 1}
	case evaluating:
		return shares{compute: 0.62, data: 0.38}, shares{compute: 0.62, data: 0.38}
	case evaluatingOne:
		return shares{stall: 1}, shares{compute: 0.8, data: 0.2}
	case compiling:
		return shares{idle: 1}, shares{idle: 1}
	case savingAll, jammed:
		return shares{checkpoint: 1}, shares{checkpoint: 1}
	case savingOne:
		return shares{stall: 1}, shares{checkpoint: 1}
	}
	p := &j.pattern
	a := j.age + work + s.work + time.Duration(float64(from-base-s.from)/s.slow)
	b := j.age + work + s.work + time.Duration(float64(to-base-s.from)/s.slow)
	compute, comm := p.stepShares(a, b)
	all = shares{compute: compute / s.slow, comm: comm / s.slow, wait: 1 - 1/s.slow, data: max(0, 1-compute-comm) / s.slow}
	culprit = all
	switch s.way {
	case computes:
		culprit.compute += culprit.wait
	case gaps:
		culprit.data += culprit.wait
	case communicates:
		culprit.comm += culprit.wait
	case starves:
		all.data, all.wait = all.data+all.wait, 0
		culprit = all
	}
	culprit.wait = 0
	save := windows(j.key^1, p.checkpointEvery, p.checkpointFor, from, to)
	dip := windows(j.key^2, p.dipEvery, p.dipFor, from, to) * (1 - save)
	var other shares
	other.add(all, 1-save-dip)
	other.checkpoint, other.data = save, other.data+dip
	var culpritOther shares
	culpritOther.add(culprit, 1-save-dip)
	culpritOther.checkpoint, culpritOther.data = save, culpritOther.data+dip
	return other, culpritOther
}

// run says which start of the job's processes is up at a moment, when that was, and whether it is up at all.
func (j *job) run(at time.Duration) (generation int, since time.Duration, up bool) {
	s, base, _ := j.span(at)
	perCycle := j.spans[len(j.spans)-1].runs
	cycle := 0
	if j.repeat > 0 && at >= 0 {
		cycle = int(at / j.repeat)
	}
	generation = cycle*perCycle + s.runs
	switch {
	case s.runs > 0:
		since = base + s.since
	case cycle > 0 && perCycle > 0:
		since = base - j.repeat + j.spans[len(j.spans)-1].since
	default:
		since = j.start
	}
	stop, starts, last := j.stopAt(at)
	if starts > 0 {
		since = max(since, last)
	}
	return generation + starts, since, s.mode != gone && stop == nil
}
