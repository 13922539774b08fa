package ui

import (
	"strings"
	"unicode/utf8"

	"foretop/fleet"
)

// gridPainter holds what is the same for all cells of one drawing.
type gridPainter struct {
	v       *gridView
	theme   *theme
	def     *metricDef
	cursor  spot
	focused bool
}

// look is how a GPU appears: the shape that overrides its number (0: none), its number, and the step of the ramp for it (-1: no colour).
type look struct {
	value float64
	mark  rune
	level int16
	known bool
}

// lookOf is how a GPU appears without colour.
func lookOf(ref *fleet.GPURef, d *metricDef) look {
	l := look{mark: gpuMark(ref.GPU, ref.State), level: -1}
	if ref.GPU == nil {
		return l
	}
	r := d.read(ref.GPU)
	if l.known = r.Known(); l.known {
		l.value = float64(r)
	} else if l.mark == 0 {
		l.mark = markAbsent
	}
	return l
}

// look is how a GPU of a row appears.
func (p *gridPainter) look(r *gridRow, col int) look {
	l := r.looks[col]
	if l.known && p.theme.levels > 0 {
		l.level = int16(p.def.level(l.value, p.theme.levels))
	}
	return l
}

// style colours a cell: a critical one stands on its own colour, all others on the ramp's where there is a number.
func (l *look) style() style {
	switch {
	case l.mark == markCritical:
		return style{fg: colOnCrit, bg: colCritBG}
	case l.mark == markWarning:
		return style{fg: colOnWarn, bg: colWarnBG}
	case l.mark == markUnknown || l.mark == markAbsent || l.mark == markStale:
		return style{fg: colStale, bg: colQuietBG}
	case l.level >= 0:
		return style{fg: colRampText + color(l.level), bg: colRamp + color(l.level)}
	}
	return style{}
}

// cells draws digits or blocks.
func (p *gridPainter) cells(a area) {
	s := &p.v.shape
	for k := range s.stacks {
		x := k * s.width()
		for y := range min(s.window, s.deep-p.v.top) {
			row := k*s.deep + p.v.top + y
			if row >= len(p.v.rows) {
				break
			}
			r := &p.v.rows[row]
			p.label(a, x, y, row)
			for c := range r.refs {
				p.cell(a, x+s.blockAt()+c*s.cell, y, row, c)
			}
			if len(r.refs) == 0 {
				a.cut(x+s.blockAt(), y, s.cols*s.cell, noCells(r), fg(colDim))
				if p.cursor.row == row {
					p.pick(a, x+s.blockAt(), y, s.cell)
				}
			}
		}
	}
}

// noCells says why a node has no GPU to show.
func noCells(r *gridRow) string {
	if r.state != fleet.Live {
		return r.state.String()
	}
	return "no GPU"
}

// digits draws a GPU as its number, and says how many columns that takes at the right of its cell. One of three digits would touch its neighbour in a narrow
// cell: ">99" is set off by its sign.
func (p *gridPainter) digits(a area, x, y, w int, l *look) int {
	st := l.style()
	if l.mark != 0 {
		a.fill(x, y, x+w, st)
		a.text(x+w-2, y, string(l.mark), st)
		return 2
	}
	number := formatWhole(min(l.value, 999))
	if len(number) >= w {
		number = ">99"
	}
	a.right(x, y, w, number, st)
	return len(number)
}

// block draws a GPU as one column: a shape, else on a ramp of colour a blank, and without one the tenths of its scale.
func (p *gridPainter) block(a area, x, y int, l *look) {
	r := ' '
	switch {
	case l.mark != 0:
		r = l.mark
	case p.theme.levels < rampLevels:
		r = p.tenths(l.value)
	}
	a.text(x, y, string(r), l.style())
}

func (p *gridPainter) tenths(v float64) rune { return rune('0' + p.def.level(v, 10)) }

// pick shows that a place is selected.
func (p *gridPainter) pick(a area, x, y, w int) {
	st := style{fg: colOnPick, bg: colPick}
	if !p.focused {
		st = style{fg: colDefault, attr: bold | underline}
	}
	a.restyle(x, y, x+w, func(old style) style {
		if p.focused {
			return st
		}
		return old.with(bold | underline)
	})
}

// label draws a node's name before its cells; one that is not live, or on which the cursor is, stands out.
func (p *gridPainter) label(a area, x, y, row int) {
	s, r := &p.v.shape, &p.v.rows[row]
	if s.label == 0 {
		return
	}
	st := fg(colDim)
	switch {
	case p.cursor.row == row:
		st = fg(colStrong)
	case r.alarm || stateSeverity(r.state) >= fleet.Critical:
		st = fg(colCrit)
	case r.state != fleet.Live:
		st = fg(colStale)
	}
	a.text(x, y, tail(r.label, s.label-s.ranks), st)
	if s.ranks > 0 && r.ranks != "" {
		a.right(x+s.label-s.ranks+1, y, s.ranks-1, r.ranks, fg(colDim))
	}
}

// tail is the last w cells of a label, which is where nodes' names differ.
func tail(s string, w int) string {
	room, at := w, len(s)
	for at > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:at])
		if _, n := drawable(r, false); n > room {
			break
		} else {
			room -= n
		}
		at -= size
	}
	switch {
	case at == 0:
		return s
	case w < 6:
		if digit := strings.IndexAny(s[at:], "0123456789"); digit > 0 {
			return s[at+digit:]
		}
		return s[at:]
	}
	_, size := utf8.DecodeRuneInString(s[at:])
	if s = s[at+size:]; textWidth(s, false) > w-1 { // the first was of one cell, so "…" takes just its place; of two it leaves one over
		return s
	}
	return "…" + s
}

// halves draws two nodes on a line: the upper and the lower half of each character are a GPU each.
func (p *gridPainter) halves(a area) {
	s := &p.v.shape
	for k := range s.stacks {
		x := k * s.width()
		for y := range min(s.window, s.lines-p.v.top) {
			row := k*s.deep + 2*(p.v.top+y)
			if row >= len(p.v.rows) || 2*(p.v.top+y) >= s.deep {
				break
			}
			p.label(a, x, y, row)
			for c := range s.cols {
				p.half(a, x+s.blockAt()+c, y, row, c)
			}
		}
	}
}

func (p *gridPainter) half(a area, x, y, row, col int) {
	up, down := p.v.at(spot{row, col}), p.v.at(spot{row + 1, col})
	if row+1 >= len(p.v.rows) || (row+1)/p.v.shape.deep != row/p.v.shape.deep {
		down = nil
	}
	if up == nil && down == nil {
		return
	}
	var upper, lower look
	if upper.level = -1; up != nil {
		upper = p.look(&p.v.rows[row], col)
	}
	if lower.level = -1; down != nil {
		lower = p.look(&p.v.rows[row+1], col)
	}
	worse := &upper
	if markRank(lower.mark) > markRank(upper.mark) {
		worse = &lower
	}
	letter, of := p.peerAt(&p.v.rows[row], col), &upper
	if letter == 0 && down != nil {
		letter, of = p.peerAt(&p.v.rows[row+1], col), &lower
	}
	switch {
	case worse.mark != 0:
		a.text(x, y, string(worse.mark), worse.style())
	case letter != 0:
		a.text(x, y, string(letter), of.style().with(bold|underline))
	default:
		a.text(x, y, "▀", style{fg: rampColor(&upper), bg: rampColor(&lower)})
	}
	if p.cursor.col == col && (p.cursor.row == row || p.cursor.row == row+1 && down != nil) {
		p.pick(a, x, y, 1)
	}
}

func rampColor(l *look) color {
	if l.level < 0 {
		return colQuietBG
	}
	return colRamp + color(l.level)
}

// nodes draws a node as one column.
func (p *gridPainter) nodes(a area) {
	s := &p.v.shape
	for y := range min(s.window, s.lines-p.v.top) {
		first := (p.v.top + y) * s.stacks
		p.label(a, 0, y, first)
		for i := 0; i < s.stacks && first+i < len(p.v.rows); i++ {
			row := first + i
			l := p.worstOf(&p.v.rows[row])
			p.block(a, s.blockAt()+i, y, &l)
			if p.cursor.row == row {
				p.pick(a, s.blockAt()+i, y, 1)
			}
		}
	}
}

// worstOf is how a node appears as one cell: as its worst GPU, by shape, then by value. Never as a mean, in which a sick one would drown.
func (p *gridPainter) worstOf(r *gridRow) look {
	switch {
	case r.alarm || stateSeverity(r.state) >= fleet.Critical:
		return look{mark: markCritical, level: -1}
	case r.state.Pending():
		return look{mark: markIdle, level: -1}
	case r.state != fleet.Live && r.state != fleet.Stale:
		return look{mark: markUnknown, level: -1}
	case len(r.looks) == 0:
		return look{mark: markAbsent, level: -1}
	}
	worst := 0
	for i := 1; i < len(r.looks); i++ {
		l, w := &r.looks[i], &r.looks[worst]
		a, b := markRank(l.mark), markRank(w.mark)
		if a > b || a == b && l.known && (!w.known || l.value != w.value && (l.value > w.value) == p.def.high) {
			worst = i
		}
	}
	return p.look(r, worst)
}
