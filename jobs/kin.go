package jobs

import "foretop/telemetry/facts"

// kin finds the job of a process in what its children and siblings say: a launcher belongs to what it launched, a worker whose environment cannot be read
// to the run of the workers beside it.
type kin struct {
	ofParent map[int32]*ties // by the pid of the parent of ranks: what the first of them says
	ofSpawn  map[int32]*ties // the same of multiprocessing's children
	launcher map[int32]bool  // pids of launchers
}

func kinOf(ids []Identity) *kin {
	k := &kin{ofParent: map[int32]*ties{}, ofSpawn: map[int32]*ties{}, launcher: map[int32]bool{}}
	for i := range ids {
		id := &ids[i]
		switch {
		case id.role == RoleRank && id.ppid > 1:
			if k.ofParent[id.ppid] == nil {
				k.ofParent[id.ppid] = id.said
			}
		case id.role == RoleWorker && id.ppid > 1 && id.said.spawned && id.said.strength == spawnedRun:
			k.ofSpawn[id.ppid] = id.said
		case id.role == RoleLauncher:
			k.launcher[id.pid] = true
		}
	}
	return k
}

// find gives what a relative says, nil when there is none to go by.
func (k *kin) find(id *Identity) *ties {
	if t := k.ofParent[id.pid]; t != nil {
		return t
	}
	if t := k.ofSpawn[id.pid]; t != nil {
		return t
	}
	if id.unread && k.launcher[id.ppid] {
		return k.ofParent[id.ppid]
	}
	return nil
}

// joinKin gives the processes of a node the jobs of relatives that know more, and tells them whether their parent is a launcher that lives.
func joinKin(ids []Identity) {
	var relatives *kin // made when first needed
	for i := range ids {
		id := &ids[i]
		id.underLauncher = id.ppid > 0 && id.parent >= 0 && ids[id.parent].role == RoleLauncher
		if id.role == RoleRank || id.said.strength >= scheduledJob {
			continue
		}
		if relatives == nil {
			relatives = kinOf(ids)
		}
		t := relatives.find(id)
		if t == nil || t.strength < id.said.strength || t.strength == id.said.strength && id.role != RoleLauncher {
			continue
		}
		if id.job = t; id.role == RoleNone {
			id.role = RoleHelper
		}
	}
}

// lost says whether the process's parent is gone: the machine's first process took its place, and that is no launcher.
func (id *Identity) lost() bool { return id.ppid < 1 || id.ppid == 1 && !id.underLauncher }

func (a *assembly) process(m *member) *facts.Process { return a.nodes[m.node].Processes[m.proc] }

// ancestor says whether x is an ancestor of y. Both are on one node.
func (a *assembly) ancestor(x, y *member) bool {
	id := y.own
	for range maxAncestors {
		if id.ppid == x.own.pid {
			return true
		}
		if id.parent < 0 || id.ppid <= 1 {
			return false
		}
		id = &a.ids[x.node][id.parent]
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
func (t *twins) seen(node int32, processes []*facts.Process, i int) bool {
	n := &t.nodes[node]
	if t.shared == nil || !t.shared[n.BootID] || processes[i].GetPidNamespace() == 0 {
		return false
	}
	p := processes[i]
	k := processKey{n.BootID, p.GetPidNamespace(), p.GetPid(), p.GetStartTicks()}
	if t.known[k] {
		return true
	}
	t.known[k] = true
	return false
}
