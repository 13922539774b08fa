package jobs

import "foretop/telemetry/facts"

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

// reapers are what runs first in a container, to adopt the children of processes that ended; the kernel cuts names at 15 bytes.
var reapers = map[string]bool{
	"tini": true, "dumb-init": true, "catatonit": true, "docker-init": true, "podman-init": true, "runit": true, "s6-svscan": true, "supervisord": true, "pause": true,
	"systemd": true, "init": true,
}

// managers adopt what a person's session leaves behind.
var managers = map[string]bool{"systemd": true, "init": true}

// hasReaper says whether the process's parent is one that adopts what lost its own.
func hasReaper(p *facts.Process) bool {
	parent := p.GetParent()
	switch pp := p.GetPpid(); {
	case pp <= 0: // of another PID namespace: not known
		return false
	case pp == 1 || managers[parent]:
		return true
	}
	return p.GetParentInit() && (reapers[parent] || wrappers[parent])
}

// orphan finds out whether a process of a job is left over. few: most of the job's ranks are gone. A parent that adopts and is itself the launcher has adopted nothing.
func (m *member) orphan(over, few bool) Orphan {
	switch id := m.own; {
	case over:
		return JobEnded
	case m.role == RoleStale:
		return Superseded
	case id.adopted && !id.underLauncher && id.said.launched:
		return LauncherGone
	case few && m.role == RoleRank && !id.underLauncher:
		return OthersGone
	}
	return NotOrphan
}

// few says whether most of a job's ranks are gone from nodes that are all watched; named: it is known which they are.
func (j *Job) few(named bool) bool {
	return named && len(j.Unwatched) == 0 && (j.HostsN == len(j.Hosts) || len(j.Hosts) == 0) && j.World > 1 && len(j.Ranks) > 0 && 2*len(j.Ranks) < j.World
}
