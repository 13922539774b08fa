package jobs

import (
	"math/bits"

	"foretop/telemetry/facts"
)

// Identity is what one process and its relatives say of its job, and what of the process itself is asked for each of a job's. It is a value to keep for as long as the
// process facts of its node do not change; Assemble reads it and looks at few processes.
type Identity struct {
	role          Role
	holds         bool // an accelerator
	names         bool // accelerators in its environment
	unread        bool // its environment is hidden or destroyed
	wrapper       bool
	adopted       bool // its parent is one that adopts
	underLauncher bool // its parent is a launcher

	rank, local int32 // local -1: unknown
	pid, ppid   int32
	innerPID    int32 // its number in its own PID namespace, 0 where that is the node's
	parent      int32 // which of the node's processes is its parent; -1: none that is told
	startTicks  uint64
	startMS     int64  // Unix time by the node's clock; 0 unknown
	held        uint64 // a bit for each accelerator that the driver says it holds, below maxDevices

	job  *ties // its job: what it says, or what a relative says that knows more
	said *ties // what it says itself
}

// IdentifyAll identifies all processes of a node.
func IdentifyAll(processes []*facts.Process) []Identity {
	byPID := index(processes)
	find := func(pid int32) *facts.Process {
		if i, ok := byPID[pid]; ok {
			return processes[i]
		}
		return nil
	}
	ids := make([]Identity, len(processes))
	shared := map[ties]*ties{}
	var last *ties
	for i, p := range processes {
		role, c := identify(p, find)
		c.login = p.GetUser()
		if last == nil || *last != c.ties {
			if last = shared[c.ties]; last == nil {
				last = new(ties)
				*last = c.ties
				shared[c.ties] = last
			}
		}
		ids[i] = identityOf(p, role, c.rank, c.local, last)
		if up, ok := byPID[p.GetPpid()]; ok {
			ids[i].parent = up
		}
	}
	joinKin(ids)
	return ids
}

func identityOf(p *facts.Process, role Role, rank, local int, said *ties) Identity {
	id := Identity{
		role: role, rank: int32(rank), local: int32(local), job: said, said: said, parent: -1,
		pid: p.GetPid(), ppid: p.GetPpid(), startTicks: p.GetStartTicks(), startMS: p.GetStartWallMs(),
		holds: len(p.GetHeld()) > 0, unread: isUnread(p), wrapper: isWrapper(p), adopted: hasReaper(p), names: namesDevices(p),
	}
	if n := len(p.GetNsPids()); n > 1 {
		id.innerPID = p.GetNsPids()[n-1]
	}
	for _, h := range p.GetHeld() {
		if g := h.GetGpu(); g < maxDevices {
			id.held |= 1 << g
		}
	}
	return id
}

// index finds processes by pid; of two with the same the later started counts.
func index(processes []*facts.Process) map[int32]int32 {
	m := make(map[int32]int32, len(processes))
	for i, p := range processes {
		if j, ok := m[p.GetPid()]; !ok || processes[j].GetStartTicks() <= p.GetStartTicks() {
			m[p.GetPid()] = int32(i)
		}
	}
	return m
}

// heldOf is how many accelerators the process holds of the first n of its node; 0: it is not known how many there are.
func (id *Identity) heldOf(n int) (held uint64, count int) {
	held = id.held
	if n > 0 && n < maxDevices {
		held &= 1<<n - 1
	}
	return held, bits.OnesCount64(held)
}
