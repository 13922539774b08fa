package findings

import (
	"fmt"
	"math"
	"time"

	"foretop/fleet"
)

// When a GPU's clock is below its peers' at equal load: all of a job are busy, it draws no more than they do, and nothing says why.
const (
	clockBelow   = 0.85 // of the middle
	clockBusyPct = 50   // percent of use, at least, of those that are compared
	clockPower   = 5    // percent points of the power limit that it may be above the middle, where that limit may hold it back
	clockCapped  = 95   // percent of the power limit from which it does
	clockFor     = 20 * time.Second
	clockPeers   = 4 // GPUs of a job that are busy
)

// When clocks of nodes differ: beyond what the way here can make of it.
const (
	skewSeconds = 0.5
	skewFor     = 20 * time.Second
	unknownWay  = 0.25 // seconds that a sample may take, where that is not measured
)

// clocks holds the GPUs of each job against one another.
func (c *comparing) clocks() {
	var clocks, powers []float64
	for _, j := range c.snap.Jobs {
		if !j.Ended.IsZero() || len(j.GPUs) < clockPeers {
			continue
		}
		clocks, powers = clocks[:0], powers[:0]
		low, high := math.Inf(1), 0.0
		for i := range j.GPUs {
			if g := busyGPU(&j.GPUs[i]); g != nil {
				clock := float64(g.SMClockMHz)
				clocks, powers = append(clocks, clock), append(powers, float64(g.PowerPct()))
				low, high = min(low, clock), max(high, clock)
			}
		}
		if len(clocks) < clockPeers || low >= clockBelow*high { // nearly always
			continue
		}
		middle, power := medianOf(clocks), medianOf(powers)
		for i := range j.GPUs {
			ref := &j.GPUs[i]
			if g := busyGPU(ref); g != nil && float64(g.SMClockMHz) < clockBelow*middle {
				c.slowClock(ref, middle, power)
			}
		}
	}
}

// busyGPU is a job's GPU that is busy and tells clock, use and power; nil: it is none.
func busyGPU(ref *fleet.GPURef) *fleet.GPU {
	g := ref.GPU
	if g == nil || ref.State != fleet.Live || g.Stale > 0 || !(g.UtilPct >= clockBusyPct) || !(g.SMClockMHz > 0) || !g.PowerPct().Known() {
		return nil
	}
	return g
}

func (c *comparing) slowClock(ref *fleet.GPURef, middle, power float64) {
	g := ref.GPU
	bits := max(0, g.ThrottleBits)
	why := bits&(hwSlowdown|swThermal|hwThermal|hwPowerBrake) != 0
	// What draws more than its peers works more than they do. Its clock may be lower for that where its power limit holds it back, and not else.
	capped := g.ThrottleBits < 0 || bits&swPowerCap != 0 || g.PowerPct() >= clockCapped
	key := gpuName{ref.Node, ref.Index}
	holds := !why && (!capped || float64(g.PowerPct()) <= power+clockPower)
	if !holds {
		delete(c.past.slow, key)
		return
	}
	seen, was := c.past.slow[key]
	if !was || c.at.Sub(seen.last) > clockFor { // it was not so in between
		seen.first = c.at
	}
	if seen.last = c.at; c.past.slow == nil {
		c.past.slow = map[gpuName]slowPast{}
	}
	c.past.slow[key] = seen
	if c.at.Sub(seen.first) < clockFor {
		return
	}
	n := c.snap.Node(ref.Node)
	if n == nil {
		return
	}
	p := problem("hw.clock", fleet.Warning, fmt.Sprintf("GPU%d clock %.0f MHz, peers at equal load %.0f MHz", ref.Index, float64(g.SMClockMHz), middle))
	p.GPU, p.Since = ref.Index, seen.first
	p.Evidence = []string{heatOf(g), fmt.Sprintf("power %.0f %% of its limit, the job's middle %.0f %%; clock event reasons 0x%x", float64(g.PowerPct()), power, max(0, g.ThrottleBits))}
	c.add(n, p)
}

// skew holds the nodes' wall clocks against one another. Ours may be wrong as well: the middle of the nodes' is what is right.
func (c *comparing) skew() {
	var offsets, ways []float64
	low, high := math.Inf(1), math.Inf(-1)
	for _, n := range c.snap.Nodes {
		if n.State == fleet.Live && n.ClockOffsetS.Known() {
			v := float64(n.ClockOffsetS)
			offsets, ways = append(offsets, v), append(ways, n.ClockWayS.Or(unknownWay))
			low, high = min(low, v), max(high, v)
		}
	}
	if len(offsets) < fewPeers || high-low < skewSeconds { // nearly always
		return
	}
	told := len(offsets)
	middle, way := medianOf(offsets), medianOf(ways)
	for _, n := range c.snap.Nodes {
		if n.State != fleet.Live || !n.ClockOffsetS.Known() {
			continue
		}
		// One that is ahead is so by at least that much, but that the others' samples took their way too; one that is behind may only seem so for its own way.
		d := float64(n.ClockOffsetS) - middle
		slack := way
		if d < 0 {
			slack = n.ClockWayS.Or(unknownWay)
		}
		began := c.past.skew[n.Name]
		holds := math.Abs(d)-slack >= skewSeconds
		lasts := began.note(holds, c.at)
		if !holds {
			delete(c.past.skew, n.Name)
			continue
		}
		if c.past.skew == nil {
			c.past.skew = map[string]since{}
		}
		c.past.skew[n.Name] = began
		if lasts < skewFor {
			continue
		}
		word := "ahead of"
		if d < 0 {
			word = "behind"
		}
		p := problem("hw.clock-skew", fleet.Warning, fmt.Sprintf("clock %s %s the other nodes'", spanWords(math.Abs(d)), word))
		p.Since = c.at.Add(-lasts)
		p.Evidence = []string{fmt.Sprintf("its samples' time less ours %+.2f s, the middle of %d nodes %+.2f s; the way here takes %.2f s at most", float64(n.ClockOffsetS), told, middle, slack)}
		c.add(n, p)
	}
}

// spanWords are seconds in few digits.
func spanWords(s float64) string {
	switch {
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	}
	return long(time.Duration(s * float64(time.Second)))
}
