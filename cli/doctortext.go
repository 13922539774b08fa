package cli

import (
	"fmt"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/sshpool"
	"foretop/telemetry/facts"

	"github.com/charmbracelet/x/ansi"
)

// marks are the signs before lines: state is told by them and by words, never by colour.
type marks struct{ good, bad, warn, open, none, arrow string }

func marksFor(utf8 bool) marks {
	if utf8 {
		return marks{"●", "✖", "▲", "◌", "·", "→"}
	}
	return marks{"+", "x", "!", "o", ".", "->"}
}

// mostWalks is through how many different outcomes it is walked where many nodes are asked for.
const mostWalks = 8

// tellDiagnoses writes what was found for people: nodes of the same outcome once, and below that the walk to the first node of each that is not well; all walks where
// that is asked for, and where there is one node. Lines are broken at width; 0: nowhere.
func tellDiagnoses(found []diagnosis, all bool, m marks, width int) string {
	var b strings.Builder
	var keys []string
	groups := map[string][]*diagnosis{}
	for i := range found {
		key := found[i].outcome()
		if groups[key] == nil {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], &found[i])
	}
	for _, key := range keys {
		tellOutcome(&b, groups[key], m, width)
	}
	walked := 0
	for _, key := range keys {
		group := groups[key]
		walk := all || len(found) == 1 || !group[0].reached && walked < mostWalks
		if !walk {
			continue
		}
		walked++
		if !all {
			group = group[:1]
		}
		for _, f := range group {
			b.WriteString("\n" + f.name + "\n")
			f.walk(&b, m, width)
		}
	}
	return b.String()
}

// tellOutcome writes what nodes have come to.
func tellOutcome(b *strings.Builder, group []*diagnosis, m marks, width int) {
	names := make([]string, len(group))
	slowest := time.Duration(0)
	for i, f := range group {
		names[i] = f.name
		slowest = max(slowest, f.took)
	}
	f, who := group[0], fold(names)
	if len(group) > 1 {
		who += fmt.Sprintf(" (%d)", len(group))
	}
	troubled := f.troubled()
	switch {
	case !f.reached:
		step := ""
		if at := f.culprit(); at != nil && f.stalled == "" {
			step = at.Name + ": "
		}
		tellWrapped(b, width, "", "    ", fmt.Sprintf("%s %s: %s, %s%s", m.bad, who, f.state, step, f.cause))
		if f.remedy != "" {
			tellWrapped(b, width, "    ", "      ", m.arrow+" "+f.remedy)
		}
	case len(troubled) == 0:
		fmt.Fprintf(b, "%s %s: all well (%s)\n", m.good, who, spellTime(slowest))
	default:
		fmt.Fprintf(b, "%s %s: reached (%s), but not all is read\n", m.warn, who, spellTime(slowest))
		for _, s := range troubled {
			tellWrapped(b, width, "    ", "      ", s.Name+": "+sourceText(s, m))
		}
	}
}

// walk writes the steps to one node, then how its collector's sources do.
func (f *diagnosis) walk(b *strings.Builder, m marks, width int) {
	for _, s := range f.steps {
		mark := map[sshpool.StepEnd]string{sshpool.StepDone: m.good, sshpool.StepFailed: m.bad, sshpool.StepOpen: m.open, sshpool.StepDropped: m.none}[s.End]
		lines := s.Said
		if s.Cause != "" {
			lines = append(lines[:len(lines):len(lines)], s.Cause)
		}
		if s.Remedy != "" {
			lines = append(lines[:len(lines):len(lines)], m.arrow+" "+s.Remedy)
		}
		took := ""
		if s.Took >= 50*time.Microsecond {
			took = spellTime(s.Took)
		}
		name := s.Name
		if s.Hop != "" {
			name = s.Hop + ": " + name
		}
		tellLine(b, width, mark, name, took, lines)
	}
	if f.hello != nil {
		tellLine(b, width, m.good, "stream", "", []string{fmt.Sprintf("%s, %s, %s, as %s", f.hello.Hostname, f.hello.Os, f.hello.Kernel, f.hello.User), "collector " + or(f.hello.Build, "without a version") + " for " + f.hello.Arch})
	}
	for _, s := range f.sources {
		mark := m.warn
		switch {
		case s.State == facts.SourceState_SOURCE_OK:
			mark = m.good
		case s.State == facts.SourceState_SOURCE_UNSUPPORTED && s.Remedy == "":
			mark = m.none
		}
		took := ""
		if s.CallUS.Known() && s.State == facts.SourceState_SOURCE_OK {
			took = spellTime(time.Duration(float64(s.CallUS) * 1e3))
		}
		tellLine(b, width, mark, "source "+s.Name, took, []string{sourceText(s, m)})
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// stepIndent is where a step's words begin.
const stepIndent = 33

// tellLine writes a step: what more there is to say stands below the first words of it.
func tellLine(b *strings.Builder, width int, mark, name, took string, lines []string) {
	if len(lines) == 0 {
		lines = []string{""}
	}
	head := fmt.Sprintf("  %s %-18s %8s  ", mark, name, took)
	for _, l := range lines {
		tellWrapped(b, width, head, strings.Repeat(" ", stepIndent), l)
		head = strings.Repeat(" ", stepIndent)
	}
}

// tellWrapped writes words behind a head, in lines of at most width cells; what does not fit the first stands below, behind an indent. A word that is longer than a line is left whole: it
// may be copied.
func tellWrapped(b *strings.Builder, width int, head, indent, text string) {
	line, bare := head, true // bare: no word stands on the line yet
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case bare:
			line += word
		case width > 0 && ansi.StringWidth(line)+1+ansi.StringWidth(word) > width:
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent + word
		default:
			line += " " + word
		}
		bare = false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// sourceText says how a source does and what to do about it.
func sourceText(s fleet.Source, m marks) string {
	text := map[facts.SourceState]string{
		facts.SourceState_SOURCE_OK: "ok", facts.SourceState_SOURCE_UNSUPPORTED: "none here", facts.SourceState_SOURCE_DENIED: "not checked: denied",
		facts.SourceState_SOURCE_FAILING: "failing", facts.SourceState_SOURCE_STUCK: "stuck",
	}[s.State]
	if text == "" {
		text = "no answer yet"
	}
	if s.StuckS.Known() && s.StuckS > 0 {
		text += " for " + spellTime(time.Duration(float64(s.StuckS)*float64(time.Second)))
	}
	if s.Text != "" {
		text += ": " + s.Text
	}
	if s.Remedy != "" {
		text += " " + m.arrow + " " + s.Remedy
	}
	return text
}

// spellTime writes a time with two or three digits: 0.3 ms, 12 ms, 1.25 s, 90 s.
func spellTime(d time.Duration) string {
	switch ms := float64(d) / 1e6; {
	case ms < 0.05:
		return "<0.1 ms"
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.2f s", ms/1000)
	default:
		return fmt.Sprintf("%.0f s", ms/1000)
	}
}
