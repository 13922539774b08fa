package ui

import (
	"foretop/actions"
	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// shellEndedMsg says that a shell is over; err is why, nil where it ended by itself.
type shellEndedMsg struct {
	node string
	err  error
}

// shell gives the terminal to a shell on the node, or where the selected process is.
func (m *Model) shell() tea.Cmd {
	if why := m.mayAct("a shell"); why != "" {
		m.notice = why
		return nil
	}
	node, process := m.shellPlace()
	if node == "" {
		m.notice = "a shell on which node? Choose one: on the grid, among the ranks, or in Nodes (2)"
		return nil
	}
	if n := m.index.node(node); n == nil || n.State.Out() || n.State.Pending() {
		m.notice = node + " is " + m.index.state(node).String() + ": there is no connection to it"
		return nil
	}
	return tea.Exec(m.opt.Actor.Shell(node, process), func(err error) tea.Msg { return shellEndedMsg{node, err} })
}

// shellPlace is the node, and the process, that the keyboard is at.
func (m *Model) shellPlace() (node string, process *actions.Process) {
	switch m.place() {
	case placeNodes:
		return m.nodes.selected(), nil
	case placeNode, placeGPU, placeKernel:
		return m.node.name, nil
	case placeGrid:
		if g, ok := m.gpuInPlace(); ok {
			if j := m.jobInPlace(); j != nil {
				for i := range j.Ranks {
					r := &j.Ranks[i]
					for _, index := range r.GPUs {
						if r.Node == g.Node && index == g.Index {
							return g.Node, insideOf(r)
						}
					}
				}
			}
		}
		return m.jobs.view.nodeName(), nil
	case placeRanks:
		if r := m.job.ranks.row(m.job.ranks.selected()); r != nil {
			if r.rank == nil {
				return r.node, nil
			}
			return r.node, insideOf(r.rank)
		}
	}
	if j := m.jobInPlace(); j != nil && len(j.Nodes) == 1 {
		return j.Nodes[0], nil
	}
	return "", nil
}

// shellEnded comes back from a shell: the picture is drawn whole, for others wrote on the terminal.
func (m *Model) shellEnded(msg shellEndedMsg) tea.Cmd {
	if msg.err != nil {
		m.notice = "the shell on " + msg.node + " ended: " + msg.err.Error()
	}
	return tea.ClearScreen
}

// insideOf is the process of a rank, to go inside its container; nil: it is not known, for its node is not connected.
func insideOf(r *fleet.Rank) *actions.Process {
	if r.PID == 0 {
		return nil
	}
	return &actions.Process{Node: r.Node, PID: r.PID, StartTicks: r.StartTicks, Rank: r.Rank}
}
