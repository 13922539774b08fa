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

// When a GPU is unlike its peers. They are told apart only in phases of computing: while all communicate or write a checkpoint they are alike, so that what counts is
// how long one has been odd of late, not without a break.
const (
	unlikePower     = 15  // percent points of the power limit away from the middle
	unlikeUse       = 25  // percent points of use away from the middle
	unlikeClock     = 0.8 // of the middle's clock
	unlikeAtLeast   = 4   // GPUs, to speak of peers
	unlikeBusyShare = 50  // percent of use of the middle: idle jobs have no stragglers

	// Each second in which a GPU is odd counts for it, each in which it is not against it.
	unlikeFor  = 18 * time.Second // told when so much speaks for it
	unlikeEnd  = 8 * time.Second  // no longer told below this
	unlikeMost = 30 * time.Second
	unlikeGap  = 5 * time.Second // of time without a look, at most so much counts
	unlikeHold = 15 * time.Second
)

// Names in a job's Memory. What speaks for a GPU is kept as the time of so many nanoseconds; what is told, in the name itself.
const (
	unlikeLooked = "unlike looked"
	unlikeSays   = "unlike says "
	unlikeScore  = "unlike score "
)

// unlike finds the one GPU of a busy job that differs clearly from all the others, which are alike.
func unlike(s seen, at time.Time, m fleet.Memory) fleet.Verdict {
	if len(s.gpus) < unlikeAtLeast {
		return fleet.Verdict{}
	}
	i, how := -1, ""
	if s.read >= unlikeAtLeast {
		i, how = oddOne(s.gpus)
	}
	passed := min(m.Since(unlikeLooked, true, at), unlikeGap)
	m[unlikeLooked] = at
	odd := ""
	if i >= 0 {
		odd = fmt.Sprintf("%s%s %d", unlikeScore, s.gpus[i].Node, s.gpus[i].Index)
	}
	told, best := "", time.Duration(0)
	for k, t := range m {
		switch {
		case strings.HasPrefix(k, unlikeSays):
			told = k
		case strings.HasPrefix(k, unlikeScore) && k != odd:
			score := time.Duration(t.UnixNano()) - passed
			if m[k] = time.Unix(0, int64(score)); score <= 0 {
				delete(m, k)
			}
			best = max(best, score)
		}
	}
	if odd != "" {
		score := time.Duration(0)
		if t, ok := m[odd]; ok {
			score = min(time.Duration(t.UnixNano())+passed, unlikeMost)
		}
		m[odd] = time.Unix(0, int64(score))
		best = max(best, score)
		if text := unlikeSays + who(&s.gpus[i]) + " " + how; score >= unlikeFor && (told == "" || at.Sub(m[told]) >= unlikeHold) {
			delete(m, told)
			told, m[text] = text, at
		}
	}
	if told != "" && best < unlikeEnd && at.Sub(m[told]) >= unlikeHold {
		delete(m, told)
		told = ""
	}
	if told == "" {
		return fleet.Verdict{}
	}
	return fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: strings.TrimPrefix(told, unlikeSays)}
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
		if p, peers := alone(gpus, clock, (1-unlikeClock)*mid); p != nil && p.v < peers {
			return p.gpu, fmt.Sprintf("slower: clock %.0f MHz, peers %.0f", p.v, peers)
		}
	}
	power := column(gpus, func(g *fleet.GPU) fleet.Reading { return g.PowerPct() })
	if p, peers := alone(gpus, power, unlikePower); p != nil {
		return p.gpu, differs("power", p.v, peers)
	}
	if p, peers := alone(gpus, util, unlikeUse); p != nil {
		return p.gpu, differs("use", p.v, peers)
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
	if low, high := bounds(points); high-low < 1 {
		return low
	}
	sorted := slices.Clone(points)
	slices.SortFunc(sorted, func(a, b point) int { return cmp.Compare(a.v, b.v) })
	return sorted[len(sorted)/2].v
}

func bounds(points []point) (low, high float64) {
	low, high = points[0].v, points[0].v
	for _, p := range points {
		low, high = min(low, p.v), max(high, p.v)
	}
	return low, high
}

// alone returns the only point further than limit from its peers' middle, where all others are within half of that of theirs, and that middle; nil: there is none.
// Peers are the job's GPUs of the same node where there are enough: they were read at the same moment of a step, those of other nodes were not.
func alone(gpus []fleet.GPURef, points []point, limit float64) (found *point, peers float64) {
	if len(points) < unlikeAtLeast {
		return nil, 0
	}
	if low, high := bounds(points); high-low <= limit {
		return nil, 0
	}
	all := math.NaN()
	for from := 0; from < len(points); {
		to := from + 1
		for to < len(points) && gpus[points[to].gpu].Node == gpus[points[from].gpu].Node {
			to++
		}
		var middle float64
		if to-from >= unlikeAtLeast {
			middle = median(points[from:to])
		} else {
			if math.IsNaN(all) {
				all = median(points)
			}
			middle = all
		}
		for i := from; i < to; i++ {
			switch d := math.Abs(points[i].v - middle); {
			case d > limit && found == nil:
				found, peers = &points[i], middle
			case d > limit/2:
				return nil, 0
			}
		}
		from = to
	}
	return found, peers
}
