package ui

import (
	"strconv"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// kernelTail is how many lines of the kernel log stand among a node's sections.
const kernelTail = 8

func kernelRows(n *fleet.Node) int { return max(2, min(len(n.Kernel), kernelTail)) }

func kernelTitle(n *fleet.Node) string {
	s := "kernel log"
	if len(n.Kernel) > 0 {
		s += ", " + count(len(n.Kernel), "line") + " known (L: all)"
	}
	if n.KernelLost > 0 {
		s += ", " + formatWhole(float64(n.KernelLost)) + " lost before they were read"
	}
	return s
}

func (m *Model) drawKernelTail(a area, n *fleet.Node) {
	from := max(0, len(n.Kernel)-a.h)
	m.kernelLines(a, n, from)
}

// kernelLines draws the log from a line on, or says why there is none.
func (m *Model) kernelLines(a area, n *fleet.Node, from int) {
	if len(n.Kernel) == 0 {
		what, next := kernelAbsent(n)
		a.cut(tableIndent, 0, a.w-tableIndent, what, fg(colDim))
		a.cut(tableIndent, 1, a.w-tableIndent, next, fg(colDim))
		return
	}
	for y := 0; y < a.h && from+y < len(n.Kernel); y++ {
		k := &n.Kernel[from+y]
		r, st := kernelMark(k)
		a.text(1, y, k.At.In(m.opt.Location).Format("15:04:05"), fg(colDim))
		a.text(10, y, string(r), st)
		x := 12
		if k.GPU >= 0 {
			x = a.text(x, y, "GPU"+strconv.Itoa(k.GPU)+" ", st)
		}
		if k.Class.Text != "" && k.Class.Severity > fleet.Fine {
			x = a.text(x, y, k.Class.Text+" │ ", st)
		}
		a.cut(x, y, a.w-x, k.Text, st)
	}
}

// kernelMark is the shape and colour of a line: by what it says, else by the level that the kernel gave it.
func kernelMark(k *fleet.KernelLine) (rune, style) {
	switch {
	case k.Class.Severity >= fleet.Warning:
		s := severityMark(k.Class.Severity)
		return s.r, s.st
	case k.Class.Severity == fleet.Notice:
		return markNotice, style{}
	case k.Level <= 3: // error and worse, in the kernel's own words
		return markNotice, fg(colWarn)
	}
	return ' ', style{}
}

// kernelAbsent says why no kernel line is known: not checked is not fine.
func kernelAbsent(n *fleet.Node) (what, next string) {
	s := nodeSource(n, fleet.KernelLogSource)
	switch {
	case s == nil:
		return "not checked: the node has not told how its kernel log does", ""
	case s.State == facts.SourceState_SOURCE_OK:
		return "nothing in the kernel log", ""
	}
	what = "not checked: kernel log " + sourceWord(s.State)
	if s.Text != "" {
		what += ": " + s.Text
	}
	return what, s.Remedy
}

// logView is the kernel log on the whole screen: it follows the end, until somebody scrolls.
type logView struct {
	up    int // lines from the end
	lines int
	seen  int
}

func (v *logView) end() { v.up = 0 }

func (v *logView) step(do action) {
	switch do {
	case actUp:
		v.up++
	case actDown:
		v.up--
	case actPageUp:
		v.up += max(1, v.seen-1)
	case actPageDown:
		v.up -= max(1, v.seen-1)
	case actFirst:
		v.up = v.lines
	case actLast:
		v.up = 0
	}
	v.up = max(0, min(v.up, v.lines-v.seen))
}

// drawKernel draws the kernel log of a node, alone.
func (m *Model) drawKernel(a area) {
	n := m.index.node(m.node.name)
	if n == nil {
		say(a, m.node.name+" is not watched any more", "Esc goes back")
		return
	}
	if a.h > 1 {
		m.nodeState(a, 0, n, true)
		a = a.sub(0, 1, a.w, a.h-1)
	}
	v := &m.node.log
	v.lines, v.seen = len(n.Kernel), a.h
	v.up = max(0, min(v.up, v.lines-v.seen))
	m.kernelLines(a, n, max(0, len(n.Kernel)-a.h-v.up))
}
