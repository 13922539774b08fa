package sshpool

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	paceFirst = 16  // starts in flight at first
	paceMost  = 256 // the knee: more buys no time (facts: 128 to 256 at 50 ms round trips)
	gateFirst = 2   // starts in flight at one sshd or through one jump host
	gateMost  = 6   // under the default MaxStartups 10:30:100 with room for others
	// paceSlow is when a start that only waits for the other side no longer counts: nodes that are down cost nothing and must not hold
	// the others up.
	paceSlow = 1500 * time.Millisecond

	jumpKey = "jump " // begins the keys of gates that stand for a jump host
)

// pacer decides when a node may be dialled: slow start over all nodes, and a small gate a server, so that thousands of logins
// neither overrun this machine nor trip a login node's MaxStartups.
type pacer struct {
	now func() time.Time

	mu     sync.Mutex
	limit  int
	busy   int
	grown  time.Time // when limit last changed
	halved time.Time // when it was last halved
	queue  []*paceWaiter
	gates  map[string]*gate
	errors bool // since grown
}

type gate struct{ limit, busy, good int }

type paceWaiter struct {
	key   string
	seen  *atomic.Bool // on screen; nil: a person waits
	ready chan struct{}
	done  bool
}

// first says that a waiter goes before those that nobody looks at.
func (w *paceWaiter) first() bool { return w.seen == nil || w.seen.Load() }

func newPacer(now func() time.Time) *pacer {
	return &pacer{now: now, limit: paceFirst, grown: now(), gates: make(map[string]*gate)}
}

// turn is the right to be starting: a share of the whole and a place at one server.
type turn struct {
	p    *pacer
	key  string
	slow *time.Timer

	whole, place, ended bool // given back
}

// acquire waits for a turn at the server named by key. Who is seen goes before who is not; nil: a person waits, and counts as seen.
func (p *pacer) acquire(ctx context.Context, key string, seen *atomic.Bool) (*turn, error) {
	w := &paceWaiter{key: key, seen: seen, ready: make(chan struct{})}
	p.mu.Lock()
	at := len(p.queue)
	if w.first() {
		if at = slices.IndexFunc(p.queue, func(o *paceWaiter) bool { return !o.first() }); at < 0 {
			at = len(p.queue)
		}
	}
	p.queue = slices.Insert(p.queue, at, w)
	p.admit()
	p.mu.Unlock()
	select {
	case <-w.ready:
	case <-ctx.Done():
		p.mu.Lock()
		if w.done {
			p.busy--
			p.gates[key].busy--
		}
		w.done = true
		p.admit()
		p.mu.Unlock()
		return nil, ctx.Err()
	}
	t := &turn{p: p, key: key}
	t.slow = time.AfterFunc(paceSlow, t.ease)
	return t, nil
}

// reorder puts those that are seen now before the others, each in the order in which they came.
func (p *pacer) reorder() {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := make([]*paceWaiter, 0, len(p.queue))
	kept := p.queue[:0]
	for _, w := range p.queue {
		if w.first() {
			kept = append(kept, w)
		} else {
			rest = append(rest, w)
		}
	}
	p.queue = append(kept, rest...)
}

// restart begins anew with the slow start: after an absence all nodes want to be dialled at once.
func (p *pacer) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit, p.errors, p.grown = min(p.limit, paceFirst), false, p.now()
	for _, g := range p.gates {
		g.limit, g.good = min(g.limit, gateFirst), 0
	}
}

// admit lets waiters in, as they stand in the queue, among those whose gate is open; mu is held.
func (p *pacer) admit() {
	p.grow()
	kept := p.queue[:0]
	for i, w := range p.queue {
		if w.done {
			continue
		}
		if p.busy >= p.limit {
			kept = append(kept, p.queue[i:]...)
			break
		}
		g := p.gates[w.key]
		if g == nil {
			g = &gate{limit: gateFirst}
			p.gates[w.key] = g
		}
		if g.busy >= g.limit {
			kept = append(kept, w)
			continue
		}
		p.busy++
		g.busy++
		w.done = true
		close(w.ready)
	}
	clear(p.queue[len(kept):])
	p.queue = kept
}

// grow doubles the limit for each second without an error; mu is held.
func (p *pacer) grow() {
	now := p.now()
	for p.limit < paceMost && now.Sub(p.grown) >= time.Second {
		p.grown = p.grown.Add(time.Second)
		if !p.errors {
			p.limit = min(2*p.limit, paceMost)
		}
		p.errors = false
	}
	if p.limit == paceMost {
		p.grown = now
	}
}

// ease gives back what a start that only waits need not hold: its share of the whole, and its place at a jump host (a node that is
// down behind it must not hold the others up). At a server of its own the place is kept: that one is slow.
func (t *turn) ease() {
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	t.release(strings.HasPrefix(t.key, jumpKey))
	p.admit()
}

// release is idempotent for each half; p.mu is held.
func (t *turn) release(place bool) {
	if !t.whole {
		t.whole = true
		t.p.busy--
	}
	if place && !t.place {
		t.place = true
		t.p.gates[t.key].busy--
	}
}

// end gives the turn back. A throttled one halves the pace; a good one lets its server's gate grow. Only the first call counts.
func (t *turn) end(throttled bool) {
	t.slow.Stop()
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	t.release(true)
	g := p.gates[t.key]
	if throttled {
		g.limit, g.good = max(1, g.limit/2), 0
		if now := p.now(); now.Sub(p.halved) >= time.Second { // many nodes that die at once ask for no more than one does
			p.limit, p.halved = max(gateFirst, p.limit/2), now
		}
		p.errors, p.grown = true, p.now()
	} else if g.good++; g.good >= g.limit {
		g.limit, g.good = min(g.limit+1, gateMost), 0
	}
	p.admit()
}
