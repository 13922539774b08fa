package ui

import (
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/jobs/layout"
)

// drawJobs draws the home screen: the table, and the grid where there is room for one.
func (m *Model) drawJobs(a area) {
	table, grid := splitJobs(a.h, len(m.jobs.keys))
	if len(m.snap.Nodes) == 0 || m.jobs.pending {
		table, grid = a.h, 0
	}
	m.syncGrid()
	if more := len(m.jobs.keys) + 1 - table; grid > 0 && more > 0 {
		more = min(more, grid-m.gridNeeds(a.w, grid))
		table, grid = table+more, grid-more
	}
	m.drawJobTable(a.sub(0, 0, a.w, table))
	if grid > 0 {
		m.drawGrid(a.sub(0, table, a.w, grid), m.jobs.inGrid)
	} else {
		m.jobs.view.shape = gridShape{}
	}
}

// gridNeeds is how many of h lines the grid and its rule use: the table may have the rest.
func (m *Model) gridNeeds(w, h int) int {
	v := &m.jobs.view
	v.ranks = m.screen == screenJob
	if len(v.rows) == 0 || v.cols == 0 {
		return min(h, gridLeast)
	}
	s := v.shapeIn(w-1, h-1, m.theme.color && !m.opt.ASCII)
	return min(h, max(gridLeast, s.height()+1))
}

// gridLeast is how many lines the grid and its rule keep, however few they use.
const gridLeast = 6

// splitJobs shares h lines between the table of n jobs, with its heading, and the grid under it, with its rule: a grid of fewer lines than five tells
// nothing.
func splitJobs(h, n int) (table, grid int) {
	if h < 10 {
		return h, 0
	}
	rows := min(max(n, 3), max(3, h-2-max(6, h*55/100)))
	return rows + 1, h - rows - 1
}

// missingRanks says which ranks are not seen: "8 ranks not seen: 8-15".
func missingRanks(j *fleet.Job) string {
	if j.MissingN == 0 {
		return ""
	}
	s := count(j.MissingN, "rank") + " not seen: " + ranges(j.Missing)
	if j.MissingN > len(j.Missing) {
		s += ",…"
	}
	return s
}

// syncGrid makes the grid that of the selected job; without any job, that of the whole fleet.
func (m *Model) syncGrid() {
	s := &m.jobs
	j := s.selectedJob()
	key := ""
	if j != nil {
		key = j.Key
	}
	if key != s.shown && s.gone == "" {
		s.shown, s.view.moved, s.view.top = key, false, 0
	}
	var l *layout.Layout
	if j != nil {
		l, _ = s.layouts.of(j)
	}
	s.view.build(m.snap, j, l, s.byLayout && canPlan(l, j), m.metric.def(), m.index.state)
}

// drawGrid draws the grid, and over it the rule that names it.
func (m *Model) drawGrid(a area, focused bool) {
	v := &m.jobs.view
	j := m.jobs.selectedJob()
	body := a.sub(1, 1, a.w-1, a.h-1)
	v.ranks = m.screen == screenJob
	switch {
	case len(v.rows) == 0 || v.cols == 0 && j == nil:
		say(body, "no GPU is known on these nodes", "2 shows the nodes and what their sources say")
		v.shape = gridShape{}
	case v.cols == 0:
		say(body, "this job holds no GPU", "2 shows its nodes")
		v.shape = gridShape{}
	default:
		v.draw(body, &m.theme, m.metric, focused)
		m.gridBox = body
	}
	m.gridRule(a, j, focused)
}

func (m *Model) gridRule(a area, j *fleet.Job, focused bool) {
	a.repeat(0, 0, a.w, '─', fg(colDim))
	title, how, st := "all GPUs", "", fg(colStrong)
	if j != nil {
		title = strings.TrimSpace(j.ID + " " + j.Name)
		how = j.Framework
		if missing := missingRanks(j); missing != "" {
			how = strings.TrimPrefix(how+" · "+missing, " · ")
		}
	}
	if focused {
		title = string(markCursor) + " " + title
	}
	right := " " + m.metric.def().title + " (m) "
	legend := m.legendWidth()
	at := max(2, a.w-a.width(right)-legend-1)
	x := 2
	for _, part := range []span{{m.moreJobs(), fg(colAccent)}, {title, st}, {how, style{}}, {m.jobs.view.words(), fg(colDim)}} {
		if n := a.width(part.text) + 2; part.text != "" && x+n < at {
			x = a.text(x, 0, " "+part.text+" ", part.st) + 2
		}
	}
	a.text(at, 0, right, fg(colAccent))
	m.legend(a.sub(at+a.width(right), 0, legend, 1))
}

// moreJobs says that the table over the grid has more rows than are seen: "14 of 16 ↓".
func (m *Model) moreJobs() string {
	s := &m.jobs
	n := len(s.keys)
	if m.screen != screenJobs || n <= s.page {
		return ""
	}
	last := min(n, s.top+s.page)
	words := strconv.Itoa(last) + " of " + strconv.Itoa(n)
	if s.top > 0 {
		words = strconv.Itoa(s.top+1) + "–" + words + " ↑"
		if last < n {
			words += "↓"
		}
		return words
	}
	return words + " ↓"
}

// legendWidth is the room that the scale of colours takes.
func (m *Model) legendWidth() int {
	if m.theme.levels == 0 || m.width < 60 {
		return 0
	}
	d := m.metric.def()
	return 3 + len(formatWhole(d.from)) + len(formatWhole(d.to)) + 2*m.theme.levels
}

// legend draws the scale of colours from its lowest to its highest value.
func (m *Model) legend(a area) {
	if a.w == 0 {
		return
	}
	d := m.metric.def()
	x := a.text(0, 0, formatWhole(d.from)+" ", fg(colDim))
	for i := range m.theme.levels {
		x = a.text(x, 0, "  ", style{bg: colRamp + color(i)})
	}
	a.text(x, 0, " "+formatWhole(d.to)+" ", fg(colDim))
}

// step moves the cursor of a grid.
func (v *gridView) step(do action) {
	if len(v.rows) == 0 {
		return
	}
	switch do {
	case actUp:
		v.move(0, -1)
	case actDown:
		v.move(0, 1)
	case actLeft:
		v.move(-1, 0)
	case actRight:
		v.move(1, 0)
	case actPageUp:
		v.move(0, -max(1, v.shape.window))
	case actPageDown:
		v.move(0, max(1, v.shape.window))
	case actFirst:
		v.put(spot{})
	case actLast:
		v.put(spot{len(v.rows) - 1, max(0, len(v.rows[len(v.rows)-1].refs)-1)})
	}
}

// nodeName is the node of the selected GPU; "" when there is none.
func (v *gridView) nodeName() string {
	s := v.cursor()
	if s.row < 0 || s.row >= len(v.rows) {
		return ""
	}
	if ref := v.at(s); ref != nil {
		return ref.Node
	}
	return v.rows[s.row].node
}
