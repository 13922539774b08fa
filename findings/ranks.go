package findings

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// How long ranks may be in a strange state before it is said.
const (
	stoppedFor  = 6 * time.Second  // a debugger stops a process for a moment
	sleepsFor   = time.Minute      // in a call into the kernel that cannot be interrupted
	missingFor  = 12 * time.Second // nodes tell one after another that a job's processes are gone
	oomFor      = 10 * time.Minute // an OOM kill is news
	crashWithin = 15 * time.Minute // people start a job anew a few times in an hour
	crashLoop   = 4                // starts within that time
	crashNews   = 10 * time.Minute
)

// pidTrail is which processes are the job's ranks, or were of late, so that what is said of one that is gone can be told of its rank.
type pidTrail struct {
	ranks []fleet.Rank // as last told: snapshots share the list
	gone  map[pidKey]pidGone
	last  map[int]string // the node where a rank was last
}

type pidKey struct {
	node string
	pid  int32
}

type pidGone struct {
	rank int
	at   time.Time // when it was seen to be gone
}

// rankOf is the rank that a process is, or was.
func (t *pidTrail) rankOf(node string, pid int32) (rank int, ok bool) {
	for i := range t.ranks {
		if r := &t.ranks[i]; r.PID == pid && r.Node == node {
			return r.Rank, true
		}
	}
	g, ok := t.gone[pidKey{node, pid}]
	return g.rank, ok
}

// suspect is a rank that is gone, with the node where it was.
func (t *pidTrail) suspect(rank int) fleet.Suspect { return fleet.SuspectRank(t.last[rank], rank) }

// stoppedRank is a rank whose process does not run.
type stoppedRank struct {
	rank  int
	node  string
	pid   int32
	since time.Time
	words string
	sleep bool // in the kernel, not stopped
}

// processes takes in which ranks there are, and which of them are stopped.
func (w *watch) processes(j *fleet.Job, at time.Time) {
	w.noteRanks(j, at)
	if j.MissingN > 0 && len(w.pids.last) > 0 && !w.at.IsZero() {
		if w.lost.IsZero() {
			w.lost = at
		}
	} else {
		w.lost = time.Time{}
	}
	if len(w.stops) > 0 {
		w.freed(j)
	}
	for _, n := range w.on {
		if n == nil || n.State != fleet.Live {
			continue
		}
		for _, p := range n.Processes {
			if p.Rank < 0 || p.Job != j.Key || !stands(p.Status) {
				continue
			}
			if w.stops == nil {
				w.stops = map[int]time.Time{}
			}
			if w.stops[p.Rank].IsZero() {
				w.stops[p.Rank] = at
			}
		}
	}
	w.cpu.note(j, w.on, at, w.usesGPUs())
}

// freed forgets the ranks that run again.
func (w *watch) freed(j *fleet.Job) {
	still := map[int]bool{}
	for _, n := range w.on {
		if n != nil {
			for _, p := range n.Processes {
				if p.Job == j.Key && stands(p.Status) {
					still[p.Rank] = true
				}
			}
		}
	}
	for rank := range w.stops {
		if !still[rank] {
			delete(w.stops, rank)
		}
	}
}

// stands says that a process is stopped by a signal or a debugger, is dead, or sleeps in the kernel.
func stands(status string) bool {
	return status == "T" || status == "t" || status == "D" || status == "Z"
}

func (w *watch) noteRanks(j *fleet.Job, at time.Time) {
	t := &w.pids
	old, now := t.ranks, j.Ranks
	if len(now) == 0 || len(old) == len(now) && &old[0] == &now[0] {
		return
	}
	t.ranks = now
	for len(old) > 0 && len(now) > 0 && sameRank(&old[0], &now[0]) { // nearly all
		old, now = old[1:], now[1:]
	}
	for len(old) > 0 && len(now) > 0 && sameRank(&old[len(old)-1], &now[len(now)-1]) {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	if t.last == nil {
		t.gone, t.last = map[pidKey]pidGone{}, map[int]string{}
	}
	for k, g := range t.gone {
		if at.Sub(g.at) > 2*oomFor {
			delete(t.gone, k)
		}
	}
	for i := range old {
		t.gone[pidKey{old[i].Node, old[i].PID}] = pidGone{old[i].Rank, at}
	}
	for i := range now {
		r := &now[i]
		delete(t.gone, pidKey{r.Node, r.PID})
		if r.Rank >= 0 {
			t.last[r.Rank] = r.Node
		}
	}
}

func sameRank(a, b *fleet.Rank) bool { return a.PID == b.PID && a.Rank == b.Rank && a.Node == b.Node }

// stopped are the ranks that have been stopped for long enough, the longest first.
func (c *jobCase) stopped() (list []stoppedRank) {
	if len(c.w.stops) == 0 {
		return nil
	}
	for i, name := range c.j.Nodes {
		n := c.w.on[i]
		if n == nil || n.State != fleet.Live {
			continue
		}
		for _, p := range n.Processes {
			since, ok := c.w.stops[p.Rank]
			if !ok || p.Job != c.j.Key || p.Rank < 0 {
				continue
			}
			s := stoppedRank{p.Rank, name, p.Pid, since, "stopped", false}
			least := stoppedFor
			switch p.Status {
			case "T":
			case "t":
				s.words = "stopped by a debugger"
			case "Z":
				s.words = "dead, and not reaped"
			case "D":
				s.words, s.sleep, least = "asleep in the kernel (state D)", true, sleepsFor
			default:
				continue
			}
			if c.at.Sub(since) >= least {
				list = append(list, s)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b stoppedRank) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.rank, b.rank))
	})
	return list
}

// stoppedRanks tells ranks whose processes are stopped: the others will wait for them.
func stoppedRanks(c *jobCase) answer {
	list := c.stopped()
	if len(list) == 0 {
		if !c.w.cpu.told {
			return answer{unchecked: "the states of its processes are not told"}
		}
		return answer{}
	}
	first := list[0]
	v := fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Since: first.since,
		Text:   fmt.Sprintf("rank %d on %s is %s", first.rank, first.node, first.words),
		Remedy: fmt.Sprintf("ask who stopped it; kill -CONT %d on %s lets it go on", first.pid, first.node)}
	if first.sleep {
		v.Remedy = "look at the file systems and the driver of " + first.node + ": such a process cannot be killed"
	}
	if len(list) > 1 {
		v.Text += fmt.Sprintf(", and %d more", len(list)-1)
	}
	for i, s := range list {
		if v.Suspects = accuse(v.Suspects, fleet.SuspectRank(s.node, s.rank)); i < mostEvidence {
			v.Evidence = append(v.Evidence, fmt.Sprintf("rank %d: pid %d on %s %s for %s", s.rank, s.pid, s.node, s.words, span(c.at.Sub(s.since))))
		}
	}
	return says(v)
}

// oomKilled tells ranks that the kernel killed for want of memory while the job, or what is left of it, runs.
func oomKilled(c *jobCase) answer {
	unread := c.w.unheard
	var found []fleet.Verdict
	for i, name := range c.j.Nodes {
		n := c.w.on[i]
		if n == nil {
			continue
		}
		for i := len(n.Kernel) - 1; i >= 0; i-- {
			l := &n.Kernel[i]
			if c.at.Sub(l.At) > oomFor {
				break
			}
			if l.Class.Kind != "oom" || l.Class.Severity < fleet.Warning || l.Class.PID == 0 {
				continue
			}
			rank, ok := c.w.pids.rankOf(name, l.Class.PID)
			if !ok {
				continue
			}
			what := fmt.Sprintf("pid %d", l.Class.PID)
			if rank >= 0 {
				what = fmt.Sprintf("rank %d", rank)
			}
			found = append(found, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Critical, Since: l.At, Text: fmt.Sprintf("%s OOM-killed on %s %s", what, name, ago(c.at.Sub(l.At))),
				Evidence: []string{short(l.Text, 160)}, Remedy: "give it more memory, or let its data loaders hold less", Suspects: []fleet.Suspect{fleet.SuspectRank(name, rank)}})
			break
		}
		if len(found) >= maxSuspects {
			break
		}
	}
	a := answer{verdicts: found}
	if unread > 0 {
		a.unchecked = fmt.Sprintf("the kernel log of %d nodes is not read", unread)
	}
	return a
}

// hears says that the node's kernel log is read.
func (t *nodeTrail) hears(n *fleet.Node) bool {
	if t.log >= len(n.Sources) || n.Sources[t.log].Name != fleet.KernelLogSource {
		if t.log = slices.IndexFunc(n.Sources, func(s fleet.Source) bool { return s.Name == fleet.KernelLogSource }); t.log < 0 {
			t.log = 0
			return len(n.Sources) == 0
		}
	}
	return n.Sources[t.log].State == facts.SourceState_SOURCE_OK
}

// restarted tells that the job's processes started anew: once is told, again and again is a warning.
func restarted(c *jobCase) answer {
	n := 0
	var last time.Time
	for _, t := range c.w.restarts {
		if c.at.Sub(t) <= crashWithin {
			n, last = n+1, t
		}
	}
	if n == 0 || c.at.Sub(last) > crashNews {
		return answer{}
	}
	v := fleet.Verdict{State: fleet.JobRunning, Severity: fleet.Notice, Since: last, Text: "started anew " + ago(c.at.Sub(last)), Remedy: "its log, before that, says why it ended"}
	if n >= crashLoop {
		v.State, v.Severity = fleet.JobSuspect, fleet.Warning
		v.Text = fmt.Sprintf("started anew %d times in %s, last %s", n, span(c.at.Sub(c.w.restarts[len(c.w.restarts)-n])), ago(c.at.Sub(last)))
	}
	return says(v)
}

// missing says which ranks are not seen. That they were all seen before makes it a warning; else they may run where we do not look.
func missing(c *jobCase) answer {
	j, at := c.j, c.at
	if j.World == 0 {
		return answer{unchecked: "how many ranks there should be is not known"}
	}
	if j.Told != nil && len(j.Told.Elsewhere) > 0 && j.MissingN > 0 {
		return answer{unchecked: "some run where nobody looks"} // that is said
	}
	if j.MissingN == 0 {
		c.past.complete = true
		return answer{}
	}
	was := c.past.complete
	if !was && !j.Start.IsZero() && at.Sub(j.Start) < startingFor {
		return says(fleet.Verdict{State: fleet.JobStarting, Text: fmt.Sprintf("starting: %d of %d ranks", len(j.Ranks), j.World)})
	}
	if !was && j.NodesPending > 0 {
		return says(fleet.Verdict{State: fleet.JobStarting, Text: fmt.Sprintf("%d of %d ranks so far, %d nodes still connecting", len(j.Ranks), j.World, j.NodesPending)})
	}
	if len(j.Unwatched) > 0 {
		return says(fleet.Verdict{State: fleet.JobPartial, Severity: fleet.Notice, Text: fmt.Sprintf("%d of %d ranks seen: %s not watched", len(j.Ranks), j.World, j.UnwatchedText)})
	}
	v := fleet.Verdict{State: fleet.JobPartial, Severity: fleet.Notice, Since: c.w.lost, Text: fmt.Sprintf("%d of %d ranks not seen: %s", j.MissingN, j.World, ranges(j.Missing, j.MissingN))}
	if was && !c.w.lost.IsZero() && at.Sub(c.w.lost) >= missingFor {
		v.Severity, v.Remedy = fleet.Warning, "the log of the job's launcher says why they ended; the others will wait for them"
		for _, rank := range j.Missing[:min(len(j.Missing), maxSuspects)] {
			v.Suspects = append(v.Suspects, c.w.pids.suspect(rank))
		}
	}
	return says(v)
}
