package simfleet

import (
	"fmt"
	"sync/atomic"
	"time"
)

// job is one job of the fleet. Nothing of it is changed after the plan is made but what people order.
type job struct {
	shape
	key    uint64 // of its noise
	id     int    // Slurm's number
	array  int    // the array's number; 0: none
	task   int
	round  int           // how often its shape came before
	member []int         // nodes, in rank order
	device []int         // GPUs, the same on each node
	start  time.Duration // when its present processes started, before the fleet's time began
	age    time.Duration // work done by then

	repeat    time.Duration // of the scenario
	cycleWork time.Duration // done in a cycle
	spans     []span

	stops atomic.Pointer[[]stop] // what was ordered about it; in order of time, the last may last
}

// slot is a job's part of a node.
type slot struct {
	job    *job
	member int
}

func (j *job) world() int { return len(j.member) * j.ranks }

// uses says whether the job gives its i-th GPU of a node any work.
func (j *job) uses(i int) bool { return j.works == 0 || i < j.works }

// plan places the day's jobs on nodes and says, for every node, what it runs.
func plan(nodes int, seed uint64) (jobs []*job, slots [][]slot, kinds []kind) {
	p := planner{nodes: nodes, seed: seed, slots: make([][]slot, nodes), used: make([]int, nodes), kinds: make([]kind, nodes), id: 8123}
	all := shapes()
	if nodes < 24 {
		p.small(all)
		return p.jobs, p.slots, p.kinds
	}
	big := max(nodes/2, 1)
	if big >= 32 {
		big = min(big/32*32, 512)
	}
	p.place(all[0], big, 0)
	rest := 0
	for _, s := range all[1:] {
		if !s.beside {
			rest += s.nodes
		}
	}
	spare := nodes / 16
	if nodes < 64 { // half of everything
		for _, s := range all[1:] {
			p.place(s, max(1, s.nodes/2), 0)
		}
		return p.jobs, p.slots, p.kinds
	}
	for round := 0; nodes-p.next-spare >= rest; round++ {
		for _, s := range all[1:] {
			p.place(s, s.nodes, round)
		}
	}
	p.others()
	return p.jobs, p.slots, p.kinds
}

type planner struct {
	nodes, next int
	seed        uint64
	id          int
	jobs        []*job
	slots       [][]slot
	used        []int // GPUs of each node
	kinds       []kind
}

// small gives each shape a node or two for as long as there are nodes.
func (p *planner) small(all []shape) {
	order := []string{"pretrain", "serve", "notebook", "script", "eval", "fsdp", "deepspeed", "sweep", "srun", "k8s", "jax", "mpi", "finetune"}
	for _, role := range order {
		for _, s := range all {
			if s.role != role {
				continue
			}
			want := min(s.nodes, 2)
			if role == "pretrain" {
				want = max(1, p.nodes/3)
			}
			p.place(s, min(want, p.nodes-p.next), 0)
		}
	}
}

// others makes three of the nodes that nothing runs on, which a fleet of this size has, machines of other kinds, and puts on two of them a job that such a
// machine runs.
func (p *planner) others() {
	for _, o := range []struct {
		node  int
		kind  kind
		shape string
	}{{max(p.next, p.nodes-6), mi300x, "mi300x"}, {p.nodes - 4, mig, ""}, {p.nodes - 1, tpu, "tpu"}} {
		p.kinds[o.node] = o.kind
		for _, s := range otherShapes() {
			if s.role == o.shape {
				p.put(s, []int{o.node}, 0, 0, 0)
			}
		}
	}
}

// place puts one job of a shape, or as many as it has array tasks, on the next free nodes.
func (p *planner) place(s shape, nodes, round int) {
	if s.beside {
		if p.next == 0 || p.used[p.next-1] == 0 || p.used[p.next-1]+s.gpus > gpusPerNode {
			return
		}
		p.put(s, []int{p.next - 1}, round, 0, 0)
		return
	}
	if nodes <= 0 || p.next+nodes > p.nodes {
		return
	}
	member := make([]int, nodes)
	for i := range member {
		member[i] = p.next + i
	}
	p.next += nodes
	array := 0
	if s.tasks > 0 {
		array = p.id
	}
	for t := range max(1, s.tasks) {
		p.put(s, member, round, array, t)
	}
}

func (p *planner) put(s shape, member []int, round, array, task int) {
	j := &job{shape: s, member: member, round: round, array: array, task: task, id: p.id}
	p.id += 1 + int(hash(p.seed, uint64(p.id))%4)
	if round > 0 {
		j.name = fmt.Sprintf("%s-r%d", s.name, round+1)
		j.user = users[hash(p.seed, word(s.name), uint64(round))%uint64(len(users))].name
		if s.launcher == kubernetes {
			j.user = s.user
		}
	}
	j.key = hash(p.seed, word(j.name), uint64(j.id))
	j.age = time.Duration(float64(s.ran) * (0.6 + 0.4*hashUnit(j.key, 1)))
	j.start = -j.age - s.pattern.load
	first := p.used[member[0]]
	for g := range s.gpus {
		j.device = append(j.device, first+g)
	}
	for i, n := range member {
		p.used[n] += s.gpus
		p.slots[n] = append(p.slots[n], slot{j, i})
	}
	p.jobs = append(p.jobs, j)
}

// user is a person of the cluster.
type user struct {
	name string
	uid  uint32
}

var users = []user{{"ann", 10021}, {"bob", 10022}, {"cy", 10047}, {"dana", 10090}, {"eve", 10112}, {"finn", 10113}, {"gita", 10150}, {"hugo", 10166}, {"ines", 10171}}

func (j *job) uid() uint32 {
	for _, u := range users {
		if u.name == j.user {
			return u.uid
		}
	}
	return 1000 // a container's
}

// nodeName is what the node calls itself.
func nodeName(i, nodes int) string {
	return fmt.Sprintf("gpu%0*d", max(3, len(fmt.Sprint(nodes))), i+1)
}
