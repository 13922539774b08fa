package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

const (
	textColumns = 60
	textRows    = 64 // of a map; more are told as the rows that are unlike
)

// markdown writes the report as CommonMark. All that comes from nodes, files and people stands in code spans and fences, which obey nothing.
func (s *story) markdown(w io.Writer) error {
	m := &marked{w: bufio.NewWriterSize(w, 64<<10)}
	m.all(s, s.view())
	if err := m.w.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// marked writes Markdown; its writer keeps the first error for Flush.
type marked struct{ w *bufio.Writer }

func (m *marked) line(parts ...string) {
	for _, p := range parts {
		m.w.WriteString(p)
	}
	m.w.WriteByte('\n')
}

func (m *marked) all(s *story, v *view) {
	m.line("# ", escape(v.Title))
	m.line()
	m.line(escape(v.Span), " (", escape(v.Zone), "), from ", code(v.Of))
	m.line()
	for _, t := range v.Summary {
		m.line(escape(t))
		m.line()
	}
	for _, f := range v.Facts {
		m.line("- ", escape(f.Name), ": ", code(f.Value))
	}
	m.incidents(v)
	m.findings(v)
	m.line("\n## Timeline\n")
	for _, l := range v.Timeline {
		m.line("- ", code(l.At), " ", l.Sign, " ", code(l.What))
	}
	m.none(len(v.Timeline), "Nothing changed.")
	m.left(v.Cut.Timeline, "milder events")
	m.line("\n## Over time\n\n", escape(v.MapsNote))
	m.left(v.Cut.Rows, "nodes (those with the worst findings are shown)")
	for i := range s.Maps {
		m.heat(s, &s.Maps[i])
	}
	m.line("\n## Kernel lines\n")
	for _, k := range v.Kernel {
		count := ""
		if k.Count != "" {
			count = " (" + escape(k.Count) + ")"
		}
		m.line("- ", code(k.At), " ", code(k.Node), " ", k.Sign, " ", code(k.Means), count, "\n  ", code(k.Text))
	}
	m.none(len(v.Kernel), "None that mean something.")
	m.left(v.Cut.Kernel, "milder lines")
	m.line("\n## Who did what\n")
	for _, a := range v.Acts {
		m.line("- ", code(a.At), " ", code(a.Who+" "+a.What+" "+a.Target), " ", code(a.State), " ", code(a.Words))
	}
	switch {
	case len(v.Acts) == 0 && v.ActsNote != "":
		m.line("Not known: ", code(v.ActsNote))
	default:
		m.none(len(v.Acts), "Nothing, by this machine's audit file.")
	}
	m.left(v.Cut.Acts, "earlier lines")
	m.line("\n## Not checked\n")
	for _, t := range v.Unseen {
		m.line("- ", code(t))
	}
	m.none(len(v.Unseen), "All nodes were seen live, and their kernel logs read.")
	m.line("\nWritten ", escape(v.Written), " by ", escape(v.By), ".")
}

func (m *marked) incidents(v *view) {
	if len(v.Incidents) == 0 {
		return
	}
	m.line("\n## Incidents\n")
	for _, in := range v.Incidents {
		m.line("- ", in.Sign, " **", in.Severity, "** ", code(in.Title), ", from ", code(in.From), ", ", escape(in.To))
		for _, words := range []string{in.Fold, in.Mark} {
			if words != "" {
				m.line("  - ", code(words))
			}
		}
		for i, f := range in.Members {
			later := ""
			if f.Later != "" {
				later = " (" + f.Later + ")"
			}
			m.line("  ", fmt.Sprint(i+1), ". ", code(f.At), " ", code(f.Subject), " ", code(f.Text), later)
		}
		m.line("  - ", code(in.ID))
	}
	m.left(v.Cut.Incidents, "milder ones")
}

func (m *marked) findings(v *view) {
	m.line("\n## Findings\n")
	for _, f := range v.Findings {
		m.line("- ", f.Sign, " **", f.Severity, "** ", code(f.Subject), " ", code(f.Text), ", from ", code(f.From), ", ", escape(f.To))
		if f.Again > 0 {
			m.line("  - came again ", fmt.Sprint(f.Again), " times")
		}
		if f.OutOfService {
			m.line("  - out of service")
		}
		for _, e := range f.Evidence {
			m.line("  - ", code(e))
		}
		if f.Cause != "" {
			m.line("  - likely cause: ", escape(f.Cause))
		}
		if f.Remedy != "" {
			m.line("  - what to do: ", code(f.Remedy))
		}
		m.line("  - ", code(f.ID))
	}
	m.none(len(v.Findings), "None.")
	m.left(v.Cut.Episodes, "milder ones")
}

func (m *marked) none(n int, words string) {
	if n == 0 {
		m.line(words)
	}
}

func (m *marked) left(n int, what string) {
	if n > 0 {
		m.line("\n", fmt.Sprintf("%d %s are left out.", n, what))
	}
}

// heat writes a map in blocks, a line a row.
func (m *marked) heat(s *story, h *heatMap) {
	m.line("\n### ", escape(h.Title), ", ", escape(h.Unit), "\n\n", escape(h.Of), "; ", number(h.Low), " to ", number(h.Top))
	for _, n := range h.Notes {
		m.line("\n", code(n))
	}
	rows := h.Rows[:min(len(h.Rows), textRows)]
	wide := 0
	for _, r := range rows {
		wide = max(wide, utf8.RuneCountInString(r.Label))
	}
	lines := []string{strings.Repeat(" ", wide) + "  " + s.clock(h.From) + strings.Repeat(" ", max(1, min(textColumns, len(h.Rows[0].Values))-16)) + s.clock(h.To)}
	for _, r := range rows {
		lines = append(lines, r.Label+strings.Repeat(" ", wide-utf8.RuneCountInString(r.Label))+"  "+h.blocks(r.Values))
	}
	m.fence(lines)
	m.left(len(h.Rows)-len(rows), "rows (the HTML report has them)")
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// blocks is a row in characters: · where nothing is known.
func (m *heatMap) blocks(values []float64) string {
	n := min(textColumns, len(values))
	var b strings.Builder
	for i := range n {
		v := mean(values[i*len(values)/n : (i+1)*len(values)/n])
		if v != v {
			b.WriteRune('·')
			continue
		}
		b.WriteRune(blocks[min(len(blocks)-1, max(0, int(math.Floor((v-m.Low)/(m.Top-m.Low)*float64(len(blocks))))))])
	}
	return b.String()
}

// fence writes lines as they are, within a fence longer than any run of backticks in them.
func (m *marked) fence(lines []string) {
	mark := strings.Repeat("`", max(3, longestRun(strings.Join(lines, "\n"))+1))
	m.line("\n", mark, "text")
	for _, l := range lines {
		m.line(l)
	}
	m.line(mark)
}

// code is text as a code span: its backticks are longer than any run in it. The text has no line ends.
func code(text string) string {
	if strings.TrimSpace(text) == "" {
		return "–"
	}
	mark := strings.Repeat("`", longestRun(text)+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") || text[0] == ' ' && text[len(text)-1] == ' ' {
		text = " " + text + " "
	}
	return mark + text + mark
}

func longestRun(text string) int {
	most, run := 0, 0
	for i := range len(text) {
		if text[i] != '`' {
			run = 0
			continue
		}
		run++
		most = max(most, run)
	}
	return most
}

// escape is text outside code: what Markdown or HTML could obey is escaped.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_{}[]()#+!|>~@:", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
