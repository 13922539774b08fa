package ui

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"foretop/actions"
	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// incidentNode is the node that the keyboard is at: of the selected finding, else of the root; "" none.
func (m *Model) incidentNode() string {
	in := m.incident()
	if in == nil {
		return ""
	}
	if m.screen == screenIncident {
		if f := &in.Members[max(0, min(m.findings.in.at, len(in.Members)-1))]; f.Subject.Node != "" {
			return f.Subject.Node
		}
	}
	if node := in.Root().Subject.Node; node != "" {
		return node
	}
	if len(in.Nodes) == 1 {
		return in.Nodes[0]
	}
	return ""
}

// incidentTargets are the nodes that an action is about: the one at hand, or of an incident of many those of it, to choose among; the reason is its root.
func (m *Model) incidentTargets(s *actScreen) (why string) {
	list := m.chosenIncidents()
	if len(list) == 0 {
		return "no incident is selected"
	}
	nodes := map[string]bool{}
	for _, in := range list {
		for _, name := range in.Nodes {
			nodes[name] = true
		}
		if len(in.Nodes) == 0 { // of a job alone
			for _, key := range in.Jobs {
				if j := m.snap.Job(key); j != nil {
					for _, name := range j.Nodes {
						nodes[name] = true
					}
				}
			}
		}
	}
	s.about, s.why = count(len(list), "incident"), ""
	if len(list) == 1 {
		s.about, s.why = list[0].Root().Where(), m.incidentReason(list[0])
		if node := m.incidentNode(); node != "" && m.index.node(node) != nil {
			s.intent.Nodes = []string{node}
			return ""
		}
	}
	for _, n := range m.snap.Nodes {
		if !nodes[n.Name] {
			continue
		}
		t := actTarget{node: n.Name, words: n.Name, kinds: findingKinds(n)}
		if words := findingWords(n); words != "" {
			k := severityMark(nodeSeverity(n))
			t.words, t.mark, t.st = t.words+"  "+words, k.r, k.st
		}
		s.targets = append(s.targets, t)
	}
	if len(s.targets) == 1 {
		s.intent.Nodes, s.targets = []string{s.targets[0].node}, nil
	}
	if len(s.intent.Nodes) == 0 && len(s.targets) == 0 {
		return "no node of " + s.about + " is known"
	}
	return ""
}

// incidentReason is what a drain is prefilled with: the incident's root.
func (m *Model) incidentReason(in *fleet.Incident) string {
	root := in.Root()
	text := root.Text
	switch {
	case root.Subject.Many != "":
		text = root.Where() + ": " + text
	case root.Subject.Job != "":
		return "" // that a job hangs says nothing against a node
	case root.Subject.GPU >= 0:
		text = fmt.Sprintf("GPU%d %s", root.Subject.GPU, text)
	case root.Subject.Part != "":
		text = root.Subject.Part + " " + text
	}
	said := &fleet.Node{Name: root.Subject.Node, Problems: []fleet.Problem{{Severity: fleet.Critical, Text: text, Since: root.Since.In(m.opt.Location)}}}
	return actions.DrainReason([]*fleet.Node{said}, m.opt.Actor.User())
}

// copyIncidents copies the tagged incidents, or the one at hand, as text for a ticket.
func (m *Model) copyIncidents() tea.Cmd {
	list := m.chosenIncidents()
	if len(list) == 0 {
		m.notice = "nothing to copy: no incident is selected"
		return nil
	}
	parts := make([]string, len(list))
	for i, in := range list {
		parts[i] = m.ticket(in)
	}
	m.notice = "copied " + list[0].Root().Where() + ", as text for a ticket"
	if len(list) > 1 {
		m.notice = "copied " + count(len(list), "incident") + ", as text for a ticket"
	}
	return tea.SetClipboard(strings.Join(parts, "\n\n"))
}

// ticket is an incident as text for somebody who has not seen it: what, where, since when, on which machine, the evidence, and what to do. It has no character that a terminal which it is
// pasted into would obey.
func (m *Model) ticket(in *fleet.Incident) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(plainLine(fmt.Sprintf(format, args...)) + "\n") }
	stamp := func(t time.Time) string { return t.In(m.opt.Location).Format("2006-01-02 15:04:05 MST") }
	root := in.Root()
	line("%s: %s", in.Severity, in.Title)
	line("")
	line("probable root: %s %s", root.Where(), root.Text)
	line("since: %s (%s)", stamp(in.Since), formatAge(m.snap.At.Sub(in.Since)))
	if !in.Until.IsZero() {
		line("over since: %s", stamp(in.Until))
	}
	if root.Remedy != "" {
		line("what to do: %s", root.Remedy)
	}
	if len(in.Nodes) > 0 {
		line("nodes: %s", strings.Join(in.Nodes, ", "))
	}
	for _, key := range in.Jobs {
		words := m.jobName(key)
		if j := m.snap.Job(key); j != nil {
			words = strings.TrimSpace(words + " " + j.Name + " " + j.User)
		}
		line("job: %s", words)
	}
	m.machineLines(root, line)
	line("")
	line("findings:")
	for i := range in.Members {
		f := &in.Members[i]
		words := ""
		if f.Cause != fleet.CauseUnknown {
			words = ", " + f.Cause.String()
		}
		if !f.Until.IsZero() {
			words += ", gone " + stamp(f.Until)
		}
		line("- %s %s: %s (%s%s) [%s]", stamp(f.Since), f.Where(), f.Text, f.Severity, words, f.Key())
		for _, e := range f.Evidence {
			line("    %s", e)
		}
	}
	if in.Cut > 0 {
		line("- and %d more", in.Cut)
	}
	var log []incidentLine
	m.incidentLog(in, 1<<16, &log)
	for i := range log {
		if log[i].head {
			line("")
			line("kernel log of %s:", root.Subject.Node)
			continue
		}
		text := ""
		for _, s := range log[i].spans {
			text += s.text
		}
		line("  %s", strings.TrimSpace(text))
	}
	line("")
	line("foretop, fleet %s, %s", m.opt.Name, stamp(m.snap.At))
	return strings.TrimRight(b.String(), "\n")
}

// machineLines tell the machine, and of a GPU what a maker asks for.
func (m *Model) machineLines(f *fleet.Finding, line func(string, ...any)) {
	n := m.index.node(f.Subject.Node)
	if n == nil {
		return
	}
	if h := n.Hello; h != nil {
		line("machine: %s, %s, %s, kernel %s", n.Name, n.Inventory.GetProduct(), h.GetOs(), h.GetKernel())
	}
	if f.Subject.GPU >= 0 && f.Subject.GPU < len(n.GPUs) {
		i := n.GPUs[f.Subject.GPU].Info
		line("GPU %d: %s, %s, serial %s, PCI %s, VBIOS %s, driver %s", f.Subject.GPU, i.GetName(), i.GetUuid(), i.GetSerial(), i.GetPci(), i.GetVbios(), n.Inventory.GetGpuDriverVersion())
	}
}

// plainLine is text that a terminal or shell into which it is pasted takes for one line.
func plainLine(s string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if r != ' ' && (unicode.IsSpace(r) || !unicode.IsPrint(r)) {
			return ' '
		}
		return r
	}, s), " ")
}
