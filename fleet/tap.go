package fleet

import (
	"time"

	"foretop/schedulers"
	"foretop/telemetry"
)

// Tap is told all that a fleet takes in, in the order in which each node's state changes by it: a recording. What it is given belongs to the fleet: it is read before the
// method returns, never kept, unless it says so. Methods are called with locks held: they must not call the fleet.
type Tap interface {
	Joined(name string, listed bool, at time.Time)
	Left(name string, at time.Time)
	Status(name string, s *Status, at time.Time)
	// Level says at which level a node is looked at.
	Level(name string, detail bool, at time.Time)
	// Sample follows each sample that was applied.
	Sample(name string, d *telemetry.Decoder, at time.Time)
	// Frame is any other frame.
	Frame(name string, kind telemetry.Kind, payload []byte, at time.Time)
	// Scheduled and Logged hand over what never changes any more.
	Scheduled(p *schedulers.Picture, at time.Time)
	Logged(job string, l *LogTail, at time.Time)
	// Published follows each snapshot. joined says what was done for it.
	Published(s *Snapshot, joined Join, keep Keep)
}

// Keep gives all of a fleet's state that time has made, node by node, each while nothing of it changes. It may be called while Published runs, from there.
type Keep func(node func(*KeptNode)) *KeptBook

// Join is what a publication did with jobs first.
type Join uint8

// Joins.
const (
	NotJoined   Join = iota // nothing
	JoinedAgain             // they were joined with what schedulers say now, and none came, went or moved
	Assembled               // they were put together anew, or one came or went
)

// joins are what tells publications apart by what they did with jobs.
type joins struct {
	jobs         uint64
	ghosts, ends int
	heeded       [2]uint64
}

func (f *Fleet) joinsNow() joins {
	return joins{f.jobs.version, len(f.jobs.ghosts), len(f.jobs.ended), f.jobs.heeded}
}

func (j joins) since(was joins) Join {
	switch {
	case j == was:
		return NotJoined
	case j.jobs == was.jobs && j.ghosts == was.ghosts && j.ends == was.ends:
		return JoinedAgain
	}
	return Assembled
}

// Assemble puts jobs together and joins them with schedulers' words, as a publication does first; with Options.Replay nothing else does.
func (f *Fleet) Assemble() {
	f.publish.Lock()
	defer f.publish.Unlock()
	now := f.opt.Now()
	live, generation := f.ordered()
	f.assemble(live, generation, now)
}

func (f *Fleet) assemble(live []*node, generation uint64, now time.Time) {
	f.schedule.update(f, live, generation, now)
	f.jobs.update(live, generation, &f.schedule, now)
	f.jobs.heed(&f.schedule, now)
}

// SetLevel says at which level a node was looked at.
func (f *Fleet) SetLevel(name string, detail bool) {
	if n := f.node(name); n != nil {
		n.setDetail(f, detail)
	}
}

// Judge has a node's picture made anew though nothing of it changed: what is to be said of it did.
func (f *Fleet) Judge(name string) {
	if n := f.node(name); n != nil {
		n.mu.Lock()
		n.changed, n.heardAt = true, f.opt.Now()
		n.mu.Unlock()
	}
}

// shownAt is when the picture of a node that is out was last made: it is shown for a minute, or until something of it changes.
func (n *node) shownAt(f *Fleet, now time.Time) time.Time {
	if s := n.status.State; s == Live || s == Deploying || s == Stale {
		return now
	}
	last := n.heardAt
	if f.jobs.changed.After(last) {
		last = f.jobs.changed
	}
	if last.IsZero() || last.After(now) {
		return now
	}
	return last.Add(now.Sub(last).Truncate(time.Minute))
}

// Close gives back the memory of all nodes' past. The fleet must not be used any more.
func (f *Fleet) Close() {
	live, _ := f.ordered()
	for _, n := range live {
		f.Remove(n.name)
	}
}
