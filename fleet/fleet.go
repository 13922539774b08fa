// Package fleet owns all mutable state of the front end: what every node last said, how it is reached, the recent past of its numbers, and
// the jobs that its processes make up and its schedulers know.
//
// Frames come in through [Fleet.Serve], one goroutine a node, each under its own node's lock; [Fleet.Publish] clones the nodes that changed and puts
// out the next [Snapshot], which is immutable: readers hold no lock. It knows no SSH and no screen, asks no scheduler, and reads no clock but the
// one that it is given.
package fleet

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Options are a fleet's settings; the zero value is usable.
type Options struct {
	Now   func() time.Time // default time.Now
	Rules Rules
	// Nodes is about how many nodes there will be: it decides how much past fits the memory budget.
	Nodes int
	// IdleAfter is for how long a held GPU must do nothing to count as idle; default 5 minutes.
	IdleAfter time.Duration
	// StaleAfter is for how long a live node may be silent; default 2.5 s.
	StaleAfter time.Duration
	// Paced is told when a node is asked for a sample each so often, before it is; nil: nobody minds.
	Paced func(node string, every time.Duration)
	// Fold writes node names as a node set, as short as it can; nil: the first few are listed.
	Fold func(names []string) string
	// Layouts are parallel layouts that were given by hand; the first whose name fits holds.
	Layouts []LayoutRule
	// Tap is told all that comes in; nil: nobody records.
	Tap Tap
	// Replay is a fleet that a recording is told to: jobs are put together by Assemble alone.
	Replay bool
	// Unpacked is shared by fleets that are told the same; nil: frames are taken apart each time.
	Unpacked *Unpacked
	// NoHistory leaves numbers' past out: it is not asked for.
	NoHistory bool
	// NoRAS forbids to ask the NCCL libraries of jobs (RAS).
	NoRAS bool
}

// Fleet is the live state. Its methods may be called from any goroutine.
type Fleet struct {
	opt  Options
	past pastShape

	shared     sharedLists
	pictures   pictures
	identities atomic.Uint64 // rises when a node says anew who it is

	mu         sync.RWMutex
	nodes      map[string]*node
	order      []*node // nodes by name; rebuilt by publications when they changed
	generation uint64  // of the set of nodes
	size       atomic.Int64

	publish    sync.Mutex // one publication at a time
	sequence   uint64
	incidents  []Incident // of the last publication
	schedule   scheduleBook
	jobs       jobBook
	users      userBook
	comparison comparison
	logs       logBook
	ras        rasBook
	current    atomic.Pointer[Snapshot]
	empty      atomic.Pointer[string]   // why there is no node
	afar       atomic.Pointer[Overview] // what a metrics server said last; nil: none is asked
	afarBook   afarBook
	// questions are those that are open beside host keys.
	questions atomic.Pointer[[]Question]
}

// Status is what whoever connects to a node says of it.
type Status struct {
	State   State
	Cause   string
	Remedy  string
	Since   time.Time // since when it is so; zero: since now, where the state changed
	Attempt int
	NextTry time.Time
	Banner  string
	HostKey *HostKey // the key that is not trusted, in NeedsTrust
}

// New returns a fleet without nodes.
func New(opt Options) *Fleet {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.IdleAfter == 0 {
		opt.IdleAfter = 5 * time.Minute
	}
	if opt.StaleAfter == 0 {
		opt.StaleAfter = 2500 * time.Millisecond
	}
	f := &Fleet{opt: opt, past: shapeOf(opt.Nodes), nodes: map[string]*node{}}
	f.ras.off = opt.NoRAS
	f.jobs.layoutRules, f.jobs.fold = opt.Layouts, opt.Fold
	f.current.Store(&Snapshot{At: opt.Now()})
	return f
}

// Add makes a node known, waiting. Adding one again changes nothing.
func (f *Fleet) Add(name string) { f.add(name, false) }

// AddListed is Add of a node that is watched because a scheduler has one of that name.
func (f *Fleet) AddListed(name string) { f.add(name, true) }

func (f *Fleet) add(name string, listed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nodes[name] == nil {
		f.nodes[name] = newNode(name, f.opt.Now())
		f.nodes[name].listed = listed
		f.order = nil
		f.generation++
		f.size.Store(int64(len(f.nodes)))
		if f.opt.Tap != nil {
			f.opt.Tap.Joined(name, listed, f.opt.Now())
		}
	}
}

// Remove forgets a node and its past.
func (f *Fleet) Remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[name]
	delete(f.nodes, name)
	f.order = nil
	f.generation++
	f.size.Store(int64(len(f.nodes)))
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.past.free()
	n.past, n.removed = nil, true
	if f.opt.Tap != nil {
		f.opt.Tap.Left(name, f.opt.Now())
	}
}

// SetStatus takes over how a node is reached. Unknown names are ignored: a node may have been removed meanwhile.
func (f *Fleet) SetStatus(name string, s Status) {
	n := f.node(name)
	if n == nil {
		return
	}
	now := f.opt.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.opt.Tap != nil && !n.removed {
		f.opt.Tap.Status(name, &s, now)
	}
	if s.State == Connecting && s.Attempt > 1 && n.status.State.Out() {
		// The outage lasts until it is over: trying again is no better state, and rows do not jump with each try.
		n.status.Attempt, n.status.NextTry, n.changed, n.heardAt = s.Attempt, time.Time{}, true, now
		return
	}
	switch {
	case !s.Since.IsZero():
		n.since = s.Since
	case s.State != n.status.State:
		n.since = now
	}
	s.Cause, s.Remedy = telemetry.Clean(s.Cause, 512), telemetry.Clean(s.Remedy, 512)
	s.Banner = telemetry.Clean(s.Banner, 1024)
	s.HostKey = cleanHostKey(s.HostKey)
	n.status = s
	n.changed, n.heardAt = true, now
}

// SetEmpty says why no node is watched, for as long as there is none; "" leaves it open.
func (f *Fleet) SetEmpty(why string) {
	why = telemetry.Clean(why, 512)
	f.empty.Store(&why)
}

// Apply takes in one frame of a node, as received at a time. A *[telemetry.Malformed] says that the node broke the protocol; reply says what to tell it.
func (f *Fleet) Apply(name string, kind telemetry.Kind, payload []byte, at time.Time) (reply Reply, err error) {
	n := f.node(name)
	if n == nil {
		return Reply{}, nil
	}
	return n.apply(f, kind, payload, at)
}

// Reply is what a frame calls for.
type Reply struct {
	Start *facts.Start  // answer to a hello
	Whole bool          // ask for a whole sample
	Every time.Duration // ask for a sample each so often; 0: as before
}

// Snapshot is the one published last.
func (f *Fleet) Snapshot() *Snapshot { return f.current.Load() }

// Watch says which nodes are on screen: they are asked for detail, all others for the base level.
func (f *Fleet) Watch(names []string) {
	f.mu.RLock()
	all := make([]*node, 0, len(f.nodes))
	for _, n := range f.nodes {
		all = append(all, n)
	}
	f.mu.RUnlock()
	for _, n := range all {
		n.setDetail(f, slices.Contains(names, n.name))
	}
}

func (f *Fleet) node(name string) *node {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.nodes[name]
}
