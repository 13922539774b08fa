package ui

import (
	"fmt"
	"strings"
	"time"

	"foretop/fleet"
)

// hostRows is how many lines a node's CPUs and memory take.
func hostRows(n *fleet.Node, w int) int { return 6 + coreLines(n, w) }

// coreLines is how many lines the cores take, one bar a core; of many, two share one.
func coreLines(n *fleet.Node, w int) int {
	if w < 8 || len(n.Cores) == 0 {
		return 1
	}
	return min(4, (len(n.Cores)+w-5)/(w-4))
}

// drawHost draws load, cores, memory and pressure, and what they were like.
func (m *Model) drawHost(a area, n *fleet.Node) {
	h := &n.Host
	y := 0
	line := func(s string) {
		a.cut(1, y, a.w-1, s, style{})
		y++
	}
	line(fmt.Sprintf("CPU %4s  user %s sys %s iowait %s steal %s  load %s %s %s", formatPct(h.CPUBusyPct), formatPct(h.CPUUserPct), formatPct(h.CPUSystemPct),
		formatPct(h.CPUIowaitPct), formatPct(h.CPUStealPct), formatLoad(h.Load1), formatLoad(h.Load5), formatLoad(h.Load15)))
	y += drawCores(a.sub(1, y, a.w-2, coreLines(n, a.w)), n)
	label := "MEM "
	drawMeter(a.sub(1+len(label), y, a.w-2-len(label), 1), min(a.w-2-len(label), 40), h.MemUsedBytes.Share(h.MemTotalBytes), formatUsed(h.MemUsedBytes, h.MemTotalBytes), 11, fg(colBar))
	a.text(1, y, label, style{})
	y++
	line("    cached " + formatBytes(h.MemCachedBytes) + " shmem " + formatBytes(h.MemShmemBytes) + " dirty " + formatBytes(h.MemDirtyBytes) +
		swapWords(h) + hugePages(h))
	line("PSI cpu " + formatShare(h.PSICPUSomePct) + "  mem " + formatShare(h.PSIMemorySomePct) + " full " + formatShare(h.PSIMemoryFullPct) +
		"  io " + formatShare(h.PSIIOSomePct) + " full " + formatShare(h.PSIIOFullPct) + "  tasks blocked " + formatUnit(h.ProcsBlocked, ""))
	drawPasts(a, y, m, []struct {
		name string
		id   fleet.SeriesID
		top  float64
	}{{"cpu", fleet.SeriesCPU, 100}, {"mem", fleet.SeriesHostMem, 100}})
	drawPasts(a, y+1, m, []struct {
		name string
		id   fleet.SeriesID
		top  float64
	}{{"net", fleet.SeriesHostNet, 0}, {"disk", fleet.SeriesHostDisk, 0}})
}

// drawPasts draws curves of one line each, side by side. top 0 scales a curve by its own highest point, and says it.
func drawPasts(a area, y int, m *Model, pasts []struct {
	name string
	id   fleet.SeriesID
	top  float64
}) {
	w := (a.w - 1) / len(pasts)
	for i, p := range pasts {
		curve := m.node.curve(-1, p.id)
		x := 1 + i*w
		top, words := p.top, "15 min"
		if top == 0 {
			for _, v := range curve {
				top = max(top, orZero(v))
			}
			words = "≤ " + formatRate(fleet.Reading(top))
		}
		x = a.text(x, y, fmt.Sprintf("%-4s ", p.name), fg(colDim))
		room := 1 + (i+1)*w - x - 2
		plot := min(room, max(0, room-12))
		drawCurve(a.sub(x, y, plot, 1), curve, 0, top, fg(colAccent))
		a.cut(x+plot+1, y, min(11, room-plot), words, fg(colDim))
	}
}

func orZero(v float64) float64 {
	if v != v {
		return 0
	}
	return v
}

// drawCores draws a bar a core, or the mean of neighbours where they do not fit, and gives the lines used.
func drawCores(a area, n *fleet.Node) int {
	if len(n.Cores) == 0 {
		a.cut(0, 0, a.w, "per core: asked for, not told yet", fg(colDim))
		return 1
	}
	if a.w < 1 || a.h < 1 {
		return a.h
	}
	per := 1
	for (len(n.Cores)+per-1)/per > a.w*a.h {
		per++
	}
	for i := 0; i*per < len(n.Cores); i++ {
		total, known := fleet.Reading(0), 0
		for _, c := range n.Cores[i*per : min(len(n.Cores), (i+1)*per)] {
			if c.BusyPct.Known() {
				total, known = total+c.BusyPct, known+1
			}
		}
		x, y := i%a.w, i/a.w
		if known == 0 {
			a.text(x, y, absent, fg(colDim))
			continue
		}
		a.text(x, y, string(barOf(float64(total)/float64(known)/100)), fg(colBar))
	}
	return a.h
}

func swapWords(h *fleet.Host) string {
	switch {
	case !h.SwapTotalBytes.Known() && !h.SwapUsedBytes.Known():
		return ""
	case h.SwapTotalBytes == 0:
		return " no swap"
	}
	return " swap " + formatBytes(h.SwapUsedBytes) + "/" + formatBytes(h.SwapTotalBytes)
}

func hugePages(h *fleet.Host) string {
	if !h.HugePagesTotal.Known() || h.HugePagesTotal == 0 {
		return ""
	}
	used := (h.HugePagesTotal - h.HugePagesFree) * h.HugePageBytes
	return " huge pages " + formatBytes(used) + "/" + formatBytes(h.HugePagesTotal*h.HugePageBytes)
}

// formatLoad is a load average with one digit after the point.
func formatLoad(r fleet.Reading) string {
	if !r.Known() {
		return absent
	}
	return fmt.Sprintf("%.1f", min(float64(r), 99999))
}

// formatShare is a small percentage with one digit after the point.
func formatShare(r fleet.Reading) string {
	if !r.Known() {
		return absent
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", min(float64(r), 100)), ".0") + "%"
}

// collectorCost is what watching costs the node.
func collectorCost(n *fleet.Node) string {
	if !n.Self.CPUPct.Known() && !n.Self.RSSBytes.Known() {
		return ""
	}
	slow := ""
	switch {
	case n.Self.Every > time.Second && n.Self.Every >= n.Self.Spared:
		slow = ", slow link: a sample each " + formatAge(n.Self.Every)
	case n.Self.Spared > time.Second:
		slow = ", many nodes: a sample each " + formatAge(n.Self.Spared)
	}
	return "collector " + formatShare(n.Self.CPUPct) + " " + formatBytes(n.Self.RSSBytes) + " " + formatRate(n.Self.SentBytesPerS) + slow
}
