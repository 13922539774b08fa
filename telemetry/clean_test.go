package telemetry

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	const gone = "\ufffd"
	for in, want := range map[string]string{
		"plain text":                "plain text",
		"ünï · 漢字 ✖":                "ünï · 漢字 ✖",
		"tab\tline\nreturn\r.":      "tab line return .",
		"\x1b[31mred\x1b[0m":        gone + "[31mred" + gone + "[0m",
		"\x1b]52;c;aGk=\a":          gone + "]52;c;aGk=" + gone,
		"csi \u009b31m":             "csi " + gone + "31m",
		"bidi \u202eevil\u202c":     "bidi " + gone + "evil" + gone,
		"zero\u200bwidth\ufeff":     "zero" + gone + "width" + gone,
		"sep\u2028par\u2029":        "sep" + gone + "par" + gone,
		"bad \xff\xfe utf8":         "bad " + gone + gone + " utf8",
		"del \x7f nul \x00":         "del " + gone + " nul " + gone,
		"z\u0301\u0302alg":          "z" + gone + gone + "alg",
		"surrogate \xed\xa0\x80":    "surrogate " + gone + gone + gone,
		"tag \U000e0041 pua \ue0b0": "tag " + gone + " pua " + gone,
	} {
		if got := Clean(in, 1000); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	for _, max := range []int{0, -1, -1 << 40} {
		if got := Clean("x\x1b", max); got != "" {
			t.Errorf("within %d bytes: %q", max, got)
		}
	}
	if got := Clean(strings.Repeat("é", 50), 20); got != strings.Repeat("é", 8)+"…" {
		t.Errorf("cut: %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[2J\u202e\xff", 10)
	f.Add("ordinary", 100)
	f.Fuzz(func(t *testing.T, s string, max int) {
		max = max % 300
		got := Clean(s, max)
		if !utf8.ValidString(got) || len(got) > max && len(got) > 0 {
			t.Fatalf("Clean(%q, %d) = %q", s, max, got)
		}
		for _, r := range got {
			if r != utf8.RuneError && !printable(r) {
				t.Fatalf("%q lets %U through", got, r)
			}
		}
		if again := Clean(got, max); max > 0 && again != got && !strings.ContainsRune(got, utf8.RuneError) {
			t.Fatalf("not the same again: %q, %q", got, again)
		}
	})
}
