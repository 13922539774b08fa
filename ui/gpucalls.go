package ui

import "foretop/fleet"

// callColumns are the columns of the calls into the driver's library.
func callColumns() []column {
	return []column{
		{id: "call", title: "CALL", width: 20, ideal: 44, rest: true},
		{id: "per", title: "A SECOND", width: 8, right: true},
		{id: "mean", title: "MEAN", width: 7, right: true},
		{id: "last", title: "LAST", width: 7, right: true, drop: 2},
		{id: "max", title: "LONGEST", width: 8, right: true, drop: 1},
		{id: "share", title: "BUSY", width: 6, right: true, drop: 3},
	}
}

func (v *gpuView) callsTitle() string {
	if len(v.n.Calls) == 0 {
		return "driver calls"
	}
	busy := fleet.None()
	for i := range v.n.Calls {
		busy = sum(busy, callBusy(&v.n.Calls[i]))
	}
	return "driver calls, all GPUs: " + formatShare(busy) + " of the time"
}

// callBusy is the share of wall time that a call takes, in percent.
func callBusy(c *fleet.Call) fleet.Reading { return c.PerS * c.MeanUS / 1e4 }

func (v *gpuView) calls(w int) []lineDraw {
	if len(v.n.Calls) == 0 {
		return v.nothing("driver calls")
	}
	columns := placeColumns(callColumns(), w)
	lines := []lineDraw{func(a area) { drawHeader(a, 0, columns, "", false) }}
	for i := range v.n.Calls {
		c := &v.n.Calls[i]
		lines = append(lines, func(a area) {
			for j := range columns {
				p := &columns[j]
				words, st := absent, style{}
				switch p.id {
				case "call":
					words = v.callName(c)
				case "per":
					words = formatFew(c.PerS)
				case "mean":
					words = formatMicros(c.MeanUS)
				case "last":
					words = formatMicros(c.LastUS)
				case "max":
					words = formatMicros(c.MaxUS)
				case "share":
					words = formatShare(callBusy(c))
				}
				if words == absent {
					st = fg(colDim)
				}
				drawField(a.sub(p.x, 0, p.cells, 1), p, words, st)
			}
		})
	}
	return lines
}

// callName is a call, with the source that makes it where there are several that make any.
func (v *gpuView) callName(c *fleet.Call) string {
	for i := range v.n.Calls {
		if v.n.Calls[i].Source != c.Source && c.Source < len(v.n.Sources) {
			return v.n.Sources[c.Source].Name + ": " + c.Name
		}
	}
	return c.Name
}

// formatFew is a small number with a digit after the point.
func formatFew(r fleet.Reading) string {
	if !r.Known() {
		return absent
	}
	return format3(float64(r))
}

// formatMicros is a time of microseconds in the unit that leaves three digits.
func formatMicros(r fleet.Reading) string {
	if !r.Known() {
		return absent
	}
	v, unit := scale(float64(r), 1000, "µs", "ms", "s")
	return format3(v) + " " + unit
}
