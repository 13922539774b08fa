package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
)

// What a kernel says so long before a job's processes are gone, or so shortly after it was noticed, is told as the likely cause.
const (
	causeBefore = time.Minute
	causeAfter  = 10 * time.Second
	// alarmFor is how long a bad end is news; later it is only told.
	alarmFor = 10 * time.Minute
)

// ended says how long ago a job ended, how its scheduler says that it did, and what the kernel of one of its nodes said just before.
func (s Set) ended(j *fleet.Job, nodes func(string) *fleet.Node, at time.Time) (v fleet.Verdict) {
	v = fleet.Verdict{State: fleet.JobEnded, Text: "ended " + ago(at.Sub(j.Ended))}
	v.Rule = "job.ended"
	defer func() {
		if at.Sub(j.Ended) >= alarmFor {
			v.Severity = min(v.Severity, fleet.Notice)
		}
		if !s.On("job.ended") {
			v.Severity = fleet.Fine
		}
	}()
	if t := j.Told; t != nil {
		switch {
		case t.Phase == schedulers.Pending:
			v.Text = "queued again " + ago(at.Sub(j.Ended)) + ", waits" + inBrackets(t.Reason)
		case t.Phase == schedulers.Ended:
			v.Text += ": " + endWords(t)
			if !wentWell(t) {
				v.Severity = fleet.Warning
			}
		}
	}
	var cause *fleet.KernelLine
	where := ""
	for _, name := range j.Nodes {
		n := nodes(name)
		if n == nil {
			continue
		}
		for i := range n.Kernel {
			l := &n.Kernel[i]
			if j.Ended.Sub(l.At) > causeBefore || j.Ended.Sub(l.Since()) < -causeAfter || !ends(&l.Class) || l.GPU >= 0 && !had(j, name, l.GPU) {
				continue
			}
			if cause == nil || l.Class.Severity > cause.Class.Severity {
				cause, where = l, name
			}
		}
	}
	if cause == nil {
		return v
	}
	v.Severity = max(fleet.Warning, cause.Class.Severity)
	suspect := fleet.SuspectNode(where)
	suspect.GPU = cause.GPU
	v.Suspects, v.Since, v.Evidence = []fleet.Suspect{suspect}, cause.At, []string{where + ": " + short(cause.Text, maxEvidence)}
	gap := ":"
	if strings.Contains(v.Text, ": ") {
		gap = " ·"
	}
	if dead, ok := strings.CutPrefix(cause.Class.Text, "OOM kill: "); ok {
		dead, _, _ = strings.Cut(dead, " (")
		v.Severity = fleet.Critical
		v.Text += fmt.Sprintf("%s OOM kill on %s (%s)", gap, where, dead)
		return v
	}
	v.Text += gap + " " + where + " " + lineText(cause)
	return v
}

// ends says whether what a line tells may end a process: Xids 13 and 31 are a program's own faults, yet they end it.
func ends(c *fleet.KernelClass) bool {
	switch c.Kind {
	case "oom":
		return c.Severity >= fleet.Warning
	case "panic":
		return true
	case "xid", "sxid", "gpu":
		return c.Severity >= fleet.Warning || c.Xid == 13 || c.Xid == 31
	}
	return false
}

// had says whether a GPU was the job's. Of a job without known GPUs it may have been.
func had(j *fleet.Job, node string, gpu int) bool {
	known := false
	for i := range j.Ranks {
		if r := &j.Ranks[i]; r.Node == node && len(r.GPUs) > 0 {
			known = true
			if slices.Contains(r.GPUs, gpu) {
				return true
			}
		}
	}
	return !known
}

// ago is "12 s ago", "7 min ago", "2 h ago".
func ago(d time.Duration) string {
	switch d = max(0, d); {
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	}
	return fmt.Sprintf("%d h ago", d/time.Hour)
}
