package ui

import (
	"fmt"

	"foretop/fleet"
)

// deviceLines are a node's interfaces, disks and file systems, one a line.
func deviceLines(n *fleet.Node) [][]span {
	lines := netLines(n)
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

// netLines are the network interfaces as a table: physical ones, bonds, and others that carry something.
func netLines(n *fleet.Node) (lines [][]span) {
	for i := range n.Nets {
		d := &n.Nets[i]
		if !d.Physical && d.BondMode == "" && d.RxBytesPerS.Or(0)+d.TxBytesPerS.Or(0) < 1e6 {
			continue
		}
		if lines == nil {
			lines = append(lines, []span{{fmt.Sprintf("net  %-11s %6s %9s %9s %6s %6s %7s %6s %6s  %s", "", "LINK", "↑", "↓", "ERRORS", "DROPS", "PAUSE/s", "CRC", "FEC", "OF"), fg(colDim)}})
		}
		lines = append(lines, netLine(d))
	}
	return lines
}

func netLine(d *fleet.Net) []span {
	speed := span{absent, fg(colDim)}
	switch {
	case d.Up == 0:
		speed = span{string(markWarning) + " down", fg(colWarn)}
	case d.SpeedMbps.Known():
		speed = span{formatSpeed(d.SpeedMbps), style{}}
	case d.Up > 0:
		speed = span{"up", style{}}
	}
	speed.text = fmt.Sprintf(" %6s", speed.text)
	spans := []span{{fmt.Sprintf("     %-11.11s", d.Name), fg(colStrong)}, speed,
		{fmt.Sprintf(" %9s %9s", formatRate(d.TxBytesPerS), formatRate(d.RxBytesPerS)), style{}}}
	count := func(cells int, warn bool, readings ...fleet.Reading) {
		r := sum(readings...)
		st := style{}
		switch {
		case !r.Known():
			st = fg(colDim)
		case warn && r > 0:
			st = fg(colWarn)
		}
		spans = append(spans, span{fmt.Sprintf(" %*s", cells, formatCount(r)), st})
	}
	count(6, true, d.RxErrors, d.TxErrors)
	count(6, false, d.RxDropped, d.TxDropped, d.RxDiscards, d.TxDiscards)
	pause := d.RxPFCPausePerS
	if !d.RxPFCPause.Known() {
		pause = d.RxPausePerS
	}
	count(7, pause > 1000, pause)
	count(6, true, d.RxCRCErrors)
	count(6, true, d.FECUncorrected)
	of := d.Master
	if d.BondMode != "" {
		of = d.BondMode
	}
	return append(spans, span{"  " + of, fg(colDim)})
}

// formatSpeed is a speed in Mbit/s as "100G", or "100M" below one Gbit/s.
func formatSpeed(mbps fleet.Reading) string {
	if mbps < 1000 {
		return formatWhole(float64(mbps)) + "M"
	}
	return format3(float64(mbps)/1000) + "G"
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
