package recording

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry"
)

// stored is where one closed block is: in memory, or in a file.
type stored struct {
	head
	data []byte // in memory; else
	file *File
	at   int64
}

// load gives the block's bytes, header and all.
func (b *stored) load() ([]byte, error) {
	if b.data != nil {
		return b.data, nil
	}
	return b.file.read(b.at, blockHeader+b.length)
}

// span is one segment: from when on it can be opened (µs), and its blocks.
type span struct {
	from   int64
	blocks []stored
}

// player tells a recording to a fleet of its own, from a segment's start on.
type player struct {
	fleet *fleet.Fleet
	known *fleet.Unpacked
	clock atomic.Int64 // µs

	seg, block int   // that is read next
	from       int64 // of that segment: tells where it is when the list has changed
	opened     int64 // of the segment that it was opened at
	src        *source
	room       []byte // of src
	now        int64  // up to when all was told
	keying     bool   // in a keyframe that is passed over: the fleet goes on from the segment before
	rebuilding bool   // in the keyframe that it was opened at
	book       *fleet.KeptBook
	restoring  restoring
	applying   applying
	joined     int64 // when jobs were last joined with schedulers' words, where that was not told yet; 0: it was

	tracks   map[uint64]*told
	problems map[string][]fleet.Problem
	verdicts map[string]verdict
	// incidents are those of now.
	incidents shownIncidents
	pictures  []*schedulers.Picture
	history   bool // of the numbers only their past is wanted, and nothing else
}

// told is one node that a player tells.
type told struct {
	name  string
	track track
	hand  int // which of those that apply samples has it
}

// Replay is how a recording is told again.
type Replay struct {
	Rules   fleet.Rules // of these only Kernel is used: findings are as they were
	Idle    time.Duration
	Layouts []fleet.LayoutRule
	Fold    func([]string) string
}

func newPlayer(r *Replay, known *fleet.Unpacked, history bool) *player {
	p := &player{known: known, tracks: map[uint64]*told{}, problems: map[string][]fleet.Problem{}, verdicts: map[string]verdict{}, incidents: shownIncidents{byID: map[string]fleet.Incident{}}, history: history}
	p.fleet = fleet.New(fleet.Options{
		Now: func() time.Time { return moment(p.clock.Load()) }, Replay: true, Unpacked: known, NoHistory: !history, IdleAfter: r.Idle, Layouts: r.Layouts, Fold: r.Fold,
		Rules: fleet.Rules{Kernel: r.Rules.Kernel, Node: p.judgeNode, Job: p.judgeJob,
			Incidents: func(*fleet.Snapshot, []fleet.Incident) []fleet.Incident { return p.incidents.list() }},
	})
	return p
}

// judgeNode says what was said of a node.
func (p *player) judgeNode(n *fleet.Node, _ time.Time, _ *fleet.Memory) []fleet.Problem {
	list := slices.Clone(p.problems[n.Name])
	for i := range list {
		f := &list[i]
		if f.GPU < -1 || f.GPU >= len(n.GPUs) {
			f.GPU = -1
		}
		if f.Port < -1 || f.Port >= len(n.Ports) {
			f.Port = -1
		}
		f.Severity = min(f.Severity, fleet.Critical)
	}
	return list
}

// judgeJob says what was said of a job.
func (p *player) judgeJob(j *fleet.Job, _ func(string) *fleet.Node, _ time.Time, _ *fleet.Memory) fleet.Verdict {
	v, ok := p.verdicts[j.Key]
	if !ok {
		return fleet.Verdict{State: j.State, Text: j.StateText}
	}
	j.Findings, j.Unchecked, j.RAS = v.Findings, v.Unchecked, v.RAS.Bounded()
	return fleet.Verdict{State: min(v.State, fleet.JobUnseen), Severity: min(v.Severity, fleet.Critical), Text: v.Text}
}

// open places the player at a segment's start.
func (p *player) open(segs []span, i int) {
	p.seg, p.block, p.from, p.opened, p.src, p.rebuilding = i, 0, segs[i].from, segs[i].from, nil, true
	p.now = segs[i].from
	p.clock.Store(p.now)
}

// tell goes on until a moment: all that was recorded until then was told.
func (p *player) tell(ctx context.Context, segs []span, until int64) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.src == nil {
			ok, err := p.load(segs, until)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
		}
		more, err := p.run(until)
		if err != nil {
			return err
		}
		if more {
			break
		}
		p.src = nil
		p.block++
	}
	if err := p.apply(); err != nil {
		return err
	}
	if p.joined != 0 && !p.history {
		p.clock.Store(p.joined)
		p.joined = 0
		p.fleet.Assemble()
	}
	p.now = max(p.now, until)
	p.clock.Store(p.now)
	return nil
}

// load opens the next block; false: there is none, or it is all later.
func (p *player) load(segs []span, until int64) (bool, error) {
	for p.seg < len(segs) && p.block >= len(segs[p.seg].blocks) {
		if p.seg+1 >= len(segs) {
			return false, nil
		}
		p.seg, p.block = p.seg+1, 0
		p.from = segs[p.seg].from
	}
	if p.seg >= len(segs) {
		return false, nil
	}
	b := &segs[p.seg].blocks[p.block]
	if b.from > until {
		return false, nil
	}
	data, err := b.load()
	if err != nil {
		return false, err
	}
	if p.src, err = open(b.head, data, &p.room); err != nil {
		return false, err
	}
	p.keying = b.kind == blockKey && !p.rebuilding
	return true, nil
}

// run tells the block that is open; more: some of it is later.
func (p *player) run(until int64) (more bool, err error) {
	for {
		us, ok := p.src.peek()
		if ok && us > until && !p.rebuilding {
			return true, nil
		}
		kind, index, us, ok, err := p.src.next()
		if err != nil || !ok {
			if e := p.restoring.wait(); err == nil {
				err = e
			}
			return false, err
		}
		if us < 0 || us > maxMicros {
			return false, damaged("a record of no time")
		}
		if kind != recNode|keyBit {
			if err := p.restoring.wait(); err != nil {
				return false, err
			}
		}
		if kind != recSample && !p.passes(kind) {
			if err := p.apply(); err != nil {
				return false, err
			}
		}
		p.clock.Store(us)
		if err := p.record(kind, index, us); err != nil {
			return false, err
		}
	}
}

// passes says that a record does nothing to nodes: samples before it may wait.
func (p *player) passes(kind byte) bool {
	if p.history {
		return !ofNode(kind)
	}
	switch kind {
	case recPicture, recLog, recJob, recIncident, recOrder, recJoin:
		return true
	}
	return false
}

// record tells one record.
func (p *player) record(kind byte, index uint64, us int64) error {
	if ofNode(kind) {
		return p.ofNode(kind, index, us)
	}
	if kind == recKeyed|keyBit {
		p.rebuilding, p.keying = false, false
		return nil
	}
	skip := kind&keyBit != 0 && p.keying || p.history
	kind &^= keyBit
	if kind == recAssemble {
		if p.book != nil {
			p.fleet.RestoreBook(p.book)
			p.book = nil
		}
		if !skip {
			p.joined = 0
			p.fleet.Assemble()
		}
		return nil
	}
	if kind == recJoin {
		p.joined = us
		return nil
	}
	b, err := p.src.word()
	if err != nil || skip {
		return err
	}
	switch kind {
	case recPicture:
		return p.picture(b)
	case recLog:
		var l logged
		if err := decode(b, &l); err != nil {
			return err
		}
		if l.Tail != nil {
			p.fleet.SetLog(l.Job, l.Tail)
		}
	case recJob:
		var v verdict
		if err := decode(b, &v); err != nil {
			return err
		}
		if v.Gone {
			delete(p.verdicts, v.Key)
		} else if len(p.verdicts) < schedulers.MaxJobs {
			p.verdicts[v.Key] = v
		}
	case recIncident:
		var one incident
		if err := decode(b, &one); err != nil {
			return err
		}
		p.incidents.heard(one)
	case recOrder:
		var order []string
		if err := decode(b, &order); err != nil {
			return err
		}
		p.incidents.order = order[:min(len(order), maxIncidents)]
	case recSpent:
		var spent map[string]fleet.KeptSpent
		if err := decode(b, &spent); err != nil {
			return err
		}
		p.fleet.RestoreSpent(spent, p.fleet.Now())
	case recBook:
		p.book = new(fleet.KeptBook)
		return decode(b, p.book)
	}
	return nil
}

func (p *player) picture(b []byte) error {
	var is picture
	if err := decode(b, &is); err != nil {
		return err
	}
	now := is.Picture
	if now == nil || len(now.Nodes) > schedulers.MaxNodes || len(now.Jobs) > schedulers.MaxJobs {
		return damaged("a scheduler's words")
	}
	i := slices.IndexFunc(p.pictures, func(o *schedulers.Picture) bool { return o.Kind == now.Kind && o.Cluster == now.Cluster })
	if i < 0 {
		if len(p.pictures) >= 64 {
			return damaged("more than 64 schedulers")
		}
		p.pictures, i = append(p.pictures, now), len(p.pictures)
	} else if is.Same {
		now.Nodes, now.Jobs = p.pictures[i].Nodes, p.pictures[i].Jobs
	}
	p.pictures[i] = now
	p.fleet.Scheduled(now)
	return nil
}

// ofNode tells a record of one node. Of a node that is not known it is passed over, as far as it can be.
func (p *player) ofNode(kind byte, index uint64, us int64) error {
	if kind == recNode|keyBit {
		return p.keyframe(index)
	}
	n, s := p.tracks[index], p.src
	key := kind&keyBit != 0
	kind &^= keyBit
	var b []byte
	var err error
	switch kind {
	case recSample:
		if n == nil {
			return damaged("a sample of nobody")
		}
		sample, err := n.track.read(s)
		if err != nil {
			return err
		}
		return p.sample(n, sample, us)
	case recLeft:
		if n != nil {
			p.fleet.Remove(n.name)
			delete(p.problems, n.name)
			delete(p.tracks, index)
		}
		return nil
	default:
		if b, err = s.word(); err != nil {
			return err
		}
	}
	switch {
	case kind == recJoined:
		var j joining
		if err := decode(b, &j); err != nil {
			return err
		}
		p.tracks[index] = &told{name: j.Name, hand: int(index)}
		p.join(j.Name, j.Listed)
	case kind == recFrame:
		payload, err := s.word()
		if err != nil || n == nil || len(b) != 1 || len(payload) > telemetry.MaxFrameBytes || p.history && b[0] > byte(telemetry.KindSample) {
			return broken(err)
		}
		_, err = p.fleet.Apply(n.name, telemetry.Kind(b[0]), payload, moment(us))
		return broken(err)
	case n == nil || p.history:
	case kind == recStatus:
		var st fleet.Status
		if err := decode(b, &st); err != nil {
			return err
		}
		st.State = min(st.State, fleet.Misbehaving)
		if st.HostKey != nil {
			st.HostKey.Verdict = min(st.HostKey.Verdict, fleet.KeyInvalid)
		}
		p.fleet.SetStatus(n.name, st)
	case kind == recLevel:
		p.fleet.SetLevel(n.name, len(b) == 1 && b[0] == 1)
	case kind == recProblems:
		var list []fleet.Problem
		if err := decode(b, &list); err != nil {
			return err
		}
		if p.problems[n.name] = list; !key {
			p.fleet.Judge(n.name)
		}
	}
	return nil
}

func (p *player) join(name string, listed bool) {
	if listed {
		p.fleet.AddListed(name)
	} else {
		p.fleet.Add(name)
	}
}
