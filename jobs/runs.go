package jobs

import (
	"cmp"
	"slices"
)

// run is the ranks of one parallel run in a job. A scheduler's job may hold several at once; most jobs are one.
type run struct {
	key     groupKey // what its ranks say; node is set for a run that cannot reach beyond it
	members []member // its ranks
	others  []member
	newest  int64 // when the youngest of its ranks started
	world   int   // how many there should be, where no rank says it; 0 unknown
	stale   bool  // left over: a newer run took its place
}

// finish turns the members of a job to jobs: one, unless it holds several runs that live beside one another.
func (a *assembly) finish(to []Job, k groupKey, members []member) []Job {
	demoteTasks(members)
	if r, ok := a.onlyRun(members); ok {
		j := a.job(&r, k.full())
		return append(to, j)
	}
	runs := a.runsOf(members)
	if len(runs) > 1 {
		a.supersede(runs)
		runs = slices.DeleteFunc(runs, func(r run) bool { return r.stale })
		slices.SortFunc(runs, func(x, y run) int {
			return cmp.Or(cmp.Compare(len(y.members), len(x.members)), cmp.Compare(y.newest, x.newest), cmp.Compare(x.key.job, y.key.job), cmp.Compare(x.key.node, y.key.node))
		})
	}
	placeOthers(runs, members)
	key := k.full()
	for i := range runs {
		j := a.job(&runs[i], key)
		if i > 0 {
			tell := digest(runs[i].key.job, runs[i].key.node)
			j.Key += "/" + tell
			j.ID = secondID(j.ID, &runs[i], tell)
		}
		to = append(to, j)
	}
	return to
}

// full is the key as jobs bear it.
func (k groupKey) full() string {
	if k.node == "" {
		return k.job
	}
	return k.job + "@" + k.node
}

// onlyRun takes members apart in place where all ranks are of one run, as nearly always; there may be none.
func (a *assembly) onlyRun(members []member) (run, bool) {
	var r run
	var last *member
	ranks := 0
	for i := range members {
		m := &members[i]
		if m.role != RoleRank {
			continue
		}
		if ranks++; last != nil && m.id == last.id && m.node == last.node {
			continue
		}
		if k := a.runKey(m); last == nil {
			r.key = k
		} else if k != r.key {
			return run{}, false
		}
		last = m
	}
	r.members = members[:0:ranks]
	r.others = make([]member, 0, len(members)-ranks)
	for i := range members {
		if m := &members[i]; m.role != RoleRank {
			r.others = append(r.others, *m)
		} else if n := len(r.members); n == i {
			r.members = members[: n+1 : ranks]
		} else {
			r.members = append(r.members, *m)
		}
	}
	return r, true
}

// secondID tells a run from the job's first one: by its step, as Slurm does, where it is one.
func secondID(id string, r *run, tell string) string {
	if len(r.members) > 0 && r.members[0].id.rankStrength == slurmRank && r.members[0].id.step != "" {
		return id + "." + r.members[0].id.step
	}
	return id + "+" + tell[:4]
}

// demoteTasks makes helpers of Slurm's tasks in a step whose ranks are numbered by a launcher inside it.
func demoteTasks(members []member) {
	var inner map[string]bool
	var last *ties
	tasks, step := false, ""
	for i := range members {
		m := &members[i]
		if m.role != RoleRank || m.id == last {
			continue
		}
		last = m.id
		if last.rankStrength == slurmRank {
			tasks = true
		} else if last.step != "" && last.step != step {
			if inner == nil {
				inner = map[string]bool{}
			}
			step = last.step
			inner[step] = true
		}
	}
	if !tasks || inner == nil {
		return
	}
	for i := range members {
		if m := &members[i]; m.role == RoleRank && m.id.rankStrength == slurmRank && inner[m.id.step] {
			m.role, m.rank, m.local = RoleHelper, -1, -1
		}
	}
}

func (a *assembly) runKey(m *member) groupKey {
	k := groupKey{job: m.id.run}
	if m.id.runHere {
		k.node = a.nodes[m.node].Node
	}
	return k
}

// runsOf parts the ranks by run.
func (a *assembly) runsOf(members []member) []run {
	var runs []run
	at := map[groupKey]int{}
	last := -1
	for i := range members {
		m := &members[i]
		if m.role != RoleRank {
			continue
		}
		k := a.runKey(m)
		if last < 0 || runs[last].key != k {
			j, ok := at[k]
			if !ok {
				j = len(runs)
				at[k] = j
				runs = append(runs, run{key: k})
			}
			last = j
		}
		r := &runs[last]
		r.members = append(r.members, *m)
		r.newest = max(r.newest, m.own.startMS)
	}
	return runs
}

// nodePID is a process of one node.
type nodePID struct{ node, pid int32 }

// supersede finds runs that a newer one took the place of: each of their ranks is under an agent that has since started newer ranks, or has lost
// its agent on a node where newer ranks run. Their ranks become stale members of the newer run.
func (a *assembly) supersede(runs []run) {
	slices.SortFunc(runs, func(x, y run) int {
		return cmp.Or(cmp.Compare(y.newest, x.newest), cmp.Compare(x.key.job, y.key.job), cmp.Compare(x.key.node, y.key.node))
	})
	agents, here := map[nodePID]int{}, map[int32]int{} // the newest run of an agent, of a node
	for i := range runs {
		r := &runs[i]
		by := -1
		for j := range r.members {
			m := &r.members[j]
			newer, ok := agents[nodePID{m.node, m.own.ppid}]
			if !m.own.underLauncher {
				newer, ok = here[m.node]
				ok = ok && m.own.lost()
			}
			if !ok {
				by = -1
				break
			}
			by = newer
		}
		if by >= 0 {
			r.stale = true
			for _, m := range r.members {
				m.role, m.rank, m.local = RoleStale, -1, -1
				runs[by].others = append(runs[by].others, m)
			}
			continue
		}
		for j := range r.members {
			m := &r.members[j]
			if m.own.underLauncher {
				remember(agents, nodePID{m.node, m.own.ppid}, i)
			}
			remember(here, m.node, i)
		}
	}
}

func remember[K comparable](m map[K]int, k K, i int) {
	if _, ok := m[k]; !ok {
		m[k] = i
	}
}

// placeOthers gives each process that is no rank to the run of its relatives, and where it has none, to the first.
func placeOthers(runs []run, members []member) {
	of := map[nodePID]int{} // ranks and their parents
	for i := range runs {
		for j := range runs[i].members {
			m := &runs[i].members[j]
			of[nodePID{m.node, m.own.pid}] = i
			if m.own.ppid > 1 {
				remember(of, nodePID{m.node, m.own.ppid}, i)
			}
		}
	}
	for i := range members {
		m := &members[i]
		if m.role == RoleRank {
			continue
		}
		r, ok := of[nodePID{m.node, m.own.pid}]
		if !ok {
			r = of[nodePID{m.node, m.own.ppid}] // 0, the first run, where there is no relative
		}
		runs[r].others = append(runs[r].others, *m)
	}
}
