package ui

import (
	"slices"

	"foretop/actions"
	"foretop/fleet"
)

// nodeTargets finds the nodes that an action is about: tagged, or selected. Of a job it is asked which.
func (m *Model) nodeTargets(s *actScreen) (why string) {
	in := &s.intent
	switch m.place() {
	case placeNodes:
		in.Nodes = m.nodes.tags()
		for _, name := range in.Nodes {
			if !slices.Contains(m.nodes.keys, name) {
				in.Hidden = append(in.Hidden, name)
			}
		}
		if name := m.nodes.selected(); len(in.Nodes) == 0 && name != "" {
			in.Nodes = []string{name}
		}
	case placeNode, placeGPU, placeKernel:
		in.Nodes = []string{m.node.name}
	case placeGrid:
		if name := m.jobs.view.nodeName(); name != "" {
			in.Nodes = []string{name}
		}
	case placeRanks:
		if name := m.job.ranks.node(); name != "" {
			in.Nodes = []string{name}
		}
	case placeJobs, placeJob, placeLog:
		j := m.jobInPlace()
		if j == nil {
			return "no job is selected"
		}
		for _, name := range j.Nodes {
			t := actTarget{node: name, words: name}
			if n := m.index.node(name); n != nil && n.Worst() != nil {
				t.words += "  " + n.Worst().Text
			}
			s.targets = append(s.targets, t)
		}
		if len(s.targets) == 1 {
			in.Nodes, s.targets = []string{j.Nodes[0]}, nil
		}
	}
	if len(in.Nodes) == 0 && len(s.targets) == 0 {
		return "no node is selected"
	}
	return ""
}

// jobInPlace is the job that the keyboard is at.
func (m *Model) jobInPlace() *fleet.Job {
	switch m.place() {
	case placeJobs, placeGrid, placeRanks, placeJob, placeLog:
		return m.jobs.selectedJob()
	}
	return nil
}

// processTargets finds the processes that a signal may be for: a rank's, a job's, or those of a node that hold a GPU.
func (m *Model) processTargets(s *actScreen) (why string) {
	add := func(node string, pid int32, ticks uint64, rank int) {
		t := actTarget{node: node, process: actions.Process{Node: node, PID: pid, StartTicks: ticks, Rank: rank}}
		if n := m.index.node(node); n != nil {
			for i := range n.Processes {
				if p := n.Processes[i]; p.Pid == pid && p.StartTicks == ticks {
					t.process.User, t.process.Words = p.User, p.Command
				}
			}
		}
		t.words = t.process.String() + "  " + t.process.User + "  " + t.process.Words
		s.targets = append(s.targets, t)
	}
	switch place := m.place(); place {
	case placeNode, placeGPU, placeNodes, placeKernel:
		name := m.node.name
		if place == placeNodes {
			name = m.nodes.selected()
		}
		if n := m.index.node(name); n != nil {
			for i := range n.Processes {
				p := n.Processes[i]
				add(name, p.Pid, p.StartTicks, p.Rank)
			}
		}
	case placeRanks:
		if r := m.job.ranks.row(m.job.ranks.selected()); r != nil && r.rank != nil {
			add(r.rank.Node, r.rank.PID, r.rank.StartTicks, r.rank.Rank)
			s.intent.Job = m.job.shown
		}
	default:
		j := m.jobInPlace()
		if j == nil {
			return "no job is selected"
		}
		s.intent.Job = j.Key
		for i := range j.Ranks {
			r := &j.Ranks[i]
			add(r.Node, r.PID, r.StartTicks, r.Rank)
		}
		for _, o := range j.Leftovers {
			if !slices.ContainsFunc(s.targets, func(t actTarget) bool { return t.node == o.Node && t.process.PID == o.PID }) {
				add(o.Node, o.PID, o.StartTicks, -1)
			}
		}
	}
	if len(s.targets) == 0 {
		return "no process is known here"
	}
	if len(s.targets) == 1 {
		s.intent.Processes, s.targets = []actions.Process{s.targets[0].process}, nil
	}
	return ""
}
