package collectors

import (
	"bytes"
	"os"

	"foretop/collectors/kernfs"
)

// procStat is what is taken from /proc/PID/stat (proc(5)).
type procStat struct {
	comm       []byte // of the file's bytes: copy what is to be kept
	state      byte
	ppid       int32
	kernel     bool   // a kernel thread
	cpuTicks   uint64 // user and system
	threads    uint32
	startTicks uint64
	rssBytes   uint64
}

const (
	pfKthread = 0x00200000 // include/linux/sched.h
	statFlags = 6          // places in the line, counted from the state
	statUTime = 11
	statSTime = 12
	statNice  = 17
	statStart = 19
	statRSS   = 21
)

// parseProcStat parses the line. The name may hold anything, so counting starts after the last bracket.
func parseProcStat(b []byte, s *procStat) bool {
	name, rest, ok := afterName(b)
	if !ok {
		return false
	}
	*s = procStat{comm: name}
	w, rest := kernfs.Field(rest)
	if len(w) != 1 {
		return false
	}
	s.state = w[0]
	for i := 1; i <= statRSS; i++ {
		var w []byte
		w, rest = kernfs.Field(rest)
		v, ok := kernfs.ParseUint(w)
		switch i {
		case 1:
			s.ppid = int32(min(v, 1<<31-1))
		case statFlags:
			s.kernel = v&pfKthread != 0
		case statUTime, statSTime:
			s.cpuTicks += v
		case statNice:
			s.threads = uint32(v)
		case statStart:
			s.startTicks = v
		case statRSS:
			s.rssBytes = v * uint64(os.Getpagesize())
		default:
			continue // some are negative
		}
		if !ok {
			return false
		}
	}
	return true
}

// procStatus is what is taken from /proc/PID/status.
type procStatus struct {
	uid    uint32
	hasUID bool
	nsPIDs []int32 // outermost first
}

func parseProcStatus(b []byte) (s procStatus) {
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		key, rest, ok := bytes.Cut(l, []byte{':'})
		if !ok {
			continue
		}
		switch string(key) {
		case "Uid":
			v, _, ok := kernfs.Leading(rest)
			s.uid, s.hasUID = uint32(v), ok && v <= 1<<32-1
		case "NSpid":
			for len(s.nsPIDs) < 32 { // the kernel nests no deeper
				v, r, ok := kernfs.Leading(rest)
				if !ok || v > 1<<31-1 {
					break
				}
				s.nsPIDs, rest = append(s.nsPIDs, int32(v)), r
			}
		}
	}
	return s
}

// parseCgroup gives the path that names a process's job or container: the unified hierarchy's where it says something, else that of a controller which
// schedulers use.
func parseCgroup(b []byte) string {
	best, rank := "", -1
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		_, rest, ok := bytes.Cut(l, []byte{':'})
		if !ok {
			continue
		}
		controllers, path, ok := bytes.Cut(rest, []byte{':'})
		if !ok {
			continue
		}
		n := 0
		switch {
		case len(path) <= 1: // the root says nothing
		case ofJob(string(path)): // Slurm may use but one hierarchy, while slurmd's service stands in the others
			n = 5
		case len(controllers) == 0:
			n = 4
		case hasController(controllers, "devices"), hasController(controllers, "memory"):
			n = 3
		case hasController(controllers, "freezer"):
			n = 2
		default:
			n = 1
		}
		if n > rank {
			best, rank = string(path), n
		}
	}
	return best
}

func hasController(list []byte, name string) bool {
	for len(list) > 0 {
		var w []byte
		w, list, _ = bytes.Cut(list, []byte{','})
		if string(w) == name {
			return true
		}
	}
	return false
}
