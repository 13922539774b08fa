package ui

// gridMode is how large a GPU is drawn.
type gridMode uint8

const (
	gridDigits gridMode = iota // four columns, or three, its number in full
	gridBlocks                 // one column
	gridHalves                 // two GPUs in a column, one above the other; needs colour
	gridNodes                  // a whole node in a column, as its worst GPU
)

// gridShape is where everything in a grid goes: a pure function of its size. Nodes go down one stack of rows after another, except in gridNodes,
// where they go along lines, and label is the room for the first one's name.
type gridShape struct {
	mode   gridMode
	nodes  int // how many there are
	cols   int // GPUs of a node
	cell   int // columns a GPU takes
	label  int // columns of a node's name, the blank after it not counted
	ranks  int // of these, columns for its ranks
	gap    int // columns between two stacks
	stacks int // stacks side by side; in gridNodes: nodes on a line
	deep   int // nodes of a stack; in gridNodes: lines
	lines  int // lines of text for all of it
	head   bool
	window int // lines of text there is room for

	bands  bool // it is a plan: stacks are replicas, in bands of as many as fit beside each other
	across int  // of a plan: stacks of a band
	part   int  // of a plan: cells that stand together
}

const (
	gridGap      = 3  // columns between two stacks, where there is room
	gridLabelMax = 14 // columns of a node's name
)

// Columns of a number's cell: three digits are kept apart by a blank in the wide one.
const (
	digitsWide   = 4
	digitsNarrow = 3
)

// shapeGrid chooses the largest cells with which all nodes fit in w × h; when none does, the smallest, to be scrolled.
func shapeGrid(w, h, nodes, cols, label, ranks int, color bool) gridShape {
	var last gridShape
	for _, c := range []struct {
		mode gridMode
		cell int
	}{{gridDigits, digitsWide}, {gridDigits, digitsNarrow}, {gridBlocks, 1}, {gridHalves, 1}, {gridNodes, 1}} {
		if c.mode == gridHalves && !color {
			continue
		}
		s := shapeMode(c.mode, c.cell, w, h, nodes, cols, min(label, gridLabelMax), ranks)
		if s.stacks < 1 {
			continue
		}
		if last = s; s.lines <= s.window {
			break
		}
	}
	return last
}

func shapeMode(mode gridMode, cell, w, h, nodes, cols, label, ranks int) gridShape {
	s := gridShape{mode: mode, nodes: nodes, cols: max(1, cols), cell: cell, label: label}
	if s.window = max(0, h); h >= 4 && mode <= gridBlocks {
		s.head = true
		s.window--
	}
	if mode == gridNodes {
		if s.label > w/3 {
			s.label = 0
		}
		s.stacks = w - s.blockAt()
		if s.stacks < 1 {
			return s
		}
		s.deep = (nodes + s.stacks - 1) / s.stacks
		s.lines = s.deep
		return s
	}
	if mode == gridDigits {
		s.ranks, s.label = ranks, s.label+ranks
	}
	s.gap = gridGap
	if mode == gridHalves {
		s.label, s.gap = min(s.label, 4), 2
	}
	most := (w + s.gap) / s.width()
	if most < 1 {
		return s
	}
	perLine := 1
	if mode == gridHalves {
		perLine = 2
	}
	// As few stacks as will do: whole stacks of neighbours are easier to read than many short ones.
	s.stacks = 1
	for s.stacks < most && (nodes+s.stacks-1)/s.stacks > s.window*perLine {
		s.stacks++
	}
	s.deep = (nodes + s.stacks - 1) / s.stacks
	if mode == gridHalves && s.deep%2 == 1 {
		s.deep++
	}
	s.lines = (s.deep + perLine - 1) / perLine
	return s
}

// blockAt is the column of a stack at which its cells begin.
func (s *gridShape) blockAt() int {
	if s.label == 0 {
		return 0
	}
	return s.label + 1
}

// width is how wide a stack is, with the gap to the next one.
func (s *gridShape) width() int { return s.blockAt() + s.cols*s.cell + s.gap }

// line is the line of text that a node is on, not counting the heading.
func (s *gridShape) line(row int) int {
	switch {
	case s.bands && s.across > 0:
		_, line := s.bandPlace(row)
		return line
	case s.stacks < 1 || s.deep < 1:
		return 0
	case s.mode == gridNodes:
		return row / s.stacks
	case s.mode == gridHalves:
		return row % s.deep / 2
	}
	return row % s.deep
}

// height is how many lines it uses, its heading among them.
func (s *gridShape) height() int {
	n := min(s.lines, s.window)
	if s.head {
		n++
	}
	return n
}

// move gives the place one step away: dx GPUs, dy nodes. Going over the side of a stack enters the next one at the same height.
func (s *gridShape) move(at spot, dx, dy int, gpus func(row int) int) spot {
	if s.nodes == 0 || s.stacks < 1 {
		return spot{}
	}
	if s.bands {
		return s.bandMove(at, dx, dy)
	}
	if s.mode == gridNodes {
		at.row = clamp(at.row+dx+dy*s.stacks, s.nodes)
		return at
	}
	at.row = clamp(at.row+dy, s.nodes)
	n := gpus(at.row)
	at.col += dx
	switch {
	case at.col < 0 && dx < 0 && at.row >= s.deep:
		at.row -= s.deep
		at.col = gpus(at.row) - 1
	case at.col >= n && dx > 0 && at.row+s.deep < s.nodes:
		at.row += s.deep
		at.col = 0
	}
	at.col = clamp(at.col, gpus(at.row))
	return at
}

// clamp keeps i within 0 … n-1.
func clamp(i, n int) int { return max(0, min(i, n-1)) }
