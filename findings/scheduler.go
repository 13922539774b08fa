package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
)

// How long a scheduler and the processes may disagree before it is told: a prolog fetches an image, an epilog cleans up, a picture is half a minute old.
const (
	unseenFirst   = 15 * time.Second // a job runs, says its scheduler, and no process of it is there: until that is looked at
	unseenFor     = 2 * time.Minute  // until it is told, where processes of it were there before, or it started so short a time ago
	unseenLong    = 10 * time.Minute // the same as a warning
	leftoverFor   = time.Minute      // processes outlive their job
	livesFor      = time.Minute      // a node is down to its scheduler, and live
	strangerFor   = time.Minute      // processes hold GPUs with no job of the scheduler there
	completingFor = 5 * time.Minute  // it ends, and does not come to an end
)

// scheduledProblems says what a node's scheduler says of it, and where that differs from what is seen. Whether there is such a node for a scheduler that is asked is
// known only where the node is joined; where that is not sure, it is not checked.
func (s Set) scheduledProblems(found []fleet.Problem, n *fleet.Node, at time.Time, past *nodePast) []fleet.Problem {
	for i := range n.Scheduled {
		d := &n.Scheduled[i]
		if d.Node == nil {
			if s.On("scheduler.unjoined") {
				found = append(found, problem("scheduler.unjoined", fleet.Notice, d.Kind+": not checked, "+d.Why))
			}
			continue
		}
		if !s.On("scheduler.node") {
			continue
		}
		lives := past.livesTo(d.Kind).note(n.State == fleet.Live && d.Node.Condition >= schedulers.Unreachable, at)
		if p, ok := conditionProblem(d, lives, at); ok {
			found = append(found, p)
		}
	}
	if !s.On("waste.strangers") {
		return found
	}
	return strangers(found, n, at, past)
}

// conditionProblem is what a node's condition in its scheduler means to somebody who looks for the reason why nothing starts there.
// lives is for how long it has been live here though its scheduler does not use it.
func conditionProblem(s *fleet.ScheduledNode, lives time.Duration, at time.Time) (fleet.Problem, bool) {
	p := problem("scheduler.node", fleet.Notice, s.Kind+": "+s.Node.Condition.String())
	switch s.Node.Condition {
	case schedulers.Draining, schedulers.Drained:
	case schedulers.Down, schedulers.Unreachable:
		if lives >= livesFor { // it is not down at all
			p.Severity = fleet.Warning
			p.Text += ", though it is live here"
		}
	default:
		return p, false
	}
	if why := reasonWords(s.Node, at); why != "" {
		p.Text += ": " + why
	}
	p.Since, p.Evidence = s.Node.ReasonAt, []string{short(s.Node.State+" "+s.Node.Reason, maxEvidence)}
	return p, true
}

// reasonWords is `"fan", ann 3 h ago`.
func reasonWords(n *schedulers.Node, at time.Time) string {
	if n.Reason == "" {
		return ""
	}
	words := `"` + short(n.Reason, 120) + `"`
	switch {
	case n.ReasonBy != "" && !n.ReasonAt.IsZero():
		words += ", " + n.ReasonBy + " " + ago(at.Sub(n.ReasonAt))
	case n.ReasonBy != "":
		words += ", " + n.ReasonBy
	case !n.ReasonAt.IsZero():
		words += ", " + ago(at.Sub(n.ReasonAt))
	}
	return words
}

// strangers finds processes that hold GPUs of a scheduler's node without a job of it.
func strangers(found []fleet.Problem, n *fleet.Node, at time.Time, past *nodePast) []fleet.Problem {
	kind := ""
	for i := range n.Scheduled {
		if s := &n.Scheduled[i]; s.Node != nil && s.Proof.Proven() {
			if kind != "" {
				kind += " or "
			}
			kind += s.Kind
		}
	}
	var users []string
	gpus := map[uint32]bool{}
	if kind != "" && n.State == fleet.Live {
		for _, p := range n.Processes {
			if len(p.Held) == 0 || p.Scheduler != "" || p.GetUser() == "root" { // root's are the system's: monitors, health checks
				continue
			}
			for _, h := range p.Held {
				gpus[h.Gpu] = true
			}
			if !slices.Contains(users, p.GetUser()) {
				users = append(users, p.GetUser())
			}
		}
	}
	since := past.strangers.note(len(users) > 0, at)
	if len(users) == 0 || since < strangerFor {
		return found
	}
	slices.Sort(users)
	who := list(users)
	if who == "" {
		who = "somebody"
	}
	p := problem("waste.strangers", fleet.Warning, fmt.Sprintf("%s by %s with no job of %s", held(len(gpus)), who, kind))
	p.Since, p.Evidence = at.Add(-since), []string{"their processes: " + thoseOf(n, func(p *fleet.Process) bool { return len(p.Held) > 0 && p.Scheduler == "" && p.GetUser() != "root" })}
	return append(found, p)
}

func held(gpus int) string {
	if gpus == 1 {
		return "1 GPU held"
	}
	return fmt.Sprintf("%d GPUs held", gpus)
}

// scheduled holds what a job's scheduler says against what is seen of it. A scheduler that does not answer, or never knew the job, says neither yes nor no.
func scheduled(j *fleet.Job, nodes func(string) *fleet.Node, at time.Time, past *jobPast) []fleet.Verdict {
	t := j.Told
	seen := len(j.Ranks) > 0 || holdsAny(j)
	gone := j.Asked == fleet.AskedNone || t != nil && t.Phase == schedulers.Ended
	over := past.leftover.note(gone && seen, at)
	past.seen = past.seen || seen
	absent := past.unseen.note(!seen && t != nil && t.Phase == schedulers.Running, at)
	var out []fleet.Verdict
	say := func(rule string, state fleet.JobState, s fleet.Severity, format string, args ...any) {
		out = append(out, fleet.Verdict{Rule: rule, State: state, Severity: s, Text: fmt.Sprintf(format, args...)})
	}
	if gone && seen && over >= leftoverFor {
		what := j.Scheduler + " knows of no such job"
		if t != nil {
			what = fmt.Sprintf("%s says that it ended (%s)", t.Kind, endWords(t))
		}
		say("scheduler.leftover", fleet.JobSuspect, fleet.Warning, "left over: %s, its processes hold %d GPUs", what, len(j.GPUs))
	}
	if t == nil {
		return out
	}
	switch t.Phase {
	case schedulers.Suspended:
		say("scheduler.suspended", fleet.JobSuspect, fleet.Notice, "suspended by %s%s", t.Kind, inBrackets(t.Reason))
	case schedulers.Completing:
		if d := at.Sub(t.EndAt); !t.EndAt.IsZero() && d >= completingFor {
			say("scheduler.completing", fleet.JobSuspect, fleet.Warning, "completing for %s: an epilog that does not end, or a process that cannot be killed?", long(d))
		} else if !seen {
			say("scheduler.completing", fleet.JobRunning, fleet.Notice, "completing")
		}
	}
	as := func(rule string, v fleet.Verdict) {
		v.Rule = rule
		out = append(out, v)
	}
	if v := downBelow(t, nodes); v.Text != "" {
		as("scheduler.node-down", v)
	}
	if t.Phase == schedulers.Running && !seen {
		as("scheduler.unseen", unseen(j, nodes, at, past, absent))
	}
	if len(t.Elsewhere) > 0 && len(t.Watched) > 0 {
		as("scheduler.elsewhere", elsewhere(j))
	}
	return out
}

func holdsAny(j *fleet.Job) bool {
	for i := range j.GPUs {
		if g := j.GPUs[i].GPU; g != nil && slices.ContainsFunc(g.Holders, func(h fleet.Holder) bool { return h.Job == j.Key }) {
			return true
		}
	}
	return false
}

// unseen says of a job of which only its scheduler tells, for so long, whether its processes should be seen. They are where it has GPUs, and its nodes were asked.
func unseen(j *fleet.Job, nodes func(string) *fleet.Node, at time.Time, past *jobPast, absent time.Duration) fleet.Verdict {
	asked, blind := 0, 0
	for _, name := range j.Nodes {
		n := nodes(name)
		switch {
		case n == nil || n.State != fleet.Live || !n.ProcessesTold:
			blind++
		default:
			asked++
		}
	}
	t := j.Told
	since := at.Sub(t.StartAt)
	switch {
	case asked == 0:
		return fleet.Verdict{State: fleet.JobUnchecked, Severity: fleet.Notice, Text: "not checked: none of its nodes is live"}
	case t.GPUs == 0:
		return fleet.Verdict{State: fleet.JobUnseen, Text: "running · it has no GPU, processes not checked"}
	case t.StartAt.IsZero() || since < unseenFor:
		return fleet.Verdict{State: fleet.JobStarting, Text: "starting: no process seen yet"}
	case absent < unseenFirst:
		return fleet.Verdict{State: fleet.JobUnseen, Text: "no process of it seen so far"}
	}
	if past.seen {
		if since = absent; since < unseenFor {
			return fleet.Verdict{State: fleet.JobStarting, Text: fmt.Sprintf("its processes are gone for %s, %s says that it runs", long(since), t.Kind)}
		}
		return fleet.Verdict{State: fleet.JobUnseen, Severity: fleet.Warning, Text: fmt.Sprintf("its processes are gone for %s, %s says that it runs on %s", long(since), t.Kind, list(j.Nodes))}
	}
	v := fleet.Verdict{State: fleet.JobUnseen, Severity: fleet.Notice, Text: fmt.Sprintf("%s says running for %s, no process of it holds a GPU on %s", t.Kind, long(since), list(j.Nodes))}
	if since >= unseenLong && blind == 0 && t.GPUs > 0 {
		v.Severity = fleet.Warning
	}
	return v
}

// elsewhere says that some of a job's nodes are not watched, so that what is there is not checked.
func elsewhere(j *fleet.Job) fleet.Verdict {
	t := j.Told
	v := fleet.Verdict{State: fleet.JobPartial, Severity: fleet.Notice, Text: fmt.Sprintf("%d of %d nodes not watched: %s", len(t.Elsewhere), len(t.Elsewhere)+len(t.Watched), t.ElsewhereText)}
	if j.World > 0 && j.MissingN > 0 {
		v.Text = fmt.Sprintf("%d of %d ranks seen: %s not watched", len(j.Ranks), j.World, t.ElsewhereText)
	}
	return v
}

// downBelow says that a node of a running job is down to the scheduler, which will end the job, or has taken it away.
func downBelow(t *fleet.Told, nodes func(string) *fleet.Node) fleet.Verdict {
	if t.Phase != schedulers.Running {
		return fleet.Verdict{}
	}
	var down []string
	for _, name := range t.Watched {
		if n := nodes(name); n != nil {
			if c := n.Condition(); c == schedulers.Down || c == schedulers.Unreachable {
				down = append(down, name)
			}
		}
	}
	if len(down) == 0 {
		return fleet.Verdict{}
	}
	return fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: fmt.Sprintf("%s down in %s", list(down), t.Kind)}
}

// endWords say how a job ended: "completed", "failed, exit code 1", "timeout".
func endWords(t *fleet.Told) string {
	words := strings.ToLower(strings.ReplaceAll(t.State, "_", " "))
	if words == "" {
		words = "ended"
	}
	code, signal, _ := strings.Cut(t.ExitCode, ":")
	switch {
	case t.ExitCode == "" || t.ExitCode == "0" || t.ExitCode == "0:0":
	case signal != "" && signal != "0":
		words += ", signal " + signal
	case strings.Trim(code, "0123456789") == "":
		words += ", exit code " + code
	default:
		words += ", " + t.ExitCode
	}
	if t.Reason != "" && !strings.EqualFold(t.Reason, "none") && !strings.EqualFold(strings.ReplaceAll(t.Reason, " ", ""), strings.ReplaceAll(words, " ", "")) {
		words += inBrackets(t.Reason)
	}
	return words
}

// wentWell says that a job ended as it should, or as its owner wanted.
func wentWell(t *fleet.Told) bool {
	s := strings.ToUpper(t.State)
	return strings.HasPrefix(s, "COMPLET") || strings.HasPrefix(s, "SUCCEED") || strings.HasPrefix(s, "CANCEL") || s == ""
}

func inBrackets(s string) string {
	if s == "" || strings.EqualFold(s, "none") {
		return ""
	}
	return " (" + short(s, 80) + ")"
}

// long is "41 s", "12 min", "3 h", "2 d".
func long(d time.Duration) string {
	switch d = max(0, d); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}
