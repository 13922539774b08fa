package ui

import (
	"slices"
	"time"

	"foretop/fleet"
)

// Sections of the node's page, in the order in which Tab goes round them.
const (
	secGPUs section = iota
	secHistory
	secHost
	secProcesses
	secPorts
	secKernel
	secDevices
	secTopology
	secSources
	numNodeSections
)

// nodeSection is one section of the node's page.
type nodeSection struct {
	title string
	rows  func(m *Model, n *fleet.Node, w int) int // lines that it takes under its rule
	draw  func(m *Model, a area, n *fleet.Node)
}

// nodeSections is the table of them. A further one is an entry here, and its place in layoutNode.
func nodeSections() [numNodeSections]nodeSection {
	return [numNodeSections]nodeSection{
		secGPUs:      {"GPUs", (*Model).gpuRows, (*Model).drawGPUs},
		secHistory:   {"", func(m *Model, _ *fleet.Node, _ int) int { return m.chartRows() }, (*Model).drawChart},
		secHost:      {"CPU and memory", func(_ *Model, n *fleet.Node, w int) int { return hostRows(n, w) }, (*Model).drawHost},
		secProcesses: {"", func(_ *Model, n *fleet.Node, _ int) int { return processRows(n) }, (*Model).drawProcesses},
		secPorts:     {"RDMA ports", (*Model).portRows, (*Model).drawPorts},
		secKernel:    {"", func(_ *Model, n *fleet.Node, _ int) int { return kernelRows(n) }, (*Model).drawKernelTail},
		secDevices: {"network, disks, file systems", func(_ *Model, n *fleet.Node, _ int) int { return max(1, len(deviceLines(n))) },
			func(_ *Model, a area, n *fleet.Node) {
				drawLines(a, deviceLines(n), "no network interface or disk is known")
			}},
		secTopology: {"topology", (*Model).topologyRows, (*Model).drawTopology},
		secSources:  {"sources", func(_ *Model, n *fleet.Node, _ int) int { return sourceRows(n) }, (*Model).drawSources},
	}
}

// sectionTitle is a section's title as it is now.
func (m *Model) sectionTitle(n *fleet.Node, id section) string {
	switch id {
	case secHistory:
		return m.chartTitle()
	case secKernel:
		return kernelTitle(n)
	case secProcesses:
		return processTitle(n)
	}
	return nodeSections()[id].title
}

// nodeScreen is the drill-down into one node.
type nodeScreen struct {
	page
	name     string
	selected int  // index of the GPU
	stays    bool // a selected GPU that is not there is waited for: it may be there at another moment
	moved    bool // the selection was moved by hand since it was last drawn
	plain    bool // as last drawn: no sections, only why the node is not live
	parts    partsView
	columns  gpuColumnsSeen

	asked   historyAsk
	askedAt time.Time
	asking  bool
	history historyMsg
	log     logView
}

// show turns to a node; gpu is the index of the GPU to select, -1: the worst.
func (s *nodeScreen) show(n *fleet.Node, gpu int) {
	if s.name != n.Name {
		folded, stays := s.folded, s.stays
		*s = nodeScreen{name: n.Name}
		s.folded, s.stays = folded, stays
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
	if s.stays {
		return nil
	}
	return &n.GPUs[0]
}

// leftOut says that a node has nothing for a section to show, ever: GPUs, and their curves.
func leftOut(n *fleet.Node, id section) bool {
	switch id {
	case secGPUs:
		return noGPU(n) && len(n.Inventory.UnseenGpus) == 0
	case secHistory, secTopology:
		return len(n.GPUs) == 0
	}
	return false
}

// step moves the selection among the GPUs while they have the focus, else the page.
func (s *nodeScreen) step(do action) {
	if s.onGPUs() {
		switch do {
		case actUp:
			s.selected--
			s.reveal, s.moved = true, true
			return
		case actDown:
			s.selected++
			s.reveal, s.moved = true, true
			return
		case actFirst:
			s.selected = 0
		}
	}
	s.scroll(do)
}

// onGPUs says that the arrow keys move among the GPUs.
func (s *nodeScreen) onGPUs() bool { return !s.plain && s.focused == secGPUs && !s.folded[secGPUs] }

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

// drawNode draws the node's head and as much of its page as there is room for.
func (m *Model) drawNode(a area) {
	s := &m.node
	n := m.index.node(s.name)
	if n == nil {
		say(a, m.missing(s.name, "watched"), "Esc goes back")
		return
	}
	if len(n.GPUs) > 0 && (!s.stays || s.moved) {
		s.moved = false
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
		s.revealFocus(n)
	}
	s.clamp()
	if head >= 2 {
		m.nodeHead(a, n, len(why) == 0)
		drawWhy(a.sub(0, 2, a.w, len(why)), why)
	}
	sections := nodeSections()
	s.draw(m, a.sub(0, head, a.w, s.seen), func(id section) string { return m.sectionTitle(n, id) }, func(a area, id section) { sections[id].draw(m, a, n) })
}

// drawUnseen draws the page of a node that never told anything: why, and what to do.
func (m *Model) drawUnseen(a area, n *fleet.Node, head int, why []whyLine) {
	s := &m.node
	gap := 0
	if a.h >= 10 {
		gap = 1
	}
	s.at = [maxSections]box{}
	s.length, s.seen = len(why)+gap, max(0, a.h-head)
	s.clamp()
	if head == 2 {
		m.nodeHead(a, n, false)
	}
	drawWhy(a.sub(0, head, a.w, s.seen).sub(0, gap-s.top, a.w, len(why)), why)
}

// revealFocus scrolls so that the focused section is seen: all of it, or its beginning; of the GPUs, the selected one.
func (s *nodeScreen) revealFocus(n *fleet.Node) {
	b := s.at[s.focused]
	if s.focused == secGPUs && b.h > s.seen && !s.folded[secGPUs] {
		row := b.y + 2 + s.rowOf(n, s.selected)
		s.bring(row, row+1)
		return
	}
	s.bring(b.y, b.y+b.h)
}

// nodeWide is the width from which sections stand side by side.
const nodeWide = 110

// layoutNode puts the sections on the page: a pure function of the width, what is folded, and how much the node has of each thing.
func (m *Model) layoutNode(n *fleet.Node, w int) {
	s := &m.node
	rows := [][]section{{secGPUs}, {secHistory, secHost}, {secPorts}, {secKernel, secProcesses}, {secDevices, secTopology}, {secSources}}
	if w < nodeWide {
		rows = nil
		for id := range numNodeSections {
			rows = append(rows, []section{id})
		}
	}
	for i := range rows {
		rows[i] = slices.DeleteFunc(rows[i], func(id section) bool { return leftOut(n, id) })
	}
	rows = slices.DeleteFunc(rows, func(row []section) bool { return len(row) == 0 })
	sections := nodeSections()
	s.stack(w, rows, func(id section, w int) int { return sections[id].rows(m, n, w) })
	if s.at[s.focused].h == 0 {
		s.focus(1)
	}
}
