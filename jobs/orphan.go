package jobs

// Orphan says why a process has no business any more on the accelerators that it holds.
type Orphan uint8

// Why a process is left over, surest first.
const (
	NotOrphan    Orphan = iota
	JobEnded            // its scheduler says that its job is over
	Superseded          // a newer generation of its job's ranks took its place
	LauncherGone        // what started it, and would end it, is gone
	OthersGone          // fewer than half of its job's ranks are left, though all of the job's nodes are watched. True for a moment while a job starts
)

var orphanWords = [...]string{"", "job ended", "superseded", "launcher gone", "other ranks gone"}

func (o Orphan) String() string {
	if int(o) < len(orphanWords) {
		return orphanWords[o]
	}
	return "unknown"
}

// reapers adopt the children of processes that ended.
var reapers = map[string]bool{
	"systemd": true, "init": true, "tini": true, "dumb-init": true, "catatonit": true, "docker-init": true, "podman-init": true, "containerd-shim": true, "conmon": true,
	"runit": true, "s6-svscan": true, "supervisord": true, "slurmstepd": true,
}

// adopted says whether a process that a launcher starts has lost it: its parent is one that adopts. A process 1 that is itself the launcher is not one.
func (a *assembly) adopted(m *member) bool {
	p := a.process(m)
	pp := p.GetPpid()
	if pp <= 0 {
		return false // of another PID namespace: not known
	}
	if _, alive := a.launcherOf(m); alive {
		return false
	}
	if j, ok := a.pids(m.node)[pp]; ok && j != m.proc && pp != 1 && a.ids[m.node][j].Role != RoleNone && !reapers[p.GetParent()] {
		return false
	}
	if pp == 1 {
		return true
	}
	return p.GetParentInit() && (isReaper(p.GetParent()) || wrappers[p.GetParent()]) || p.GetParent() == "systemd" || p.GetParent() == "init"
}

// isReaper says whether a name, which the kernel cuts at 15 bytes, is that of a program that adopts.
func isReaper(comm string) bool { return reapers[comm] || len(comm) == 15 && comm == "containerd-shim" }

// orphan finds out whether a process of a job is left over. few: most of the job's ranks are gone.
func (a *assembly) orphan(m *member, over, few bool) Orphan {
	switch {
	case over:
		return JobEnded
	case m.role == RoleStale:
		return Superseded
	case m.own.launched && a.adopted(m):
		return LauncherGone
	case few && m.role == RoleRank:
		if _, alive := a.launcherOf(m); !alive {
			return OthersGone
		}
	}
	return NotOrphan
}

// few says whether most of a job's ranks are gone from nodes that are all watched; named: it is known which they are.
func (j *Job) few(named bool) bool {
	return named && len(j.Unwatched) == 0 && (j.HostsN == len(j.Hosts) || len(j.Hosts) == 0) && j.World > 1 && len(j.Ranks) > 0 && 2*len(j.Ranks) < j.World
}
