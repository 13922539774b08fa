package ui

import (
	"slices"
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Sections of a GPU's page, in the order in which Tab goes round them.
const (
	gpuProblems section = iota
	gpuActivity
	gpuMemory
	gpuPower
	gpuTemperature
	gpuClocks
	gpuProcesses
	gpuParts
	gpuErrors
	gpuPCIe
	gpuFabric
	gpuIdentity
	gpuLinks
	gpuCalls
	numGPUSections
)

// gpuSection is one section of a GPU's page.
type gpuSection struct {
	title string
	lines func(v *gpuView, w int) []lineDraw
}

// gpuSections is the table of them.
func gpuSections() [numGPUSections]gpuSection {
	return [numGPUSections]gpuSection{
		gpuProblems:    {"what is wrong", (*gpuView).problems},
		gpuActivity:    {"activity", (*gpuView).activity},
		gpuMemory:      {"memory", (*gpuView).memory},
		gpuPower:       {"power", (*gpuView).power},
		gpuTemperature: {"temperature", (*gpuView).temperature},
		gpuClocks:      {"clocks, and what holds them back", (*gpuView).clocks},
		gpuProcesses:   {"processes", (*gpuView).processes},
		gpuParts:       {"parts", (*gpuView).parts},
		gpuErrors:      {"errors and repairs", (*gpuView).errors},
		gpuPCIe:        {"PCIe", (*gpuView).pcie},
		gpuFabric:      {"fabric", (*gpuView).fabric},
		gpuIdentity:    {"identity and settings", (*gpuView).identity},
		gpuLinks:       {"links", (*gpuView).links},
		gpuCalls:       {"driver calls", (*gpuView).calls},
	}
}

// lineDraw draws one line of a section.
type lineDraw func(a area)

// gpuScreen is the page of one GPU: the one that is selected on the node's page.
type gpuScreen struct {
	page
	who string // what tells it from others, whatever its number is now
}

// gpuView is a GPU as its page shows it.
type gpuView struct {
	m    *Model
	n    *fleet.Node
	g    *fleet.GPU
	slow *fleet.GPUSlow
	d    *fleet.GPUDetail // never nil
	told bool             // d is what the node said; else detail was only asked for
}

// showGPU opens the page of the GPU that is selected.
func (m *Model) showGPU() {
	n := m.index.node(m.node.name)
	g := m.node.gpu(n)
	if g == nil {
		m.notice = "no GPU is known on " + m.node.name
		return
	}
	s := &m.gpu
	if s.who == "" { // the first one: what is dear to read is asked for by hand
		s.folded[gpuCalls] = true
	}
	s.who, s.top, s.focused, s.reveal = gpuIdentityOf(g), 0, gpuProblems, false
	m.push(screenGPU)
}

// stepGPU turns to the GPU beside.
func (m *Model) stepGPU(d int) {
	n := m.index.node(m.node.name)
	g := m.shownGPU(n)
	if g == nil {
		return
	}
	for i := range n.GPUs {
		if n.GPUs[i].Index == g.Index {
			g = &n.GPUs[(i+d+len(n.GPUs))%len(n.GPUs)]
			break
		}
	}
	m.node.selected, m.gpu.who = g.Index, gpuIdentityOf(g)
}

// gpuIdentityOf is what tells a GPU from others of its node for as long as it is there.
func gpuIdentityOf(g *fleet.GPU) string {
	switch {
	case g.Info.Uuid != "":
		return g.Info.Uuid
	case g.Info.Pci != "":
		return g.Info.Pci
	}
	return "GPU " + strconv.Itoa(g.Index)
}

// shownGPU is the GPU that the page is of: its number may have changed since it was opened. nil when it is not there any more.
func (m *Model) shownGPU(n *fleet.Node) *fleet.GPU {
	if n == nil {
		return nil
	}
	for k := range n.GPUs {
		g := &n.GPUs[(k+max(0, m.node.selected))%len(n.GPUs)]
		if gpuIdentityOf(g) == m.gpu.who {
			m.node.selected = g.Index
			return g
		}
	}
	return nil
}

// gpuWidths are the widths from which the page has two columns, and three.
const (
	gpuTwoWide   = 110
	gpuThreeWide = 180
)

// gpuColumnsOf puts the sections into columns: what it does at the left, what wears and how it is joined to others beside it.
func gpuColumnsOf(w int) [][]section {
	all := make([]section, numGPUSections)
	for i := range all {
		all[i] = section(i)
	}
	switch {
	case w >= gpuThreeWide:
		return [][]section{all[:gpuProcesses], all[gpuProcesses:gpuLinks], all[gpuLinks:]}
	case w >= gpuTwoWide:
		return [][]section{all[:gpuProcesses], all[gpuProcesses:]}
	}
	return [][]section{all}
}

// drawGPU draws the GPU's head and as much of its page as there is room for.
func (m *Model) drawGPU(a area) {
	s := &m.gpu
	n := m.index.node(m.node.name)
	if n == nil {
		say(a, m.missing(m.node.name, "watched"), "Esc goes back")
		return
	}
	g := m.shownGPU(n)
	if g == nil {
		say(a, m.missing(s.who, "on "+n.Name), "Esc goes back to what is")
		return
	}
	v := &gpuView{m: m, n: n, g: g, slow: g.Slow, d: g.Detail, told: g.Detail != nil}
	if !v.told {
		v.d = fleet.NoDetail()
	}
	head := 0
	switch {
	case a.h >= 6:
		head = 2
	case a.h > 0:
		head = 1
	}
	var lines [numGPUSections][]lineDraw
	sections := gpuSections()
	s.columns(a.w, gpuColumnsOf(a.w), func(id section, w int) int {
		if lines[id] = sections[id].lines(v, w); lines[id] == nil {
			return noSection
		}
		return len(lines[id])
	})
	if s.at[s.focused].h == 0 {
		s.focus(1)
	}
	s.seen = max(0, a.h-head)
	if s.reveal {
		b := s.at[s.focused]
		s.bring(b.y, b.y+b.h)
	}
	s.clamp()
	v.head(a, head)
	s.draw(m, a.sub(0, head, a.w, s.seen), func(id section) string { return v.title(id) }, func(a area, id section) {
		for y, draw := range lines[id] {
			if a.shows(y) {
				draw(a.sub(0, y, a.w, 1))
			}
		}
	})
}

// head draws up to two lines: which GPU, how it does and who is on it; then its node, and where on the page we are.
func (v *gpuView) head(a area, lines int) {
	if lines == 0 {
		return
	}
	x := a.text(1, 0, v.n.Name+" GPU "+strconv.Itoa(v.g.Index)+"  ", fg(colStrong))
	k, words := v.state()
	x = a.text(x, 0, string(k.r)+" "+words+"  ", k.st)
	if name := v.g.Info.Name + "  "; a.w-x > a.width(name) {
		x = a.text(x, 0, name, style{})
	}
	a.cut(x, 0, a.w-x, v.on(), fg(colDim))
	if lines < 2 {
		return
	}
	parts := []string{v.n.Name + " " + nodeState(v.n, v.m.snap.At)}
	if age := v.n.Age(v.m.snap.At); age >= 0 {
		parts[0] += " " + formatAge(age)
	}
	for _, s := range []string{v.g.Info.Pci, v.g.Info.Uuid} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	w, place := 0, v.m.gpu.words()
	if place != "" {
		w = a.width(place) + 2
	}
	a.cut(1, 1, a.w-1-w, strings.Join(parts, " · "), fg(colDim))
	a.text(a.w-w+1, 1, place, fg(colAccent))
}

// state is how the GPU does: its worst problem, or that there is none. Of a node that does not answer nothing is known.
func (v *gpuView) state() (mark, string) {
	if words := gpuTrouble(v.n, v.g); words != "" {
		if v.n.State != fleet.Live && v.n.State != fleet.Stale {
			return mark{markUnknown, fg(colStale)}, words
		}
		return mark{markCritical, fg(colCrit)}, v.short(words)
	}
	p := problemOf(v.n, v.g.Index)
	switch {
	case v.n.State == fleet.Stale, v.g.Stale > 0:
		return mark{markStale, fg(colStale)}, "last values"
	case p != nil:
		return severityMark(p.Severity), v.short(p.Text)
	case !v.g.IdleSince.IsZero():
		return mark{markIdle, style{}}, "held, and idle for " + formatShort(v.m.snap.At.Sub(v.g.IdleSince))
	}
	return mark{markFine, fg(colGood)}, "no problem seen"
}

// short leaves the GPU's own number out of words that begin with it.
func (v *gpuView) short(words string) string {
	return strings.TrimPrefix(words, "GPU"+strconv.Itoa(v.g.Index)+" ")
}

// problems are all that name the GPU, with since when.
func (v *gpuView) problems(w int) []lineDraw {
	var lines []lineDraw
	for i := range v.n.Problems {
		p := &v.n.Problems[i]
		if p.GPU != v.g.Index {
			continue
		}
		k, when := severityMark(p.Severity), ""
		if !p.Since.IsZero() {
			when = p.Since.In(v.m.opt.Location).Format("15:04:05") + " "
		}
		for j, part := range wrap(when+v.short(p.Text), max(10, w-4), v.m.opt.ASCII) {
			lines = append(lines, func(a area) {
				if j == 0 {
					a.text(1, 0, string(k.r), k.st)
				}
				a.cut(tableIndent, 0, a.w-tableIndent, part, k.st)
			})
		}
	}
	return lines // none: then there is no such section
}

// on says who is on the GPU.
func (v *gpuView) on() string {
	switch n := len(v.g.Holders); {
	case n == 0:
		return "free"
	case n > 1:
		return count(n, "process") + " on it"
	}
	h := &v.g.Holders[0]
	words := "pid " + strconv.Itoa(int(h.PID))
	if h.Rank >= 0 {
		words = "rank " + strconv.Itoa(h.Rank) + " of " + jobID(h.Job) + ", " + words
	}
	return words
}

// title is a section's title, with what of it is told in a word.
func (v *gpuView) title(id section) string {
	title := gpuSections()[id].title
	switch id {
	case gpuParts:
		if parts := v.n.PartsOf(v.g.Index); len(parts) > 0 {
			return "parts: " + manyParts(parts)
		}
	case gpuLinks:
		return v.linksTitle()
	case gpuCalls:
		return v.callsTitle()
	}
	return title
}

// nothing is the one line of a section of which nothing is known, and why that is.
func (v *gpuView) nothing(what string) []lineDraw {
	words := what + ": not told by this kind of accelerator"
	switch {
	case v.n.State != fleet.Live && v.n.State != fleet.Stale:
		words = "not known: the node is " + v.n.State.String()
	case v.g.Status > telemetry.GPUOK:
		words = "not known: it is " + gpuStatus(v.g)
	case !v.told && v.m.away():
		words = "not known of that moment: it is asked for only while somebody looks at the node"
	case !v.told:
		words = "asked for, not told yet"
	case v.sourceFails():
		words = what + ": not checked, its source does not work: see the node's sources"
	}
	return []lineDraw{func(a area) { a.cut(tableIndent, 0, a.w-tableIndent, words, fg(colDim)) }}
}

// past says that something is known of what a quantity was like: of a GPU that is lost, that is all there is.
func (v *gpuView) past(series fleet.SeriesID) bool {
	return slices.ContainsFunc(v.m.node.curve(v.g.Index, series), func(x float64) bool { return x == x })
}

// meters are meter lines of which at least one says something, now or of the past, and facts under them where any is known; else the one line of nothing.
func (v *gpuView) meters(what string, w int, list []fact, meters ...meter) []lineDraw {
	now, past := known(list), false
	var lines []lineDraw
	for _, m := range meters {
		now = now || m.share.Known() || m.words != absent
		past = past || m.series < noSeries && v.past(m.series)
		lines = append(lines, v.meterLine(m))
	}
	switch {
	case !now && !past:
		return v.nothing(what)
	case !now:
		return append(lines, v.nothing(what)...)
	case known(list):
		return append(lines, factLines(w, list)...)
	}
	return lines
}

// sourceFails says that what reads this kind of accelerator does not work.
func (v *gpuView) sourceFails() bool {
	s := nodeSource(v.n, v.g.Info.Vendor)
	return s != nil && s.State != facts.SourceState_SOURCE_OK && s.State != facts.SourceState_SOURCE_UNKNOWN
}
