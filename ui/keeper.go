package ui

import (
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// Keeper keeps what is said of incidents. Its methods are called from commands; what they come to is in later snapshots.
type Keeper interface {
	// Mark says something of incidents, by their IDs; [fleet.Unmarked] takes it back. until is of a snooze. It gives of how many it was said.
	Mark(ids []string, kind fleet.MarkKind, until time.Time) int
	// Looked says that somebody has looked at what there is: it is not new any more.
	Looked()
	// Trouble says why what is said does not last; "" it does.
	Trouble() string
}

// markedMsg says that something was said of incidents.
type markedMsg struct {
	n       int
	words   string
	trouble string
}

// lookedMsg says that it was told that somebody looked.
type lookedMsg struct{ trouble string }

// tomorrowAt is the hour at which what is snoozed until tomorrow is told again.
const tomorrowAt = 8

// snoozes are how long an incident may be snoozed, in the order in which the key goes through them.
var snoozes = [...]struct {
	words string
	until func(at time.Time) time.Time
}{
	{"for 1 h", func(at time.Time) time.Time { return at.Add(time.Hour) }},
	{"for 4 h", func(at time.Time) time.Time { return at.Add(4 * time.Hour) }},
	{"until tomorrow, 08:00", func(at time.Time) time.Time {
		y, m, d := at.Date()
		return time.Date(y, m, d+1, tomorrowAt, 0, 0, 0, at.Location())
	}},
}

// mark says something of the tagged incidents, or of the one at hand; where that is said of all of them already, it is taken back.
func (m *Model) mark(kind fleet.MarkKind) tea.Cmd {
	list := m.chosenIncidents()
	if again := m.snoozedIncidents(); kind == fleet.Snoozed && len(again) > 0 {
		list = again // they may have been folded away
	}
	switch {
	case len(list) == 0:
		m.notice = "no incident is selected"
		return nil
	case m.opt.Keeper == nil:
		m.notice = "nothing can be said of what is not live: this is a recording"
		return nil
	}
	said := true
	ids := make([]string, len(list))
	for i, in := range list {
		ids[i], said = in.ID, said && in.Mark.Kind == kind
	}
	var until time.Time
	words := kind.String()
	switch {
	case kind == fleet.Snoozed:
		kind, until, words = m.nextSnooze(list, ids)
	case said:
		kind, words = fleet.Unmarked, "no longer "+words
	case kind == fleet.FalseAlarm:
		words += ": this rule asks for nobody any more on " + list[0].Root().Where() + " (X takes it back)"
		if len(list) > 1 {
			words = "false alarms: these rules ask for nobody any more where they were (X takes it back)"
		}
	}
	keeper := m.opt.Keeper
	m.findings.tagged, m.findings.rangeAt = nil, ""
	return func() tea.Msg { return markedMsg{keeper.Mark(ids, kind, until), words, keeper.Trouble()} }
}

// snoozed is how far the key has gone with some incidents. Any other key ends it.
type snoozed struct {
	ids  []string
	step int
}

// snoozedIncidents are those that the key was pressed on just before.
func (m *Model) snoozedIncidents() (list []*fleet.Incident) {
	for _, id := range m.findings.snooze.ids {
		if in := m.findings.byID[id]; in != nil {
			list = append(list, in)
		}
	}
	return list
}

// nextSnooze is the next time that the key offers: pressed again on the same incidents, the one after, and at last none.
func (m *Model) nextSnooze(list []*fleet.Incident, ids []string) (kind fleet.MarkKind, until time.Time, words string) {
	s := &m.findings.snooze
	if len(s.ids) == 0 {
		*s = snoozed{ids: ids}
		if len(list) == 1 && list[0].Mark.Kind == fleet.Snoozed { // by somebody, some time ago
			s.step = len(snoozes)
		}
	}
	if s.step >= len(snoozes) {
		*s = snoozed{}
		return fleet.Unmarked, until, "no longer snoozed"
	}
	z := snoozes[s.step]
	s.step++
	words = "snoozed " + z.words
	if s.step < len(snoozes) {
		words += "; z again: " + snoozes[s.step].words
	} else {
		words += "; z again: not at all"
	}
	return fleet.Snoozed, z.until(m.snap.At.In(m.opt.Location)), words
}

func (m *Model) marked(msg markedMsg) {
	switch {
	case msg.trouble != "":
		m.notice = msg.words + " · " + msg.trouble
	case msg.n == 0:
		m.notice = "it is over: nothing can be said of it any more"
	case msg.n > 1:
		m.notice = count(msg.n, "incident") + " " + msg.words
	default:
		m.notice = msg.words
	}
	m.findings.trouble = msg.trouble
}

// lookCmd tells that somebody has looked, once the findings are left.
func (m *Model) lookCmd() tea.Cmd {
	here := m.screen == screenFindings || m.screen == screenIncident || len(m.back) > 0 && (m.back[0] == screenFindings)
	was := m.findings.looking
	m.findings.looking = here
	if here || !was {
		return nil
	}
	return m.lookedCmd()
}

func (m *Model) lookedCmd() tea.Cmd {
	keeper := m.opt.Keeper
	if keeper == nil {
		return nil
	}
	return func() tea.Msg {
		keeper.Looked()
		return lookedMsg{keeper.Trouble()}
	}
}
