package ui

import (
	"strconv"
	"strings"

	"foretop/fleet"
)

// topShown is how many of the busiest other processes are shown.
const topShown = 5

// processColumns are the columns of a node's processes.
func processColumns() []column {
	return []column{
		{id: "pid", title: "PID", width: 7, right: true},
		{id: "user", title: "USER", width: 6, ideal: 10, drop: 1},
		{id: "rank", title: "RANK", width: 4, right: true, drop: 4},
		{id: "gpu", title: "GPU", width: 4, drop: 3},
		{id: "vram", title: "VRAM", width: 6, right: true, drop: 5},
		{id: "cpu", title: "CPU", width: 5, right: true, drop: 2},
		{id: "rss", title: "RSS", width: 6, right: true, drop: 6},
		{id: "threads", title: "THR", width: 4, right: true, drop: 8},
		{id: "status", title: "S", width: 1, drop: 7},
		{id: "command", title: "COMMAND", width: 10, rest: true},
	}
}

func processTitle(n *fleet.Node) string {
	return count(len(n.Processes), "process") + " on GPUs or of jobs" + topTitle(n)
}

func topTitle(n *fleet.Node) string {
	if len(n.Top) == 0 {
		return ""
	}
	return ", and the busiest others"
}

func processRows(n *fleet.Node) int {
	return max(2, 1+len(n.Processes)+min(topShown, len(n.Top)))
}

func (m *Model) drawProcesses(a area, n *fleet.Node) {
	columns := placeColumns(processColumns(), a.w)
	drawHeader(a, 0, columns, "", false)
	y := 1
	for _, p := range n.Processes {
		if a.shows(y) {
			for j := range columns {
				c := &columns[j]
				processCell(a.sub(c.x, y, c.cells, 1), c, p)
			}
		}
		y++
	}
	for i, t := range n.Top {
		if i >= topShown {
			break
		}
		cells := map[string]string{
			"pid": strconv.Itoa(int(t.GetPid())), "user": t.GetUser(), "rank": "", "gpu": "", "vram": "",
			"cpu": formatPct(fleet.Reading(t.GetCpuPermille()) / 10), "rss": formatBytes(fleet.Reading(t.GetRssBytes())),
			"threads": strconv.Itoa(int(t.GetThreads())), "status": t.GetState(), "command": shortCommand(t.GetCommand()),
		}
		if cells["command"] == "" {
			cells["command"] = t.GetComm()
		}
		for j := range columns {
			c := &columns[j]
			drawField(a.sub(c.x, y, c.cells, 1), c, cells[c.id], fg(colDim))
		}
		y++
	}
	if y == 1 {
		a.cut(tableIndent, y, a.w-tableIndent, "no process on this node holds a GPU or says that it is a rank", fg(colDim))
	}
}

func drawField(a area, c *placed, s string, st style) {
	if c.right {
		a.right(0, 0, c.cells, s, st)
	} else {
		a.cut(0, 0, c.cells, s, st)
	}
}

func processCell(a area, c *placed, p *fleet.Process) {
	text, st := absent, style{}
	switch c.id {
	case "pid":
		text, st = strconv.Itoa(int(p.GetPid())), fg(colStrong)
	case "user":
		text = p.GetUser()
	case "rank":
		if p.Rank >= 0 {
			text = strconv.Itoa(p.Rank)
		}
	case "gpu":
		text = heldGPUs(p)
	case "vram":
		text = formatBytes(heldBytes(p))
	case "cpu":
		text = formatPct(p.CPUPct)
	case "rss":
		text = formatBytes(p.RSS)
	case "threads":
		text = formatUnit(p.Threads, "")
	case "status":
		if text = p.Status; text == "D" || text == "Z" {
			st = fg(colWarn)
		}
	case "command":
		if text = shortCommand(p.GetCommand()); text == "" {
			text = p.GetComm()
		}
	}
	if text == absent {
		st = fg(colDim)
	}
	drawField(a, c, text, st)
}

func heldGPUs(p *fleet.Process) string {
	if len(p.GetHeld()) == 0 {
		return absent
	}
	list := make([]int, 0, len(p.GetHeld()))
	for _, h := range p.GetHeld() {
		list = append(list, int(h.GetGpu()))
	}
	return strings.ReplaceAll(ranges(sortedUnique(list)), ",", " ")
}

func heldBytes(p *fleet.Process) fleet.Reading {
	total := fleet.None()
	for _, h := range p.GetHeld() {
		if h.GetMemoryKnown() {
			total = sum(total, fleet.Reading(h.GetMemoryBytes()))
		}
	}
	return total
}
