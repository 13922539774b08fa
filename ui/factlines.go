package ui

import "foretop/fleet"

// fact is one thing known, or not, in a section of facts.
type fact struct {
	label, value string
	st           style
}

// number is a fact that is a reading: bad says that it is not as it should be.
func number(label, value string, bad bool) fact {
	st := style{}
	if bad {
		st = fg(colWarn).with(bold)
	}
	return fact{label, value, st}
}

// damage is a count that should be zero.
func damage(label string, r fleet.Reading) fact { return number(label, formatCount(r), r > 0) }

// yes is a fact of 0 or 1; bad says which of them, if any, is not as it should be.
func yes(label string, r fleet.Reading, bad float64) fact {
	words := absent
	if r.Known() {
		words = "no"
		if r != 0 {
			words = "yes"
		}
	}
	return number(label, words, r.Known() && float64(r) == bad)
}

// never is the value of a yes or no that is as it should be either way.
const never = -1

// known says whether anything of some facts is.
func known(list []fact) bool {
	for _, f := range list {
		if f.value != absent && f.value != "" {
			return true
		}
	}
	return false
}

// factCell is the narrowest and the widest room of a fact.
const (
	factCell = 29
	factMost = 40
)

// factLines lays facts out side by side, as many on a line as there is room for; where each stands depends on nothing but the width.
func factLines(w int, list []fact) []lineDraw {
	w--
	per := max(1, w/factCell)
	cell := min(factMost, w/per)
	label := 0
	for _, f := range list {
		label = max(label, len(f.label))
	}
	label = min(label, max(0, cell*3/5))
	var lines []lineDraw
	for i := 0; i < len(list); i += per {
		row := list[i:min(len(list), i+per)]
		lines = append(lines, func(a area) {
			for k, f := range row {
				drawFact(a.sub(1+k*cell, 0, cell-2, 1), label, f)
			}
		})
	}
	return lines
}

func drawFact(a area, label int, f fact) {
	a.cut(0, 0, label, f.label, fg(colDim))
	if f.value == absent || f.value == "" {
		f.value, f.st = absent, fg(colDim)
	}
	a.right(label+1, 0, min(factValue, a.w-label-1), f.value, f.st)
}

// factValue is how wide a value is; numbers stand at its right end.
const factValue = 13

// wordLines are facts of words, each on lines of its own.
func wordLines(w int, list []fact, ascii bool) []lineDraw {
	label := 0
	for _, f := range list {
		label = max(label, len(f.label))
	}
	var lines []lineDraw
	for _, f := range list {
		if f.value == "" || f.value == absent {
			f.value, f.st = absent, fg(colDim)
		}
		for i, part := range wrap(f.value, max(10, w-label-3), ascii) {
			name := f.label
			if i > 0 {
				name = ""
			}
			lines = append(lines, func(a area) {
				a.cut(1, 0, label, name, fg(colDim))
				a.cut(label+2, 0, a.w-label-2, part, f.st)
			})
		}
	}
	return lines
}

// meterLabel is the room of a meter's name, meterCells that of the meter.
const (
	meterLabel = 10
	meterCells = 30
)

// meter is a quantity that has a bar: words are its number, label the least room for them, series what is kept of its past.
type meter struct {
	name   string
	share  fleet.Reading
	words  string
	label  int
	series fleet.SeriesID
}

// noSeries is for a meter of which no past is kept.
const noSeries = fleet.NumGPUSeries

// meterLine is a meter with its number, and beside it what it was like in the last 15 minutes.
func (v *gpuView) meterLine(m meter) lineDraw {
	return func(a area) {
		a.cut(1, 0, meterLabel, m.name, fg(colDim))
		w := min(meterCells, a.w-meterLabel-2)
		st := style{}
		if m.words == absent {
			st = fg(colDim)
		}
		if !m.share.Known() {
			a.right(meterLabel+2, 0, w, m.words, st)
		} else {
			drawMeter(a.sub(meterLabel+2, 0, w, 1), w, m.share, m.words, m.label, fg(colBar))
		}
		if m.series >= noSeries {
			return
		}
		x := meterLabel + 2 + w + 2
		from, to := 0.0, 100.0
		for _, d := range metrics {
			if d.series == m.series {
				from, to = d.from, curveTop(&d)
			}
		}
		drawCurve(a.sub(x, 0, a.w-x-1, 1), v.m.node.curve(v.g.Index, m.series), from, to, fg(colAccent))
	}
}
