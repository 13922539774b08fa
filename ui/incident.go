package ui

import (
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

// incidentScreen is all about one incident: its findings, the probable root first, with their evidence; what to do; the kernel's lines of that time; and when it was so before.
type incidentScreen struct {
	id        string
	at        int // the selected finding
	top, seen int
	lines     int
	reveal    bool
}

// incidentLine is a line of it.
type incidentLine struct {
	spans  []span
	member int // that it is of; -1 none
	head   bool
}

// around is how much of the kernel log is shown before an incident began, and after.
const (
	logBefore   = time.Minute
	logAfter    = 5 * time.Minute
	logLines    = 12
	noMember    = -1
	memberInset = 4
)

// openIncident turns to the selected incident.
func (m *Model) openIncident() {
	in := m.incident()
	if in == nil {
		m.notice = "no incident is selected"
		return
	}
	m.findings.in = incidentScreen{id: in.ID, reveal: true}
	m.push(screenIncident)
}

// incidentLines are an incident in lines of w cells.
func (m *Model) incidentLines(in *fleet.Incident, w int) (lines []incidentLine) {
	ascii := m.opt.ASCII
	words := func(text string, inset int, st style, member int) {
		for _, part := range wrap(text, max(10, w-inset-1), ascii) {
			lines = append(lines, incidentLine{spans: []span{{strings.Repeat(" ", inset), style{}}, {part, st}}, member: member})
		}
	}
	head := func(text string) {
		lines = append(lines, incidentLine{spans: []span{{text, fg(colDim)}}, member: noMember, head: true})
	}
	words(in.Title, 1, fg(colStrong), noMember)
	words(m.incidentFacts(in), 1, fg(colDim), noMember)
	if r := in.Root().Remedy; r != "" {
		lines = append(lines, incidentLine{spans: []span{{" what to do ", fg(colAccent)}, {"", style{}}}, member: noMember})
		words(r, memberInset-1, fg(colStrong), noMember)
	}
	head("findings, the probable root first")
	for i := range in.Members {
		f := &in.Members[i]
		k := severityMark(f.Severity)
		if !f.Until.IsZero() {
			k = mark{markIdle, fg(colDim)}
		}
		line := []span{{"  " + m.clock(f.Since) + " ", fg(colDim)}, {string(k.r) + " ", k.st}, {f.Where() + " ", fg(colStrong)}, {f.Text, k.st}}
		if f.Cause != fleet.CauseUnknown {
			line = append(line, span{" · " + f.Cause.String(), fg(colDim)})
		}
		if !f.Until.IsZero() {
			line = append(line, span{" · gone " + m.clock(f.Until), fg(colDim)})
		} else if !f.Began {
			line = append(line, span{" · or longer", fg(colDim)})
		}
		for y, part := range wrapSpans(line, max(10, w-1), 4, ascii) {
			if y > 0 {
				part = append([]span{{strings.Repeat(" ", memberInset), style{}}}, part...)
			}
			lines = append(lines, incidentLine{spans: part, member: i})
		}
		for _, e := range f.Evidence {
			words(e, memberInset+2, fg(colDim), i)
		}
		if f.Remedy != "" && f.Remedy != in.Root().Remedy {
			words("→ "+f.Remedy, memberInset+2, style{}, i)
		}
	}
	if in.Cut > 0 {
		words("and "+strconv.Itoa(in.Cut)+" more", memberInset, fg(colDim), noMember)
	}
	m.incidentLog(in, w, &lines)
	if past := in.Root().Past; len(past) > 0 {
		head("before, in the last 90 days")
		var times []string
		for _, t := range past {
			times = append(times, t.In(m.opt.Location).Format("Mon 2 Jan 15:04"))
		}
		words(in.Root().Where()+" "+in.Root().Rule+": "+strings.Join(times, ", "), 1, style{}, noMember)
	}
	return lines
}

// incidentFacts say when it began, what it is about, and what was said of it.
func (m *Model) incidentFacts(in *fleet.Incident) string {
	parts := []string{"since " + m.clock(in.Since)}
	if !in.Until.IsZero() {
		parts = append(parts, "over since "+m.clock(in.Until))
	}
	if len(in.Nodes) > 0 {
		parts = append(parts, nodesWords(in.Nodes))
	}
	for i, key := range in.Jobs {
		if i == 3 {
			parts = append(parts, "and "+count(len(in.Jobs)-i, "more job"))
			break
		}
		words := "job " + m.jobName(key)
		if j := m.snap.Job(key); j != nil && j.Name != "" {
			words += " " + j.Name
			if j.User != "" {
				words += ", " + j.User
			}
		}
		parts = append(parts, words)
	}
	if mk := &in.Mark; mk.Kind != fleet.Unmarked {
		words := mk.Kind.String()
		if mk.By != "" {
			words += " by " + mk.By + " " + m.clock(mk.At)
		}
		if mk.Kind == fleet.Snoozed {
			words += " until " + m.clock(mk.Until)
		}
		parts = append(parts, words)
	}
	if in.KnownBad {
		parts = append(parts, "out of service: somebody knows")
	}
	return strings.Join(parts, " · ")
}

// incidentLog adds what the kernel of the root's node said about the time when it began.
func (m *Model) incidentLog(in *fleet.Incident, w int, lines *[]incidentLine) {
	n := m.index.node(in.Root().Subject.Node)
	if n == nil {
		return
	}
	var log []incidentLine
	for i := range n.Kernel {
		l := &n.Kernel[i]
		if l.Since().Before(in.Since.Add(-logBefore)) || l.Since().After(in.Since.Add(logAfter)) || l.Class.Severity == fleet.Fine && l.Level > 4 {
			continue
		}
		k := severityMark(l.Class.Severity)
		if l.Class.Severity == fleet.Fine {
			k = mark{' ', fg(colDim)}
		}
		for y, part := range wrap(l.Text, max(10, w-14), m.opt.ASCII) {
			when := l.Since().In(m.opt.Location).Format("15:04:05")
			if y > 0 {
				when = "        "
			}
			log = append(log, incidentLine{spans: []span{{"  " + when + " ", fg(colDim)}, {string(k.r) + " ", k.st}, {part, style{}}}, member: noMember})
			k.r = ' '
		}
	}
	if len(log) == 0 {
		return
	}
	*lines = append(*lines, incidentLine{spans: []span{{"kernel log of " + n.Name + " at that time (L: all of it)", fg(colDim)}}, member: noMember, head: true})
	*lines = append(*lines, log[:min(len(log), logLines)]...)
}

// nodesWords names a few nodes, or counts them.
func nodesWords(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return count(len(names), "node") + ": " + strings.Join(names[:most], ", ") + ", …"
}

// drawIncident draws the page of the open incident.
func (m *Model) drawIncident(a area) {
	s := &m.findings.in
	in := m.findings.byID[s.id]
	if in == nil {
		say(a, "this incident is over", "Esc goes back to the findings")
		s.lines, s.seen = 0, a.h
		return
	}
	s.at = max(0, min(s.at, len(in.Members)-1))
	k := incidentMark(in, m.snap.At)
	x := a.text(1, 0, string(k.r)+" "+incidentState(in, m.snap.At), k.st)
	x = a.text(x, 0, " · "+formatAge(m.snap.At.Sub(in.Since)), style{})
	if in.New {
		x = a.text(x, 0, " · new", fg(colAccent).with(bold))
	}
	a.cut(x, 0, a.w-x, "  "+in.ID, fg(colDim))
	a = a.sub(0, 1, a.w, a.h-1)
	lines := m.incidentLines(in, a.w)
	s.lines, s.seen = len(lines), max(0, a.h)
	if s.reveal {
		s.reveal = false
		first, last := -1, -1
		for y := range lines {
			if lines[y].member == s.at {
				if first < 0 {
					first = y
				}
				last = y
			}
		}
		if s.at == 0 {
			first = 0 // with what stands above the findings
		}
		if last >= s.top+s.seen {
			s.top = last - s.seen + 1
		}
		if first < s.top || last-first >= s.seen {
			s.top = max(0, first)
		}
	}
	s.top = max(0, min(s.top, s.lines-s.seen))
	m.drawIncidentLines(a, lines, s.top, s.at)
}

// drawIncidentLines draws lines from one on; the finding at is the selected one, -1 none is.
func (m *Model) drawIncidentLines(a area, lines []incidentLine, top, at int) {
	first := true
	for y := 0; y < a.h && top+y < len(lines); y++ {
		l := &lines[top+y]
		x := 0
		if l.head {
			a.repeat(0, y, a.w, '─', fg(colDim))
			a.text(1, y, "─ ", fg(colDim))
			a.cut(3, y, min(a.w-3, a.width(l.spans[0].text)+1), l.spans[0].text+" ", fg(colStrong))
			continue
		}
		for _, part := range l.spans {
			x = a.text(x, y, part.text, part.st)
		}
		if x > a.w {
			a.text(a.w-1, y, "…", fg(colDim))
		}
		if at >= 0 && l.member == at && first {
			first = false
			a.text(0, y, string(markCursor), fg(colAccent).with(bold))
			a.restyle(0, y, a.w, func(s style) style { return s.on(colCursorBG) })
		}
		if l.member >= 0 && at >= 0 {
			member := l.member
			m.hit(a, y, func() { m.findings.in.at = member })
		}
	}
}

// step moves among the findings, or the page.
func (s *incidentScreen) step(do action, members int) {
	switch do {
	case actUp:
		s.at--
	case actDown:
		s.at++
	case actFirst:
		s.at = 0
	case actLast:
		s.at = members - 1
	case actPageUp:
		s.top = max(0, s.top-max(1, s.seen-1))
		return
	case actPageDown:
		s.top = max(0, min(s.top+max(1, s.seen-1), s.lines-s.seen))
		return
	}
	s.at, s.reveal = max(0, min(s.at, members-1)), true
}

// openMember goes to what the selected finding is about.
func (m *Model) openMember() {
	in := m.incident()
	if in == nil || len(in.Members) == 0 {
		m.notice = "this incident is over"
		return
	}
	f := &in.Members[max(0, min(m.findings.in.at, len(in.Members)-1))]
	switch sub := &f.Subject; {
	case sub.Job != "":
		if m.snap.Job(sub.Job) == nil {
			m.notice = "job " + sub.ID + " is not seen any more"
			return
		}
		m.jobs.clear()
		m.jobs.pending = false
		m.rearrange()
		m.jobs.cursor = sub.Job
		m.openJob()
	case sub.Node != "":
		m.openNode(screenNode, sub.Node, sub.GPU)
		if m.screen == screenNode && sub.GPU >= 0 {
			if n := m.index.node(sub.Node); n != nil && n.State == fleet.Live && sub.GPU < len(n.GPUs) {
				m.showGPU()
			}
		}
	default:
		m.notice = "these are several nodes: choose one below (Down)"
	}
}

// incidentHead draws the incident that a node is in on one line, with words about the page at its end.
func (m *Model) incidentHead(a area, in *fleet.Incident, page string) {
	w := 0
	if page != "" {
		w = a.width(page) + 2
	}
	k := incidentMark(in, m.snap.At)
	x := a.text(1, 0, string(k.r)+" incident "+formatAge(m.snap.At.Sub(in.Since))+" (3) ", k.st)
	a.cut(x, 0, a.w-x-w, in.Title, style{})
	a.text(a.w-w+1, 0, page, fg(colAccent))
}

// findingsTab is the name of the view, with how many incidents in it are new.
func (m *Model) findingsTab() string {
	n := 0
	for i := range m.snap.Incidents {
		if in := &m.snap.Incidents[i]; in.New && !in.Quiet(m.snap.At) {
			n++
		}
	}
	if n == 0 {
		return "3 Findings"
	}
	return "3 Findings (" + strconv.Itoa(n) + " new)"
}

// jobName is a job's id as people know it.
func (m *Model) jobName(key string) string {
	if j := m.snap.Job(key); j != nil && j.ID != "" {
		return j.ID
	}
	return jobID(key)
}
