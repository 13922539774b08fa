package ui

import (
	"fmt"
	"strconv"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// portColumns are the columns of a node's RDMA ports.
func portColumns() []column {
	return []column{
		{id: "port", title: "PORT", width: 8, ideal: 10},
		{id: "link", title: "LINK", width: 8, ideal: 10, drop: 7},
		{id: "rate", title: "RATE", width: 5, right: true, drop: 3},
		{id: "state", title: "STATE", width: 8},
		{id: "tx", title: "▲ GB/s", width: 6, right: true, drop: 1},
		{id: "rx", title: "▼ GB/s", width: 6, right: true, drop: 1},
		{id: "wait", title: "WAIT/s", width: 6, right: true, drop: 9},
		{id: "retrans", title: "RETRANS", width: 7, right: true, drop: 4},
		{id: "symbol", title: "SYMBOL", width: 6, right: true, drop: 5},
		{id: "downed", title: "DOWNED", width: 6, right: true, drop: 2},
		{id: "gpu", title: "GPU", width: 3, right: true, drop: 6},
		{id: "netdev", title: "NETDEV", width: 8, drop: 8, rest: true},
	}
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
	switch c.id {
	case "port":
		a.cut(0, 0, c.cells, p.Name, fg(colStrong))
	case "link":
		a.cut(0, 0, c.cells, p.LinkLayer, style{})
	case "rate":
		if p.RateMbps.Known() {
			num(formatWhole(float64(p.RateMbps)/1000)+"G", false)
		} else {
			num(absent, false)
		}
	case "state":
		word, good := portState(p.State)
		k := mark{markFine, fg(colGood)}
		if !good {
			k = mark{markCritical, fg(colCrit)}
		}
		if p.State < 0 {
			k = mark{markUnknown, fg(colStale)}
		}
		a.text(0, 0, string(k.r), k.st)
		a.cut(2, 0, c.cells-2, word, k.st)
	case "tx":
		num(formatGBps(p.XmitBytesPerS), false)
	case "rx":
		num(formatGBps(p.RcvBytesPerS), false)
	case "wait":
		num(formatCount(p.XmitWaitPerS), false)
	case "retrans":
		r := sum(p.OutOfSequence, p.PacketSeqErr, p.LocalAckTimeoutErr)
		num(formatCount(r), r > 0)
	case "symbol":
		num(formatCount(p.SymbolError), p.SymbolError > 0)
	case "downed":
		num(formatCount(p.LinkDowned), p.LinkDowned > 0)
	case "gpu":
		if p.GPU >= 0 {
			num(strconv.Itoa(p.GPU), false)
		} else {
			num(absent, false)
		}
	case "netdev":
		a.cut(0, 0, c.cells, p.Netdev, fg(colDim))
	}
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

// portState is the word for the state of a port as sysfs numbers it.
func portState(state int) (word string, good bool) {
	words := [...]string{"no change", "down", "init", "armed", "active", "deferred"}
	if state < 0 || state >= len(words) {
		return "unknown", false
	}
	return words[state], state >= 4
}

// deviceLines are a node's interfaces, disks and file systems, one a line.
func deviceLines(n *fleet.Node) [][]span {
	var lines [][]span
	for i := range n.Nets {
		d := &n.Nets[i]
		if !d.Physical && d.RxBytesPerS.Or(0)+d.TxBytesPerS.Or(0) < 1e6 {
			continue
		}
		lines = append(lines, netLine(d))
	}
	for i := range n.Disks {
		d := &n.Disks[i]
		lines = append(lines, []span{{fmt.Sprintf("disk %-10s", d.Name), fg(colStrong)},
			{fmt.Sprintf(" read %9s  write %9s  busy %4s  %s %s", formatRate(d.ReadBytesPerS), formatRate(d.WriteBytesPerS), formatPct(d.BusyPct), formatBytes(d.SizeBytes), d.Model), style{}}})
	}
	for i := range n.FS {
		f := &n.FS[i]
		used := (f.SizeBytes - f.AvailableBytes).Share(f.SizeBytes)
		st := style{}
		word := ""
		if used >= 95 {
			st, word = fg(colWarn), string(markWarning)+" nearly full "
		}
		lines = append(lines, []span{{fmt.Sprintf("fs   %-10s", f.Mount), fg(colStrong)},
			{" " + word, st}, {fmt.Sprintf("%4s used, %6s free  %s %s", formatPct(used), formatBytes(f.AvailableBytes), f.Type, f.Device), st}})
	}
	return lines
}

func netLine(d *fleet.Net) []span {
	spans := []span{{fmt.Sprintf("net  %-10s", d.Name), fg(colStrong)}}
	speed := absent
	if d.SpeedMbps.Known() {
		speed = formatWhole(float64(d.SpeedMbps)/1000) + "G"
	}
	spans = append(spans, span{fmt.Sprintf(" ▲ %9s  ▼ %9s  %5s", formatRate(d.TxBytesPerS), formatRate(d.RxBytesPerS), speed), style{}})
	if d.Up == 0 {
		spans = append(spans, span{"  " + string(markWarning) + " down", fg(colWarn)})
	}
	if errs := sum(d.RxErrors, d.TxErrors); errs > 0 {
		spans = append(spans, span{"  errors " + formatCount(errs), fg(colWarn)})
	}
	if drops := sum(d.RxDropped, d.TxDropped); drops > 0 {
		spans = append(spans, span{"  dropped " + formatCount(drops), fg(colDim)})
	}
	return spans
}

// drawLines draws lines of spans, or a sentence when there are none.
func drawLines(a area, lines [][]span, none string) {
	if len(lines) == 0 {
		a.cut(tableIndent, 0, a.w-tableIndent, none, fg(colDim))
	}
	for y, l := range lines {
		x := 1
		for _, s := range l {
			x = a.text(x, y, s.text, s.st)
		}
	}
}
