package ui

import (
	"math"
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

// nodesScreen is the table of nodes.
type nodesScreen struct {
	list
	chooser[*fleet.Node]
	snap   *fleet.Snapshot
	index  nodeIndex
	placed []placed
	page   int
	gpus   int // the most GPUs of a node, as far as seen: the width of their bars
}

// sparkMax is how many GPUs of a node have a bar of their own in the table.
const sparkMax = 16

// nodeColumns are the columns of the table; gpus is how many GPUs a node has.
func nodeColumns(gpus int) []column {
	bars := max(4, min(gpus, sparkMax)) + 5
	return []column{
		{id: "node", title: "NODE", width: 8, ideal: 18},
		{id: "state", title: "STATE", width: 14, ideal: 18, down: true},
		{id: "age", title: "AGE", width: 5, right: true, drop: 9, down: true},
		{id: "jobs", title: "JOBS", width: 8, ideal: 14, drop: 6},
		{id: "util", title: "GPU UTIL", width: bars, drop: 4, down: true},
		{id: "mem", title: "GPU MEM", width: 9, right: true, drop: 10, down: true},
		{id: "power", title: "POWER", width: 6, right: true, drop: 8, down: true},
		{id: "cpu", title: "CPU", width: 4, right: true, drop: 7, down: true},
		{id: "ram", title: "MEM", width: 10, right: true, drop: 12, down: true},
		{id: "net", title: "NET ↑↓ GB/s", width: 11, right: true, drop: 11, down: true},
		{id: "xid", title: "XID", width: 4, right: true, drop: 5, down: true},
		{id: "note", title: "NOTE", width: 24, ideal: 50, rest: true},
	}
}

// refresh takes over a snapshot; force puts the rows in order whatever the cursor does.
func (s *nodesScreen) refresh(snap *fleet.Snapshot, touched time.Time, force bool) {
	resort := force || s.mayResort(snap.At, touched)
	same := s.snap != nil && len(s.snap.Nodes) == len(snap.Nodes) && !s.active()
	for i := 0; same && i < len(snap.Nodes); i++ {
		same = snap.Nodes[i].Name == s.snap.Nodes[i].Name
	}
	s.snap = snap
	s.index.update(snap)
	if same && !resort {
		return // the same rows in the same order
	}
	for _, n := range snap.Nodes {
		s.gpus = max(s.gpus, len(n.GPUs))
	}
	rows := make([]rowKey, 0, len(snap.Nodes))
	for _, n := range snap.Nodes {
		if s.problems && nodeSeverity(n) < fleet.Warning || s.user != "" && !hasUser(n, s.user) || !s.filter.holds(n) {
			continue
		}
		rows = append(rows, nodeRowKey(n, s.sort, snap.At))
	}
	s.arrange(sortRows(rows, s.descending()), resort, snap.At)
}

func (s *nodesScreen) descending() bool {
	for _, c := range nodeColumns(0) {
		if c.id == s.sort {
			return c.down != s.reverse
		}
	}
	return false
}

func hasUser(n *fleet.Node, user string) bool {
	for _, p := range n.Processes {
		if p.GetUser() == user {
			return true
		}
	}
	return false
}

// firstUser is who holds a GPU of the node.
func firstUser(n *fleet.Node) string {
	for _, p := range n.Processes {
		if p.GetUser() != "" {
			return p.GetUser()
		}
	}
	return ""
}

func nodeRowKey(n *fleet.Node, by string, at time.Time) rowKey {
	k := rowKey{key: n.Name, num: math.NaN()}
	switch by {
	case "state":
		k.num = float64(nodeSeverity(n))
	case "age":
		if a := n.Age(at); a >= 0 {
			k.num = a.Seconds()
		}
	case "jobs":
		k.word = nodeJobs(n)
	case "util":
		k.num = float64(meanUtil(n))
	case "mem":
		used, whole := nodeMem(n)
		k.num = float64(used.Share(whole))
	case "power":
		k.num = float64(nodePower(n))
	case "cpu":
		k.num = float64(n.Host.CPUBusyPct)
	case "ram":
		k.num = float64(n.Host.MemUsedBytes.Share(n.Host.MemTotalBytes))
	case "net":
		rx, tx := nodeNet(n)
		k.num = float64(sum(rx, tx))
	case "xid":
		if v, err := strconv.Atoi(nodeXid(n)); err == nil {
			k.num = float64(v)
		}
	case "note":
		k.word = nodeNote(n, at)
	}
	return k
}

// nodeJobs are the jobs with ranks on a node, as people know them.
func nodeJobs(n *fleet.Node) string {
	switch len(n.Jobs) {
	case 0:
		return absent
	case 1:
		return jobID(n.Jobs[0])
	}
	ids := make([]string, len(n.Jobs))
	for i, k := range n.Jobs {
		ids[i] = jobID(k)
	}
	return strings.Join(ids, ",")
}

func meanUtil(n *fleet.Node) fleet.Reading {
	q := gpuQuantity{read: func(g *fleet.GPU) fleet.Reading { return g.UtilPct }}
	return q.ofNode(n)
}

func nodeMem(n *fleet.Node) (used, whole fleet.Reading) {
	used, whole = fleet.None(), fleet.None()
	for i := range n.GPUs {
		used, whole = sum(used, n.GPUs[i].MemUsedBytes), sum(whole, n.GPUs[i].MemTotalBytes)
	}
	return used, whole
}

func nodePower(n *fleet.Node) fleet.Reading {
	total := fleet.None()
	for i := range n.GPUs {
		total = sum(total, n.GPUs[i].PowerW)
	}
	return total
}

// drawNodes draws the table.
func (m *Model) drawNodes(a area) {
	s := &m.nodes
	s.placed = placeColumns(nodeColumns(s.gpus), a.w)
	y := 0
	if a.h > 2 {
		drawHeader(a, 0, s.placed, s.sort, s.descending())
		y = 1
	}
	s.page = max(1, a.h-y)
	if len(s.keys) == 0 {
		m.emptyNodes(a.sub(0, y, a.w, a.h-y))
		return
	}
	top, at := s.scroll(a.h-y), s.list.index()
	for i := top; i < len(s.keys) && y < a.h; i, y = i+1, y+1 {
		n := s.index.node(s.keys[i])
		if n == nil {
			continue
		}
		drawRow(a, y, s.placed, i == at, s.tagged[n.Name], true, func(box area, p *placed) { m.nodeCell(box, p, n) })
		m.hit(a, y, func() { s.moveTo(i) })
	}
}

func (m *Model) emptyNodes(a area) {
	if m.nodes.active() && len(m.snap.Nodes) > 0 {
		say(a, "no node is chosen by "+strings.TrimSpace(m.nodes.words()), `\ shows all `+count(len(m.snap.Nodes), "node"))
		return
	}
	m.emptyFleet(a)
}

func (m *Model) nodeCell(a area, p *placed, n *fleet.Node) {
	num := func(s string) {
		st := style{}
		if s == absent {
			st = fg(colDim)
		}
		a.right(0, 0, p.cells, s, st)
	}
	// Old numbers are not shown as if they were fresh: of a node that is lost, none.
	known := n.State == fleet.Live || n.State == fleet.Stale
	switch p.id {
	case "node":
		a.cut(0, 0, p.cells, tail(n.Name, p.cells), fg(colStrong))
		return
	case "state":
		k := nodeMark(n)
		a.text(0, 0, string(k.r), k.st)
		a.cut(2, 0, p.cells-2, nodeState(n, m.snap.At), k.st)
		return
	case "age":
		num(formatAge(n.Age(m.snap.At)))
		return
	case "jobs":
		a.cut(0, 0, p.cells, nodeJobs(n), style{})
		return
	case "note":
		m.drawNote(a, p, n, known)
		return
	}
	if !known {
		return // drawNote has the room
	}
	switch p.id {
	case "util":
		drawSpark(a, p.cells, n)
	case "mem":
		used, whole := nodeMem(n)
		num(formatUsed(used, whole))
	case "power":
		num(formatWatts(nodePower(n)))
	case "cpu":
		num(formatPct(n.Host.CPUBusyPct))
	case "ram":
		num(formatUsed(n.Host.MemUsedBytes, n.Host.MemTotalBytes))
	case "net":
		rx, tx := nodeNet(n)
		num(formatGBps(tx) + " " + formatGBps(rx))
	case "xid":
		st := fg(colDim)
		xid := nodeXid(n)
		if xid != absent && xid != "?" {
			st = fg(colCrit)
		}
		a.right(0, 0, p.cells, xid, st)
	}
}

// drawNote draws what there is to say of a node. Of one without numbers it begins where those would have been: cause and remedy are longer.
func (m *Model) drawNote(a area, p *placed, n *fleet.Node, known bool) {
	st := severityMark(nodeSeverity(n)).st
	if nodeSeverity(n) == fleet.Fine {
		st = fg(colDim)
	}
	if known {
		a.cut(0, 0, p.cells, nodeNote(n, m.snap.At), st)
		return
	}
	from := p.x
	for _, c := range m.nodes.placed {
		if c.id == "util" {
			from = c.x
		}
	}
	row := a.c.whole().sub(a.x-p.x+from, a.y, p.x-from+p.cells, 1)
	row.cut(0, 0, row.w, nodeNote(n, m.snap.At), st)
}

// barRunes are levels of a bar of one cell.
var barRunes = [...]rune{'▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'}

func barOf(share float64) rune {
	return barRunes[max(0, min(len(barRunes)-1, int(share*float64(len(barRunes)))))]
}

// drawSpark draws a bar for each GPU's utilisation, or its shape where something is wrong, and their mean.
func drawSpark(a area, w int, n *fleet.Node) {
	mean := formatPct(meanUtil(n))
	if len(n.GPUs) == 0 {
		a.cut(0, 0, w, "no GPU", fg(colDim))
		return
	}
	a.right(w-5, 0, 5, mean, style{})
	for i := range n.GPUs {
		if i >= w-5 {
			break
		}
		r, st := sparkCell(&n.GPUs[i], n.State)
		a.text(i, 0, string(r), st)
	}
}

func sparkCell(g *fleet.GPU, state fleet.State) (rune, style) {
	switch k := gpuMark(g, state); k {
	case markCritical:
		return k, fg(colCrit)
	case markWarning:
		return k, fg(colWarn)
	case markStale, markUnknown:
		return k, fg(colStale)
	}
	if !g.UtilPct.Known() {
		return markAbsent, fg(colDim)
	}
	return barOf(float64(g.UtilPct) / 100), fg(colBar)
}
