package sshpool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"foretop/telemetry"
)

// steady is how long a stream must have lived for its end to count as a first failure, not as one more in a row.
const steady = 10 * time.Second

// node is one target, owned by the goroutine in own.
type node struct {
	pool   *Pool
	target Target
	ctx    context.Context
	cancel context.CancelFunc
	retry  chan struct{}
	woken  chan struct{} // an absence of ours has ended
	ended  chan struct{} // closed when own has returned

	last   atomic.Int64             // pool.now() of the stream's last byte
	silent atomic.Bool              // reported stale
	slower atomic.Int64             // by how much its stream speaks less often than once a second, ns
	seen   atomic.Bool              // on screen: it goes first
	trying atomic.Bool              // a try is under way, and has brought no stream yet
	found  atomic.Pointer[Resolved] // how it is reached; nil: not known yet
	alone  atomic.Bool              // its server has room for one session a connection
	away   atomic.Pointer[absence]  // our last one while it was connected
	jump   atomic.Pointer[string]   // the last jump host before it; nil: not known yet, or none
	acted  atomic.Int64             // pool.now() when the user's last session over the stream's connection began or ended

	mu      sync.Mutex // guards what follows, and orders the calls of the sink
	live    *liveness  // non-nil while a stream runs
	attempt int
	notes   string
	state   State     // last reported, tries in between left out
	since   time.Time // when that began

	tried bool // own's only: the last try brought no stream

	untrusted *HostKeyError // the last key that was not trusted
}

func newNode(p *Pool, t Target) *node {
	n := &node{pool: p, target: t, retry: make(chan struct{}, 1), woken: make(chan struct{}, 1), ended: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancel(p.ctx)
	return n
}

// own is the node's life: try, say why it ended, wait, try again. It ends with the node's context.
func (n *node) own() {
	defer n.cancel()
	n.report(Status{State: Waiting})
	var outage time.Time   // since when there is no stream
	row, known := 0, false // failures in a row; it was live once
	var before *problem    // why the last try ended
	for {
		begun, lived := time.Now(), time.Duration(0)
		if outage.IsZero() {
			outage = begun
		}
		n.mu.Lock()
		n.attempt = row + 1
		n.mu.Unlock()
		n.trying.Store(true)
		lived, err := n.try(before)
		n.trying.Store(false)
		n.pool.asks.ended(n.target.Name)
		if n.ctx.Err() != nil {
			return
		}
		n.target.Trace.finish(err)
		n.target.Trace = nil // it is for one try
		n.tried = lived == 0
		before = n.ours(asProblem(err))
		if lived > 0 {
			outage, known = time.Now(), true
		}
		if known && before.again == pauseFar {
			awaited := *before // others may have this one too, those behind the same jump host
			awaited.again = pauseBack
			before = &awaited
		}
		if row++; lived >= steady {
			row = 1
		}
		if !n.pause(before, row, time.Since(outage)) {
			return
		}
	}
}

// pause reports a problem and waits until it is time to try again; false means that the node is over.
func (n *node) pause(p *problem, row int, outage time.Duration) bool {
	s := Status{State: p.state, Cause: p.cause, Remedy: p.remedy, Err: p, Notes: p.notes}
	if p.err != nil {
		s.Err = p.err
	}
	var due <-chan time.Time
	if p.again != pauseHold {
		wait := n.pool.cfg.Timing.backoff(row, p.again, outage)
		s.NextTry = time.Now().Add(wait)
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-n.retry: // asked for before this problem was known
	default:
	}
	select {
	case <-n.woken:
	default:
	}
	var woken <-chan struct{}
	if p.again <= pauseNear {
		woken = n.woken
	}
	healed := func() bool { return false }
	var look <-chan time.Time
	var untrusted *HostKeyError
	trust := errors.As(p.err, &untrusted) && p.state == NeedsTrust
	n.mu.Lock()
	n.untrusted = untrusted
	n.mu.Unlock()
	if trust {
		healed = n.pool.trust.heals(untrusted)
		tick := time.NewTicker(n.pool.cfg.Timing.TrustLook)
		defer tick.Stop()
		look = tick.C
	}
	var answered <-chan bool
	if p.ask != "" {
		t := n.pool.asks.join(p.ask, n.target.Name)
		defer n.pool.asks.leave(p.ask, t)
		answered = t.ready
	}
	n.report(s)
	for {
		select {
		case again := <-answered:
			if again {
				return true
			}
			answered = nil
			s.Remedy = "it was not answered, or wrongly: retry to be asked again"
			n.report(s)
		case <-due:
			return true
		case <-n.retry:
			return true
		case <-woken: // not all of them in the same moment
			return sleep(n.ctx, mrand.N(time.Second)) == nil
		case <-look:
			if healed() {
				return true
			}
		case <-n.ctx.Done():
			return false
		}
	}
}

// try goes the whole way once: resolve, dial, start, stream. It gives how long the stream lived and why it ended. A panic on the
// way is this node's trouble only.
func (n *node) try(before *problem) (lived time.Duration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &problem{state: Lost, again: pauseLong, cause: clean(fmt.Sprintf("foretop's own fault: %v", r)),
				remedy: "please report it", err: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	if n.target.Local {
		return n.tryLocal()
	}
	if n.target.Door != nil {
		return n.tryDoor(before)
	}
	ctx := withTrace(n.ctx, n.target.Trace)
	r := n.target.Resolved
	if r == nil {
		if r, err = n.pool.resolver.resolve(ctx, n.target.Name); err != nil {
			return 0, err
		}
	}
	n.found.Store(r)
	n.behind(r)
	if r.ForwardAgent {
		traceOf(ctx).note("agent", "not forwarded, although ForwardAgent is set: a node that is only looked at gets no use of your keys; ssh "+r.Alias+" forwards it")
	}
	wait := traceOf(ctx).step("turn")
	turn, err := n.pool.pace.acquire(n.ctx, gateKey(r), &n.seen)
	if err != nil {
		return 0, err
	}
	wait.end(nil)
	throttled := false
	defer func() { turn.end(throttled) }()
	connecting := Status{State: Connecting}
	if before != nil {
		connecting.Cause, connecting.Remedy = before.cause, before.remedy
	}
	n.report(connecting)
	c, err := n.pool.connect(ctx, r)
	n.pool.asks.ended(n.target.Name) // it may have got in without
	if err != nil {
		throttled = asProblem(err).throttled
		return 0, err
	}
	h := &hold{c: c, again: func(ctx context.Context) (carrier, error) { return n.pool.connect(ctx, r) }}
	defer h.Close()
	end := context.AfterFunc(n.ctx, h.Close)
	defer end()
	s, err := n.launch(ctx, h)
	if err != nil {
		return 0, err
	}
	turn.end(false)
	return n.stream(h.carrier(), s)
}

func (n *node) tryLocal() (time.Duration, error) {
	ctx := withTrace(n.ctx, n.target.Trace)
	traceOf(ctx).note("transport", "this machine: no SSH")
	n.report(Status{State: Connecting})
	c := newLocalCarrier()
	defer c.Close()
	end := context.AfterFunc(n.ctx, func() { c.Close() })
	defer end()
	s, err := n.launchLocal(ctx, c)
	if err != nil {
		return 0, err
	}
	return n.stream(c, s)
}

// gateKey names what a start burdens: the first jump host, or the node's own sshd.
func gateKey(r *Resolved) string {
	if r.ProxyJump != "" {
		return jumpKey + r.ProxyJump
	}
	return r.addr()
}

// stream hands the collector's stream to the sink until it ends, and says why it ended.
func (n *node) stream(c carrier, s *started) (lived time.Duration, err error) {
	n.last.Store(n.pool.now())
	n.slower.Store(0)
	l := &liveness{carrier: c}
	n.mu.Lock()
	n.live, n.notes = l, s.notes
	n.reportLocked(Status{State: Live})
	n.trying.Store(false)
	n.mu.Unlock()
	begun := time.Now()

	first := &watched{n: n, rest: s.rest, r: s.process.stdout}
	s.rest = nil // s lives as long as the stream
	err = n.serve(first, s.process.stdin)

	n.mu.Lock()
	n.live, n.notes = nil, ""
	n.silent.Store(false)
	lost := l.lost
	n.mu.Unlock()
	lived = time.Since(begun)
	if n.ctx.Err() != nil {
		return lived, n.ctx.Err()
	}
	if lost != nil {
		return lived, lost
	}
	if cut := s.process.cutOff(); cut != nil {
		return lived, cut
	}
	var bad interface{ Misbehaving() bool }
	if errors.As(err, &bad) && bad.Misbehaving() {
		return lived, &problem{state: Misbehaving, again: pauseLong, cause: clean(err.Error()), err: err,
			remedy: "the node may be broken or compromised: look at it before trusting what it says; foretop tries again later"}
	}
	n.blame()
	p := &problem{state: Lost, again: pauseFar, err: err}
	words := s.process.endWords()
	switch {
	case words != "":
		p.cause, p.remedy = "the collector ended: "+words, "foretop starts it again by itself"
	default:
		p.again = pauseNear // a node that comes and goes is there again soon
		p.cause, p.remedy = "connection lost", "foretop dials again by itself"
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			p.cause += ": " + clean(err.Error())
		}
	}
	return lived, p
}

// serve calls the sink; its panics end this stream only.
func (n *node) serve(stdout io.Reader, stdin io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read stream: panic: %v\n%s", r, debug.Stack())
		}
	}()
	return n.pool.sink.Serve(n.ctx, n.target.Name, stdout, stdin)
}

// report tells the sink, one call at a time; a node that was removed is not spoken of any more.
func (n *node) report(s Status) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reportLocked(s)
}

func (n *node) reportLocked(s Status) {
	if n.ctx.Err() != nil {
		return
	}
	s.Attempt = n.attempt
	switch {
	case s.State == n.state && !n.since.IsZero():
		s.At = n.since
	case s.State == Connecting && n.attempt > 1: // a try in between does not end an outage
		s.At = time.Now()
	default:
		s.At = time.Now()
		n.state, n.since = s.State, s.At
	}
	if s.Notes == "" {
		s.Notes = n.notes
	}
	s.Cause, s.Remedy = telemetry.Clean(s.Cause, 500), telemetry.Clean(s.Remedy, 500)
	n.pool.sink.Status(n.target.Name, s)
}

func newNonce() string {
	b := make([]byte, telemetry.NonceBytes)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// sleep waits, or gives the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
