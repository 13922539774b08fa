package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// How long a job may stand still before it is said.
const (
	hangLeast    = 10 * time.Second // whatever it does otherwise, where something else is wrong too
	hangQuiet    = 20 * time.Second // and where nothing is
	hangTimes    = 2                // so many times its longest harmless pause …
	hangMore     = 6 * time.Second  // … and so much more
	hangUnknown  = 5 * time.Minute  // while its pauses are not known yet
	hangStarting = 10 * time.Minute // the same of a job that started less than this before it was first seen: it may compile, or wait for all ranks to connect
	hangOld      = 30 * time.Minute // a job that has run for so long before it was first seen neither compiles nor connects any more:
	hangGlimpse  = 3 * time.Second  // so much work must have been seen of it,
	hangYoung    = 40 * time.Second // and it may pause for so long until its pauses are known
	savingMost   = 10 * time.Minute // while files are written
	aloneLeast   = 10 * time.Minute // while a few ranks work and the others wait for them: they may evaluate, or save
)

// proof is something that is wrong beside a hang, seen by other means.
type proof struct {
	who  fleet.Suspect
	text string
}

// hang says that all ranks wait, all but a few that are broken or do nothing: one of those is the suspect. Without anything else that is wrong it is a warning, and
// only told when it lasts longer than the job's own pauses do.
func hang(c *jobCase) answer {
	w := c.w
	if len(c.j.GPUs) == 0 || !w.usesGPUs() && len(c.stopped()) > 0 {
		return hangWithoutGPUs(c)
	}
	if w.phase == unread || !w.seen.hasPeers(c.j) {
		if w.seen.n == 1 && w.seen.read > 0 {
			return answer{unchecked: "one GPU waits for nobody"}
		}
		return answer{unchecked: "no GPU readings of use and power"}
	}
	if v := aloneForLong(c); v.Text != "" {
		return says(v)
	}
	lasts := w.waits.lasts(c.at)
	if lasts == 0 {
		if !w.waits.learned() {
			return answer{unchecked: "its pauses are not learned yet"}
		}
		return answer{}
	}
	proofs := c.proofs()
	limit, known := hangLeast, true
	longest := w.waits.longest(c.at)
	switch {
	case len(proofs) > 0:
	case w.waits.learned() && w.save.IsZero():
		limit = max(hangQuiet, hangTimes*longest+hangMore)
	case w.waits.learned(): // files were written just before: a checkpoint that does not end is told as that
		limit = max(hangTimes*max(longest, w.saves.longest(c.at))+hangMore, savingMost)
	case !c.j.Start.IsZero() && w.first.Sub(c.j.Start) >= hangOld && w.waits.worked >= hangGlimpse:
		limit = hangYoung
	default:
		known = false
		limit = hangUnknown
		if !c.j.Start.IsZero() && w.first.Sub(c.j.Start) < hangStarting {
			limit = hangStarting
		}
		if w.seen.judged == 0 {
			return answer{unchecked: "its pauses are not learned yet, and its GPUs do not tell what they compute or move"}
		}
	}
	if lasts < limit {
		if !known {
			return answer{unchecked: "its pauses are not learned yet"}
		}
		return answer{}
	}
	w.waits.told = true
	v := fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Since: w.waits.since, Text: fmt.Sprintf("no progress %.0f s", lasts.Seconds()),
		Remedy: "look at the suspect's stacks and log before anything is ended; then end or restart the job"}
	v.Evidence = append(v.Evidence, fmt.Sprintf("%d of %d GPUs wait: 100 %% used, %s of their power, no tensor work, no traffic", w.seen.spin, w.seen.n, percent(float64(c.j.PowerPct))))
	if known && longest > 0 {
		v.Evidence = append(v.Evidence, fmt.Sprintf("its longest pause before: %.0f s", longest.Seconds()))
	}
	convict(&v, proofs)
	for _, i := range w.seen.odd {
		ref := &c.j.GPUs[i]
		if ref.State == fleet.Live && !isBroken(ref) {
			if len(v.Suspects) == 0 {
				v.Evidence = append(v.Evidence, fmt.Sprintf("%s does nothing: %s used", who(ref), percent(float64(ref.GPU.UtilPct))))
			}
			v.Suspects = accuse(v.Suspects, ref.Suspect())
		}
	}
	if len(v.Suspects) == 0 {
		v.Text += ", no rank differs"
		return says(v)
	}
	v.Text += " · suspect " + v.Suspects[0].String()
	return says(v)
}

// aloneForLong says that all have waited for a few that work for so long that it is hardly an evaluation or a checkpoint.
func aloneForLong(c *jobCase) fleet.Verdict {
	w := c.w
	if w.phase != alone || len(w.seen.works) == 0 {
		return fleet.Verdict{}
	}
	lasts := w.solo.lasts(c.at)
	if lasts < max(aloneLeast, 3*w.solo.longest(c.at)) {
		return fleet.Verdict{}
	}
	w.solo.told = true
	v := fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Since: w.solo.since, Remedy: "look at what it does: an evaluation or a checkpoint of one rank, or an endless loop"}
	for _, i := range w.seen.works {
		v.Suspects = accuse(v.Suspects, c.j.GPUs[i].Suspect())
	}
	v.Text = fmt.Sprintf("%s works alone, the others wait %s", v.Suspects[0], span(lasts))
	v.Evidence = []string{fmt.Sprintf("%d of %d GPUs wait for it", w.seen.spin, w.seen.n)}
	return v
}

// convict takes proofs into a verdict: it is critical, and names whom they accuse.
func convict(v *fleet.Verdict, proofs []proof) {
	for i, p := range proofs {
		if v.Severity = fleet.Critical; i < mostEvidence {
			v.Evidence = append(v.Evidence, p.text)
		}
		if p.who.Node != "" || p.who.Rank >= 0 {
			v.Suspects = accuse(v.Suspects, p.who)
		}
	}
}

// maxSuspects bounds Verdict.Suspects, mostEvidence what of one kind is told.
const (
	maxSuspects  = 4
	mostEvidence = 4
)

func accuse(list []fleet.Suspect, who fleet.Suspect) []fleet.Suspect {
	for _, s := range list {
		if s == who || s.Node == who.Node && s.Rank == who.Rank && s.Rank >= 0 {
			return list
		}
	}
	if len(list) >= maxSuspects {
		return list
	}
	return append(list, who)
}

// nobody is accused by what shows only that something is wrong.
var nobody = fleet.Suspect{GPU: -1, Port: -1, Rank: -1, Stage: -1}

// proofs are what is wrong with what the job runs on, or with its processes, as far as it may stop it: the surest first.
func (c *jobCase) proofs() (list []proof) {
	add := func(who fleet.Suspect, format string, args ...any) {
		if len(list) < 16 {
			list = append(list, proof{who, fmt.Sprintf(format, args...)})
		}
	}
	for i := range c.j.GPUs {
		if ref := &c.j.GPUs[i]; ref.State == fleet.Live && isBroken(ref) {
			add(ref.Suspect(), "%s GPU%d %s", ref.Node, ref.Index, brokenWords(ref, c.nodes(ref.Node)))
		}
	}
	for _, r := range c.stopped() {
		add(fleet.SuspectRank(r.node, r.rank), "rank %d is %s since %.0f s (pid %d on %s)", r.rank, r.words, c.at.Sub(r.since).Seconds(), r.pid, r.node)
	}
	for i, name := range c.j.Nodes {
		n := c.w.on[i]
		switch {
		case n == nil:
		case n.State == fleet.Lost || n.State == fleet.Misbehaving:
			add(fleet.SuspectNode(name), "%s %s: %s", name, n.State, short(n.Cause, 80))
		case n.State == fleet.Stale && c.at.Sub(n.LastData) > hangLeast:
			add(fleet.SuspectNode(name), "%s is silent for %.0f s", name, c.at.Sub(n.LastData).Seconds())
		}
	}
	if c.past.complete && c.j.MissingN > 0 && !c.w.lost.IsZero() && len(c.j.Unwatched) == 0 {
		for _, rank := range c.j.Missing[:min(len(c.j.Missing), maxSuspects)] {
			add(c.w.pids.suspect(rank), "rank %d is gone", rank)
		}
	}
	for i, name := range c.j.Nodes {
		n := c.w.on[i]
		if n == nil || n.State != fleet.Live {
			continue
		}
		for i := range n.Ports {
			const active = 4
			if p := &n.Ports[i]; p.State >= 0 && p.State != active && p.GPU >= 0 {
				if ref := device(c.j, name, p.GPU); ref != nil && p.Severity >= fleet.Warning {
					who := ref.Suspect()
					who.Port = i
					add(who, "%s %s is down", name, p.Name)
				}
			}
		}
	}
	c.rasProofs(add)
	if age := c.w.log.silent(c.j, c.at); age > 0 {
		add(nobody, "its log is silent for %s", span(age))
	}
	return list
}

// rasProofs are ranks of which NCCL itself says, since the job has stood still, that they are gone, or that the others wait for them.
func (c *jobCase) rasProofs(add func(who fleet.Suspect, format string, args ...any)) {
	r := c.j.RAS
	if !r.Told() || c.w.waits.since.IsZero() || r.At.Before(c.w.waits.since) {
		return
	}
	for i := range r.Gone {
		switch g := &r.Gone[i]; {
		case g.GoesOn, g.State == "dead" && g.Seen && g.Since.Before(c.w.waits.since): // it was cut off before
		case g.Rank < 0, g.Victim():
			add(nobody, "NCCL RAS: %s %s", g.Who(), g.Says())
		default:
			add(fleet.SuspectRank(g.Node, g.Rank), "NCCL RAS: %s %s", g.Who(), g.Says())
		}
	}
	for i := range r.Lagging { // what lags for a moment only says nothing
		if l := &r.Lagging[i]; l.Few() && l.Lasts(r.At) > 0 {
			add(fleet.SuspectRank(l.Node, l.Rank), "NCCL RAS: %s %s, %d of %d others are further", l.Who(), l.Says(), l.Of-l.Behind, l.Of-1)
		}
	}
}

func brokenWords(ref *fleet.GPURef, n *fleet.Node) string {
	switch ref.GPU.Status {
	case telemetry.GPULost:
		return "lost"
	case telemetry.GPUUnanswered:
		return "not answering"
	case telemetry.GPUFailing:
		return "failing"
	}
	if n != nil {
		for k := range n.Problems {
			if p := &n.Problems[k]; p.GPU == ref.Index && p.Severity == fleet.Critical {
				return "critical: " + brief(p.Text)
			}
		}
	}
	return "critical"
}

// who names the rank on a GPU, or the GPU where no rank is known.
func who(ref *fleet.GPURef) string { return ref.Suspect().String() }

// percent is "22 %", or "–" for what is not known.
func percent(v float64) string {
	if v != v {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", v)
}

// span is "41 s", "7 min", "2 h".
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
