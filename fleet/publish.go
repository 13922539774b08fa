package fleet

import (
	"slices"
	"time"

	"foretop/schedulers"
	"foretop/telemetry/facts"
)

// Publish clones what changed since the last time and puts out the next snapshot, which it returns. Its cost grows with what changed; a ticker of the
// caller's sets the pace.
func (f *Fleet) Publish() *Snapshot {
	f.publish.Lock()
	defer f.publish.Unlock()
	now := f.opt.Now()
	live, generation := f.ordered()
	was := f.joinsNow()
	if !f.opt.Replay {
		f.assemble(live, generation, now)
	}
	joined := f.joinsNow().since(was)
	f.sequence++
	s := &Snapshot{Sequence: f.sequence, At: now, Nodes: make([]*Node, len(live)), byName: make(map[string]*Node, len(live))}
	for i, n := range live {
		s.Nodes[i] = n.publish(f, now)
		s.byName[n.name] = s.Nodes[i]
	}
	s.Jobs = f.withAfar(f.jobs.views(f, s, now), s, now)
	f.compare(s, live, now)
	if !f.opt.Replay {
		f.askRAS(s)
	}
	s.Pending, s.Schedulers = f.schedule.pending, f.schedule.summary
	s.Users = f.users.views(s, now)
	s.Questions = f.questionsOf(s.Nodes)
	if f.opt.Rules.Incidents != nil {
		f.incidents = f.opt.Rules.Incidents(s, f.incidents)
		s.Incidents = f.incidents
	}
	s.Totals = count(s)
	if why := f.empty.Load(); why != nil && len(live) == 0 {
		s.Empty = *why
	}
	f.current.Store(s)
	if f.opt.Tap != nil {
		f.opt.Tap.Published(s, joined, f.keep)
	}
	return s
}

func (f *Fleet) ordered() ([]*node, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.order == nil {
		f.order = make([]*node, 0, len(f.nodes))
		for _, n := range f.nodes {
			f.order = append(f.order, n)
		}
		slices.SortFunc(f.order, func(a, b *node) int { return compareNames(a.name, b.name) })
	}
	return f.order, f.generation
}

// publish gives the node's view, a new one only if something changed: a frame or a status came, its jobs changed, or time alone changes what is to be said.
func (n *node) publish(f *Fleet, now time.Time) *Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	scheduled := f.schedule.nodes[n.name]
	if !n.changed && n.view != nil && n.jobsVersion == f.jobs.version && sameList(n.view.Scheduled, scheduled) && !n.aged(f, now) {
		return n.view
	}
	if f.opt.Replay {
		now = n.shownAt(f, now)
	}
	n.view = n.makeView(f, now)
	n.viewAt, n.changed, n.jobsVersion = now, false, f.jobs.version
	return n.view
}

// sameList says that two lists are one.
func sameList[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// aged says that a silent node's view is out of date by time alone.
func (n *node) aged(f *Fleet, now time.Time) bool {
	if n.view.Via != "" {
		return n.agedAfar(now)
	}
	switch n.view.State {
	case Live, Deploying:
		return n.status.State == Live && now.Sub(n.lastData) > n.pace.patience(f.opt.StaleAfter)
	case Stale:
		return now.Sub(n.viewAt) >= time.Second
	}
	return now.Sub(n.viewAt) >= time.Minute // what rules say may end by time
}

func count(s *Snapshot) Totals {
	t := Totals{Nodes: len(s.Nodes)}
	for _, n := range s.Nodes {
		t.ByState[n.State]++
		t.GPUs += len(n.GPUs)
		for i := range n.GPUs {
			if n.State != Live && n.State != Stale {
				break // who holds what there is not known any more
			}
			g := &n.GPUs[i]
			if len(g.Holders) > 0 {
				t.GPUsHeld++
			}
			if !g.IdleSince.IsZero() {
				t.GPUsIdle++
			}
			if g.Status != 0 {
				t.GPUsBad++
			}
		}
		if n.State == Live {
			read := kernelLogRead(n)
			if read {
				t.KernelLogRead++
			}
			if n.HearsXids() {
				t.XidRead++
			}
		}
		condition := n.Condition()
		switch condition {
		case schedulers.Draining, schedulers.Drained:
			t.Drained++
		case schedulers.Down, schedulers.Unreachable:
			t.Down++
		}
		for _, p := range n.Problems {
			if !outOfService(condition) {
				t.add(p.Severity)
			} else if p.Severity >= Warning {
				t.KnownBad++
			}
		}
	}
	t.Pending = len(s.Pending)
	for _, j := range s.Jobs {
		if j.Ended.IsZero() {
			t.Jobs++
		}
		t.add(j.Severity)
	}
	return t
}

// Condition is what a node's state in its scheduler means to somebody who wants to run there; of several schedulers', the worst.
func (n *Node) Condition() schedulers.Condition {
	worst := schedulers.Unknown
	for i := range n.Scheduled {
		if s := n.Scheduled[i].Node; s != nil {
			worst = max(worst, s.Condition)
		}
	}
	return worst
}

// OutOfService says that somebody took the node out of service: what is wrong there is known.
func (n *Node) OutOfService() bool { return outOfService(n.Condition()) }

func outOfService(c schedulers.Condition) bool {
	return c == schedulers.Draining || c == schedulers.Drained
}

func (t *Totals) add(s Severity) {
	switch s {
	case Critical:
		t.Critical++
	case Warning:
		t.Warning++
	}
}

// KernelLogSource is the name of the source that reads the kernel log.
const KernelLogSource = "kernel_log"

// HearsXids says that the node would tell of an Xid: it lets its kernel log be read, or its driver tells them by itself.
func (n *Node) HearsXids() bool { return n.XidEvents || kernelLogRead(n) }

func kernelLogRead(n *Node) bool {
	for _, s := range n.Sources {
		if s.Name == KernelLogSource {
			return s.State == facts.SourceState_SOURCE_OK
		}
	}
	return false
}
