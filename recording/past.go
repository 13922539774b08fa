package recording

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"foretop/fleet"
)

// Past is a recording to look into: a black box's, which goes on, or a file. Its methods may be called from any goroutine; At and History may take a while.
type Past struct {
	replay Replay
	spans  func(until int64) []span // segments in order; what was recorded until then is in them
	extent func() (from, to time.Time, kept string, ok bool)
	marks  func() []Mark
	live   *fleet.Fleet // whose own history is asked; nil: a recording's is made anew
	known  fleet.Unpacked

	mu     sync.Mutex
	player *player
	seen   []*fleet.Snapshot // the last few, for going back and forth

	past    sync.Mutex
	history *player
}

// How far a player goes on rather than being opened anew, and how many snapshots are kept.
const (
	goOn    = 40 * time.Second
	maxSeen = 4
)

// Span is from when to when there is something, and what is kept, in words.
func (p *Past) Span() (from, to time.Time, kept string, ok bool) { return p.extent() }

// Marks are the findings in it, oldest first.
func (p *Past) Marks() []Mark { return p.marks() }

// NothingError is a moment of which nothing is kept.
type NothingError struct{ At, From, To time.Time }

func (e *NothingError) Error() string {
	if e.From.IsZero() {
		return "nothing was recorded yet"
	}
	return fmt.Sprintf("nothing is kept of %s: it goes from %s to %s", e.At.Format(time.TimeOnly), e.From.Format(time.TimeOnly), e.To.Format(time.TimeOnly))
}

// At is the fleet as it was at a moment.
func (p *Past) At(ctx context.Context, at time.Time) (*fleet.Snapshot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	us := micros(at)
	for _, s := range p.seen {
		if micros(s.At) == us {
			return s, nil
		}
	}
	segs := p.spans(us)
	i := segmentOf(segs, us)
	if i < 0 {
		from, to, _, _ := p.extent()
		return nil, &NothingError{at, from, to}
	}
	if !p.player.goesOn(segs, us) {
		was := p.player
		p.player = newPlayer(&p.replay, &p.known, false)
		if was != nil {
			p.player.room = was.room
		}
		p.player.open(segs, i)
	}
	if err := p.player.tell(ctx, segs, us); err != nil {
		p.player = nil
		return nil, err
	}
	s := p.player.fleet.Publish()
	p.seen = append(p.seen[max(0, len(p.seen)-maxSeen+1):len(p.seen):len(p.seen)], s)
	return s, nil
}

// goesOn says that the player can go on to a moment sooner than a new one could, and finds its place in a list that may have changed.
func (p *player) goesOn(segs []span, us int64) bool {
	if p == nil || p.now > us || us-p.now > goOn.Microseconds() {
		return false
	}
	return p.locate(segs)
}

// locate finds the player's place in a list that may have changed.
func (p *player) locate(segs []span) bool {
	i := slices.IndexFunc(segs, func(s span) bool { return s.from == p.from })
	if i < 0 {
		return false
	}
	p.seg = i
	return true
}

// segmentOf is the last segment that can be opened at or before a moment; -1 for none.
func segmentOf(segs []span, us int64) int {
	return sort.Search(len(segs), func(i int) bool { return segs[i].from > us }) - 1
}

// A history is asked for so long at most; of a file it is kept, and asked of moments that lie back by so much, before it is made anew.
const (
	historyMost = time.Hour
	historyBack = 5 * time.Minute
)

// History is the past of one quantity as it was at a moment, oldest first, NaN where nothing is known.
func (p *Past) History(at time.Time, q fleet.Query) []float64 {
	if p.live != nil {
		return p.live.HistoryAt(at, q)
	}
	if q.Span <= 0 || q.Points <= 0 {
		return nil
	}
	p.past.Lock()
	defer p.past.Unlock()
	us := micros(at)
	begin := us - min(q.Span, historyMost).Microseconds()
	segs := p.spans(us)
	i := max(0, segmentOf(segs, begin))
	if len(segs) == 0 || segs[i].from > us {
		return nil
	}
	h := p.history
	if h == nil || h.opened > segs[i].from || us < h.now-historyBack.Microseconds() || us > h.now+historyMost.Microseconds() || !h.locate(segs) {
		p.closeHistory()
		h = newPlayer(&p.replay, &p.known, true)
		h.open(segs, i)
		p.history = h
	}
	if us > h.now {
		// What is damaged is missing, and is said by At.
		if err := h.tell(context.Background(), segs, us); err != nil {
			defer p.closeHistory()
		}
	}
	return h.fleet.HistoryAt(at, q)
}

func (p *Past) closeHistory() {
	if p.history != nil {
		p.history.fleet.Close()
		p.history = nil
	}
}

// Close gives memory back.
func (p *Past) Close() {
	p.past.Lock()
	defer p.past.Unlock()
	p.closeHistory()
}

// Past looks into what the recorder keeps in memory; the fleet that it records has the numbers' history.
func (r *Recorder) Past(live *fleet.Fleet, replay Replay) *Past {
	return &Past{replay: replay, live: live, spans: r.spans, extent: r.extent, marks: r.Marks}
}

// Marks are the findings that began in what is kept.
func (r *Recorder) Marks() []Mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.marks.list)
}

// spans are the segments that are kept. What is still open is closed where it is asked for.
func (r *Recorder) spans(until int64) []span {
	r.mu.Lock()
	open := r.cur != nil && r.cur.s.records > 0 && r.cur.first <= until
	r.mu.Unlock()
	if open {
		r.Flush()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]span, 0, len(r.segs))
	for _, g := range r.segs {
		if len(g.blocks) == 0 {
			continue
		}
		s := span{from: g.from, blocks: make([]stored, len(g.blocks))}
		for i, b := range g.blocks {
			s.blocks[i] = stored{head: b.head, data: b.data}
		}
		out = append(out, s)
	}
	return out
}

func (r *Recorder) extent() (from, to time.Time, kept string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.segs) == 0 || r.now.IsZero() {
		return time.Time{}, time.Time{}, "", false
	}
	from, to = moment(r.segs[0].from), r.now
	return from, to, keptWords(r.opt.Keep, to.Sub(from), len(r.nodes), r.opt.Budget, r.crowded), true
}

// keptWords says how much is kept, of which rate, and why it is no more.
func keptWords(most, is time.Duration, nodes int, budget int64, crowded bool) string {
	rate := "at full rate"
	if every := fleet.Sparing(nodes); every > 0 { // of nodes that nobody looks at
		rate = fmt.Sprintf("at a sample each %d s", every/time.Second)
	}
	if crowded {
		return fmt.Sprintf("%s %s: of %d nodes no more fits in %d MiB", words(is), rate, nodes, budget>>20)
	}
	return "up to " + words(most) + " " + rate
}

// words is a time as a person would say it.
func words(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 10*time.Minute && d%time.Minute != 0:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}
