package ui

import (
	"strconv"

	"foretop/fleet"
	"foretop/telemetry"
)

// Classes of counters, in the order in which they are shown, and how many lines each may take.
var counterClasses = []struct {
	class telemetry.CounterClass
	title string
	lines int
}{
	{telemetry.CounterDamage, "damage", 3}, {telemetry.CounterCongestion, "congestion", 2}, {telemetry.CounterTraffic, "traffic", 2}, {telemetry.CounterInfo, "others", 2},
	{telemetry.CounterOther, "unnamed", 2},
}

// classIndent is where the counters of a class begin.
const classIndent = tableIndent + 11

// portLines are what is known of one port: who it is, then its counters by what they tell, those that are not zero. Counters come at detail level.
func portLines(p *fleet.Port, w int) [][]span {
	if p == nil || p.Fact == nil && len(p.Counters) == 0 {
		return nil
	}
	lines := flow(portWords(p), w, tableIndent, "  "+p.Name, fg(colStrong), 2)
	stopped := false
	for _, c := range counterClasses {
		var items []span
		zero := 0
		for i := range p.Counters {
			k := &p.Counters[i]
			switch {
			case k.Def.Class != c.class:
			case k.Value == 0:
				zero++
			default:
				stopped = stopped || k.Full()
				items = append(items, counterItem(k))
			}
		}
		if zero > 0 && (c.class == telemetry.CounterDamage || len(items) > 0) {
			items = append(items, span{"all others 0", fg(colDim)})
			if len(items) == 1 {
				items[0].text = "all " + strconv.Itoa(zero) + " at 0"
			}
		}
		if len(items) > 0 {
			lines = append(lines, flow(items, w, classIndent, "  "+c.title, fg(colDim), c.lines)...)
		}
	}
	if stopped {
		lines = append(lines, []span{{"            ≥ at its limit, counts no more: perfquery -R resets it", fg(colWarn)}})
	}
	return lines
}

// portWords say who a port is.
func portWords(p *fleet.Port) (words []span) {
	f := p.Fact
	if f == nil {
		return nil
	}
	add := func(text string, st style) { words = append(words, span{text, st}) }
	if p.GPU >= 0 {
		add("GPU "+strconv.Itoa(p.GPU)+" by "+p.Near.String(), style{})
	}
	if p.Netdev != "" {
		add(p.Netdev, style{})
	}
	if p.LID() > 0 {
		add("LID "+strconv.Itoa(int(p.LID()))+" of SM "+strconv.Itoa(int(p.SMLID())), style{})
	}
	if p.RateMaxMbps.Known() {
		text := "at best " + formatWhole(float64(p.RateMaxMbps)/1000) + "G"
		if p.RateMaxFrom() != "ethtool" {
			text += " by its kind"
		}
		add(text, style{})
	}
	if s := pcieWord(p); s != absent {
		text, st := "PCIe "+s, style{}
		if p.PCIeWidth < p.PCIeWidthMax || p.PCIeGen < p.PCIeGenMax {
			text += " of " + formatWhole(float64(p.PCIeGenMax)) + "×" + formatWhole(float64(p.PCIeWidthMax))
			st = fg(colWarn)
		}
		add(text, st)
	}
	if f.NumaNode >= 0 {
		add("NUMA "+strconv.Itoa(int(f.NumaNode)), style{})
	}
	for _, w := range []struct{ title, text string }{{"", f.Pci}, {"GUID ", f.Guid}, {"firmware ", f.Firmware}, {"", f.HcaType}, {"", f.BoardId}, {"", f.Driver}} {
		if w.text != "" {
			add(w.title+w.text, fg(colDim))
		}
	}
	return words
}

// counterItem is a counter with its rate, as "out_of_sequence 1500 +12/s"; octets as amounts, levels without a rate.
func counterItem(c *fleet.Counter) span {
	value, rate := formatCount(c.Value), ""
	moves := c.PerS > 0
	switch c.Def.Unit {
	case telemetry.UnitOctets, telemetry.UnitFourOctets:
		scale := fleet.Reading(1)
		if c.Def.Unit == telemetry.UnitFourOctets {
			scale = 4
		}
		value, rate = formatBytes(c.Value*scale), formatRate(c.PerS*scale)
	default:
		rate = "+" + formatCount(c.PerS) + "/s"
		if moves && c.PerS < 10 {
			rate = "+" + format3(float64(c.PerS)) + "/s"
		}
	}
	st := style{}
	switch {
	case c.Full():
		return span{c.Name + " ≥" + value, fg(colWarn)}
	case !moves || c.Def.Unit == telemetry.UnitObjects:
		return span{c.Name + " " + value, st}
	case c.Def.Class == telemetry.CounterDamage:
		st = fg(colWarn)
	}
	return span{c.Name + " " + value + " " + rate, st}
}

// flow puts items into lines of w cells that begin at indent, the first with a title; what does not fit into so many lines ends in an ellipsis.
func flow(items []span, w, indent int, title string, st style, most int) [][]span {
	pad := func(n int) string {
		const blanks = "                                                                                "
		return blanks[:max(0, min(n, len(blanks)))]
	}
	head := title + pad(indent-1-textWidth(title, false))
	line := []span{{head, st}}
	at := max(indent-1, textWidth(title, false))
	var lines [][]span
	for i, it := range items {
		text := it.text
		cells := textWidth(text, false) + 2
		if at+cells+2 > w && len(line) > 1 {
			if len(lines)+1 == most {
				line = append(line, span{"  …" + strconv.Itoa(len(items)-i), fg(colDim)})
				return append(lines, line)
			}
			lines = append(lines, line)
			line, at = []span{{pad(indent - 1), st}}, indent-1
		}
		line = append(line, span{"  " + text, it.st})
		at += cells
	}
	return append(lines, line)
}
