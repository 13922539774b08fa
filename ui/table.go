package ui

import "strings"

// column is one column of a table. Widths are in cells.
type column struct {
	id    string // what it is sorted by
	title string
	width int  // at least
	ideal int  // with room to spare; 0: width
	right bool // numbers, and their title
	drop  int  // the highest goes first when room lacks; 0 stays always
	rest  bool // takes what is left over
	down  bool // sorted from the greatest down, unless reversed
}

// placed is a column that has found room.
type placed struct {
	column
	at    int // index in the table's columns
	x     int
	cells int
}

// tableIndent is the room at the left of a table for the cursor's and the tag's mark.
const tableIndent = 3

// placeColumns gives each column its room in w cells: those that are dispensable go until the rest fits, then widths grow to the ideal, and what is
// left goes to the column that takes the rest. It depends on nothing but the width, so that nothing moves while numbers change.
func placeColumns(columns []column, w int) []placed {
	var out []placed
	for i, c := range columns {
		out = append(out, placed{column: c, at: i, cells: c.width})
	}
	for need(out) > w {
		worst := -1
		for i, p := range out {
			if p.drop > 0 && (worst < 0 || p.drop >= out[worst].drop) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		out = append(out[:worst], out[worst+1:]...)
	}
	spare := max(0, w-need(out))
	for i := range out { // words first: a sentence that is cut says little
		if p := &out[i]; p.rest {
			more := min(spare, max(0, p.ideal-p.cells))
			p.cells, spare = p.cells+more, spare-more
		}
	}
	for i := range out {
		p := &out[i]
		more := min(spare, max(0, p.ideal-p.cells))
		p.cells, spare = p.cells+more, spare-more
	}
	x := tableIndent
	for i := range out {
		p := &out[i]
		if p.rest {
			p.cells += spare
			spare = 0
		}
		p.x = x
		p.cells = max(0, min(p.cells, w-x))
		x += p.cells + 1
	}
	return out
}

func need(columns []placed) int {
	n := tableIndent
	for i, p := range columns {
		if i > 0 {
			n++
		}
		n += p.cells
	}
	return n
}

// drawHeader draws the titles; the one that the rows are sorted by says so with an arrow.
func drawHeader(a area, y int, columns []placed, sorted string, descending bool) {
	st := fg(colDim)
	a.fill(0, y, a.w, st)
	for _, p := range columns {
		title, s := p.title, st
		if p.id == sorted && sorted != "" {
			arrow := "↑"
			if descending {
				arrow = "↓"
			}
			if title, s = strings.TrimSpace(title)+arrow, st.with(bold); a.width(title) > p.cells {
				title = arrow
			}
		}
		if p.right {
			a.right(p.x, y, p.cells, title, s)
		} else {
			a.cut(p.x, y, p.cells, title, s)
		}
	}
}

// drawRow draws a row's marks and, through draw, its cells; then it lays the cursor's background under it.
func drawRow(a area, y int, columns []placed, cursor, tagged, focused bool, draw func(a area, p *placed)) {
	if cursor {
		a.text(1, y, string(markCursor), fg(colAccent).with(bold))
	}
	if tagged {
		a.text(0, y, string(markTag), fg(colTagged))
	}
	for i := range columns {
		p := &columns[i]
		draw(a.sub(p.x, y, p.cells, 1), p)
	}
	if cursor && focused {
		a.restyle(0, y, a.w, func(s style) style { return s.on(colCursorBG) })
	}
}

// say draws a sentence and the next step where a table has nothing to show.
func say(a area, what, next string) {
	y := min(1, max(0, a.h-2))
	a.cut(tableIndent, y, a.w-tableIndent, what, fg(colStrong))
	a.cut(tableIndent, y+1, a.w-tableIndent, next, fg(colDim))
}
