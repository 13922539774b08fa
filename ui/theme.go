package ui

import (
	"slices"
	"strconv"

	"github.com/charmbracelet/colorprofile"
)

// color is a place in the theme's palette: what a colour is for, not what it looks like.
type color uint8

const (
	colDefault color = iota
	colDim           // what is less important: labels, rules, absent values
	colStrong        // what the eye should find first
	colGood
	colWarn
	colCrit
	colStale
	colAccent  // keys, the cursor's mark, charts
	colBar     // meters and spark bars
	colTitle   // text of the title line
	colTitleBG // its background
	colCursorBG
	colTagged
	colCritBG // under a critical mark in the grid
	colOnCrit
	colWarnBG
	colOnWarn
	colQuietBG // under a grid cell that has no value
	colPick    // the selected cell
	colOnPick
	colRamp // the first of rampLevels backgrounds, then as many text colours for them
)

// rampLevels is how many steps the ramp has at most.
const rampLevels = 8

const (
	colRampText = colRamp + rampLevels
	numColors   = colRampText + rampLevels
)

type attr uint8

const (
	bold attr = 1 << iota
	faint
	underline
	reverse
)

type style struct {
	fg, bg color
	attr   attr
}

func fg(c color) style { return style{fg: c} }

// on is the style on another background.
func (s style) on(bg color) style { s.bg = bg; return s }

func (s style) with(a attr) style { s.attr |= a; return s }

// paint is how a colour is asked of the terminal: the parameters of SGR without their leading 3 or 4, as in "8;5;17" or "1"; and attributes that
// say the same where there is no colour.
type paint struct {
	sgr  string
	attr attr
}

// theme is a palette for one kind of terminal.
type theme struct {
	paints [numColors]paint
	levels int  // steps of the ramp that this palette tells apart; 0: none
	color  bool // whether half-blocks can be told apart
}

// newTheme chooses the palette. word is one of config.Themes(); dark is what the terminal said of itself, for "auto".
func newTheme(word string, profile colorprofile.Profile, dark bool) theme {
	switch word {
	case "none":
		return monoTheme()
	case "8":
		return eightTheme(dark)
	case "dark":
		dark = true
	case "light":
		dark = false
	}
	switch profile {
	case colorprofile.NoTTY, colorprofile.ASCII:
		return monoTheme()
	case colorprofile.ANSI:
		return eightTheme(dark)
	case colorprofile.ANSI256:
		return richTheme(dark, false)
	}
	return richTheme(dark, true)
}

// visibleBlank says whether a blank cell in this style differs from an empty screen.
func (t *theme) visibleBlank(s style) bool {
	return t.paints[s.bg].sgr != "" || t.paints[s.bg].attr&reverse != 0 || s.attr&(reverse|underline) != 0
}

// set says whether a style differs from none.
func (t *theme) set(s style) bool {
	return t.attrs(s) != 0 || t.paints[s.fg].sgr != "" || t.paints[s.bg].sgr != ""
}

// attrs are the attributes that a style comes out with: its own, and those that stand for its colours.
func (t *theme) attrs(s style) attr { return s.attr | t.paints[s.fg].attr | t.paints[s.bg].attr }

// sgr appends the sequence that sets the style, whatever was set before.
func (t *theme) sgr(b []byte, s style) []byte {
	b = append(b, "\x1b[0"...)
	a := t.attrs(s)
	for i, code := range [...]byte{'1', '2', '4', '7'} {
		if a&(1<<i) != 0 {
			b = append(b, ';', code)
		}
	}
	if p := t.paints[s.fg].sgr; p != "" {
		b = append(append(b, ';', '3'), p...)
	}
	if p := t.paints[s.bg].sgr; p != "" {
		b = append(append(b, ';', '4'), p...)
	}
	return append(b, 'm')
}

// change appends the shortest sequence from one style to another; nothing where they look the same.
func (t *theme) change(b []byte, from, to style) []byte {
	if t.attrs(from) != t.attrs(to) {
		return t.sgr(b, to)
	}
	front, back := t.paints[to.fg].sgr, t.paints[to.bg].sgr
	newFront, newBack := front != t.paints[from.fg].sgr, back != t.paints[from.bg].sgr
	if !newFront && !newBack {
		return b
	}
	b = append(b, "\x1b["...)
	if newFront {
		b = appendColor(b, '3', front)
	}
	if newFront && newBack {
		b = append(b, ';')
	}
	if newBack {
		b = appendColor(b, '4', back)
	}
	return append(b, 'm')
}

func appendColor(b []byte, ground byte, sgr string) []byte {
	if sgr == "" {
		sgr = "9" // the terminal's own
	}
	return append(append(b, ground), sgr...)
}

// monoTheme uses no colour: what stands out is bold, what is selected is reversed.
func monoTheme() theme {
	var t theme
	for _, c := range []color{colStrong, colCrit, colWarn, colTitle, colOnCrit, colTagged} {
		t.paints[c].attr = bold
	}
	for _, c := range []color{colTitleBG, colCursorBG, colPick} {
		t.paints[c].attr = reverse
	}
	return t
}

// eightTheme keeps to the eight colours and bold: no bright ones, which terminals with eight do not have. The ramp goes by lightness, between
// black and white, which no colour blindness takes away.
func eightTheme(dark bool) theme {
	t := theme{levels: 5, color: true}
	t.paint(map[color]string{
		colGood: "2", colWarn: "3", colCrit: "1", colStale: "5", colAccent: "6", colBar: "2", colTagged: "3", colOnWarn: "3",
		colCritBG: "1", colOnCrit: "7", colPick: "5", colOnPick: "7",
	})
	ramp := [...][2]string{{"0", "7"}, {"4", "7"}, {"6", "0"}, {"3", "0"}, {"7", "0"}}
	if !dark {
		slices.Reverse(ramp[:])
		t.paint(map[color]string{colWarn: "5", colStale: "4", colAccent: "4", colBar: "4", colTagged: "5", colOnWarn: "5"})
	}
	for i, p := range ramp {
		t.paints[colRamp+color(i)].sgr, t.paints[colRampText+color(i)].sgr = p[0], p[1]
	}
	for _, c := range []color{colStrong, colCrit, colTitle, colOnCrit, colOnWarn, colTagged, colOnPick} {
		t.paints[c].attr = bold
	}
	t.paints[colCursorBG].attr = reverse
	return t
}

func (t *theme) paint(paints map[color]string) {
	for c, p := range paints {
		t.paints[c].sgr = p
	}
}

// richTheme has 24-bit colours, or their neighbours among 256.
func richTheme(dark, truecolor bool) theme {
	t := theme{levels: rampLevels, color: true}
	table := &darkColors
	if !dark {
		table = &lightColors
	}
	for c, p := range table {
		switch {
		case p.hex == 0 && p.index == 0:
		case truecolor:
			t.paints[c].sgr = "8;2;" + strconv.Itoa(p.hex>>16) + ";" + strconv.Itoa(p.hex>>8&255) + ";" + strconv.Itoa(p.hex&255)
		default:
			t.paints[c].sgr = "8;5;" + strconv.Itoa(p.index)
		}
	}
	for _, c := range []color{colStrong, colCrit, colTitle, colOnCrit, colOnWarn, colTagged, colOnPick} {
		t.paints[c].attr = bold
	}
	return t
}
