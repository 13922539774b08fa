package sshpool

import (
	"time"
)

// An absence is ours, not the nodes': this machine slept, or this program was stopped. It shows as a gap between two looks at the streams, by a clock that goes on meanwhile.
// What was lost in it is worded so, is no outage of a node, and comes back at the pace of a first start: what is on screen first.

const (
	// awayAfter is the gap between two looks that is an absence: far above what a busy machine delays them by.
	awayAfter = 5 * time.Second
	// awaySettle is how long after an absence a lost connection counts as its consequence: a VPN has to come up again, too.
	awaySettle = time.Minute
	// awayEnds is the absence after which a collector has ended by itself: 30 s without a word from here.
	awayEnds = 30 * time.Second
)

// absence is one that ended not long ago.
type absence struct {
	long  time.Duration
	until int64 // pool.now() when it ended
}

func (a *absence) words() string { return "this machine was away for " + spell(a.long) }

// back is called when an absence has ended.
func (p *Pool) back(nodes []*node, long time.Duration) {
	p.pace.restart()
	if long > awayEnds {
		p.jumps.back()
	}
	a := &absence{long, p.now()}
	for _, n := range nodes {
		n.back(a)
	}
}

// back asks a connected node for a sign of life, and lets one that waits for its next try go at once.
func (n *node) back(a *absence) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.live
	if l == nil {
		select {
		case n.woken <- struct{}{}:
		default:
		}
		return
	}
	n.away.Store(a)
	n.last.Store(a.until) // nobody listened
	l.answered = a.until
	if l.lost == nil && !l.probing {
		n.probe(l, a.until)
	}
}

// absent is the absence whose consequence a loss now would be; nil: none.
func (n *node) absent() *absence {
	a := n.away.Load()
	if a == nil || time.Duration(n.pool.now()-a.until) > awaySettle {
		return nil
	}
	return a
}

// ours is a problem of a node as it is to be told: a loss that an absence of ours explains is no outage.
func (n *node) ours(p *problem) *problem {
	a := n.absent()
	if a == nil || p.state != Lost {
		return p
	}
	own := *p
	own.state, own.again = Waiting, pauseNear
	own.remedy = "foretop connects again by itself"
	if own.cause = a.words(); n.tried {
		own.cause, own.remedy = a.words()+"; now: "+p.cause, p.remedy
	}
	return &own
}

// spell says a time in one unit, as people do.
func spell(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return seconds(d)
	case d < 2*time.Hour:
		return count(d, time.Minute, "min")
	}
	return count(d, time.Hour, "h")
}
