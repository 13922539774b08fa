package ui

import (
	"foretop/actions"
	"foretop/config"

	tea "charm.land/bubbletea/v2"
)

// deed is one line of the list of actions.
type deed struct {
	key, words string
	start      func(*Model) tea.Cmd
}

// deeds are what can be done where the keyboard is: what is built in, then what the configuration adds.
func (m *Model) deeds(here place) []deed {
	var list []deed
	for _, d := range []struct {
		do   action
		kind actions.Kind
	}{{actDrain, actions.Drain}, {actResume, actions.Resume}, {actSignal, actions.Signal}, {actCancel, actions.Cancel}, {actRun, actions.Command}} {
		for _, b := range m.keys.byKey[here] {
			if b.do == d.do {
				list = append(list, deed{b.label, b.help, func(m *Model) tea.Cmd { return m.startAct(d.kind) }})
				break
			}
		}
	}
	for _, c := range m.opt.Custom {
		if m.fitsHere(c.Scope, here) {
			list = append(list, deed{c.Key, c.Name, func(m *Model) tea.Cmd { return m.startCustom(c) }})
		}
	}
	return list
}

// fitsHere says that a target of that scope can be found where the keyboard is.
func (m *Model) fitsHere(scope string, here place) bool {
	switch scope {
	case "gpu":
		return at(placeGrid, placeNode, placeGPU, placeRanks).has(here)
	case "job":
		return at(placeJobs, placeGrid, placeRanks, placeJob, placeLog).has(here) && !m.jobs.pending
	}
	return !at(placeUsers, placeFindings, placeIncident, placeHelp).has(here)
}

// customOn is the custom action on a key.
func (m *Model) customOn(key string) *config.CustomAction {
	for i := range m.opt.Custom {
		if c := &m.opt.Custom[i]; c.Key != "" && c.Key == key && m.fitsHere(c.Scope, m.place()) {
			return c
		}
	}
	return nil
}

// startCustom asks about an action of the configuration's.
func (m *Model) startCustom(c config.CustomAction) tea.Cmd {
	if why := m.mayAct(c.Name); why != "" {
		m.notice = why
		return nil
	}
	s := actScreen{serial: m.acting.serial + 1, quiet: c.Quiet, intent: actions.Intent{Kind: actions.Custom, Title: c.Name, Scope: c.Scope, Argv: c.Command, Here: c.Here}}
	why := ""
	switch c.Scope {
	case "node":
		why = m.nodeTargets(&s)
	case "process":
		why = m.processTargets(&s)
	case "job":
		why = m.jobTargets(&s)
	case "gpu":
		if g, ok := m.gpuInPlace(); ok {
			s.intent.GPUs = []actions.GPU{g}
		} else {
			why = "no GPU is selected"
		}
	}
	return m.showAct(s, why)
}

// gpuInPlace is the GPU that the keyboard is at.
func (m *Model) gpuInPlace() (actions.GPU, bool) {
	switch m.place() {
	case placeNode, placeGPU:
		n := m.index.node(m.node.name)
		return actions.GPU{Node: m.node.name, Index: m.node.selected}, n != nil && m.node.selected < len(n.GPUs)
	case placeRanks:
		if r := m.job.ranks.row(m.job.ranks.selected()); r != nil && r.ref != nil {
			return actions.GPU{Node: r.ref.Node, Index: r.ref.Index}, true
		}
	case placeGrid:
		if s := m.jobs.view.cursor(); s.row >= 0 && s.row < len(m.jobs.view.rows) {
			if ref := m.jobs.view.at(s); ref != nil {
				return actions.GPU{Node: ref.Node, Index: ref.Index}, true
			}
		}
	}
	return actions.GPU{}, false
}
