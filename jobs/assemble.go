package jobs

import (
	"cmp"
	"slices"
	"strings"
)

// Assemble joins the processes of all nodes to jobs, ordered by key. Whatever the nodes say, its cost grows with the number of processes only.
func Assemble(nodes []NodeFacts) []Job { return AssembleWith(nodes, nil) }

// AssembleWith is Assemble with what schedulers know; nil is nothing.
func AssembleWith(nodes []NodeFacts, known *Known) []Job {
	a := assembly{nodes: nodes, known: known, groups: make(map[groupKey]int32, 64), clusters: clusters{of: make([]string, len(nodes))}}
	ids := make([][]Identity, len(nodes))
	for i := range nodes {
		ids[i] = nodes[i].Identities
		if len(ids[i]) != len(nodes[i].Processes) {
			ids[i] = IdentifyAll(nodes[i].Processes)
		}
	}
	a.ids = ids
	a.twice = sameMachines(nodes)
	a.learn()
	total := 0
	for i := range nodes {
		total += len(ids[i])
	}
	a.found = make([]member, 0, total)
	for i := range nodes {
		a.addNode(int32(i))
	}
	jobs := make([]Job, 0, len(a.keys))
	for g, members := range a.parted() {
		jobs = a.finish(jobs, a.keys[g], members)
	}
	slices.SortFunc(jobs, func(x, y Job) int { return strings.Compare(x.Key, y.Key) })
	return jobs
}

// assembly is the work of one Assemble.
type assembly struct {
	nodes    []NodeFacts
	ids      [][]Identity
	clusters clusters
	known    *Known
	same     map[string]string // other keys of a job, to its key
	room     []int             // for the devices of ranks
	watched  names             // every node; made when first needed
	twice    *twins

	groups map[groupKey]int32
	keys   []groupKey
	sizes  []int // of the groups
	found  []member
}

// groupKey is a job's identity; node is set for what cannot reach beyond it.
type groupKey struct{ job, node string }

// member is a process of a job.
type member struct {
	own         *Identity
	id          *ties // of its job
	node, proc  int32
	rank, local int32 // -1: none, unknown
	group       int32 // until members are parted
	role        Role
	inferred    bool
}

func (a *assembly) key(node int32, c *ties) groupKey {
	k := groupKey{job: c.job}
	if c.nodeLocal {
		k.node = a.nodes[node].Node
	}
	if c.strength < scheduledJob {
		if p := a.known.podOf(c); p != nil && p.Job != "" {
			k = groupKey{job: p.Job}
		}
		return k
	}
	if c.sluid != "" && a.known != nil && k.job == "slurm/"+c.sluid {
		if job, ok := a.known.SLUIDs[c.sluid]; ok {
			k.job = job
		}
	}
	if job, ok := a.same[k.job]; ok {
		k.job = job
	}
	k.job = a.clusters.qualify(k.job, node, c)
	if a.known != nil {
		if whole := a.known.Jobs[k.job].PartOf; whole != "" {
			k.job = whole
		}
	}
	return k
}

func (a *assembly) group(k groupKey) int32 {
	g, ok := a.groups[k]
	if !ok {
		g = int32(len(a.keys))
		a.groups[k] = g
		a.keys = append(a.keys, k)
		a.sizes = append(a.sizes, 0)
	}
	return g
}

func (a *assembly) addNode(n int32) {
	ids := a.ids[n]
	var last *ties
	var key groupKey
	group := int32(-1)
	for i := range ids {
		id := &ids[i]
		if a.twice.seen(n, a.nodes[n].Processes, i) || id.job.strength == saysNothing {
			continue
		}
		if id.job != last {
			last = id.job
			if k := a.key(n, last); group < 0 || k != key {
				key, group = k, a.group(k)
			}
		}
		m := member{own: id, id: last, node: n, proc: int32(i), rank: -1, local: -1, group: group, role: id.role}
		if m.role == RoleRank {
			m.rank, m.local = id.rank, id.local
		}
		a.found = append(a.found, m)
		a.sizes[group]++
	}
}

// parted is the members of each group, in the order in which they were found.
func (a *assembly) parted() [][]member {
	all := a.found
	groups := make([][]member, len(a.sizes))
	at := 0
	if slices.IsSortedFunc(all, func(x, y member) int { return cmp.Compare(x.group, y.group) }) {
		for g, n := range a.sizes {
			groups[g] = all[at : at+n : at+n]
			at += n
		}
		return groups
	}
	all = make([]member, len(all))
	for g, n := range a.sizes {
		groups[g] = all[at : at : at+n]
		at += n
	}
	for i := range a.found {
		m := &a.found[i]
		groups[m.group] = append(groups[m.group], *m)
	}
	return groups
}

// learn goes through all that is said once: which other keys a job has, for some processes know several, and which clusters there are.
func (a *assembly) learn() {
	for n := range a.ids {
		var last *ties
		for i := range a.ids[n] {
			t := a.ids[n][i].said
			if t == last {
				continue
			}
			last = t
			a.clusters.learn(n, t.cluster, t.scheduler)
			if t.also != "" {
				a.alike(t.also, t.job)
			}
			if t.sluid != "" && strings.HasPrefix(t.job, "slurm/") && t.job != "slurm/"+t.sluid {
				a.alike("slurm/"+t.sluid, t.job)
			}
		}
	}
}

// alike notes that two keys are one job's. Who says it first is believed.
func (a *assembly) alike(other, job string) {
	if other == job {
		return
	}
	if a.same == nil {
		a.same = map[string]string{}
	}
	if _, ok := a.same[other]; !ok {
		a.same[other] = job
	}
}

// clusters keeps equal job ids of different Slurm clusters apart. Few fleets have two: only then do keys name the cluster.
type clusters struct {
	of      []string // by node
	first   string
	several bool
}

func (c *clusters) learn(node int, name, scheduler string) {
	if name == "" || scheduler != "slurm" {
		return
	}
	if c.of[node] == "" {
		c.of[node] = name
	}
	if c.first == "" {
		c.first = name
	}
	c.several = c.several || name != c.first
}

func (c *clusters) qualify(job string, node int32, of *ties) string {
	if !c.several || !strings.HasPrefix(job, "slurm/") {
		return job
	}
	name := of.cluster
	if name == "" {
		name = c.of[node]
	}
	if name == "" {
		return job
	}
	if len(name) > 40 || strings.ContainsAny(name, "/@") {
		name = digest(name)
	}
	return "slurm/" + name + strings.TrimPrefix(job, "slurm")
}
