package ui

import (
	"cmp"
	"strconv"
	"strings"

	"foretop/actions"
	"foretop/config"
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
		lead, words, st := "", "Enter starts, Esc leaves; each asks before it does anything", fg(colDim)
		if why := m.switchedOff(); why != "" {
			lead, words, st = "off: ", why, fg(colWarn)
		}
		head(words, st)
		list(len(s.deeds), func(a area, i int, here bool) {
			drawChoice(a, cmp.Or(s.deeds[i].key, " ")+"  "+lead+s.deeds[i].words, here, mark{})
		})
	case stageTargets:
		words := "Space chooses, * all, Enter goes on, Esc leaves"
		if s.targets[0].process.PID == 0 {
			words = "Space chooses, * all, F all of this one's finding, Enter goes on, Esc leaves"
		}
		head(words, fg(colDim))
		list(len(s.targets), func(a area, i int, here bool) {
			t := &s.targets[i]
			box := "[ ] "
			if t.on {
				box = "[x] "
			}
			drawChoice(a, box+t.words, here, mark{t.mark, t.st})
		})
	case stageWords:
		m.drawActWords(a, y)
	case stageChoice:
		head("which? Enter goes on, Esc leaves", fg(colDim))
		list(len(s.options), func(a area, i int, here bool) { drawChoice(a, s.options[i], here, mark{}) })
	case stageQuestion:
		lines := m.actQuestionLines()
		defer func() {
			if more := len(lines) - s.top - s.seen; more > 0 {
				a.cut(1, y, a.w-2, "PgDn: "+count(more, "more line"), fg(colWarn))
			}
		}()
		list(len(lines), func(a area, i int, here bool) { a.cut(1, 0, a.w-2, lines[i].text, lines[i].st) })
		words, st := m.actAsk()
		a.cut(1, a.h-1, a.w-2, words, st.with(bold))
	case stageProgress:
		words := resultWords(s.results)
		if s.over && s.job.Undo(m.latest.At) != nil {
			words += "   z undoes it, within 30 s"
		}
		if s.job.Again() != nil {
			words += "   e: the rest again"
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

// drawChoice draws one of several; mark is the shape of what is wrong with it, if anything is.
func drawChoice(a area, words string, here bool, wrong mark) {
	lead := "  "
	if here {
		lead = "▸ "
		a.fill(0, 0, a.w, style{bg: colCursorBG})
	}
	if wrong.r == 0 {
		wrong.r = ' '
	}
	x := a.text(1, 0, lead, style{})
	x = a.text(x, 0, string(wrong.r)+" ", wrong.st)
	a.cut(x, 0, a.w-x-1, words, style{})
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
	case s.stage == stageTargets:
		words += ": which " + s.which()
	case len(in.Nodes) > 0:
		words += " " + count(len(in.Nodes), "node") + ": " + strings.Join(config.Fold(in.Nodes), ",")
	case len(in.Processes) > 0:
		words += " to " + in.Processes[0].String()
		if n := len(in.Processes); n > 1 {
			words += " and " + strconv.Itoa(n-1) + " more"
		}
	case len(in.Jobs) > 1:
		words += " " + count(len(in.Jobs), "job")
	case len(in.JobKeys()) > 0:
		words += " job " + jobID(in.JobKeys()[0])
	}
	return words
}

// actQuestionLines are all that a person should know before answering.
func (m *Model) actQuestionLines() []span {
	p := m.acting.preview
	var lines []span
	add := func(st style, words string) { lines = append(lines, span{words, st}) }
	const most = 8
	for i, words := range m.acting.changed {
		if i == most {
			add(fg(colWarn).with(bold), "  and "+strconv.Itoa(len(m.acting.changed)-most)+" more")
			break
		}
		add(fg(colWarn).with(bold), string(markWarning)+" it changed: "+words)
	}
	if p.Intent.Reason != "" {
		add(style{}, "reason: "+p.Intent.Reason)
	}
	st := style{}
	if len(p.Affected.Others) > 0 {
		st = fg(colWarn)
	}
	add(st, "affected: "+p.Affected.String())
	if len(p.Affected.Others) > 0 {
		add(fg(colWarn), "work of others: "+strings.Join(p.Affected.Theirs, "; "))
	}
	for _, words := range p.Means {
		add(style{}, words)
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
	return wrapExactly(lines, m.width-2, m.canvas.ascii)
}

// wrapExactly breaks lines that are longer than w cells, so that nothing of a command is out of sight: not a character is lost, and what goes on stands further in.
func wrapExactly(lines []span, w int, ascii bool) (out []span) {
	const further = "      "
	for _, l := range lines {
		text := l.text
		for lead := ""; ; lead = further {
			n := fitting(text, w-len(lead), ascii)
			if w <= 2*len(further) || n >= len(text) {
				out = append(out, span{lead + text, l.st})
				break
			}
			if blank := strings.LastIndexByte(text[:n], ' '); blank > n/2 {
				n = blank + 1
			}
			out, text = append(out, span{lead + text[:n], l.st}), text[n:]
		}
	}
	return out
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

// which asks which of the targets are meant: "nodes of job 8123? 3 of 32 chosen".
func (s *actScreen) which() string {
	n := 0
	for i := range s.targets {
		if s.targets[i].on {
			n++
		}
	}
	what := "nodes"
	if s.targets[0].process.PID != 0 {
		what = "processes"
	}
	if s.about != "" {
		what += " of " + s.about
	}
	return what + "? " + strconv.Itoa(n) + " of " + strconv.Itoa(len(s.targets)) + " chosen"
}
