package jobs

import (
	"cmp"
	"slices"
	"strconv"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// siblings is what one agent started on a node.
type siblings struct {
	size, base int // base: rank minus local rank, the same for all
	local      map[int32]bool
	ties       *ties
	odd        bool // they contradict one another, or reason
	unread     []int
}

// eliminate numbers the children of an agent whose environment cannot be read, where exactly as many of its local ranks are not accounted for. They
// take the numbers in the order of their devices, then of their age: how ranks are laid out, though none of them says so.
func (a *assembly) eliminate(r *run) {
	var of map[nodePID]*siblings
	var families []*siblings // in the order in which they were met
	for i := range r.others {
		m := &r.others[i]
		if !m.own.unread || !m.own.underLauncher || m.role != RoleWorker && m.role != RoleHelper || m.own.wrapper {
			continue
		}
		if of == nil {
			of = r.siblings()
		}
		if s := of[nodePID{m.node, m.own.ppid}]; s != nil {
			if s.unread == nil {
				families = append(families, s)
			}
			s.unread = append(s.unread, i)
		}
	}
	taken := map[int]bool{}
	for _, s := range families {
		if s.odd || s.size-len(s.local) != len(s.unread) {
			continue
		}
		slices.SortFunc(s.unread, func(i, j int) int { return a.layout(&r.others[i], &r.others[j]) })
		next := int32(0)
		for _, i := range s.unread {
			for s.local[next] {
				next++
			}
			m := r.others[i]
			m.role, m.inferred, m.local, m.rank, m.id = RoleRank, true, next, int32(s.base)+next, s.ties
			r.members = append(r.members, m)
			taken[i] = true
			next++
		}
	}
	if len(taken) > 0 {
		r.drop(taken)
	}
}

// layout orders the children of one agent as it numbers them.
func (a *assembly) layout(x, y *member) int {
	p, q := a.process(x), a.process(y)
	first := func(p *facts.Process) int {
		if len(p.GetHeld()) == 0 {
			return -1
		}
		return int(p.GetHeld()[0].GetGpu())
	}
	return cmp.Or(cmp.Compare(first(p), first(q)), cmp.Compare(p.GetStartTicks(), q.GetStartTicks()), cmp.Compare(p.GetPid(), q.GetPid()))
}

// siblings are the ranks of a run by their parents.
func (r *run) siblings() map[nodePID]*siblings {
	of := map[nodePID]*siblings{}
	for i := range r.members {
		m := &r.members[i]
		k := nodePID{m.node, m.own.ppid}
		s := of[k]
		if s == nil {
			s = &siblings{size: m.id.localWorld, base: int(m.rank) - int(m.local), local: map[int32]bool{}, ties: m.id}
			of[k] = s
		}
		s.odd = s.odd || m.local < 0 || s.base < 0 || s.size != m.id.localWorld || s.base != int(m.rank)-int(m.local) || s.local[m.local] || int(m.local) >= s.size
		s.local[m.local] = true
	}
	return of
}

// name gives the job the words that nothing gave it yet.
func (a *assembly) name(j *Job, ranks, others []member) {
	all := ranks
	if len(all) == 0 {
		all = others
	}
	if len(all) == 0 {
		return
	}
	oldest := &all[0]
	for i := range all {
		if s := all[i].own.startMS; s > 0 && s < oldest.own.startMS {
			oldest = &all[i]
		}
	}
	p := a.process(oldest)
	if up := oldest.own.parent; oldest.own.said.spawned && up >= 0 { // it bears no name: its parent does
		p = a.nodes[oldest.node].Processes[up]
	}
	set(&j.Name, program(p))
	set(&j.ID, "pid "+strconv.Itoa(int(p.GetPid())))
	j.Name = telemetry.Clean(j.Name, maxName)
}
