package findings

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// pcie judges the link to the bus, by what the driver says that it could be and by what it is of others on the node.
func (r *gpuRules) pcie(g *fleet.GPU) {
	s := g.Slow
	switch widest := r.widest(g); {
	case s.PCIeWidth > 0 && s.PCIeWidth < s.PCIeWidthMax:
		r.add(g, "hw.pcie", fleet.Warning, fmt.Sprintf("PCIe ×%.0f of ×%.0f", float64(s.PCIeWidth), float64(s.PCIeWidthMax)), time.Time{}, linkOf(s))
	case s.PCIeWidth > 0 && s.PCIeWidth < widest:
		r.add(g, "hw.pcie", fleet.Warning, fmt.Sprintf("PCIe ×%.0f, its peers ×%.0f", float64(s.PCIeWidth), float64(widest)), time.Time{}, linkOf(s))
	}
	if !s.PCIeLowSince.IsZero() && r.at.Sub(s.PCIeLowSince) >= slowLinkFor {
		r.add(g, "hw.pcie", fleet.Warning, fmt.Sprintf("PCIe generation %.0f of %.0f under load", float64(s.PCIeGen), float64(s.PCIeGenMax)), s.PCIeLowSince, linkOf(s))
	}
}

// linkOf is what a link to the bus is and could be, as evidence.
func linkOf(s *fleet.GPUSlow) string {
	return fmt.Sprintf("×%s generation %s, at most ×%s generation %s", counted(s.PCIeWidth), counted(s.PCIeGen), counted(s.PCIeWidthMax), counted(s.PCIeGenMax))
}

// widest is the width of most of the node's GPUs of the same kind; 0 where they are not alike, or fewer than two.
func (r *gpuRules) widest(g *fleet.GPU) fleet.Reading {
	if !(g.Slow.PCIeWidth < r.peers.widest) { // nearly always
		return 0
	}
	alike, others := 0, 0
	for i := range r.node.GPUs {
		if o := &r.node.GPUs[i]; o != g && o.Info.Name == g.Info.Name && o.Slow.PCIeWidth > 0 {
			if others++; o.Slow.PCIeWidth == r.peers.widest {
				alike++
			}
		}
	}
	if others < 2 || 2*alike <= others+1 {
		return 0
	}
	return r.peers.widest
}

// lowerBy is how much a limit must be below others to be no rounding, in percent.
const lowerBy = 3

// powerLimit tells a GPU that may draw less than its peers: somebody lowered it, or forgot to raise it again.
func (r *gpuRules) powerLimit(g *fleet.GPU) {
	if !(g.PowerLimitW < r.peers.limit*(1-lowerBy/100.0)) {
		return
	}
	alike, others := 0, 0
	for i := range r.node.GPUs {
		if o := &r.node.GPUs[i]; o != g && o.Info.Name == g.Info.Name && o.PowerLimitW > 0 {
			if others++; o.PowerLimitW == r.peers.limit {
				alike++
			}
		}
	}
	if others >= 2 && 2*alike > others+1 {
		r.add(g, "hw.power-limit", fleet.Notice, fmt.Sprintf("power limit %.0f W, its peers %.0f W", float64(g.PowerLimitW), float64(r.peers.limit)), time.Time{}, heatOf(g))
	}
}

// runs tells resets that nobody asked us for, and runs that failed.
func (r *gpuRules) runs(g *fleet.GPU) {
	if c := &g.Slow.Resets; c.Grew > 0 {
		r.calming(g, c, "was reset")
	}
	if c := &g.Slow.ExecErrors; c.Grew > 0 {
		r.calming(g, c, "runs failed")
	}
}

// calming tells a counter that grew: a warning until it was quiet for calmAfter, then a notice.
func (r *gpuRules) calming(g *fleet.GPU, c *fleet.Rise, words string) {
	severity := fleet.Warning
	if r.at.Sub(c.At) >= calmAfter {
		severity = fleet.Notice
	}
	r.add(g, "hw.gpu-reset", severity, fmt.Sprintf("%s ×%.0f%s", words, float64(c.Grew), r.when(c.At)), c.At, "counted in all: "+counted(c.Total))
}

// counted is a reading as a whole number, "–" where it is not told.
func counted(r fleet.Reading) string {
	if !r.Known() {
		return "–"
	}
	return strconv.FormatFloat(float64(r), 'f', 0, 64)
}

// heatOf is what a GPU's heat and power are, as evidence.
func heatOf(g *fleet.GPU) string {
	return fmt.Sprintf("%s °C, %s of %s W, %s of %s MHz", counted(g.TempC), counted(g.PowerW), counted(g.PowerLimitW), counted(g.SMClockMHz), counted(g.SMClockMaxMHz))
}

// whoIs names a GPU for whoever goes to the rack.
func whoIs(g *fleet.GPU) []string {
	words := ""
	for _, w := range []struct{ what, is string }{{"", g.Info.Name}, {"PCI ", g.Info.Pci}, {"serial ", g.Info.Serial}, {"", g.Info.Uuid}} {
		if w.is != "" {
			words += ", " + w.what + w.is
		}
	}
	if words == "" {
		return nil
	}
	return []string{short(words[len(", "):], maxEvidence)}
}

func partName(p *fleet.Part) string {
	if p.Info == nil || p.Info.Kind == "" {
		return "a part"
	}
	return fmt.Sprintf("%s %d", p.Info.Kind, p.Info.Instance)
}

// missingProblems tells that the node has fewer GPUs than it had since we look, or than its scheduler counts. Those that are on the bus but not shown to us are told
// otherwise.
func missingProblems(found []fleet.Problem, n *fleet.Node, at time.Time, m remembered) []fleet.Problem {
	here := len(n.GPUs) + len(n.Inventory.UnseenGpus)
	m.most = max(m.most, here)
	since := m.fewer.note(here < m.most, at)
	if gone := m.most - here; gone > 0 {
		if since < settleFor {
			return found // the driver is loaded anew, or a reader starts
		}
		p := problem("hw.gpu-missing", fleet.Critical, fmt.Sprintf("%s missing: it had %d, has %d", gpusWords(gone), m.most, here))
		p.Since, p.Evidence = at.Add(-since), []string{"there: " + addresses(n)}
		return append(found, p)
	}
	for i := range n.Scheduled {
		s := n.Scheduled[i].Node
		if s == nil || !n.Scheduled[i].Proof.Proven() || s.GPUs <= here || here == 0 || anyPart(n) {
			continue
		}
		p := problem("hw.gpu-missing", fleet.Warning, fmt.Sprintf("%s missing: %s counts %d, %d are here", gpusWords(s.GPUs-here), n.Scheduled[i].Kind, s.GPUs, here))
		p.Evidence = []string{"there: " + addresses(n)}
		return append(found, p)
	}
	return found
}

// settleFor is how long a changed number of GPUs must last.
const settleFor = 15 * time.Second

// anyPart: schedulers count the parts of GPUs each as they like.
func anyPart(n *fleet.Node) bool { return len(n.Parts) > 0 }

func gpusWords(n int) string {
	if n == 1 {
		return "1 GPU"
	}
	return fmt.Sprintf("%d GPUs", n)
}

// addresses are the PCI addresses of the node's GPUs, from which is seen which one is missing.
func addresses(n *fleet.Node) string {
	var all []string
	for i := range n.GPUs {
		if pci := n.GPUs[i].Info.Pci; pci != "" {
			all = append(all, pci)
		}
	}
	if len(all) == 0 {
		return strconv.Itoa(len(n.GPUs))
	}
	slices.SortFunc(all, cmp.Compare[string])
	return short(fmt.Sprint(all), maxEvidence)
}

// unseenProblems tells accelerators on the bus that nobody lets us look at. They are not lost: they are not ours, or not checked.
func unseenProblems(found []fleet.Problem, unseen []*facts.UnseenGPU) []fleet.Problem {
	for i, u := range unseen {
		same := func(o *facts.UnseenGPU) bool { return o.Why == u.Why }
		if slices.ContainsFunc(unseen[:i], same) {
			continue
		}
		n := 0
		for _, o := range unseen {
			if same(o) {
				n++
			}
		}
		text, why := strconv.Itoa(n)+" more GPUs on the bus: not checked", short(u.Why, 60)
		if n == 1 {
			text = "1 more GPU on the bus: not checked"
		}
		if why != "" {
			text += ", " + why
		}
		found = append(found, problem("hw.gpu-unseen", fleet.Notice, text))
	}
	return found
}
