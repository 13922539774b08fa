package findings

import (
	"strings"
	"sync"
	"time"

	"foretop/fleet"
)

// How rules about jobs look back.
const (
	lookEvery  = 900 * time.Millisecond // between two looks at a job: snapshots may come more often
	lookGap    = 5 * time.Second        // of time without a look, at most so much counts
	forgetJob  = 15 * time.Minute       // it was not asked for
	blipFor    = 3 * time.Second
	freshStart = 2 * time.Minute // a job whose ranks are younger, and were older before, started anew
	farStart   = 5 * time.Minute // or whose ranks are so much younger than before
	smoothOver = 8 * time.Second // of readings that are compared with those of peers
)

// watches is the past of jobs, by key, as far as rules need it. It belongs to one fleet.
type watches struct {
	set   Set // which rules are asked
	mu    sync.Mutex
	jobs  map[string]*watch
	swept time.Time
}

func newWatches(set Set) *watches { return &watches{set: set, jobs: map[string]*watch{}} }

// of is a job's past. One whose time went back, as when a recording is played from an earlier moment, begins anew.
func (w *watches) of(key string, at time.Time) *watch {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.Sub(w.swept) > time.Minute || at.Before(w.swept) {
		w.swept = at
		for k, one := range w.jobs {
			if d := at.Sub(one.at); d > forgetJob || d < -time.Minute {
				delete(w.jobs, k)
			}
		}
	}
	one := w.jobs[key]
	if one == nil || at.Before(one.at) {
		one = &watch{first: at}
		w.jobs[key] = one
	}
	return one
}

// phase is what a job as a whole does at a moment, as far as its GPUs show it.
type phase uint8

const (
	unread  phase = iota // its GPUs do not tell what they do
	working              // some compute, or move data
	alone                // all wait but a few that work
	waiting              // all wait in a collective, but a few that do nothing
	saving               // GPUs do nothing, or wait, while much is written
	resting              // GPUs do nothing
)

// watch is what is kept of one job from one look to the next.
type watch struct {
	first, at time.Time // of the first look, and of the last
	start     time.Time // Job.Start at the last look
	runs      int       // Job.Restarts
	restarts  []time.Time

	seen      seen
	phase     phase
	waits     rhythm    // all wait for one another
	solo      rhythm    // all wait for a few
	rests     rhythm    // GPUs do nothing
	saves     rhythm    // how long saving takes
	save      time.Time // since when files are saved; zero: they are not
	writing   int       // looks in a row at which much was written
	wrote     time.Time // when something was last written there
	writes    float64   // bytes a second while it works, smoothed
	busyPower float64   // percent of the limit while it works, smoothed

	look     jobCase           // the present one
	said     []string          // Job.Unchecked at the last look
	on       []*fleet.Node     // as in Job.Nodes, while it is looked at; nil: not of the fleet
	trails   []*nodeTrail      // as in Job.Nodes, those of nodes that were asked for; see trail
	gpus     []gpuTrail        // as in Job.GPUs
	held     map[string]gpuSet // which of each node's GPUs those are
	nodes    map[string]*nodeTrail
	memories []memoryTrail // as in Job.GPUs
	memoryAt time.Time
	creeps   bool // the memory of something may be creeping; it is looked at when it is read anew
	starv    starvation
	log      logTrail

	room     []float32 // to sort in
	steps    float64   // seconds of work that count for comparing peers
	means    means     // of each of the job's GPUs
	kept     means     // those before a few worked while the others waited; empty: they do not
	judgedAt time.Time
	says     map[fleet.Suspect]*accusation
	accused  []fleet.Suspect // the keys of says, in order

	cpu     cpuTrail
	pids    pidTrail
	unheard int               // live nodes whose kernel log is not read
	stops   map[int]time.Time // ranks that are stopped, since when
	lost    time.Time         // since when ranks are missing; zero: none is
}

// gpuTrail is what is kept of one GPU of a job.
type gpuTrail struct {
	node   string
	index  int
	worked bool // it was seen at work since the job started
}

// nodeTrail is what is kept of one node of a job, or of what the job does there.
type nodeTrail struct {
	name                           string
	seen                           time.Time
	log                            int     // the place of its kernel log among its sources, where it was last
	steal, pressure, iowait, stall float64 // percent, smoothed
	memory                         memoryTrail
}

// open begins a look at the job: it finds its nodes as they are now.
func (w *watch) open(j *fleet.Job, nodes func(string) *fleet.Node, at time.Time, past *jobPast) *jobCase {
	for _, name := range j.Nodes {
		w.on = append(w.on, nodes(name))
	}
	w.trails = atLeast(w.trails, len(j.Nodes))
	w.look = jobCase{j, nodes, at, past, w}
	return &w.look
}

// close ends it: of what was looked at nothing is held.
func (w *watch) close() {
	clear(w.on)
	w.on, w.look = w.on[:0], jobCase{}
}

// unchecked notes why a rule could not look at the job. Nearly always that is what it said at the last look: snapshots share the list.
func (w *watch) unchecked(j *fleet.Job, rule, why string) {
	k := len(j.Unchecked)
	if shared := k == 0 || k < len(w.said) && &j.Unchecked[0] == &w.said[0]; shared && k < len(w.said) {
		if s := w.said[k]; len(s) == len(rule)+len(": ")+len(why) && strings.HasPrefix(s, rule) && strings.HasSuffix(s, why) {
			j.Unchecked = w.said[: k+1 : k+1]
			return
		}
	}
	j.Unchecked = append(j.Unchecked, rule+": "+why)
}

// trail is what is kept of a node of the job, by its place in Job.Nodes; nil: nothing.
func (w *watch) trail(i int, name string) *nodeTrail {
	if t := w.trails[i]; t != nil && t.name == name { // nearly always
		return t
	}
	w.trails[i] = w.nodes[name]
	return w.trails[i]
}

// observe takes in how the job is now, at most once a second.
func (w *watch) observe(j *fleet.Job, nodes func(string) *fleet.Node, at time.Time) {
	passed := at.Sub(w.at)
	same := w.follows(j)
	if passed < lookEvery && same && !w.at.IsZero() {
		return
	}
	if w.at.IsZero() {
		passed = 0
	}
	w.at = at
	passed = min(passed, lookGap)
	if !same {
		w.follow(j)
	}
	w.noteStart(j, at)
	w.hosts(j, at, passed)
	w.seen = look(j, w)
	w.phase = w.phaseOf(j)
	w.learn(j, passed, at)
	w.compare(j, passed)
	w.memory(j, nodes, at)
	w.processes(j, at)
	w.starve(j, at)
	w.log.note(j, at)
}

// follows says that the job's GPUs are those that are followed.
func (w *watch) follows(j *fleet.Job) bool {
	if len(w.gpus) != len(j.GPUs) {
		return false
	}
	for i := range w.gpus {
		if w.gpus[i].index != j.GPUs[i].Index || w.gpus[i].node != j.GPUs[i].Node {
			return false
		}
	}
	return true
}

// follow begins to follow the job's GPUs; of those that it had before, the past is kept.
func (w *watch) follow(j *fleet.Job) {
	type place struct {
		node  string
		index int
	}
	was, means, memories := w.gpus, w.means, w.memories
	old := make(map[place]int, len(was))
	for i, g := range was {
		old[place{g.node, g.index}] = i
	}
	w.gpus, w.means, w.memories, w.held = make([]gpuTrail, len(j.GPUs)), newMeans(len(j.GPUs)), make([]memoryTrail, len(j.GPUs)), gpusByNode(j)
	for i := range j.GPUs {
		ref := &j.GPUs[i]
		w.gpus[i] = gpuTrail{node: ref.Node, index: ref.Index}
		if k, ok := old[place{ref.Node, ref.Index}]; ok {
			w.gpus[i], w.memories[i] = was[k], memories[k]
			w.means.take(i, &means, k)
		}
	}
}

// noteStart sees that the job's processes started anew: it will load and compile before it works again.
func (w *watch) noteStart(j *fleet.Job, at time.Time) {
	if j.Start.IsZero() || j.MissingN > 0 && w.start.After(j.Start) {
		return
	}
	again := j.Restarts > w.runs && !w.start.IsZero()
	w.runs = max(w.runs, j.Restarts)
	// That the oldest rank is gone moves the start a little, and is no start.
	d := j.Start.Sub(w.start)
	if !w.start.IsZero() && (again || d > farStart || d > time.Second && at.Sub(j.Start) < freshStart) {
		w.restarts = append(w.restarts, at)
		w.restarts = w.restarts[max(0, len(w.restarts)-16):]
		w.waits.anew()
		w.solo.anew()
		w.rests.anew()
		w.save, w.steps, w.says = time.Time{}, 0, nil
		for i := range w.gpus {
			w.gpus[i].worked, w.memories[i] = false, memoryTrail{}
		}
	}
	w.start = j.Start
}

// smooth moves a mean towards a value.
func smooth(mean, value float64, passed, over time.Duration) float64 {
	if value != value {
		return mean
	}
	share := passed.Seconds() / over.Seconds()
	return mean + (value-mean)*min(1, share)
}

// hosts takes in what the job's nodes say of themselves.
func (w *watch) hosts(j *fleet.Job, at time.Time, passed time.Duration) {
	if w.nodes == nil {
		w.nodes = make(map[string]*nodeTrail, len(j.Nodes))
	}
	w.unheard = 0
	for i, name := range j.Nodes {
		n := w.on[i]
		if n == nil || n.State != fleet.Live {
			continue
		}
		t := w.trail(i, name)
		if t == nil {
			t = &nodeTrail{name: name}
			w.nodes[name], w.trails[i] = t, t
		}
		if !t.hears(n) {
			w.unheard++
		}
		t.seen = at
		h := &n.Host
		t.steal = smooth(t.steal, float64(h.CPUStealPct), passed, smoothOver)
		t.pressure = smooth(t.pressure, float64(h.PSICPUSomePct), passed, smoothOver)
		t.iowait = smooth(t.iowait, float64(h.PSIIOSomePct), passed, smoothOver)
		t.stall = smooth(t.stall, float64(h.PSIIOFullPct), passed, smoothOver)
	}
	if len(w.nodes) > len(j.Nodes) {
		for name, t := range w.nodes {
			if at.Sub(t.seen) > forgetJob {
				delete(w.nodes, name)
				clear(w.trails)
			}
		}
	}
}

// learn takes in the present phase.
func (w *watch) learn(j *fleet.Job, passed time.Duration, at time.Time) {
	works := w.phase == working
	// That one of many does something for a moment does not end a hang: somebody looks at its GPU, or measures it.
	blip := w.phase == alone && !w.waits.since.IsZero() && w.solo.lasts(at) < blipFor
	w.waits.note(w.phase == waiting || blip, works, passed, at)
	w.solo.note(w.phase == alone, works, passed, at)
	w.rests.note(w.phase == resting || w.phase == saving, works, passed, at)
	if works {
		w.busyPower = w.typical(w.busyPower, float64(j.PowerPct), passed)
	}
	if w.phase == saving {
		w.wrote = at
	}
	switch {
	case w.phase == working || w.phase == unread:
		if !w.save.IsZero() {
			w.saves.learn(at.Sub(w.save), at)
		}
		w.save = time.Time{}
	case w.phase == saving && w.save.IsZero():
		w.save, w.saves.told = at, false
	}
}

// typical is a smoothed mean over minutes that starts with the first value.
func (w *watch) typical(mean, value float64, passed time.Duration) float64 {
	if mean == 0 && value == value {
		return value
	}
	return smooth(mean, value, passed, time.Minute)
}
