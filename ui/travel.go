package ui

import (
	"context"
	"errors"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// travel is where in time the screen is. Only the picture on screen is kept of what was: Past has the rest.
type travel struct {
	kept    kept
	begun   bool      // of a recording: the source's own picture is there, or it has none
	told    bool      // kept was told since the screen was paused
	askedAt time.Time // the latest picture's time when that was asked for
	asking  bool
	reads   bool     // a recording is looked at anew soon
	old     bool     // it is time to
	typed   []action // keys that wait until it is told
	line    string   // the moment that was typed, which waits for it too

	at     time.Time // the moment on screen; zero: the picture is the one that was the latest when the screen was paused
	want   time.Time // the moment that is to be shown next; zero: none
	jump   bool      // it is no step: rows are put in order for it
	flying bool      // a picture is on its way; there is never more than one
	trip   int       // a picture that was asked for on an earlier trip is not shown any more
	stop   context.CancelFunc

	play play
}

// kept is what there is of the past, as it was told last.
type kept struct {
	from, to time.Time
	words    string
	ok       bool // there is something
	marks    []PastMark
	now      time.Time // when it was told
}

// momentLimit is how long a picture of what was may take.
const momentLimit = 30 * time.Second

// keptEvery is how often is asked what there is, by the time of the pictures.
const keptEvery = time.Second

// typedMost bounds the keys that wait for the first answer.
const typedMost = 64

// errNothing is what is said of a moment of which no picture came.
var errNothing = errors.New("nothing is known of it")

// keptMsg tells what there is of the past.
type keptMsg struct{ kept kept }

// momentMsg is the fleet as it was, or why it cannot be shown.
type momentMsg struct {
	trip int
	at   time.Time
	snap *fleet.Snapshot
	err  error
	kept kept
}

// keptOf asks what there is. It is for commands.
func keptOf(past Past, now func() time.Time) kept {
	k := kept{marks: past.Marks(), now: now()}
	k.from, k.to, k.words, k.ok = past.Span()
	return k
}

// travels says that the past can be shown now: the screen is paused, or is a recording's.
func (m *Model) travels() bool { return m.opt.Past != nil && (m.paused || m.opt.Replay) }

// away says that another moment than the latest is shown.
func (m *Model) away() bool { return m.opt.Replay || m.paused && !m.travel.at.IsZero() }

// moment is the one on screen; zero before there is a picture.
func (m *Model) moment() time.Time {
	switch {
	case m.travels() && !m.travel.at.IsZero():
		return m.travel.at
	case m.snap != nil:
		return m.snap.At
	}
	return time.Time{}
}

// heading is the moment that is wanted, or is on screen: what further steps are reckoned from.
func (m *Model) heading() time.Time {
	if !m.travel.want.IsZero() {
		return m.travel.want
	}
	return m.moment()
}

// pastCmd does what travelling is waiting for: it asks what there is, for the picture that is wanted, and for the next beat of what is played.
func (m *Model) pastCmd() tea.Cmd {
	if !m.travels() {
		return nil
	}
	return tea.Batch(m.keptCmd(), m.momentCmd(), m.beatCmd(), m.readCmd())
}

func (m *Model) keptCmd() tea.Cmd {
	t := &m.travel
	at := time.Time{}
	if m.latest != nil {
		at = m.latest.At
	}
	due := !t.told || at.Sub(t.askedAt) >= keptEvery
	if m.opt.Replay {
		due = t.begun && (!t.told || t.old)
	}
	if t.asking || !due {
		return nil
	}
	t.asking, t.askedAt, t.old = true, at, false
	past, now := m.opt.Past, m.now
	return func() tea.Msg { return keptMsg{keptOf(past, now)} }
}

func (m *Model) momentCmd() tea.Cmd {
	t := &m.travel
	if t.want.IsZero() || t.flying {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), momentLimit)
	t.flying, t.stop = true, stop
	past, now, at, trip := m.opt.Past, m.now, t.want, t.trip
	return func() tea.Msg {
		defer stop()
		s, err := past.At(ctx, at)
		if s == nil && err == nil {
			err = errNothing
		}
		return momentMsg{trip, at, s, err, keptOf(past, now)}
	}
}

// takeKept takes over what there is, and does what keys asked for meanwhile.
func (m *Model) takeKept(k kept) {
	t := &m.travel
	t.asking = false
	if !m.travels() {
		return
	}
	first := !t.told
	t.kept, t.told = k, true
	typed, line := t.typed, t.line
	t.typed, t.line = nil, ""
	if first && m.opt.Replay {
		m.openRecording()
	}
	for _, do := range typed {
		m.travelKey(do)
	}
	if line != "" {
		m.goToTyped(line)
	}
}

// takeMoment shows the picture that came. Where it is an error the screen stays where it is.
func (m *Model) takeMoment(msg momentMsg) {
	t := &m.travel
	t.flying, t.stop = false, nil
	if msg.trip != t.trip {
		return
	}
	t.kept, t.told = msg.kept, true
	jump := t.jump
	if t.want.Equal(msg.at) {
		t.want, t.jump = time.Time{}, false
	}
	if msg.err != nil {
		t.play.on = false
		m.notice = m.momentWords(msg.at) + " cannot be shown: " + msg.err.Error()
		return
	}
	was := t.at
	t.at = msg.at
	m.showMoment(msg.snap, jump)
	if t.play.on && !jump {
		m.announce(was)
	}
	m.played()
}

// showMoment shows the fleet as it was. What is selected stays selected, and waits where it is not there at that moment; a jump puts rows in order.
func (m *Model) showMoment(s *fleet.Snapshot, jump bool) {
	if m.opt.Replay {
		m.latest = s
		m.calm()
	}
	gpu := ""
	if g := m.node.gpu(m.index.node(m.node.name)); g != nil {
		gpu = gpuIdentityOf(g)
	}
	lists := m.lists()
	for _, l := range lists {
		l.stay(jump)
	}
	m.node.stays = true
	m.show(s)
	if jump {
		m.rearrange()
	}
	for _, l := range lists {
		l.stays = false
	}
	if n := m.index.node(m.node.name); n != nil && gpu != "" { // its number may have been another
		for k := range n.GPUs {
			if g := &n.GPUs[(k+max(0, m.node.selected))%len(n.GPUs)]; gpuIdentityOf(g) == gpu {
				m.node.selected = g.Index
				break
			}
		}
	}
}

// pause freezes what is shown, while the fleet goes on behind it, or goes back to now. A recording is played, or stops.
func (m *Model) pause() {
	switch {
	case m.opt.Replay && m.opt.Past != nil:
		m.togglePlay()
	case !m.paused:
		m.freeze()
	default:
		m.backToNow()
	}
}

// freeze makes the screen stand still.
func (m *Model) freeze() {
	t := &m.travel
	m.paused = true
	t.told, t.askedAt, t.typed, t.line = false, time.Time{}, nil, ""
}

// backToNow shows the fleet as it is. A picture that is on its way is not waited for.
func (m *Model) backToNow() {
	t := &m.travel
	if t.stop != nil {
		t.stop()
	}
	gone := !t.at.IsZero()
	t.trip++
	t.at, t.want, t.jump, t.typed, t.line, t.kept = time.Time{}, time.Time{}, false, nil, "", kept{}
	m.paused = false
	if m.latest == nil {
		return
	}
	if gone {
		m.showMoment(m.latest, false)
	} else {
		m.show(m.latest)
	}
	m.node.stays = false
}

// travelKey does what a key asks for that goes to another moment.
func (m *Model) travelKey(do action) {
	t := &m.travel
	switch {
	case m.opt.Past == nil:
		m.notice = "no past is kept here: there is only the present"
		return
	case !m.paused && !m.opt.Replay:
		if m.latest == nil {
			return
		}
		if do == actStepOn || do == actTenOn || do == actMinuteOn || do == actNextMark {
			m.notice = "this is now: [ goes back in time"
			return
		}
		m.freeze()
	}
	if !t.told {
		if len(t.typed) < typedMost {
			t.typed = append(t.typed, do)
		}
		return
	}
	if d, ok := stepOf(do); ok {
		m.goTo(m.heading().Add(d), false)
		return
	}
	m.goToMark(do == actNextMark)
}

// stepOf is how far a key goes.
func stepOf(do action) (d time.Duration, ok bool) {
	switch do {
	case actStepBack:
		return -time.Second, true
	case actStepOn:
		return time.Second, true
	case actTenBack:
		return -10 * time.Second, true
	case actTenOn:
		return 10 * time.Second, true
	case actMinuteBack:
		return -time.Minute, true
	case actMinuteOn:
		return time.Minute, true
	}
	return 0, false
}

// goTo has a moment shown next, or the nearest that is kept. It says why where that is not where one wanted to go.
func (m *Model) goTo(at time.Time, jump bool) {
	t := &m.travel
	k := &t.kept
	from := m.heading()
	back := at.Before(from)
	switch {
	case !k.ok:
		m.notice = m.nothingKept()
		return
	case at.Before(k.from):
		at = k.from
		m.notice = "nothing is kept of what was before " + m.momentWords(k.from)
		if m.opt.Replay {
			m.notice = "the recording begins here"
		}
	case at.After(k.to):
		at = k.to
		m.notice = "nothing later is kept yet: Z goes back to now"
		if m.opt.Replay {
			m.notice = "the recording ends here"
		}
	}
	if !from.IsZero() && (at.Equal(from) || at.Before(from) != back) { // what is on screen lies outside of what is still kept
		return
	}
	t.want, t.jump = at, t.jump || jump
}

// nothingKept says that there is nothing to go to.
func (m *Model) nothingKept() string {
	if m.opt.Replay {
		return "the recording is empty"
	}
	return "nothing is kept yet: the past begins with the first pictures of the fleet"
}

// goToMark goes to the next finding, or to the one before.
func (m *Model) goToMark(next bool) {
	k := &m.travel.kept
	if !k.ok {
		m.notice = m.nothingKept()
		return
	}
	from := m.heading()
	to := markFrom(k, from, next)
	if to < 0 {
		m.notice = "no finding before " + m.momentWords(from) + " in what is kept"
		if next {
			m.notice = "no finding after " + m.momentWords(from) + " in what is kept"
		}
		return
	}
	m.goTo(k.marks[to].At, true)
	m.notice = m.markWords(k, to)
}

// markFrom is the finding that comes after a moment, or before it; -1: none. Of several that began together it is the worst.
func markFrom(k *kept, from time.Time, next bool) int {
	to := -1
	for i := range k.marks {
		p := &k.marks[i]
		if p.At.Before(k.from) || p.At.After(k.to) || next && !p.At.After(from) || !next && !p.At.Before(from) {
			continue
		}
		switch {
		case to < 0, next && p.At.Before(k.marks[to].At), !next && p.At.After(k.marks[to].At):
			to = i
		case p.At.Equal(k.marks[to].At) && p.Severity > k.marks[to].Severity:
			to = i
		}
	}
	return to
}
