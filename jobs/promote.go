package jobs

import "slices"

// promote gives numbers to workers of a run that has no ranks, where how they were started leaves no doubt. They say themselves that they were inferred.
func (a *assembly) promote(r *run) {
	if len(r.members) > 0 || len(r.others) == 0 {
		return
	}
	if !a.promotePods(r) && !a.promoteSpawned(r) {
		a.promoteRay(r)
	}
}

// promotePods takes RANK and WORLD_SIZE without LOCAL_RANK, as an operator gives them to a pod and people to a script, for a process's: where each number has
// one worker that holds accelerators, and no launcher stands between.
func (a *assembly) promotePods(r *run) bool {
	at := map[int]int{} // by number, the worker
	world := 0
	for i := range r.others {
		m := &r.others[i]
		if m.role == RoleLauncher {
			return false
		}
		if m.role != RoleWorker || m.own.said.podRank == 0 {
			continue
		}
		if _, twice := at[m.own.said.podRank-1]; twice || m.own.said.spawned || world != 0 && m.own.said.podWorld != world {
			return false
		}
		world = m.own.said.podWorld
		at[m.own.said.podRank-1] = i
	}
	a.number(r, at, world)
	return len(at) > 0
}

// promoteSpawned numbers the children of one parent, of which each holds one accelerator of its own: torch.multiprocessing.spawn starts them in the order of their
// numbers, and the program gives each the accelerator of its number. Where the two orders differ nothing is said. How many there should be is not known.
func (a *assembly) promoteSpawned(r *run) bool {
	return a.promoteInOrder(r, func(m *member) bool { return m.own.said.spawned }, func(x, y *member) bool { return x.own.ppid == y.own.ppid })
}

// promoteRay numbers the workers of Ray Train where all are on one node: it sorts them by node and accelerator (ray/train, sort_workers_by_node_id_and_gpu_id).
func (a *assembly) promoteRay(r *run) bool {
	return a.promoteInOrder(r, func(m *member) bool { return isRayTrain(m.own.said.task) }, nil)
}

func (a *assembly) promoteInOrder(r *run, is func(*member) bool, alike func(x, y *member) bool) bool {
	var workers []int
	for i := range r.others {
		m := &r.others[i]
		if m.role != RoleWorker || !is(m) {
			continue
		}
		if len(a.held(m)) != 1 {
			return false
		}
		if n := len(workers); n > 0 {
			first := &r.others[workers[0]]
			if first.node != m.node || alike != nil && !alike(first, m) {
				return false
			}
		}
		workers = append(workers, i)
	}
	if len(workers) < 2 {
		return false
	}
	slices.SortFunc(workers, func(i, j int) int { return a.layout(&r.others[i], &r.others[j]) })
	at := map[int]int{}
	for n, i := range workers {
		if n > 0 {
			p, q := a.process(&r.others[workers[n-1]]), a.process(&r.others[i])
			if p.GetHeld()[0].GetGpu() == q.GetHeld()[0].GetGpu() || alike != nil && p.GetStartTicks() > q.GetStartTicks() {
				return false
			}
		}
		at[n] = i
	}
	a.number(r, at, 0)
	return true
}

// number makes ranks of workers. A run of which no process says how many there are has no world.
func (a *assembly) number(r *run, at map[int]int, world int) {
	if len(at) == 0 {
		return
	}
	taken := make(map[int]bool, len(at))
	for rank, i := range at {
		m := r.others[i]
		m.role, m.inferred, m.rank, m.local = RoleRank, true, int32(rank), -1
		if world == 0 {
			m.local = int32(rank)
		}
		r.members = append(r.members, m)
		taken[i] = true
	}
	r.world = world
	r.drop(taken)
}

// drop takes others away.
func (r *run) drop(taken map[int]bool) {
	rest := r.others[:0]
	for i, m := range r.others {
		if !taken[i] {
			rest = append(rest, m)
		}
	}
	r.others = rest
}
