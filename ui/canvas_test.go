package ui

import (
	"math/rand/v2"
	"strings"
	"testing"

	"foretop/fleet"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// pen is what a terminal has set: attributes and colours as SGR words them.
type pen struct{ attrs, front, back string }

// obey is what a terminal makes of one SGR sequence.
func (p *pen) obey(params string) {
	words := strings.Split(params, ";")
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "" || w == "0":
			*p = pen{}
		case len(w) == 1:
			p.attrs += w
		case w == "39":
			p.front = ""
		case w == "49":
			p.back = ""
		case w == "38" || w == "48":
			n := 3
			if words[i+1] == "2" {
				n = 5
			}
			c := strings.Join(words[i:i+n], ";")
			if i += n - 1; w == "38" {
				p.front = c[1:]
			} else {
				p.back = c[1:]
			}
		case w[0] == '3':
			p.front = w[1:]
		case w[0] == '4':
			p.back = w[1:]
		}
	}
}

// TestRender shows that a terminal which obeys the rendered text has every cell in its character and style, whatever the palette.
func TestRender(t *testing.T) {
	for _, th := range []theme{newTheme("", colorprofile.TrueColor, true), newTheme("", colorprofile.ANSI256, false), newTheme("8", 0, true), newTheme("8", 0, false), newTheme("none", 0, true)} {
		rnd := rand.New(rand.NewPCG(9, 9))
		var c canvas
		for range 50 {
			c.reset(1+rnd.IntN(30), 1+rnd.IntN(6), false)
			for range 200 {
				st := style{color(rnd.IntN(int(numColors))), color(rnd.IntN(int(numColors))), attr(rnd.IntN(16))}
				c.whole().text(rnd.IntN(c.w+4)-2, rnd.IntN(c.h), []string{"x", " ", "漢", "ab", "▀"}[rnd.IntN(5)], st)
			}
			lines := strings.Split(c.render(&th), "\n")
			if len(lines) != c.h {
				t.Fatalf("%d lines of %d", len(lines), c.h)
			}
			for y, line := range lines {
				checkLine(t, &th, &c, y, line)
			}
		}
	}
}

func checkLine(t *testing.T, th *theme, c *canvas, y int, line string) {
	t.Helper()
	x := 0
	var p pen
	for len(line) > 0 {
		if rest, ok := strings.CutPrefix(line, "\x1b["); ok {
			params, after, _ := strings.Cut(rest, "m")
			p.obey(params)
			line = after
			continue
		}
		r := []rune(line)[0]
		line = line[len(string(r)):]
		cell := c.cells[y*c.w+x]
		want := pen{front: th.paints[cell.style.fg].sgr, back: th.paints[cell.style.bg].sgr}
		for i, code := range "1247" {
			if th.attrs(cell.style)&(1<<i) != 0 {
				want.attrs += string(code)
			}
		}
		shown := cell.r
		if shown == 0 {
			shown = ' '
		}
		if r != shown || p != want {
			t.Fatalf("cell %d,%d is %q %+v, should be %q %+v", x, y, r, p, shown, want)
		}
		x += ansi.StringWidth(string(r))
	}
	if p != (pen{}) {
		t.Fatalf("line %d ends in %+v", y, p)
	}
	for ; x < c.w; x++ {
		if cell := c.cells[y*c.w+x]; cell.r != 0 || th.visibleBlank(cell.style) {
			t.Fatalf("cell %d,%d was left out", x, y)
		}
	}
}

// TestCut shows that text is cut by cells, with a mark, and never drawn outside its area.
func TestCut(t *testing.T) {
	th := newTheme("none", 0, true)
	for _, c := range []struct {
		s    string
		w    int
		want string
	}{
		{"abc", 5, "[abc  ]"}, {"abc", 3, "[abc]"}, {"abcd", 3, "[ab…]"}, {"abc", 1, "[…]"}, {"abc", 0, "[]"}, {"漢字", 3, "[漢…]"}, {"漢字", 2, "[… ]"}, {"漢字", 4, "[漢字]"},
		{"a\x1b[2Jb", 9, "[a�[2Jb   ]"}, {"\xff\xfe", 1, "[…]"}, {"\xffab", 3, "[�ab]"}, {"", 2, "[  ]"}, {"e\u0301x", 2, "[e…]"},
	} {
		var cv canvas
		cv.reset(c.w+2, 1, false)
		a := cv.whole()
		a.text(0, 0, "[", style{})
		a.cut(1, 0, c.w, c.s, style{})
		a.text(c.w+1, 0, "]", style{})
		if got := cv.render(&th); got != c.want {
			t.Errorf("%q in %d cells: %q, want %q", c.s, c.w, got, c.want)
		}
	}
}

// TestFormats holds how numbers read.
func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{formatRate(0), "0 B/s"}, {formatRate(61.4e9), "61 GB/s"}, {formatRate(1e8), "100 MB/s"}, {formatRate(9.96e8), "996 MB/s"}, {formatRate(999.6e6), "1.0 GB/s"}, {formatRate(fleet.None()), "–"},
		{formatBytes(71 * gib), "71G"}, {formatUsed(71.4*gib, 80*gib), "71/80G"}, {formatUsed(fleet.None(), 80*gib), "–/80G"}, {formatUsed(fleet.None(), fleet.None()), "–"},
		{formatWatts(694), "694W"}, {formatWatts(4912), "4.9kW"}, {formatPct(99.6), "100%"}, {formatPct(0), "0%"},
		{formatAge(400e6), "0.4s"}, {formatAge(12e9), "12s"}, {formatAge(180e9), "3m"}, {formatAge(5 * 3600e9), "5h0m"}, {formatAge(44 * 3600e9), "1d20h"}, {formatAge(-1), "–"}, {formatLong(-5), "0m"},
		{ranges([]int{8, 9, 10, 31}), "8-10,31"}, {ranges(nil), ""}, {count(1, "node"), "1 node"}, {count(2, "process"), "2 processes"}, {formatWhole(1e300), "?"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
