package ui

import "strconv"

// shapeBands chooses the largest cells with which a plan fits in w × h; when none does, the smallest, to be scrolled. Stacks that do not fit beside each
// other go on in a band below.
func shapeBands(w, h int, p *plan, label int, color bool) gridShape {
	var last gridShape
	for _, c := range []struct {
		mode gridMode
		cell int
	}{{gridDigits, digitsWide}, {gridDigits, digitsNarrow}, {gridBlocks, 1}, {gridHalves, 1}, {gridNodes, 1}} {
		if c.mode == gridHalves && (!color || p.deep < 2) {
			continue
		}
		s := gridShape{mode: c.mode, bands: true, nodes: p.deep * p.wide, cols: p.cells, cell: c.cell, part: p.part, label: label, deep: p.deep, stacks: p.wide, window: max(0, h)}
		if s.gap = 1; c.mode == gridNodes || p.cells == 1 && c.mode != gridDigits {
			s.gap = 0
		}
		if c.mode == gridNodes {
			s.cols, s.part = 1, 1
		}
		room := w - s.blockAt() + s.gap
		if s.across = min(p.wide, room/s.stackWidth()); s.across < 1 {
			continue
		}
		s.lines = (p.wide + s.across - 1) / s.across * s.bandLines()
		if last = s; s.lines <= s.window {
			break
		}
	}
	return last
}

// stackWidth is how wide a stack of a plan is, with the gap to the next one.
func (s *gridShape) stackWidth() int { return s.cols*s.cell + (s.cols-1)/max(1, s.part) + s.gap }

// bandLines is how many lines a band takes, its heading among them.
func (s *gridShape) bandLines() int {
	if s.mode == gridHalves {
		return (s.deep+1)/2 + 1
	}
	return s.deep + 1
}

// bandPlace is the column at which a row of a plan begins, and its line, counted from the first band's heading.
func (s *gridShape) bandPlace(row int) (x, line int) {
	stack, stage := row/s.deep, row%s.deep
	if s.mode == gridHalves {
		stage /= 2
	}
	return s.blockAt() + stack%s.across*s.stackWidth(), stack/s.across*s.bandLines() + 1 + stage
}

// cellAt is the column of a cell within its row.
func (s *gridShape) cellAt(col int) int { return col*s.cell + col/max(1, s.part) }

// bandMove gives the place one step away in a plan.
func (s *gridShape) bandMove(at spot, dx, dy int) spot {
	stack, stage := at.row/s.deep, at.row%s.deep
	for ; dy > 0; dy-- {
		switch {
		case stage < s.deep-1:
			stage++
		case stack+s.across < s.stacks:
			stack, stage = stack+s.across, 0
		}
	}
	for ; dy < 0; dy++ {
		switch {
		case stage > 0:
			stage--
		case stack >= s.across:
			stack, stage = stack-s.across, s.deep-1
		}
	}
	if s.mode == gridNodes {
		return spot{clamp(stack+dx, s.stacks)*s.deep + stage, at.col}
	}
	switch at.col += dx; {
	case at.col < 0 && stack > 0:
		stack, at.col = stack-1, s.cols-1
	case at.col >= s.cols && stack < s.stacks-1:
		stack, at.col = stack+1, 0
	}
	return spot{stack*s.deep + stage, clamp(at.col, s.cols)}
}

// bands draws a plan.
func (p *gridPainter) bands(a area) {
	s := &p.v.shape
	plan := p.v.plan
	for stack := range s.stacks {
		x, head := s.bandPlace(stack * s.deep)
		head -= 1 + p.v.top
		if head+s.bandLines() <= 0 || head >= s.window {
			continue
		}
		p.stackHead(a, x, head, stack, plan)
		for stage := range s.deep {
			row := stack*s.deep + stage
			_, line := s.bandPlace(row)
			y := line - p.v.top
			if y < 0 || y >= s.window {
				continue
			}
			if stack%s.across == 0 && (s.mode != gridHalves || stage%2 == 0) {
				p.stageLabel(a, y, row)
			}
			switch s.mode {
			case gridNodes:
				p.group(a, x, y, row)
			case gridHalves:
				if stage%2 == 0 {
					for c := range s.cols {
						p.half(a, x+s.cellAt(c), y, row, c)
					}
				}
			default:
				p.crossing(a, x, y, row)
			}
		}
	}
}

// crossing draws the ranks of one stage and replica.
func (p *gridPainter) crossing(a area, x, y, row int) {
	s, r := &p.v.shape, &p.v.rows[row]
	for c := range r.refs {
		p.cell(a, x+s.cellAt(c), y, row, c)
	}
}

// cell draws one GPU, with the letter of a peer of the selected one.
func (p *gridPainter) cell(a area, x, y, row, c int) {
	s, r := &p.v.shape, &p.v.rows[row]
	l := p.look(r, c)
	letter := p.peerAt(r, c)
	switch {
	case s.mode == gridDigits:
		n := p.digits(a, x, y, s.cell, &l)
		if letter != 0 {
			a.text(x+max(0, s.cell-n-1), y, string(letter), l.style().with(bold|underline))
		}
	case letter != 0 && l.mark == 0:
		a.text(x, y, string(letter), l.style().with(bold|underline))
	default:
		p.block(a, x, y, &l)
		if letter != 0 {
			a.restyle(x, y, x+1, func(st style) style { return st.with(bold | underline) })
		}
	}
	if p.cursor.row == row && p.cursor.col == c {
		p.pick(a, x, y, s.cell)
	}
}

// peerAt is the letter of a GPU as a peer of the selected one, where the keyboard is on the grid.
func (p *gridPainter) peerAt(r *gridRow, c int) byte {
	if !p.focused || c >= len(r.units) {
		return 0
	}
	return p.v.peers.mark(r.units[c])
}

// group draws the ranks of one stage and replica as one column: the worst of them.
func (p *gridPainter) group(a area, x, y, row int) {
	r := &p.v.rows[row]
	l := p.worstOf(r)
	letter := byte(0)
	if p.focused {
		letter = p.v.peers.among(r.units)
	}
	if letter != 0 && l.mark == 0 {
		a.text(x, y, string(letter), l.style().with(bold|underline))
	} else {
		p.block(a, x, y, &l)
	}
	if p.cursor.row == row {
		p.pick(a, x, y, 1)
	}
}

func (p *gridPainter) stageLabel(a area, y, row int) {
	st := fg(colDim)
	if s := &p.v.shape; p.cursor.row%s.deep == row%s.deep {
		st = fg(colStrong)
	}
	if p.v.shape.label > 0 {
		a.text(0, y, p.v.rows[row].label, st)
	}
}

// stackHead names a replica over its stack; where stacks are narrow, each tenth by its number.
func (p *gridPainter) stackHead(a area, x, y, stack int, plan *plan) {
	s := &p.v.shape
	if s.stacks == 1 {
		return
	}
	number, w := strconv.Itoa(stack), s.stackWidth()
	st := fg(colDim)
	if p.cursor.row/s.deep == stack {
		st = fg(colStrong)
	}
	name := plan.stackName() + " " + number
	switch {
	case len(name) < w:
		a.text(x, y, name, st)
	case len(number) < w:
		a.text(x, y, number, st)
	case stack%10 == 0 && (stack%s.across+len(number) < s.across || len(number) == 1):
		a.text(x, y, number, fg(colDim))
	}
}
