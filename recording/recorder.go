package recording

import (
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry"
)

// How a recording is cut. A moment is found by reading its segment from the start, so that a segment's length is what a seek costs; a block is what a crash loses at most.
const (
	segmentLength = 20 * time.Second
	blockLength   = 10 * time.Second
	blockMost     = 32 << 20 // bytes, not compressed: a block is closed before it is longer
	judgeEvery    = 900 * time.Millisecond
)

// Options say what becomes of what is recorded.
type Options struct {
	// Keep is for how long it is kept in memory, and Budget how many bytes of it at most; 0: DefaultKeep, DefaultBudget.
	Keep   time.Duration
	Budget int64
	// Nodes is about how many nodes there are, for words.
	Nodes int
	// Write takes each block as it is closed, in order; nil: nobody does. It must not block.
	Write func(Block)
	// Found is told what was found as it begins; nil: nobody is.
	Found func(Mark)
}

// DefaultKeep and DefaultBudget are what a black box keeps: a quarter of an hour of 1,000 nodes takes about DefaultBudget.
const (
	DefaultKeep   = 15 * time.Minute
	DefaultBudget = 160 << 20
)

// Block is one closed piece of a recording, as it is stored.
type Block struct{ b *block }

// Recorder takes in what a fleet does: it is the fleet's [fleet.Tap]. Its methods may be called from any goroutine.
type Recorder struct {
	opt     Options
	lengths [2]time.Duration // of segments and blocks
	sealing sync.Mutex       // one closes blocks at a time; taken before mu

	mu    sync.Mutex
	nodes map[string]*recorded
	next  uint64
	cur   *segment
	segs  []*segment // the last is cur
	bytes int64
	now   time.Time // of the latest snapshot
	x     scratch
	lost  int // records too large to keep
	// crowded: the budget decides what is kept.
	crowded bool

	pictures []*schedulers.Picture
	logs     map[string]*fleet.LogTail
	judged   time.Time
	verdicts map[string]verdict
	// incidents are those that were recorded last.
	incidents shownIncidents
	marks     marks
	users     []string // as they were last counted, and when
	counted   time.Time
}

// recorded is one node of a recording.
type recorded struct {
	index    uint64
	listed   bool
	seg      *segment // that its records go to
	track    track
	problems []fleet.Problem
}

// segment is a keyframe and what follows it. blocks are those that are closed.
type segment struct {
	from   int64 // from when on it can be opened, µs
	blocks []*block
	bytes  int64

	s          *streams // open
	kind       byte     // that the open block will be of
	first, end int64    // of its records, µs
}

// New returns a recorder, to be given to a fleet as its tap from its beginning on.
func New(opt Options) *Recorder {
	if opt.Keep == 0 {
		opt.Keep = DefaultKeep
	}
	if opt.Budget == 0 {
		opt.Budget = DefaultBudget
	}
	return &Recorder{opt: opt, lengths: [2]time.Duration{segmentLength, blockLength}, nodes: map[string]*recorded{}, logs: map[string]*fleet.LogTail{}, verdicts: map[string]verdict{}}
}

func newSegment(from int64) *segment {
	return &segment{from: from, s: newStreams(from), kind: blockKey, first: from, end: from}
}

// record begins a record in a segment.
func (g *segment) record(kind byte, node uint64, us int64) *streams {
	if g.s.records == 0 {
		g.s.first, g.s.last, g.first, g.end = us, us, us, us
	}
	g.first, g.end = min(g.first, us), max(g.end, us)
	g.s.record(kind, node, us)
	return g.s
}

// here is the segment that new things go to; the first one begins with nothing.
func (r *Recorder) here(us int64) *segment {
	if r.cur == nil {
		r.cur = newSegment(us)
		r.segs = append(r.segs, r.cur)
		r.cur.record(recKeyed|keyBit, 0, us)
	}
	return r.cur
}

// Joined is told of a node that is watched from now on.
func (r *Recorder) Joined(name string, listed bool, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	us := micros(at)
	n := &recorded{index: r.next, listed: listed, seg: r.here(us)}
	if r.nodes[name] != nil || r.next >= maxTracks-1 {
		return
	}
	r.next++
	r.nodes[name] = n
	r.json(n.seg, recJoined, n.index, us, joining{name, listed})
}

// Left is told of a node that is not watched any more.
func (r *Recorder) Left(name string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.nodes[name]; n != nil {
		n.seg.record(recLeft, n.index, micros(at))
		delete(r.nodes, name)
	}
}

// Status is told how a node is reached.
func (r *Recorder) Status(name string, s *fleet.Status, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.nodes[name]; n != nil {
		r.json(n.seg, recStatus, n.index, micros(at), s)
	}
}

// Level is told how closely a node is looked at.
func (r *Recorder) Level(name string, detail bool, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.nodes[name]; n != nil {
		b := []byte{0}
		if detail {
			b[0] = 1
		}
		n.seg.record(recLevel, n.index, micros(at)).word(b)
	}
}

// Sample is told a node's sample.
func (r *Recorder) Sample(name string, d *telemetry.Decoder, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.nodes[name]; n != nil {
		n.track.write(n.seg.record(recSample, n.index, micros(at)), &r.x, d)
	}
}

// Frame is told any other frame of a node.
func (r *Recorder) Frame(name string, kind telemetry.Kind, payload []byte, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.nodes[name]; n != nil {
		if kind == telemetry.KindHello { // a new stream: its samples hang on nothing before
			n.track.known = false
		}
		s := n.seg.record(recFrame, n.index, micros(at))
		s.word([]byte{byte(kind)})
		s.word(payload)
	}
}

// Scheduled is told what a scheduler says. What it only says again is not kept again.
func (r *Recorder) Scheduled(p *schedulers.Picture, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	us := micros(at)
	i := slices.IndexFunc(r.pictures, func(o *schedulers.Picture) bool { return o.Kind == p.Kind && o.Cluster == p.Cluster })
	if i < 0 {
		r.pictures = append(r.pictures, p)
		r.json(r.here(us), recPicture, 0, us, p)
		return
	}
	was := r.pictures[i]
	r.pictures[i] = p
	if now := *p; reflect.DeepEqual(was.Nodes, p.Nodes) && reflect.DeepEqual(was.Jobs, p.Jobs) {
		now.Nodes, now.Jobs = nil, nil
		s := r.here(us)
		r.json(s, recPicture, 0, us, picture{&now, true})
		return
	}
	r.json(r.here(us), recPicture, 0, us, p)
}

// picture is a scheduler's words; Same: its nodes and jobs are those of the last one of its kind and cluster.
type picture struct {
	*schedulers.Picture
	Same bool
}

// maxLogLines is how much of a log's end is recorded.
const maxLogLines = 60

// Logged is told the end of a job's log.
func (r *Recorder) Logged(job string, l *fleet.LogTail, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	short := *l
	cut := max(0, len(short.Lines)-maxLogLines)
	short.Lines = short.Lines[cut:]
	short.Numbers = slices.Clone(short.Numbers)
	for i := range short.Numbers {
		short.Numbers[i].Line = max(0, short.Numbers[i].Line-cut)
	}
	us := micros(at)
	r.logs[job] = &short
	r.json(r.here(us), recLog, 0, us, logged{job, &short})
}

// json writes a record whose words are JSON; one that is too large is left out and counted.
func (r *Recorder) json(g *segment, kind byte, node uint64, us int64, v any) {
	b, err := json.Marshal(v)
	if err != nil || len(b) > maxWordBytes {
		r.lost++
		return
	}
	g.record(kind, node, us).word(b)
}

// Published is told each snapshot. It closes blocks, and begins segments, when they are due.
func (r *Recorder) Published(s *fleet.Snapshot, joined fleet.Join, keep fleet.Keep) {
	r.sealing.Lock()
	defer r.sealing.Unlock()
	found := r.judge(s, joined)
	us := micros(s.At)
	r.mu.Lock()
	cur := r.here(us)
	back := us < cur.from-(2*time.Second).Microseconds()
	if back { // the clock was set back: what was before never was
		for _, g := range r.segs[:len(r.segs)-1] {
			r.bytes -= g.bytes
		}
		r.segs = r.segs[len(r.segs)-1:]
		cur.from = us
	}
	roll := back || us-cur.from >= r.lengths[0].Microseconds() || cur.bytes > r.opt.Budget/2
	full := us-cur.first >= r.lengths[1].Microseconds() || cur.s.size() > blockMost
	r.mu.Unlock()
	switch {
	case roll:
		r.roll(us, keep)
	case full:
		r.close(cur)
	}
	if r.opt.Found != nil {
		for _, m := range found {
			r.opt.Found(m)
		}
	}
}

// close closes a segment's open block, if there is anything in it. sealing is held.
func (r *Recorder) close(g *segment) {
	r.mu.Lock()
	s, kind, from, to := g.s, g.kind, g.first, g.end
	if s.records == 0 {
		r.mu.Unlock()
		return
	}
	g.s, g.kind = newStreams(to), blockData
	r.mu.Unlock()
	b := s.seal(kind, from, to)
	r.mu.Lock()
	g.blocks = append(g.blocks, b)
	g.bytes += int64(len(b.data))
	r.bytes += int64(len(b.data))
	r.evict()
	r.mu.Unlock()
	if r.opt.Write != nil {
		r.opt.Write(Block{b})
	}
}

// evict lets go of what is older than is kept, and of what is more.
func (r *Recorder) evict() {
	for len(r.segs) > 1 && r.segs[0] != r.cur {
		old := r.segs[1].from <= micros(r.now.Add(-r.opt.Keep))
		if !old && r.bytes <= r.opt.Budget {
			break
		}
		r.crowded = !old
		r.bytes -= r.segs[0].bytes
		r.segs = slices.Delete(r.segs, 0, 1)
	}
	if len(r.segs) > 0 {
		r.marks.forget(moment(r.segs[0].from))
	}
}

// Flush closes what is open: what was recorded so far can be read.
func (r *Recorder) Flush() {
	r.sealing.Lock()
	defer r.sealing.Unlock()
	r.mu.Lock()
	cur := r.cur
	r.mu.Unlock()
	if cur != nil {
		r.close(cur)
	}
}
