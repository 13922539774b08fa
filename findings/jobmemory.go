package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
)

// How memory is looked at, and when it counts as filling.
const (
	memoryEvery  = 10 * time.Second
	memoryPoints = 36
	creepPoints  = 9     // at least: a minute and a half
	creepShare   = 0.012 // of the whole, that it grew meanwhile, at least
	creepDrops   = 0.12  // of the steps may go down
	creepRises   = 0.5   // of the steps must go up
	creepSoon    = 30 * time.Minute
	creepLate    = 6 * time.Hour
	settledAfter = 20 * time.Second // of work: until then weights are loaded and buffers are made

	nearlyFullPct = 92 // of a GPU's memory
	fullPct       = 97
	unequalPct    = 15 // percent points above the middle
	unequalFor    = 30 * time.Second
)

// memoryTrail is how much memory was used, every memoryEvery, oldest first, in MiB.
type memoryTrail struct {
	used  [memoryPoints]float32
	n     int
	total float32
}

func (t *memoryTrail) note(used, total fleet.Reading) {
	if !used.Known() || !(total > 0) {
		t.n = 0
		return
	}
	if t.n == memoryPoints {
		copy(t.used[:], t.used[1:])
		t.n--
	}
	t.used[t.n], t.total = float32(used/(1<<20)), float32(total/(1<<20))
	t.n++
}

// creep says whether memory fills steadily, how much a minute, in MiB, and when it will be full.
func (t *memoryTrail) creep() (perMinute float64, full time.Duration, ok bool) {
	if t.n < creepPoints {
		return 0, 0, false
	}
	v := t.used[:t.n]
	if v[t.n-1]-v[0] < creepShare*t.total { // nearly always
		return 0, 0, false
	}
	tiny := t.total * 1e-4
	ups, downs := 0, 0
	for i := 1; i < t.n; i++ {
		switch d := v[i] - v[i-1]; {
		case d > tiny:
			ups++
		case d < -tiny:
			downs++
		}
	}
	steps := float64(t.n - 1)
	if float64(downs) > creepDrops*steps || float64(ups) < creepRises*steps {
		return 0, 0, false
	}
	third := t.n / 3
	mean := func(part []float32) (sum float64) {
		for _, x := range part {
			sum += float64(x)
		}
		return sum / float64(len(part))
	}
	first, middle, last := mean(v[:third]), mean(v[third:t.n-third]), mean(v[t.n-third:])
	if last-middle < 0.3*(last-first) { // it has come to rest
		return 0, 0, false
	}
	minutes := float64(t.n-third) * memoryEvery.Minutes()
	perMinute = (last - first) / minutes
	left := float64(t.total - v[t.n-1])
	return perMinute, time.Duration(left / perMinute * float64(time.Minute)), true
}

// memory takes in what the job's GPUs and nodes hold.
func (w *watch) memory(j *fleet.Job, nodes func(string) *fleet.Node, at time.Time) {
	if at.Sub(w.memoryAt) < memoryEvery && !w.memoryAt.IsZero() {
		return
	}
	w.memoryAt = at
	if w.waits.worked < settledAfter && len(j.GPUs) > 0 {
		return
	}
	for i := range w.gpus {
		if g := j.GPUs[i].GPU; g != nil && j.GPUs[i].State == fleet.Live && g.Stale == 0 {
			w.memories[i].note(g.MemUsedBytes, g.MemTotalBytes)
		}
	}
	for name, t := range w.nodes {
		if n := nodes(name); n != nil && n.State == fleet.Live {
			t.memory.note(n.Host.MemUsedBytes, n.Host.MemTotalBytes)
		}
	}
	w.creeps = w.anyCreeps()
}

// anyCreeps says that the memory of one of the job's GPUs or nodes fills.
func (w *watch) anyCreeps() bool {
	for i := range w.memories {
		if _, _, ok := w.memories[i].creep(); ok {
			return true
		}
	}
	for _, t := range w.nodes {
		if _, _, ok := t.memory.creep(); ok {
			return true
		}
	}
	return false
}

// creeping tells memory that fills, with the time until it is full.
func creeping(c *jobCase) answer {
	w := c.w
	if w.waits.worked < settledAfter && len(c.j.GPUs) > 0 {
		return answer{unchecked: "it has not been seen at work for long enough"}
	}
	if !w.creeps { // nearly always
		return answer{}
	}
	var worst fleet.Verdict
	soonest := creepLate
	weigh := func(t *memoryTrail, of func() (fleet.Suspect, string)) {
		rate, full, ok := t.creep()
		if !ok || full >= soonest {
			return
		}
		soonest = full
		s, what := of()
		worst = fleet.Verdict{State: fleet.JobRunning, Severity: fleet.Notice, Suspects: []fleet.Suspect{s},
			Text:     fmt.Sprintf("memory of %s fills: full in %s", what, span(full)),
			Evidence: []string{fmt.Sprintf("%.0f of %.0f GiB used, %.1f GiB more a minute for %s", t.used[t.n-1]/1024, t.total/1024, rate/1024, span(time.Duration(t.n)*memoryEvery))},
			Since:    c.at.Add(-time.Duration(t.n) * memoryEvery),
			Remedy:   "save a checkpoint before it is full; look for lists that grow, or data loaders that keep what they read"}
		if full <= creepSoon {
			worst.State, worst.Severity = fleet.JobSuspect, fleet.Warning
		}
	}
	for i := range w.memories {
		weigh(&w.memories[i], func() (fleet.Suspect, string) {
			ref := &c.j.GPUs[i]
			return ref.Suspect(), fmt.Sprintf("%s GPU%d", ref.Node, ref.Index)
		})
	}
	for i, name := range c.j.Nodes {
		if t := w.trail(i, name); t != nil && t.memory.n >= creepPoints && mostly(w.on[i], c.j.Key) {
			weigh(&t.memory, func() (fleet.Suspect, string) { return fleet.SuspectNode(name), name })
		}
	}
	return says(worst)
}

// mostly says that of a node's jobs this one holds the most memory.
func mostly(n *fleet.Node, job string) bool {
	if n == nil || len(n.Jobs) < 2 {
		return n != nil
	}
	held := map[string]float64{}
	for _, p := range n.Processes {
		held[p.Job] += p.RSS.Or(0)
	}
	for key, bytes := range held {
		if key != job && key != "" && bytes > held[job] {
			return false
		}
	}
	return true
}

// imbalance tells a GPU that is nearly full while its peers are not: it will be the first to run out of memory.
func imbalance(c *jobCase) answer {
	w := c.w
	if w.seen.n < peersLeast {
		return answer{unchecked: "fewer than four GPUs at work have no peers"}
	}
	full, at := -1, 0.
	for i := range c.j.GPUs {
		ref := &c.j.GPUs[i]
		if ref.GPU == nil || ref.State != fleet.Live || !w.gpus[i].worked {
			continue
		}
		if used := ref.GPU.MemPct().Or(0); used >= nearlyFullPct && used > at {
			full, at = i, used
		}
	}
	middle := c.j.MemPct.Or(100)
	lasts := c.past.unequal.note(full >= 0 && at-middle >= unequalPct, c.at)
	if full < 0 || lasts < unequalFor {
		return answer{}
	}
	ref := &c.j.GPUs[full]
	v := fleet.Verdict{State: fleet.JobRunning, Severity: fleet.Notice, Since: c.at.Add(-lasts), Suspects: []fleet.Suspect{ref.Suspect()},
		Text:     fmt.Sprintf("%s holds %.0f %% of its memory, its peers %.0f %%", who(ref), at, middle),
		Evidence: []string{fmt.Sprintf("%s GPU%d: %.0f of %.0f GiB", ref.Node, ref.Index, float64(ref.GPU.MemUsedBytes)/(1<<30), float64(ref.GPU.MemTotalBytes)/(1<<30))},
		Remedy:   "spread what it holds: layers, experts, or what only rank 0 keeps"}
	if at >= fullPct {
		v.State, v.Severity = fleet.JobSuspect, fleet.Warning
	}
	return says(v)
}
