package ui

import (
	"strconv"
	"strings"
	"unicode"

	"foretop/fleet"
)

// neverSeen says that a node never told anything: why that is is all that its page can show.
func neverSeen(n *fleet.Node) bool {
	return n.State != fleet.Live && n.Hello == nil && n.Inventory == nil && n.LastFrame.IsZero()
}

// explained says that a node's page has something to explain: it is not live, nor waiting for what is about to come.
func explained(n *fleet.Node) bool { return n.State != fleet.Live && n.Cause+n.Remedy != "" }

// whyLine is a line about a node that is not live; only the first of those that belong together has the label.
type whyLine struct {
	label, text string
	st          style
}

// whyLines say in full, in lines of at most w cells, why a node is not live and what to do: a fingerprint that is cut cannot be compared.
func (m *Model) whyLines(n *fleet.Node, w int) []whyLine {
	var lines []whyLine
	room := max(10, w-whyLabel(w)-1)
	add := func(label, text string, st style) {
		for _, paragraph := range strings.Split(text, "\n") {
			for _, part := range wrap(paragraph, room, m.opt.ASCII) {
				lines = append(lines, whyLine{label, part, st})
				label = ""
			}
		}
	}
	cause := n.Cause
	if cause == "" {
		cause = stateMeans(n.State)
	}
	st := severityMark(nodeSeverity(n)).st
	if nodeSeverity(n) == fleet.Fine {
		st = style{}
	}
	add("cause", cause, st)
	if n.Remedy != "" {
		add("what to do", n.Remedy, fg(colStrong))
	}
	if try := m.tryWords(n); try != "" {
		add("attempt", try, style{})
	}
	if n.Banner != "" {
		add("it said", n.Banner, fg(colDim))
	}
	return lines
}

// whyLabel is the column at which the words of whyLines begin.
func whyLabel(w int) int {
	if w < 40 {
		return 2
	}
	return 13
}

// stateMeans says what a state is where nothing more is told.
func stateMeans(s fleet.State) string {
	switch s {
	case fleet.Waiting:
		return "its turn to connect has not come"
	case fleet.Connecting:
		return "dialling, or proving who we are"
	case fleet.Deploying:
		return "the collector is being put there"
	}
	return "no cause is known"
}

// tryWords say how often the node was dialled and when it will be again.
func (m *Model) tryWords(n *fleet.Node) string {
	var parts []string
	if n.Attempt > 0 {
		parts = append(parts, strconv.Itoa(n.Attempt))
	}
	switch {
	case n.NextTry.After(m.snap.At):
		parts = append(parts, "next try in "+formatShort(n.NextTry.Sub(m.snap.At)))
	case !n.State.Pending() && n.State != fleet.Stale:
		parts = append(parts, "no next try is planned")
	default:
		return strings.Join(parts, "")
	}
	return strings.Join(append(parts, "Ctrl-r dials now"), " · ")
}

func drawWhy(a area, lines []whyLine) {
	at := whyLabel(a.w)
	for y, l := range lines {
		if at > 2 {
			a.cut(1, y, at-2, l.label, fg(colDim))
		}
		a.cut(at, y, a.w-at, l.text, l.st)
	}
}

// copyWhy is what is copied of a node that is not live: its cause and its remedy, without what a terminal that they are pasted into would obey.
func copyWhy(n *fleet.Node) string {
	plain := func(s string) string {
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	}
	return strings.TrimSpace(plain(n.Cause) + "\n" + plain(n.Remedy))
}

// wrapSpans cuts spans at blanks into at most n lines of w cells; what is left over stays on the last.
func wrapSpans(spans []span, w, n int, ascii bool) [][]span {
	lines, at := [][]span{nil}, 0
	for _, s := range spans {
		for _, word := range strings.SplitAfter(s.text, " ") {
			cells := textWidth(word, ascii)
			if at > 0 && at+textWidth(strings.TrimRight(word, " "), ascii) > w && len(lines) < n {
				lines, at = append(lines, nil), 0
				if word = strings.TrimLeft(word, " "); word == "" {
					continue
				}
			}
			last := len(lines) - 1
			lines[last], at = append(lines[last], span{word, s.st}), at+cells
		}
	}
	return lines
}
