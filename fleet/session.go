package fleet

import (
	"context"
	"io"
	"sync"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// What a node may send: far above any real node, far below what would hurt.
const (
	budgetBytes    = 8 << 20   // at once
	budgetRefill   = 512 << 10 // bytes a second
	frameCost      = 512       // bytes that a frame counts beside its own
	heartbeatEvery = 10 * time.Second
)

// session is one stream of a node: the front end's half of the conversation.
type session struct {
	mu       sync.Mutex // writes
	w        *telemetry.FrameWriter
	lastBeat time.Time

	// Guarded by the node's lock.
	greeted bool // it may be told things
	detail  bool // the level that it was told last
	telling bool // somebody is telling it the level
}

// Serve holds the conversation with a node's collector until its stream ends. The reader stands behind the line that starts the stream. It answers hello,
// keeps the collector alive with heartbeats, and takes in every frame; the error says why it ended (io.EOF: the stream did).
func (f *Fleet) Serve(ctx context.Context, name string, r io.Reader, w io.Writer) error {
	n := f.node(name)
	if n == nil {
		return context.Canceled
	}
	s := &session{w: telemetry.NewFrameWriter(w, telemetry.MaxControlBytes)}
	n.open(s)
	defer n.close(s)
	frames := telemetry.NewFrameReader(r, telemetry.MaxFrameBytes)
	budget := bucket{left: budgetBytes, at: f.opt.Now()}
	for ctx.Err() == nil {
		kind, payload, err := frames.Read()
		if err != nil {
			return err
		}
		now := f.opt.Now()
		if !budget.take(len(payload)+frameCost, now) {
			return &telemetry.Malformed{What: "more than it may send: over 512 KiB a second"}
		}
		reply, err := n.apply(f, kind, payload, now)
		if err != nil {
			return err
		}
		if reply.Every != 0 && f.opt.Paced != nil {
			f.opt.Paced(name, reply.Every)
		}
		if err := s.answer(n, reply, now); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (n *node) open(s *session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.session = s
	n.greeted = false
}

func (n *node) close(s *session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.session == s {
		n.session = nil
		n.hears.Store(false)
	}
}

// answer writes what a frame called for, and a heartbeat when one is due. Samples come every second, so they are the clock: a node
// that sends nothing is told nothing, and its collector ends by itself.
func (s *session) answer(n *node, reply Reply, now time.Time) error {
	if reply.Start != nil {
		if err := s.control(&facts.Control{What: &facts.Control_Start{Start: reply.Start}}); err != nil {
			return err
		}
		n.mu.Lock()
		n.clock.ask(now)
		s.greeted, s.detail = true, false
		n.hears.Store(true)
		tell := n.detail && !s.telling
		s.telling = s.telling || tell
		n.mu.Unlock()
		if tell {
			s.tellLevel(n)
		}
		s.lastBeat = now
	}
	if reply.Whole {
		return s.control(&facts.Control{What: &facts.Control_Whole{Whole: &facts.SendWhole{}}})
	}
	if reply.Every == 0 && now.Sub(s.lastBeat) < heartbeatEvery {
		return nil
	}
	s.lastBeat = now
	if reply.Every != 0 {
		return s.control(&facts.Control{What: &facts.Control_Pace{Pace: &facts.SetPace{EveryMs: reply.Every.Milliseconds()}}})
	}
	return s.control(&facts.Control{What: &facts.Control_Heartbeat{Heartbeat: &facts.Heartbeat{}}})
}

// tellLevel tells the level that is wanted until it is the one told. One goroutine does so at a time, so the last word is the right one.
func (s *session) tellLevel(n *node) {
	for {
		n.mu.Lock()
		detail := n.detail
		if detail == s.detail {
			s.telling = false
			n.mu.Unlock()
			return
		}
		s.detail = detail
		every := time.Duration(0)
		if detail { // who looks at it does not wait for a sample that is due in a while
			n.pace.spared = 0
			every = n.pace.due()
		}
		n.mu.Unlock()
		// An error ends the stream's reader as well, which tells it.
		_ = s.control(&facts.Control{What: &facts.Control_Level{Level: &facts.SetLevel{Detail: detail}}})
		if every != 0 {
			_ = s.control(&facts.Control{What: &facts.Control_Pace{Pace: &facts.SetPace{EveryMs: every.Milliseconds()}}})
		}
	}
}

func (s *session) control(c *facts.Control) error {
	b, err := facts.Encode(c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.w.Write(telemetry.KindControl, b)
	return err
}

// bucket is a token bucket of bytes.
type bucket struct {
	left int
	at   time.Time
}

func (b *bucket) take(n int, now time.Time) bool {
	if d := now.Sub(b.at); d > 0 {
		b.left = min(budgetBytes, b.left+int(min(d, time.Minute).Seconds()*budgetRefill))
		b.at = now
	}
	b.left -= n
	return b.left >= 0
}
