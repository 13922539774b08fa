package jobs

import (
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
	for i := range nodes {
		a.addNode(int32(i))
	}
	var jobs []Job
	for i := range a.members {
		jobs = a.finish(jobs, a.keys[i], a.members[i])
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
	watched  names             // every node; made when first needed
	twice    *twins

	groups  map[groupKey]int32
	keys    []groupKey
	members [][]member

	byPID map[int32]map[int32]int32 // of nodes where it was asked for
}

// groupKey is a job's identity; node is set for what cannot reach beyond it.
type groupKey struct{ job, node string }

// member is a process of a job.
type member struct {
	node, proc int32
	role       Role
	inferred   bool
	rank       int32
	local      int32
	id         *claim // of its job
	own        *claim // what it says itself
}

func (a *assembly) key(node int32, c *claim) groupKey {
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
		a.members = append(a.members, nil)
	}
	return g
}

func (a *assembly) addNode(n int32) {
	procs, ids := a.nodes[n].Processes, a.ids[n]
	var relatives *kin // made when first needed
	var last groupKey
	lastGroup := int32(-1)
	for i := range ids {
		id := &ids[i]
		if a.twice.seen(n, procs[i]) {
			continue
		}
		m := member{node: n, proc: int32(i), role: id.Role, rank: -1, local: -1, id: &id.claim, own: &id.claim}
		c := &id.claim
		if m.role != RoleRank && c.strength < scheduledJob {
			if relatives == nil {
				relatives = kinOf(procs, ids)
			}
			if k := relatives.find(int32(i), procs); k != nil && (k.strength > c.strength || m.role == RoleLauncher && k.strength == c.strength) {
				c, m.id = k, k
				if m.role == RoleNone {
					m.role = RoleHelper
				}
			}
		}
		if c.strength == saysNothing {
			continue
		}
		if m.role == RoleRank {
			m.rank, m.local = int32(c.rank), int32(c.local)
		}
		if k := a.key(n, c); lastGroup < 0 || k != last {
			last, lastGroup = k, a.group(k)
		}
		a.members[lastGroup] = append(a.members[lastGroup], m)
	}
}

// learn goes through all claims once: which other keys a job has, for some processes know several, and which clusters there are.
func (a *assembly) learn() {
	for n := range a.ids {
		for i := range a.ids[n] {
			c := &a.ids[n][i].claim
			a.clusters.learn(n, c.cluster, c.scheduler)
			if c.also != "" {
				a.alike(c.also, c.job)
			}
			if c.sluid != "" && strings.HasPrefix(c.job, "slurm/") && c.job != "slurm/"+c.sluid {
				a.alike("slurm/"+c.sluid, c.job)
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

func (c *clusters) qualify(job string, node int32, of *claim) string {
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
