package fleet

import "time"

// Rules judge the fleet. They stand above this package (in findings) and are injected, so that the state knows no verdicts. All are pure over what they
// are given, called from one goroutine at a time per subject, and may be nil.
type Rules struct {
	// Kernel reads one kernel line.
	Kernel func(text string) KernelClass
	// Node lists what is wrong on a node, worst first.
	Node func(n *Node, at time.Time, m Memory) []Problem
	// Job says how a job does. j's ranks, devices and means are filled in; nodes are found by name.
	Job func(j *Job, nodes func(name string) *Node, at time.Time, m Memory) Verdict
}

// KernelClass is what a kernel line says.
type KernelClass struct {
	Severity Severity
	Kind     string // xid, oom, link, …; "" for an ordinary line
	Text     string // in short words
	PCI      string // dddd:bb:dd.f of the device it names, "" for none
	Xid      int    // 0: none
}

// Verdict is a job's condition.
type Verdict struct {
	State    JobState
	Severity Severity
	Text     string
}

// Memory holds, for one subject, since when conditions have held: a rule that needs "for 20 s" asks Since. Conditions not asked for with
// holds=true in an evaluation are forgotten by the rule itself calling Since with false.
type Memory map[string]time.Time

// Since notes whether a condition holds and says for how long it has.
func (m Memory) Since(condition string, holds bool, at time.Time) time.Duration {
	if !holds {
		delete(m, condition)
		return 0
	}
	t, ok := m[condition]
	if !ok {
		m[condition] = at
		return 0
	}
	return at.Sub(t)
}
