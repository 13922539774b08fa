package ui

import (
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// Marks that say by shape what is also said by colour.
const (
	markCritical = '✖'
	markWarning  = '▲'
	markFine     = '●'
	markIdle     = '·'
	markStale    = '◌'
	markUnknown  = '?'
	markAbsent   = '–'
	markNotice   = '○'
	markCursor   = '▸'
	markTag      = '+'
)

// drawable is r as it may be drawn and the cells it takes. Controls, marks that join with their neighbours, and whatever else could move the
// cursor or change width after the fact become U+FFFD. In ASCII, each of our own glyphs has its stand-in, and any other rune is '?'.
func drawable(r rune, ascii bool) (rune, int) {
	switch {
	case r >= 0x20 && r < 0x7f:
		return r, 1
	case ascii:
		return asciiOf(r), 1
	case r >= 0x2500 && r <= 0x259f, r >= 0x2800 && r <= 0x28ff: // boxes and blocks, braille
		return r, 1
	case joins(r) || !unicode.IsPrint(r) || unicode.Is(unicode.M, r):
		return unicode.ReplacementChar, 1
	}
	switch w := ansi.StringWidth(string(r)); w {
	case 1, 2:
		return r, w
	default:
		return unicode.ReplacementChar, 1
	}
}

// joins says whether r makes one character with a neighbour: regional indicators, skin tones, conjoining Hangul.
func joins(r rune) bool {
	return r >= 0x1f1e6 && r <= 0x1f1ff || r >= 0x1f3fb && r <= 0x1f3ff ||
		r >= 0x1100 && r <= 0x11ff || r >= 0xa960 && r <= 0xa97f || r >= 0xd7b0 && r <= 0xd7ff
}

// textWidth is how many cells s takes on a canvas.
func textWidth(s string, ascii bool) int {
	n := 0
	for _, r := range s {
		_, w := drawable(r, ascii)
		n += w
	}
	return n
}

// asciiOf is the stand-in of a glyph where only ASCII may be drawn: always one cell, so that layouts stay as they are.
func asciiOf(r rune) rune {
	switch r {
	case '✖':
		return 'X'
	case '▲':
		return '!'
	case '▼', '↓':
		return 'v'
	case '●':
		return '*'
	case '○':
		return 'o'
	case '◌', '…':
		return '~'
	case '·', '▁':
		return '.'
	case '–', '─', '—', '‑':
		return '-'
	case '▸', '▶', '›', '→':
		return '>'
	case '←', '‹':
		return '<'
	case '↑':
		return '^'
	case '│', '‖', '▏', '▕', '▎', '├', '┤':
		return '|'
	case '└':
		return '`'
	case 'µ':
		return 'u'
	case '×':
		return 'x'
	case '°':
		return 'C'
	case '≤':
		return '<'
	case '≥':
		return '>'
	case '█', '▓':
		return '#'
	case '▇', '▆':
		return '#'
	case '▅', '▄', '▒':
		return '='
	case '▃', '▂', '░':
		return '-'
	case '↵':
		return '>'
	}
	if r >= 0x2800 && r <= 0x28ff {
		return brailleASCII(r)
	}
	return '?'
}

// brailleASCII says by ink how many of the eight dots are set.
func brailleASCII(r rune) rune {
	dots := 0
	for b := r - 0x2800; b != 0; b &= b - 1 {
		dots++
	}
	return rune(" ..::++##"[dots])
}
