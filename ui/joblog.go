package ui

import (
	"strconv"
	"strings"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// textView scrolls through lines. It follows the end until somebody goes up.
type textView struct {
	held bool // not at the end
	top  int
	all  int // lines, as last drawn
	seen int
}

func (v *textView) step(do action) {
	last := max(0, v.all-v.seen)
	if !v.held {
		v.top = last
	}
	switch do {
	case actUp:
		v.top--
	case actDown:
		v.top++
	case actPageUp:
		v.top -= max(1, v.seen-1)
	case actPageDown:
		v.top += max(1, v.seen-1)
	case actFirst:
		v.top = 0
	case actLast:
		v.top = last
	}
	v.top = max(0, min(v.top, last))
	v.held = v.top < last
}

// show takes over how many lines there are and gives the first of the h that are seen.
func (v *textView) show(all, h int) int {
	v.all, v.seen = all, h
	if last := max(0, all-h); !v.held || v.top > last {
		v.top = last
	}
	return v.top
}

// follower keeps the source told whose log is on screen, one word at a time, so that the order holds.
type follower struct {
	told   string
	asking bool
}

// followedMsg says that the source was told.
type followedMsg struct{ job string }

func (f *follower) done(msg followedMsg) { f.told, f.asking = msg.job, false }

func (m *Model) followCmd() tea.Cmd {
	want := ""
	if m.onScreen(screenJob) || m.onScreen(screenLog) {
		want = m.jobs.selected()
	}
	if m.follow.asking || want == m.follow.told || m.opt.Source == nil {
		return nil
	}
	m.follow.asking = true
	source := m.opt.Source
	return func() tea.Msg {
		source.Follow(want)
		return followedMsg{want}
	}
}

// openLog shows the end of the selected job's log, alone.
func (m *Model) openLog() {
	j := m.jobs.selectedJob()
	if j == nil {
		m.notice = "no job is selected"
		return
	}
	if j.Key != m.job.shown {
		m.showJob()
	}
	m.job.log.held = false
	m.push(screenLog)
}

// logAge is how long ago a job's log was last written, as far as is known: it is read once in a while only, so that the age is that of the moment when it was, until
// it should have been read again.
func (m *Model) logAge(j *fleet.Job) string {
	if age, ok := logAge(j, m.snap.At); ok {
		return formatShort(age)
	}
	return absent
}

// logReadEvery is within how long a log is read again.
const logReadEvery = 90 * time.Second

func logAge(j *fleet.Job, at time.Time) (age time.Duration, ok bool) {
	switch {
	case j.Log == nil || j.Log.ModTime.IsZero():
		return 0, false
	case at.Sub(j.Log.At) < logReadEvery:
		return j.Log.At.Sub(j.Log.ModTime), true
	}
	return at.Sub(j.Log.ModTime), true
}

// logTitle is the title of the log's section.
func (m *Model) logTitle(j *fleet.Job) string {
	words := "log (o: alone)"
	if path := logPath(j); path != "" {
		words = "log " + path + " (o: alone)"
	}
	if age := m.logAge(j); age != absent {
		words += ", last line " + age + " ago"
	}
	return words
}

func logPath(j *fleet.Job) string {
	switch {
	case j.Log != nil && j.Log.Path != "":
		return j.Log.Path
	case j.Told != nil:
		return j.Told.LogFile
	}
	return ""
}

// noLog says why there is no line of a job's log to be seen, and what to do; "" when there is one.
func noLog(j *fleet.Job) (what, next string) {
	switch {
	case j.Log != nil && j.Log.Error != "":
		return "not read: " + j.Log.Error, j.Log.Remedy
	case j.Log != nil && len(j.Log.Lines) > 0:
		return "", ""
	case j.Log != nil && j.Log.Lines != nil:
		return "the file is empty", ""
	case logPath(j) != "" && j.State == fleet.JobPending:
		return "it has not started: its log will be " + logPath(j), ""
	case logPath(j) != "" && !j.Ended.IsZero() && len(j.Nodes) == 0:
		return "not read: none of its nodes is watched", ""
	case logPath(j) != "":
		return logBeingRead, ""
	case j.Scheduler == "kubernetes":
		return "not known: Kubernetes keeps the output of containers itself", "kubectl logs, for the job's pods"
	case j.Asked == fleet.AskedKnown:
		return "its scheduler tells no log file", ""
	}
	return "not known: no scheduler tells where its output goes", ""
}

// noLog is noLog of a job at the moment on screen.
func (m *Model) noLog(j *fleet.Job) (what, next string) {
	if what, next = noLog(j); what == logBeingRead && m.away() {
		return "not known of that moment", "a job's log is read only while somebody looks at the job"
	}
	return what, next
}

// logBeingRead is said of a log that was asked for.
const logBeingRead = "being read"

// logNumbers is the line of numbers that patterns find in a job's log; nil where there are none.
func (m *Model) logNumbers(j *fleet.Job) []span {
	if j.Log == nil || len(j.Log.Numbers) == 0 {
		return nil
	}
	out := []span{{"log", fg(colDim)}}
	if age := m.logAge(j); age != absent {
		out = append(out, span{" " + age + " ago", fg(colDim)})
	}
	out = append(out, span{": ", fg(colDim)})
	for i, n := range j.Log.Numbers {
		if i > 0 {
			out = append(out, span{" · ", fg(colDim)})
		}
		out = append(out, span{n.Name + " ", fg(colDim)}, span{n.Text, fg(colStrong)})
	}
	return out
}

// drawLogTail draws the last lines of the log among a job's sections.
func (m *Model) drawLogTail(a area, j *fleet.Job) {
	if what, next := m.noLog(j); what != "" {
		a.cut(tableIndent, 0, a.w-tableIndent, what, fg(colDim))
		a.cut(tableIndent, 1, a.w-tableIndent, next, fg(colDim))
		return
	}
	lines := j.Log.Lines
	from := max(0, len(lines)-a.h)
	for y := 0; y < a.h && from+y < len(lines); y++ {
		a.cut(1, y, a.w-1, lines[from+y], logStyle(lines[from+y]))
	}
}

// logStyle makes lines stand out that say of themselves that they are errors. It is help for the eye, no finding.
func logStyle(line string) style {
	for _, w := range []string{"error", "traceback", "exception", "fatal", "nccl warn", "out of memory", "killed", "segfault"} {
		if containsFold(line, w) {
			return fg(colCrit)
		}
	}
	if containsFold(line, "warning") {
		return fg(colWarn)
	}
	return style{}
}

// drawLog draws the end of a job's log on the whole screen.
func (m *Model) drawLog(a area) {
	j := m.jobs.selectedJob()
	if j == nil {
		say(a, m.missing(m.shownJob(), "seen"), "Esc goes back")
		return
	}
	y := 0
	if a.h >= 4 {
		k := jobMark(j)
		x := a.text(1, 0, strings.TrimSpace(j.ID+" "+j.Name)+"  ", fg(colStrong))
		x = a.text(x, 0, string(k.r)+" "+jobText(j), k.st)
		where := logPath(j)
		if j.Log != nil {
			where += " on " + j.Log.Node
		}
		if age := m.logAge(j); age != absent {
			where += ", last line " + age + " ago"
		}
		if j.Log != nil && j.Log.Size >= 0 {
			where += ", " + formatBytes(fleet.Reading(j.Log.Size))
		}
		a.cut(1, 1, a.w-1, strings.TrimSpace(where), fg(colDim))
		y = 2
		_ = x
		if numbers := m.logNumbers(j); numbers != nil && a.h >= 8 {
			x := 1
			for _, s := range numbers {
				x = a.text(x, y, s.text, s.st)
			}
			y++
		}
	}
	v, box := &m.job.log, a.sub(0, y, a.w, a.h-y)
	if what, next := m.noLog(j); what != "" {
		v.show(0, box.h)
		say(box, what, next)
		return
	}
	rule := box.sub(0, 0, box.w, 1)
	if box.h > 3 {
		rule.repeat(0, 0, rule.w, '─', fg(colDim))
		box = box.sub(0, 1, box.w, box.h-1)
	}
	lines := j.Log.Lines
	top := v.show(len(lines), box.h)
	for y := 0; y < box.h && top+y < len(lines); y++ {
		box.cut(1, y, box.w-1, lines[top+y], logStyle(lines[top+y]))
	}
	if rule.y != box.y {
		words := " lines " + strconv.Itoa(top+1) + "–" + strconv.Itoa(min(top+box.h, len(lines))) + " of the last " + strconv.Itoa(len(lines)) + " "
		if !v.held {
			words += "· follows "
		}
		rule.text(2, 0, words, fg(colDim))
	}
}

// copyJobLog copies the known end of a job's log, or on its page its path.
func (m *Model) copyJobLog() tea.Cmd {
	j := m.jobs.selectedJob()
	if j == nil {
		m.notice = "nothing to copy: no job is selected"
		return nil
	}
	if m.screen == screenLog && j.Log != nil && len(j.Log.Lines) > 0 {
		m.notice = "copied " + count(len(j.Log.Lines), "line") + " of " + j.Log.Path
		return tea.SetClipboard(strings.Join(j.Log.Lines, "\n") + "\n")
	}
	if path := logPath(j); path != "" {
		m.notice = "copied " + path
		return tea.SetClipboard(path)
	}
	m.notice = "nothing to copy: its log is not known"
	return nil
}
