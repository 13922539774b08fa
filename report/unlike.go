package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Of rows that are unlike the others so many are named, if they are so far apart, as a share of the scale, or silent for so many columns at the end.
const (
	namedRows   = 3
	apartShare  = 0.15
	silentShare = 0.03
)

// unlike names rows that are apart from most others, or stopped giving numbers.
func (m *heatMap) unlike(where *time.Location) (notes []string) {
	if len(m.Rows) < 3 {
		return nil
	}
	type rowApart struct {
		row   int
		apart float64 // mean over the columns that it has
	}
	middle := m.middle()
	var rows []rowApart
	for i := range m.Rows {
		var apart []float64
		for c, v := range m.Rows[i].Values {
			apart = append(apart, v-middle[c])
		}
		if v := mean(apart); math.Abs(v) > apartShare*(m.Top-m.Low) {
			rows = append(rows, rowApart{i, v})
		}
	}
	slices.SortStableFunc(rows, func(a, b rowApart) int { return -cmp.Compare(math.Abs(a.apart), math.Abs(b.apart)) })
	var apart []string
	for _, r := range rows[:min(namedRows, len(rows))] {
		words := "lower"
		if r.apart > 0 {
			words = "higher"
		}
		apart = append(apart, fmt.Sprintf("%s %s %s", m.Rows[r.row].Label, number(math.Abs(r.apart)), words))
	}
	if len(apart) > 0 {
		text := "unlike the others, on average: " + strings.Join(apart, ", ")
		if n := len(rows) - len(apart); n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		notes = append(notes, text)
	}
	return append(notes, m.silent(where)...)
}

// middle is the median of all rows, by column; NaN where nothing is known.
func (m *heatMap) middle() []float64 {
	out := nothing(len(m.Rows[0].Values))
	var column []float64
	for c := range out {
		column = column[:0]
		for i := range m.Rows {
			if v := m.Rows[i].Values[c]; v == v {
				column = append(column, v)
			}
		}
		if len(column) > 0 {
			slices.Sort(column)
			out[c] = column[len(column)/2]
		}
	}
	return out
}

// silent names rows that stopped giving numbers while most others went on.
func (m *heatMap) silent(where *time.Location) []string {
	columns := len(m.Rows[0].Values)
	least := max(2, int(silentShare*float64(columns)))
	var names []string
	more, goes := 0, 0
	for _, r := range m.Rows {
		last := columns - 1
		for last >= 0 && r.Values[last] != r.Values[last] {
			last--
		}
		switch {
		case columns-1-last < least:
			goes++
		case last < 0:
		case len(names) == namedRows:
			more++
		default:
			names = append(names, r.Label+" since "+m.at(last+1).In(where).Format(time.TimeOnly))
		}
	}
	if len(names) == 0 || 2*goes < len(m.Rows) {
		return nil
	}
	text := "no numbers any more: " + strings.Join(names, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return []string{text}
}
