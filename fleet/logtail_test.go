package fleet

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLogLines(t *testing.T) {
	for _, c := range []struct {
		name, text string
		whole      bool
		want       []string
	}{
		{"whole", "a\nb\n", true, []string{"a", "b"}},
		{"the first is cut", "art of a line\nb\nc", false, []string{"b", "c"}},
		{"one long line", "no end of a line yet", false, []string{"no end of a line yet"}},
		{"a progress bar", "step 1\rstep 2\rstep 3\r\n", true, []string{"step 3"}},
		{"colours", "\x1b[1;31mred\x1b[0m \x1b]0;title\x07tail\x1b]8;;x\x1b\\link", true, []string{"red taillink"}},
		{"what a terminal obeys", "a\x07b\x9bc\x1bcd", true, []string{"a\ufffdb\ufffdcd"}},
		{"nothing", "", true, []string{}},
	} {
		if d := cmp.Diff(c.want, LogLines(c.text, c.whole)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
	if got := LogLines(strings.Repeat("x\n", 3*MaxLogLines), true); len(got) != MaxLogLines {
		t.Errorf("%d lines", len(got))
	}
}

func TestLogNumbers(t *testing.T) {
	patterns := []LogPattern{{"loss", regexp.MustCompile(`loss[=: ]+([0-9.]+)`)}, {"tok/s", regexp.MustCompile(`([0-9]+) tok/s`)}, {"lr", regexp.MustCompile(`lr=(\S+)`)}}
	got := LogNumbers([]string{"step 1 loss: 3.2 100 tok/s", "step 2 loss: 3.1 loss: 3.0", "saving"}, patterns)
	want := []LogNumber{{"loss", "3.0", 1}, {"tok/s", "100", 0}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func FuzzLogLines(f *testing.F) {
	f.Add("a\x1b[31mb\rc\n\x1b]8;;", true)
	f.Fuzz(func(t *testing.T, s string, whole bool) {
		lines := LogLines(s, whole)
		if len(lines) > MaxLogLines {
			t.Fatal("too many")
		}
		for _, l := range lines {
			if len(l) > maxLogLine || strings.ContainsAny(l, "\x1b\n\r\x00") {
				t.Fatalf("%q", l)
			}
		}
	})
}
