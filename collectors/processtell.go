package collectors

import (
	"cmp"
	"maps"
	"slices"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// tell makes the list of processes that the front end is told, by pid, and counts those of other users whose environment is hidden.
func (r *processReader) tell() (told []*facts.Process, foreign int) {
	held := r.held()
	r.lookAtHolders(held)
	var chosen []*proc
	crowd := int32(0)
	for _, p := range r.procs {
		if p.kernel {
			continue
		}
		if p.comm == ownName {
			crowd++
		}
		if p.envState == facts.EnvState_ENV_DENIED {
			foreign++
		}
		if len(held[p.pid]) > 0 || (p.launcher || p.titled || r.isRank(p) || r.isTask(p)) && !r.isZombie(p) {
			p.chosen = r.walk
			chosen = append(chosen, p)
		}
	}
	r.m.board.crowd.Store(crowd)
	chosen = r.withParents(chosen, held)
	for _, p := range r.procs {
		if p.chosen != r.walk {
			p.fact = nil
		}
	}
	slices.SortFunc(chosen, func(a, b *proc) int {
		if n := cmp.Compare(min(len(held[b.pid]), 1), min(len(held[a.pid]), 1)); n != 0 {
			return n // those that hold something are told in any case
		}
		return cmp.Compare(a.pid, b.pid)
	})
	chosen = chosen[:min(len(chosen), maxTold)]
	left := maxToldBytes
	for _, p := range chosen {
		r.followParent(p)
		r.layoutOf(p)
		r.librariesOf(p, len(held[p.pid]) > 0)
		if p.fact == nil || !sameHeld(p.fact.Held, held[p.pid]) {
			r.describe(p, held[p.pid])
		} else if p.fact.User == "" {
			if name := r.m.users.name(p.fact.Uid); name != "" {
				r.describe(p, held[p.pid])
			}
		}
		if left -= factBytes(p.fact); left < 0 {
			break
		}
		told = append(told, p.fact)
	}
	slices.SortFunc(told, func(a, b *facts.Process) int { return cmp.Compare(a.Pid, b.Pid) })
	return told, foreign
}

// maxToldBytes bounds all that is told of processes: less than what a front end takes from one node.
const maxToldBytes = 3 << 20

// factBytes is about what a front end takes to keep a process.
func factBytes(f *facts.Process) int {
	n := 400 + len(f.User) + len(f.Comm) + len(f.Command) + len(f.Cgroup) + len(f.Cwd) + len(f.Parent) + 8*len(f.NsPids) + 80*len(f.Held)
	for k, v := range f.Env {
		n += 32 + len(k) + len(v)
	}
	return n
}

// withParents adds the parents of multiprocessing's children that hold an accelerator: they name the program and say that the children belong together.
func (r *processReader) withParents(chosen []*proc, held map[int32][]*facts.Held) []*proc {
	for _, p := range chosen {
		up := r.procs[p.ppid]
		if p.spawned && up != nil && !up.kernel && p.ppid > 1 && len(held[p.pid]) > 0 && up.chosen != r.walk {
			up.chosen = r.walk
			chosen = append(chosen, up)
		}
	}
	return chosen
}

// followParent notes that a process which is told has another parent now: the one that it had ended.
func (r *processReader) followParent(p *proc) {
	if p.ppid <= 1 {
		return
	}
	if up := r.procs[p.ppid]; up != nil && up.start <= p.start {
		return
	}
	var s procStat
	if r.stat(p.pid, &s) && s.startTicks == p.start && s.ppid != p.ppid {
		p.ppid, p.fact = s.ppid, nil
	}
}

// parent says what a process's parent is, and whether it is the first of a PID namespace.
func (r *processReader) parent(p *proc) (comm string, isInit bool) {
	up := r.procs[p.ppid]
	if up == nil {
		return "", false
	}
	if p.ppid == 1 {
		return up.comm, true
	}
	var err error
	if r.buf, err = r.m.root.Read(procPath(p.ppid, "status"), r.buf); err == nil {
		if ns := parseProcStatus(r.buf).nsPIDs; len(ns) > 1 {
			isInit = ns[len(ns)-1] == 1
		}
	}
	return up.comm, isInit
}

func (r *processReader) held() map[int32][]*facts.Held {
	r.m.board.mu.Lock()
	holders := r.m.board.heldAccelerators()
	r.m.board.mu.Unlock()
	held := make(map[int32][]*facts.Held, len(holders))
	for _, h := range holders {
		held[h.PID] = append(held[h.PID], &facts.Held{Gpu: h.GPU, MemoryBytes: h.Memory, MemoryKnown: h.Known, Part: h.Part})
	}
	return held
}

// ownName is what the kernel calls a collector: the first 15 bytes of foretop-collector.
const ownName = "foretop-collect"

// lookAtHolders looks at the processes that hold an accelerator since the last walk: one that waited long before it executed its program is known as what
// it was.
func (r *processReader) lookAtHolders(held map[int32][]*facts.Held) {
	for _, p := range r.procs {
		holds := len(held[p.pid]) > 0
		if holds && !p.holds && p.looked != r.walk {
			r.revisit(p.pid, p.inode, p)
		}
		p.holds = holds
	}
}

// isRank says whether a process is the rank that its environment names. Everything it starts inherits those words: of a line of parent and
// child with the same ones, the first that is not a mere wrapper is the rank.
func (r *processReader) isRank(p *proc) bool {
	if p.rank == "" {
		return false
	}
	if wrappers[p.comm] {
		return !r.hasHeir(p)
	}
	for up, n := r.procs[p.ppid], 0; up != nil && up.rank == p.rank && n < 64; up, n = r.procs[up.ppid], n+1 {
		if !wrappers[up.comm] && !up.launcher {
			return false
		}
	}
	return true
}

// isZombie says whether a process has ended and waits for its parent to ask how, which an agent does every few seconds and one that hangs never does: it is no rank
// any more. One whose first thread alone has ended lives on.
func (r *processReader) isZombie(p *proc) bool {
	var s procStat
	return r.stat(p.pid, &s) && s.startTicks == p.start && s.state == 'Z' && s.threads <= 1
}

// hasHeir says whether a wrapper's child is, or leads to, the same rank.
func (r *processReader) hasHeir(p *proc) bool {
	for _, c := range r.procs {
		if c.ppid == p.pid && c.rank == p.rank {
			return true
		}
	}
	return false
}

// isTask says whether a process whose environment is hidden is the first of a job's task, by its cgroup.
func (r *processReader) isTask(p *proc) bool {
	if p.envState == facts.EnvState_ENV_READ || !ofJob(p.cgroup) {
		return false
	}
	up := r.procs[p.ppid]
	return up == nil || up.cgroup != p.cgroup
}

// describe makes the fact of a process. Facts are never changed once told.
func (r *processReader) describe(p *proc, held []*facts.Held) {
	f := &facts.Process{
		Pid: p.pid, StartTicks: p.start, Ppid: p.ppid, Comm: p.comm, Command: p.command, Cgroup: p.cgroup,
		Env: maps.Clone(p.env), EnvState: p.envState, Held: held, Launcher: p.launcher, Rank: p.rank != "" && !p.launcher,
		StartWallMs: r.startWallMS(p.start), LayoutFlags: maps.Clone(p.flags), LayoutFiles: p.layoutFiles(), Versions: p.versions,
	}
	var s procStat
	if r.stat(p.pid, &s) {
		f.CpuMs, f.RssBytes = s.cpuTicks*tickMS, s.rssBytes
	}
	var err error
	if r.buf, err = r.m.root.Read(procPath(p.pid, "status"), r.buf); err == nil {
		st := parseProcStatus(r.buf)
		f.Uid, f.NsPids = st.uid, st.nsPIDs
		if st.hasUID {
			f.User = r.m.users.name(st.uid)
		}
	}
	f.Parent, f.ParentInit = r.parent(p)
	f.PidNamespace = namespaceOf(r.m.root, procPath(p.pid, "ns/pid"))
	f.Cwd = telemetry.Clean(readLink(r.m.root, procPath(p.pid, "cwd")), maxPath)
	p.fact = f
}

// uptime is what /proc/uptime says, 0 where it cannot be read.
func (r *processReader) uptime() int64 {
	var err error
	if r.buf, err = r.m.root.Read("proc/uptime", r.buf); err != nil {
		return 0
	}
	w, _ := kernfs.Field(r.buf)
	up, _ := kernfs.ParseMilli(w)
	return int64(up)
}

// startWallMS is the wall-clock time of a start given in ticks since boot.
func (r *processReader) startWallMS(ticks uint64) int64 {
	if r.upMS == 0 {
		return 0
	}
	return r.bootMS + int64(min(ticks, 1<<53))*tickMS
}

// sameHeld says whether what is held is worth telling again: another accelerator, or memory that changed by a twentieth and 64 MiB.
func sameHeld(a, b []*facts.Held) bool {
	return slices.EqualFunc(a, b, func(x, y *facts.Held) bool {
		if x.Gpu != y.Gpu || x.MemoryKnown != y.MemoryKnown {
			return false
		}
		lo, hi := min(x.MemoryBytes, y.MemoryBytes), max(x.MemoryBytes, y.MemoryBytes)
		return hi-lo < max(64<<20, hi/20)
	})
}
