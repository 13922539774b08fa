package ui

import (
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/telemetry"
)

// fabric is how the GPU is joined to NVSwitches, and to the CPU.
func (v *gpuView) fabric(w int) []lineDraw {
	s, info := v.slow, v.g.Info
	var list []fact
	if words := s.FabricWords(); words != "" {
		st := style{}
		if ready, known := s.FabricReady(); known && !ready {
			st = fg(colCrit)
		}
		list = append(list, fact{"NVSwitches", words, st})
	}
	var well []string
	for _, h := range s.FabricHealth() {
		if h.Bad {
			list = append(list, fact{h.What, h.Says, fg(colWarn).with(bold)})
		} else if h.Says != "no" {
			well = append(well, h.What+" "+h.Says)
		}
	}
	if len(well) > 0 {
		list = append(list, fact{"health", strings.Join(well, " · "), style{}})
	}
	if strings.Trim(info.FabricCluster, "0-") != "" { // all zeros: no more than its own node
		list = append(list, fact{"cluster", info.FabricCluster, style{}}, fact{"clique", strconv.Itoa(int(info.FabricClique)), style{}})
	}
	if s.C2CLinks.Known() {
		list = append(list, number("links to the CPU", formatNowMost(s.C2CLinksUp, s.C2CLinks, "")+" up", s.C2CLinksUp < s.C2CLinks))
	}
	if info.Chassis != "" {
		list = append(list, fact{"chassis", info.Chassis + ", slot " + strconv.Itoa(int(info.Slot)) + ", tray " + strconv.Itoa(int(info.Tray)), style{}})
	}
	if len(list) == 0 {
		return v.nothing("fabric")
	}
	return wordLines(w, list, v.m.opt.ASCII)
}

func (v *gpuView) linksTitle() string {
	s := v.slow
	name := "links"
	if links := v.n.LinksOf(v.g.Index); len(links) > 0 && links[0].Info.Kind != "" {
		name = links[0].Info.Kind
	}
	if !s.Links.Known() {
		return name
	}
	return name + ": " + formatNowMost(s.LinksUp, s.Links, "") + " up"
}

// linkColumns are the columns of a GPU's links.
func linkColumns() []column {
	return []column{
		{id: "link", title: "LINK", width: 4, right: true},
		{id: "state", title: "STATE", width: 7},
		{id: "speed", title: "SPEED", width: 7, right: true, drop: 5},
		{id: "tx", title: "↑", width: 8, right: true},
		{id: "rx", title: "↓", width: 8, right: true},
		{id: "replays", title: "REPLAY", width: 6, right: true, drop: 3},
		{id: "recoveries", title: "RECOV", width: 6, right: true, drop: 2},
		{id: "crc", title: "CRC", width: 5, right: true, drop: 1},
		{id: "other", title: "OTHER", width: 5, right: true, drop: 6},
		{id: "remote", title: "TO", width: 14, ideal: 20, drop: 4, rest: true},
	}
}

func (v *gpuView) links(w int) []lineDraw {
	s := v.slow
	links := v.n.LinksOf(v.g.Index)
	if v.g.Info.Mig && !(s.LinksUp > 0) {
		return []lineDraw{func(a area) { a.cut(tableIndent, 0, a.w-tableIndent, "off while the GPU is in MIG mode", fg(colDim)) }}
	}
	totals := []fact{
		number("out", formatRate(v.g.NVLinkTXBytesPerS), false), number("in", formatRate(v.g.NVLinkRXBytesPerS), false),
		rising("replays", s.NVLinkReplays), rising("recoveries", s.NVLinkRecoveries), rising("CRC errors", s.NVLinkCRCErrors),
	}
	if len(links) == 0 && !known(totals) && !s.Links.Known() {
		return v.nothing("links")
	}
	var lines []lineDraw
	if known(totals) {
		lines = factLines(w, totals)
	}
	if len(links) == 0 {
		return append(lines, v.nothing("single links")...)
	}
	columns := placeColumns(linkColumns(), w)
	lines = append(lines, func(a area) { drawHeader(a, 0, columns, "", false) })
	for i := range links {
		l := &links[i]
		lines = append(lines, func(a area) {
			for j := range columns {
				c := &columns[j]
				v.linkCell(a.sub(c.x, 0, c.cells, 1), c, l)
			}
		})
	}
	return lines
}

// rising is a counter that should stand still, and by how much it grew of late.
func rising(label string, r fleet.Rise) fact {
	words := formatCount(r.Total)
	if r.Grew > 0 {
		words += " (+" + formatCount(r.Grew) + ")"
	}
	return number(label, words, r.Grew > 0)
}

func (v *gpuView) linkCell(a area, c *placed, l *fleet.Link) {
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
	case "link":
		a.right(0, 0, c.cells, strconv.Itoa(int(l.Info.Link)), fg(colStrong))
	case "state":
		k, word := linkState(l.State)
		a.cut(0, 0, c.cells, string(k.r)+" "+word, k.st)
	case "speed":
		num(formatRate(l.SpeedBytesPerS), false)
	case "tx":
		num(formatRate(l.TXBytesPerS), false)
	case "rx":
		num(formatRate(l.RXBytesPerS), false)
	case "replays":
		num(formatCount(l.Replays), l.Replays > 0)
	case "recoveries":
		num(formatCount(sum(l.Recoveries, l.RecoveryFailures)), l.Recoveries > 0 || l.RecoveryFailures > 0)
	case "crc":
		num(formatCount(l.CRCErrors), l.CRCErrors > 0)
	case "other":
		other := sum(l.ECCErrors, l.RxErrors, l.TxDiscards, l.EffectiveErrors)
		num(formatCount(other), other > 0)
	case "remote":
		a.cut(0, 0, c.cells, v.remote(l), fg(colDim))
	}
}

func linkState(state int) (mark, string) {
	switch state {
	case telemetry.LinkUp:
		return mark{markFine, fg(colGood)}, "up"
	case telemetry.LinkDown:
		return mark{markCritical, fg(colCrit)}, "down"
	case telemetry.LinkSleep:
		return mark{markIdle, fg(colDim)}, "sleeps"
	}
	return mark{markUnknown, fg(colDim)}, absent
}

// remote is where a link leads: another GPU by its number, where it is one of this node's.
func (v *gpuView) remote(l *fleet.Link) string {
	words := l.Info.Remote
	if words == "" {
		words = absent
	}
	if l.Info.RemotePci == "" {
		return words
	}
	for i := range v.n.GPUs {
		if o := &v.n.GPUs[i]; o.Info.Pci == l.Info.RemotePci {
			return "GPU " + strconv.Itoa(o.Index) + " " + shortPCI(o.Info.Pci)
		}
	}
	return words + " " + shortPCI(l.Info.RemotePci)
}

// shortPCI leaves out the domain that nearly all devices are in.
func shortPCI(pci string) string { return strings.TrimPrefix(pci, "0000:") }
