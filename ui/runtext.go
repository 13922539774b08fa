package ui

import (
	"strconv"
	"strings"

	"foretop/actions"
	"foretop/fleet"
	"foretop/telemetry"
)

// Limits of what is shown of one output. Package actions bounds what is kept of it.
const (
	maxRunText  = 256 << 10 // bytes
	maxRunLines = 5000
	maxRunLine  = 2 << 10 // bytes of one line
	maxRunWhy   = 512
	runWhyWidth = 72      // cells of a line of it
	smallRun    = 8       // lines that are shown without being asked for
	smallBytes  = 2 << 10 // and bytes
	tabStop     = 8
)

// runText is an output fit to be shown: no tab, and nothing that a terminal obeys.
type runText struct {
	why   []string // why there is no end, before all else, in lines that every screen holds
	lines []string
	notes []string // what is not shown of it, and why
}

func (t *runText) rows() int { return len(t.why) + len(t.lines) + len(t.notes) }

// line is the i-th, and whether it is about the output, not of it.
func (t *runText) line(i int) (words string, note bool) {
	if i < len(t.why) {
		return t.why[i], true
	}
	if i -= len(t.why); i < len(t.lines) {
		return t.lines[i], false
	}
	return t.notes[i-len(t.lines)], true
}

// makeRunText prepares the output of a group. It costs what is shown of it, whatever there is.
func makeRunText(g *actions.Group) *runText {
	t := &runText{}
	if g.Why != "" {
		t.why = wrap(telemetry.Clean(g.Why, maxRunWhy), runWhyWidth, false)
	}
	if rest := t.cut(g.Output); rest != "" {
		t.notes = append(t.notes, "… "+count(strings.Count(rest, "\n")+1, "more line")+" of it not shown here: foretop run shows all")
	}
	if g.Cut {
		t.notes = append(t.notes, "… cut off after "+formatBytes(fleet.Reading(len(g.Output)))+": what came then was not kept")
	}
	return t
}

// cut takes over the lines of a text, as many as are shown, and gives the rest.
func (t *runText) cut(text string) (rest string) {
	rest = text
	for size := 0; rest != "" && len(t.lines) < maxRunLines && size < maxRunText; {
		line, after, _ := strings.Cut(rest, "\n")
		size += len(line) + 1
		t.lines = append(t.lines, runLine(line))
		rest = after
	}
	return rest
}

// runLine makes a line of an output fit to be shown.
func runLine(line string) string {
	line = strings.TrimSuffix(line, "\r")
	if len(line) > maxRunLine {
		line = line[:maxRunLine] + "…"
	}
	if !strings.Contains(line, "\t") {
		return telemetry.Clean(line, 3*len(line)+3) // what is taken out leaves three bytes
	}
	var b strings.Builder
	at := 0
	for i, piece := range strings.Split(line, "\t") {
		if i > 0 {
			n := tabStop - at%tabStop
			b.WriteString("        "[:n])
			at += n
		}
		piece = telemetry.Clean(piece, 3*len(piece)+3)
		b.WriteString(piece)
		at += textWidth(piece, false)
	}
	return b.String()
}

// small says that an output is shown without being asked for.
func (t *runText) small(bytes int) bool { return t.rows() <= smallRun && bytes <= smallBytes }

// outputWords says how much a group printed: "3 lines", "no output".
func outputWords(g *actions.Group) string {
	if g.Output == "" {
		return "no output"
	}
	words := count(strings.Count(g.Output, "\n")+1, "line")
	if g.Cut {
		words += ", cut off"
	}
	return words
}

// endWords says in a word or two how a group ended.
func endWords(g *actions.Group, s actions.State) string {
	if g.Why == "" {
		return "exit " + strconv.Itoa(g.Code)
	}
	return s.String()
}
