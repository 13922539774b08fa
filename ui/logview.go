package ui

import (
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

// logView is the kernel log on the whole screen. Its cursor follows the end until somebody moves it; then it stays with its line, also where that moves
// since it was written again.
type logView struct {
	held bool // on a line that is not the last
	at   logKey
	top  int
	keys []logKey // as last drawn
	seen int      // lines on screen
}

// logKey tells lines apart.
type logKey struct {
	since time.Time
	kind  string
	nth   int // of those of that time and kind
}

func (v *logView) end() { v.held = false }

// show takes over the lines there are now, and gives the first on screen of h and the one under the cursor.
func (v *logView) show(lines []fleet.KernelLine, h int) (top, cursor int) {
	v.keys = v.keys[:0]
	for i := range lines {
		k := logKey{since: lines[i].Since(), kind: lines[i].Class.Kind}
		for j := i - 1; j >= 0 && v.keys[j].since.Equal(k.since); j-- {
			if v.keys[j].kind == k.kind {
				k.nth = v.keys[j].nth + 1
				break
			}
		}
		v.keys = append(v.keys, k)
	}
	v.seen = h
	cursor = v.cursor()
	v.top = scrollTo(v.top, cursor, h, len(lines))
	return v.top, cursor
}

// cursor is the index of the line under the cursor; that line may have gone, then it is the first that is younger.
func (v *logView) cursor() int {
	last := len(v.keys) - 1
	if !v.held {
		return last
	}
	for i := range v.keys {
		if v.keys[i] == v.at {
			return i
		}
	}
	for i := range v.keys {
		if v.keys[i].since.After(v.at.since) {
			return i
		}
	}
	return last
}

func (v *logView) step(do action) {
	i, last := v.cursor(), len(v.keys)-1
	switch do {
	case actUp:
		i--
	case actDown:
		i++
	case actPageUp:
		i -= max(1, v.seen-1)
	case actPageDown:
		i += max(1, v.seen-1)
	case actFirst:
		i = 0
	case actLast:
		i = last
	}
	i = max(0, min(i, last))
	if v.held = i < last; v.held {
		v.at = v.keys[i]
	}
}

// drawKernel draws the kernel log of a node, alone, and under it all that is known of the line under the cursor.
func (m *Model) drawKernel(a area) {
	n := m.index.node(m.node.name)
	if n == nil {
		say(a, m.missing(m.node.name, "watched"), "Esc goes back")
		return
	}
	if a.h > 1 {
		m.nodeState(a, 0, n, true)
		a = a.sub(0, 1, a.w, a.h-1)
	}
	v := &m.node.log
	if len(n.Kernel) == 0 {
		v.keys = v.keys[:0]
		drawNoKernel(a, n)
		return
	}
	list, rows := a, paneRows(a.h)
	if rows > 0 {
		list = a.sub(0, 0, a.w, a.h-rows-1)
	}
	top, cursor := v.show(n.Kernel, list.h)
	for y := 0; y < list.h && top+y < len(n.Kernel); y++ {
		i := top + y
		m.drawKernelLine(list, y, &n.Kernel[i])
		if i == cursor {
			list.text(0, y, string(markCursor), fg(colAccent).with(bold))
			list.restyle(0, y, list.w, func(s style) style { return s.on(colCursorBG) })
		}
		m.hit(list, y, func() { v.hold(i) })
	}
	if rows == 0 {
		return
	}
	rule := a.sub(0, list.h, a.w, 1)
	rule.repeat(0, 0, a.w, '─', fg(colDim))
	title := " line " + strconv.Itoa(cursor+1) + " of " + strconv.Itoa(len(n.Kernel)) + " "
	if missing := kernelMissing(n); missing != "" {
		title += "· " + missing + " "
	}
	rule.cut(2, 0, min(rule.width(title), a.w-3), title, fg(colDim))
	words := m.lineWords(&n.Kernel[cursor], a.w-2)
	for i, line := range words[:min(len(words), rows)] {
		x := 1
		for _, s := range line {
			x = a.text(x, list.h+1+i, s.text, s.st)
		}
	}
}

// paneRows is how many lines are kept for all that is known of one, of h; its place is the same for every line, so that none jumps.
func paneRows(h int) int {
	switch {
	case h >= 30:
		return 8
	case h >= 16:
		return 5
	case h >= 10:
		return 3
	}
	return 0
}

func (v *logView) hold(i int) {
	if i < len(v.keys) {
		v.held, v.at = i < len(v.keys)-1, v.keys[i]
	}
}

// lineWords is a line in full, with what belongs to it.
func (m *Model) lineWords(k *fleet.KernelLine, w int) (lines [][]span) {
	add := func(head, text string, st style) {
		if text != "" {
			lines = append(lines, wrapSpans([]span{{head, fg(colDim)}, {text, st}}, w, 3, m.opt.ASCII)...)
		}
	}
	add("", m.lineFacts(k), fg(colAccent))
	add("", k.Text, style{})
	for _, more := range k.More {
		add("  ", more, fg(colDim))
	}
	if k.Oldest != "" {
		add("first: ", k.Oldest, fg(colDim))
	}
	return lines
}

// kernelInfo is what the line under the cursor means, and what to do about it.
func (m *Model) kernelInfo(a area) [][]span {
	n := m.index.node(m.node.name)
	if n == nil || len(n.Kernel) == 0 {
		return nil
	}
	k := &n.Kernel[max(0, min(m.node.log.cursor(), len(n.Kernel)-1))]
	meaning, action := lineMeaning(k), lineAction(k)
	switch {
	case action == nil:
		return [][]span{meaning}
	case a.h > 1:
		return [][]span{meaning, action}
	}
	return [][]span{append(meaning, append([]span{{" ", style{}}}, action...)...)}
}

func lineMeaning(k *fleet.KernelLine) []span {
	c := &k.Class
	if c.Kind == "" {
		return []span{{"an ordinary line, of level " + levelName(k.Level), fg(colDim)}}
	}
	mark := severityMark(c.Severity)
	text := c.Text
	if text == "" {
		text = strings.ReplaceAll(c.Kind, "_", " ") + ", no fault of its own"
	}
	spans := []span{{string(mark.r) + " " + text, mark.st}}
	if c.Severity > fleet.Fine {
		spans = append(spans, span{" · " + causeWords(c.Cause), style{}})
	}
	return spans
}

func lineAction(k *fleet.KernelLine) []span {
	if k.Class.Action == "" {
		return nil
	}
	return []span{{"→ " + k.Class.Action, fg(colStrong)}}
}

// lineFacts is what a line tells beside its words: how often, which device, which process.
func (m *Model) lineFacts(k *fleet.KernelLine) string {
	c := &k.Class
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if k.N() > 1 {
		add("×" + formatWhole(float64(k.N())) + " in " + formatShort(k.At.Sub(k.Since())) + ", since " + k.Since().In(m.opt.Location).Format("15:04:05"))
	}
	if k.NVML {
		add("told by NVML")
	}
	if k.GPU >= 0 {
		add("GPU" + strconv.Itoa(k.GPU))
	}
	add(c.PCI)
	if !strings.Contains(c.Text, c.Device) {
		add(c.Device)
	}
	switch {
	case c.Process != "" && c.PID > 0:
		add(c.Process + " pid " + strconv.Itoa(int(c.PID)))
	case c.PID > 0:
		add("pid " + strconv.Itoa(int(c.PID)))
	default:
		add(c.Process)
	}
	add(c.Detail)
	add(c.Cgroup)
	return strings.Join(parts, " · ")
}

func causeWords(c fleet.Cause) string {
	if c == fleet.CauseUnknown {
		return "cause unclear"
	}
	return "likely " + c.String()
}

// levelName is a level in the kernel's word (syslog(2)).
func levelName(level uint32) string {
	names := [...]string{"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"}
	return names[min(level, uint32(len(names)-1))]
}
