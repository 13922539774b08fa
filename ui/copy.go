package ui

import (
	"fmt"
	"strings"

	"foretop/config"

	tea "charm.land/bubbletea/v2"
)

// copy hands what is tagged, or else selected, to the terminal's clipboard.
func (m *Model) copy() tea.Cmd {
	var what []string
	switch m.place() {
	case placeJobs:
		what = m.jobs.tags()
		if len(what) == 0 && m.jobs.selected() != "" {
			what = []string{m.jobs.selected()}
		}
		for i, k := range what {
			what[i] = jobID(k)
		}
	case placeNodes:
		what = m.nodes.tags()
		if len(what) == 0 && m.nodes.selected() != "" {
			what = []string{m.nodes.selected()}
		}
		what = config.Fold(what)
	case placeGrid:
		if name := m.jobs.view.nodeName(); name != "" {
			what = []string{name}
		}
	case placeNode:
		what = []string{m.node.name}
		if n := m.index.node(m.node.name); n != nil && explained(n) {
			m.notice = "copied why " + n.Name + " is " + n.State.String() + ", and what to do"
			return tea.SetClipboard(copyWhy(n))
		}
	case placeGPU:
		what = []string{m.gpu.who}
	case placeKernel:
		return m.copyLog()
	case placeUsers:
		if name := m.users.selected(); name != "" {
			what = []string{name}
		}
	case placeRanks:
		if name := m.job.ranks.node(); name != "" {
			what = []string{name}
		}
	case placeStacks:
		if m.stack.pending || m.stack.intent.Title == "" {
			m.notice = "nothing to copy yet"
			return nil
		}
		m.notice = "copied the stacks of " + m.stack.intent.Title
		return tea.SetClipboard(m.stack.text())
	case placeRun:
		return m.copyRun()
	case placeFindings, placeIncident:
		return m.copyIncidents()
	case placeJob, placeLog:
		return m.copyJobLog()
	}
	if len(what) == 0 {
		m.notice = "nothing to copy: no row is selected"
		return nil
	}
	text := strings.Join(what, ",")
	m.notice = "copied " + text
	return tea.SetClipboard(text)
}

func (m *Model) copyLog() tea.Cmd {
	n := m.index.node(m.node.name)
	if n == nil || len(n.Kernel) == 0 {
		m.notice = "nothing to copy: no kernel line is known"
		return nil
	}
	var b strings.Builder
	for i := range n.Kernel {
		k := &n.Kernel[i]
		b.WriteString(k.At.In(m.opt.Location).Format("2006-01-02 15:04:05 "))
		if k.N() > 1 {
			fmt.Fprintf(&b, "(×%d since %s) ", k.N(), k.Since().In(m.opt.Location).Format("15:04:05"))
		}
		b.WriteString(k.Text + "\n")
		for _, more := range k.More {
			b.WriteString("                    " + more + "\n")
		}
	}
	m.notice = "copied " + count(len(n.Kernel), "kernel line")
	return tea.SetClipboard(b.String())
}
