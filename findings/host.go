package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// Bounds of a file system and of memory that is as good as full, and of corrected memory errors in an hour that say that a module wears out.
const (
	fsFullPct       = 95
	memoryFullPct   = 97
	manyCorrected   = 100
	hungLong        = time.Minute // a file system that is silent for so long, with processes that hang in it, is critical
	fileSystemsName = "filesystem"
)

func hostProblems(found []fleet.Problem, n *fleet.Node, at time.Time, m remembered) []fleet.Problem {
	if m.On("hw.disk-full") {
		for i := range n.FS {
			found = fullProblem(found, &n.FS[i])
		}
	}
	if used := n.Host.MemUsedBytes.Share(n.Host.MemTotalBytes); used.Known() && used >= memoryFullPct && m.On("node.memory") {
		p := problem("node.memory", fleet.Warning, fmt.Sprintf("memory %.0f %% used", float64(used)))
		p.Evidence = []string{sizeWords(uint64(n.Host.MemUsedBytes)) + " of " + sizeWords(uint64(n.Host.MemTotalBytes))}
		found = append(found, p)
	}
	if m.On("hw.memory") {
		found = memoryErrors(found, n, at, m)
	}
	return found
}

// fullProblem tells that a file system has no room, or no inodes, left.
func fullProblem(found []fleet.Problem, f *fleet.Filesystem) []fleet.Problem {
	free, inodes := f.AvailableBytes.Share(f.SizeBytes), f.FilesFree.Share(f.Files)
	if !(100-free >= fsFullPct) && !(100-inodes >= fsFullPct) || fullByNature(f.Type) { // nearly always
		return found
	}
	if 100-free >= fsFullPct {
		s := fleet.Warning
		if f.AvailableBytes < 1<<20 {
			s = fleet.Critical
		}
		p := problem("hw.disk-full", s, fmt.Sprintf("%s %.0f %% full", f.Mount, float64(100-free)))
		p.Evidence = []string{fmt.Sprintf("%s left of %s, %s on %s", sizeWords(uint64(max(0, f.AvailableBytes))), sizeWords(uint64(f.SizeBytes)), f.Type, short(f.Device, 80))}
		return append(found, p)
	}
	s := fleet.Warning
	if f.FilesFree == 0 {
		s = fleet.Critical
	}
	p := problem("hw.disk-full", s, fmt.Sprintf("%s has %.0f %% of its inodes used", f.Mount, float64(100-inodes)))
	p.Evidence = []string{fmt.Sprintf("%.0f inodes left of %.0f: many small files", float64(f.FilesFree), float64(f.Files))}
	p.Remedy = "delete small files that nobody needs; pack them into archives"
	return append(found, p)
}

// fullByNature: images that are mounted read-only have no free space, ever.
func fullByNature(fs string) bool {
	switch fs {
	case "squashfs", "iso9660", "erofs", "cramfs", "udf":
		return true
	}
	return false
}

// memoryErrors tells what the memory controllers count (EDAC). Nearly every machine corrects an error now and then.
func memoryErrors(found []fleet.Problem, n *fleet.Node, at time.Time, m remembered) []fleet.Problem {
	if grew, last := m.uncorrected.note(n.Host.MemUncorrected, at); grew > 0 {
		p := problem("hw.memory", fleet.Critical, fmt.Sprintf("memory: %d uncorrectable errors, %s", grew, ago(at.Sub(last))))
		p.Since, p.Evidence = last, []string{fmt.Sprintf("EDAC ue_count %.0f since the machine started", float64(n.Host.MemUncorrected))}
		found = append(found, p)
	}
	if grew, last := m.corrected.note(n.Host.MemCorrected, at); grew >= manyCorrected {
		p := problem("hw.memory", fleet.Warning, fmt.Sprintf("memory: %d corrected errors within the hour", grew))
		p.Since, p.Evidence = last, []string{fmt.Sprintf("EDAC ce_count %.0f since the machine started", float64(n.Host.MemCorrected))}
		p.Remedy = doMemory
		found = append(found, p)
	}
	return found
}

// hungProblems tells file systems that do not answer: statfs on them has not returned.
func (s Set) hungProblems(found []fleet.Problem, n *fleet.Node) []fleet.Problem {
	i := slices.IndexFunc(n.Sources, func(s fleet.Source) bool {
		return s.State == facts.SourceState_SOURCE_STUCK && s.Name == fileSystemsName
	})
	if i < 0 || !s.On("hw.fs-hung") {
		return found
	}
	src := &n.Sources[i]
	_, mounts, _ := strings.Cut(src.Text, ": ")
	if mounts == "" {
		mounts = "a file system"
	}
	stuck := time.Duration(src.StuckS.Or(0) * float64(time.Second))
	p := problem("hw.fs-hung", fleet.Warning, short(mounts, 80)+" does not answer"+seconds(stuck.Seconds()))
	p.Evidence = []string{short(src.Text, maxEvidence)}
	if blocked := n.Host.ProcsBlocked; blocked > 0 {
		p.Evidence = append(p.Evidence, fmt.Sprintf("%.0f processes blocked in the kernel (state D)", float64(blocked)))
		if stuck >= hungLong {
			p.Severity = fleet.Critical
		}
	}
	if who := inState(n, "D"); who != "" {
		p.Evidence = append(p.Evidence, "in state D: "+who)
	}
	if who := workingIn(n, mounts); who != "" {
		p.Evidence = append(p.Evidence, "work there: "+who)
	}
	p.Remedy = doServers
	return append(found, p)
}

// inState names those of the processes that are told whose state is known to be so.
func inState(n *fleet.Node, state string) string {
	return thoseOf(n, func(p *fleet.Process) bool { return p.Status == state })
}

// workingIn names those that were started in one of the folders, which are written with commas.
func workingIn(n *fleet.Node, mounts string) string {
	list := strings.Split(mounts, ", ")
	return thoseOf(n, func(p *fleet.Process) bool {
		cwd := p.GetCwd()
		return slices.ContainsFunc(list, func(m string) bool { return m != "/" && (cwd == m || strings.HasPrefix(cwd, m+"/")) })
	})
}

func thoseOf(n *fleet.Node, is func(*fleet.Process) bool) string {
	var names []string
	for _, p := range n.Processes {
		if p.Process != nil && is(p) {
			names = append(names, fmt.Sprintf("%s (%d)", p.GetComm(), p.Pid))
		}
	}
	return list(names)
}

// sourceProblems says what could not be looked at.
func (s Set) sourceProblems(found []fleet.Problem, n *fleet.Node) []fleet.Problem {
	if !s.On("node.source") {
		return found
	}
	add := func(src *fleet.Source, level fleet.Severity, text string) {
		p := problem("node.source", level, text)
		p.Remedy = short(src.Remedy, maxEvidence)
		if src.Text != "" {
			p.Evidence = []string{short(src.Text, maxEvidence)}
		}
		found = append(found, p)
	}
	for i := range n.Sources {
		src := &n.Sources[i]
		name := src.Name
		if name == fleet.KernelLogSource {
			name = "kernel log"
		}
		switch src.State {
		case facts.SourceState_SOURCE_DENIED:
			text := name + ": not checked, no permission"
			if src.Name == fleet.KernelLogSource && n.XidEvents {
				text += "; Xids are, by NVML's events"
			}
			add(src, fleet.Notice, text)
		case facts.SourceState_SOURCE_FAILING:
			text := name + ": not checked, failing"
			if src.Text != "" {
				text = name + ": " + short(src.Text, 80)
			}
			add(src, fleet.Notice, text)
		case facts.SourceState_SOURCE_STUCK:
			if src.Name == fileSystemsName && s.On("hw.fs-hung") {
				continue // that is told as what it means
			}
			add(src, fleet.Warning, name+": stuck"+seconds(src.StuckS.Or(0)))
		}
	}
	return found
}

// seconds is " 41 s", or nothing for less than one.
func seconds(s float64) string {
	if s < 1 {
		return ""
	}
	return fmt.Sprintf(" %.0f s", s)
}
