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
	runs := a.runsOf(members)
	if len(runs) > 1 {
		a.supersede(runs)
		runs = slices.DeleteFunc(runs, func(r run) bool { return r.stale })
		slices.SortFunc(runs, func(x, y run) int {
			return cmp.Or(cmp.Compare(len(y.members), len(x.members)), cmp.Compare(y.newest, x.newest), cmp.Compare(x.key.job, y.key.job), cmp.Compare(x.key.node, y.key.node))
		})
	}
	a.placeOthers(runs, members)
	key := k.job
	if k.node != "" {
		key += "@" + k.node
	}
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

// secondID tells a run from the job's first one: by its step, as Slurm does, where it is one.
func secondID(id string, r *run, tell string) string {
	if c := r.members[0].id; c.rankStrength == slurmRank {
		return id + "." + c.step
	}
	return id + "+" + tell[:4]
}

// demoteTasks makes helpers of Slurm's tasks in a step whose ranks are numbered by a launcher inside it.
func demoteTasks(members []member) {
	var inner map[string]bool
	tasks, last := false, ""
	for i := range members {
		m := &members[i]
		if m.role != RoleRank {
			continue
		}
		if m.id.rankStrength == slurmRank {
			tasks = true
		} else if m.id.step != "" && m.id.step != last {
			if inner == nil {
				inner = map[string]bool{}
			}
			last = m.id.step
			inner[last] = true
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

// runsOf parts the ranks by run. There is always at least one run, perhaps without ranks.
func (a *assembly) runsOf(members []member) []run {
	var runs []run
	at := map[groupKey]int{}
	last, left := -1, 0
	for i := range members {
		if members[i].role == RoleRank {
			left++
		}
	}
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
		if r.members == nil && last == 0 {
			r.members = make([]member, 0, left) // nearly always the only run
		}
		r.members = append(r.members, *m)
		r.newest = max(r.newest, a.process(m).GetStartWallMs())
	}
	if runs == nil {
		runs = []run{{}}
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
			pid, alive := a.launcherOf(m)
			newer, ok := agents[nodePID{m.node, pid}]
			if !alive {
				newer, ok = here[m.node]
				ok = ok && a.lost(m)
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
			if pid, alive := a.launcherOf(m); alive {
				remember(agents, nodePID{m.node, pid}, i)
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
func (a *assembly) placeOthers(runs []run, members []member) {
	if len(runs) == 1 {
		for i := range members {
			if members[i].role != RoleRank {
				runs[0].others = append(runs[0].others, members[i])
			}
		}
		return
	}
	of := map[nodePID]int{} // ranks and their parents
	for i := range runs {
		for j := range runs[i].members {
			p := a.process(&runs[i].members[j])
			of[nodePID{runs[i].members[j].node, p.GetPid()}] = i
			if p.GetPpid() > 1 {
				remember(of, nodePID{runs[i].members[j].node, p.GetPpid()}, i)
			}
		}
	}
	for i := range members {
		m := &members[i]
		if m.role == RoleRank {
			continue
		}
		p := a.process(m)
		r, ok := of[nodePID{m.node, p.GetPid()}]
		if !ok {
			r = of[nodePID{m.node, p.GetPpid()}] // 0, the first run, where there is no relative
		}
		runs[r].others = append(runs[r].others, *m)
	}
}
