package ui

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/config"
	"foretop/fleet"
)

// jobsScreen is the table of jobs with the grid of the selected one.
type jobsScreen struct {
	list
	chooser[*fleet.Job]
	byKey  map[string]*fleet.Job
	inGrid bool // the keyboard is on the grid under the table
	view   gridView
	shown  string // key of the job that view shows
	placed []placed
	page   int // rows on screen
	folded map[string]foldedNodes

	byLayout bool // the grid shows a job by its layout, where that is known
	layouts  jobLayouts
	// pending shows the jobs that wait in place of those that run.
	pending bool
	has     jobsHave
}

// jobsHave says what some job has, and so which columns there are.
type jobsHave struct{ limits, logs bool }

// foldedNodes remembers how a list of names was folded.
type foldedNodes struct {
	names []string
	text  string
}

// jobColumns are the columns of a table w cells wide. The state names the place of what is wrong: room for that comes before the averages.
func jobColumns(has jobsHave, w int) []column {
	state, name := 24, 10
	switch {
	case w >= 120:
		state, name = 34, 12
	case w >= 80:
		state = 28
	}
	columns := []column{
		{id: "job", title: "JOB", width: 6, ideal: 10},
		{id: "name", title: "NAME", width: name, ideal: 24, drop: 3},
		{id: "user", title: "USER", width: 5, ideal: 10, drop: 5},
		{id: "ranks", title: "RANKS", width: 9, ideal: 11, right: true, drop: 6, down: true},
		{id: "nodes", title: "NODES", width: 12, ideal: 20, drop: 12, down: true},
		{id: "gpu", title: "GPU", width: 4, ideal: 5, right: true, drop: 9, down: true},
		{id: "power", title: "POWER", width: 5, right: true, drop: 4, down: true},
		{id: "util", title: "UTIL", width: 4, ideal: 5, right: true, drop: 19, down: true},
		{id: "tensor", title: "TENSOR", width: 6, right: true, drop: 14, down: true},
		{id: "mem", title: "MEM", width: 8, right: true, drop: 16, down: true},
		{id: "temp", title: "TEMP", width: 4, right: true, drop: 20, down: true},
		{id: "net", title: "NET", width: 9, right: true, drop: 17, down: true},
	}
	if has.limits {
		columns = append(columns, column{id: "left", title: "LEFT", width: 6, right: true, drop: 8})
	}
	if has.logs {
		columns = append(columns, column{id: "log", title: "LOG", width: 4, ideal: 5, right: true, drop: 15, down: true})
	}
	return append(columns, column{id: "state", title: "STATE", width: state, ideal: 48, rest: true, down: true})
}

// refresh takes over a snapshot; force puts the rows in order whatever the cursor does.
func (s *jobsScreen) refresh(snap *fleet.Snapshot, touched time.Time, force bool) {
	all := snap.Jobs
	if s.pending {
		all = snap.Pending
	}
	s.byKey, s.has = make(map[string]*fleet.Job, len(all)), jobsHave{}
	rows := make([]rowKey, 0, len(all))
	for _, j := range all {
		s.byKey[j.Key] = j
		s.has.limits, s.has.logs = s.has.limits || !j.EndLimit.IsZero(), s.has.logs || j.Log != nil || j.Told != nil && j.Told.LogFile != ""
		if s.user != "" && j.User != s.user || s.partition != "" && j.Partition != s.partition || s.problems && j.Severity < fleet.Warning || !s.filter.holds(j) {
			continue
		}
		if s.pending && s.sort == "state" {
			rows = append(rows, rowKey{key: j.Key}) // the next to start first, as they come
			continue
		}
		rows = append(rows, jobRowKey(j, s.sort, snap.At))
	}
	s.arrange(sortRows(rows, s.descending()), force || s.mayResort(snap.At, touched), snap.At)
	for k := range s.layouts {
		if s.byKey[k] == nil && !s.stays && s.gone == "" {
			delete(s.layouts, k)
		}
	}
	for k := range s.folded {
		if s.byKey[k] == nil {
			delete(s.folded, k)
		}
	}
}

// descending says whether the greatest come first.
func (s *jobsScreen) descending() bool {
	for _, c := range s.columns(0) {
		if c.id == s.sort {
			return c.down != s.reverse
		}
	}
	return false
}

func jobRowKey(j *fleet.Job, by string, at time.Time) rowKey {
	k := rowKey{key: j.Key, num: math.NaN()}
	switch by {
	case "job":
		if n, err := strconv.Atoi(j.ID); err == nil {
			k.num = float64(n)
		}
		k.word = j.ID
	case "name":
		k.word = j.Name
	case "user":
		k.word = j.User
	case "ranks":
		k.num = float64(max(len(j.Ranks), j.World))
	case "nodes":
		k.num = float64(jobNodes(j))
	case "gpu":
		k.num = float64(jobGPUs(j))
	case "power":
		k.num = float64(j.PowerPct)
	case "util":
		k.num = float64(j.UtilPct)
	case "tensor":
		k.num = float64(j.TensorPct)
	case "mem":
		k.num = float64(j.MemPct)
	case "temp":
		k.num = float64(j.TempC)
	case "net":
		k.num = float64(j.NetBytesPerS)
	case "left":
		if !j.EndLimit.IsZero() {
			k.num = float64(j.EndLimit.Unix())
		}
	case "log":
		if age, ok := logAge(j, at); ok {
			k.num = age.Seconds()
		}
	case "partition":
		k.word = j.Partition
	case "waited":
		if j.Told != nil && !j.Told.SubmitAt.IsZero() {
			k.num = at.Sub(j.Told.SubmitAt).Seconds()
		}
	case "starts":
		if j.Told != nil && !j.Told.StartAt.IsZero() {
			k.num = float64(j.Told.StartAt.Unix())
		}
	case "state":
		k.num = float64(jobRank(j))
	}
	return k
}

// jobRank orders jobs by how much they want to be looked at.
func jobRank(j *fleet.Job) int {
	rank := int(j.Severity) * 8
	if !j.Ended.IsZero() {
		return rank - 100
	}
	switch j.State {
	case fleet.JobSuspect:
		rank += 5
	case fleet.JobPartial:
		rank += 4
	case fleet.JobUnchecked:
		rank += 3
	case fleet.JobUnseen:
		rank += 3
	case fleet.JobIdle:
		rank += 2
	case fleet.JobStarting:
		rank++
	}
	return rank
}

// selectedJob is the job under the cursor; nil when there is none.
func (s *jobsScreen) selectedJob() *fleet.Job { return s.byKey[s.selected()] }

// columns are those of the table as it is now.
func (s *jobsScreen) columns(w int) []column {
	if s.pending {
		return pendingColumns(w)
	}
	return jobColumns(s.has, w)
}

// drawJobTable draws the heading and as many rows as a has lines for.
func (m *Model) drawJobTable(a area) {
	s := &m.jobs
	s.placed = placeColumns(s.columns(a.w), a.w)
	y := 0
	if a.h > 2 {
		drawHeader(a, 0, s.placed, s.sort, s.descending())
		y = 1
	}
	s.page = max(1, a.h-y)
	if len(s.keys) == 0 {
		m.emptyJobs(a.sub(0, y, a.w, a.h-y))
		return
	}
	top := s.scroll(a.h - y)
	at := s.list.index()
	for i := top; i < len(s.keys) && y < a.h; i, y = i+1, y+1 {
		j := s.byKey[s.keys[i]]
		drawRow(a, y, s.placed, i == at, s.tagged[j.Key], !s.inGrid, func(box area, p *placed) { m.jobCell(box, p, j) })
		m.hit(a, y, func() { s.moveTo(i); s.inGrid = false })
	}
}

func (m *Model) jobCell(a area, p *placed, j *fleet.Job) {
	plain, strong := style{}, fg(colStrong)
	if !j.Ended.IsZero() { // what is past is grey
		plain, strong = fg(colDim), fg(colDim)
	}
	text := func(s string) { a.cut(0, 0, p.cells, s, plain) }
	num := func(s string) {
		st := plain
		if s == absent {
			st = fg(colDim)
		}
		a.right(0, 0, p.cells, s, st)
	}
	switch p.id {
	case "job":
		a.cut(0, 0, p.cells, j.ID, strong)
	case "name":
		text(j.Name)
	case "user":
		text(j.User)
	case "ranks":
		st := plain
		if j.MissingN > 0 {
			st = fg(colWarn)
		}
		a.right(0, 0, p.cells, jobRanks(j), st)
	case "nodes":
		if p.right { // of those that wait, how many they want
			num(countOr(jobNodes(j)))
			return
		}
		text(m.jobs.nodesWords(j))
	case "gpu":
		num(countOr(jobGPUs(j)))
	case "power":
		num(formatPct(j.PowerPct))
	case "util":
		num(formatPct(j.UtilPct))
	case "tensor":
		num(formatPct(j.TensorPct))
	case "mem":
		num(formatUsed(j.MemUsedBytes/fleet.Reading(max(1, len(j.GPUs))), j.MemTotalBytes/fleet.Reading(max(1, len(j.GPUs)))))
	case "temp":
		num(formatUnit(j.TempC, "°"))
	case "net":
		num(formatRate(j.NetBytesPerS))
	case "left":
		if j.EndLimit.IsZero() {
			num(absent)
		} else {
			num(m.timeLeft(j))
		}
	case "log":
		num(m.logAge(j))
	case "partition":
		text(j.Partition)
	case "waited":
		num(m.waited(j))
	case "starts":
		num(m.starts(j))
	case "state":
		k := jobMark(j)
		a.text(0, 0, string(k.r), k.st)
		words := jobText(j)
		if j.State == fleet.JobPending {
			words = strings.TrimPrefix(words, "waits: ")
		}
		a.cut(2, 0, p.cells-2, words, k.st)
	}
}

// timeLeft is the rest of a job's time limit; of one that ended there is none.
func (m *Model) timeLeft(j *fleet.Job) string {
	if j.EndLimit.IsZero() || !j.Ended.IsZero() {
		return absent
	}
	return formatLong(j.EndLimit.Sub(m.snap.At))
}

// jobGPUs is how many GPUs a job holds or was given; of one that waits, how many it wants; of one that ended, how many it had; -1 unknown.
func jobGPUs(j *fleet.Job) int {
	n := len(j.GPUs)
	if n == 0 && j.Told != nil {
		n = j.Told.GPUs
	}
	if n == 0 && !j.Ended.IsZero() {
		for i := range j.Ranks {
			n += len(j.Ranks[i].GPUs)
		}
	}
	return n
}

// jobNodes is how many nodes a job has, or wants.
func jobNodes(j *fleet.Job) int {
	n := len(j.Nodes)
	if j.Told != nil {
		n = max(n, j.Told.NodesN)
	}
	return n
}

// countOr is a number that may not be known.
func countOr(n int) string {
	if n < 0 {
		return absent
	}
	return strconv.Itoa(n)
}

// nodesWords is a job's nodes as a node set, with how many there are that are not watched; of one that waits, how many it wants.
func (s *jobsScreen) nodesWords(j *fleet.Job) string {
	if j.State == fleet.JobPending {
		return countOr(jobNodes(j))
	}
	words := s.fold(j)
	if j.Told != nil && len(j.Told.Elsewhere) > 0 && len(j.Told.Watched) > 0 {
		words += " +" + strconv.Itoa(len(j.Told.Elsewhere))
	}
	return words
}

// jobRanks is how many ranks are seen of how many there should be.
func jobRanks(j *fleet.Job) string {
	if j.World <= 0 {
		if len(j.Ranks) == 0 {
			return absent
		}
		return strconv.Itoa(len(j.Ranks))
	}
	return strconv.Itoa(len(j.Ranks)) + "/" + strconv.Itoa(j.World)
}

// fold is the job's nodes as a node set. Folding a thousand names takes a while, so it is done again only when they change.
func (s *jobsScreen) fold(j *fleet.Job) string {
	if f, ok := s.folded[j.Key]; ok && slices.Equal(f.names, j.Nodes) {
		return f.text
	}
	if s.folded == nil {
		s.folded = map[string]foldedNodes{}
	}
	text := strings.Join(config.Fold(slices.Clone(j.Nodes)), ",")
	s.folded[j.Key] = foldedNodes{j.Nodes, text}
	return text
}

// emptyJobs says why there is no job to see and what to do next.
func (m *Model) emptyJobs(a area) {
	t, s := m.snap.Totals, &m.jobs
	live := t.ByState[fleet.Live]
	pending := t.ByState[fleet.Waiting] + t.ByState[fleet.Connecting] + t.ByState[fleet.Deploying]
	switch {
	case s.pending:
		m.emptyPending(a)
	case s.active() && len(m.snap.Jobs) > 0:
		say(a, "no job is chosen by "+strings.TrimSpace(s.words()), `\ shows all `+count(t.Jobs, "job"))
	case t.Nodes == 0:
		m.emptyFleet(a)
	case live == 0 && pending > 0:
		say(a, "no job seen yet: none of "+count(t.Nodes, "node")+" has answered so far", "2 shows how each is doing")
	case live == 0:
		say(a, "no job can be seen: none of "+count(t.Nodes, "node")+" is live", "2 shows the cause of each · Ctrl-r tries them again now")
	case pending > 0:
		say(a, "no job seen yet: "+strconv.Itoa(live)+" of "+count(t.Nodes, "node")+" have answered", "2 shows how each is doing")
	default:
		say(a, "no jobs seen: no process on these nodes holds a GPU or says that it is a rank", "2 shows the nodes · the grid shows all their GPUs")
	}
}

// emptyFleet says why no node is watched.
func (m *Model) emptyFleet(a area) {
	if m.snap.Empty != "" {
		say(a, m.snap.Empty, "foretop goes on asking · q, then: foretop NODE…  for nodes by name")
		return
	}
	say(a, "no node is named", "q, then: foretop NODE…  or  foretop  for what is yours")
}
