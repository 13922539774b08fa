package ui

import "strconv"

// section is a part of a page that can be folded: a place in the page's own list.
type section uint8

// maxSections bounds how many sections a page may have.
const maxSections = 16

// box is a place on the page.
type box struct{ x, y, w, h int }

// page is a screen of sections that scrolls.
type page struct {
	focused section
	folded  [maxSections]bool
	top     int  // first line of the page on screen
	reveal  bool // bring the focused section into sight when next drawn
	// As last drawn: where each section is on the page, 0 high for none, how long the page is and how much of it is seen.
	at           [maxSections]box
	length, seen int
}

// focus goes on to another section, folded or not, and brings it into sight.
func (p *page) focus(d int) {
	for range maxSections {
		p.focused = section((int(p.focused) + d + maxSections) % maxSections)
		if p.at[p.focused].h > 0 {
			break
		}
	}
	p.reveal = true
}

func (p *page) fold() {
	p.folded[p.focused] = !p.folded[p.focused]
	p.reveal = true
}

// scroll moves what is seen of the page.
func (p *page) scroll(do action) {
	switch do {
	case actUp:
		p.top--
	case actDown:
		p.top++
	case actPageUp:
		p.top -= max(1, p.seen-1)
	case actPageDown:
		p.top += max(1, p.seen-1)
	case actFirst:
		p.top = 0
	case actLast:
		p.top = p.length
	}
	p.clamp()
}

func (p *page) clamp() { p.top = max(0, min(p.top, p.length-p.seen)) }

// words say which part of the page is seen, when not all of it is.
func (p *page) words() string {
	if p.length <= p.seen || p.seen == 0 {
		return ""
	}
	return "lines " + strconv.Itoa(p.top+1) + "–" + strconv.Itoa(min(p.top+p.seen, p.length)) + " of " + strconv.Itoa(p.length)
}

// bring scrolls as little as need be so that lines from…to are seen, or the first of them.
func (p *page) bring(from, to int) {
	p.reveal = false
	if to > p.top+p.seen {
		p.top = to - p.seen
	}
	if from < p.top || to-from > p.seen {
		p.top = from
	}
}

// noSection is what a section says that has nothing to be there for.
const noSection = -1

// stack puts sections one below another, rows of them that stand side by side, as wide as what they share; a section that is not there has no rows.
func (p *page) stack(w int, rows [][]section, lines func(id section, w int) int) {
	p.at, p.length = [maxSections]box{}, 0
	for _, row := range rows {
		cells, tallest := w/len(row), 0
		for i, id := range row {
			b := box{x: i * cells, y: p.length, w: cells, h: 1}
			if i == len(row)-1 {
				b.w = w - b.x
			} else {
				b.w--
			}
			if !p.folded[id] {
				b.h += lines(id, b.w)
			}
			p.at[id] = b
			tallest = max(tallest, b.h)
		}
		p.length += tallest
	}
}

// columns puts sections into columns of equal width, each filled from above.
func (p *page) columns(w int, columns [][]section, lines func(id section, w int) int) {
	p.at, p.length = [maxSections]box{}, 0
	cells := w / len(columns)
	for i, column := range columns {
		b := box{x: i * cells, w: cells - 1}
		if i == len(columns)-1 {
			b.w = w - b.x
		}
		for _, id := range column {
			n := lines(id, b.w)
			if n == noSection {
				continue
			}
			if b.h = 1 + n; p.folded[id] {
				b.h = 1
			}
			p.at[id] = b
			b.y += b.h
		}
		p.length = max(p.length, b.y)
	}
}

// draw draws the rules of the sections that are seen, and through body what is under them. title is a section's as it is now.
func (p *page) draw(m *Model, view area, title func(section) string, body func(a area, id section)) {
	for i := range p.at {
		id, b := section(i), p.at[i]
		if b.h == 0 || b.y-p.top >= p.seen || b.y+b.h <= p.top {
			continue
		}
		a := view.sub(b.x, b.y-p.top, b.w, b.h)
		p.rule(m, a, id, title(id))
		if !p.folded[id] {
			body(a.sub(0, 1, a.w, a.h-1), id)
		}
	}
}

// rule draws the line above a section. A click on it gives it the focus; one on that which has it folds it.
func (p *page) rule(m *Model, a area, id section, title string) {
	st, mark := fg(colDim), "─ "
	if p.folded[id] {
		title += " (folded: t)"
	}
	if p.focused == id {
		st, mark = fg(colStrong).with(bold), string(markCursor)+" "
	}
	a.repeat(0, 0, a.w, '─', fg(colDim))
	x := a.text(1, 0, mark, st)
	a.text(x, 0, title+" ", st)
	m.hit(a, 0, func() {
		if p.focused == id {
			p.fold()
		}
		p.focused = id
	})
}
