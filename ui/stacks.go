package ui

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"foretop/actions"
	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// stacksScreen shows where processes are, mostly a job's ranks: equal stacks once, the odd ones first.
type stacksScreen struct {
	intent  actions.Intent // what was asked; of no title nothing was
	asked   *stacksAsk
	at      time.Time // the snapshot's time when it was asked
	pending bool
	unseen  bool   // the answer came while another screen was shown
	trouble string // why there is no answer, or what was wrong with it
	summary string
	lines   []span
	top     int
	seen    int
}

// stacksAsk is a question on its way.
type stacksAsk struct{ answered atomic.Int64 }

// stacksMsg is the answer, ready to be shown.
type stacksMsg struct {
	asked   *stacksAsk
	summary string // "" nothing was asked
	lines   []span
	err     error
}

// stacks asks for the stacks of all ranks of the job; on a node, of its processes; on the screen of stacks the same again. What was asked for and not looked at yet is shown first.
func (m *Model) stacks() tea.Cmd {
	if why := m.mayAsk("ask for stacks"); why != "" {
		m.notice = why
		return nil
	}
	s := &m.stack
	in := s.intent
	if m.screen != screenStacks {
		var why string
		if in, why = m.dumpInPlace(); why != "" {
			m.notice = why
			return nil
		}
	}
	switch {
	case in.Title == s.intent.Title && s.pending && m.screen == screenStacks:
		m.notice = "they are being asked"
		return nil
	case in.Title == s.intent.Title && (s.pending || s.unseen) && m.screen != screenStacks:
		s.unseen = false
		m.push(screenStacks)
		return nil
	}
	in.Blocking = false
	p := m.opt.Actor.Preview(m.snap, in)
	if p.Trouble != "" {
		m.notice = p.Trouble
		return nil
	}
	return m.dump(p, "y")
}

// blockingStacks asks whether the processes may be stopped while they are read.
func (m *Model) blockingStacks() tea.Cmd {
	why := m.mayAct("ask for stacks")
	if why == "" && m.stack.pending {
		why = "they are being asked: wait for the answer"
	}
	in := m.stack.intent
	in.Blocking = true
	return m.showAct(actScreen{intent: in, serial: m.acting.serial + 1}, why)
}

// dump asks what was confirmed, and shows the screen on which the answer will stand.
func (m *Model) dump(p *actions.Preview, answer string) tea.Cmd {
	ask := &stacksAsk{}
	m.stack = stacksScreen{intent: p.Intent, asked: ask, at: m.snap.At, pending: true}
	if m.screen != screenStacks {
		m.push(screenStacks)
	}
	actor := m.opt.Actor
	return func() tea.Msg {
		stacks, err := actor.Stacks(p, answer, func(n int) { ask.answered.Add(int64(n)) })
		return stacksMsg{ask, actions.StackSummary(stacks), stackLines(stacks), err}
	}
}

// dumpInPlace is whose stacks are asked for where the keyboard is.
func (m *Model) dumpInPlace() (in actions.Intent, why string) {
	in.Kind = actions.Dump
	switch m.place() {
	case placeNodes, placeNode, placeGPU, placeKernel:
		return in, m.dumpOfNode(&in)
	}
	var of actScreen
	list := m.jobsInPlace(&of)
	switch {
	case len(list) == 0:
		return in, "no job is selected"
	case len(list) == 1:
		in.Job = list[0].Key
	}
	in.Title = jobsWords(list)
	for _, j := range list {
		for i := range j.Ranks {
			r := &j.Ranks[i]
			in.Processes = append(in.Processes, actions.Process{Node: r.Node, PID: r.PID, StartTicks: r.StartTicks, Rank: r.Rank, User: j.User})
		}
	}
	if len(in.Processes) == 0 {
		return in, "no rank of " + in.Title + " is seen"
	}
	return in, ""
}

// dumpOfNode asks for the processes of a node, or of a GPU those that hold it.
func (m *Model) dumpOfNode(in *actions.Intent) (why string) {
	name, gpu := m.node.name, -1
	switch m.place() {
	case placeNodes:
		name = m.nodes.selected()
	case placeGPU:
		gpu = m.node.selected
	}
	n := m.index.node(name)
	if n == nil {
		return "no node is selected"
	}
	if in.Title = name; gpu >= 0 {
		in.Title = "GPU " + strconv.Itoa(gpu) + " of " + name
	}
	for i := range n.Processes {
		p := n.Processes[i]
		if gpu >= 0 && (gpu >= len(n.GPUs) || !slices.ContainsFunc(n.GPUs[gpu].Holders, func(h fleet.Holder) bool { return h.PID == p.Pid })) {
			continue
		}
		in.Processes = append(in.Processes, actions.Process{Node: name, PID: p.Pid, StartTicks: p.StartTicks, Rank: p.Rank, User: p.User, Words: p.Command})
	}
	if len(in.Processes) == 0 {
		return "no process is known on " + in.Title
	}
	return ""
}

// takeStacks takes over the answer to the last question.
func (m *Model) takeStacks(msg stacksMsg) {
	s := &m.stack
	if msg.asked != s.asked {
		return
	}
	s.pending, s.summary, s.lines, s.trouble = false, msg.summary, msg.lines, ""
	if msg.err != nil {
		s.trouble = msg.err.Error()
	}
	if s.unseen = m.screen != screenStacks; s.unseen {
		m.notice = "the stacks of " + s.intent.Title + " are there: S shows them"
		if msg.summary == "" {
			m.notice = "the stacks of " + s.intent.Title + " were not asked: " + s.trouble
		}
	}
}

// stackLines are equal stacks, each once, the odd ones first.
func stackLines(stacks []actions.Stack) (lines []span) {
	add := func(st style, words string) { lines = append(lines, span{words, st}) }
	for _, g := range actions.MergeStacks(stacks) {
		who := count(len(g.Stacks), "process")
		if r := g.Ranks(); len(r) > 0 {
			who = count(len(g.Stacks), "rank") + " " + ranges(r)
		}
		if g.Why != "" && g.Source == "" {
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
	return lines
}

func (m *Model) drawStacks(a area) {
	s := &m.stack
	n := len(s.intent.Processes)
	what := count(n, "process")
	if s.intent.Job != "" {
		what = count(n, "rank")
	}
	how := ""
	if s.intent.Blocking {
		how = ", each stopped while it was read"
	}
	a.cut(1, 0, a.w-2, "stacks of "+s.intent.Title+", "+formatAge(m.latest.At.Sub(s.at))+" ago: "+what+how, fg(colStrong).with(bold))
	switch {
	case s.pending:
		how = "no process is stopped for it"
		if s.intent.Blocking {
			how = "each process is stopped while it is read"
		}
		a.cut(1, 1, a.w-2, strconv.Itoa(int(s.asked.answered.Load()))+" of "+strconv.Itoa(n)+" answered; "+how, fg(colDim))
		a.cut(1, 2, a.w-2, "Esc leaves; the bottom line says when the answer is there", fg(colDim))
		return
	case s.summary == "":
		a.cut(1, 1, a.w-2, string(markCritical)+" nothing was asked: "+s.trouble, fg(colCrit))
		return
	}
	a.cut(1, 1, a.w-2, s.summary, fg(colAccent))
	if s.trouble != "" {
		a.cut(1, 2, a.w-2, string(markWarning)+" "+s.trouble, fg(colWarn))
	}
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
