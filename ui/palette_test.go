package ui

import (
	"math"
	"testing"

	"github.com/charmbracelet/colorprofile"
)

// rgb is a colour in linear light, 0…1.
type rgb [3]float64

func linear(hex int) rgb {
	var out rgb
	for i, shift := range []int{16, 8, 0} {
		c := float64(hex>>shift&255) / 255
		if out[i] = c / 12.92; c > 0.04045 {
			out[i] = math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return out
}

// hexOf is the colour of an index among the 256, as xterm has it.
func hexOf(index int) int {
	if index >= 232 {
		v := 8 + 10*(index-232)
		return v<<16 | v<<8 | v
	}
	steps := [...]int{0, 95, 135, 175, 215, 255}
	i := index - 16
	return steps[i/36]<<16 | steps[i/6%6]<<8 | steps[i%6]
}

// lightness is OKLab's L (https://bottosson.github.io/posts/oklab/).
func (c rgb) lightness() float64 {
	l := math.Cbrt(0.4122214708*c[0] + 0.5363325363*c[1] + 0.0514459929*c[2])
	m := math.Cbrt(0.2119034982*c[0] + 0.6806995451*c[1] + 0.1073969566*c[2])
	s := math.Cbrt(0.0883024619*c[0] + 0.2817188376*c[1] + 0.6299787005*c[2])
	return 0.2104542553*l + 0.7936177850*m - 0.0040720468*s
}

// contrast is WCAG's ratio of luminances.
func contrast(a, b rgb) float64 {
	lum := func(c rgb) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }
	x, y := lum(a), lum(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// deficient are Machado, Oliveira and Fernandes' matrices (2009, severity 1.0) of how colours look without one kind of cone.
var deficient = map[string][9]float64{
	"protanopia":   {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
	"deuteranopia": {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
	"tritanopia":   {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900},
}

func (c rgb) seen(m [9]float64) rgb {
	var out rgb
	for i := range 3 {
		out[i] = max(0, min(1, m[3*i]*c[0]+m[3*i+1]*c[1]+m[3*i+2]*c[2]))
	}
	return out
}

// TestRampIsEven shows that the ramps rise, or fall, in even steps of lightness, for everybody's eyes, and that the text on them can be read.
func TestRampIsEven(t *testing.T) {
	for name, table := range map[string]*[numColors]swatch{"dark": &darkColors, "light": &lightColors} {
		first, last := linear(table[colRamp].hex).lightness(), linear(table[colRamp+rampLevels-1].hex).lightness()
		step := (last - first) / (rampLevels - 1)
		if math.Abs(step) < 0.08 {
			t.Errorf("%s: steps of %.3f are hard to tell apart", name, step)
		}
		for i := range rampLevels {
			c, text := table[colRamp+color(i)], table[colRampText+color(i)]
			if got := contrast(linear(c.hex), linear(text.hex)); got < 4.5 {
				t.Errorf("%s step %d: contrast %.1f", name, i, got)
			}
			if got := contrast(linear(hexOf(c.index)), linear(hexOf(text.index))); got < 4 {
				t.Errorf("%s step %d of 256 colours: contrast %.1f", name, i, got)
			}
			if i == 0 {
				continue
			}
			before := table[colRamp+color(i)-1]
			if d := linear(c.hex).lightness() - linear(before.hex).lightness(); math.Abs(d-step) > math.Abs(step)*0.15 {
				t.Errorf("%s step %d: %.3f, the mean is %.3f", name, i, d, step)
			}
			if d := linear(hexOf(c.index)).lightness() - linear(hexOf(before.index)).lightness(); d*step <= 0 || math.Abs(d) < 0.025 {
				t.Errorf("%s step %d of 256 colours: %.3f", name, i, d)
			}
			for who, m := range deficient {
				if d := linear(c.hex).seen(m).lightness() - linear(before.hex).seen(m).lightness(); d*step <= 0 || math.Abs(d) < math.Abs(step)/2 {
					t.Errorf("%s step %d with %s: %.3f", name, i, who, d)
				}
			}
		}
	}
}

// TestWordsCanBeRead shows that coloured words stand out from black, or white.
func TestWordsCanBeRead(t *testing.T) {
	for _, c := range []color{colDim, colGood, colWarn, colCrit, colStale, colAccent, colTagged} {
		if got := contrast(linear(darkColors[c].hex), linear(0x101010)); got < 4.5 {
			t.Errorf("colour %d on dark: contrast %.1f", c, got)
		}
		if got := contrast(linear(lightColors[c].hex), linear(0xffffff)); got < 4.5 {
			t.Errorf("colour %d on light: contrast %.1f", c, got)
		}
	}
}

// TestThemes shows which palette a terminal gets.
func TestThemes(t *testing.T) {
	for _, c := range []struct {
		word    string
		profile colorprofile.Profile
		levels  int
		sgr     string // of a critical word
	}{
		{"", colorprofile.TrueColor, 8, "\x1b[0;1;38;2;255;107;94m"}, {"", colorprofile.ANSI256, 8, "\x1b[0;1;38;5;203m"}, {"", colorprofile.ANSI, 5, "\x1b[0;1;31m"},
		{"", colorprofile.ASCII, 0, "\x1b[0;1m"}, {"", colorprofile.NoTTY, 0, "\x1b[0;1m"}, {"none", colorprofile.TrueColor, 0, "\x1b[0;1m"}, {"8", colorprofile.TrueColor, 5, "\x1b[0;1;31m"},
		{"light", colorprofile.TrueColor, 8, "\x1b[0;1;38;2;179;38;30m"}, {"light", colorprofile.ASCII, 0, "\x1b[0;1m"},
	} {
		th := newTheme(c.word, c.profile, true)
		if got := string(th.sgr(nil, fg(colCrit))); th.levels != c.levels || got != c.sgr {
			t.Errorf("%q on %v: %d steps, %q", c.word, c.profile, th.levels, got)
		}
	}
}
