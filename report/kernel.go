package report

import (
	"cmp"
	"slices"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// kernelLine is one line of a node's kernel log, or several that are alike.
type kernelLine struct {
	Node     string
	At       time.Time // of the oldest
	Last     time.Time // of the newest
	Count    int
	Severity fleet.Severity
	Means    string // what it says, in short words
	Text     string
	NVML     bool // the driver told it, not the log
}

// kernelBook collects lines over snapshots: in each a node tells the end of its log.
type kernelBook struct {
	byKey map[kernelKey][]int
	lines []kernelLine
}

type kernelKey struct {
	node  string
	shape uint64
}

// sameLine is how far apart two tellings of one line may be: its time is worked out anew as clocks are learned.
const sameLine = 5 * time.Second

// take adds the lines of a node that mean something.
func (b *kernelBook) take(n *fleet.Node) {
	if b.byKey == nil {
		b.byKey = map[kernelKey][]int{}
	}
	for i := range n.Kernel {
		l := &n.Kernel[i]
		if l.Class.Kind == "" || l.Class.Severity < fleet.Notice {
			continue
		}
		key := kernelKey{n.Name, telemetry.Shape(l.Text)}
		at := slices.IndexFunc(b.byKey[key], func(k int) bool { return b.lines[k].At.Sub(l.Since()).Abs() <= sameLine })
		if at >= 0 {
			old := &b.lines[b.byKey[key][at]]
			if l.N() > old.Count {
				old.Count, old.Last = l.N(), l.At
			}
			continue
		}
		b.byKey[key] = append(b.byKey[key], len(b.lines))
		b.lines = append(b.lines, kernelLine{
			Node: n.Name, At: l.Since(), Last: l.At, Count: l.N(), Severity: l.Class.Severity, Means: plain(l.Class.Text), Text: plain(l.Text), NVML: l.NVML,
		})
	}
}

// within are the lines of a time, oldest first; of more than may be told the mildest, and of these the latest, are left out.
func (b *kernelBook) within(from, to time.Time) (list []kernelLine, left int) {
	for _, l := range b.lines {
		if !l.Last.Before(from) && !l.At.After(to) {
			list = append(list, l)
		}
	}
	byTime := func(a, b kernelLine) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Node, b.Node)) }
	slices.SortStableFunc(list, byTime)
	if left = len(list) - maxKernel; left > 0 {
		slices.SortStableFunc(list, func(a, b kernelLine) int { return -cmp.Compare(a.Severity, b.Severity) })
		list = list[:maxKernel]
		slices.SortStableFunc(list, byTime)
	}
	return list, max(left, 0)
}

// plain is text from outside as it may be written.
func plain(s string) string { return telemetry.Clean(s, maxText) }
