package simfleet

import (
	"slices"
	"time"
)

// What people order of the fleet's schedulers, or do to its processes, comes on top of what the scenario does. Whoever reads it takes no lock: a job's and a node's
// orders are never changed, only replaced, by one at a time.

// stop is a time in which a job has no processes, for somebody ended them.
type stop struct {
	from, to time.Duration // to: when they start anew; forever: never
	state    string        // of the job meanwhile, in Slurm's words: PENDING, CANCELLED, FAILED
	code     string        // how its processes ended: "0:15"
	held     bool          // it waits until all of its nodes take work again
}

// mark is what somebody last ordered about a node.
type mark struct {
	at         time.Duration
	drained    bool
	reason, by string
}

// stopAt says in which stop a job is at a moment, nil none; how often it started anew after one, and when it last did.
func (j *job) stopAt(at time.Duration) (s *stop, starts int, last time.Duration) {
	list := j.stops.Load()
	if list == nil {
		return nil, 0, 0
	}
	for i := range *list {
		one := &(*list)[i]
		switch {
		case one.from > at:
		case one.to > at:
			s = one
		default:
			starts, last = starts+1, one.to
		}
	}
	return s, starts, last
}

// ordered is what a job does for somebody stopped it, or for it starts anew after that; false: what the scenario says.
func (j *job) ordered(at time.Duration) (shares, bool) {
	s, starts, last := j.stopAt(at)
	switch {
	case s != nil:
		return shares{down: 1}, true
	case starts > 0 && at < last+j.pattern.load:
		return shares{load: 1}, true
	}
	return shares{}, false
}

// stop ends a job's processes. Of a job that is stopped already, it says how that goes on.
func (m *Model) stop(j *job, s stop) {
	m.orders.Lock()
	defer m.orders.Unlock()
	var list []stop
	if old := j.stops.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if n := len(list); n > 0 && list[n-1].to > s.from {
		s.from = list[n-1].from
		list = list[:n-1]
	}
	list = append(list, s)
	j.stops.Store(&list)
}

// requeue ends a job's processes, which start anew after a while, or when its nodes take work again.
func (m *Model) requeue(j *job, at, wait time.Duration, code string) {
	s := stop{from: at, to: at + wait, state: "PENDING", code: code}
	if !m.startable(j, at) {
		s.to, s.held = forever, true
	}
	m.stop(j, s)
}

// startable says that all of a job's nodes take work.
func (m *Model) startable(j *job, at time.Duration) bool {
	return !slices.ContainsFunc(j.member, func(i int) bool {
		n := m.nodes[i]
		s, _ := n.told(n.scheduler(), at)
		return slices.Contains(s.Flags, drainFlag(n.scheduler()))
	})
}

// drainFlag is how a scheduler says that a node takes nothing new for somebody said so.
func drainFlag(kind string) string {
	if kind == kubeKind {
		return "SchedulingDisabled"
	}
	return "DRAIN"
}

// mark says what is ordered about a node from now on; jobs that waited for it start.
func (m *Model) mark(n *Node, k mark) {
	n.marked.Store(&k)
	if k.drained {
		return
	}
	for _, s := range n.slots {
		if now, _, _ := s.job.stopAt(k.at); now != nil && now.held && m.startable(s.job, k.at) {
			again := *now
			again.held, again.to = false, k.at+startAfter
			m.stop(s.job, again)
		}
	}
}

// withdraw takes a job that waits out of the queue.
func (m *Model) withdraw(key string, at time.Duration) {
	m.orders.Lock()
	defer m.orders.Unlock()
	if m.withdrawn == nil {
		m.withdrawn = map[string]time.Duration{}
	}
	m.withdrawn[key] = at
}

func (m *Model) withdrawnAt(key string) (at time.Duration, ok bool) {
	m.orders.Lock()
	defer m.orders.Unlock()
	at, ok = m.withdrawn[key]
	return at, ok
}
