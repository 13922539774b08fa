package jobs

import (
	"cmp"
	"slices"
	"strings"

	"foretop/telemetry"
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
	j := Job{Key: key, World: world, Ranks: make([]Rank, len(ranks)), Others: make([]ProcRef, len(r.others))}
	t := teller{a: a, j: &j}
	for i := range ranks {
		m := &ranks[i]
		t.tell(m, true)
		id := m.own
		rank := &j.Ranks[i]
		rank.Rank, rank.LocalRank, rank.Node, rank.PID, rank.StartTicks = int(m.rank), int(m.local), a.nodes[m.node].Node, id.pid, id.startTicks
		rank.GPUs, rank.Inferred, rank.Task, rank.Pod, rank.InnerPID = a.devices(m), m.inferred, t.task, t.pod, id.innerPID
	}
	j.Missing, j.MissingN = missing(j.Ranks, world)
	if byPlace := func(x, y member) int { return cmp.Or(cmp.Compare(x.node, y.node), cmp.Compare(x.proc, y.proc)) }; !slices.IsSortedFunc(r.others, byPlace) {
		slices.SortFunc(r.others, byPlace)
	}
	for i := range r.others {
		m := &r.others[i]
		t.tell(m, len(ranks) == 0 || m.id.scheduler != "")
		j.Others[i] = ProcRef{
			Node: a.nodes[m.node].Node, PID: m.own.pid, StartTicks: m.own.startTicks, Role: m.role, GPUs: a.held(m),
			Task: t.task, Pod: t.pod, InnerPID: m.own.innerPID,
		}
	}
	a.name(&j, ranks, r.others)
	named := a.hostsOf(&j, r)
	j.enrich(a.known)
	over, here := a.known.over(key, j.Scheduler, j.StartMS), len(ranks) > 0 && ranks[0].id.runHere
	few := j.few(here || named)
	for i := range ranks {
		j.Ranks[i].Orphan = ranks[i].orphan(over, few)
	}
	for i := range r.others {
		if len(j.Others[i].GPUs) > 0 {
			j.Others[i].Orphan = r.others[i].orphan(over, few)
		}
	}
	return j
}

// teller goes through the members of a job. Most say what the one before said: then it need not be read again.
type teller struct {
	a         *assembly
	j         *Job
	last      description // that the job has
	said      *ties       // by the last member
	task, pod string      // what is shown of it
}

// description is what a member adds to its job's.
type description struct {
	id, said *ties
	counts   bool // it is one of the ranks, or there are none
}

// tell takes the next member. describes: its words are the job's.
func (t *teller) tell(m *member, describes bool) {
	if m.own.said != t.said {
		t.said = m.own.said
		t.task, t.pod = telemetry.Clean(t.said.task, maxName), t.a.podName(t.said)
	}
	if !describes {
		return
	}
	d := description{m.id, m.own.said, m.role == RoleRank || len(t.j.Ranks) == 0}
	if d != t.last {
		t.last = d
		t.a.describe(t.j, d)
	}
	if start := m.own.startMS; d.counts && start > 0 && (t.j.StartMS == 0 || start < t.j.StartMS) {
		t.j.StartMS = start
	}
}

// describe adds what a process knows of the job. Twice the same changes nothing.
func (a *assembly) describe(j *Job, d description) {
	c := d.id
	if c.strength == scheduledJob && strings.Contains(c.id, "_") && !strings.Contains(j.ID, "_") || isSLUID(j.ID) && !isSLUID(c.id) {
		j.ID = "" // an array's task is known by its array; a SLUID by nobody
	}
	set(&j.ID, c.id)
	set(&j.Name, c.name)
	set(&j.Partition, c.partition)
	set(&j.Scheduler, c.scheduler)
	set(&j.Framework, c.framework)
	if j.User == "" || j.User == "root" {
		user := d.said.login
		if user == "" || user == "root" { // in a container everybody is root
			if p := a.known.podOf(d.said); p != nil && p.User != "" {
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
	if d.counts {
		j.Restarts = max(j.Restarts, c.restart)
	}
}

// expected is how many ranks the launchers of a run start.
func expected(r *run) (world int) {
	for i := range r.others {
		if m := &r.others[i]; m.role == RoleLauncher {
			world = max(world, m.own.said.expect)
		}
	}
	return world
}

// podName is what the process's pod is called, or the beginning of its container's id where nobody knows a name.
func (a *assembly) podName(said *ties) string {
	if p := a.known.podOf(said); p != nil && p.Name != "" {
		return telemetry.Clean(p.Name, maxPodName)
	}
	if len(said.container) >= shortContainer {
		return said.container[:shortContainer]
	}
	return ""
}

const (
	maxPodName     = 256 // Kubernetes allows 253
	shortContainer = 12  // as docker and crictl write ids
)

func set(to *string, from string) {
	if *to == "" && from != "" {
		*to = telemetry.Clean(from, maxName)
	}
}

// worldOf is the number of ranks that most of the ranks believe in; of equals the larger.
func worldOf(ranks []member) int {
	world, same := 0, true
	var last *ties
	for i := range ranks {
		if ranks[i].id == last {
			continue
		}
		last = ranks[i].id
		if w := last.world; w > 0 {
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
	var last *ties
	for i := range r.members {
		if t := r.members[i].id; t != last {
			last = t
			requeue = max(requeue, t.requeue)
		}
	}
	if r.inOrder(world, requeue) {
		return r.members
	}
	ranks := r.members[:0]
	for _, m := range r.members {
		if m.id.outdated(world, requeue) || world > 0 && int(m.rank) >= world {
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
			if role == RoleHelper && loser.own.said.spawned && loser.own.holds {
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

// inOrder says whether each of a run's ranks is there once, in order, none of them stale.
func (r *run) inOrder(world, requeue int) bool {
	var last *ties
	before := int32(-1)
	for i := range r.members {
		m := &r.members[i]
		if m.rank <= before || world > 0 && int(m.rank) >= world || m.id != last && m.id.outdated(world, requeue) {
			return false
		}
		last, before = m.id, m.rank
	}
	return true
}

// outdated says whether a rank that says so is of another generation than those of this world and requeue count.
func (t *ties) outdated(world, requeue int) bool {
	return t.requeue < requeue || world > 0 && t.world > 0 && t.world != world
}

// better says whether x rather than y is the rank that both say they are, and in loser what the other one is then.
func (a *assembly) better(x, y *member, loser *Role) bool {
	p, q := x.own, y.own
	px, qx := p.holds, q.holds
	if x.node == y.node {
		xAbove := a.ancestor(x, y)
		if xAbove || a.ancestor(y, x) {
			*loser = RoleHelper
			if px != qx {
				return px
			}
			return xAbove
		}
		if p.said.spawned && q.said.spawned && p.ppid == q.ppid {
			*loser = RoleHelper // one parent's, with its words: the first stands for all
			return cmp.Or(cmp.Compare(q.startTicks, p.startTicks), cmp.Compare(q.pid, p.pid)) > 0
		}
		if x.id.agent == y.id.agent && x.id.restart != y.id.restart {
			return x.id.restart > y.id.restart
		}
	}
	if px != qx {
		return px
	}
	if ox, oy := p.lost(), q.lost(); ox != oy {
		return oy
	}
	c := cmp.Compare(p.startMS, q.startMS)
	if x.node == y.node {
		c = cmp.Compare(p.startTicks, q.startTicks)
	}
	return cmp.Or(c, cmp.Compare(q.pid, p.pid)) > 0
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
