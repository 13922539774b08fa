package findings

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
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

	noProgressFor   = 20 * time.Second // told as a question
	noProgressLong  = 2 * time.Minute  // told as critical
	unlikeFor       = 30 * time.Second
	unlikePoints    = 25  // percent points of power or use away from the middle
	unlikeClock     = 0.8 // of the middle's clock
	unlikeAtLeast   = 4   // GPUs, to speak of peers
	unlikeBusyShare = 50  // percent of use of the middle: idle jobs have no stragglers
)

// seen is what of a job's GPUs can be judged.
type seen struct {
	gpus []fleet.GPURef
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
		if g == nil || g.Stale > 0 || !g.UtilPct.Known() || !g.PowerPct().Known() {
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
		g.NetRxBytesPerS.Or(0)+g.NetTxBytesPerS.Or(0) < spinBytes && g.NVLinkTXBytesPerS.Or(0)+g.NVLinkRXBytesPerS.Or(0) < spinNVLink
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

// unlike finds the one GPU of a busy job that differs clearly from all the others, which are alike.
func unlike(s seen, at time.Time, m fleet.Memory) fleet.Verdict {
	i, how := -1, ""
	if s.read >= unlikeAtLeast && len(s.gpus) >= unlikeAtLeast {
		i, how = oddOne(s.gpus)
	}
	key := ""
	if i >= 0 {
		key = fmt.Sprintf("unlike %s %d", s.gpus[i].Node, s.gpus[i].Index)
	}
	for k := range m {
		if strings.HasPrefix(k, "unlike ") && k != key {
			delete(m, k)
		}
	}
	if i < 0 || m.Since(key, true, at) < unlikeFor {
		return fleet.Verdict{}
	}
	return fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: who(&s.gpus[i]) + " " + how}
}

// oddOne returns the index of the GPU that is alone in one of the three quantities, and how; -1 where all are alike or several differ.
func oddOne(gpus []fleet.GPURef) (int, string) {
	util := column(gpus, func(g *fleet.GPU) fleet.Reading { return g.UtilPct })
	middle := median(util)
	if !(middle >= unlikeBusyShare) {
		return -1, ""
	}
	clock := column(gpus, func(g *fleet.GPU) fleet.Reading { return g.SMClockMHz })
	if mid := median(clock); mid > 0 {
		if i := alone(clock, mid, (1-unlikeClock)*mid); i >= 0 && clock[i].v < mid {
			return clock[i].gpu, fmt.Sprintf("slower: clock %.0f MHz, peers %.0f", clock[i].v, mid)
		}
	}
	power := column(gpus, func(g *fleet.GPU) fleet.Reading { return g.PowerPct() })
	mid := median(power)
	if i := alone(power, mid, unlikePoints); i >= 0 {
		return power[i].gpu, differs("power", power[i].v, mid)
	}
	if i := alone(util, middle, unlikePoints); i >= 0 {
		return util[i].gpu, differs("use", util[i].v, middle)
	}
	return -1, ""
}

// differs puts a difference in words. A GPU that works while its peers wait is perhaps the one that they wait for.
func differs(what string, v, peers float64) string {
	word := "unlike its peers"
	if v > peers {
		word = "slower?"
	}
	return fmt.Sprintf("%s %s %.0f %%, peers %.0f %%", word, what, v, peers)
}

// point is one GPU's value.
type point struct {
	gpu int
	v   float64
}

// column is the known values of live GPUs.
func column(gpus []fleet.GPURef, of func(*fleet.GPU) fleet.Reading) []point {
	out := make([]point, 0, len(gpus))
	for i := range gpus {
		if g := gpus[i].GPU; g != nil && gpus[i].State == fleet.Live && g.Stale == 0 && of(g).Known() {
			out = append(out, point{i, float64(of(g))})
		}
	}
	return out
}

// median is NaN of nothing. Whether values are far apart is looked at first: sorting is for the few jobs where they are.
func median(points []point) float64 {
	if len(points) == 0 {
		return math.NaN()
	}
	low, high := points[0].v, points[0].v
	for _, p := range points {
		low, high = min(low, p.v), max(high, p.v)
	}
	if high-low < 1 {
		return low
	}
	sorted := slices.Clone(points)
	slices.SortFunc(sorted, func(a, b point) int { return cmp.Compare(a.v, b.v) })
	return sorted[len(sorted)/2].v
}

// alone returns the index of the only point further than limit from the middle, where all others are within half of that; -1: there is none.
func alone(points []point, middle, limit float64) int {
	if len(points) < unlikeAtLeast {
		return -1
	}
	found := -1
	for i, p := range points {
		switch d := math.Abs(p.v - middle); {
		case d > limit && found < 0:
			found = i
		case d > limit/2:
			return -1
		}
	}
	return found
}
