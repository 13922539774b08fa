package ui

import (
	"math"
	"slices"
	"strconv"

	"foretop/fleet"
)

// resample gives n points of a curve, each the mean of those it stands for; NaN where none is known.
func resample(curve []float64, n int) []float64 {
	out := make([]float64, max(0, n))
	for i := range out {
		from, to := i*len(curve)/n, (i+1)*len(curve)/n
		total, known := 0.0, 0
		for _, v := range curve[from:min(len(curve), max(to, from+1))] {
			if v == v {
				total, known = total+v, known+1
			}
		}
		if out[i] = math.NaN(); known > 0 {
			out[i] = total / float64(known)
		}
	}
	return out
}

// brailleDots are the dots of a character, filled from below: left column, right column.
var brailleDots = [2][4]rune{{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}}

// drawCurve fills a with the area under a curve, two points and four steps a cell. What is not known is left blank; zero has a dot.
func drawCurve(a area, curve []float64, from, to float64, st style) {
	if a.w <= 0 || a.h <= 0 || len(curve) == 0 || to <= from {
		return
	}
	points := resample(curve, 2*a.w)
	for x := range a.w {
		for y := range a.h {
			if !a.shows(y) {
				continue
			}
			bits := rune(0)
			for side := range 2 {
				v := points[2*x+side]
				if v != v {
					continue
				}
				dots := max(1, min(4*a.h, int(math.Round((v-from)/(to-from)*float64(4*a.h)))))
				below := 4 * (a.h - 1 - y)
				for k := range min(4, max(0, dots-below)) {
					bits |= brailleDots[side][k]
				}
			}
			if bits != 0 {
				a.text(x, y, string(0x2800+bits), st)
			}
		}
	}
}

// curveTop is the upper end of a metric's scale in what the history holds, which for the network is bytes.
func curveTop(d *metricDef) float64 {
	if d.series == fleet.SeriesNet {
		return networkFullGBps * 1e9
	}
	return d.to
}

// chartRows is how tall the node's chart is.
func (m *Model) chartRows() int {
	switch {
	case m.height >= 50:
		return 9
	case m.height >= 36:
		return 7
	}
	return 5
}

func (m *Model) chartTitle() string {
	return m.metric.def().title + " of GPU " + strconv.Itoa(m.node.selected) + ", " + m.spanWords()
}

// drawChart draws the past of the selected GPU.
func (m *Model) drawChart(a area, n *fleet.Node) {
	d := m.metric.def()
	g := m.node.gpu(n)
	if g == nil {
		words := "no GPU is known on this node"
		if len(n.GPUs) > 0 {
			words = m.missing("GPU "+strconv.Itoa(m.node.selected), "there")
		}
		a.cut(tableIndent, 0, a.w-tableIndent, words, fg(colDim))
		return
	}
	if d.series >= noSeries {
		a.cut(tableIndent, 0, a.w-tableIndent, "no past is kept of "+d.short+": m shows something else", fg(colDim))
		return
	}
	curve := m.node.curve(g.Index, d.series)
	if m.node.history.ask.metric != d.series || len(curve) == 0 {
		a.cut(tableIndent, 0, a.w-tableIndent, "no past is known yet", fg(colDim))
		return
	}
	if !slices.ContainsFunc(curve, func(v float64) bool { return v == v }) && !d.read(g).Known() {
		a.cut(tableIndent, 0, a.w-tableIndent, d.short+" is not told by this kind of accelerator: m shows something else", fg(colDim))
		return
	}
	const axis = 5
	a.right(0, 0, axis-1, formatWhole(d.to), fg(colDim))
	a.right(0, a.h-1, axis-1, formatWhole(d.from), fg(colDim))
	a.right(0, a.h/2, axis-1, formatWhole((d.from+d.to)/2), fg(colDim))
	plot := a.sub(axis, 0, a.w-axis-1, a.h)
	drawCurve(plot, curve, d.from, curveTop(d), fg(colAccent))
}
