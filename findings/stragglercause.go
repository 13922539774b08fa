package findings

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"foretop/fleet"
)

// count lets what is unlike its peers count for a suspect, where more than one thing speaks for it.
func (w *watch) count(c *jobCase, s fleet.Suspect, of []unlike, crowds *[numTraits]crowd, passed float32) {
	all := of[0]
	for _, u := range of[1:] {
		all.senses |= u.senses
		all.traits |= u.traits
		all.far = max(all.far, u.far)
	}
	cause := w.causeOf(c, s)
	senses := all.senses
	if cause != "" {
		senses |= senseCause
	}
	if bits.OnesCount8(uint8(senses)) < 2 {
		return
	}
	x := w.says[s]
	if x == nil {
		if len(w.says) >= 64 {
			return
		}
		if w.says == nil {
			w.says = map[fleet.Suspect]*accusation{}
		}
		x = &accusation{since: w.at}
		w.says[s] = x
	}
	x.seen = true
	x.score = min(x.score+passed, scoreMost)
	if !x.told || x.cause == "" && cause != "" || w.at.Sub(x.worded) >= wordedFor {
		if x.cause = cause; x.told {
			x.worded = w.at
		}
		w.word(s, x, all, of, crowds)
	}
}

// word puts in words in what a suspect differs: first in what it does so most plainly.
func (w *watch) word(s fleet.Suspect, x *accusation, all unlike, of []unlike, crowds *[numTraits]crowd) {
	var mine [numTraits]float64
	if s.GPU < 0 && s.Node != "" {
		mine, _ = w.meansOf(s.Node)
	} else {
		for k := range numTraits {
			for _, u := range of {
				mine[k] += float64(w.means[k][u.gpu]) / float64(len(of))
			}
		}
	}
	x.facts = nil // snapshots hold the one before
	first, word := "", ""
	for _, k := range [...]trait{traitClock, traitPower, traitUse, traitTensor, traitSM, traitDRAM, traitNet, traitNVLink} {
		if all.traits&(1<<k) == 0 {
			continue
		}
		t := &traits[k]
		higher := mine[k] > crowds[k].middle
		fact := fmt.Sprintf("%s %s, peers %s", t.name, t.in(mine[k]), t.in(crowds[k].middle))
		if first == "" {
			first, word = fact, "unlike its peers:"
			switch {
			case k == traitClock && !higher:
				word = "slower:"
			case higher:
				word = t.higher
			}
		}
		if x.facts = append(x.facts, fact); k == traitPower && higher {
			x.facts[len(x.facts)-1] += ": they wait for it"
		}
	}
	x.text = s.String() + " " + word + " " + first
	if x.cause != "" {
		x.facts = append(x.facts, x.cause)
		x.text += " · " + x.cause
	}
}

func (t *traitKind) in(v float64) string {
	if v*t.scale < 10 && t.unit == "GB/s" {
		return fmt.Sprintf("%.1f %s", v*t.scale, t.unit)
	}
	return fmt.Sprintf("%.0f %s", v*t.scale, t.unit)
}

// causeOf is what is wrong with a suspect beside its being slow; "" nothing that is seen.
func (w *watch) causeOf(c *jobCase, s fleet.Suspect) string {
	if s.Node == "" {
		return ""
	}
	n := c.nodes(s.Node)
	if n == nil {
		return ""
	}
	if s.GPU >= 0 {
		for i := range n.Problems {
			if p := &n.Problems[i]; p.GPU == s.GPU && p.Severity >= fleet.Warning {
				return brief(p.Text)
			}
		}
		if s.GPU < len(n.GPUs) {
			if bits := max(0, n.GPUs[s.GPU].ThrottleBits) & (hwSlowdown | swThermal | hwThermal | hwPowerBrake); bits != 0 {
				return throttleWords(bits)
			}
		}
	}
	if cause := w.hostCause(s.Node); cause != "" {
		return cause
	}
	for i := range n.Ports {
		p := &n.Ports[i]
		if s.GPU >= 0 && p.GPU != s.GPU || p.GPU < 0 {
			continue
		}
		if p.RateMbps < p.RateMaxMbps {
			return fmt.Sprintf("%s at %.0f of %.0f Gb/s", p.Name, float64(p.RateMbps)/1000, float64(p.RateMaxMbps)/1000)
		}
		for k := range n.Problems {
			if q := &n.Problems[k]; q.Port == i && q.Severity >= fleet.Warning {
				return brief(q.Text)
			}
		}
	}
	return ""
}

// hostCause is what slows all of a node's ranks, unlike those of the job's other nodes; "" nothing that is seen.
func (w *watch) hostCause(name string) string {
	t := w.nodes[name]
	if t == nil {
		return ""
	}
	var words []string
	for _, r := range [...]struct {
		what   string
		limit  float64
		of     func(*nodeTrail) float64
		format string
	}{
		{"steal", stealPct, func(t *nodeTrail) float64 { return t.steal }, "another machine takes %.0f %% of its CPU time (steal)"},
		{"cpu", pressurePct, func(t *nodeTrail) float64 { return t.pressure }, "tasks wait for a CPU %.0f %% of the time"},
		{"io", ioWaitPct, func(t *nodeTrail) float64 { return t.iowait }, "tasks wait for disks or files %.0f %% of the time"},
	} {
		mine, rest, n := r.of(t), 0., 0.
		for other, o := range w.nodes {
			if other != name && w.at.Sub(o.seen) < lookGap {
				rest, n = rest+r.of(o), n+1
			}
		}
		if n == 0 || math.IsNaN(mine) || mine < r.limit || mine < 2.5*rest/n {
			continue
		}
		words = append(words, fmt.Sprintf(r.format, mine))
	}
	return strings.Join(words, ", ")
}
