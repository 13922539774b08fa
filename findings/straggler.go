package findings

import (
	"math"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
)

// trait is a quantity by which a GPU is compared with its peers.
type trait uint8

const (
	traitPower trait = iota
	traitUse
	traitTensor
	traitSM
	traitClock
	traitDRAM
	traitNet
	traitNVLink
	numTraits
)

// sense is what of a GPU traits are about. Those of one sense go up and down together: they confirm nothing of one another.
type sense uint8

const (
	senseLoad sense = 1 << iota
	senseCompute
	senseClock
	senseTraffic
	senseCause // something else is wrong with it, or with its node
)

// traitKind says from how far from the middle of its peers a GPU is unlike them.
type traitKind struct {
	name   string
	unit   string
	floor  float64 // in its own unit, at least
	share  float64 // of the middle, at least
	sense  sense
	scale  float64 // of what is printed
	higher string  // what it means that it is higher
}

var traits = [numTraits]traitKind{
	{"power", "%", 8, 0, senseLoad, 1, "slower?"},
	{"use", "%", 12, 0, senseLoad, 1, "slower?"},
	{"tensor work", "%", 4, 0.2, senseCompute, 1, "slower?"},
	{"SM activity", "%", 7, 0.15, senseCompute, 1, "slower?"},
	{"clock", "MHz", 60, 0.07, senseClock, 1, "unlike its peers:"},
	{"memory activity", "%", 5, 0.2, senseCompute, 1, "slower?"},
	{"network", "GB/s", 2e8, 0.3, senseTraffic, 1e-9, "unlike its peers:"},
	{"NVLink", "GB/s", 2e9, 0.3, senseTraffic, 1e-9, "unlike its peers:"},
}

// When a GPU is a straggler. What is compared are means over smoothOver, so that nodes need not be read at the same moment of a step.
const (
	peersLeast    = 4    // GPUs, to speak of peers
	peersBusy     = 40   // percent of use of the middle: idle jobs have no stragglers
	madTimes      = 4.4  // so many times the median distance from the middle: 3σ of a normal distribution
	fewUnlike     = 0.07 // of a job's GPUs may be unlike the others, or those of a node or two
	steadyFrom    = 12.0 // seconds of work that must have been seen
	scoreTold     = 10.0 // seconds that speak for it
	scoreEnd      = 4.0
	scoreMost     = 30.0
	accuseHold    = 15 * time.Second
	wordedFor     = 10 * time.Second // numbers stand still for so long
	twoNodesShare = 0.6              // of a limit: the mean of a node's GPUs is surer than one GPU's
	waitsAtMost   = 15 * time.Second // that peers wait in one go while they are compared
	stealPct      = 5                // of all CPUs' time
	pressurePct   = 25               // of the time in which some task waited for a CPU
	ioWaitPct     = 25
)

// accusation is what was last said of a suspect.
type accusation struct {
	since  time.Time
	score  float32 // seconds that speak for it
	told   bool
	held   time.Time // from when it was told
	worded time.Time // when its words were last made anew
	seen   bool      // in this round
	text   string
	facts  []string
	cause  string
}

// means are smoothed means of traits, by trait, then by GPU as in Job.GPUs; NaN: not known.
type means [numTraits][]float32

func newMeans(gpus int) (m means) {
	for k := range m {
		m[k] = make([]float32, gpus)
	}
	return m
}

// len is of how many GPUs they are.
func (m *means) len() int { return len(m[0]) }

// set makes them what others are.
func (m *means) set(o *means) {
	for k := range m {
		m[k] = append(m[k][:0], o[k]...)
	}
}

// empty makes them those of no GPU.
func (m *means) empty() {
	for k := range m {
		m[k] = m[k][:0]
	}
}

// take makes those of a GPU what others are of another.
func (m *means) take(i int, o *means, k int) {
	for t := range m {
		m[t][i] = o[t][k]
	}
}

// forget makes them unknown.
func (m *means) forget() {
	for k := range m {
		for i := range m[k] {
			m[k][i] = float32(math.NaN())
		}
	}
}

// compare takes in how each GPU does, and lets what is unlike its peers count for it, what is like them against it.
func (w *watch) compare(j *fleet.Job, passed time.Duration) {
	if passed == 0 || len(w.gpus) < peersLeast {
		return
	}
	switch {
	case w.phase == alone && w.solo.lasts(w.at) <= waitsAtMost: // perhaps it is a part of a step, perhaps one evaluates while the others wait
		if w.kept.len() == 0 {
			w.kept.set(&w.means)
		}
	case w.phase == alone && w.kept.len() == len(w.gpus): // it was no part of a step
		w.means.set(&w.kept)
		return
	case w.phase != working || w.seen.busy == 0:
		w.steps = max(0, w.steps-passed.Seconds()/4)
		w.kept.empty()
		return
	default:
		w.kept.empty()
	}
	if w.steps == 0 {
		w.means.forget()
	}
	w.steps = min(w.steps+passed.Seconds(), 3600)
	share := float32(min(1, passed.Seconds()/smoothOver.Seconds()))
	for i := range w.gpus {
		g := j.GPUs[i].GPU
		if g == nil || j.GPUs[i].State != fleet.Live || g.Stale > 0 || !w.gpus[i].worked {
			continue
		}
		for k, v := range [numTraits]float64{float64(g.PowerPct()), float64(g.UtilPct), float64(g.TensorActivityPct), float64(g.SMActivityPct), float64(g.SMClockMHz),
			float64(g.DRAMActivityPct), float64(g.NetRxBytesPerS + g.NetTxBytesPerS), float64(g.NVLinkBytesPerS())} {
			switch mean := &w.means[k][i]; {
			case v != v:
				*mean = float32(v)
			case *mean != *mean:
				*mean = float32(v)
			default:
				*mean += (float32(v) - *mean) * share
			}
		}
	}
}

// crowd is how the peers of a job's GPUs do in one trait.
type crowd struct {
	middle, limit float64
	apart         bool // some may be further away than limit
}

// crowdOf finds the middle of a trait and from where on one is unlike it. Where all are alike that is between the lowest and the highest.
func (w *watch) crowdOf(k trait) crowd {
	n, low, high := 0, float32(math.Inf(1)), float32(math.Inf(-1))
	for i, v := range w.means[k] {
		if v == v && w.gpus[i].worked {
			n, low, high = n+1, min(low, v), max(high, v)
		}
	}
	if n < peersLeast {
		return crowd{middle: math.NaN()}
	}
	if t := &traits[k]; float64(high-low) <= max(t.floor, t.share*float64(low)) {
		return crowd{middle: float64(low+high) / 2}
	}
	return w.exactly(k)
}

// exactly is crowdOf by the median, and the median distance from it. At least one GPU has the trait.
func (w *watch) exactly(k trait) crowd {
	room := w.room[:0]
	for i, v := range w.means[k] {
		if v == v && w.gpus[i].worked {
			room = append(room, v)
		}
	}
	t := &traits[k]
	w.room = room
	middle := float64(middleOf(room))
	for i, v := range room {
		room[i] = float32(math.Abs(float64(v) - middle))
	}
	mad := float64(middleOf(room))
	return crowd{middle, max(t.floor, t.share*middle, madTimes*mad), true}
}

// middleOf is the median of values, which it puts in another order: those below it to the left, those above it to the right (Hoare's selection).
func middleOf(values []float32) float32 {
	k := len(values) / 2
	for low, high := 0, len(values)-1; low < high; {
		pivot := values[(low+high)/2]
		i, j := low, high
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			high = j
		case k >= i:
			low = i
		default:
			return values[k]
		}
	}
	return values[k]
}

// unlike is one GPU that is apart from its peers.
type unlike struct {
	gpu    int
	senses sense
	far    float64 // by how many limits, at most
	traits uint16  // a bit each
}

// outliers are the GPUs that are apart in at least one trait.
func (w *watch) outliers() (list []unlike, crowds [numTraits]crowd) {
	any := false
	for k := range numTraits {
		crowds[k] = w.crowdOf(k)
		any = any || crowds[k].apart
	}
	if use := &crowds[traitUse]; !any || use.middle != use.middle {
		return nil, crowds
	} else if !use.apart {
		*use = w.exactly(traitUse)
	}
	if crowds[traitUse].middle < peersBusy {
		return nil, crowds
	}
	for i := range w.gpus {
		u := unlike{gpu: i}
		if !w.gpus[i].worked {
			continue
		}
		for k := range numTraits {
			c := &crowds[k]
			if v := float64(w.means[k][i]); c.apart && v == v && math.Abs(v-c.middle) > c.limit {
				u.traits |= 1 << k
				u.senses |= traits[k].sense
				u.far = max(u.far, math.Abs(v-c.middle)/c.limit)
			}
		}
		if u.traits != 0 {
			list = append(list, u)
		}
	}
	return list, crowds
}

// stragglers tells ranks, GPUs, nodes, stages or ports that are persistently unlike their peers in more than one way.
func stragglers(c *jobCase) answer {
	w := c.w
	switch {
	case len(w.gpus) < peersLeast || w.seen.n < peersLeast:
		return answer{unchecked: "fewer than four GPUs at work have no peers"}
	case w.seen.read < peersLeast:
		return answer{unchecked: "its GPUs do not tell their use and power"}
	case w.steps < steadyFrom && len(w.says) == 0:
		return answer{unchecked: "it has not been seen at work for long enough"}
	}
	if w.judgedAt != w.at {
		w.judge(c)
		w.judgedAt = w.at
	}
	var a answer
	for _, s := range w.accused {
		x := w.says[s]
		if !x.told {
			continue
		}
		v := fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Since: x.since, Text: x.text, Evidence: x.facts, Suspects: []fleet.Suspect{s},
			Remedy: "the whole job runs at its pace: exchange it for a spare, or look for what slows it"}
		if s.Stage >= 0 {
			v.State, v.Severity, v.Remedy = fleet.JobRunning, fleet.Notice, "stages are not equally heavy: move layers, where that is not meant"
		}
		a.verdicts = append(a.verdicts, v)
	}
	return a
}

// judge lets what is seen now count.
func (w *watch) judge(c *jobCase) {
	passed := float32(min(w.at.Sub(w.judgedAt), lookGap).Seconds())
	if w.judgedAt.IsZero() {
		passed = 1
	}
	for _, x := range w.says {
		x.seen = false
	}
	if w.steps >= steadyFrom && w.phase == working {
		list, crowds := w.outliers()
		w.accuseAll(c, list, &crowds, passed)
	}
	w.accused = w.accused[:0]
	for s, x := range w.says {
		if !x.seen && w.phase == working {
			x.score -= passed
		}
		switch {
		case !x.told && x.score >= scoreTold:
			x.told, x.held = true, c.at
		case x.told && x.score < scoreEnd && c.at.Sub(x.held) >= accuseHold:
			x.told = false
		}
		if x.score <= 0 && !x.told {
			delete(w.says, s)
			continue
		}
		w.accused = append(w.accused, s)
	}
	slices.SortFunc(w.accused, func(a, b fleet.Suspect) int {
		return strings.Compare(a.Node+a.String(), b.Node+b.String())
	})
}
