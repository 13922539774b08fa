package ui

import (
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// portColumns are the columns of a node's RDMA ports.
func portColumns() []column {
	return []column{
		{id: "port", title: "PORT", width: 8, ideal: 11},
		{id: "link", title: "LINK", width: 7, ideal: 8, drop: 7},
		{id: "rate", title: "RATE", width: 5, ideal: 9, right: true, drop: 3},
		{id: "state", title: "STATE", width: 9, ideal: 15},
		{id: "tx", title: "↑ GB/s", width: 6, right: true, drop: 1},
		{id: "rx", title: "↓ GB/s", width: 6, right: true, drop: 1},
		{id: "wait", title: "WAIT", width: 5, right: true, drop: 9},
		{id: "cnp", title: "CNP/s", width: 6, right: true, drop: 10},
		{id: "retrans", title: "RETRANS", width: 7, right: true, drop: 4},
		{id: "symbol", title: "SYMBOL", width: 6, right: true, drop: 5},
		{id: "downed", title: "DOWNED", width: 6, right: true, drop: 2},
		{id: "gpu", title: "GPU", width: 3, right: true, drop: 6},
		{id: "pcie", title: "PCIe", width: 5, right: true, drop: 11},
		{id: "netdev", title: "NETDEV", width: 8, ideal: 12, drop: 8},
		{id: "lid", title: "LID", width: 5, right: true, drop: 12},
		{id: "guid", title: "GUID", width: 19, drop: 13, rest: true},
	}
}

// portRows is how many lines the ports take: the table, and what is known of the one that is shown in detail.
func (m *Model) portRows(n *fleet.Node, w int) int {
	return 1 + max(1, len(n.Ports)) + len(portLines(m.shownPort(n), w))
}

func (m *Model) drawPorts(a area, n *fleet.Node) {
	columns := placeColumns(portColumns(), a.w)
	drawHeader(a, 0, columns, "", false)
	if len(n.Ports) == 0 {
		a.cut(tableIndent, 1, a.w-tableIndent, noPorts(n), fg(colDim))
		return
	}
	for i := range n.Ports {
		p := &n.Ports[i]
		if p.Severity > fleet.Fine {
			k := severityMark(p.Severity)
			a.text(1, i+1, string(k.r), k.st)
		}
		for j := range columns {
			c := &columns[j]
			portCell(a.sub(c.x, i+1, c.cells, 1), c, p)
		}
	}
	drawLines(a.sub(0, 1+len(n.Ports), a.w, a.h-1-len(n.Ports)), portLines(m.shownPort(n), a.w), "")
}

// shownPort is the port that is shown in detail: the worst, else that of the selected GPU, else the first; nil where there is none, or nothing to show.
func (m *Model) shownPort(n *fleet.Node) *fleet.Port {
	var shown *fleet.Port
	for i := range n.Ports {
		if p := &n.Ports[i]; p.Severity > fleet.Fine && (shown == nil || p.Severity > shown.Severity) {
			shown = p
		}
	}
	if g := m.node.gpu(n); shown == nil && g != nil {
		for i := range n.Ports {
			if n.Ports[i].GPU == g.Index && shown == nil {
				shown = &n.Ports[i]
			}
		}
	}
	if shown == nil && len(n.Ports) > 0 {
		shown = &n.Ports[0]
	}
	return shown
}

// noPorts says why no port is known: that there is none is told only where somebody looked.
func noPorts(n *fleet.Node) string {
	s := nodeSource(n, "rdma")
	switch {
	case s == nil:
		return "not told yet"
	case s.State == facts.SourceState_SOURCE_OK || s.State == facts.SourceState_SOURCE_UNSUPPORTED && s.Text == "":
		return "no RDMA port on this node"
	case s.State == facts.SourceState_SOURCE_UNSUPPORTED:
		return s.Text
	}
	text := "not checked: " + sourceWord(s.State)
	if s.Text != "" {
		text += ": " + s.Text
	}
	return text
}

func portCell(a area, c *placed, p *fleet.Port) {
	num := func(s string, bad bool) {
		st := style{}
		switch {
		case s == absent:
			st = fg(colDim)
		case bad:
			st = fg(colWarn)
		}
		a.right(0, 0, c.cells, s, st)
	}
	// A counter that stands at its limit is at least that: "no new errors" it does not say.
	counter := func(r fleet.Reading, stopped bool) {
		s := formatCount(r)
		if stopped {
			s = "≥" + s
		}
		num(s, r > 0)
	}
	switch c.id {
	case "port":
		a.cut(0, 0, c.cells, p.Name, fg(colStrong))
	case "link":
		a.cut(0, 0, c.cells, linkWord(p), style{})
	case "rate":
		s, slow := rateWord(p, c.cells)
		num(s, slow)
	case "state":
		k, word := portStateMark(p, c.cells-2)
		a.text(0, 0, string(k.r), k.st)
		a.cut(2, 0, c.cells-2, word, k.st)
	case "tx":
		num(formatGBps(p.XmitBytesPerS), false)
	case "rx":
		num(formatGBps(p.RcvBytesPerS), false)
	case "wait":
		if p.Stopped(telemetry.PortXmitWait) {
			num("limit", false)
			return
		}
		num(formatPct(p.XmitWaitPct()), p.XmitWaitPct() >= 20)
	case "cnp":
		num(formatCount(sum(p.ErrorPerS(telemetry.PortNPCNPSent), p.ErrorPerS(telemetry.PortRPCNPHandled))), false)
	case "retrans":
		r := sum(p.OutOfSequence, p.PacketSeqErr, p.LocalAckTimeoutErr)
		num(formatCount(r), r > 0)
	case "symbol":
		counter(p.SymbolError, p.Stopped(telemetry.PortSymbolError))
	case "downed":
		counter(p.LinkDowned, p.Stopped(telemetry.PortLinkDowned))
	case "gpu":
		num(portGPU(p), false)
	case "pcie":
		num(pcieWord(p), p.PCIeWidth < p.PCIeWidthMax || p.PCIeGen < p.PCIeGenMax)
	case "netdev":
		a.cut(0, 0, c.cells, p.Netdev, fg(colDim))
	case "lid":
		if p.LID() == 0 {
			num(absent, false)
			return
		}
		num(strconv.Itoa(int(p.LID())), false)
	case "guid":
		if p.Fact != nil {
			a.cut(0, 0, c.cells, p.Fact.Guid, fg(colDim))
		}
	}
}

// linkWord is a port's link layer in short, with the class of its speed where that is InfiniBand's: "IB NDR", "IB HDR×2" for half of its lanes, "RoCE".
func linkWord(p *fleet.Port) string {
	switch {
	case p.LinkLayer == "InfiniBand":
		lanes, class, ok := speedClass(p.Rate)
		switch {
		case !ok:
			return "IB"
		case lanes == "4X":
			return "IB " + class
		}
		return "IB " + class + "×" + strings.TrimSuffix(lanes, "X")
	case p.Fact != nil && p.Fact.Driver == "efa":
		return "EFA"
	case p.LinkLayer == "Ethernet":
		return "RoCE"
	case p.LinkLayer == "":
		return absent
	}
	return p.LinkLayer
}

// speedClass is what stands in brackets in "400 Gb/sec (4X NDR)".
func speedClass(rate string) (lanes, class string, ok bool) {
	_, in, ok := strings.Cut(rate, "(")
	if !ok {
		return "", "", false
	}
	in, _, _ = strings.Cut(in, ")")
	return strings.Cut(in, " ")
}

// rateWord is a port's rate: "400G", with what it could do where that is more: "100/400G", and a question mark where that is only known of its kind.
func rateWord(p *fleet.Port, cells int) (s string, slow bool) {
	if !p.RateMbps.Known() {
		return absent, false
	}
	now := formatWhole(float64(p.RateMbps) / 1000)
	if !(p.RateMaxMbps > p.RateMbps) {
		return now + "G", false
	}
	slow = p.RateMaxFrom() == "ethtool"
	long := now + "/" + formatWhole(float64(p.RateMaxMbps)/1000) + "G"
	if !slow {
		long += "?"
	}
	if len(long) > cells {
		return now + "G", slow
	}
	return long, slow
}

// portGPU is the GPU that a port belongs to: "3", "3~" where only its NUMA node says so, "3?" where it is a guess.
func portGPU(p *fleet.Port) string {
	if p.GPU < 0 {
		return absent
	}
	return strconv.Itoa(p.GPU) + [...]string{"", "", "~", "?"}[min(p.Near, fleet.NearOrder)]
}

// pcieWord is a PCIe link as generation × width: "5×16".
func pcieWord(p *fleet.Port) string {
	if !p.PCIeGen.Known() || !p.PCIeWidth.Known() {
		return absent
	}
	return formatWhole(float64(p.PCIeGen)) + "×" + formatWhole(float64(p.PCIeWidth))
}

// formatCount is a counter in at most six cells.
func formatCount(r fleet.Reading) string {
	switch {
	case !r.Known():
		return absent
	case r < 1e6:
		return formatWhole(float64(r))
	}
	v, unit := scale(float64(r), 1000, "", "k", "M", "G", "T", "P")
	return format3(v) + unit
}

// portStateMark is how a port does, in words: its state as sysfs numbers it and, while its link is not up, why that is; only why where both do not fit.
func portStateMark(p *fleet.Port, cells int) (k mark, word string) {
	words := [...]string{"no change", "down", "init", "armed", "active", "deferred"}
	phys := [...]string{"", "sleep", "polling", "disabled", "training", "", "recovery", "test"}
	if p.State < 0 || p.State >= len(words) {
		return mark{markUnknown, fg(colStale)}, "unknown"
	}
	word = words[p.State]
	if p.State >= 4 {
		return mark{markFine, fg(colGood)}, word
	}
	why := ""
	if p.PhysState > 0 && p.PhysState < len(phys) {
		why = phys[p.PhysState]
	}
	if why == "" && p.State == 2 && p.LinkLayer == "InfiniBand" {
		why = "no SM?"
	}
	k = mark{markCritical, fg(colCrit)}
	switch {
	case why == "":
		return k, word
	case len(word)+1+len(why) > cells && p.State == 1:
		return k, why
	}
	return k, word + " " + why
}
