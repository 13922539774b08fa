package ui

import (
	"strings"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// sourceLines are the sources that have a line of their own, and the names of those that the node has nothing for, which share one where there are several.
func sourceLines(n *fleet.Node) (own []*fleet.Source, none []string) {
	for i := range n.Sources {
		s := &n.Sources[i]
		if s.State == facts.SourceState_SOURCE_UNSUPPORTED && s.Remedy == "" {
			none = append(none, s.Name)
		}
	}
	for i := range n.Sources {
		s := &n.Sources[i]
		if len(none) < 2 || s.State != facts.SourceState_SOURCE_UNSUPPORTED || s.Remedy != "" {
			own = append(own, s)
		}
	}
	if len(none) < 2 {
		none = nil
	}
	return own, none
}

// sourceRows is how many lines the sources take.
func sourceRows(n *fleet.Node) int {
	own, none := sourceLines(n)
	rows := len(own) + 1
	if len(none) > 0 {
		rows++
	}
	return max(2, rows)
}

// drawSources draws what the collector reads on the node, how each does, and what it all costs.
func (m *Model) drawSources(a area, n *fleet.Node) {
	if len(n.Sources) == 0 {
		a.cut(tableIndent, 0, a.w-tableIndent, "the node has not told what it reads", fg(colDim))
	}
	own, none := sourceLines(n)
	for i, s := range own {
		k := sourceMark(s.State)
		a.text(1, i, string(k.r), k.st)
		a.cut(3, i, 12, s.Name, fg(colStrong))
		x := a.text(16, i, sourceWords(s), k.st) + 2
		cost := "every " + formatAge(time.Duration(s.EveryMS)*time.Millisecond)
		if s.CallUS.Known() {
			cost += ", " + formatWhole(float64(s.CallUS)) + " µs a read"
		}
		if a.w-x > a.width(cost)+1 {
			a.text(a.w-a.width(cost)-1, i, cost, fg(colDim))
		}
	}
	y := len(own)
	if len(none) > 0 {
		k := sourceMark(facts.SourceState_SOURCE_UNSUPPORTED)
		a.text(1, y, string(k.r), k.st)
		a.cut(3, y, a.w-3, sourceWord(facts.SourceState_SOURCE_UNSUPPORTED)+": "+strings.Join(none, ", "), k.st)
		y++
	}
	if cost := collectorCost(n); cost != "" {
		a.cut(1, max(1, y), a.w-2, cost+" sent"+buildOf(n), fg(colDim))
	}
}

func buildOf(n *fleet.Node) string {
	if b := n.Hello.GetBuild(); b != "" {
		return ", build " + b
	}
	return ""
}

// sourceWords say how a source does, why, and what to do about it.
func sourceWords(s *fleet.Source) string {
	words := sourceWord(s.State)
	if s.State == facts.SourceState_SOURCE_DENIED {
		words = "not checked: denied"
	}
	if s.StuckS.Known() && s.StuckS > 0 {
		words += " for " + formatShort(time.Duration(float64(s.StuckS)*float64(time.Second)))
	}
	if s.Text != "" {
		words += ": " + s.Text
	}
	if s.Remedy != "" {
		words += " → " + s.Remedy
	}
	return words
}
