package ui

import (
	"strings"
	"time"

	"foretop/actions"

	tea "charm.land/bubbletea/v2"
)

// stacksScreen shows where a job's ranks are: equal stacks once, the odd ranks first.
type stacksScreen struct {
	job     string // its key
	id      string // as a person knows it
	asked   int
	at      time.Time // the snapshot's time when it was asked
	pending bool
	summary string
	lines   []span
	top     int
	seen    int
}

// stacksMsg is the answer.
type stacksMsg struct {
	job    string
	at     time.Time
	stacks []actions.Stack
}

// stacks asks for the stacks of all ranks of the job; of a node, of its processes.
func (m *Model) stacks() tea.Cmd {
	if m.opt.Actor == nil {
		m.notice = "nobody can be asked from here"
		return nil
	}
	if why := m.opt.Actor.Refusal(); why != "" {
		m.notice = why
		return nil
	}
	j := m.jobInPlace()
	if j == nil {
		m.notice = "no job is selected"
		return nil
	}
	if len(j.Ranks) == 0 {
		m.notice = "no rank of job " + j.ID + " is seen"
		return nil
	}
	processes := make([]actions.Process, len(j.Ranks))
	for i := range j.Ranks {
		r := &j.Ranks[i]
		processes[i] = actions.Process{Node: r.Node, PID: r.PID, StartTicks: r.StartTicks, Rank: r.Rank, User: j.User}
	}
	m.stack = stacksScreen{job: j.Key, id: j.ID, asked: len(processes), at: m.snap.At, pending: true}
	if m.screen != screenStacks {
		m.push(screenStacks)
	}
	actor, key, at := m.opt.Actor, j.Key, m.snap.At
	return func() tea.Msg { return stacksMsg{key, at, actor.Stacks(processes, false)} }
}

// takeStacks takes over the answer to the last question.
func (m *Model) takeStacks(msg stacksMsg) {
	s := &m.stack
	if msg.job != s.job || !msg.at.Equal(s.at) {
		return
	}
	s.pending, s.summary, s.lines = false, actions.StackSummary(msg.stacks), nil
	add := func(st style, words string) { s.lines = append(s.lines, span{words, st}) }
	for _, g := range actions.MergeStacks(msg.stacks) {
		who := count(len(g.Stacks), "process")
		if r := g.Ranks(); len(r) > 0 {
			who = count(len(g.Stacks), "rank") + " " + ranges(r)
		}
		if g.Why != "" && len(g.Frames) == 0 {
			add(fg(colWarn), string(markUnknown)+" "+who+" not read: "+g.Why)
			continue
		}
		nodes := ""
		if len(g.Stacks) == 1 {
			p := g.Stacks[0].Process
			nodes = "  " + p.String()
		}
		add(fg(colStrong).with(bold), who+" in "+g.Where+nodes)
		for _, f := range g.Frames {
			add(style{}, "    "+f)
		}
		if g.Why != "" {
			add(fg(colDim), "    "+g.Why)
		}
	}
}

func (m *Model) drawStacks(a area) {
	s := &m.stack
	a.cut(1, 0, a.w-2, "stacks of job "+s.id+", "+formatAge(m.snap.At.Sub(s.at))+" ago: "+count(s.asked, "rank"), fg(colStrong).with(bold))
	if s.pending {
		a.cut(1, 1, a.w-2, "asking their nodes; no process is stopped for it", fg(colDim))
		return
	}
	a.cut(1, 1, a.w-2, s.summary, fg(colAccent))
	body := a.sub(0, 3, a.w, a.h-3)
	s.seen = max(1, body.h)
	s.top = max(0, min(s.top, len(s.lines)-s.seen))
	for i := s.top; i < len(s.lines) && i-s.top < s.seen; i++ {
		body.cut(1, i-s.top, a.w-2, s.lines[i].text, s.lines[i].st)
	}
}

func (s *stacksScreen) step(do action) {
	switch do {
	case actUp:
		s.top--
	case actDown:
		s.top++
	case actPageUp:
		s.top -= max(1, s.seen-1)
	case actPageDown:
		s.top += max(1, s.seen-1)
	case actFirst:
		s.top = 0
	case actLast:
		s.top = len(s.lines)
	}
	s.top = max(0, min(s.top, len(s.lines)-s.seen))
}

// text is all of it, to copy.
func (s *stacksScreen) text() string {
	lines := []string{s.summary}
	for _, l := range s.lines {
		lines = append(lines, l.text)
	}
	return strings.Join(lines, "\n") + "\n"
}
