package ui

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"foretop/fleet"
)

var (
	driverCode = regexp.MustCompile(`\bS?Xid \d+`)
	amount     = regexp.MustCompile(`×?\d+([.,:]\d+)*( ?(%|°C?|(ms|s|min|h|d|m|[KMGT]i?B|W)\b))?`)
	past       = regexp.MustCompile(`, # ago$`)
)

// findingKind is what a finding has in common with those of its kind on other nodes: its words without numbers, which say where and how much. Of what a driver reports with a code, the
// code says it all.
func findingKind(text string) string {
	if code := driverCode.FindString(text); code != "" {
		return code
	}
	return past.ReplaceAllString(amount.ReplaceAllString(text, "#"), "")
}

// findingKinds are the kinds of all that is wrong with a node, the worst first: that it is not reached is one of them.
func findingKinds(n *fleet.Node) (kinds []string) {
	for i := range n.Problems {
		if k := findingKind(n.Problems[i].Text); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	if n.State.Out() || n.State == fleet.Stale {
		reach := "node " + n.State.String()
		if p := n.Worst(); p != nil && p.Severity > reachSeverity(n) {
			return append(kinds, reach)
		}
		return append([]string{reach}, kinds...)
	}
	return kinds
}

// findingWords is the worst that there is to say against a node; "" nothing.
func findingWords(n *fleet.Node) string {
	kinds := findingKinds(n)
	switch {
	case len(kinds) == 0:
		return ""
	case strings.HasPrefix(kinds[0], "node "):
		return n.State.String() + inCause(n.Cause)
	}
	return n.Worst().Text
}

func inCause(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + cause
}

// tagFinding tags all nodes that have the worst finding of the selected one, filtered out or not.
func (m *Model) tagFinding() {
	n := m.index.node(m.nodes.selected())
	if n == nil {
		m.notice = "no node is selected"
		return
	}
	kinds := findingKinds(n)
	if len(kinds) == 0 {
		m.notice = "nothing is wrong with " + n.Name + ": F tags the nodes that have the finding of the selected one"
		return
	}
	tagged, hidden := 0, 0
	for _, other := range m.snap.Nodes {
		if !slices.Contains(findingKinds(other), kinds[0]) {
			continue
		}
		m.nodes.tag(other.Name, true)
		tagged++
		if !slices.Contains(m.nodes.keys, other.Name) {
			hidden++
		}
	}
	m.notice = count(tagged, "node") + " tagged: " + findingWords(n)
	if hidden > 0 {
		m.notice = count(tagged, "node") + " tagged, " + strconv.Itoa(hidden) + " of them not on screen" + ": " + findingWords(n)
	}
}

// chooseFinding chooses of the targets those that have the worst finding of the selected one.
func (m *Model) chooseFinding() {
	s := &m.acting
	kinds := s.targets[s.at].kinds
	if len(kinds) == 0 {
		m.notice = "nothing is wrong with it: F chooses those that have the finding of the selected one"
		return
	}
	n := 0
	for i := range s.targets {
		if t := &s.targets[i]; slices.Contains(t.kinds, kinds[0]) {
			t.on = true
			n++
		}
	}
	m.notice = count(n, "node") + " chosen, with the same finding"
}
