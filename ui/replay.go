package ui

import (
	"strconv"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// play is how a recording runs.
type play struct {
	on    bool
	speed int       // index in speeds
	beats bool      // a beat is on its way
	last  time.Time // when the last one came; zero: none since it began to run
	idle  int       // beats since a key was pressed
}

// speeds are how many times faster than it was a recording can run.
var speeds = [...]int{1, 2, 5, 10, 30, 60, 300}

// beatEvery is how often the picture of a recording that runs changes: twice as often as nodes tell.
const beatEvery = 500 * time.Millisecond

// beatMost bounds what is taken for the time between two beats: a laptop that was asleep did not watch.
const beatMost = 5 * time.Second

// calmBeats is for how many beats nobody must have touched the keyboard before rows may change places while a recording runs, and orderBeats how often they then may:
// both as long as on a live screen, however fast it runs.
const (
	calmBeats  = int(resortAfter / beatEvery)
	orderBeats = int(resortEvery / beatEvery)
)

// readEvery is how often is looked anew at a recording, be it stopped: it may be growing, and what was is ever longer ago.
const readEvery = 10 * time.Second

// readMsg says that it is time to look.
type readMsg struct{}

// readCmd waits until a recording is to be looked at anew.
func (m *Model) readCmd() tea.Cmd {
	t := &m.travel
	if !m.opt.Replay || !t.told || t.reads {
		return nil
	}
	t.reads = true
	return m.ticks(readEvery, func(time.Time) tea.Msg { return readMsg{} })
}

// beatMsg comes every beatEvery while a recording runs; it is when it came.
type beatMsg time.Time

func (m *Model) speed() int { return speeds[m.travel.play.speed] }

// openRecording shows the end of a recording: what went wrong is known there, with all that it led to, and the findings are one key away.
func (m *Model) openRecording() {
	k := &m.travel.kept
	if !k.ok {
		m.notice = m.nothingKept()
		return
	}
	m.notice = "the recording's end: { goes to the finding before, Z plays from the beginning"
	switch at := m.moment(); {
	case at.IsZero():
		words := m.notice
		m.goTo(k.to, true)
		m.notice = words
	case k.to.Sub(at) > time.Second:
		m.notice = "what comes after " + m.momentWords(at) + " cannot be read: { goes to the finding before, Z plays from the beginning"
	}
}

// firstMoment shows the picture that a recording's source has: its end, or the last before that which can be read. It may have none.
func (m *Model) firstMoment(s *fleet.Snapshot) {
	m.travel.begun = true
	if s == nil || m.snap != nil {
		return
	}
	m.latest = s
	m.show(s)
	m.travel.at = s.At
}

// togglePlay has a recording run, or stop. At its end it begins anew.
func (m *Model) togglePlay() {
	t := &m.travel
	k := &t.kept
	switch {
	case t.play.on:
		t.play.on = false
		return
	case !t.told:
		m.notice = "the recording is being read"
		return
	case !k.ok:
		m.notice = m.nothingKept()
		return
	case !m.heading().Before(k.to):
		m.goTo(k.from, true)
		m.notice = ""
	}
	t.play.on, t.play.last = true, time.Time{}
}

// faster changes how fast a recording runs.
func (m *Model) faster(d int) {
	if !m.opt.Replay {
		m.notice = "a recording can be played faster or slower: foretop replay FILE"
		return
	}
	p := &m.travel.play
	p.speed = max(0, min(p.speed+d, len(speeds)-1))
	m.notice = "played " + strconv.Itoa(m.speed()) + " times as fast as it was"
	if m.speed() == 1 {
		m.notice = "played as fast as it was"
	}
	if !p.on {
		m.notice += ": Z plays"
	}
}

func (m *Model) beatCmd() tea.Cmd {
	p := &m.travel.play
	if !p.on || p.beats {
		return nil
	}
	p.beats = true
	return m.ticks(beatEvery, func(t time.Time) tea.Msg { return beatMsg(t) })
}

// beat goes on by the time that passed. A picture that takes longer than a beat is waited for; then the one of that moment is asked for, so that time is kept.
func (m *Model) beat(now time.Time) {
	t := &m.travel
	p := &t.play
	p.beats = false
	if !p.on || !t.kept.ok {
		return
	}
	passed := beatEvery
	if !p.last.IsZero() {
		passed = max(0, min(now.Sub(p.last), beatMost))
	}
	p.last = now
	p.idle++
	to := m.heading().Add(passed * time.Duration(m.speed()))
	if to.After(t.kept.to) {
		to = t.kept.to
	}
	t.want = to
}

// announce tells of what began since a moment, as a recording runs past it: of several the worst, of these the latest.
func (m *Model) announce(since time.Time) {
	t := &m.travel
	found := -1
	for i := range t.kept.marks {
		p := &t.kept.marks[i]
		if p.At.After(since) && !p.At.After(t.at) && (found < 0 || p.Severity >= t.kept.marks[found].Severity) {
			found = i
		}
	}
	if found >= 0 && !since.IsZero() {
		m.notice = m.markWords(&t.kept, found)
	}
}

// played stops at the end of a recording.
func (m *Model) played() {
	t := &m.travel
	if t.play.on && t.want.IsZero() && !t.at.Before(t.kept.to) {
		t.play.on = false
		m.notice = "the recording ends here: Z plays it again from the beginning"
	}
}

// calm lets rows change places only so often.
func (m *Model) calm() {
	if p := &m.travel.play; p.on && p.idle >= calmBeats && p.idle%orderBeats == 0 {
		m.touched = time.Time{}
	} else {
		m.touched = m.latest.At
	}
}
