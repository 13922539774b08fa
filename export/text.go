package export

import (
	"bufio"
	"strings"

	"foretop/telemetry"

	"github.com/charmbracelet/x/ansi"
)

// column is a heading, how its cells stand, and which goes first where there is no room (0: it stays).
type column struct {
	title string
	right bool // numbers
	drop  int
}

// maxLine bounds one line, in bytes.
const maxLine = 4 << 10

// text writes lines of at most width cells.
type text struct {
	w     *bufio.Writer
	width int
}

func (t *text) line(s string) {
	s = telemetry.Clean(strings.TrimRight(s, " "), maxLine)
	if t.width > 0 && ansi.StringWidth(s) > t.width {
		s = ansi.Truncate(s, t.width, ">")
	}
	t.w.WriteString(s) // the writer keeps its first error for Flush
	t.w.WriteByte('\n')
}

// wrap writes a line of parts separated by ", " on as many lines as it needs.
func (t *text) wrap(s string) {
	line := ""
	for part := range strings.SplitSeq(s, ", ") {
		switch {
		case line == "":
			line = part
		case t.width > 0 && ansi.StringWidth(line)+len(", ")+ansi.StringWidth(part)+1 > t.width:
			t.line(line + ",")
			line = part
		default:
			line += ", " + part
		}
	}
	t.line(line)
}

// noteWidth is how much of the last column must be seen, where it has so much.
const noteWidth = 36

// fit says which columns there is room for.
func (t *text) fit(columns []column, widths []int) []bool {
	shown := make([]bool, len(columns))
	need := -2
	last := len(columns) - 1
	for i, w := range widths {
		shown[i] = true
		if i == last {
			w = min(w, noteWidth)
		}
		need += w + 2
	}
	for t.width > 0 && need > t.width {
		first := -1
		for i, c := range columns {
			if shown[i] && c.drop > 0 && (first < 0 || c.drop < columns[first].drop) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		shown[first] = false
		need -= widths[first] + 2
	}
	return shown
}

// table aligns cells, two spaces apart; the last column is as long as it is.
func (t *text) table(columns []column, rows [][]string) {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = len(c.title)
		for _, r := range rows {
			r[i] = telemetry.Clean(r[i], maxLine)
			widths[i] = max(widths[i], ansi.StringWidth(r[i]))
		}
	}
	shown := t.fit(columns, widths)
	var b strings.Builder
	write := func(cell func(int) string) {
		b.Reset()
		for i, c := range columns {
			if !shown[i] {
				continue
			}
			if b.Len() > 0 {
				b.WriteString("  ")
			}
			s := cell(i)
			pad := strings.Repeat(" ", widths[i]-ansi.StringWidth(s))
			switch {
			case c.right:
				b.WriteString(pad + s)
			case i == len(columns)-1:
				b.WriteString(s)
			default:
				b.WriteString(s + pad)
			}
		}
		t.line(b.String())
	}
	write(func(i int) string { return columns[i].title })
	for _, r := range rows {
		write(func(i int) string { return r[i] })
	}
}
