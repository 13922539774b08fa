package findings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
)

// How long what a kernel line said stays a problem. Nothing says that a dead GPU lives again but a reboot, which empties the log.
const (
	criticalLines = 24 * time.Hour
	warningLines  = time.Hour
	noticeLines   = 10 * time.Minute
	calmAfter     = 5 * time.Minute // a warning that is not repeated for so long is the past: a notice that says its age
)

// Node lists what is wrong on a node, worst first. Of a node that is not live only what its kernel said counts: its last readings are no longer true.
func (s Set) Node(n *fleet.Node, at time.Time, m *fleet.Memory) []fleet.Problem {
	r := remembered{s, pastOf[nodePast](m)}
	found := r.kernelProblems(nil, n, at)
	found = s.scheduledProblems(found, n, at, r.nodePast)
	if n.State == fleet.Live || n.State == fleet.Stale {
		r.fit(n)
		found = gpuProblems(found, n, at, r)
		found = portsProblems(found, n, at, r)
		found = netProblems(found, n, at, r)
		found = hostProblems(found, n, at, r)
		found = s.hungProblems(found, n)
		found = s.sourceProblems(found, n)
		found = peerProblems(found, n)
	}
	complete(found)
	slices.SortStableFunc(found, func(a, b fleet.Problem) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.GPU, b.GPU), cmp.Compare(a.Text, b.Text))
	})
	return found
}

// problem is one of the node as a whole.
func problem(rule string, s fleet.Severity, text string) fleet.Problem {
	return fleet.Problem{Rule: rule, Severity: s, Text: text, GPU: -1, Port: -1}
}

// maxEvidence bounds a line of evidence, in bytes.
const maxEvidence = 240

// lineKey is what makes kernel lines one problem.
type lineKey struct {
	gpu       int
	pci, text string
}

// kernelProblems makes problems of the kernel's lines: equal ones are one with a count, those that the kernel took back are none. What a driver told of an
// Xid by itself, where the log has no line of it, counts as a line.
func (s remembered) kernelProblems(found []fleet.Problem, n *fleet.Node, at time.Time) []fleet.Problem {
	type group struct {
		line  *fleet.KernelLine
		count int
		since time.Time
	}
	var groups []group
	var index map[lineKey]int
	for _, t := range s.telling.of(n.Kernel) {
		if at.Sub(t.at) > t.lasts {
			continue
		}
		l := &n.Kernel[t.i]
		c := &l.Class
		if !s.On(kernelRule(c.Kind)) || c.Kind == "oom" && c.Severity < fleet.Warning {
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
		p := problem(kernelRule(g.line.Class.Kind), g.line.Class.Severity, lineText(g.line))
		p.GPU, p.Since, p.Cause, p.Remedy = g.line.GPU, g.since, g.line.Class.Cause, g.line.Class.Action
		p.Evidence = []string{short(g.line.Text, maxEvidence)}
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
