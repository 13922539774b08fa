package ui

import (
	"strconv"
	"strings"

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
	if missing := kernelMissing(n); missing != "" {
		s += ", " + missing
	}
	return s
}

// kernelMissing says what of the log is not known; "" when nothing is missing.
func kernelMissing(n *fleet.Node) string {
	var parts []string
	if n.KernelLost > 0 {
		parts = append(parts, formatWhole(float64(n.KernelLost))+" lost before they were read")
	}
	if n.KernelUntold > 0 {
		parts = append(parts, formatWhole(float64(n.KernelUntold))+" of a flood only counted")
	}
	return strings.Join(parts, ", ")
}

func (m *Model) drawKernelTail(a area, n *fleet.Node) {
	if len(n.Kernel) == 0 {
		drawNoKernel(a, n)
		return
	}
	from := max(0, len(n.Kernel)-a.h)
	for y := 0; y < a.h && from+y < len(n.Kernel); y++ {
		m.drawKernelLine(a, y, &n.Kernel[from+y])
	}
}

func drawNoKernel(a area, n *fleet.Node) {
	what, next := kernelAbsent(n)
	a.cut(tableIndent, 0, a.w-tableIndent, what, fg(colDim))
	a.cut(tableIndent, 1, a.w-tableIndent, next, fg(colDim))
}

// drawKernelLine draws a line of the log: when, how bad, how often, which device, what it says and its words.
func (m *Model) drawKernelLine(a area, y int, k *fleet.KernelLine) {
	r, st := kernelMark(k)
	a.text(1, y, k.At.In(m.opt.Location).Format("15:04:05"), fg(colDim))
	a.text(10, y, string(r), st)
	x := 12
	if k.N() > 1 {
		x = a.text(x, y, "×"+formatWhole(float64(k.N()))+" ", st)
	}
	if d := kernelDevice(k); d != "" {
		x = a.text(x, y, d+" ", st)
	}
	if k.Class.Text != "" {
		says := st
		if k.Class.Severity == fleet.Fine {
			says = fg(colGood)
		}
		x = a.text(x, y, k.Class.Text+" │ ", says)
	}
	a.cut(x, y, a.w-x, k.Text, st)
}

// kernelDevice is the device of a line whose words do not name it: its GPU, or its PCI address.
func kernelDevice(k *fleet.KernelLine) string {
	switch {
	case k.GPU >= 0:
		return "GPU" + strconv.Itoa(k.GPU)
	case k.Class.Kind != "" && k.Class.PCI != "" && (k.Class.Device == "" || !strings.Contains(k.Class.Text, k.Class.Device)):
		return k.Class.PCI
	}
	return ""
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
	if n.XidEvents {
		what += " (Xids come by NVML's events)"
	}
	return what, s.Remedy
}
