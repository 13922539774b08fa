package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// How long a rate must last to be told. Counters of damage are read every ten seconds: two readings in a row.
const (
	damageFor     = 12 * time.Second
	congestionFor = 30 * time.Second
	keepsGrowing  = 5 * time.Minute
)

// portSign is a counter of damage whose rate is told above a limit.
type portSign struct {
	metric telemetry.Metric
	above  float64 // a second
	lasts  time.Duration
	layer  string // link layer that it is told of; "" any
	level  fleet.Severity
	text   string // %s is the rate
}

// portSigns: the limits are those of NVSentinel's NIC health monitor, where it has one. Sequence errors of InfiniBand are no sign: its adaptive routing makes
// them.
var portSigns = [...]portSign{
	{telemetry.PortSymbolError, 10, damageFor, "", fleet.Warning, "%s symbol errors/s: cable or transceiver?"},
	{telemetry.PortLinkErrorRecovery, 5.0 / 60, damageFor, "", fleet.Warning, "link retrains, %s/s: cable or transceiver?"},
	{telemetry.PortRcvErrors, 10, damageFor, "", fleet.Warning, "receives %s bad packets/s"},
	{telemetry.PortRcvRemotePhysicalErrors, 10, damageFor, "", fleet.Notice, "receives %s packets/s that another link spoiled"},
	{telemetry.PortXmitDiscards, 100, damageFor, "", fleet.Warning, "drops %s packets/s that it should send"},
	{telemetry.PortRxDrops, 100, damageFor, "", fleet.Warning, "drops %s packets/s that it received"},
	{telemetry.PortLocalAckTimeoutErr, 1, damageFor, "", fleet.Warning, "%s acknowledgements/s do not come: the path, or the other end?"},
	{telemetry.PortRetransTimeouts, 1, damageFor, "", fleet.Warning, "%s acknowledgements/s do not come: the path, or the other end?"},
	{telemetry.PortPacketSeqErr, 10, damageFor, "Ethernet", fleet.Warning, "loses packets: told so %s times/s"},
	{telemetry.PortOutOfSequence, 10, damageFor, "Ethernet", fleet.Warning, "receives %s packets/s out of sequence: losses on the path?"},
	{telemetry.PortOutOfSequence, 1000, damageFor, "InfiniBand", fleet.Notice, "receives %s packets/s out of sequence (adaptive routing does that as well)"},
	{telemetry.PortRNRNakRetryErr, 0, damageFor, "", fleet.Warning, "its receivers are not ready, %s times/s"},
	{telemetry.PortRoCESlowRestart, 10, damageFor, "", fleet.Warning, "%s slow restarts/s after losses"},
}

// portEvent is a counter of damage of which each single step is told.
type portEvent struct {
	metric telemetry.Metric
	level  fleet.Severity
	text   string
}

var portEvents = [...]portEvent{
	{telemetry.PortReqTransportRetriesExceeded, fleet.Warning, "gave a connection up: retries exceeded"},
	{telemetry.PortReqRNRRetriesExceeded, fleet.Warning, "gave a connection up: its receiver was never ready"},
	{telemetry.PortLocalLinkIntegrityErrors, fleet.Warning, "link integrity errors: cable or transceiver?"},
	{telemetry.PortExcessiveBufferOverrunErrors, fleet.Warning, "buffer overruns"},
	{telemetry.PortRxICRCEncapsulated, fleet.Warning, "received corrupted packets (ICRC)"},
	{telemetry.PortNoCompletionCmds, fleet.Warning, "its adapter left a command unanswered"},
	{telemetry.PortUnresponsiveRemotes, fleet.Notice, "a remote end did not respond"},
	{telemetry.PortImpairedRemotes, fleet.Notice, "a connection was impaired"},
}

// A link of InfiniBand may lose a symbol in 10¹² bits; 120 an hour are more than that.
const symbolErrorsAnHour = 120

// portSignProblems adds what a port's counters say: damage that grows, congestion, counters that say nothing any more.
func portSignProblems(found []fleet.Problem, p *fleet.Port, i int, at time.Time, m remembered) []fleet.Problem {
	past := &m.ports[i]
	damage, congested := m.On("hw.port-errors"), m.On("hw.congestion")
	if !damage && !congested {
		return found
	}
	add := func(rule string, s fleet.Severity, text string, since time.Time) {
		if m.On(rule) {
			found = append(found, fleet.Problem{Rule: rule, Severity: s, Text: p.Name + " " + text, GPU: -1, Port: i, Since: since, Evidence: countersEvidence(p)})
		}
	}
	calm := p.Errors == nil || p.Errors == past.calm
	if !calm {
		if past.calm = nil; isCalm(p) {
			past.calm, calm = p.Errors, true
		}
	}
	if text, since := past.symbolHour(p, calm, at); text != "" && !(float64(p.ErrorPerS(telemetry.PortSymbolError)) > portSigns[0].above) {
		add("hw.port-errors", fleet.Warning, text, since)
	}
	if calm && !(p.XmitWaitPerS > 0 && p.XmitWaitPct() >= waitsPct) && (past.signs == nil || !past.signs.any) {
		return found // nearly always
	}
	if text := stoppedText(p); text != "" {
		add("hw.port-errors", fleet.Notice, text, time.Time{})
	}
	signs, congested := congestionSigns(p)
	if past.signs == nil {
		past.signs = new(portSignsPast)
	}
	marked := congested
	for k := range portSigns {
		s := &portSigns[k]
		rate := p.ErrorPerS(s.metric)
		holds := float64(rate) > s.above && (s.layer == "" || s.layer == p.LinkLayer)
		lasts := past.signs.signs[k].note(holds, at)
		if marked = marked || holds; !holds || lasts < s.lasts {
			continue
		}
		level := s.level
		if s.metric == telemetry.PortRNRNakRetryErr && lasts >= keepsGrowing {
			level = fleet.Critical
		}
		add("hw.port-errors", level, fmt.Sprintf(s.text, perSecond(rate)), at.Add(-lasts))
	}
	for k := range portEvents {
		e := &portEvents[k]
		last, level, text := lastly(&past.signs.events[k], p.ErrorPerS(e.metric) > 0, e.level, at)
		if marked = marked || !last.IsZero(); level > fleet.Fine {
			add("hw.port-errors", level, e.text+text, last)
		}
	}
	for k, text := range signs {
		if lasts := past.signs.congestion[k].note(text != "", at); text != "" && lasts >= congestionFor {
			add("hw.congestion", fleet.Notice, "congestion: "+text, at.Add(-lasts))
		}
	}
	past.signs.any = marked
	return found
}

// countersEvidence are the totals that say most of a link.
func countersEvidence(p *fleet.Port) []string {
	return []string{fmt.Sprintf("totals: symbol_error %s, link_error_recovery %s, link_downed %s, port_rcv_errors %s, port_xmit_discards %s, out_of_sequence %s", counted(p.SymbolError),
		counted(p.LinkErrorRecovery), counted(p.LinkDowned), counted(p.RcvErrors), counted(p.XmitDiscards), counted(p.OutOfSequence))}
}

// isCalm says that none of a port's counters stands at its limit, and none rises by more than a sign, an event or congestion takes.
func isCalm(p *fleet.Port) bool {
	if p.Errors.Stopped != 0 {
		return false
	}
	for k := range portSigns {
		if s := &portSigns[k]; float64(p.ErrorPerS(s.metric)) > s.above {
			return false
		}
	}
	for k := range portEvents {
		if p.ErrorPerS(portEvents[k].metric) > 0 {
			return false
		}
	}
	return !(p.ErrorPerS(telemetry.PortNPECNMarked) > congestedAbove || p.ErrorPerS(telemetry.PortRPCNPHandled) > congestedAbove || p.ErrorPerS(telemetry.PortOutOfBuffer) > starvedAbove)
}

// lastly notes when something happened: it is told while it is new, then for a while as the past, and is over after flapFor.
func lastly(last *time.Time, now bool, level fleet.Severity, at time.Time) (_ time.Time, _ fleet.Severity, past string) {
	if now {
		*last = at
	}
	if last.IsZero() {
		return *last, fleet.Fine, ""
	}
	switch quiet := at.Sub(*last); {
	case quiet >= flapFor:
		*last = time.Time{}
		return *last, fleet.Fine, ""
	case quiet < calmAfter:
		return *last, level, ""
	case level <= fleet.Notice: // what was only noticed is not told as the past
		return *last, fleet.Fine, ""
	default:
		return *last, fleet.Notice, ", " + ago(quiet)
	}
}

// symbolHour says that a port lost more symbols within an hour than a link may. Each hour is looked at by itself; what it found stays until the next is over.
func (past *portPast) symbolHour(p *fleet.Port, calm bool, at time.Time) (text string, since time.Time) {
	v := p.SymbolError
	if !v.Known() || !calm && p.Stopped(telemetry.PortSymbolError) {
		return "", since
	}
	hour := &past.hour
	if hour.began.IsZero() || float64(v) < float64(hour.from) || at.Sub(hour.began) >= 2*time.Hour {
		hour.from, hour.began = int64(v), at
		return "", since
	}
	lost, passed := int64(v)-hour.from, at.Sub(hour.began)
	if passed < 10*time.Second || lost < symbolErrorsAnHour {
		if passed >= time.Hour { // it was a good one
			hour.from, hour.began = int64(v), at
		}
		return "", since
	}
	return fmt.Sprintf("%d symbol errors in %s: cable or transceiver?", lost, inWords(passed)), hour.began
}

// inWords is a length of time: "40 s", "25 min".
func inWords(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%d s", int(d/time.Second))
	}
	return fmt.Sprintf("%d min", int(d/time.Minute))
}

// congestion is what tells that the fabric, or a receiver, is slower than what is sent: slow, not broken.
type congestion [4]string

// Limits of congestion: below them congestion control is at its work.
const (
	waitsPct       = 20   // of the time
	markedPct      = 5    // of the packets that it gets
	notifiedPct    = 1    // of the packets that it sends
	congestedAbove = 1000 // a second, marks or notifications
	starvedAbove   = 100  // a second, packets for which there was no buffer
	packetBytes    = 4096 // RoCE's largest, for traffic that is told in bytes
)

func congestionSigns(p *fleet.Port) (c congestion, any bool) {
	if pct := p.XmitWaitPct(); pct >= waitsPct {
		any, c[0] = true, fmt.Sprintf("it had to wait for about %.0f %% of the time", float64(pct))
	}
	if n := p.ErrorPerS(telemetry.PortNPECNMarked); n > congestedAbove && n > markedPct/100.0*p.RcvBytesPerS/packetBytes {
		any, c[1] = true, perSecond(n)+" packets/s came marked (ECN)"
	}
	if n := p.ErrorPerS(telemetry.PortRPCNPHandled); n > congestedAbove && n > notifiedPct/100.0*p.XmitBytesPerS/packetBytes {
		any, c[2] = true, "told to slow down, "+perSecond(n)+" CNPs/s"
	}
	if n := p.ErrorPerS(telemetry.PortOutOfBuffer); n > starvedAbove {
		any, c[3] = true, "no receive buffer for "+perSecond(n)+" packets/s: is the application slow?"
	}
	return c, any
}

// perSecond is a rate in few digits.
func perSecond(r fleet.Reading) string {
	switch {
	case r < 10:
		return fmt.Sprintf("%.1f", float64(r))
	case r < 10_000:
		return fmt.Sprintf("%.0f", float64(r))
	case r < 10_000_000:
		return fmt.Sprintf("%.0fk", float64(r)/1e3)
	}
	return fmt.Sprintf("%.0fM", float64(r)/1e6)
}
