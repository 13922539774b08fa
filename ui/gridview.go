package ui

import (
	"strconv"
	"strings"
)

// gridView draws a grid and keeps its cursor.
type gridView struct {
	grid
	moved  bool // the cursor was moved by hand: it stays on its GPU instead of the worst one
	node   string
	index  int
	picked int // its number in the layout; -1 none
	top    int
	ranks  bool      // ranks stand beside the nodes, where there is room
	shape  gridShape // as last drawn
}

// cursor is the selected place: where it was put, or the worst.
func (v *gridView) cursor() spot {
	if v.moved {
		if v.plan != nil && v.picked >= 0 && v.picked < len(v.plan.spots) {
			return v.plan.spots[v.picked]
		}
		if s, ok := v.find(v.node, v.index); ok {
			return s
		}
	}
	return v.first
}

// put moves the cursor to a place and keeps it on that GPU from now on.
func (v *gridView) put(s spot) {
	if s.row < 0 || s.row >= len(v.rows) {
		return
	}
	v.moved, v.node, v.index, v.picked = true, v.rows[s.row].node, -1, v.unit(s)
	if ref := v.at(s); ref != nil {
		v.node, v.index = ref.Node, ref.Index
	}
}

// move takes the cursor dx GPUs and dy nodes on.
func (v *gridView) move(dx, dy int) {
	to := v.shape.move(v.cursor(), dx, dy, func(row int) int { return len(v.rows[row].refs) })
	if v.shape.mode == gridNodes { // the cell stands for the node's worst GPU, so that is what is selected
		to.col = v.worstOf(to.row)
	}
	v.put(to)
}

// worstOf is the GPU of a row with the worst shape.
func (v *gridView) worstOf(row int) int {
	if row < 0 || row >= len(v.rows) {
		return 0
	}
	worst, rank := 0, 0
	for j := range v.rows[row].looks {
		if k := markRank(v.rows[row].looks[j].mark); k > rank {
			worst, rank = j, k
		}
	}
	return worst
}

// shapeIn is the shape that the grid takes in a w × h area.
func (v *gridView) shapeIn(w, h int, halves bool) gridShape {
	if v.plan != nil {
		return shapeBands(w, h, v.plan, v.label, halves)
	}
	ranks := 0
	if v.ranks && len(v.rows) <= w*h/24 { // more nodes than that are not drawn with digits anyhow
		ranks = v.rankRoom()
	}
	return shapeGrid(w, h, len(v.rows), v.cols, v.label, ranks, halves)
}

// draw fills a with the grid. focused says that the keyboard is here.
func (v *gridView) draw(a area, t *theme, m metric, focused bool) {
	v.shape = v.shapeIn(a.w, a.h, t.color && !a.c.ascii)
	s := &v.shape
	if s.stacks < 1 || a.h < 1 {
		return
	}
	cursor := v.cursor()
	v.top = scrollTo(v.top, s.line(cursor.row), s.window, s.lines)
	y := 0
	if s.head {
		v.heading(a)
		y = 1
	}
	body := a.sub(0, y, a.w, s.window)
	p := gridPainter{v: v, theme: t, def: m.def(), cursor: cursor, focused: focused}
	if self := v.unit(cursor); focused && self >= 0 {
		v.peers.of(v.layout, self)
	} else {
		v.peers.of(nil, -1)
	}
	switch {
	case s.bands:
		p.bands(body)
	case s.mode == gridNodes:
		p.nodes(body)
	case s.mode == gridHalves:
		p.halves(body)
	default:
		p.cells(body)
	}
}

// heading draws the local ranks over each stack.
func (v *gridView) heading(a area) {
	s := &v.shape
	for k := range s.stacks {
		x := k*s.width() + s.blockAt()
		for c := range s.cols {
			label := strconv.Itoa(c)
			if s.cell == 1 {
				label = label[len(label)-1:]
			}
			a.right(x+c*s.cell, 0, s.cell, label, fg(colDim))
		}
	}
}

// words say how to read the grid, and that there is more of it than fits.
func (v *gridView) words() string {
	s, words := &v.shape, "node × local rank"
	switch {
	case s.bands:
		words = v.planWords()
	case s.mode == gridHalves:
		words = "node × local rank, two nodes a line"
	case s.mode == gridNodes:
		words = "a cell a node: its worst GPU"
	}
	if s.lines > s.window {
		words += ", lines " + strconv.Itoa(v.top+1) + "–" + strconv.Itoa(min(v.top+s.window, s.lines)) + " of " + strconv.Itoa(s.lines)
	}
	return words
}

// planWords say how to read a plan: "pp × dp, tp 8 side by side".
func (v *gridView) planWords() string {
	words := v.plan.down
	if v.plan.wide > 1 {
		words = strings.TrimPrefix(words+" × "+v.plan.stackName(), " × ")
	}
	var side []string
	for _, name := range within {
		if n := v.plan.l.Size(name); n > 1 {
			side = append(side, name+" "+strconv.Itoa(n))
		}
	}
	switch together := strings.Join(side, " × "); {
	case together == "":
	case v.shape.mode == gridNodes:
		words += ", the worst of each " + together
	default:
		words += ", " + together + " side by side"
	}
	return strings.TrimPrefix(words, ", ")
}
