package ui

import (
	"slices"
	"strconv"
	"time"

	"foretop/fleet"
)

// section is a part of the node screen that can be folded.
type section uint8

const (
	secGPUs section = iota
	secHistory
	secHost
	secProcesses
	secPorts
	secKernel
	secDevices
	secSources
	numSections
)

var sectionTitles = [numSections]string{"GPUs", "history", "CPU and memory", "processes", "RDMA ports", "kernel log", "network, disks, file systems", "sources"}

// nodeScreen is the drill-down into one node: a page of sections that scrolls.
type nodeScreen struct {
	name     string
	selected int // index of the GPU
	focused  section
	folded   [numSections]bool
	top      int // first line of the page on screen
	reveal   bool
	plain    bool // as last drawn: no sections, only why the node is not live
	// As last drawn: where each section is on the page, how long the page is and how much of it is seen.
	at           [numSections]box
	length, seen int

	asked   historyAsk
	askedAt time.Time
	asking  bool
	history historyMsg
	log     logView
}

// box is a place on the page.
type box struct{ x, y, w, h int }

// show turns to a node; gpu is the index of the GPU to select, -1: the worst.
func (s *nodeScreen) show(n *fleet.Node, gpu int) {
	if s.name != n.Name {
		*s = nodeScreen{name: n.Name, folded: s.folded}
	}
	s.top, s.focused, s.reveal = 0, secGPUs, true
	if gpu >= 0 {
		s.selected = gpu
		return
	}
	rank := 0
	for i := range n.GPUs {
		if k := markRank(gpuMark(&n.GPUs[i], n.State)); k > rank {
			s.selected, rank = n.GPUs[i].Index, k
		}
	}
}

// gpu is the selected GPU; nil when the node has none.
func (s *nodeScreen) gpu(n *fleet.Node) *fleet.GPU {
	if n == nil || len(n.GPUs) == 0 {
		return nil
	}
	for i := range n.GPUs {
		if n.GPUs[i].Index == s.selected {
			return &n.GPUs[i]
		}
	}
	return &n.GPUs[0]
}

// focus goes on to another section, unfolded or not, and brings it into sight.
func (s *nodeScreen) focus(d int) {
	for range numSections {
		s.focused = section((int(s.focused) + d + int(numSections)) % int(numSections))
		if s.at[s.focused].h > 0 {
			break
		}
	}
	s.reveal = true
}

// leftOut says that a node has nothing for a section to show, ever: GPUs, and their curves.
func leftOut(n *fleet.Node, id section) bool {
	return id == secGPUs && noGPU(n) || id == secHistory && len(n.GPUs) == 0
}

func (s *nodeScreen) fold() {
	s.folded[s.focused] = !s.folded[s.focused]
	s.reveal = true
}

// step moves the selection among the GPUs while they have the focus, else the page.
func (s *nodeScreen) step(do action) {
	gpus := !s.plain && s.focused == secGPUs && !s.folded[secGPUs]
	switch do {
	case actUp:
		if gpus {
			s.selected--
			s.reveal = true
			return
		}
		s.top--
	case actDown:
		if gpus {
			s.selected++
			s.reveal = true
			return
		}
		s.top++
	case actPageUp:
		s.top -= max(1, s.seen-1)
	case actPageDown:
		s.top += max(1, s.seen-1)
	case actFirst:
		s.top = 0
		if gpus {
			s.selected = 0
		}
	case actLast:
		s.top = s.length
	}
	s.top = max(0, min(s.top, s.length-s.seen))
}

// takeHistory keeps curves that came.
func (s *nodeScreen) takeHistory(msg historyMsg) {
	s.asking = false
	if msg.ask.node == s.name {
		s.history = msg
	}
}

// historyDue says whether curves are to be asked for, and notes that they are.
func (s *nodeScreen) historyDue(ask historyAsk, at time.Time) bool {
	if s.asking || ask == s.asked && at.Sub(s.askedAt) < time.Second {
		return false
	}
	s.asked, s.askedAt, s.asking = ask, at, true
	return true
}

// curve is what is known of the past; nil when nothing is.
func (s *nodeScreen) curve(gpu int, id fleet.SeriesID) []float64 {
	return s.history.series[seriesKey{gpu, id}]
}

// pageWords say which part of the page is seen, when not all of it is.
func (s *nodeScreen) pageWords() string {
	if s.length <= s.seen || s.seen == 0 {
		return ""
	}
	return "lines " + strconv.Itoa(s.top+1) + "–" + strconv.Itoa(min(s.top+s.seen, s.length)) + " of " + strconv.Itoa(s.length)
}

// drawNode draws the node's head and as much of its page as there is room for.
func (m *Model) drawNode(a area) {
	s := &m.node
	n := m.index.node(s.name)
	if n == nil {
		say(a, s.name+" is not watched any more", "Esc goes back")
		return
	}
	if len(n.GPUs) > 0 {
		first, last := n.GPUs[0].Index, n.GPUs[len(n.GPUs)-1].Index
		s.selected = max(first, min(s.selected, last))
	}
	head := 0
	if a.h >= 6 {
		head = 2
	} else if a.h > 0 {
		m.nodeState(a, 0, n, true)
		head = 1
	}
	var why []whyLine
	if s.plain = neverSeen(n); s.plain || explained(n) && a.h >= 12 {
		why = m.whyLines(n, a.w)
	}
	if s.plain {
		m.drawUnseen(a, n, head, why)
		return
	}
	why = why[:min(len(why), a.h/2)]
	m.layoutNode(n, a.w)
	if head == 2 {
		head += len(why)
	}
	s.seen = max(0, a.h-head)
	if s.reveal {
		s.revealFocus()
	}
	s.top = max(0, min(s.top, s.length-s.seen))
	if head >= 2 {
		m.nodeHead(a, n, len(why) == 0)
		drawWhy(a.sub(0, 2, a.w, len(why)), why)
	}
	view := a.sub(0, head, a.w, s.seen)
	for id := range numSections {
		b := s.at[id]
		if b.h == 0 || b.y-s.top >= s.seen || b.y+b.h <= s.top {
			continue
		}
		m.drawSection(view.sub(b.x, b.y-s.top, b.w, b.h), id, n)
	}
}

// drawUnseen draws the page of a node that never told anything: why, and what to do.
func (m *Model) drawUnseen(a area, n *fleet.Node, head int, why []whyLine) {
	s := &m.node
	gap := 0
	if a.h >= 10 {
		gap = 1
	}
	s.at = [numSections]box{}
	s.length, s.seen = len(why)+gap, max(0, a.h-head)
	s.top = max(0, min(s.top, s.length-s.seen))
	if head == 2 {
		m.nodeHead(a, n, false)
	}
	drawWhy(a.sub(0, head, a.w, s.seen).sub(0, gap-s.top, a.w, len(why)), why)
}

// revealFocus scrolls so that the focused section is seen: all of it, or its beginning; of the GPUs, the selected one.
func (s *nodeScreen) revealFocus() {
	s.reveal = false
	b := s.at[s.focused]
	from, to := b.y, b.y+b.h
	if s.focused == secGPUs && b.h > s.seen {
		from = b.y + 2 + s.selected
		to = from + 1
	}
	if to > s.top+s.seen {
		s.top = to - s.seen
	}
	if from < s.top || b.h > s.seen && s.focused != secGPUs {
		s.top = from
	}
}

// nodeWide is the width from which sections stand side by side.
const nodeWide = 110

// layoutNode puts the sections on the page: a pure function of the width, what is folded, and how much the node has of each thing.
func (m *Model) layoutNode(n *fleet.Node, w int) {
	s := &m.node
	rows := [][]section{{secGPUs}, {secHistory, secHost}, {secPorts, secKernel}, {secProcesses, secDevices}, {secSources}}
	if w < nodeWide {
		rows = nil
		for id := range numSections {
			rows = append(rows, []section{id})
		}
	}
	y := 0
	s.at = [numSections]box{}
	for _, row := range rows {
		if row = slices.DeleteFunc(row, func(id section) bool { return leftOut(n, id) }); len(row) == 0 {
			continue
		}
		cells := w / len(row)
		tallest := 0
		for i, id := range row {
			b := box{x: i * cells, y: y, w: cells, h: 1}
			if i == len(row)-1 {
				b.w = w - b.x
			} else {
				b.w--
			}
			if !s.folded[id] {
				b.h += m.sectionRows(n, id, b.w)
			}
			s.at[id] = b
			tallest = max(tallest, b.h)
		}
		y += tallest
	}
	s.length = y
	if s.at[s.focused].h == 0 {
		s.focus(1)
	}
}

// sectionRows is how many lines a section takes under its rule.
func (m *Model) sectionRows(n *fleet.Node, id section, w int) int {
	switch id {
	case secGPUs:
		return 1 + max(1, len(n.GPUs))
	case secHistory:
		return m.chartRows()
	case secHost:
		return hostRows(n, w)
	case secProcesses:
		return processRows(n)
	case secPorts:
		return m.portRows(n, w)
	case secKernel:
		return kernelRows(n)
	case secDevices:
		return max(1, len(deviceLines(n)))
	}
	return max(1, len(n.Sources)) + 1
}

func (m *Model) drawSection(a area, id section, n *fleet.Node) {
	s := &m.node
	title, st, mark := sectionTitles[id], fg(colDim), "─ "
	switch id {
	case secHistory:
		title = m.chartTitle()
	case secKernel:
		title = kernelTitle(n)
	case secProcesses:
		title = processTitle(n)
	}
	if s.folded[id] {
		title += " (folded: t)"
	}
	if s.focused == id {
		st, mark = fg(colStrong).with(bold), string(markCursor)+" "
	}
	a.repeat(0, 0, a.w, '─', fg(colDim))
	x := a.text(1, 0, mark, st)
	a.text(x, 0, title+" ", st)
	if s.folded[id] {
		return
	}
	body := a.sub(0, 1, a.w, a.h-1)
	switch id {
	case secGPUs:
		m.drawGPUs(body, n)
	case secHistory:
		m.drawChart(body, n)
	case secHost:
		m.drawHost(body, n)
	case secProcesses:
		m.drawProcesses(body, n)
	case secPorts:
		m.drawPorts(body, n)
	case secKernel:
		m.drawKernelTail(body, n)
	case secDevices:
		drawLines(body, deviceLines(n), "no network interface or disk is known")
	case secSources:
		m.drawSources(body, n)
	}
}
