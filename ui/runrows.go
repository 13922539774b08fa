package ui

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"foretop/actions"
)

// layout finds out which rows there are, after the picture, a fold or the order changed. The cursor stays with its line; on the first row it stays there.
func (s *runScreen) layout() {
	id, line := s.cursor()
	s.entries, s.starts = s.entries[:0:0], s.starts[:0:0]
	if s.news == nil {
		return
	}
	if s.byNode {
		for _, i := range s.nodeOrder() {
			s.entries = append(s.entries, runID{runOfNode, i})
		}
	} else {
		for _, i := range s.news.order {
			s.entries = append(s.entries, runID{runOfGroup, i})
		}
		for i := range s.news.pending {
			if s.news.pending[i] != "" {
				s.entries = append(s.entries, runID{runPending, i})
			}
		}
	}
	row, put := 0, -1
	for i, e := range s.entries {
		s.starts = append(s.starts, row)
		n := 0
		if s.unfolded(e) {
			n = s.text(e).rows()
		}
		if e == id {
			put = s.starts[i] + min(line+1, n)
		}
		row += 1 + n
	}
	s.starts = append(s.starts, row)
	if s.at > 0 && put >= 0 {
		s.at = put
	}
	s.at = max(0, min(s.at, row-1))
}

// rows is how many there are.
func (s *runScreen) rows() int {
	if len(s.starts) == 0 {
		return 0
	}
	return s.starts[len(s.starts)-1]
}

// row is what stands in a row: an entry's head, of line -1, or a line of its output. The row must be there.
func (s *runScreen) row(i int) (e runID, line int) {
	k := sort.Search(len(s.entries), func(k int) bool { return s.starts[k] > i }) - 1
	return s.entries[k], i - s.starts[k] - 1
}

// cursor is what is under the cursor.
func (s *runScreen) cursor() (e runID, line int) {
	if s.at >= s.rows() {
		return runID{runPending, -1}, -1
	}
	return s.row(s.at)
}

// group is that of an entry; -1 none.
func (s *runScreen) group(e runID) int {
	switch e.kind {
	case runOfGroup:
		return e.n
	case runOfNode:
		return s.news.of[e.n]
	}
	return -1
}

// unfolded says that the output of an entry is shown: somebody asked for it, or it is small.
func (s *runScreen) unfolded(e runID) bool {
	g := s.group(e)
	if g < 0 {
		return false
	}
	if on, asked := s.folds[e]; asked {
		return on
	}
	return e.kind == runOfGroup && s.news.groups[g].text != nil
}

// text is the output of an entry that has one.
func (s *runScreen) text(e runID) *runText {
	i := s.group(e)
	g := &s.news.groups[i]
	switch {
	case g.text != nil:
		return g.text
	case s.texts[i] == nil:
		if s.texts == nil {
			s.texts = map[int]*runText{}
		}
		s.texts[i] = makeRunText(&g.Group)
	}
	return s.texts[i]
}

// fold shows or hides the output under the cursor.
func (m *Model) foldRun() {
	s := &m.run
	if s.rows() == 0 {
		return
	}
	e, line := s.cursor()
	if g := s.group(e); g < 0 {
		m.notice = "it has not ended yet"
		return
	} else if s.text(e).rows() == 0 {
		m.notice = "it printed nothing"
		return
	}
	if s.folds == nil {
		s.folds = map[runID]bool{}
	}
	s.at -= line + 1 // the head stays, whatever goes
	s.folds[e] = !s.unfolded(e)
	s.layout()
}

// step moves the cursor.
func (s *runScreen) step(do action) {
	switch do {
	case actUp:
		s.at--
	case actDown:
		s.at++
	case actPageUp:
		s.at -= max(1, s.page-1)
	case actPageDown:
		s.at += max(1, s.page-1)
	case actFirst:
		s.at = 0
	case actLast:
		s.at = s.rows() - 1
	case actLeft:
		s.shift = max(0, s.shift-shiftBy)
	case actRight:
		s.shift = min(s.shift+shiftBy, maxRunLine)
	}
	s.at = max(0, min(s.at, s.rows()-1))
}

// shiftBy is how many cells a key moves long lines.
const shiftBy = 16

// switchRun shows groups, or a row a target.
func (s *runScreen) switchRun() {
	s.byNode = !s.byNode
	s.at, s.top, s.shift = 0, 0, 0
	s.layout()
}

func runColumns() []column {
	return []column{
		{id: "node", title: "NODE", width: 10, ideal: 24},
		{id: "state", title: "STATE", width: 11},
		{id: "exit", title: "EXIT", width: 4, right: true, drop: 3},
		{id: "time", title: "TIME", width: 6, right: true, down: true},
		{id: "output", title: "OUTPUT", width: 4, rest: true, drop: 4},
	}
}

// sortRun goes one column to the side, or turns the order round.
func (s *runScreen) sortRun(do action) {
	columns := runColumns()
	at := max(0, slices.IndexFunc(columns, func(c column) bool { return c.id == s.sort }))
	switch do {
	case actReverse:
		s.reverse = !s.reverse
	case actSortLeft:
		s.sort, s.reverse = columns[(at+len(columns)-1)%len(columns)].id, false
	case actSortRight:
		s.sort, s.reverse = columns[(at+1)%len(columns)].id, false
	}
	s.at = 0
	s.layout()
}

// descending says which way the order goes.
func (s *runScreen) descending() bool { return (s.sort == "time") != s.reverse }

// nodeOrder is the order of the targets: those that go on come before those that ended where the longest come first.
func (s *runScreen) nodeOrder() []int {
	results := s.news.results
	order := make([]int, len(results))
	for i := range order {
		order[i] = i
	}
	compare := func(a, b int) int { return cmp.Compare(a, b) } // as they were given
	switch s.sort {
	case "time":
		compare = func(a, b int) int { return cmp.Compare(sortTook(&results[a]), sortTook(&results[b])) }
	case "state":
		compare = func(a, b int) int { return cmp.Compare(stateRank(results[a].State), stateRank(results[b].State)) }
	case "exit":
		compare = func(a, b int) int { return cmp.Compare(results[a].Output.Code, results[b].Output.Code) }
	case "output":
		compare = func(a, b int) int { return cmp.Compare(s.news.of[a], s.news.of[b]) }
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if s.descending() {
			a, b = b, a
		}
		return compare(a, b)
	})
	return order
}

// sortTook is took, with what goes on as the longest, and what did not begin as the shortest.
func sortTook(r *actions.Result) time.Duration {
	if r.State == actions.Running {
		return 1<<62 - time.Duration(r.Start.Unix())
	}
	return took(r)
}

// stateRank orders states for a person who looks for what is wrong.
func stateRank(s actions.State) int {
	return slices.Index([]actions.State{actions.Failed, actions.Unknown, actions.Refused, actions.NotStarted, actions.Running, actions.Waiting, actions.Done}, s)
}
