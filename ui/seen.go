package ui

import (
	"slices"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// seenMost is how many nodes of a job count as on screen: those of more are not told apart there anyway.
const seenMost = 256

// seenMsg says that it was told which nodes are on screen.
type seenMsg watchedMsg

// seenCmd tells which nodes are on screen while there are some that wait to be connected: those go first.
func (m *Model) seenCmd() tea.Cmd {
	if m.opt.Seen == nil || m.seen.asking {
		return nil
	}
	want := m.nodesOnScreen()
	if slices.Equal(want, m.seen.told) {
		return nil
	}
	m.seen.asking = true
	seen := m.opt.Seen
	return func() tea.Msg {
		seen(want)
		return seenMsg{want}
	}
}

// nodesOnScreen are the nodes that somebody looks at; nil where it does not matter.
func (m *Model) nodesOnScreen() []string {
	if m.snap == nil || m.away() || m.snap.Totals.ByState[fleet.Live] == len(m.snap.Nodes) {
		return nil
	}
	switch {
	case m.onScreen(screenNode), m.onScreen(screenGPU), m.onScreen(screenKernel):
		return []string{m.node.name}
	case m.onScreen(screenNodes):
		s := &m.nodes
		var names []string
		for i := max(0, s.top); i < len(s.keys) && len(names) < s.page; i++ {
			if n := s.index.node(s.keys[i]); n != nil {
				names = append(names, n.Name)
			}
		}
		return names
	}
	if j := m.jobInPlace(); j != nil {
		return j.Nodes[:min(len(j.Nodes), seenMost)]
	}
	return nil
}
