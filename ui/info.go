package ui

import (
	"slices"
	"strconv"
	"strings"

	"foretop/fleet"
)

// drawInfo draws the lines about what is selected: what is wrong with it, then the selected GPU in full.
func (m *Model) drawInfo(a area) {
	if a.h == 0 {
		return
	}
	var lines [][]span
	gone := m.goneWords()
	if gone != "" {
		lines = m.goneInfo(gone)
	} else {
		lines = m.infoLines(a)
	}
	lines = slices.DeleteFunc(lines, func(l []span) bool { return len(l) == 0 })
	y := max(0, a.h-len(lines)) // the last stands on the line above the keys
	for _, l := range lines {
		x := 1
		for _, s := range l {
			x = a.text(x, y, s.text, s.st)
		}
		if x > a.w { // cut where it can be seen that it is
			a.text(a.w-1, y, "…", fg(colDim))
		}
		y++
	}
}

// infoLines are the lines about what is selected.
func (m *Model) infoLines(a area) (lines [][]span) {
	switch m.place() {
	case placeJobs, placeGrid, placeJob:
		lines = m.jobInfo(a)
	case placeRanks:
		lines = m.rankInfo(a)
	case placeNodes:
		lines = m.nodeInfo(a)
	case placeNode:
		lines = m.gpuInfo(a)
	case placeKernel:
		lines = m.kernelInfo(a)
	}
	return lines
}

// jobInfo is what is wrong with the selected job, and the selected GPU in full. On a narrow screen the GPU needs both lines while one moves about in
// the grid.
func (m *Model) jobInfo(a area) [][]span {
	finding := m.findingLine()
	words, numbers := m.cellLines(finding != nil && a.h > 1)
	cell := append(words[:len(words):len(words)], numbers...)
	switch {
	case a.h == 1 && m.place() == placeJobs && finding != nil:
		return [][]span{finding}
	case a.h == 1:
		return [][]span{cell}
	case m.place() == placeGrid && spansWidth(a, cell) > a.w-1:
		words, numbers = m.cellLines(false)
		return [][]span{words, numbers}
	}
	return [][]span{finding, cell}
}

// findingLine is the worst problem on the selected job's nodes, with when and where it was seen; where another node of the fleet is worse off than
// that job, what is wrong there.
func (m *Model) findingLine() []span {
	j := m.jobs.selectedJob()
	if j == nil {
		return m.fleetFinding()
	}
	node, how := m.worstNode(j), j.Severity
	if node != nil {
		how = max(how, nodeSeverity(node))
	}
	if n := m.tally.worst; n != nil && how < nodeSeverity(n) || how < fleet.Notice {
		if finding := m.fleetFinding(); finding != nil {
			return finding
		}
	}
	if node == nil {
		if j.Severity < fleet.Notice {
			return nil
		}
		k := jobMark(j)
		return []span{{string(k.r) + " " + jobText(j), k.st}}
	}
	return append(m.problemSpans(node), span{"  → " + j.ID + ": " + jobText(j), style{}})
}

// worstOf is the worst node of a job in a snapshot.
type worstOf struct {
	snap *fleet.Snapshot
	job  *fleet.Job
	node *fleet.Node
}

// worstNode is the first of the worst of a job's nodes; nil where nothing is wrong with any. It is looked for once a picture.
func (m *Model) worstNode(j *fleet.Job) *fleet.Node {
	if m.worst.snap == m.snap && m.worst.job == j {
		return m.worst.node
	}
	m.worst = worstOf{snap: m.snap, job: j}
	severity := fleet.Notice
	for _, name := range j.Nodes {
		if n := m.index.node(name); n != nil && nodeSeverity(n) > severity {
			m.worst.node, severity = n, nodeSeverity(n)
		}
	}
	return m.worst.node
}

// fleetFinding is the worst problem of all nodes. It is not shown where one looks into a single job.
func (m *Model) fleetFinding() []span {
	if n := m.tally.worst; n != nil && m.screen == screenJobs {
		return m.problemSpans(n)
	}
	return nil
}

// problemSpans is the worst thing about a node: "✖ 12:03:00 gpu017 Xid 79 GPU3: fell off the bus".
func (m *Model) problemSpans(n *fleet.Node) []span {
	k := severityMark(nodeSeverity(n))
	since := n.Since
	text := n.State.String() + ": " + nodeNote(n, m.snap.At)
	if n.State == fleet.Live {
		p := n.Worst()
		if p == nil {
			return nil
		}
		since, text = p.Since, p.Text
	}
	when := ""
	if !since.IsZero() {
		when = since.In(m.opt.Location).Format("15:04:05") + " "
	}
	return []span{{string(k.r) + " " + when, k.st}, {n.Name + " ", fg(colStrong)}, {text, k.st}}
}

// cellLines is the GPU selected in the grid: who it is and what is wrong with it, and its numbers. told says that the worst problem of its node
// stands on another line already.
func (m *Model) cellLines(told bool) (words, numbers []span) {
	v := &m.jobs.view
	if gpu, lost := v.lost(); lost && m.away() {
		return []span{{string(markUnknown) + " " + m.missing(gpu, "there"), fg(colStale)}, {"  it stays selected until another is", fg(colDim)}}, nil
	}
	ref := v.at(v.cursor())
	if ref == nil {
		if name := v.nodeName(); name != "" {
			return []span{{name, fg(colStrong)}, {"  " + m.index.state(name).String() + ", no GPU known there", style{}}}, nil
		}
		return nil, nil
	}
	words = []span{{ref.Node, fg(colStrong)}}
	if ref.Rank >= 0 {
		words = append(words, span{" rank " + strconv.Itoa(ref.Rank), fg(colStrong)})
	}
	if place := v.placeWords(); place != "" && m.place() == placeGrid {
		words = append(words, span{" " + place, fg(colAccent)})
	}
	if ref.Node == "" {
		return append(words, span{" not seen on any node", fg(colStale)}), nil
	}
	words = append(words, span{" GPU " + strconv.Itoa(ref.Index), fg(colStrong)})
	n := m.index.node(ref.Node)
	if n == nil || ref.GPU == nil {
		return append(words, span{"  nothing is known of it: the node is " + m.index.state(ref.Node).String(), fg(colStale)}), nil
	}
	words = append(words, gpuWords(n, ref.GPU, ref.Rank, told)...)
	return words, []span{{" " + gpuNumbers(ref.GPU), style{}}}
}

func spansWidth(a area, spans []span) int {
	n := 0
	for _, s := range spans {
		n += a.width(s.text)
	}
	return n
}

// gpuInfo is the GPU selected on the node screen, on two lines where one is too short.
func (m *Model) gpuInfo(a area) [][]span {
	words, numbers := m.gpuLines()
	all := append(words[:len(words):len(words)], numbers...)
	if a.h > 1 && spansWidth(a, all) > a.w-1 {
		return [][]span{words, numbers}
	}
	return [][]span{all}
}

// gpuLines is the GPU selected on the node screen.
func (m *Model) gpuLines() (words, numbers []span) {
	n := m.index.node(m.node.name)
	g := m.node.gpu(n)
	if g == nil {
		if n != nil && len(n.GPUs) > 0 {
			return []span{{string(markUnknown) + " " + m.missing("GPU "+strconv.Itoa(m.node.selected), "there"), fg(colStale)}}, nil
		}
		return nil, nil
	}
	words = append([]span{{"GPU " + strconv.Itoa(g.Index), fg(colStrong)}}, gpuWords(n, g, -1, false)...)
	return words, []span{{" " + gpuNumbers(g), style{}}}
}

// gpuWords say who is on a GPU and what is wrong with it.
func gpuWords(n *fleet.Node, g *fleet.GPU, rank int, told bool) []span {
	var spans []span
	if h := holderOf(g, rank); h != nil {
		spans = append(spans, span{" pid " + strconv.Itoa(int(h.PID)), style{}})
	} else if n.State == fleet.Live {
		spans = append(spans, span{" free", fg(colDim)})
	}
	p, status := problemOf(n, g.Index), gpuStatus(g)
	switch {
	case p != nil && !(told && p == n.Worst()):
		k := severityMark(p.Severity)
		spans = append(spans, span{" " + string(k.r) + " " + p.Text, k.st})
	case status != "":
		spans = append(spans, span{" " + string(markCritical) + " " + status, fg(colCrit)})
	}
	switch {
	case n.State != fleet.Live:
		spans = append(spans, span{" " + string(markStale) + " " + n.State.String() + ", last values", fg(colStale)})
	case g.Stale > 0:
		spans = append(spans, span{" " + string(markStale) + " not renewed for " + formatShort(g.Stale), fg(colStale)})
	case !g.IdleSince.IsZero():
		spans = append(spans, span{" " + string(markIdle) + " held and idle", style{}})
	}
	return append(spans, span{" ·", fg(colDim)})
}

func gpuNumbers(g *fleet.GPU) string {
	if !g.PowerW.Known() && !g.UtilPct.Known() && !g.MemUsedBytes.Known() && !g.TempC.Known() {
		return "it gives no numbers"
	}
	parts := []string{formatWhole2(g.PowerW, g.PowerLimitW) + "W " + formatPct(g.PowerPct()), "util " + formatPct(g.UtilPct)}
	if !g.PowerW.Known() && !g.PowerLimitW.Known() { // a kind that does not tell
		parts = parts[1:]
	}
	for _, p := range []struct {
		r     fleet.Reading
		words string
	}{
		{g.TensorActivityPct, "tensor " + formatPct(g.TensorActivityPct)}, {g.MemUsedBytes, formatUsed(g.MemUsedBytes, g.MemTotalBytes)}, {g.TempC, formatUnit(g.TempC, "°")},
		{g.SMClockMHz, formatUnit(g.SMClockMHz, "MHz")}, {0, "net " + formatRate(sum(g.NetRxBytesPerS, g.NetTxBytesPerS))},
	} {
		if p.r.Known() {
			parts = append(parts, p.words)
		}
	}
	return strings.Join(parts, " · ")
}

// formatWhole2 is "694/700".
func formatWhole2(a, b fleet.Reading) string { return formatUnit(a, "") + "/" + formatUnit(b, "") }

// holderOf is the process on a GPU: the one of a rank, else the first.
func holderOf(g *fleet.GPU, rank int) *fleet.Holder {
	for i := range g.Holders {
		if g.Holders[i].Rank == rank {
			return &g.Holders[i]
		}
	}
	if len(g.Holders) > 0 {
		return &g.Holders[0]
	}
	return nil
}

// nodeInfo is the selected row of the nodes table in full: the note may have been cut there. A note that is longer than a line takes the second,
// before anything else may have it.
func (m *Model) nodeInfo(a area) [][]span {
	n := m.index.node(m.nodes.selected())
	if n == nil {
		return nil
	}
	k := nodeMark(n)
	head := []span{{string(k.r) + " ", k.st}, {n.Name, fg(colStrong)}, {" " + nodeState(n, m.snap.At), k.st}}
	if note := nodeNote(n, m.snap.At); note != "" {
		head = append(head, span{" · " + note, style{}})
	}
	var more []string
	if inv := n.Inventory; inv != nil {
		if len(n.GPUs) > 0 {
			more = append(more, strconv.Itoa(len(n.GPUs))+"× "+n.GPUs[0].Info.Name)
		}
		if inv.GetProduct() != "" {
			more = append(more, inv.GetProduct())
		}
		if inv.GetGpuDriverVersion() != "" {
			more = append(more, "driver "+inv.GetGpuDriverVersion())
		}
	}
	if extra := len(n.Problems) - 1; extra > 0 {
		more = append(more, count(extra, "more problem"))
	}
	if n.Attempt > 1 {
		more = append(more, "attempt "+strconv.Itoa(n.Attempt))
	}
	if n.Banner != "" && n.State != fleet.Live {
		more = append(more, "it said: "+n.Banner)
	}
	if spansWidth(a, head) > a.w-1 && a.h > 1 {
		return wrapSpans(head, a.w-1, a.h, a.c.ascii)
	}
	if len(more) == 0 {
		return [][]span{head}
	}
	return [][]span{head, {{strings.Join(more, " · "), fg(colDim)}}}
}
