package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
)

// When GPUs starve for data, and when saving takes too long.
const (
	starvedPct  = 70 // use of GPUs, at most
	starvedLess = 20 // percent points below what they are used otherwise, at least
	starvedFor  = 30 * time.Second
	starvedOver = 15 * time.Second // smoothed over
	hungryIO    = 15               // percent of the time that tasks wait for disks or files
	hungryCPU   = 40               // the same for a CPU
	hungryBusy  = 92               // percent of the CPUs at work
	usualFrom   = 30 * time.Second // of work, to know what is usual
	saveLeast   = 45 * time.Second
	saveTimes   = 3
	saveQuiet   = 20 * time.Second // nothing is written
	saveLong    = 5                // so many times as long as before, though something is written
	saveStalls  = 20               // percent of the time in which all tasks of a node wait for disks or files
	saveStalled = 40 * time.Second
	saveUnknown = 10 * time.Minute
	saveTwice   = 2
	saveBesides = 20 * time.Second
	stallApart  = 2.5
)

// starvation is how much a job's GPUs are used, now and otherwise.
type starvation struct {
	use, usual float64 // percent
	hungry     []string
	since      time.Time
	words      string
}

// starve takes in how much the GPUs are used, and on which nodes tasks wait for data, or for CPUs that make it.
func (w *watch) starve(j *fleet.Job, at time.Time) {
	s := &w.starv
	if w.phase == unread || !w.save.IsZero() || w.phase == waiting || w.phase == alone {
		s.since = time.Time{}
		return
	}
	if s.usual == 0 {
		s.use = j.UtilPct.Or(0)
	}
	s.use = smooth(s.use, float64(j.UtilPct), lookEvery, starvedOver)
	s.hungry, s.words = s.hungry[:0], ""
	for i, name := range j.Nodes {
		t, n := w.trail(i, name), w.on[i]
		if t == nil || n == nil {
			continue
		}
		word := ""
		switch busy := float64(n.Host.CPUBusyPct); {
		case t.iowait >= hungryIO:
			word = fmt.Sprintf("tasks wait for disks or files %.0f %% of the time", t.iowait)
		case t.pressure >= hungryCPU:
			word = fmt.Sprintf("tasks wait for a CPU %.0f %% of the time", t.pressure)
		case busy >= hungryBusy:
			word = fmt.Sprintf("CPUs %.0f %% busy", busy)
		default:
			continue
		}
		if s.hungry = append(s.hungry, name); s.words == "" {
			s.words = word + " on " + name
		}
	}
	starves := w.waits.worked >= usualFrom && s.use < starvedPct && s.use < s.usual-starvedLess && 2*len(s.hungry) >= len(j.Nodes)
	switch {
	case starves && s.since.IsZero():
		s.since = at
	case !starves:
		s.since = time.Time{}
	}
	if w.phase == working && !starves && s.use > s.usual-starvedLess {
		if s.usual == 0 {
			s.usual = s.use
		}
		s.usual = smooth(s.usual, s.use, lookEvery, time.Minute)
	}
}

// dataloader tells GPUs that wait for data.
func dataloader(c *jobCase) answer {
	s := &c.w.starv
	if c.w.waits.worked < usualFrom {
		return answer{unchecked: "how much its GPUs are used otherwise is not learned yet"}
	}
	if s.since.IsZero() || c.at.Sub(s.since) < starvedFor {
		return answer{}
	}
	v := fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Since: s.since,
		Text:     fmt.Sprintf("waits for data? GPUs used %.0f %%, usually %.0f %%", s.use, s.usual),
		Evidence: []string{s.words},
		Remedy:   "more or faster data loader workers; look at the file system that the data comes from"}
	if n := len(s.hungry); n > 1 {
		v.Evidence = append(v.Evidence, fmt.Sprintf("the same on %d of %d nodes", n, len(c.j.Nodes)))
	}
	for _, name := range s.hungry[:min(len(s.hungry), maxSuspects)] {
		v.Suspects = append(v.Suspects, fleet.SuspectNode(name))
	}
	return says(v)
}

// checkpoint tells saving that takes much longer than it did before.
func checkpoint(c *jobCase) answer {
	w := c.w
	if w.save.IsZero() {
		return answer{}
	}
	lasts, longest := c.at.Sub(w.save), w.saves.longest(c.at)
	limit := max(saveUnknown, saveLong*longest)
	if quiet := c.at.Sub(w.wrote); quiet >= saveQuiet && longest > 0 {
		limit = max(saveLeast, saveTimes*longest)
	}
	var stalled []string
	for i, name := range c.j.Nodes {
		if t := w.trail(i, name); t != nil && t.stall >= saveStalls && t.stall >= stallApart*w.otherStalls(name) {
			stalled = append(stalled, name)
		}
	}
	if len(stalled) > 0 {
		limit = min(limit, max(saveStalled, saveTwice*longest+saveBesides))
	}
	if lasts < limit {
		return answer{}
	}
	w.saves.told = true
	v := fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Since: w.save, Text: fmt.Sprintf("saving takes %s", span(lasts)),
		Remedy: "look at the file system that checkpoints go to, and at processes in state D"}
	if longest > 0 {
		v.Text += fmt.Sprintf(", at most %s before", span(longest))
	}
	for _, name := range stalled[:min(len(stalled), maxSuspects)] {
		v.Suspects = append(v.Suspects, fleet.SuspectNode(name))
		v.Evidence = append(v.Evidence, fmt.Sprintf("on %s all tasks wait for disks or files %.0f %% of the time", name, w.nodes[name].stall))
	}
	if len(stalled) > 0 {
		v.Text += " · suspect " + stalled[0]
	}
	return says(v)
}

// otherStalls is how much tasks wait for files on the job's other nodes, in the middle.
func (w *watch) otherStalls(name string) float64 {
	sum, n := 0., 0.
	for other, t := range w.nodes {
		if other != name && w.at.Sub(t.seen) < lookGap {
			sum, n = sum+t.stall, n+1
		}
	}
	if n == 0 {
		return 0
	}
	return sum / n
}
