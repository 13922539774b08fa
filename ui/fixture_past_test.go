package ui

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// tablePast is a past of a few pictures, each of which holds until the next.
type tablePast struct {
	mu       sync.Mutex
	pictures []*fleet.Snapshot // by their times
	from, to time.Time
	kept     string
	marks    []PastMark

	fails   error // what At says
	asked   []time.Time
	inside  int // calls of At under way
	most    int // the most there were
	curves  []time.Time
	hold    chan struct{} // At waits until it is closed; nil: it does not
	stopped int           // calls that their context ended
}

func (p *tablePast) Span() (from, to time.Time, kept string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.from, p.to, p.kept, !p.to.IsZero()
}

func (p *tablePast) Marks() []PastMark { return slices.Clone(p.marks) }

func (p *tablePast) At(ctx context.Context, at time.Time) (*fleet.Snapshot, error) {
	p.mu.Lock()
	p.asked = append(p.asked, at)
	p.inside++
	p.most = max(p.most, p.inside)
	hold, fails := p.hold, p.fails
	p.mu.Unlock()
	defer func() { p.mu.Lock(); p.inside--; p.mu.Unlock() }()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			p.mu.Lock()
			p.stopped++
			p.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	if fails != nil {
		return nil, fails
	}
	var found *fleet.Snapshot
	for _, s := range p.pictures {
		if !s.At.After(at) {
			found = s
		}
	}
	if found == nil {
		return nil, fmt.Errorf("nothing at %s", at.Format(time.TimeOnly))
	}
	s := *found
	s.At = at
	return &s, nil
}

// History is as high as the moment is old, in minutes.
func (p *tablePast) History(at time.Time, q fleet.Query) []float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.curves = append(p.curves, at)
	out := make([]float64, q.Points)
	for i := range out {
		out[i] = 20 + 10*noon.Sub(at).Minutes() + 5*math.Sin(float64(i)/20)
	}
	return out
}

// night is made once: it takes a while.
var night = sync.OnceValue(makeNight)

// nightPast is the night's past, with lists of its own.
func nightPast() *tablePast {
	n := night()
	p := &tablePast{from: n.from, to: n.to, kept: n.kept, marks: slices.Clone(n.marks)}
	for _, s := range n.pictures {
		c := *s
		c.Nodes, c.Jobs = slices.Clone(s.Nodes), slices.Clone(s.Jobs)
		p.pictures = append(p.pictures, &c)
	}
	return p
}

// nightNow is the picture at its end.
var nightNow = sync.OnceValue(func() *fleet.Snapshot { return give(hang()) })

// makeNight is fifteen minutes that lead to the night of hang: quiet at first, then without a job that began later and without a node, then with trouble.
func makeNight() *tablePast {
	quiet := healthy()
	quiet.At = noon.Add(-15 * time.Minute)
	before := without(healthy(), "slurm/8131", "gpu064")
	before.At = noon.Add(-10 * time.Minute)
	then := healthy()
	then.At = noon.Add(-7 * time.Minute)
	bad := hang()
	bad.At = noon.Add(-41 * time.Second)
	for _, s := range []*fleet.Snapshot{quiet, before, then, bad} {
		give(s)
	}
	return &tablePast{pictures: []*fleet.Snapshot{quiet, before, then, bad}, from: noon.Add(-15 * time.Minute), to: noon, kept: "15 min at full rate",
		marks: []PastMark{
			{noon.Add(-12 * time.Minute), fleet.Notice, "job 8127: 7 of 8 GPUs idle"},
			{noon.Add(-3 * time.Minute), fleet.Warning, "gpu041 GPU3 throttled by heat"},
			{noon.Add(-3 * time.Minute), fleet.Critical, "gpu052 lost: no route to host"},
			{noon.Add(-41 * time.Second), fleet.Critical, "gpu017 Xid 79 GPU3: fell off the bus"},
		}}
}

// without is a picture that lacks a job and a node.
func without(s *fleet.Snapshot, job, node string) *fleet.Snapshot {
	s.Jobs = slices.DeleteFunc(s.Jobs, func(j *fleet.Job) bool { return j.Key == job })
	s.Nodes = slices.DeleteFunc(s.Nodes, func(n *fleet.Node) bool { return n.Name == node })
	s.Totals.Jobs, s.Totals.Nodes = len(s.Jobs), len(s.Nodes)
	s.Totals.ByState[fleet.Live] = len(s.Nodes)
	return s
}

var errBroken = errors.New("the segment is torn")

// traveller is a driver of a screen that has a past. Beats of what is played come by hand.
func traveller(past Past, w, h int, opt Options) *driver {
	opt.Past = past
	return drive(nightNow(), w, h, opt)
}

// give gives each GPU a name of its own, the same in all pictures.
func give(s *fleet.Snapshot) *fleet.Snapshot {
	for _, n := range s.Nodes {
		for i := range n.GPUs {
			info := *n.GPUs[i].Info
			info.Uuid = fmt.Sprintf("GPU-%s-%d", n.Name, i)
			n.GPUs[i].Info = &info
		}
	}
	return s
}

// runOn lets a recording run on by a while.
func (d *driver) runOn(passed time.Duration) {
	t := &d.Model.travel
	last := t.play.last
	if last.IsZero() {
		last = noon
	}
	d.send(beatMsg(last.Add(passed)))
}

// hold presses keys and gives the commands that this set off, to be run later.
func (d *driver) hold(keys ...string) (left []tea.Cmd) {
	for _, k := range keys {
		_, cmd := d.Update(keyMsg(k))
		d.View()
		left = append(left, cmd)
	}
	return left
}
