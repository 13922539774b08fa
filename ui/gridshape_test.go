package ui

import (
	"strings"
	"testing"

	"foretop/fleet"
)

// TestShapeGrid shows how cells shrink as room does.
func TestShapeGrid(t *testing.T) {
	for _, c := range []struct {
		name                     string
		w, h, nodes, cols, label int
		color                    bool
		mode                     gridMode
		stacks, lines            int
	}{
		{"one node", 80, 10, 1, 8, 6, true, gridDigits, 1, 1},
		{"as few stacks as will do", 120, 20, 32, 8, 6, true, gridDigits, 2, 16},
		{"three stacks", 110, 12, 32, 8, 6, true, gridDigits, 3, 11},
		{"blocks", 79, 12, 32, 8, 6, true, gridBlocks, 3, 11},
		{"half-blocks", 79, 8, 64, 8, 6, true, gridHalves, 4, 8},
		{"no half-blocks without colour", 79, 12, 72, 8, 6, false, gridNodes, 72, 1},
		{"10,000 GPUs", 199, 51, 1250, 8, 7, true, gridHalves, 13, 49},
		{"10,000 GPUs on a small screen", 79, 16, 1250, 8, 7, true, gridNodes, 71, 18},
		{"nothing fits", 3, 2, 10, 8, 6, true, gridNodes, 3, 4},
		{"no room", 0, 0, 10, 8, 6, true, gridDigits, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := shapeGrid(c.w, c.h, c.nodes, c.cols, c.label, 0, c.color)
			if s.mode != c.mode || s.stacks != c.stacks || s.lines != c.lines {
				t.Errorf("mode %d, %d stacks, %d lines; want %d, %d, %d", s.mode, s.stacks, s.lines, c.mode, c.stacks, c.lines)
			}
			if s.mode != gridNodes && s.stacks > 0 && s.stacks*s.width()-s.gap > c.w {
				t.Errorf("%d stacks of %d are wider than %d", s.stacks, s.width(), c.w)
			}
		})
	}
}

// TestNumbersStayApart shows that three digits do not touch their neighbours: with room each cell has a blank, without it a sign.
func TestNumbersStayApart(t *testing.T) {
	full := func() *fleet.Snapshot {
		s := healthy()
		for i := range s.Jobs[0].GPUs {
			s.Jobs[0].GPUs[i].GPU.UtilPct = 100
		}
		return s
	}
	for _, c := range []struct {
		w, h int
		want string
	}{{200, 60, " 100 100 100 100 100 100 100 100"}, {110, 26, ">99>99>99>99>99>99>99>99"}} {
		d := drive(full(), c.w, c.h, Options{})
		d.keys("m")
		d.shows(t, c.want)
		if strings.Contains(d.text(), "100100") {
			t.Errorf("%d×%d: numbers run together:\n%s", c.w, c.h, d.text())
		}
	}
}

// TestGridMoves shows where the arrows lead.
func TestGridMoves(t *testing.T) {
	s := shapeGrid(110, 12, 32, 8, 6, 0, true) // three stacks of eleven
	eight := func(int) int { return 8 }
	for _, c := range []struct {
		from   spot
		dx, dy int
		want   spot
	}{
		{spot{0, 0}, 1, 0, spot{0, 1}}, {spot{0, 0}, -1, 0, spot{0, 0}}, {spot{0, 7}, 1, 0, spot{11, 0}}, {spot{11, 0}, -1, 0, spot{0, 7}},
		{spot{10, 3}, 0, 1, spot{11, 3}}, {spot{31, 3}, 0, 1, spot{31, 3}}, {spot{0, 3}, 0, -1, spot{0, 3}}, {spot{25, 7}, 1, 0, spot{25, 7}},
	} {
		if got := s.move(c.from, c.dx, c.dy, eight); got != c.want {
			t.Errorf("from %v by %d,%d to %v, want %v", c.from, c.dx, c.dy, got, c.want)
		}
	}
	n := shapeGrid(79, 16, 1250, 8, 7, 0, true)
	if got := n.move(spot{0, 0}, 0, 1, eight); got.row != n.stacks {
		t.Errorf("down from the first node leads to %v, not to the next line", got)
	}
}

// TestNodeCellIsItsWorst shows that a cell which stands for a node shows its worst GPU, never its mean.
func TestNodeCellIsItsWorst(t *testing.T) {
	snap := hang()
	d := drive(snap, 80, 24, Options{})
	p := gridPainter{v: &d.jobs.view, theme: &d.theme, def: metric(0).def()}
	for i := range p.v.rows {
		r := &p.v.rows[i]
		l, lowest := p.worstOf(r), 1000.0
		for j := range r.refs {
			lowest = min(lowest, float64(r.refs[j].GPU.PowerPct()))
		}
		switch {
		case r.node == "gpu017":
			if l.mark != markCritical {
				t.Errorf("gpu017 appears as %q %v", l.mark, l.value)
			}
		case l.mark != 0 || l.value != lowest:
			t.Errorf("%s appears as %q %v, its lowest is %v", r.node, l.mark, l.value, lowest)
		}
	}
}
