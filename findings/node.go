package findings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// How long what a kernel line said stays a problem. Nothing says that a dead GPU lives again but a reboot, which empties the log.
const (
	criticalLines = 24 * time.Hour
	warningLines  = time.Hour
	noticeLines   = 10 * time.Minute
	calmAfter     = 5 * time.Minute // a warning that is not repeated for so long is the past: a notice that says its age
)

// Node lists what is wrong on a node, worst first. Of a node that is not live only what its kernel said counts: its last readings are no longer true.
func Node(n *fleet.Node, at time.Time, m fleet.Memory) []fleet.Problem {
	found := kernelProblems(nil, n, at)
	found = scheduledProblems(found, n, at, m)
	r := remember(m)
	if n.State == fleet.Live || n.State == fleet.Stale {
		found = gpuProblems(found, n, at, r)
		for i := range n.Ports {
			found = portProblems(found, n, i, at, r)
		}
		found = netProblems(found, n, at, r)
		found = hostProblems(found, n)
		found = sourceProblems(found, n)
	}
	slices.SortStableFunc(found, func(a, b fleet.Problem) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.GPU, b.GPU), cmp.Compare(a.Text, b.Text))
	})
	return found
}

// problem is one of the node as a whole.
func problem(s fleet.Severity, text string) fleet.Problem {
	return fleet.Problem{Severity: s, Text: text, GPU: -1, Port: -1}
}

// lineKey is what makes kernel lines one problem.
type lineKey struct {
	gpu       int
	pci, text string
}

// kernelProblems makes problems of the kernel's lines: equal ones are one with a count, those that the kernel took back are none. What a driver told of an
// Xid by itself, where the log has no line of it, counts as a line.
func kernelProblems(found []fleet.Problem, n *fleet.Node, at time.Time) []fleet.Problem {
	type group struct {
		line  *fleet.KernelLine
		count int
		since time.Time
	}
	var groups []group
	var index map[lineKey]int
	for i := range n.Kernel {
		l := &n.Kernel[i]
		c := &l.Class
		if c.Kind == "" || c.Text == "" || c.Kind == "oom" && c.Severity < fleet.Warning || at.Sub(l.At) > lasting(c.Severity) {
			continue // the words around an OOM kill are none
		}
		if c.Severity == fleet.Fine { // well again
			for j := range groups {
				if g := groups[j].line; g != nil && sameSubject(g, l) {
					delete(index, keyOf(g))
					groups[j].line = nil
				}
			}
			continue
		}
		k := keyOf(l)
		j, ok := index[k]
		if !ok {
			if index == nil {
				index = map[lineKey]int{}
			}
			j = len(groups)
			index[k] = j
			groups = append(groups, group{since: l.Since()})
		}
		g := &groups[j]
		g.line = l
		g.count += l.N()
		if since := l.Since(); since.Before(g.since) {
			g.since = since
		}
	}
	for _, g := range groups {
		if g.line == nil {
			continue
		}
		p := problem(g.line.Class.Severity, lineText(g.line))
		p.GPU, p.Since, p.Cause = g.line.GPU, g.since, g.line.Class.Cause
		if g.count > 1 {
			p.Text += fmt.Sprintf(" ×%d", g.count)
		}
		if since := at.Sub(g.line.At); p.Severity == fleet.Warning && since >= calmAfter && !takenBack(g.line.Class.Kind) {
			p.Severity = fleet.Notice
			p.Text += ", " + ago(since)
		}
		found = append(found, p)
	}
	return found
}

func keyOf(l *fleet.KernelLine) lineKey { return lineKey{l.GPU, l.Class.PCI, l.Class.Text} }

// sameSubject says that two lines are of one thing, by what stands before the colon.
func sameSubject(a, b *fleet.KernelLine) bool {
	subject, _, _ := strings.Cut(b.Class.Text, ": ")
	return a.Class.Kind == b.Class.Kind && a.GPU == b.GPU && (a.Class.PCI == b.Class.PCI || a.Class.PCI == "" || b.Class.PCI == "") && strings.HasPrefix(a.Class.Text, subject+": ")
}

// takenBack says that the kernel tells when such a thing is well again: until then it lasts.
func takenBack(kind string) bool {
	return kind == "nfs" || kind == "lustre" || kind == "link" || kind == "bond"
}

func lasting(s fleet.Severity) time.Duration {
	switch s {
	case fleet.Critical:
		return criticalLines
	case fleet.Notice:
		return noticeLines
	}
	return warningLines
}

// lineText names the GPU in a line's words: "Xid 79 GPU3: fell off the bus"; or the device's address, when it is none of the inventory.
func lineText(l *fleet.KernelLine) string {
	subject, what, ok := strings.Cut(l.Class.Text, ": ")
	if !ok {
		return l.Class.Text
	}
	switch {
	case l.GPU >= 0 && subject == "GPU":
		return fmt.Sprintf("GPU%d: %s", l.GPU, what)
	case l.GPU >= 0:
		return fmt.Sprintf("%s GPU%d: %s", subject, l.GPU, what)
	case l.Class.PCI != "":
		return subject + " " + l.Class.PCI + ": " + what
	}
	return l.Class.Text
}

// Bounds of a file system and of memory that is as good as full.
const (
	fsFullPct     = 95
	memoryFullPct = 97
)

func hostProblems(found []fleet.Problem, n *fleet.Node) []fleet.Problem {
	for i := range n.FS {
		f := &n.FS[i]
		free := f.AvailableBytes.Share(f.SizeBytes)
		if !free.Known() || 100-free < fsFullPct || fullByNature(f.Type) {
			continue
		}
		s := fleet.Warning
		if f.AvailableBytes < 1<<20 {
			s = fleet.Critical
		}
		found = append(found, problem(s, fmt.Sprintf("%s %.0f %% full", f.Mount, float64(100-free))))
	}
	if used := n.Host.MemUsedBytes.Share(n.Host.MemTotalBytes); used.Known() && used >= memoryFullPct {
		found = append(found, problem(fleet.Warning, fmt.Sprintf("memory %.0f %% used", float64(used))))
	}
	return found
}

// fullByNature: images that are mounted read-only have no free space, ever.
func fullByNature(fs string) bool {
	switch fs {
	case "squashfs", "iso9660", "erofs", "cramfs", "udf":
		return true
	}
	return false
}

// sourceProblems says what could not be looked at.
func sourceProblems(found []fleet.Problem, n *fleet.Node) []fleet.Problem {
	for i := range n.Sources {
		s := &n.Sources[i]
		name := s.Name
		if name == fleet.KernelLogSource {
			name = "kernel log"
		}
		switch s.State {
		case facts.SourceState_SOURCE_DENIED:
			text := name + ": not checked, no permission"
			if s.Name == fleet.KernelLogSource && n.XidEvents {
				text += "; Xids are, by NVML's events"
			}
			found = append(found, problem(fleet.Notice, text))
		case facts.SourceState_SOURCE_FAILING:
			text := name + ": not checked, failing"
			if s.Text != "" {
				text = name + ": " + short(s.Text, 80)
			}
			found = append(found, problem(fleet.Notice, text))
		case facts.SourceState_SOURCE_STUCK:
			found = append(found, problem(fleet.Warning, name+": stuck"+seconds(float64(s.StuckS.Or(0)))))
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
