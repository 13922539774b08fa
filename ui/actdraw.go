package ui

import (
	"cmp"
	"strconv"
	"strings"

	"foretop/actions"
	"foretop/config"

	tea "charm.land/bubbletea/v2"
)

// drawAct draws what is asked, or how it goes.
func (m *Model) drawAct(a area) {
	s := &m.acting
	y := 0
	head := func(words string, st style) {
		a.cut(1, y, a.w-2, words, st)
		y++
	}
	head(m.actTitle(), fg(colStrong).with(bold))
	list := func(n int, row func(area, int, bool)) {
		body := a.sub(0, y+1, a.w, a.h-y-2)
		s.seen = max(1, body.h)
		s.top = scrollTo(s.top, s.at, s.seen, n)
		for i := s.top; i < n && i < s.top+s.seen; i++ {
			row(body.sub(0, i-s.top, body.w, 1), i, i == s.at)
		}
	}
	switch s.stage {
	case stageMenu:
		head("Enter starts, Esc leaves; each asks before it does anything", fg(colDim))
		list(len(s.deeds), func(a area, i int, here bool) { drawChoice(a, cmp.Or(s.deeds[i].key, " ")+"  "+s.deeds[i].words, here) })
	case stageTargets:
		head("which of them? Space chooses, * all, Enter goes on, Esc leaves", fg(colDim))
		list(len(s.targets), func(a area, i int, here bool) {
			t := &s.targets[i]
			mark := "[ ] "
			if t.on {
				mark = "[x] "
			}
			drawChoice(a, mark+t.words, here)
		})
	case stageWords:
		m.drawActWords(a, y)
	case stageChoice:
		head("which? Enter goes on, Esc leaves", fg(colDim))
		list(len(s.options), func(a area, i int, here bool) { drawChoice(a, s.options[i], here) })
	case stageQuestion:
		lines := m.actQuestionLines()
		list(len(lines), func(a area, i int, here bool) { a.cut(1, 0, a.w-2, lines[i].text, lines[i].st) })
		words, st := m.actAsk()
		a.cut(1, a.h-1, a.w-2, words, st.with(bold))
	case stageProgress:
		words := resultWords(s.results)
		if s.over && s.job.Undo(m.snap.At) != nil {
			words += "   z undoes it, within 30 s"
		}
		head(words, fg(colStrong))
		if s.at < len(s.results) { // what the selected one says in full, where its line is too short
			if lines := wrap(resultText(&s.results[s.at]), a.w-4, m.opt.ASCII); len(lines) > 1 {
				n := min(len(lines), a.h/2)
				for i, line := range lines[:n] {
					a.cut(3, a.h-n+i, a.w-4, line, style{})
				}
				a.h -= n
			}
		}
		list(len(s.results), func(a area, i int, here bool) { drawResult(a, &s.results[i], here) })
	}
}

func drawChoice(a area, words string, here bool) {
	lead := "  "
	if here {
		lead = "▸ "
		a.fill(0, 0, a.w, style{bg: colCursorBG})
	}
	a.cut(1, 0, a.w-2, lead+words, style{})
}

// actTitle says what it is all about.
func (m *Model) actTitle() string {
	s := &m.acting
	if s.preview != nil && s.stage >= stageQuestion {
		return s.preview.Title
	}
	if s.stage == stageMenu {
		return "what to do"
	}
	words := string(s.intent.Kind)
	if s.intent.Title != "" {
		words = s.intent.Title
	}
	switch in := &s.intent; {
	case len(in.Nodes) > 0:
		words += " " + count(len(in.Nodes), "node") + ": " + strings.Join(config.Fold(in.Nodes), ",")
	case len(in.Processes) > 0:
		words += " to " + in.Processes[0].String()
		if n := len(in.Processes); n > 1 {
			words += " and " + strconv.Itoa(n-1) + " more"
		}
	case in.Job != "":
		words += " job " + jobID(in.Job)
	}
	return words
}

// drawActWords draws the line that is typed, and what it may be.
func (m *Model) drawActWords(a area, y int) {
	s := &m.acting
	in := &s.intent
	label := "reason: "
	if in.Kind == actions.Command {
		label = "command: "
	}
	x := a.text(1, y+1, label, fg(colDim))
	box := a.sub(x-1, y+1, a.w-x, 1)
	caret := s.line.drawAs(box, 0, "")
	m.frame.Cursor = tea.NewCursor(box.x+caret, box.y)
	lines := []string{"Enter goes on to the question; nothing is done yet. Esc leaves."}
	if in.Kind == actions.Drain {
		how := "what runs there is evicted (Kubernetes), or left to end (Slurm)"
		if in.WhenIdle {
			how = "what runs there is left to end"
		}
		has := "stays"
		if in.Append {
			has = "gets this one added"
		}
		lines = append(lines, "Tab: "+how, "Ctrl-o: a reason that is there already "+has, "Up/Down: reasons given before")
	}
	for i, l := range lines {
		a.cut(1, y+3+i, a.w-2, l, fg(colDim))
	}
}

// actQuestionLines are all that a person should know before answering.
func (m *Model) actQuestionLines() []span {
	p := m.acting.preview
	var lines []span
	add := func(st style, words string) { lines = append(lines, span{words, st}) }
	if p.Intent.Reason != "" {
		add(style{}, "reason: "+p.Intent.Reason)
	}
	st := style{}
	if len(p.Affected.Others) > 0 {
		st = fg(colWarn)
	}
	add(st, "affected: "+p.Affected.String())
	if len(p.Affected.Others) > 0 {
		add(fg(colWarn), "work of others: "+strings.Join(p.Affected.Others, ", ")+" (jobs "+strings.Join(p.Affected.Jobs, ", ")+")")
	}
	for _, w := range p.Warnings {
		add(fg(colWarn), string(markWarning)+" "+w)
	}
	for i := range p.Steps {
		step := &p.Steps[i]
		if step.Refused != "" {
			add(fg(colCrit), string(markCritical)+" "+step.Target+" not: "+step.Refused)
			continue
		}
		add(fg(colStrong), step.Target+"  "+step.Where)
		for _, c := range step.Commands {
			add(style{}, "    "+c)
		}
		for _, n := range step.Notes {
			add(fg(colWarn), "    "+n)
		}
	}
	return lines
}

// actAsk is the question itself.
func (m *Model) actAsk() (string, style) {
	s := &m.acting
	p := s.preview
	switch {
	case p.Trouble != "":
		return "it cannot be done: " + p.Trouble + "   Esc leaves", fg(colCrit)
	case p.Count > 0:
		return "do it? type " + strconv.Itoa(p.Count) + ", the number of targets, and Enter: " + s.answer + "_   Esc: no", fg(colAccent)
	}
	return "do it? y: yes   Esc: no", fg(colAccent)
}

func drawResult(a area, r *actions.Result, here bool) {
	mark, st := '·', fg(colDim)
	switch r.State {
	case actions.Done:
		mark, st = '●', fg(colGood)
	case actions.Failed, actions.Refused:
		mark, st = markCritical, fg(colCrit)
	case actions.Unknown:
		mark, st = markUnknown, fg(colWarn)
	case actions.Running:
		mark, st = '▸', fg(colAccent)
	}
	if here {
		a.fill(0, 0, a.w, style{bg: colCursorBG})
	}
	a.cut(1, 0, 2, string(mark), st)
	a.cut(3, 0, a.w-4, resultText(r), style{})
}

// resultText is a result in one line: "gpu017  failed: Invalid user id".
func resultText(r *actions.Result) string {
	words := r.Target + "  " + r.State.String()
	if r.Words != "" {
		words += ": " + r.Words
	}
	return words
}
