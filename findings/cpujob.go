package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
)

// When the ranks of a job that has no GPUs do nothing.
const (
	idleCPUPct   = 5   // of one core, at most
	idleNetBytes = 1e5 // bytes a second of a node, at most
)

// cpuTrail is what the processes of a job's ranks do.
type cpuTrail struct {
	told   bool // the state of at least one was told
	rhythm rhythm
	at     time.Time
	n      int     // ranks whose use is told
	idle   int     // of those, that use no CPU
	net    float64 // bytes a second of the node with the most
	usual  float64 // the same while it works, smoothed
}

// note takes in what the ranks do. Of a job whose GPUs are seen to work, only whether their states are told.
func (t *cpuTrail) note(j *fleet.Job, on []*fleet.Node, at time.Time, gpus bool) {
	passed := lookEvery
	if !t.at.IsZero() {
		passed = min(at.Sub(t.at), lookGap)
	}
	t.at, t.n, t.idle, t.net, t.told = at, 0, 0, 0, false
	for _, n := range on {
		if n == nil || n.State != fleet.Live {
			continue
		}
		for _, p := range n.Processes {
			if p.Rank < 0 || p.Job != j.Key || p.Status == "" {
				continue
			}
			t.told = true
			if gpus {
				return
			}
			t.n++
			if p.CPUPct < idleCPUPct {
				t.idle++
			}
		}
		if !gpus {
			net := 0.
			for i := range n.Nets {
				net += n.Nets[i].RxBytesPerS.Or(0) + n.Nets[i].TxBytesPerS.Or(0)
			}
			for i := range n.Ports {
				net += n.Ports[i].RcvBytesPerS.Or(0) + n.Ports[i].XmitBytesPerS.Or(0)
			}
			t.net = max(t.net, net)
		}
	}
	pauses := t.n > 0 && t.idle == t.n && t.net < max(idleNetBytes, 0.1*t.usual)
	works := t.n > 0 && t.idle < t.n
	if works {
		t.usual = smooth(t.usual, t.net, passed, time.Minute)
	}
	t.rhythm.note(pauses, works, passed, at)
}

// hangWithoutGPUs judges by what ranks use of their CPUs and networks.
func hangWithoutGPUs(c *jobCase) answer {
	t := &c.w.cpu
	switch {
	case !t.told:
		return answer{unchecked: "no GPUs, and what its processes use is not told"}
	case c.j.World < 2 && len(c.j.Ranks) < 2:
		return answer{unchecked: "one process waits for nobody"}
	}
	lasts, proofs := t.rhythm.lasts(c.at), c.proofs()
	longest := t.rhythm.longest(c.at)
	limit := hangLeast
	switch {
	case len(proofs) > 0:
	case t.rhythm.learned():
		limit = max(hangQuiet, hangTimes*longest+hangMore)
	default:
		return answer{unchecked: "its pauses are not learned yet"}
	}
	if lasts == 0 || lasts < limit {
		return answer{}
	}
	t.rhythm.told = true
	v := fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Since: t.rhythm.since, Text: fmt.Sprintf("no progress %.0f s", lasts.Seconds()),
		Remedy:   "look at the suspect's stacks and log before anything is ended; then end or restart the job",
		Evidence: []string{fmt.Sprintf("%d of %d ranks use no CPU, their nodes move %.0f kB/s", t.idle, t.n, t.net/1e3)}}
	if longest > 0 {
		v.Evidence = append(v.Evidence, fmt.Sprintf("its longest pause before: %.0f s", longest.Seconds()))
	}
	convict(&v, proofs)
	if v.Text += ", no rank differs"; len(v.Suspects) > 0 {
		v.Text = fmt.Sprintf("no progress %.0f s · suspect %s", lasts.Seconds(), v.Suspects[0])
	}
	return says(v)
}
