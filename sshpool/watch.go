package sshpool

import (
	"fmt"
	"io"
	"time"
)

// liveness is a running stream as the watch sees it; guarded by node.mu.
type liveness struct {
	carrier  carrier
	probing  bool
	probed   int64    // when the last probe began
	answered int64    // when one was answered
	lost     *problem // why the watch ended it
}

// watched is a stream that notes when bytes come.
type watched struct {
	n    *node
	rest []byte
	r    io.Reader
}

func (w *watched) Read(b []byte) (int, error) {
	if len(w.rest) > 0 {
		k := copy(b, w.rest)
		if w.rest = w.rest[k:]; len(w.rest) == 0 {
			w.rest = nil
		}
		w.n.heard()
		return k, nil
	}
	k, err := w.r.Read(b)
	if k > 0 {
		w.n.heard()
	}
	return k, err
}

// heard notes a sign of life; a stale node is live again with it.
func (n *node) heard() {
	n.last.Store(n.pool.now())
	if !n.silent.Load() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.live != nil && n.live.lost == nil && n.silent.Swap(false) {
		n.reportLocked(Status{State: Live})
	}
}

// watch looks at all streams a few times a second, from one goroutine: cheaper than a timer a node.
func (p *Pool) watch() {
	tick := time.NewTicker(p.cfg.Timing.Sweep)
	defer tick.Stop()
	var nodes []*node
	last := p.cfg.awake()
	for {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
		p.mu.Lock()
		nodes = nodes[:0]
		for _, n := range p.nodes {
			nodes = append(nodes, n)
		}
		p.mu.Unlock()
		now := p.cfg.awake()
		if long := now - last; long > awayAfter {
			p.back(nodes, long)
		}
		last = now
		for _, n := range nodes {
			n.look()
		}
		clear(nodes)
	}
}

// look judges one stream's silence: stale first, then a keepalive tells whether the node or only its collector is silent; no answer
// at all ends the connection.
func (n *node) look() {
	t := &n.pool.cfg.Timing
	quiet := t.Quiet + time.Duration(n.slower.Load())
	if n.pool.now()-n.last.Load() < int64(quiet) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.live
	if l == nil || l.lost != nil {
		return
	}
	now := n.pool.now()
	silence := time.Duration(now - n.last.Load())
	if silence < quiet {
		return
	}
	reprobe, gone := n.keepalive(quiet)
	a := n.absent()
	switch {
	case a != nil && a.long > awayEnds && l.answered <= a.until:
		l.lost = &problem{state: Lost, again: pauseNear, cause: "no answer for " + seconds(silence), remedy: "foretop dials again by itself"}
		go l.carrier.Close()
	case !n.silent.Load():
		n.silent.Store(true)
		n.reportLocked(Status{State: Stale, Cause: "no data for " + seconds(silence)})
		n.probe(l, now)
	case !l.probing:
		if now-l.probed >= int64(reprobe) {
			n.probe(l, now)
		}
	case now-max(n.last.Load(), l.answered) >= int64(gone):
		l.lost = &problem{state: Lost, again: pauseNear, cause: "no answer for " + seconds(time.Duration(now-max(n.last.Load(), l.answered))),
			remedy: "the node or the network to it is down; foretop dials again by itself"}
		go l.carrier.Close() // may take its time: this is the one goroutine that looks at all nodes
	}
}

// keepalive says how often a silent node is asked for a sign of life, and after what silence it is given up: as Timing says, and at most as the user's configuration does, which
// gives a host up when it left so many questions (ServerAliveCountMax) unanswered, one each so often (ServerAliveInterval). The first comes after quiet.
func (n *node) keepalive(quiet time.Duration) (reprobe, gone time.Duration) {
	reprobe, gone = n.pool.cfg.Timing.Reprobe, n.pool.cfg.Timing.Gone
	r := n.found.Load()
	if r == nil || r.AliveEvery <= 0 {
		return reprobe, gone
	}
	reprobe = min(reprobe, r.AliveEvery)
	if r.AliveCount > 0 { // 0: ssh never gives up, and we do as ever
		gone = min(gone, quiet+time.Duration(r.AliveCount)*r.AliveEvery)
	}
	return reprobe, gone
}

// probe asks the node for a sign of life; n.mu is held. A keepalive that is never answered ends with the connection.
func (n *node) probe(l *liveness, now int64) {
	l.probing, l.probed = true, now
	go func() {
		err := l.carrier.probe()
		n.mu.Lock()
		defer n.mu.Unlock()
		if err != nil || n.live != l || l.lost != nil {
			return
		}
		now := n.pool.now()
		l.probing, l.answered = false, now
		if n.silent.Load() {
			answers := "; ssh answers"
			if n.target.Local {
				answers = ""
			}
			n.reportLocked(Status{State: Stale,
				Cause:  "collector silent " + seconds(time.Duration(now-n.last.Load())) + answers,
				Remedy: "the node is there: its collector is stopped, starved or stuck; look at the node's load"})
		}
	}()
}

func seconds(d time.Duration) string { return count(d, time.Second, "s") }

func count(d, unit time.Duration, word string) string {
	return fmt.Sprintf("%d %s", int((d+unit/2)/unit), word)
}
