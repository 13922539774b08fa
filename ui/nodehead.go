package ui

import (
	"strconv"
	"strings"

	"foretop/fleet"
)

// nodeHead draws two lines: who the node is and how it does, and where on its page we are. note says that the first is to tell what is wrong.
func (m *Model) nodeHead(a area, n *fleet.Node, note bool) {
	m.nodeState(a, 0, n, note)
	if in := m.incidentOfNode(n.Name); in != nil { // what the machine is can be read where nothing is wrong
		m.incidentHead(a.sub(0, 1, a.w, 1), in, m.node.words())
		return
	}
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if inv := n.Inventory; inv != nil {
		add(inv.GetProduct())
		if cpu := inv.GetCpu(); cpu.GetModel() != "" {
			add(strconv.Itoa(int(cpu.GetSockets())) + "× " + cpu.GetModel() + ", " + count(int(cpu.GetThreads()), "thread"))
		}
		add(formatBytes(fleet.Reading(inv.GetMemoryTotalBytes())))
		driver := inv.GetGpuDriverVersion()
		if driver == "" && len(n.GPUs) > 0 {
			driver = n.GPUs[0].Info.Driver
		}
		if driver != "" {
			add("driver " + driver)
		}
	}
	add(n.Hello.GetOs())
	add(n.Hello.GetKernel())
	add(n.Hello.GetArch())
	if len(parts) == 0 {
		parts = append(parts, "nothing is known of it yet")
	}
	page := m.node.words()
	w := 0
	if page != "" {
		w = a.width(page) + 2
	}
	a.cut(1, 1, a.w-1-w, strings.Join(parts, " · "), fg(colDim))
	a.text(a.w-w+1, 1, page, fg(colAccent))
}

// jobsNamed is how many jobs of a node are named in its head.
const jobsNamed = 3

// nodeState draws one line: name, state, jobs, and with note what is wrong.
func (m *Model) nodeState(a area, y int, n *fleet.Node, note bool) {
	k := nodeMark(n)
	x := a.text(1, y, n.Name+"  ", fg(colStrong))
	words := string(k.r) + " " + nodeState(n, m.snap.At)
	if age := n.Age(m.snap.At); age >= 0 {
		words += " " + formatAge(age)
	}
	x = a.text(x, y, words, k.st)
	if host := n.Hello.GetHostname(); host != "" && host != n.Name {
		x = a.text(x, y, "  "+host, fg(colDim))
	}
	if len(n.Jobs) > 0 {
		words := "  job " + nodeJobs(n) + ranksHere(n)
		if len(n.Jobs) > jobsNamed {
			words = "  " + count(len(n.Jobs), "job")
		}
		x = a.text(x, y, words, style{})
	}
	if !n.Boot.IsZero() {
		x = a.text(x, y, "  up "+formatLong(m.snap.At.Sub(n.Boot)), fg(colDim))
	}
	if words := nodeNote(n, m.snap.At); note && words != "" {
		st := severityMark(nodeSeverity(n)).st
		a.cut(x, y, a.w-x, "  "+words, st)
		return
	}
	if n.State != fleet.Live && n.State != fleet.Stale {
		return
	}
	cost := collectorCost(n)
	if w := a.width(cost); x+w+2 < a.w {
		a.text(a.w-w-1, y, cost, fg(colDim))
	}
}

// ranksHere is " ranks 128-135" of the processes on a node.
func ranksHere(n *fleet.Node) string {
	var list []int
	for _, p := range n.Processes {
		if p.Rank >= 0 {
			list = append(list, p.Rank)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " ranks " + ranges(sortedUnique(list))
}
