package ui

import (
	"strconv"
	"strings"

	"foretop/actions"
)

// drawRun draws what the last command came to.
func (m *Model) drawRun(a area) {
	s := &m.run
	if s.job == nil {
		next := m.mayAsk("press !")
		if next == "" {
			next = "choose a job, or tag nodes in Nodes (2), and press !"
		}
		say(a, "no command was run yet", next)
		return
	}
	if y := m.drawRunHead(a); y > 0 {
		a = a.sub(0, y, a.w, a.h-y)
	}
	if s.byNode && a.h > 2 {
		columns := placeColumns(runColumns(), a.w)
		drawHeader(a, 0, columns, s.sort, s.descending())
		a = a.sub(0, 1, a.w, a.h-1)
	}
	s.page = max(1, a.h)
	s.top = scrollTo(s.top, s.at, a.h, s.rows())
	columns := placeColumns(runColumns(), a.w)
	for y := 0; y < a.h && s.top+y < s.rows(); y++ {
		i := s.top + y
		e, line := s.row(i)
		switch row := a.sub(0, y, a.w, 1); {
		case line >= 0:
			m.drawRunLine(row, s.text(e), line)
		case e.kind == runOfNode:
			m.drawRunNode(row, e, columns)
		case e.kind == runOfGroup:
			m.drawRunGroup(row, e)
		default:
			row.cut(tableIndent, 0, a.w-tableIndent, string(markIdle)+" "+s.news.pending[e.n], fg(colDim))
		}
		if i == s.at {
			a.text(1, y, string(markCursor), fg(colAccent).with(bold))
			a.restyle(0, y, a.w, func(s style) style { return s.on(colCursorBG) })
		}
		m.hit(a, y, func() {
			if s.at = i; line < 0 {
				m.foldRun()
			}
		})
	}
}

// drawRunHead draws what was run, how far it is and how long it took, and gives how many lines that took.
func (m *Model) drawRunHead(a area) int {
	if a.h < 4 {
		return 0
	}
	s := &m.run
	what, where := s.title()
	w := min(a.width(where), a.w/2)
	a.cut(1, 0, a.w-w-4, what, fg(colStrong).with(bold))
	a.cut(min(a.width(what)+3, a.w-w-1), 0, w, where, fg(colDim))
	m.drawRunProgress(a.sub(0, 1, a.w, 1))
	if a.h < 8 {
		return 2
	}
	a.cut(1, 2, a.w-2, m.runTimesWords(), fg(colDim))
	return 4
}

// title says what was run, and where.
func (s *runScreen) title() (what, where string) {
	p := s.job.Preview
	in := &p.Intent
	if in.Kind != actions.Command || len(in.Argv) != 3 { // as a line for a shell, see actWordsKey
		return p.Title, ""
	}
	return in.Argv[2], "on " + count(len(in.Nodes), "node") + ": " + foldNames(in.Nodes)
}

// what its targets are called.
func (s *runScreen) what() string {
	if s.job.Preview.Intent.Kind == actions.Command {
		return "node"
	}
	return "target"
}

// runHint is what a key does on the Run view now; "" it does nothing.
func (m *Model) runHint(b *binding) string {
	s := &m.run
	switch {
	case b.do == actNextPane && s.byNode:
		return "equal ones once"
	case b.do == actSortRight && !s.byNode, b.do == actStop && (s.job == nil || s.news.over || s.stopped), b.do == actRun && (s.job == nil || len(s.job.Preview.Intent.Nodes) == 0),
		s.job == nil && (b.do == actNextPane || b.do == actOpen || b.do == actFilter || b.do == actCopy || b.do == actDown):
		return ""
	}
	return b.hint
}

// drawRunProgress draws how many have ended, and how: a bar first, while it goes on.
func (m *Model) drawRunProgress(a area) {
	n := m.run.news
	ended := 0
	for _, g := range n.of {
		if g >= 0 {
			ended++
		}
	}
	x := 1
	if room := min(20, a.w/5); !n.over && room >= 8 {
		full := 0
		if len(n.of) > 0 {
			full = room * ended / len(n.of)
		}
		a.repeat(x, 0, room, '░', fg(colDim))
		a.repeat(x, 0, full, '█', fg(colBar))
		x += room + 2
	}
	words := strconv.Itoa(ended) + " of " + strconv.Itoa(len(n.of)) + " ended"
	switch {
	case n.over && !n.began.IsZero():
		words += " in " + formatTook(n.ended.Sub(n.began))
	case !n.over && !n.began.IsZero():
		words += ", " + formatShort(m.latest.At.Sub(n.began))
	}
	if m.run.stopped && !n.over {
		words += ", stopped"
	}
	x = a.text(x, 0, words+"  ", fg(colStrong))
	for _, w := range strings.SplitAfter(resultWords(n.results), ", ") {
		x = a.text(x, 0, w, countStyle(w))
	}
}

// countStyle makes a count of what went wrong stand out.
func countStyle(words string) style {
	switch {
	case strings.Contains(words, actions.Failed.String()) || strings.Contains(words, actions.Refused.String()):
		return fg(colCrit)
	case strings.Contains(words, actions.Unknown.String()):
		return fg(colWarn)
	}
	return style{}
}

func (m *Model) runTimesWords() string {
	t := &m.run.news.times
	switch t.ended {
	case 0:
		return ""
	case 1:
		return "it took " + formatTook(t.fastest)
	}
	return "each: fastest " + formatTook(t.fastest) + " " + t.fast + ", median " + formatTook(t.median) + ", slowest " + formatTook(t.slowest) + " " + t.slow
}

// endMark is the shape of how a step or a group ended.
func endMark(s actions.State) mark {
	switch s {
	case actions.Done:
		return mark{markFine, fg(colGood)}
	case actions.Failed, actions.Refused:
		return mark{markCritical, fg(colCrit)}
	case actions.Unknown:
		return mark{markUnknown, fg(colWarn)}
	case actions.Running:
		return mark{markCursor, fg(colAccent)}
	}
	return mark{markIdle, fg(colDim)}
}

// drawRunGroup draws whose output it is, how many they are, how they ended and how much they printed.
func (m *Model) drawRunGroup(a area, e runID) {
	g := &m.run.news.groups[e.n]
	k := endMark(g.state)
	a.text(tableIndent, 0, string(k.r), k.st)
	right := endWords(&g.Group, g.state)
	if g.Why == "" || g.Output != "" {
		right += "  " + g.lines
	}
	if n := len(g.Names); n > 1 {
		right = count(n, m.run.what()) + "  " + right
	}
	if !m.run.unfolded(e) && g.text == nil {
		right += " (" + m.foldKey(a) + ")"
	}
	room := a.w - tableIndent - 3
	w := min(a.width(right), room*2/3)
	a.cut(tableIndent+2, 0, room-w-1, g.names, fg(colStrong).with(bold))
	st := k.st
	if g.state == actions.Done {
		st = fg(colDim)
	}
	a.cut(a.w-w-1, 0, w, right, st)
}

// foldKey is the key that shows an output, as it is written here.
func (m *Model) foldKey(a area) string {
	if a.c.ascii {
		return "Enter"
	}
	return "↵"
}

// drawRunNode draws a target: how it ended, how long it took, and its first line.
func (m *Model) drawRunNode(a area, e runID, columns []placed) {
	n := m.run.news
	r := &n.results[e.n]
	k := endMark(r.State)
	g := n.of[e.n]
	for i := range columns {
		p := &columns[i]
		switch p.id {
		case "node":
			a.cut(p.x, 0, p.cells, r.Target, fg(colStrong))
		case "state":
			a.cut(p.x, 0, p.cells, string(k.r)+" "+r.State.String(), k.st)
		case "exit":
			code := absent
			if g >= 0 && n.groups[g].Code >= 0 {
				code = strconv.Itoa(n.groups[g].Code)
			}
			a.right(p.x, 0, p.cells, code, style{})
		case "time":
			a.right(p.x, 0, p.cells, m.tookWords(r), style{})
		case "output":
			if g >= 0 {
				words := n.groups[g].first
				if n.groups[g].Why != "" {
					words = n.groups[g].Why
				}
				a.cut(p.x, 0, p.cells, words, fg(colDim))
			}
		}
	}
}

// tookWords is how long a step took, or has taken so far.
func (m *Model) tookWords(r *actions.Result) string {
	switch {
	case r.State == actions.Running && !r.Start.IsZero():
		return formatShort(m.latest.At.Sub(r.Start))
	case took(r) >= 0:
		return formatTook(took(r))
	}
	return absent
}

// drawRunLine draws a line of an output, moved to the side as all are; "…" says that it goes on.
func (m *Model) drawRunLine(a area, t *runText, i int) {
	line, note := t.line(i)
	st := style{}
	switch {
	case note:
		st = fg(colWarn)
	case m.run.find != "" && strings.Contains(strings.ToLower(line), m.run.find):
		st = fg(colTagged)
	}
	box := a.sub(tableIndent+2, 0, a.w-tableIndent-3, 1)
	shift := m.run.shift
	if end := box.text(-shift, 0, line, st); end > box.w && box.w > 0 {
		box.text(box.w-1, 0, "…", fg(colDim))
	}
	if shift > 0 && line != "" && box.w > 0 {
		box.text(0, 0, "‹", fg(colDim))
	}
}
