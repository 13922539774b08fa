package ui

import (
	"slices"
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/schedulers"
)

// Sections of a job's page, in the order in which Tab goes round them.
const (
	secJobGrid section = iota
	secJobFindings
	secJobRanks
	secJobRAS // only where NCCL was asked, or there is a reason why not
	secJobLog
	secJobCharts
	numJobSections
)

// jobScreen is the drill-down into the selected job.
type jobScreen struct {
	page
	shown  string // key of the job
	plain  bool   // as last drawn: nothing but the grid, for there is no room
	ranks  rankTable
	charts jobCharts
	log    textView
	found  foundOf
}

// openJob turns to the selected job.
func (m *Model) openJob() {
	m.showJob()
	m.push(screenJob)
}

// showJob makes the page that of the selected job.
func (m *Model) showJob() {
	s := &m.job
	m.jobs.pin() // the page is that job's, whichever comes first later
	if key := m.jobs.selected(); key != s.shown {
		folded, sort, reverse := s.folded, s.ranks.sort, s.ranks.reverse
		*s = jobScreen{shown: key}
		s.folded, s.ranks.sort, s.ranks.reverse = folded, sort, reverse
	}
	s.top, s.focused, s.reveal = 0, secJobGrid, false
	m.refreshJob(true)
}

// refreshJob takes over what a snapshot says of the job on screen; force puts its ranks in order.
func (m *Model) refreshJob(force bool) {
	if m.snap == nil || m.screen != screenJob && !force {
		return
	}
	if j := m.jobs.selectedJob(); j != nil && j.Key == m.job.shown {
		m.job.ranks.refresh(j, m.snap, m.touched, force)
	}
}

// drawJob draws the page of a job: who and what it is, then its sections.
func (m *Model) drawJob(a area) {
	m.syncGrid()
	j, s := m.jobs.selectedJob(), &m.job
	if j == nil {
		say(a, m.missing(m.shownJob(), "seen"), "Esc goes back to the jobs")
		m.jobs.view.shape = gridShape{}
		return
	}
	if j.Key != s.shown {
		m.showJob()
	}
	head := m.jobHead(a, j)
	view := a.sub(0, len(head), a.w, a.h-len(head))
	for y, line := range head {
		x := 1
		for _, part := range line {
			x = a.text(x, y, part.text, part.st)
		}
		if x > a.w {
			a.text(a.w-1, y, "…", fg(colDim))
		}
	}
	if s.plain = view.h < 12; s.plain { // one cannot go through sections of three lines
		m.drawGrid(view, true)
		return
	}
	s.seen = view.h
	m.layoutJob(j, view.w)
	if s.reveal {
		b := s.at[s.focused]
		s.bring(b.y, b.y+b.h)
	}
	s.clamp()
	s.draw(m, view, func(id section) string { return m.jobSection(j, id) }, func(a area, id section) { m.drawJobSection(a, j, id) })
	if b := s.at[secJobGrid]; len(j.GPUs) == 0 {
		m.jobs.view.shape = gridShape{}
		m.drawNoGPU(view.sub(b.x, b.y-s.top, b.w, b.h), j)
	} else if b.h > 0 && b.y-s.top < s.seen && b.y+b.h > s.top {
		m.drawGrid(view.sub(b.x, b.y-s.top, b.w, b.h), s.focused == secJobGrid) // it has a rule of its own
	} else {
		m.jobs.view.shape = gridShape{}
	}
}

// drawNoGPU draws what stands in the place of the grid of a job without GPUs.
func (m *Model) drawNoGPU(a area, j *fleet.Job) {
	words := "no GPU of it is seen"
	switch {
	case j.State == fleet.JobPending:
		words = "it waits: it has no GPU yet"
		if j.Told != nil && j.Told.GPUs > 0 {
			words = "it waits for " + count(j.Told.GPUs, "GPU") + " on " + count(jobNodes(j), "node")
		}
	case !j.Ended.IsZero():
		words = "it has ended, and holds no GPU"
	}
	a.cut(tableIndent, 1, a.w-tableIndent, words, fg(colDim))
}

// shownJob is what the job on screen is called.
func (m *Model) shownJob() string {
	if m.jobs.gone != "" {
		return "job " + jobID(m.jobs.gone)
	}
	return "this job"
}

// jobWide is the width from which sections stand side by side.
const jobWide = 130

// layoutJob puts the sections on the page: what is wrong and who is slow is seen without scrolling.
func (m *Model) layoutJob(j *fleet.Job, w int) {
	s := &m.job
	rows := [][]section{{secJobGrid}, {secJobFindings}, {secJobRanks}, {secJobLog}, {secJobCharts}}
	if w >= jobWide {
		rows = [][]section{{secJobGrid}, {secJobFindings, secJobLog}, {secJobRanks, secJobCharts}}
	}
	ras := 0
	if rasThere(j) {
		ras = min(len(m.rasLines(j)), rasRows)
		at := 3
		if w >= jobWide {
			at = 2
		}
		rows = slices.Insert(rows, at, []section{secJobRAS})
	}
	findings := min(len(m.jobFindings(j)), 5)
	grid := min(m.gridNeeds(w, s.seen), max(gridLeast, s.seen*45/100))
	if len(j.GPUs) == 0 {
		grid = 2
	}
	logRows := 7
	if w >= jobWide {
		findings, logRows = max(findings, 6), max(findings, 6)
	}
	rest := max(6, s.seen-grid-findings-2)
	if ras > 0 && w >= jobWide {
		rest = max(6, rest-ras-1)
	}
	s.stack(w, rows, func(id section, _ int) int {
		switch id {
		case secJobGrid:
			return grid - 1
		case secJobFindings:
			return max(1, findings)
		case secJobRanks:
			if w >= jobWide {
				return rest
			}
			return max(4, min(rest, len(s.ranks.keys)+1))
		case secJobLog:
			return logRows
		case secJobRAS:
			return ras
		}
		return max(chartsLeast, min(rest, 18))
	})
	if s.at[s.focused].h == 0 {
		s.focus(1)
	}
}

// jobSection is a section's title as it is now.
func (m *Model) jobSection(j *fleet.Job, id section) string {
	switch id {
	case secJobGrid: // the grid has a rule of its own; without one it is said here
		return strings.TrimSpace(j.ID + " " + j.Name)
	case secJobFindings:
		return "what is wrong"
	case secJobRanks:
		return m.job.ranks.title()
	case secJobLog:
		return m.logTitle(j)
	case secJobCharts:
		return m.job.charts.title(j, m.spanWords())
	case secJobRAS:
		return m.rasTitle(j)
	}
	return ""
}

func (m *Model) drawJobSection(a area, j *fleet.Job, id section) {
	switch id {
	case secJobFindings:
		m.drawJobFindings(a, j)
	case secJobRanks:
		m.drawRanks(a)
	case secJobLog:
		m.drawLogTail(a, j)
	case secJobCharts:
		m.drawJobCharts(a, j)
	case secJobRAS:
		m.drawJobRAS(a, j)
	}
}

// jobHead is the lines about a job, as many as there is room for: how it does; who, where and how long; what runs; what its log says.
func (m *Model) jobHead(a area, j *fleet.Job) [][]span {
	k := jobMark(j)
	first := []span{{string(k.r) + " " + jobText(j), k.st}}
	if missing := missingRanks(j); missing != "" && j.Ended.IsZero() {
		first = append(first, span{" · " + missing, fg(colWarn)})
	}
	lines := [][]span{first, {{strings.Join(m.jobFacts(j), " · "), fg(colDim)}}}
	command := -1
	if words := m.jobCommand(j); words != "" {
		command = len(lines)
		lines = append(lines, []span{{words, fg(colDim)}})
	}
	if words := m.layoutLine(a, j); words != nil {
		lines = append(lines, words)
	}
	if words := m.logNumbers(j); words != nil {
		lines = append(lines, words)
	}
	most := 0
	switch {
	case a.h >= 20:
		most = 5
	case a.h >= 14:
		most = 3
		if len(lines) > most && command >= 0 { // what the layout and the log say is worth more than the command
			lines = slices.Delete(lines, command, command+1)
		}
	case a.h >= 8:
		most = 2
	}
	lines = lines[:min(most, len(lines))]
	if len(lines) > 0 && a.h >= 26 {
		lines = append(lines, nil)
	}
	return lines
}

// jobFacts are who a job is, where it runs and for how long.
func (m *Model) jobFacts(j *fleet.Job) []string {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	user := j.User
	if j.Account != "" {
		user += " (" + j.Account + ")"
	}
	add(user)
	add(strings.TrimSpace(j.Scheduler + " " + j.ID))
	switch {
	case !j.Ended.IsZero() && !j.Start.IsZero():
		add("ran " + formatLong(j.Ended.Sub(j.Start)))
	case j.State == fleet.JobPending:
		add("waits " + m.waited(j))
		if s := m.starts(j); s != absent {
			add("expected to start " + s)
		}
	case !j.Start.IsZero():
		add("running " + formatLong(m.snap.At.Sub(j.Start)))
	}
	if left := m.timeLeft(j); left != absent {
		add(left + " left")
	}
	if j.Restarts > 0 {
		add(count(j.Restarts, "restart"))
	}
	switch {
	case j.Partition != "" && j.Scheduler == "kubernetes":
		add("namespace " + j.Partition)
	case j.Partition != "":
		add("partition " + j.Partition)
	}
	add(j.Framework)
	if len(j.Ranks) > 0 || j.World > 0 {
		add("ranks " + jobRanks(j))
	}
	if n := jobGPUs(j); n >= 0 {
		add(count(n, "GPU"))
	}
	if j.IdleGPUs > 0 {
		add(strconv.Itoa(j.IdleGPUs) + " idle")
	}
	add(count(jobNodes(j), "node") + " " + m.jobs.nodesWords(j))
	if t := j.Told; t != nil {
		if t.QOS != "" && t.QOS != "normal" {
			add("qos " + t.QOS)
		}
		if t.Dependency != "" {
			add("after " + t.Dependency)
		}
		if t.Phase == schedulers.Running && len(t.Elsewhere) > 0 && t.ElsewhereText != "" {
			add("not watched: " + t.ElsewhereText)
		}
	} else if j.Asked == fleet.NotAsked && j.Scheduler != "" {
		add(j.Scheduler + " not asked")
	}
	add(librariesWords(j))
	return parts
}

// jobCommand is what a job runs: its first rank's command, else what its scheduler was given.
func (m *Model) jobCommand(j *fleet.Job) string {
	if len(j.Ranks) > 0 && j.Ended.IsZero() {
		if p := m.processOf(&j.Ranks[0]); p != nil && p.GetCommand() != "" {
			return "rank " + j.Ranks[0].Label() + ": " + p.GetCommand()
		}
	}
	if j.Told != nil && j.Told.Command != "" {
		return j.Told.Command
	}
	return ""
}

// processOf is a rank's process; nil when it is gone.
func (m *Model) processOf(r *fleet.Rank) *fleet.Process {
	n := m.index.node(r.Node)
	if n == nil {
		return nil
	}
	for _, p := range n.Processes {
		if p.GetPid() == r.PID && p.GetStartTicks() == r.StartTicks {
			return p
		}
	}
	return nil
}

// librariesWords is the versions of what most ranks of a job have loaded: "torch 2.7.1+cu126, nccl 2.26.2"; where some have another, that is said.
func librariesWords(j *fleet.Job) string {
	var words []string
	for i, l := range j.Libraries {
		if i > 0 && j.Libraries[i-1].Name == l.Name {
			words[len(words)-1] += " (" + l.Version + ": " + count(l.Ranks, "rank") + " from " + l.Node + ")"
			continue
		}
		words = append(words, l.Name+" "+l.Version)
	}
	return strings.Join(words, ", ")
}
