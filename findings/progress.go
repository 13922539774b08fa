package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
)

// A GPU that only waits in a collective says that it is fully used, for a kernel is there, but draws little power, computes nothing and moves nothing.
const (
	spinUtilPct  = 95  // used at least so much
	spinPowerPct = 35  // of its limit, at most
	spinTensor   = 2   // percent, at most, where it is known
	spinBytes    = 1e6 // bytes a second over the network, at most, where known
	spinNVLink   = 1e7 // the same over NVLink
	stillUtilPct = 10  // below this it does nothing at all

	noProgressFor  = 20 * time.Second // told as a question
	noProgressLong = 2 * time.Minute  // told as critical
)

// seen is what of a job's GPUs can be judged.
type seen struct {
	gpus []fleet.GPURef
	told int // how many have any reading of what they do
	read int // how many have readings of use and power
	spin int
	odd  []int // of the others, those that do nothing or are broken
}

func look(j *fleet.Job) seen {
	s := seen{gpus: j.GPUs}
	for i := range j.GPUs {
		ref := &j.GPUs[i]
		g := ref.GPU
		if isBroken(ref) || ref.State != fleet.Live {
			s.odd = append(s.odd, i)
			continue
		}
		if g == nil || g.Stale > 0 {
			continue
		}
		if g.UtilPct.Known() || g.SMActivityPct.Known() || g.PowerW.Known() {
			s.told++
		}
		if !g.UtilPct.Known() || !g.PowerPct().Known() {
			continue
		}
		s.read++
		switch {
		case spins(g):
			s.spin++
		case g.UtilPct < stillUtilPct && g.PowerPct() < spinPowerPct:
			s.odd = append(s.odd, i)
		}
	}
	return s
}

func spins(g *fleet.GPU) bool {
	return g.UtilPct >= spinUtilPct && g.PowerPct() < spinPowerPct && g.TensorActivityPct.Or(0) <= spinTensor &&
		g.NetRxBytesPerS.Or(0)+g.NetTxBytesPerS.Or(0) < spinBytes && g.NVLinkBytesPerS().Or(0) < spinNVLink
}

// noProgress says that all ranks wait, all but a few that are broken or do nothing: one of those is the suspect.
func noProgress(s seen, at time.Time, m fleet.Memory) fleet.Verdict {
	few := max(1, len(s.gpus)/8)
	waits := s.spin > 0 && len(s.gpus) > 1 && s.spin+len(s.odd) == len(s.gpus) && len(s.odd) <= few
	since := m.Since("no progress", waits, at)
	if since < noProgressFor {
		return fleet.Verdict{}
	}
	v := fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: fmt.Sprintf("no progress %.0f s", since.Seconds())}
	if since >= noProgressLong {
		v.Severity = fleet.Critical
	}
	suspect := -1
	for _, i := range s.odd {
		if isBroken(&s.gpus[i]) || s.gpus[i].State != fleet.Live {
			suspect, v.Severity = i, fleet.Critical
			break
		}
		if suspect < 0 {
			suspect = i
		}
	}
	if suspect < 0 {
		v.Text += "?"
		return v
	}
	v.Text += " · " + who(&s.gpus[suspect]) + "?"
	return v
}

// who names the rank on a GPU, or the GPU where no rank is known.
func who(ref *fleet.GPURef) string {
	if ref.Rank >= 0 {
		return fmt.Sprintf("rank %d", ref.Rank)
	}
	return fmt.Sprintf("%s GPU%d", ref.Node, ref.Index)
}
