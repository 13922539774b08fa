package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// States of a port (/sys/class/infiniband/*/ports/*/state and phys_state).
const (
	portDown     = 1
	portInit     = 2
	portArmed    = 3
	portActive   = 4
	physDisabled = 3
)

// flapFor is how long a link that went down and came back is told: a warning until it was quiet for calmAfter, then a notice.
const flapFor = time.Hour

// portsProblems adds what is wrong with a node's RDMA ports.
func portsProblems(found []fleet.Problem, n *fleet.Node, at time.Time, m remembered) []fleet.Problem {
	fastest := fleet.Reading(0)
	for i := range n.Ports {
		if r := n.Ports[i].RateMbps; r > fastest {
			fastest = r
		}
	}
	for i := range n.Ports {
		found = portProblems(found, n, i, fastest, at, m)
	}
	return found
}

// portProblems adds what is wrong with one RDMA port, the fastest of the node running at so many Mbit/s. A port that was down ever since we look may simply have no
// cable: that is a notice.
func portProblems(found []fleet.Problem, n *fleet.Node, i int, fastest fleet.Reading, at time.Time, m remembered) []fleet.Problem {
	p, past := &n.Ports[i], &m.ports[i]
	add := func(rule string, s fleet.Severity, text string, since time.Time) {
		if m.On(rule) {
			found = append(found, fleet.Problem{Rule: rule, Severity: s, Text: p.Name + " " + text, GPU: -1, Port: i, Since: since, Evidence: portEvidence(p)})
		}
	}
	down := past.down.note(p.State == portDown || p.State == portInit || p.State == portArmed, at)
	switch p.State {
	case portActive:
		past.active = true
	case portDown:
		if past.active {
			add("hw.port-down", fleet.Critical, "down", at.Add(-down))
		} else if p.PhysState != physDisabled {
			add("hw.port-down", fleet.Notice, "down", time.Time{})
		}
	case portInit, portArmed:
		text := "not yet active"
		if p.LinkLayer == "InfiniBand" {
			text = "INIT: no subnet manager?"
		}
		add("hw.port-down", fleet.Warning, text, at.Add(-down))
	}
	if !m.On("hw.port-flap") {
	} else if n, last := past.downed.note(p.LinkDowned, at); n > 0 && at.Sub(last) < flapFor {
		s, text := fleet.Warning, fmt.Sprintf("link went down ×%d", n)
		if quiet := at.Sub(last); quiet >= calmAfter {
			s, text = fleet.Notice, text+", "+ago(quiet)
		}
		add("hw.port-flap", s, text, last)
	}
	if !m.On("hw.port-rate") {
	} else if s, text, since := past.slower(n, i, fastest, at); text != "" {
		add("hw.port-rate", s, text, since)
	}
	if text := pcieText(p); text != "" {
		add("hw.pcie", fleet.Warning, text, time.Time{})
	}
	return portSignProblems(found, p, i, at, m)
}

// portEvidence is what a port is, for whoever goes to the rack.
func portEvidence(p *fleet.Port) []string {
	words := fmt.Sprintf("state %d, phys_state %d, %s Gb/s, link_downed %s", p.State, p.PhysState, gbps(p.RateMbps), counted(p.LinkDowned))
	if f := p.Fact; f != nil {
		for _, w := range []struct{ what, is string }{{", PCI ", f.Pci}, {", GUID ", f.Guid}, {", ", f.Netdev}} {
			if w.is != "" {
				words += w.what + w.is
			}
		}
	}
	return []string{short(words, maxEvidence)}
}

// pcieText says that the adapter's PCIe link is less than what the adapter and its slot can; "" while it is not.
func pcieText(p *fleet.Port) string {
	switch {
	case p.PCIeWidth > 0 && p.PCIeWidth < p.PCIeWidthMax:
		return fmt.Sprintf("PCIe ×%.0f of ×%.0f", float64(p.PCIeWidth), float64(p.PCIeWidthMax))
	case p.PCIeGen > 0 && p.PCIeGen < p.PCIeGenMax:
		return fmt.Sprintf("PCIe gen %.0f of gen %.0f", float64(p.PCIeGen), float64(p.PCIeGenMax))
	}
	return ""
}

// slower says that an active port is slower than it was, than its peers on the node are, or than its adapter says it could be. Of a kind of device there are
// makes of half the rate: what only its kind could do is no reproach.
func (past *portPast) slower(n *fleet.Node, i int, fastest fleet.Reading, at time.Time) (s fleet.Severity, text string, since time.Time) {
	p := &n.Ports[i]
	rate := p.RateMbps
	if p.State != portActive || !(rate > 0) {
		return 0, "", since
	}
	lasts := past.slow.note(float64(rate) < float64(past.best), at)
	switch {
	case float64(rate) < float64(past.best) && lasts < flapFor:
		return fleet.Warning, "fell from " + gbps(fleet.Reading(past.best)) + " to " + gbps(rate) + " Gb/s", at.Add(-lasts)
	case float64(rate) != float64(past.best): // faster than before, or it is meant to be so
		past.best = int64(rate)
	}
	peers, faster, most := 0, 0, fleet.Reading(0)
	for j := 0; fastest > rate && j < len(n.Ports); j++ { // nearly never
		q := &n.Ports[j]
		if j == i || q.State != portActive || !(q.RateMbps > 0) || !q.Like(p) {
			continue
		}
		peers++
		if most = max(most, q.RateMbps); q.RateMbps > rate {
			faster++
		}
	}
	if peers >= 2 && 2*faster > peers {
		return fleet.Warning, "runs at " + gbps(rate) + " Gb/s, its peers at " + gbps(most), since
	}
	if p.RateMaxMbps > rate && p.RateMaxFrom() == "ethtool" {
		return fleet.Notice, "runs at " + gbps(rate) + " of " + gbps(p.RateMaxMbps) + " Gb/s", since
	}
	return 0, "", since
}

// gbps is a rate in Mbit/s as Gbit/s.
func gbps(mbps fleet.Reading) string {
	if !mbps.Known() {
		return "–"
	}
	if mbps < 10_000 {
		return fmt.Sprintf("%.1f", float64(mbps)/1000)
	}
	return fmt.Sprintf("%.0f", float64(mbps)/1000)
}

// stoppedText names the counters of damage that stand at their limit, so that nothing new would show.
func stoppedText(p *fleet.Port) string {
	if p.Errors == nil || p.Errors.Stopped == 0 {
		return ""
	}
	names := ""
	for i, m := range telemetry.PortErrors() {
		def, _ := telemetry.Lookup(m)
		if p.Errors.Stopped>>i&1 == 0 || telemetry.LookupCounter("", def.Name).Class != telemetry.CounterDamage {
			continue
		}
		if names != "" {
			names += ", "
		}
		names += def.Name
	}
	if names == "" {
		return ""
	}
	return "counts no more, at its limit: " + names + " (perfquery -R resets it)"
}
