package ui

import (
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

// findingsScreen is the table of incidents: those that ask for somebody, the worst first; under it what is known of the selected one.
type findingsScreen struct {
	list
	chooser[*fleet.Incident]
	byID    map[string]*fleet.Incident
	placed  []placed
	page    int
	quiet   bool // those that ask for nobody are shown too
	hidden  quietCount
	looking bool // it is on screen, or what was opened from it
	snooze  snoozed
	trouble string // why what is said does not last
	in      incidentScreen
}

// quietCount counts the incidents that ask for nobody, by why.
type quietCount struct{ acknowledged, snoozed, denied, known, over int }

func (q *quietCount) add(in *fleet.Incident, at time.Time) {
	switch {
	case in.Mark.Kind == fleet.FalseAlarm:
		q.denied++
	case !in.Until.IsZero():
		q.over++
	case in.Mark.Kind == fleet.Acknowledged:
		q.acknowledged++
	case in.Mark.Hides(at):
		q.snoozed++
	default:
		q.known++
	}
}

// words are "2 acknowledged · 1 over"; "" there are none.
func (q *quietCount) words() string {
	var words []string
	for _, c := range []struct {
		n    int
		what string
	}{{q.acknowledged, "acknowledged"}, {q.snoozed, "snoozed"}, {q.known, "out of service"}, {q.denied, "false alarm"}, {q.over, "over"}} {
		if c.n > 0 {
			words = append(words, strconv.Itoa(c.n)+" "+c.what)
		}
	}
	return strings.Join(words, " · ")
}

// incidentColumns are the columns of the table. Its order is the fleet's.
func incidentColumns() []column {
	return []column{
		{id: "new", title: "", width: 3},
		{id: "state", title: "STATE", width: 14, ideal: 18, drop: 3},
		{id: "age", title: "FOR", width: 5, right: true},
		{id: "what", title: "WHAT, THE PROBABLE ROOT FIRST", width: 42, ideal: 90, rest: true},
		{id: "nodes", title: "NODES", width: 5, right: true, drop: 8},
		{id: "jobs", title: "JOBS", width: 8, ideal: 12, drop: 7},
		{id: "before", title: "BEFORE", width: 6, right: true, drop: 9},
	}
}

// incidentFields are what a filter of the incidents can name.
func incidentFields() []field[*fleet.Incident] {
	member := func(holds func(*fleet.Finding, *match) bool) func(*fleet.Incident, *match) bool {
		return func(in *fleet.Incident, m *match) bool {
			for i := range in.Members {
				if holds(&in.Members[i], m) {
					return true
				}
			}
			return false
		}
	}
	return []field[*fleet.Incident]{
		{"what", wordField, func(in *fleet.Incident, m *match) bool { return m.word(in.Title) }, true},
		{"text", wordField, member(func(f *fleet.Finding, m *match) bool { return m.word(f.Text) }), true},
		{"node", wordField, func(in *fleet.Incident, m *match) bool { return anyOf(in.Nodes, m.word) }, true},
		{"job", wordField, func(in *fleet.Incident, m *match) bool {
			return anyOf(in.Jobs, func(k string) bool { return matchJob(m, k) })
		}, true},
		{"uuid", wordField, member(func(f *fleet.Finding, m *match) bool { return m.word(f.Subject.UUID) }), true},
		{"rule", wordField, member(func(f *fleet.Finding, m *match) bool { return m.word(f.Rule) }), true},
		{"cause", wordField, func(in *fleet.Incident, m *match) bool { return m.word(in.Root().Cause.String()) }, false},
		{"problem", wordField, func(in *fleet.Incident, m *match) bool { return m.word(in.Severity.String()) }, false},
		{"place", wordField, func(in *fleet.Incident, m *match) bool { return m.word(in.Fold) }, true},
		{"mark", wordField, func(in *fleet.Incident, m *match) bool { return m.word(in.Mark.Kind.String()) }, false},
		{"nodes", numberField, func(in *fleet.Incident, m *match) bool { return m.num(fleet.Reading(len(in.Nodes))) }, false},
		{"jobs", numberField, func(in *fleet.Incident, m *match) bool { return m.num(fleet.Reading(len(in.Jobs))) }, false},
		{"before", numberField, func(in *fleet.Incident, m *match) bool { return m.num(fleet.Reading(len(in.Root().Past))) }, false},
	}
}

// refresh takes over a snapshot; force puts the rows in the fleet's order whatever the cursor does.
func (s *findingsScreen) refresh(snap *fleet.Snapshot, touched time.Time, force bool) {
	s.byID = make(map[string]*fleet.Incident, len(snap.Incidents))
	s.hidden = quietCount{}
	rows := make([]string, 0, len(snap.Incidents))
	for i := range snap.Incidents {
		in := &snap.Incidents[i]
		s.byID[in.ID] = in
		if in.Quiet(snap.At) {
			s.hidden.add(in, snap.At)
			if !s.quiet && len(s.filter.terms) == 0 {
				continue
			}
		}
		if s.problems && in.Severity < fleet.Critical || !s.filter.holds(in) {
			continue
		}
		rows = append(rows, in.ID)
	}
	s.arrange(rows, force || s.mayResort(snap.At, touched), snap.At)
}

// incident is the one that the keyboard is at; nil there is none.
func (m *Model) incident() *fleet.Incident {
	if m.screen == screenIncident {
		return m.findings.byID[m.findings.in.id]
	}
	return m.findings.byID[m.findings.selected()]
}

// chosenIncidents are the tagged ones, else the one that the keyboard is at.
func (m *Model) chosenIncidents() (list []*fleet.Incident) {
	if m.screen == screenFindings && len(m.findings.tagged) > 0 {
		for _, id := range m.findings.tags() {
			if in := m.findings.byID[id]; in != nil {
				list = append(list, in)
			}
		}
		return list
	}
	if in := m.incident(); in != nil {
		list = append(list, in)
	}
	return list
}

// openFindings shows the incidents; from a node, a GPU or a job with the cursor on its own.
func (m *Model) openFindings() {
	var in *fleet.Incident
	switch m.screen {
	case screenNode, screenGPU, screenKernel:
		in = m.incidentOfNode(m.node.name)
	case screenJob, screenLog:
		if j := m.jobs.selectedJob(); j != nil {
			in = m.incidentOfJob(j.Key)
		}
	}
	m.view(screenFindings)
	if m.snap == nil {
		return
	}
	if in != nil && in.Quiet(m.snap.At) {
		m.findings.quiet = true
	}
	m.findings.refresh(m.snap, m.touched, true)
	if in != nil {
		m.findings.cursor = in.ID
	}
}

// incidentOfNode is the first incident that a node is in: those come first that ask for somebody.
func (m *Model) incidentOfNode(name string) *fleet.Incident {
	for i := range m.snap.Incidents {
		if in := &m.snap.Incidents[i]; in.Until.IsZero() && in.Mark.Kind != fleet.FalseAlarm && anyOf(in.Nodes, func(n string) bool { return n == name }) {
			return in
		}
	}
	return nil
}

// incidentOfJob is the same of a job.
func (m *Model) incidentOfJob(key string) *fleet.Incident {
	for i := range m.snap.Incidents {
		if in := &m.snap.Incidents[i]; in.Until.IsZero() && in.Mark.Kind != fleet.FalseAlarm && anyOf(in.Jobs, func(k string) bool { return k == key }) {
			return in
		}
	}
	return nil
}

// drawFindings draws the table, and under it the selected incident.
func (m *Model) drawFindings(a area) {
	s := &m.findings
	s.placed = placeColumns(incidentColumns(), a.w)
	foot := m.findingsFoot()
	if foot != "" && a.h > 3 {
		a.cut(tableIndent, a.h-1, a.w-tableIndent, foot, fg(colDim))
		a = a.sub(0, 0, a.w, a.h-1)
	}
	table := a.h
	if a.h >= 12 && len(s.keys) > 0 {
		table = max(4, min(len(s.keys)+1, a.h-max(6, a.h*55/100)))
	}
	y := 0
	if a.h > 2 {
		drawHeader(a, 0, s.placed, "", false)
		y = 1
	}
	s.page = max(1, table-y)
	if len(s.keys) == 0 {
		m.emptyFindings(a.sub(0, y, a.w, a.h-y))
		return
	}
	top, at := s.scroll(table-y), s.list.index()
	for i := top; i < len(s.keys) && y < table; i, y = i+1, y+1 {
		in := s.byID[s.keys[i]]
		if in == nil {
			continue
		}
		drawRow(a, y, s.placed, i == at, s.tagged[in.ID], true, func(box area, p *placed) { m.incidentCell(box, p, in) })
		m.hit(a, y, func() { s.moveTo(i) })
	}
	if in := s.byID[s.selected()]; in != nil && a.h > table+1 {
		box := a.sub(0, table, a.w, a.h-table)
		box.repeat(0, 0, a.w, '─', fg(colDim))
		box.text(2, 0, " "+incidentState(in, m.snap.At)+" ", incidentMark(in, m.snap.At).st)
		m.drawIncidentLines(box.sub(0, 1, a.w, box.h-1), m.incidentLines(in, a.w), 0, -1)
	}
}

// findingsFoot says what is folded away, and what is wrong with what is said here.
func (m *Model) findingsFoot() string {
	s := &m.findings
	foot := s.hidden.words()
	switch {
	case foot == "":
	case len(s.filter.terms) > 0:
		foot = "of all: " + foot
	case s.quiet:
		foot = "of these " + foot + " (t folds them away)"
	default:
		foot = "folded away: " + foot + " (t shows them)"
	}
	if s.trouble != "" {
		foot = strings.TrimPrefix(foot+" · "+s.trouble, " · ")
	}
	return foot
}

func (m *Model) emptyFindings(a area) {
	s := &m.findings
	live := m.snap.Totals.ByState[fleet.Live]
	switch {
	case s.active() && len(s.byID) > 0:
		say(a, "no incident is chosen by "+strings.TrimSpace(s.words()), `\ shows all `+count(len(s.byID), "incident"))
	case len(s.byID) > 0:
		say(a, "nothing asks for anybody", "t shows what is folded away")
	case live == 0:
		say(a, "nothing is checked: no node is live", "2 shows the nodes, and why")
	case live < len(m.snap.Nodes):
		say(a, "nothing was found on the "+count(live, "live node")+"; the other "+strconv.Itoa(len(m.snap.Nodes)-live)+" are not checked", "2 shows the nodes, and why")
	default:
		say(a, "nothing was found on "+count(live, "node"), "what could not be looked at is not checked: 2 shows the nodes")
	}
}

func (m *Model) incidentCell(a area, p *placed, in *fleet.Incident) {
	k, at := incidentMark(in, m.snap.At), m.snap.At
	num := func(n int) {
		st := style{}
		if n == 0 {
			st = fg(colDim)
		}
		a.right(0, 0, p.cells, strconv.Itoa(n), st)
	}
	switch p.id {
	case "new":
		if in.New {
			a.cut(0, 0, p.cells, "new", fg(colAccent).with(bold))
		}
	case "state":
		a.text(0, 0, string(k.r), k.st)
		a.cut(2, 0, p.cells-2, incidentState(in, at), k.st)
	case "age":
		a.right(0, 0, p.cells, formatAge(at.Sub(in.Since)), style{})
	case "what":
		st := style{}
		if in.Quiet(at) {
			st = fg(colDim)
		}
		if !hasColumn(m.findings.placed, "state") { // its shape at least
			a.text(0, 0, string(k.r), k.st)
			a = a.sub(2, 0, p.cells-2, 1)
		}
		a.cut(0, 0, a.w, in.Title, st)
	case "nodes":
		num(len(in.Nodes))
	case "jobs":
		ids := make([]string, len(in.Jobs))
		for i, key := range in.Jobs {
			ids[i] = m.jobName(key)
		}
		if len(ids) == 0 {
			a.cut(0, 0, p.cells, absent, fg(colDim))
			return
		}
		a.cut(0, 0, p.cells, strings.Join(ids, ","), style{})
	case "before":
		num(len(in.Root().Past))
	}
}

func hasColumn(columns []placed, id string) bool {
	return anyOf(columns, func(p placed) bool { return p.id == id })
}

// incidentMark is the shape of an incident: of one that asks for nobody a quiet one.
func incidentMark(in *fleet.Incident, at time.Time) mark {
	switch {
	case !in.Until.IsZero():
		return mark{markIdle, fg(colDim)}
	case in.Quiet(at):
		return mark{markNotice, fg(colDim)}
	}
	return severityMark(in.Severity)
}

// incidentState is what an incident is in words: how bad it is, or why it asks for nobody.
func incidentState(in *fleet.Incident, at time.Time) string {
	switch {
	case in.Mark.Kind == fleet.FalseAlarm:
		return "false alarm"
	case !in.Until.IsZero():
		return "over " + formatShort(at.Sub(in.Until))
	case in.Mark.Kind == fleet.Acknowledged:
		return "seen, " + in.Mark.By
	case in.Mark.Hides(at):
		return "snoozed " + formatShort(in.Mark.Until.Sub(at))
	case in.KnownBad:
		return "known bad"
	}
	return in.Severity.String()
}
