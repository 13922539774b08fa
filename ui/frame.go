package ui

import (
	"cmp"
	"strconv"
	"strings"

	"foretop/actions"
	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// hit is a line of the screen that can be clicked on.
type hit struct {
	x0, y0, x1, y1 int
	do             func()
}

// hit remembers what a click on line y of a does.
func (m *Model) hit(a area, y int, do func()) {
	if m.opt.Mouse {
		m.hits = append(m.hits, hit{a.x, a.y + y, a.x + a.w, a.y + y + 1, do})
	}
}

// draw makes the frame.
func (m *Model) draw() {
	m.hits = m.hits[:0]
	c := &m.canvas
	c.reset(m.width, m.height, m.opt.ASCII)
	m.frame = tea.View{AltScreen: true, WindowTitle: "foretop"}
	if m.opt.Mouse {
		m.frame.MouseMode = tea.MouseModeCellMotion
	}
	if c.w == 0 || c.h == 0 {
		return
	}
	all, l := c.whole(), layoutFrame(c.h)
	if m.screen == screenGPU || m.screen == screenLog || m.screen == screenUsers || m.screen == screenAct || m.screen == screenAsk || m.screen == screenStacks || m.screen == screenRun || m.screen == screenFindings || m.screen == screenIncident { // it is all about what is selected
		l.bodyRows, l.info = l.bodyRows+l.info, 0
	}
	if m.snap == nil {
		all.cut(1, min(1, c.h-1), c.w-1, "foretop: waiting for the first picture of the fleet", fg(colStrong))
		m.frame.SetContent(c.render(&m.theme))
		return
	}
	m.drawBody(all.sub(0, l.body, c.w, l.bodyRows))
	m.drawTitle(all.sub(0, 0, c.w, 1))
	if l.tabs {
		m.drawTabs(all.sub(0, 1, c.w, 1))
	}
	m.drawInfo(all.sub(0, l.body+l.bodyRows, c.w, l.info))
	if l.keys || m.prompt.open || m.notice != "" {
		bottom := all.sub(0, c.h-1, c.w, 1)
		if words := m.askWords(); words != "" {
			n := bottom.width(words)
			bottom.cut(max(1, bottom.w-n-1), 0, bottom.w-1, words, fg(colAccent).with(bold))
			bottom = bottom.sub(0, 0, max(0, bottom.w-n-2), 1)
		}
		m.drawBottom(bottom)
	}
	m.frame.SetContent(c.render(&m.theme))
}

func (m *Model) drawBody(a area) {
	switch m.screen {
	case screenJobs:
		m.drawJobs(a)
	case screenJob:
		m.drawJob(a)
	case screenLog:
		m.drawLog(a)
	case screenUsers:
		m.drawUsers(a)
	case screenNodes:
		m.drawNodes(a)
	case screenNode:
		m.drawNode(a)
	case screenGPU:
		m.drawGPU(a)
	case screenKernel:
		m.drawKernel(a)
	case screenHelp:
		m.drawHelp(a)
	case screenStacks:
		m.drawStacks(a)
	case screenRun:
		m.drawRun(a)
	case screenAct:
		m.drawAct(a)
	case screenAsk:
		m.drawAsk(a)
	case screenFindings:
		m.drawFindings(a)
	case screenIncident:
		m.drawIncident(a)
	}
}

// drawTabs draws the views, where we are, and what is left out of sight.
func (m *Model) drawTabs(a area) {
	x, gap := 1, 3
	if a.w < 100 {
		gap = 2
	}
	tab := func(label string, here bool) {
		st := fg(colDim)
		if here {
			st = fg(colStrong).with(bold | underline)
		}
		x = a.text(x, 0, label, st) + gap
	}
	top := m.screen
	if len(m.back) > 0 {
		top = m.back[0]
	}
	tab("1 Jobs", top == screenJobs)
	tab("2 Nodes", top == screenNodes)
	tab(m.findingsTab(), top == screenFindings)
	tab("4 Users", top == screenUsers)
	tab("5 Run", top == screenRun)
	if crumb := m.crumb(); crumb != "" {
		x = a.text(x, 0, crumb, fg(colStrong)) + gap
	}
	right := a.w - 8
	if right > x {
		a.text(right, 0, "? help", fg(colDim))
	}
	if off := "read-only"; m.switchedOff() != "" && right-a.width(off)-2 > x {
		right -= a.width(off) + 2
		a.text(right, 0, off, fg(colWarn))
	}
	words, st := m.chosenWords()
	if words == "" {
		if words, st = m.schedulerWords(); words == "" {
			words, st = m.checkedWords()
		}
	}
	if w := a.width(words); words != "" && x+8 < right {
		a.cut(x, 0, min(w, right-x-2), words, st)
	}
}

// crumb is the way to what was opened from a view: "Jobs › job 8123 › gpu017".
func (m *Model) crumb() string {
	if len(m.back) == 0 {
		return ""
	}
	var words []string
	for _, s := range append(m.back[:len(m.back):len(m.back)], m.screen) {
		words = append(words, m.screenWords(s))
	}
	return strings.Join(words, " › ")
}

func (m *Model) screenWords(s screen) string {
	switch s {
	case screenJob:
		if j := m.jobs.selectedJob(); j != nil {
			return "job " + j.ID
		}
		return "job"
	case screenLog:
		return "log"
	case screenUsers:
		return "Users"
	case screenNodes:
		return "Nodes"
	case screenNode:
		return m.node.name
	case screenGPU:
		return "GPU " + strconv.Itoa(m.node.selected)
	case screenKernel:
		return m.node.name + " kernel log"
	case screenHelp:
		return "help"
	case screenStacks:
		return "stacks"
	case screenRun:
		return "run"
	case screenAct:
		if m.acting.intent.Kind == actions.Dump {
			return "stop and read"
		}
		return cmp.Or(string(m.acting.intent.Kind), "actions")
	case screenAsk:
		return "questions"
	case screenFindings:
		return "Findings"
	case screenIncident:
		if in := m.incident(); in != nil {
			return in.Root().Where()
		}
		return "incident"
	}
	return "Jobs"
}

// chosenWords says that rows are left out, or tagged.
func (m *Model) chosenWords() (string, style) {
	words, tags := "", 0
	switch m.screen {
	case screenJobs:
		tags = len(m.jobs.tagged)
		if m.jobs.active() {
			words = strings.TrimSpace(m.jobs.words()) + ": " + strconv.Itoa(len(m.jobs.keys)) + " of " + count(len(m.jobs.byKey), "job") + `  \ all`
		}
		if m.jobs.pending {
			words = strings.TrimSpace("jobs that wait (p: those that run)  " + words)
		}
	case screenNodes:
		tags = len(m.nodes.tagged)
		if m.nodes.active() {
			words = strings.TrimSpace(m.nodes.words()) + ": " + strconv.Itoa(len(m.nodes.keys)) + " of " + count(len(m.snap.Nodes), "node") + `  \ all`
		}
	}
	if m.screen == screenFindings {
		if tags = len(m.findings.tagged); m.findings.active() {
			words = strings.TrimSpace(m.findings.words()) + ": " + strconv.Itoa(len(m.findings.keys)) + " of " + count(len(m.findings.byID), "incident") + `  \ all`
		}
	}
	if tags > 0 {
		words = strings.TrimSpace(strconv.Itoa(tags) + " tagged  " + words)
	}
	return words, fg(colTagged)
}

// schedulerWords says that a scheduler does not answer: what it said last is shown, and grows old.
func (m *Model) schedulerWords() (string, style) {
	for i := range m.snap.Schedulers {
		s := &m.snap.Schedulers[i]
		if s.Problem == nil {
			continue
		}
		words := s.Kind + " does not answer: " + s.Problem.Text
		if !s.At.IsZero() {
			words = s.Kind + " as of " + formatAge(m.snap.At.Sub(s.At)) + " ago: " + s.Problem.Text
		}
		return words, fg(colWarn)
	}
	return "", style{}
}

// checkedWords says how much of the fleet has been looked at: where neither the kernel log can be read nor the driver tells them, Xids are not checked,
// which is not "none"; where only the driver tells, all else that the log would is not.
func (m *Model) checkedWords() (string, style) {
	t := m.snap.Totals
	live := t.ByState[fleet.Live]
	if live == 0 || !m.tally.liveGPU { // Xids are what GPUs tell
		return "", style{}
	}
	words, st := "Xid: read on "+strconv.Itoa(t.XidRead)+"/"+strconv.Itoa(live), fg(colDim)
	if t.XidRead < live {
		words, st = words+", not checked on "+strconv.Itoa(live-t.XidRead), fg(colWarn)
	}
	if only := t.XidRead - t.KernelLogRead; only > 0 {
		words, st = words+"; kernel log on "+strconv.Itoa(t.KernelLogRead), fg(colWarn)
	}
	return words, st
}

// drawBottom draws the last line: the filter being typed, what was said last, or the keys that work here.
func (m *Model) drawBottom(a area) {
	switch {
	case m.prompt.open:
		words, wrong := m.promptWords()
		st := fg(colDim)
		if wrong {
			st = fg(colWarn)
		}
		n := min(a.width(words), max(0, a.w*2/3))
		caret := m.prompt.draw(a.sub(0, 0, a.w-n-2, 1), 0)
		a.cut(a.w-n-1, 0, n, words, st)
		m.frame.Cursor = tea.NewCursor(caret, m.height-1)
	case m.notice != "":
		a.cut(1, 0, a.w-1, m.notice, fg(colStrong))
	default:
		m.drawKeys(a)
	}
}

// drawKeys draws the keys that work here, as many as fit; "? help" has its place kept.
func (m *Model) drawKeys(a area) {
	here := m.place()
	x, help := 1, "? help"
	room := a.w - 1
	if m.height < 8 { // there is no tab line to say so
		room -= a.width(help) + 2
		a.text(max(1, a.w-a.width(help)-1), 0, help, fg(colDim))
	}
	for _, b := range m.keys.hints[here] {
		if here == placeNode && m.node.plain && (b.do == actNextPane || b.do == actMetric || b.do == actFold || b.do == actKernel) {
			continue // of a node that never told anything there is none of these
		}
		key, hint := b.shown(a.c.ascii), b.hint
		switch {
		case b.do == actPause && m.paused:
			hint = "go on"
		case here == placeRun:
			if hint = m.runHint(b); hint == "" {
				continue
			}
		}
		n := a.width(key) + 1 + a.width(hint)
		if x+n > room {
			continue
		}
		x = a.text(x, 0, key, fg(colAccent).with(bold))
		x = a.text(x+1, 0, hint, fg(colDim)) + 2
	}
}
