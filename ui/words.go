package ui

import (
	"strings"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// nodeSeverity ranks a node by the worst of how it is reached and what is wrong on it. Of one that is out of service all that is known: it is no news.
func nodeSeverity(n *fleet.Node) fleet.Severity {
	s := reachSeverity(n)
	if p := n.Worst(); p != nil && n.OutOfService() {
		s = max(s, min(p.Severity, fleet.Notice))
	} else if p != nil {
		s = max(s, p.Severity)
	}
	return s
}

// reachSeverity ranks how a node is reached. A host key that has changed or is revoked is an alarm, which package sshpool's words begin with; one
// that is only not known yet is a question.
func reachSeverity(n *fleet.Node) fleet.Severity {
	if n.State == fleet.NeedsTrust && strings.HasPrefix(n.Cause, "HOST KEY") {
		return fleet.Critical
	}
	s := stateSeverity(n.State)
	if n.OutOfService() { // somebody knows
		s = min(s, fleet.Notice)
	}
	return s
}

// stateSeverity ranks the ways in which a node is not live. Waiting for its turn is nothing wrong.
func stateSeverity(s fleet.State) fleet.Severity {
	switch s {
	case fleet.Lost, fleet.Refused, fleet.Misbehaving:
		return fleet.Critical
	case fleet.NeedsTrust, fleet.NeedsAuth, fleet.Stale:
		return fleet.Warning
	}
	return fleet.Fine
}

// mark is a shape with its colour.
type mark struct {
	r  rune
	st style
}

func severityMark(s fleet.Severity) mark {
	switch s {
	case fleet.Critical:
		return mark{markCritical, fg(colCrit)}
	case fleet.Warning:
		return mark{markWarning, fg(colWarn)}
	case fleet.Notice:
		return mark{markNotice, fg(colDefault)}
	}
	return mark{markFine, fg(colGood)}
}

// nodeMark is the shape before a node's state.
func nodeMark(n *fleet.Node) mark {
	switch n.State {
	case fleet.Live:
		return severityMark(nodeSeverity(n))
	case fleet.Stale:
		return mark{markStale, fg(colStale)}
	case fleet.NeedsTrust, fleet.NeedsAuth:
		return severityMark(reachSeverity(n))
	case fleet.Lost, fleet.Refused, fleet.Misbehaving:
		if n.OutOfService() {
			return severityMark(reachSeverity(n))
		}
		return mark{markCritical, fg(colCrit)}
	}
	return mark{markIdle, fg(colDim)}
}

// conditionWord is what a node's scheduler says of it where new work would not start there; "" where it would, or nothing is said.
func conditionWord(n *fleet.Node) string {
	switch c := n.Condition(); c {
	case schedulers.Unknown, schedulers.Usable:
		return ""
	default:
		return c.String()
	}
}

// conditionReason is why, as somebody wrote it; "" where nobody did.
func conditionReason(n *fleet.Node) string {
	for i := range n.Scheduled {
		s := n.Scheduled[i].Node
		if s == nil || s.Reason == "" || s.Condition <= schedulers.Usable {
			continue
		}
		words := `"` + s.Reason + `"`
		if s.ReasonBy != "" {
			words += ", " + s.ReasonBy
		}
		return words
	}
	return ""
}

// nodeState is the state in words, with how long where that says something, and what its scheduler says of it: "lost 3m, drained".
func nodeState(n *fleet.Node, at time.Time) string {
	s, condition := n.State.String(), conditionWord(n)
	if n.Via != "" && n.State == fleet.Live {
		s = n.Via // whose word it is, in a column of twelve cells
	}
	if n.State == fleet.Live && n.OutOfService() {
		return condition // that it is live can be seen by its age
	}
	switch {
	case condition == "" || n.State.Out() && n.Condition() == schedulers.Unreachable: // both say the same
		condition = ""
	default:
		condition = ", " + condition
	}
	if n.Since.IsZero() || n.State == fleet.Live || n.State == fleet.Waiting {
		return s + condition
	}
	since := n.Since
	if n.State == fleet.Stale && !n.LastFrame.IsZero() {
		since = n.LastFrame
	}
	return s + " " + formatShort(at.Sub(since)) + condition
}

// formatShort is formatAge in whole seconds, so that it takes little room and changes once a second.
func formatShort(d time.Duration) string {
	if d = max(0, d); d < 10*time.Second {
		d = d.Truncate(time.Second)
		return string(rune('0'+int(d/time.Second))) + "s"
	}
	return formatAge(d)
}

// nodeNote is what there is to say of a node: of one that is not live the cause and the remedy, else its worst problem.
func nodeNote(n *fleet.Node, at time.Time) string {
	if n.State != fleet.Live {
		note := n.Cause
		if n.Remedy != "" {
			if note != "" {
				note += " → "
			}
			note += n.Remedy
		}
		if !n.NextTry.IsZero() && n.NextTry.After(at) {
			if note != "" {
				note += " · "
			}
			note += "next try in " + formatShort(n.NextTry.Sub(at))
		}
		if why := conditionReason(n); why != "" {
			if note != "" {
				note += " · "
			}
			note += conditionWord(n) + ": " + why
		}
		return note
	}
	if p := n.Worst(); p != nil {
		note := p.Text
		if why := conditionReason(n); why != "" && !strings.Contains(note, why) && n.OutOfService() {
			note = conditionWord(n) + ": " + why + " · " + note
		}
		return note
	}
	return ""
}

// nodeNet is the traffic of a node: of its RDMA ports where it has any, else of its physical interfaces.
func nodeNet(n *fleet.Node) (rx, tx fleet.Reading) {
	rx, tx = fleet.None(), fleet.None()
	for i := range n.Ports {
		rx, tx = sum(rx, n.Ports[i].RcvBytesPerS), sum(tx, n.Ports[i].XmitBytesPerS)
	}
	if len(n.Ports) > 0 {
		return rx, tx
	}
	for i := range n.Nets {
		if n.Nets[i].Physical {
			rx, tx = sum(rx, n.Nets[i].RxBytesPerS), sum(tx, n.Nets[i].TxBytesPerS)
		}
	}
	return rx, tx
}

// xidIncident is how long after one Xid another may come and still belong to it: 154 (recovery needed) follows the 79 that it is about.
const xidIncident = 10 * time.Minute

// nodeXid is the worst Xid that the known part of the kernel log tells of; of several as bad, the first of the latest incident: what came first is
// the cause. When the log cannot be read it is "?": not checked, which is not "none".
func nodeXid(n *fleet.Node) string {
	var chosen *fleet.KernelLine
	for i := len(n.Kernel) - 1; i >= 0; i-- {
		k := &n.Kernel[i]
		switch {
		case k.Class.Xid == 0:
		case chosen == nil || k.Class.Severity > chosen.Class.Severity,
			k.Class.Severity == chosen.Class.Severity && chosen.Since().After(k.Since()) && chosen.Since().Sub(k.At) <= xidIncident:
			chosen = k
		}
	}
	if chosen != nil {
		return formatWhole(float64(chosen.Class.Xid))
	}
	if noGPU(n) {
		return absent
	}
	if s := nodeSource(n, fleet.KernelLogSource); (s == nil || s.State != facts.SourceState_SOURCE_OK) && !n.XidEvents {
		return "?"
	}
	return absent
}

// noGPU says that a node has told what it has, and that no GPU is among it.
func noGPU(n *fleet.Node) bool { return n.Inventory != nil && len(n.GPUs) == 0 }

func nodeSource(n *fleet.Node, name string) *fleet.Source {
	for i := range n.Sources {
		if n.Sources[i].Name == name {
			return &n.Sources[i]
		}
	}
	return nil
}

// sourceWord says how a source does; never more than what is known.
func sourceWord(s facts.SourceState) string {
	switch s {
	case facts.SourceState_SOURCE_OK:
		return "ok"
	case facts.SourceState_SOURCE_UNSUPPORTED:
		return "none here"
	case facts.SourceState_SOURCE_DENIED:
		return "denied"
	case facts.SourceState_SOURCE_FAILING:
		return "failing"
	case facts.SourceState_SOURCE_STUCK:
		return "stuck"
	}
	return "not told yet"
}

func sourceMark(s facts.SourceState) mark {
	switch s {
	case facts.SourceState_SOURCE_OK:
		return mark{markFine, fg(colGood)}
	case facts.SourceState_SOURCE_UNSUPPORTED:
		return mark{markAbsent, fg(colDim)}
	case facts.SourceState_SOURCE_FAILING, facts.SourceState_SOURCE_STUCK:
		return mark{markCritical, fg(colCrit)}
	case facts.SourceState_SOURCE_DENIED:
		return mark{markWarning, fg(colWarn)}
	}
	return mark{markUnknown, fg(colDim)}
}

// jobWord is a job's condition as filters name it.
func jobWord(s fleet.JobState) string {
	words := [...]string{"running", "starting", "partial", "idle", "suspect", "unchecked", "ended", "pending", "unseen"}
	if int(s) < len(words) {
		return words[s]
	}
	return "unknown"
}

func jobMark(j *fleet.Job) mark {
	if j.Severity >= fleet.Warning {
		return severityMark(j.Severity)
	}
	switch j.State {
	case fleet.JobRunning:
		return mark{markFine, fg(colGood)}
	case fleet.JobStarting:
		return mark{markStale, fg(colAccent)}
	case fleet.JobPartial, fleet.JobSuspect:
		return mark{markWarning, fg(colWarn)}
	case fleet.JobUnchecked, fleet.JobUnseen:
		return mark{markUnknown, fg(colStale)}
	case fleet.JobPending:
		return mark{markIdle, fg(colDim)}
	case fleet.JobEnded:
		return mark{markAbsent, fg(colDim)}
	}
	return mark{markNotice, fg(colDefault)} // idle, and what there is no shape of its own for
}

// jobText is a job's condition in words; never empty.
func jobText(j *fleet.Job) string {
	if j.StateText != "" {
		return j.StateText
	}
	if j.State == fleet.JobUnchecked {
		return "not checked: its nodes are not live"
	}
	return jobWord(j.State)
}

// gpuStatus says what is wrong with a GPU as such; "" when it answers.
func gpuStatus(g *fleet.GPU) string {
	switch g.Status {
	case telemetry.GPUOK:
		return ""
	case telemetry.GPULost:
		return "lost: fallen off the bus"
	case telemetry.GPUFailing:
		return "failing: its driver returns errors"
	case telemetry.GPUUnanswered:
		return "not answering"
	}
	return "status not known"
}

// gpuMark is the shape of a GPU: what is wrong or odd with it, worst first; 0 when its number may speak.
func gpuMark(g *fleet.GPU, state fleet.State) rune {
	switch {
	case g == nil || state != fleet.Live && state != fleet.Stale:
		return markUnknown
	case g.Status > telemetry.GPUOK || g.Severity >= fleet.Critical:
		return markCritical
	case state == fleet.Stale || g.Stale > 0:
		return markStale
	case g.Severity == fleet.Warning:
		return markWarning
	case !g.IdleSince.IsZero():
		return markIdle
	}
	return 0
}

// markRank orders the shapes of cells by how much they matter.
func markRank(r rune) int {
	switch r {
	case markCritical:
		return 5
	case markWarning:
		return 4
	case markUnknown:
		return 3
	case markStale:
		return 2
	case markIdle:
		return 1
	}
	return 0
}

// problemOf is the worst problem that names a GPU of the node; nil when none does.
func problemOf(n *fleet.Node, gpu int) *fleet.Problem {
	for i := range n.Problems {
		if n.Problems[i].GPU == gpu {
			return &n.Problems[i]
		}
	}
	return nil
}
