package report

import (
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

// drawing is a heat map as SVG: inside it a column and a row are one unit, so that equal neighbours are one stroke.
type drawing struct {
	*heatMap
	Columns, Lines int
	Height, Full   int      // of the picture and with its axis, in pixels
	Layers         []layer  // the cells of one level each
	Labels         []label  // at the left
	Hints          []label  // over each row
	Ticks          []label  // below
	Marks          []moment // where something critical began
	Legend         []string // the scale's ends
}

type layer struct {
	Level int
	Path  string
}

type label struct {
	At     int
	Text   string
	Anchor string // of a tick: which of its ends stands there
}

type moment struct{ X, Text string }

const (
	mapWidth    = 960 // pixels, as the template has them
	labelPixels = 11
	tickEvery   = 6 // ticks on the axis, less one
)

// drawn lays a map out.
func (s *story) drawn(m *heatMap) drawing {
	d := drawing{heatMap: m, Columns: len(m.Rows[0].Values), Lines: len(m.Rows)}
	pixels := 12
	switch {
	case d.Lines > 256:
		pixels = 2
	case d.Lines > 128:
		pixels = 4
	case d.Lines > 64:
		pixels = 8
	}
	d.Height = d.Lines * pixels
	d.Full = d.Height + 18
	d.Layers = layers(m)
	every := (labelPixels + pixels - 1) / pixels
	for i, r := range m.Rows {
		if i%every == 0 {
			d.Labels = append(d.Labels, label{At: i*pixels + max(pixels, labelPixels) - 2, Text: r.Label})
		}
		d.Hints = append(d.Hints, label{At: i, Text: r.Label})
	}
	for i := range tickEvery {
		at := m.From.Add(m.To.Sub(m.From) * time.Duration(i) / (tickEvery - 1))
		anchor := "middle"
		switch i {
		case 0:
			anchor = "start"
		case tickEvery - 1:
			anchor = "end"
		}
		d.Ticks = append(d.Ticks, label{mapWidth * i / (tickEvery - 1), s.tick(at), anchor})
	}
	for i := range s.Episodes {
		e := &s.Episodes[i]
		if e.Severity < fleet.Critical || e.Begin.Before(m.From) || e.Begin.After(m.To) || len(d.Marks) == 50 {
			continue
		}
		x := e.Begin.Sub(m.From).Seconds() / m.To.Sub(m.From).Seconds() * float64(d.Columns)
		d.Marks = append(d.Marks, moment{strconv.FormatFloat(x, 'f', 2, 64), s.clock(e.Begin) + " " + e.Line()})
	}
	d.Legend = []string{number(m.Low), number(m.Top)}
	return d
}

// layers are the cells by level: each a path of bars, one where neighbours in a row are equal.
func layers(m *heatMap) []layer {
	var paths [heatLevels]strings.Builder
	for y, r := range m.Rows {
		for x := 0; x < len(r.Values); {
			level := m.level(r.Values[x])
			end := x + 1
			for end < len(r.Values) && m.level(r.Values[end]) == level {
				end++
			}
			if level >= 0 {
				w := strconv.Itoa(end - x)
				paths[level].WriteString("M" + strconv.Itoa(x) + " " + strconv.Itoa(y) + "h" + w + "v1h-" + w + "z")
			}
			x = end
		}
	}
	var out []layer
	for level := range paths {
		if paths[level].Len() > 0 {
			out = append(out, layer{level, paths[level].String()})
		}
	}
	return out
}
