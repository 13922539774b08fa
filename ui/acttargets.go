package ui

import (
	"slices"
	"strings"

	"foretop/actions"
	"foretop/fleet"
	"foretop/jobs"
)

// actTarget is a node, or a process, that may be chosen.
type actTarget struct {
	on      bool
	node    string
	process actions.Process
	words   string
	mark    rune // what is wrong with it, by shape; 0 nothing
	st      style
	kinds   []string // its findings, by kind
	hidden  bool     // what it is of is not on screen
}

// nodeTargets finds the nodes that an action is about: tagged, or selected. Of jobs it is asked which.
func (m *Model) nodeTargets(s *actScreen) (why string) {
	in := &s.intent
	switch m.place() {
	case placeNodes:
		in.Nodes = m.nodes.tags()
		for _, name := range in.Nodes {
			if !slices.Contains(m.nodes.keys, name) {
				in.Hidden = append(in.Hidden, name)
			}
		}
		if len(in.Nodes) > 0 {
			s.of = &m.nodes.list
		} else if name := m.nodes.selected(); name != "" {
			in.Nodes = []string{name}
		}
	case placeNode, placeGPU, placeKernel:
		in.Nodes = []string{m.node.name}
	case placeFindings, placeIncident:
		return m.incidentTargets(s)
	case placeGrid:
		if name := m.jobs.view.nodeName(); name != "" {
			in.Nodes = []string{name}
		}
	case placeRanks:
		if name := m.job.ranks.node(); name != "" {
			in.Nodes = []string{name}
		}
	case placeJobs, placeJob, placeLog:
		list := m.jobsInPlace(s)
		if len(list) == 0 {
			return "no job is selected"
		}
		s.about = jobsWords(list)
		if m.nodesOfJobs(s, list); len(s.targets) == 0 {
			return "no node of " + jobsWords(list) + " is known"
		}
		if len(s.targets) == 1 {
			t := s.targets[0]
			in.Nodes, s.targets = []string{t.node}, nil
			if t.hidden {
				in.Hidden = in.Nodes
			}
		}
	}
	if len(in.Nodes) == 0 && len(s.targets) == 0 {
		return "no node is selected"
	}
	return ""
}

// chosenJob is a job that an action is about; hidden: it is tagged, and not on screen.
type chosenJob struct {
	*fleet.Job
	hidden bool
}

// jobsInPlace are the jobs that an action is about: on the table of jobs the tagged ones, else the one that the keyboard is at.
func (m *Model) jobsInPlace(s *actScreen) (list []chosenJob) {
	if m.place() == placeJobs && len(m.jobs.tagged) > 0 {
		s.of = &m.jobs.list
		for _, key := range m.jobs.tags() {
			j := m.snap.Job(key)
			if j == nil {
				j = &fleet.Job{Key: key, ID: jobID(key)} // it is gone: whoever is asked says so
			}
			list = append(list, chosenJob{j, !slices.Contains(m.jobs.keys, key)})
		}
		return list
	}
	if j := m.jobInPlace(); j != nil {
		list = append(list, chosenJob{Job: j})
	}
	return list
}

// jobsWords is "job 8123", or "3 jobs".
func jobsWords(list []chosenJob) string {
	if len(list) == 1 {
		return "job " + list[0].ID
	}
	return count(len(list), "job")
}

// jobTargets takes over the jobs that an action is about.
func (m *Model) jobTargets(s *actScreen) (why string) {
	list := m.jobsInPlace(s)
	if len(list) == 0 {
		return "no job is selected"
	}
	in := &s.intent
	if len(list) == 1 && !list[0].hidden {
		in.Job = list[0].Key
		return ""
	}
	for _, j := range list {
		in.Jobs = append(in.Jobs, j.Key)
		if j.hidden {
			in.Hidden = append(in.Hidden, j.Key)
		}
	}
	return ""
}

// nodesOfJobs lists the nodes of jobs, those with a finding first.
func (m *Model) nodesOfJobs(s *actScreen, list []chosenJob) {
	at := map[string]int{}
	of := map[string][]string{}
	for _, j := range list {
		for _, name := range j.Nodes {
			i, known := at[name]
			if !known {
				i = len(s.targets)
				at[name] = i
				s.targets = append(s.targets, actTarget{node: name, hidden: true})
			}
			s.targets[i].hidden = s.targets[i].hidden && j.hidden
			of[name] = append(of[name], j.ID)
		}
	}
	severity := map[string]fleet.Severity{}
	for i := range s.targets {
		t := &s.targets[i]
		t.words = t.node
		if len(list) > 1 {
			t.words += "  job " + strings.Join(of[t.node], ", ")
		}
		if t.hidden {
			t.words += " (not on screen)"
		}
		n := m.index.node(t.node)
		if n == nil {
			continue
		}
		severity[t.node] = nodeSeverity(n)
		t.kinds = findingKinds(n)
		if words := findingWords(n); words != "" {
			k := severityMark(nodeSeverity(n))
			t.words, t.mark, t.st = t.words+"  "+words, k.r, k.st
		}
	}
	slices.SortStableFunc(s.targets, func(a, b actTarget) int { return int(severity[b.node]) - int(severity[a.node]) })
}

// jobInPlace is the job that the keyboard is at.
func (m *Model) jobInPlace() *fleet.Job {
	switch m.place() {
	case placeJobs, placeGrid, placeRanks, placeJob, placeLog:
		return m.jobs.selectedJob()
	}
	return nil
}

// processTargets finds the processes that a signal may be for: a rank's, jobs', or those of nodes that hold a GPU, of a job, or that are seen to be busy.
func (m *Model) processTargets(s *actScreen) (why string) {
	switch place := m.place(); place {
	case placeNode, placeGPU, placeKernel:
		s.about = m.node.name
		m.processesOfNode(s, m.node.name, false)
	case placeNodes:
		if m.nodeTargets(s); s.of != nil { // the tagged ones
			for _, name := range s.intent.Nodes {
				s.about = "the tagged nodes"
				m.processesOfNode(s, name, slices.Contains(s.intent.Hidden, name))
			}
		} else {
			s.about = m.nodes.selected()
			m.processesOfNode(s, s.about, false)
		}
		s.intent.Nodes, s.intent.Hidden = nil, nil
	case placeRanks:
		r := m.job.ranks.row(m.job.ranks.selected())
		if r == nil {
			return "no rank is selected"
		}
		if r.rank != nil {
			m.addProcess(s, r.rank.Node, r.rank.PID, r.rank.StartTicks, r.rank.Rank)
			break
		}
		m.holdersOf(s, r.node, r.index) // what is left over on it, for example
	default:
		list := m.jobsInPlace(s)
		if len(list) == 0 {
			return "no job is selected"
		}
		s.about = jobsWords(list)
		for _, j := range list {
			m.processesOfJob(s, j, len(list) > 1)
		}
		if place == placeGrid {
			m.selectedFirst(s)
		}
	}
	if len(s.targets) == 0 {
		return "no process is known here"
	}
	if len(s.targets) == 1 {
		t := s.targets[0]
		s.intent.Processes, s.targets = []actions.Process{t.process}, nil
		if t.hidden {
			s.intent.Hidden = []string{t.node}
		}
	}
	return ""
}

// processKey tells a process from all others.
type processKey struct {
	node  string
	pid   int32
	ticks uint64
}

// addProcess lists a process, once. Its place in the list holds only until the list is put in another order.
func (m *Model) addProcess(s *actScreen, node string, pid int32, ticks uint64, rank int) *actTarget {
	key := processKey{node, pid, ticks}
	if i, known := s.listed[key]; known {
		return &s.targets[i]
	}
	if s.listed == nil {
		s.listed = map[processKey]int{}
	}
	s.listed[key] = len(s.targets)
	t := actTarget{node: node, process: actions.Process{Node: node, PID: pid, StartTicks: ticks, Rank: rank}}
	if n := m.index.node(node); n != nil {
		for i := range n.Processes {
			if p := n.Processes[i]; p.GetPid() == pid && p.GetStartTicks() == ticks {
				t.process.User, t.process.Words = p.GetUser(), p.GetCommand()
			}
		}
	}
	t.words = t.process.String() + "  " + t.process.User + "  " + t.process.Words
	s.targets = append(s.targets, t)
	return &s.targets[len(s.targets)-1]
}

// processesOfNode lists the processes of a node as its screen does; at a GPU those that hold it come first.
func (m *Model) processesOfNode(s *actScreen, name string, hidden bool) {
	n := m.index.node(name)
	if n == nil {
		return
	}
	from := len(s.targets)
	if m.place() == placeGPU {
		m.holdersOf(s, name, m.node.selected)
	}
	for _, p := range n.Processes {
		m.addProcess(s, name, p.GetPid(), p.GetStartTicks(), p.Rank)
	}
	for _, p := range n.Top[:min(len(n.Top), topShown)] {
		t := m.addProcess(s, name, p.GetPid(), p.GetStartTicks(), -1)
		if t.process.Words == "" {
			t.process.User, t.process.Words = p.GetUser(), p.GetCommand()
			if t.process.Words == "" {
				t.process.Words = p.GetComm()
			}
			t.words = t.process.String() + "  " + t.process.User + "  " + t.process.Words
		}
	}
	for i := from; i < len(s.targets) && hidden; i++ {
		s.targets[i].hidden = true
		s.targets[i].words += " (not on screen)"
	}
}

// holdersOf lists the processes that hold a GPU.
func (m *Model) holdersOf(s *actScreen, node string, gpu int) {
	n := m.index.node(node)
	if n == nil || gpu < 0 || gpu >= len(n.GPUs) {
		return
	}
	for _, h := range n.GPUs[gpu].Holders {
		for _, p := range n.Processes {
			if p.GetPid() == h.PID {
				m.addProcess(s, node, p.GetPid(), p.GetStartTicks(), p.Rank)
			}
		}
	}
}

// processesOfJob lists the ranks of a job and what is left over of it, those first that should not be there any more.
func (m *Model) processesOfJob(s *actScreen, j chosenJob, several bool) {
	from := len(s.targets)
	s.listed = nil // of each job for itself
	say := func(t *actTarget, why jobs.Orphan) {
		if several {
			t.words = "job " + j.ID + "  " + t.words
		}
		if j.hidden {
			t.hidden, t.words = true, t.words+" (not on screen)"
		}
		if why != jobs.NotOrphan {
			t.mark, t.st, t.words = markWarning, fg(colWarn), t.words+"  left over: "+why.String()
		}
	}
	for i := range j.Ranks {
		r := &j.Ranks[i]
		say(m.addProcess(s, r.Node, r.PID, r.StartTicks, r.Rank), r.Orphan)
	}
	for _, o := range j.Leftovers {
		if n := len(s.targets); m.addProcess(s, o.Node, o.PID, o.StartTicks, -1) != nil && len(s.targets) > n {
			say(&s.targets[n], o.Why)
		}
	}
	slices.SortStableFunc(s.targets[from:], func(a, b actTarget) int {
		switch {
		case (a.mark != 0) == (b.mark != 0):
			return 0
		case a.mark != 0:
			return -1
		}
		return 1
	})
}

// selectedFirst puts the cursor on the process that is on the selected GPU.
func (m *Model) selectedFirst(s *actScreen) {
	if _, p := m.shellPlace(); p != nil {
		s.at = max(0, slices.IndexFunc(s.targets, func(t actTarget) bool {
			return t.process.Node == p.Node && t.process.PID == p.PID && t.process.StartTicks == p.StartTicks
		}))
	}
}
