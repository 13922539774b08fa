package jobs

import (
	"cmp"
	"slices"
	"strings"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// maxName bounds what is shown of a name that a process gave.
const maxName = 64

// job makes the job of one run.
func (a *assembly) job(r *run, key string) Job {
	a.eliminate(r)
	a.promote(r)
	world := r.world
	if world == 0 {
		world = worldOf(r.members)
	}
	if world == 0 {
		world = expected(r)
	}
	ranks := a.choose(r, world)
	r.members = ranks
	j := Job{Key: key, World: world, Ranks: make([]Rank, 0, len(ranks)), Others: make([]ProcRef, 0, len(r.others))}
	for i := range ranks {
		m := &ranks[i]
		p := a.process(m)
		j.Ranks = append(j.Ranks, Rank{
			Rank: int(m.rank), LocalRank: int(m.local), Node: a.nodes[m.node].Node, PID: p.GetPid(), StartTicks: p.GetStartTicks(),
			GPUs: a.devices(&a.nodes[m.node], p, int(m.local)), Inferred: m.inferred, Task: a.task(m), Pod: a.podName(m), InnerPID: innerPID(p),
		})
		a.describe(&j, m)
	}
	j.Missing, j.MissingN = missing(j.Ranks, world)
	slices.SortFunc(r.others, func(x, y member) int { return cmp.Or(cmp.Compare(x.node, y.node), cmp.Compare(x.proc, y.proc)) })
	for i := range r.others {
		m := &r.others[i]
		p := a.process(m)
		j.Others = append(j.Others, ProcRef{
			Node: a.nodes[m.node].Node, PID: p.GetPid(), StartTicks: p.GetStartTicks(), Role: m.role, GPUs: a.held(&a.nodes[m.node], p),
			Task: a.task(m), Pod: a.podName(m), InnerPID: innerPID(p),
		})
		if len(ranks) == 0 || m.id.scheduler != "" {
			a.describe(&j, m)
		}
	}
	a.name(&j, ranks, r.others)
	named := a.hostsOf(&j, r)
	j.enrich(a.known)
	over, here := a.known.over(key, j.Scheduler, j.StartMS), len(ranks) > 0 && ranks[0].id.runHere
	few := j.few(here || named)
	for i := range ranks {
		j.Ranks[i].Orphan = a.orphan(&ranks[i], over, few)
	}
	for i := range r.others {
		if len(j.Others[i].GPUs) > 0 {
			j.Others[i].Orphan = a.orphan(&r.others[i], over, few)
		}
	}
	return j
}

// describe adds what a process knows of the job. Start is the oldest rank's, or process's where there is none.
func (a *assembly) describe(j *Job, m *member) {
	c := m.id
	if c.strength == scheduledJob && strings.Contains(c.id, "_") && !strings.Contains(j.ID, "_") || isSLUID(j.ID) && !isSLUID(c.id) {
		j.ID = "" // an array's task is known by its array; a SLUID by nobody
	}
	set(&j.ID, c.id)
	set(&j.Name, c.name)
	set(&j.Partition, c.partition)
	set(&j.Scheduler, c.scheduler)
	set(&j.Framework, c.framework)
	if j.User == "" || j.User == "root" {
		user := a.process(m).GetUser()
		if user == "" || user == "root" { // in a container everybody is root
			if p := a.known.podOf(m.own); p != nil && p.User != "" {
				user = p.User
			} else if c.user != "" {
				user = c.user
			}
		}
		set(&j.User, user)
		if j.User == "root" && user != "" {
			j.User = telemetry.Clean(user, maxName)
		}
	}
	j.EndLimitMS = max(j.EndLimitMS, c.endLimitMS)
	j.Restarts = max(j.Restarts, c.requeue)
	if m.role != RoleRank && len(j.Ranks) > 0 {
		return
	}
	j.Restarts = max(j.Restarts, c.restart)
	if start := a.process(m).GetStartWallMs(); start > 0 && (j.StartMS == 0 || start < j.StartMS) {
		j.StartMS = start
	}
}

// expected is how many ranks the launchers of a run start.
func expected(r *run) (world int) {
	for i := range r.others {
		if m := &r.others[i]; m.role == RoleLauncher {
			world = max(world, m.own.expect)
		}
	}
	return world
}

// task is a process's place in its framework's words.
func (a *assembly) task(m *member) string {
	if m.own.task == "" {
		return ""
	}
	return telemetry.Clean(m.own.task, maxName)
}

// podName is what the process's pod is called, or the beginning of its container's id where nobody knows a name.
func (a *assembly) podName(m *member) string {
	if p := a.known.podOf(m.own); p != nil && p.Name != "" {
		return telemetry.Clean(p.Name, maxPodName)
	}
	if len(m.own.container) >= shortContainer {
		return m.own.container[:shortContainer]
	}
	return ""
}

const (
	maxPodName     = 256 // Kubernetes allows 253
	shortContainer = 12  // as docker and crictl write ids
)

// innerPID is the process's number in its own PID namespace, 0 where that is the node's.
func innerPID(p *facts.Process) int32 {
	if n := len(p.GetNsPids()); n > 1 {
		return p.GetNsPids()[n-1]
	}
	return 0
}

func set(to *string, from string) {
	if *to == "" && from != "" {
		*to = telemetry.Clean(from, maxName)
	}
}

// worldOf is the number of ranks that most of the ranks believe in; of equals the larger.
func worldOf(ranks []member) int {
	world, same := 0, true
	for i := range ranks {
		if w := ranks[i].id.world; w > 0 {
			same = same && (world == 0 || world == w)
			world = w
		}
	}
	if same {
		return world
	}
	votes := map[int]int{}
	for i := range ranks {
		if w := ranks[i].id.world; w > 0 {
			votes[w]++
		}
	}
	best := 0
	for w, n := range votes {
		if n > votes[best] || n == votes[best] && w > best {
			best = w
		}
	}
	return best
}

// choose keeps one process for each rank number, in order; the rest of the run's ranks become others.
func (a *assembly) choose(r *run, world int) []member {
	requeue := 0
	for i := range r.members {
		requeue = max(requeue, r.members[i].id.requeue)
	}
	ranks := r.members[:0]
	for _, m := range r.members {
		if c := m.id; c.requeue < requeue || world > 0 && (c.world > 0 && c.world != world || int(m.rank) >= world) {
			m.role = RoleStale
			r.others = append(r.others, m)
			continue
		}
		ranks = append(ranks, m)
	}
	slices.SortStableFunc(ranks, func(x, y member) int { return cmp.Compare(x.rank, y.rank) })
	kept := ranks[:0]
	for _, m := range ranks {
		if n := len(kept); n > 0 && kept[n-1].rank == m.rank {
			loser := m
			role := RoleStale
			if a.better(&m, &kept[n-1], &role) {
				loser, kept[n-1] = kept[n-1], m
			}
			if role == RoleHelper && loser.own.spawned && len(a.process(&loser).GetHeld()) > 0 {
				role = RoleWorker // a child of a rank, with an accelerator of its own
			}
			loser.role = role
			r.others = append(r.others, loser)
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

// better says whether x rather than y is the rank that both say they are, and in loser what the other one is then.
func (a *assembly) better(x, y *member, loser *Role) bool {
	p, q := a.process(x), a.process(y)
	px, qx := len(p.GetHeld()) > 0, len(q.GetHeld()) > 0
	if x.node == y.node {
		xAbove := a.ancestor(x, y)
		if xAbove || a.ancestor(y, x) {
			*loser = RoleHelper
			if px != qx {
				return px
			}
			return xAbove
		}
		if x.own.spawned && y.own.spawned && p.GetPpid() == q.GetPpid() {
			*loser = RoleHelper // one parent's, with its words: the first stands for all
			return cmp.Or(cmp.Compare(q.GetStartTicks(), p.GetStartTicks()), cmp.Compare(q.GetPid(), p.GetPid())) > 0
		}
		if x.id.agent == y.id.agent && x.id.restart != y.id.restart {
			return x.id.restart > y.id.restart
		}
	}
	if px != qx {
		return px
	}
	if ox, oy := a.lost(x), a.lost(y); ox != oy {
		return oy
	}
	c := cmp.Compare(p.GetStartWallMs(), q.GetStartWallMs())
	if x.node == y.node {
		c = cmp.Compare(p.GetStartTicks(), q.GetStartTicks())
	}
	return cmp.Or(c, cmp.Compare(q.GetPid(), p.GetPid())) > 0
}

// missing lists the ranks below world that are not among ranks, which are in order and each there once.
func missing(ranks []Rank, world int) (first []int, n int) {
	if world == 0 {
		return nil, 0
	}
	next := 0
	gap := func(end int) {
		n += max(0, end-next)
		for r := next; r < end && len(first) < MaxMissing; r++ {
			first = append(first, r)
		}
	}
	for i := range ranks {
		gap(ranks[i].Rank)
		next = ranks[i].Rank + 1
	}
	gap(world)
	return first, n
}
