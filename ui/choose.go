package ui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"
)

// chooser says which rows of a table are shown.
type chooser[T any] struct {
	fields []field[T]
	text   string // the filter as typed
	filter filter[T]
	user   string // "" all
	// partition, or namespace, of jobs; "" all
	partition string
	problems  bool // problems only
}

// set takes over a filter; when it is wrong the old one stays and the error says why.
func (c *chooser[T]) set(text string) error {
	f, err := parseFilter(text, c.fields)
	if err == nil {
		c.text, c.filter = text, f
	}
	return err
}

// active says whether rows may be left out.
func (c *chooser[T]) active() bool {
	return len(c.filter.terms) > 0 || c.user != "" || c.partition != "" || c.problems
}

// words says what is left out, for the line under the title.
func (c *chooser[T]) words() string {
	s := ""
	if len(c.filter.terms) > 0 {
		s = "/ " + c.text
	}
	if c.user != "" {
		s += " user " + c.user
	}
	if c.partition != "" {
		s += " partition " + c.partition
	}
	if c.problems {
		s += " problems only"
	}
	return s
}

func (c *chooser[T]) clear() {
	c.text, c.filter, c.user, c.partition, c.problems = "", filter[T]{}, "", "", false
}

// rows is the list that the keyboard is on, if it is on one.
func (m *Model) rows() *list {
	switch m.place() {
	case placeJobs:
		return &m.jobs.list
	case placeNodes:
		return &m.nodes.list
	case placeUsers:
		return &m.users.list
	case placeRanks:
		return &m.job.ranks.list
	case placeFindings:
		return &m.findings.list
	}
	return nil
}

// lists are all tables whose rows are of the fleet: in each the cursor stays on its row while another moment is shown.
func (m *Model) lists() []*list {
	return []*list{&m.jobs.list, &m.nodes.list, &m.users.list, &m.findings.list, &m.job.ranks.list}
}

// choose does what the keys of tables ask for.
func (m *Model) choose(do action) {
	if m.screen == screenRun {
		m.chooseRun(do)
		return
	}
	l := m.rows()
	if l == nil {
		return
	}
	switch do {
	case actTag:
		if k := l.selected(); k != "" {
			l.tag(k, !l.tagged[k])
			l.move(1)
		}
		return
	case actRange:
		m.toggleRange(l)
		return
	case actUntag:
		if len(l.tagged) == 0 {
			m.notice = "nothing is tagged: Space tags a row"
		}
		l.tagged, l.rangeAt = nil, ""
		return
	case actFilter:
		text := m.nodes.text
		if m.screen == screenJobs {
			text = m.jobs.text
		} else if m.screen == screenFindings {
			text = m.findings.text
		}
		m.prompt.start(text)
		return
	case actReverse:
		l.reverse = !l.reverse
	case actSortLeft, actSortRight:
		m.sortBy(l, do)
	case actClear, actProblems:
		m.narrow(do)
	case actUser:
		m.oneUser()
	case actPartition:
		m.onePartition()
	}
	m.rearrange()
}

func (m *Model) toggleRange(l *list) {
	switch {
	case l.rangeAt != "":
		l.rangeAt = ""
	case l.selected() == "":
		m.notice = "no row is selected"
	default:
		l.rangeAt = l.selected()
		l.tag(l.rangeAt, true)
	}
}

// sortBy goes one column to the side, among those on screen.
func (m *Model) sortBy(l *list, do action) {
	columns := m.nodes.placed
	switch m.place() {
	case placeJobs:
		columns = m.jobs.placed
	case placeUsers:
		columns = m.users.placed
	case placeRanks:
		columns = m.job.ranks.placed
	}
	at := -1
	for i, p := range columns {
		if p.id == l.sort {
			at = i
		}
	}
	if len(columns) == 0 {
		return
	}
	if at += 1; do == actSortLeft {
		at -= 2
	}
	at = (at + len(columns)) % len(columns)
	l.sort, l.reverse = columns[at].id, false
}

func (m *Model) narrow(do action) {
	switch {
	case m.screen == screenJobs && do == actClear:
		m.jobs.clear()
	case m.screen == screenJobs:
		m.jobs.problems = !m.jobs.problems
	case m.screen == screenFindings && do == actClear:
		m.findings.clear()
	case m.screen == screenFindings:
		m.findings.problems = !m.findings.problems
	case do == actClear:
		m.nodes.clear()
	default:
		m.nodes.problems = !m.nodes.problems
	}
}

// oneUser shows only the user of the selected row; pressed again, all.
func (m *Model) oneUser() {
	was, user, why := &m.nodes.user, "", "no process on this node is known"
	if m.screen == screenJobs {
		was, why = &m.jobs.user, "whose job this is, is not known"
		if j := m.jobs.selectedJob(); j != nil {
			user = j.User
		}
	} else if n := m.index.node(m.nodes.selected()); n != nil {
		user = firstUser(n)
	}
	switch {
	case *was != "":
		*was = ""
	case user == "":
		m.notice = why
	default:
		*was = user
	}
}

// onePartition shows only the jobs of the selected one's partition or namespace; pressed again, all.
func (m *Model) onePartition() {
	j := m.jobs.selectedJob()
	switch {
	case m.jobs.partition != "":
		m.jobs.partition = ""
	case j == nil || j.Partition == "":
		m.notice = "the partition of this job is not known"
	default:
		m.jobs.partition = j.Partition
	}
}

// rearrange puts the rows of all tables in order at once: somebody asked for it.
func (m *Model) rearrange() {
	if m.snap != nil {
		m.users.refresh(m.snap, m.touched, true)
		m.refreshJob(true)
		m.jobs.refresh(m.snap, m.touched, true)
		m.nodes.refresh(m.snap, m.touched, true)
		m.findings.refresh(m.snap, m.touched, true)
	}
}

// typed takes a key while the filter is being typed: it holds as it is typed.
func (m *Model) typed(k tea.KeyPressMsg) {
	if m.prompt.command {
		m.typedCommand(k)
		return
	}
	done, cancelled := m.prompt.key(k)
	text := string(m.prompt.text)
	if cancelled {
		text = m.prompt.before
	}
	if err := m.setFilter(text); err != nil && done && !cancelled {
		m.prompt.open = true // it cannot be meant like this: what is wrong stands beside it
	}
}

func (m *Model) paste(s string) {
	if m.screen == screenAct && m.acting.stage == stageWords {
		m.acting.line.insert(s) // line ends go with it: nothing that is pasted goes on by itself
		return
	}
	if m.screen == screenAct {
		m.notice = "what is pasted is no answer: it is typed"
		return
	}
	if m.screen == screenAsk {
		m.asking.put(s)
		return
	}
	if m.prompt.open {
		m.prompt.insert(s)
		if m.prompt.command || m.prompt.find {
			return
		}
		_ = m.setFilter(string(m.prompt.text)) // the error is shown beside the line
	}
}

func (m *Model) setFilter(text string) error {
	var err error
	if m.screen == screenJobs {
		err = m.jobs.set(text)
	} else if m.screen == screenFindings {
		err = m.findings.set(text)
	} else {
		err = m.nodes.set(text)
	}
	m.rearrange()
	return err
}

// promptWords says what the line being typed does: how many rows it leaves, or what is wrong with it.
func (m *Model) promptWords() (words string, wrong bool) {
	if m.prompt.command {
		return m.commandWords()
	}
	if m.prompt.find {
		return "Enter searches", false
	}
	text := string(m.prompt.text)
	shown, all, what, err := len(m.nodes.keys), 0, "nodes", error(nil)
	if m.screen == screenJobs {
		_, err = parseFilter(text, m.jobs.fields)
		shown, what = len(m.jobs.keys), "jobs"
	} else if m.screen == screenFindings {
		_, err = parseFilter(text, m.findings.fields)
		shown, what = len(m.findings.keys), "incidents"
	} else {
		_, err = parseFilter(text, m.nodes.fields)
	}
	if err != nil {
		return err.Error(), true
	}
	if m.snap != nil {
		if all = len(m.snap.Nodes); m.screen == screenJobs {
			all = len(m.jobs.byKey)
		} else if m.screen == screenFindings {
			all = len(m.findings.byID)
		}
	}
	return fmt.Sprintf("%d of %d %s", shown, all, what), false
}
