package ui

import (
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

// markMoment stands on the time bar where we are.
const markMoment = '█'

// barLeast is how many cells the bar has at least: before that, words about it give way.
const barLeast = 24

// momentWords is a moment as it is told on screen: the time of day in the configured zone, with the date where that is another than today's.
func (m *Model) momentWords(at time.Time) string {
	return clockWords(at, m.today(), m.opt.Location)
}

// clockWords is the time of day, with the date where it is not that of now, and the year where that is another.
func clockWords(at, now time.Time, zone *time.Location) string {
	at, now = at.In(zone), now.In(zone)
	switch {
	case now.IsZero(), at.YearDay() == now.YearDay() && at.Year() == now.Year():
		return at.Format("15:04:05")
	case at.Year() == now.Year():
		return at.Format("Jan 2 15:04:05")
	}
	return at.Format("2006 Jan 2 15:04:05")
}

// today is now, as far as is known: the latest picture's time; of a recording when it was last read.
func (m *Model) today() time.Time {
	switch {
	case m.opt.Replay && m.opt.Past != nil:
		return m.travel.kept.now
	case m.latest != nil:
		return m.latest.At
	}
	return time.Time{}
}

// agoWords says how long ago a moment was, to the second: "2m30s ago".
func (m *Model) agoWords(at time.Time) string {
	return formatPast(m.today().Sub(at)) + " ago"
}

// formatPast is how long something lasted, to the second below an hour: "8s", "2m30s", "1h02m", "2d4h".
func formatPast(d time.Duration) string {
	d = max(0, d).Round(time.Second)
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m" + twoDigits(int(d/time.Second)%60) + "s"
	case d < 24*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h" + twoDigits(int(d/time.Minute)%60) + "m"
	}
	return formatLong(d)
}

func twoDigits(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// markWords tells of a finding: its shape, when it began, which it is of how many, how many more began then, and what it is.
func (m *Model) markWords(k *kept, i int) string {
	p := &k.marks[i]
	nth, all, more := 0, 0, -1
	for j := range k.marks {
		q := &k.marks[j]
		if q.At.Before(k.from) || q.At.After(k.to) {
			continue
		}
		if all++; j <= i {
			nth = all
		}
		if q.At.Equal(p.At) {
			more++
		}
	}
	words := string(severityMark(p.Severity).r) + " " + m.momentWords(p.At) + " finding " + strconv.Itoa(nth) + " of " + strconv.Itoa(all)
	if more > 0 {
		words += " (and " + strconv.Itoa(more) + " more then)"
	}
	return words + ": " + p.Text
}

// barPlan says where the parts of the time bar are: a pure function of the room and of what there is to say.
type barPlan struct {
	bar, cells int  // the bar with its ends; cells is what lies between them
	ends       bool // its first and its last moment stand beside it
	words, n   int  // what is kept, in n cells; 0: no room
}

// planBar shares w cells. The moment, of left cells, is there in any case; the bar comes next, then what is kept, then its ends' times.
func planBar(w, left, words, ends int) barPlan {
	p := barPlan{bar: left + 2}
	room := w - 1 - p.bar
	if room < 6 {
		return barPlan{}
	}
	p.n = min(words, room-4-barLeast)
	if p.n < 10 && p.n < words {
		p.n = 0
	}
	if p.n > 0 {
		room -= p.n + 2
		p.words = w - p.n
	}
	if p.ends = room >= barLeast+16+ends; p.ends {
		room -= ends
	}
	p.cells = room - 2
	return p
}

// barCell is the cell of a moment.
func barCell(at, from, to time.Time, cells int) int {
	whole := to.Sub(from)
	if whole <= 0 || cells < 2 {
		return max(0, cells-1)
	}
	share := float64(at.Sub(from)) / float64(whole)
	return max(0, min(cells-1, int(share*float64(cells-1)+0.5)))
}

// barMoment is the moment of a cell.
func barMoment(cell int, from, to time.Time, cells int) time.Time {
	if cells < 2 {
		return to
	}
	return from.Add(time.Duration(float64(to.Sub(from)) * float64(cell) / float64(cells-1))).Truncate(time.Second)
}

// barMarks is the worst finding that began in each cell; Fine where none did.
func barMarks(k *kept, cells int) []fleet.Severity {
	out := make([]fleet.Severity, max(0, cells))
	for i := range k.marks {
		p := &k.marks[i]
		if p.At.Before(k.from) || p.At.After(k.to) || cells <= 0 {
			continue
		}
		c := barCell(p.At, k.from, k.to, cells)
		out[c] = max(out[c], p.Severity)
	}
	return out
}

// hasBar says that the time bar stands on screen. Questions are about now, whatever else is shown.
func (m *Model) hasBar() bool {
	return m.travels() && m.screen != screenAct && m.screen != screenAsk
}

// barLeft is what stands before the bar: the moment, how long ago it was, and of a recording how far into it that is.
func (m *Model) barLeft(w int) string {
	at := m.heading()
	if at.IsZero() {
		return ""
	}
	words := m.momentWords(at) + "  " + m.agoWords(at)
	if k := &m.travel.kept; m.opt.Replay && w >= 100 {
		words += "  " + formatPast(at.Sub(k.from)) + " of " + formatPast(k.to.Sub(k.from))
	}
	return words
}

// drawTimeBar draws what is kept of the past, the findings in it, and where we are.
func (m *Model) drawTimeBar(a area) {
	m.barBox, m.barCells = area{}, 0
	k := &m.travel.kept
	left := m.barLeft(a.w)
	switch {
	case !m.travel.told:
		a.cut(1, 0, a.w-1, strings.TrimSpace(left+"  being asked what is kept"), fg(colDim))
		return
	case !k.ok:
		a.cut(1, 0, a.w-1, strings.TrimSpace(left+"  "+m.nothingKept()), fg(colDim))
		return
	}
	at := m.heading()
	words := k.words
	if words != "" && !m.opt.Replay {
		words = "kept: " + words
	}
	first, last := m.momentWords(k.from), m.momentWords(k.to)
	p := planBar(a.w, a.width(left), a.width(words), a.width(first)+a.width(last)+2)
	st := fg(colStrong).with(bold)
	if !m.travel.want.IsZero() { // on its way: the title's clock says what is on screen yet
		st = fg(colStrong)
	}
	if end := a.text(1, 0, left, st); !m.travel.want.IsZero() {
		a.text(end, 0, "…", fg(colDim))
	}
	if p.n > 0 {
		a.cut(p.words, 0, p.n, words, fg(colDim))
	}
	if p.cells < 4 {
		return
	}
	x := p.bar + 1
	if p.ends {
		x = a.text(x, 0, first+" ", fg(colDim))
	}
	a.text(x, 0, "├", fg(colDim))
	a.text(x+1+p.cells, 0, "┤", fg(colDim))
	if p.ends {
		a.text(x+2+p.cells, 0, " "+last, fg(colDim))
	}
	box := a.sub(x+1, 0, p.cells, 1)
	m.barBox, m.barCells = box, p.cells
	box.repeat(0, 0, p.cells, '─', fg(colDim))
	marks := barMarks(k, p.cells)
	for c, severity := range marks {
		if severity > fleet.Fine {
			k := severityMark(severity)
			box.text(c, 0, string(k.r), k.st)
		}
	}
	here := barCell(at, k.from, k.to, p.cells)
	if marks[here] > fleet.Fine { // the finding stays to be seen; where there is no colour, so does where we are
		box.restyle(here, 0, here+1, func(s style) style { return s.with(reverse) })
		if here > 0 && marks[here-1] <= fleet.Fine {
			box.text(here-1, 0, string(markCursor), fg(colAccent).with(bold))
		} else if here+1 < p.cells && marks[here+1] <= fleet.Fine {
			box.text(here+1, 0, "‹", fg(colAccent).with(bold))
		}
		return
	}
	box.text(here, 0, string(markMoment), fg(colAccent).with(bold))
}

// barClick goes to the moment that was clicked on.
func (m *Model) barClick(x, y int) bool {
	b := m.barBox
	if m.barCells < 2 || y != b.y || x < b.x || x >= b.x+m.barCells || !m.hasBar() || !m.travel.told {
		return false
	}
	m.goTo(barMoment(x-b.x, m.travel.kept.from, m.travel.kept.to, m.barCells), true)
	return true
}
