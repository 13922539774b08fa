package ui

import (
	"slices"
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/telemetry"
)

func sortedUnique(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}

// gpuLine is a line of the table: a GPU, or a part of one.
type gpuLine struct {
	gpu  *fleet.GPU
	part *fleet.Part
	last bool // of the GPU's parts
}

func (s *nodeScreen) gpuTable(n *fleet.Node) []gpuLine {
	lines := make([]gpuLine, 0, len(n.GPUs))
	for i := range n.GPUs {
		g := &n.GPUs[i]
		lines = append(lines, gpuLine{gpu: g})
		parts := n.PartsOf(g.Index)
		for k := range parts {
			if s.parts.open(n, g.Index) {
				lines = append(lines, gpuLine{gpu: g, part: &parts[k], last: k == len(parts)-1})
			}
		}
	}
	return lines
}

// rowOf is the line of a GPU.
func (s *nodeScreen) rowOf(n *fleet.Node, gpu int) int {
	return max(0, slices.IndexFunc(s.gpuTable(n), func(l gpuLine) bool { return l.part == nil && l.gpu.Index == gpu }))
}

// gpuRows is how many lines the GPUs take.
func (m *Model) gpuRows(n *fleet.Node, _ int) int {
	unseen := len(unseenLines(n))
	if len(n.GPUs) == 0 && unseen > 0 {
		return unseen
	}
	return 1 + max(1, len(m.node.gpuTable(n))) + unseen
}

func (m *Model) drawGPUs(a area, n *fleet.Node) {
	y := 0
	if unseen := unseenLines(n); len(n.GPUs) > 0 || len(unseen) == 0 {
		y = m.drawGPUTable(a, n)
	}
	for _, words := range unseenLines(n) {
		a.text(1, y, string(markUnknown), fg(colStale))
		a.cut(tableIndent, y, a.w-tableIndent, words, fg(colStale))
		y++
	}
}

func (m *Model) drawGPUTable(a area, n *fleet.Node) int {
	columns := m.placeGPUs(n, a.w)
	drawHeader(a, 0, columns, "", false)
	if len(n.GPUs) == 0 {
		text := "no GPU is known on this node"
		if n.Inventory == nil {
			text = "not told yet: " + n.State.String()
		}
		a.cut(tableIndent, 1, a.w-tableIndent, text, fg(colDim))
		return 2
	}
	lines := m.node.gpuTable(n)
	for i, l := range lines {
		y, g := i+1, l.gpu
		if !a.shows(y) {
			continue
		}
		selected := g.Index == m.node.selected
		m.hit(a, y, func() { m.node.selected, m.node.focused = g.Index, secGPUs })
		if l.part != nil {
			drawRow(a, y, columns, false, false, false, func(box area, p *placed) { m.partCell(box, p, n, &l) })
			continue
		}
		drawRow(a, y, columns, selected, false, m.node.focused == secGPUs, func(box area, p *placed) { m.gpuCell(box, p, n, g) })
		if words := gpuTrouble(n, g); words != "" {
			m.gpuTrouble(a, y, columns, words, n, g)
		}
	}
	return 1 + len(lines)
}

// gpuTrouble says why a GPU's numbers are not to be shown; "" when they are.
func gpuTrouble(n *fleet.Node, g *fleet.GPU) string {
	switch {
	case n.State != fleet.Live && n.State != fleet.Stale:
		return "node " + n.State.String() + ": not known"
	case gpuStatus(g) == "":
		return ""
	}
	words := gpuStatus(g)
	if p := problemOf(n, g.Index); p != nil && p.Severity == fleet.Critical {
		words = p.Text // it says the same, and more
	}
	if g.Stale > 0 {
		words += ", no reading for " + formatShort(g.Stale)
	}
	return words
}

// gpuTrouble draws words in the place of a GPU's numbers.
func (m *Model) gpuTrouble(a area, y int, columns []placed, words string, n *fleet.Node, g *fleet.GPU) {
	from, to := -1, a.w
	for _, p := range columns {
		if p.id == "util" {
			from = p.x
		}
		if from >= 0 && (p.id == "rank" || p.id == "pid" || p.id == "command") {
			to = p.x - 1
			break
		}
	}
	if from < 0 {
		return
	}
	k := mark{markCritical, fg(colCrit)}
	if n.State != fleet.Live && n.State != fleet.Stale {
		k = mark{markUnknown, fg(colStale)}
	}
	if g.Index == m.node.selected && m.node.focused == secGPUs {
		k.st = k.st.on(colCursorBG)
	}
	a.cut(from, y, to-from, string(k.r)+" "+words, k.st)
}

func (m *Model) gpuCell(a area, p *placed, n *fleet.Node, g *fleet.GPU) {
	num := func(s string, st style) {
		if s == absent {
			st = fg(colDim)
		}
		a.right(0, 0, p.cells, s, st)
	}
	var h fleet.Holder
	held := len(g.Holders) > 0
	if held {
		h = g.Holders[0]
	}
	switch p.id {
	case "gpu":
		a.right(0, 0, p.cells, strconv.Itoa(g.Index), fg(colStrong))
	case "name":
		name := shortGPU(g.Info.Name)
		if parts := n.PartsOf(g.Index); len(parts) > 0 && !m.node.parts.open(n, g.Index) {
			name = manyParts(parts) + " " + name
		}
		a.cut(0, 0, p.cells, name, style{})
	case "util":
		k, st := gpuMark(g, n.State), fg(colBar)
		label := formatPct(g.UtilPct)
		if k != 0 && (k != markCritical || g.Status == telemetry.GPUOK) {
			label = string(k) + label
		}
		switch k {
		case markStale:
			st = fg(colStale)
		case markCritical:
			st = fg(colCrit)
		}
		drawMeter(a, p.cells, g.UtilPct, label, 5, st)
	case "tensor":
		num(formatPct(g.TensorActivityPct), style{})
	case "dram":
		num(formatPct(g.DRAMActivityPct), style{})
	case "mem":
		drawMeter(a, p.cells, g.MemPct(), formatUsed(g.MemUsedBytes, g.MemTotalBytes), 8, fg(colBar))
	case "power":
		num(formatWhole2(g.PowerW, g.PowerLimitW)+"W", style{})
	case "temp":
		st := style{}
		if g.Slow.SlowdownTempC.Known() && g.TempC >= g.Slow.SlowdownTempC-5 {
			st = fg(colWarn).with(bold)
		}
		num(formatUnit(g.TempC, "°"), st)
	case "clock":
		num(formatUnit(g.SMClockMHz, ""), style{})
	case "throttle":
		words, bad := throttleWords(g.ThrottleBits)
		st := fg(colDim)
		if bad {
			st = fg(colWarn)
		}
		a.cut(0, 0, p.cells, words, st)
	case "ecc":
		words, st := eccWords(g)
		num(words, st)
	case "nvlink":
		num(formatRate(g.NVLinkBytesPerS()), style{})
	case "pcie":
		st := style{}
		if g.Slow.PCIeWidth < g.Slow.PCIeWidthMax {
			st = fg(colWarn)
		}
		if g.Slow.PCIeGen.Known() {
			num(formatUnit(g.Slow.PCIeGen, "")+"×"+formatUnit(g.Slow.PCIeWidth, ""), st)
		} else {
			num(absent, st)
		}
	case "past":
		d := m.metric.def()
		drawCurve(a.sub(0, 0, p.cells, 1), m.node.curve(g.Index, d.series), d.from, curveTop(d), fg(colAccent))
	case "rank":
		if held && h.Rank >= 0 {
			num(strconv.Itoa(h.Rank), style{})
		} else {
			num(absent, style{})
		}
	case "pid":
		if held {
			num(strconv.Itoa(int(h.PID)), style{})
		} else {
			num(absent, style{})
		}
	case "command":
		holderWords(a, p.cells, n, g.Holders)
	}
}

// holderWords say who holds a GPU, or a part of one.
func holderWords(a area, w int, n *fleet.Node, holders []fleet.Holder) {
	if len(holders) == 0 {
		a.cut(0, 0, w, "free", fg(colDim))
		return
	}
	text := ""
	for _, p := range n.Processes {
		if p.GetPid() == holders[0].PID {
			text = p.GetUser() + " " + shortCommand(p.GetCommand())
		}
	}
	if more := len(holders) - 1; more > 0 {
		text = "+" + strconv.Itoa(more) + " " + text
	}
	a.cut(0, 0, w, text, style{})
}

// shortCommand leaves the folder of the program out of a command line.
func shortCommand(s string) string {
	program, _, _ := strings.Cut(s, " ")
	if slash := strings.LastIndexByte(program, '/'); slash >= 0 && slash < len(program)-1 {
		return s[slash+1:]
	}
	return s
}

// shortGPU leaves the maker out of a GPU's name.
func shortGPU(name string) string {
	for _, maker := range []string{"NVIDIA ", "Tesla ", "AMD Instinct ", "AMD "} {
		if len(name) > len(maker) && name[:len(maker)] == maker {
			return name[len(maker):]
		}
	}
	return name
}

// throttleWords names the most telling of NVML's clock event reasons
// (https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html).
func throttleWords(bits int64) (words string, bad bool) {
	if bits < 0 {
		return absent, false
	}
	for _, r := range []struct {
		bit   int64
		words string
		bad   bool
	}{
		{0x40, "hw heat", true}, {0x80, "hw brake", true}, {0x8, "hw slow", true}, {0x20, "sw heat", true}, {0x400, "voltage", true}, {0x200, "board", true},
		{0x4, "power cap", false}, {0x10, "sync", false}, {0x2, "app clock", false}, {0x100, "display", false}, {0x1, "idle", false},
	} {
		if bits&r.bit != 0 {
			return r.words, r.bad
		}
	}
	return "no", false
}

// eccWords are memory errors since the driver was loaded: uncorrected ones, else corrected ones.
func eccWords(g *fleet.GPU) (string, style) {
	switch {
	case g.Slow.ECCVolatileUncorrected > 0:
		return formatUnit(g.Slow.ECCVolatileUncorrected, "u"), fg(colCrit)
	case g.Slow.ECCVolatileCorrected > 0:
		return formatUnit(g.Slow.ECCVolatileCorrected, "c"), fg(colWarn)
	case g.Slow.ECCVolatileUncorrected.Known():
		return "0", style{}
	}
	return absent, style{}
}

// drawMeter draws a bar with its number, the number alone where there is no room for a bar. label is the least room for the number.
func drawMeter(a area, w int, share fleet.Reading, number string, label int, st style) {
	bar := w - label - 2
	if bar < 3 {
		a.right(0, 0, w, number, style{})
		return
	}
	a.text(0, 0, "▕", fg(colDim))
	full := 0
	if share.Known() {
		full = max(0, min(bar, int(float64(share)/100*float64(bar)+0.5)))
	}
	a.repeat(1, 0, full, '█', st)
	a.text(1+bar, 0, "▏", fg(colDim))
	a.right(bar+2, 0, label, number, style{})
}
