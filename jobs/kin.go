package jobs

import "foretop/telemetry/facts"

// kin finds the job of a process in what its children and siblings say: a launcher belongs to what it launched, a worker whose environment cannot be read
// to the run of the workers beside it.
type kin struct {
	ofParent map[int32]*claim // by the pid of the parent of ranks: what the first of them says
	ofSpawn  map[int32]*claim // the same of multiprocessing's children
	launcher map[int32]bool   // pids of launchers
}

func kinOf(procs []*facts.Process, ids []Identity) *kin {
	k := new(kin)
	for i := range ids {
		switch ids[i].Role {
		case RoleRank:
			if pp := procs[i].GetPpid(); pp > 1 {
				if k.ofParent == nil {
					k.ofParent = make(map[int32]*claim, 4)
				}
				if k.ofParent[pp] == nil {
					k.ofParent[pp] = &ids[i].claim
				}
			}
		case RoleWorker:
			if pp := procs[i].GetPpid(); ids[i].claim.spawned && ids[i].claim.strength == spawnedRun && pp > 1 {
				if k.ofSpawn == nil {
					k.ofSpawn = make(map[int32]*claim, 4)
				}
				k.ofSpawn[pp] = &ids[i].claim
			}
		case RoleLauncher:
			if k.launcher == nil {
				k.launcher = make(map[int32]bool, 4)
			}
			k.launcher[procs[i].GetPid()] = true
		}
	}
	return k
}

// find gives a relative's claim, nil when there is none to go by.
func (k *kin) find(i int32, procs []*facts.Process) *claim {
	p := procs[i]
	if c := k.ofParent[p.GetPid()]; c != nil {
		return c
	}
	if c := k.ofSpawn[p.GetPid()]; c != nil {
		return c
	}
	if k.ofParent != nil && isUnread(p) && k.launcher[p.GetPpid()] {
		return k.ofParent[p.GetPpid()]
	}
	return nil
}

// launcherOf is the process's parent, and whether that is a launcher that lives.
func (a *assembly) launcherOf(m *member) (pid int32, alive bool) {
	pp := a.process(m).GetPpid()
	if pp <= 0 {
		return 0, false
	}
	j, ok := a.pids(m.node)[pp]
	return pp, ok && a.ids[m.node][j].Role == RoleLauncher
}

// lost says whether the process's parent is gone: the machine's first process took its place, and that is no launcher.
func (a *assembly) lost(m *member) bool {
	pp := a.process(m).GetPpid()
	if pp != 1 {
		return pp < 1
	}
	_, alive := a.launcherOf(m)
	return !alive
}

func (a *assembly) process(m *member) *facts.Process { return a.nodes[m.node].Processes[m.proc] }

// pids is the node's processes by pid, made when first asked for.
func (a *assembly) pids(node int32) map[int32]int32 {
	if m, ok := a.byPID[node]; ok {
		return m
	}
	if a.byPID == nil {
		a.byPID = map[int32]map[int32]int32{}
	}
	m := index(a.nodes[node].Processes)
	a.byPID[node] = m
	return m
}

// ancestor says whether x is an ancestor of y. Both are on one node.
func (a *assembly) ancestor(x, y *member) bool {
	want, p := a.process(x).GetPid(), a.process(y)
	for range maxAncestors {
		if p.GetPpid() == want {
			return true
		}
		j, ok := a.pids(x.node)[p.GetPpid()]
		if !ok || p.GetPpid() <= 1 {
			return false
		}
		p = a.nodes[x.node].Processes[j]
	}
	return false
}

// twins knows machines that the fleet has under two names, so that their processes count once.
type twins struct {
	shared map[string]bool // boot ids that more than one node gave
	known  map[processKey]bool
	nodes  []NodeFacts
}

// processKey is a process for ever: DESIGN.md section 6.
type processKey struct {
	boot  string
	space uint64
	pid   int32
	start uint64
}

func sameMachines(nodes []NodeFacts) *twins {
	t := &twins{nodes: nodes}
	once := make(map[string]bool, len(nodes))
	for i := range nodes {
		b := nodes[i].BootID
		if b == "" {
			continue
		}
		if once[b] {
			if t.shared == nil {
				t.shared, t.known = map[string]bool{}, map[processKey]bool{}
			}
			t.shared[b] = true
		}
		once[b] = true
	}
	return t
}

// seen says whether the process was already told by another node, and remembers it.
func (t *twins) seen(node int32, p *facts.Process) bool {
	n := &t.nodes[node]
	if t.shared == nil || !t.shared[n.BootID] || p.GetPidNamespace() == 0 {
		return false
	}
	k := processKey{n.BootID, p.GetPidNamespace(), p.GetPid(), p.GetStartTicks()}
	if t.known[k] {
		return true
	}
	t.known[k] = true
	return false
}
