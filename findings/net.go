package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
)

// netSign is a counter of an interface, as its driver keeps it, whose rate is told above a limit.
type netSign struct {
	of    func(*fleet.Net) fleet.Reading
	above float64 // a second
	lasts time.Duration
	level fleet.Severity
	text  string // %s is the rate
}

// rule is under which it is told: pauses and allowances are the fabric's, damage is the adapter's.
func (s *netSign) rule() string {
	if s.level <= fleet.Notice {
		return "hw.congestion"
	}
	return "hw.nic"
}

var netSigns = [...]netSign{
	{func(d *fleet.Net) fleet.Reading { return d.RxPFCPausePerS }, 1000, congestionFor, fleet.Notice, "congestion: the switch pauses it, %s times/s (PFC)"},
	{func(d *fleet.Net) fleet.Reading { return d.TxPFCPausePerS }, 1000, congestionFor, fleet.Notice, "congestion: it pauses the switch, %s times/s (PFC): is this host slow?"},
	{func(d *fleet.Net) fleet.Reading { return d.AllowanceExceededPerS }, 100, congestionFor, fleet.Notice, "congestion: %s packets/s over what the cloud allows"},
	{func(d *fleet.Net) fleet.Reading { return d.RxDiscardsPerS }, 100, congestionFor, fleet.Warning, "drops %s packets/s that it received"},
	{func(d *fleet.Net) fleet.Reading { return d.TxDiscardsPerS }, 100, congestionFor, fleet.Warning, "drops %s packets/s that it should send"},
	{func(d *fleet.Net) fleet.Reading { return d.RxCRCErrorsPerS }, 1, damageFor, fleet.Warning, "receives %s corrupted packets/s: cable or transceiver?"},
	{func(d *fleet.Net) fleet.Reading { return d.SymbolErrorsPerS }, 10, damageFor, fleet.Warning, "%s symbol errors/s: cable or transceiver?"},
	{func(d *fleet.Net) fleet.Reading { return d.FECUncorrectedPerS }, 1, damageFor, fleet.Warning, "%s errors/s beyond correction (FEC): cable or transceiver?"},
}

// netProblems adds what is wrong with network interfaces: a member of a bond that is down while others are not, and what drivers count. Whether an interface
// without a bond should be up nobody knows but its administrator.
func netProblems(found []fleet.Problem, n *fleet.Node, at time.Time, m remembered) []fleet.Problem {
	if !m.On("hw.nic") && !m.On("hw.congestion") {
		return found
	}
	for i := range n.Nets {
		d, past := &n.Nets[i], &m.nets[i]
		if !d.Physical {
			continue
		}
		add := func(rule string, s fleet.Severity, text string, since time.Time) {
			p := problem(rule, s, d.Name+" "+text)
			p.Since, p.Evidence = since, []string{netEvidence(d)}
			if m.On(rule) {
				found = append(found, p)
			}
		}
		if s, text := past.bondMember(n, d); text != "" {
			add("hw.nic", s, text, time.Time{})
		}
		if d.NetCounts == past.calm {
			continue // nearly always
		}
		if past.calm = nil; !anyNetSign(d) {
			past.calm, past.signs = d.NetCounts, nil
			continue
		}
		if past.signs == nil {
			past.signs = new([len(netSigns)]since)
		}
		for k := range netSigns {
			s := &netSigns[k]
			rate := s.of(d)
			holds := float64(rate) > s.above
			if lasts := past.signs[k].note(holds, at); holds && lasts >= s.lasts {
				add(s.rule(), s.level, fmt.Sprintf(s.text, perSecond(rate)), at.Add(-lasts))
			}
		}
	}
	return found
}

// anyNetSign says that one of an interface's counters is above its limit.
func anyNetSign(d *fleet.Net) bool {
	for k := range netSigns {
		if float64(netSigns[k].of(d)) > netSigns[k].above {
			return true
		}
	}
	return false
}

// netEvidence is what an interface is and has counted.
func netEvidence(d *fleet.Net) string {
	return fmt.Sprintf("driver %s, %s Mb/s, totals: rx_errors %s, tx_errors %s, rx_dropped %s, carrier_changes %s", d.Driver, counted(d.SpeedMbps), counted(d.RxErrors), counted(d.TxErrors),
		counted(d.RxDropped), counted(d.CarrierChanges))
}

// bondMember says that a member of a bond is down while the bond is not: half of its links, and no spare, are gone. One that was never up since we look may
// have no cable.
func (past *netPast) bondMember(n *fleet.Node, d *fleet.Net) (fleet.Severity, string) {
	if d.Master == "" {
		return 0, ""
	}
	if d.Up > 0 {
		past.up = true
		return 0, ""
	}
	if !(d.Up == 0) || !bondIsUp(n, d.Master) {
		return 0, ""
	}
	if past.up {
		return fleet.Warning, "down: " + d.Master + " runs without it"
	}
	return fleet.Notice, "down: " + d.Master + " runs without it"
}

func bondIsUp(n *fleet.Node, name string) bool {
	for i := range n.Nets {
		if d := &n.Nets[i]; d.Name == name {
			return d.BondMode != "" && d.Up > 0
		}
	}
	return false
}
