package ui

import (
	"strconv"
	"strings"

	"foretop/actions"

	tea "charm.land/bubbletea/v2"
)

// chooseRun does what the keys of tables ask for, on the Run view.
func (m *Model) chooseRun(do action) {
	s := &m.run
	switch {
	case s.job == nil:
		m.notice = "no command was run yet"
	case do == actFilter:
		m.prompt.startFind()
	case s.byNode:
		s.sortRun(do)
	default:
		m.notice = "groups have their order: Tab shows the nodes, one by one"
	}
}

// typedFind takes a key while it is typed what to search for.
func (m *Model) typedFind(k tea.KeyPressMsg) tea.Cmd {
	done, cancelled := m.prompt.key(k)
	if !done {
		return nil
	}
	text := strings.ToLower(strings.TrimSpace(string(m.prompt.text)))
	m.prompt = prompt{}
	if cancelled {
		return nil
	}
	m.run.find = text
	return m.findRun(false)
}

// runFoundMsg says where the text is that was searched for.
type runFoundMsg struct {
	job   *actions.Job
	text  string
	entry runID
	line  int
	there bool
}

// findRun searches on from the cursor, round and round, beside the screen: outputs may be long.
func (m *Model) findRun(back bool) tea.Cmd {
	s := &m.run
	switch {
	case s.find == "":
		m.notice = "nothing was searched for: / does"
		return nil
	case s.rows() == 0:
		return nil
	}
	e, line := s.cursor()
	f := finder{news: s.news, text: s.find, back: back, made: map[int][]int{}}
	at := 0
	for i := range s.entries {
		if s.entries[i] == e {
			at = i
		}
	}
	entries, job := s.entries, s.job
	return func() tea.Msg {
		msg := runFoundMsg{job: job, text: f.text}
		msg.entry, msg.line, msg.there = f.search(entries, at, line)
		return msg
	}
}

// finder looks for a text in what a run came to.
type finder struct {
	news *runNews
	text string
	back bool
	made map[int][]int // lines with the text, by group
}

// search goes through entries from a line of the one at a place on, and in the end through what stands before that.
func (f *finder) search(entries []runID, at, line int) (e runID, found int, there bool) {
	for k := range len(entries) + 1 {
		step := k
		if f.back {
			step = len(entries) - k
		}
		e = entries[(at+step)%len(entries)]
		hits := f.hits(e)
		for i := range hits {
			hit := hits[i]
			if f.back {
				hit = hits[len(hits)-1-i]
			}
			if k == 0 && (!f.back && hit <= line || f.back && hit >= line) {
				continue
			}
			return e, hit, true
		}
	}
	return e, 0, false
}

// hits are the lines of an entry that have the text; -1 is its head.
func (f *finder) hits(e runID) []int {
	g, head := -1, ""
	switch e.kind {
	case runOfGroup:
		g, head = e.n, f.news.groups[e.n].names
		for _, name := range f.news.groups[e.n].Names {
			head += "\n" + name
		}
	case runOfNode:
		g, head = f.news.of[e.n], f.news.results[e.n].Target
	case runPending:
		head = f.news.pending[e.n]
	}
	var hits []int
	if strings.Contains(strings.ToLower(head), f.text) {
		hits = []int{-1}
	}
	if g < 0 {
		return hits
	}
	lines, known := f.made[g]
	if !known {
		t := f.news.groups[g].text
		if t == nil {
			t = makeRunText(&f.news.groups[g].Group)
		}
		for i := range t.rows() {
			if line, _ := t.line(i); strings.Contains(strings.ToLower(line), f.text) {
				lines = append(lines, i)
			}
		}
		f.made[g] = lines
	}
	return append(hits, lines...)
}

// runFound goes to where the text was found, and unfolds it.
func (m *Model) runFound(msg runFoundMsg) {
	s := &m.run
	if msg.job != s.job || msg.text != s.find {
		return
	}
	if !msg.there {
		m.notice = strconv.Quote(msg.text) + " is nowhere in it"
		return
	}
	if msg.line >= 0 && !s.unfolded(msg.entry) {
		if s.folds == nil {
			s.folds = map[runID]bool{}
		}
		s.folds[msg.entry] = true
		s.layout()
	}
	for i, e := range s.entries {
		if e == msg.entry {
			s.at = min(s.starts[i]+1+msg.line, s.rows()-1)
		}
	}
}

// maxCopy bounds what is handed to a terminal's clipboard: many take no more.
const maxCopy = 96 << 10

// copyRun hands what is listed to the terminal's clipboard, with the outputs that are shown.
func (m *Model) copyRun() tea.Cmd {
	s := &m.run
	if s.job == nil {
		m.notice = "nothing to copy: no command was run yet"
		return nil
	}
	var b strings.Builder
	put := func(words string) { b.WriteString(runLine(words) + "\n") }
	put(s.job.Preview.Title)
	left := 0
	for i := range s.rows() {
		if b.Len() > maxCopy {
			left = s.rows() - i
			break
		}
		e, line := s.row(i)
		switch {
		case line >= 0:
			text, _ := s.text(e).line(line)
			put("    " + text)
		case e.kind == runPending:
			put(s.news.pending[e.n])
		case e.kind == runOfNode:
			r := &s.news.results[e.n]
			put(r.Target + "  " + r.State.String() + "  " + m.tookWords(r))
		default:
			g := &s.news.groups[e.n]
			put(g.names + " (" + strconv.Itoa(len(g.Names)) + ")  " + endWords(&g.Group, g.state))
		}
	}
	m.notice = "copied what is listed, with the outputs that are shown"
	if left > 0 {
		m.notice = "copied the first " + strconv.Itoa(s.rows()-left) + " lines: a clipboard takes no more"
	}
	return tea.SetClipboard(b.String())
}
