package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"foretop/actions"
	"foretop/telemetry"

	tea "charm.land/bubbletea/v2"
)

// TestHostileOutput lets nothing that a node prints reach the terminal, and keeps its bounds.
func TestHostileOutput(t *testing.T) {
	for i, text := range hostileText {
		for _, size := range [][2]int{{80, 24}, {200, 60}, {21, 6}} {
			d, _ := runOn(t, size[0], size[1], Options{ASCII: i%5 == 4}, func(node string, _ []string) (actions.Output, error) {
				if node == "gpu002" {
					return actions.Output{Code: -1}, fmt.Errorf("%s: %w", text, actions.ErrNotSent)
				}
				return actions.Output{Text: text + "\n" + text + "\t" + text, Code: len(node) % 3}, nil
			}, "gpu001", "gpu002")
			for _, keys := range []string{"", "enter", "right", "tab", "enter", "y", "esc 5"} {
				d.keys(fields(keys)...)
				d.must(t)
				if bad := foreign(d.View().Content); bad != "" {
					t.Fatalf("text %q, keys %q: %s got through", text, keys, bad)
				}
			}
		}
	}
}

// TestRunBounds shows of a huge output its beginning, and says so; a line of a megabyte is cut.
func TestRunBounds(t *testing.T) {
	lines := strings.Repeat("x\n", maxRunLines+7)
	g := actions.Group{Output: lines[:len(lines)-1]}
	if got := makeRunText(&g); len(got.lines) != maxRunLines || len(got.notes) != 1 || got.notes[0] != "… 7 more lines of it not shown here: foretop run shows all" {
		t.Errorf("%d lines, %q", len(got.lines), got.notes)
	}
	g = actions.Group{Output: strings.Repeat("y", 1<<20), Cut: true}
	if got := makeRunText(&g); len(got.lines) != 1 || len(got.lines[0]) > maxRunLine+8 || got.notes[0] != "… cut off after 1.0M: what came then was not kept" {
		t.Errorf("%d lines, %q", len(got.lines), got.notes)
	}
	for in, want := range map[string]string{"a\tb": "a       b", "1234567\t8\t9": "1234567 8       9", "\t": "        ", "漢字\tx": "漢字    x", "end\r": "end", "\x1b[31mred": "\ufffd[31mred"} {
		if got := runLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"run on gpu1: lost": "run on it: lost", "gpu12 gpu1": "gpu12 it", "gpu1-ib gpu1": "gpu1-ib it", "": ""} {
		if got := withoutName(in, "gpu1"); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestRunAnySize fills its rectangle, whatever that is.
func TestRunAnySize(t *testing.T) {
	d, _ := runOn(t, 80, 24, Options{Mouse: true}, mixed, eightNodes...)
	for _, keys := range []string{"", "tab", "enter", "/", "esc", "?"} {
		d.keys(fields(keys)...)
		for h := range 14 {
			for w := 0; w <= 42; w += 1 + w/9 {
				d.send(tea.WindowSizeMsg{Width: w, Height: h})
				d.must(t)
			}
		}
	}
}

// TestRunGoldens holds the view at the four sizes, with its colours gone.
func TestRunGoldens(t *testing.T) {
	for _, s := range []struct{ name, keys string }{{"groups", ""}, {"nodes", "tab > >"}, {"unfolded", "/ a space l i n e enter"}} {
		for _, size := range sizes {
			t.Run(s.name+"/"+size.name, func(t *testing.T) {
				d, _ := runOn(t, size.w, size.h, Options{}, mixed, eightNodes...)
				still(d.Model.run.news)
				d.Model.run.layout()
				d.keys(strings.Fields(s.keys)...)
				d.notice = ""
				d.dirty = true
				d.must(t)
				golden(t, "run/"+s.name+"-"+size.name, trim(d.text()))
			})
		}
	}
}

// still gives each step the same time on every run: which is first is chance.
func still(n *runNews) {
	for i := range n.results {
		r := &n.results[i]
		if r.Start.IsZero() {
			continue
		}
		r.Start, r.End = noon, noon.Add(time.Duration(40+310*i)*time.Millisecond)
	}
	n.began, n.ended, n.times = time.Time{}, time.Time{}, runTimes{}
	n.time()
}

// BenchmarkRun10k is the Run view of 10,000 nodes that all print something else.
func BenchmarkRun10k(b *testing.B) {
	results := make([]actions.Result, 10_000)
	for i := range results {
		results[i] = actions.Result{Target: fmt.Sprintf("gpu%05d", i), State: actions.Done, Output: actions.Output{Text: fmt.Sprintf("%d\nsomething\n", i)}, Start: noon, End: noon.Add(time.Duration(i))}
	}
	d := drive(big(), 200, 60, Options{})
	d.Model.run = runScreen{job: &actions.Job{Preview: &actions.Preview{Title: "uptime on 10000 nodes"}}, sort: "time"}
	d.Model.run.take((&runDigest{}).take(results, true))
	d.keys("5")
	b.ReportAllocs()
	for b.Loop() {
		d.Update(keyMsg("pgdown"))
		d.View()
	}
}

// FuzzRunText lets no output through that is not clean, and none that is longer than what is shown.
func FuzzRunText(f *testing.F) {
	f.Add("a\tb\r\n\x1b[31m\xff", "run on gpu1: lost", true)
	f.Add("one\n\n\ntwo \u202e\n", "", false)
	f.Fuzz(func(t *testing.T, output, why string, cut bool) {
		text := makeRunText(&actions.Group{Output: output, Why: withoutName(why, "gpu1"), Cut: cut})
		size := 0
		for i := range text.rows() {
			line, _ := text.line(i)
			if size += len(line); strings.ContainsFunc(line, func(r rune) bool { return r == '\t' || r == '\n' }) || !telemetry.IsClean([]byte(strings.ReplaceAll(line, "\ufffd", ""))) {
				t.Errorf("%q", line)
			}
		}
		if len(text.lines) > maxRunLines || size > tabStop*(maxRunText+maxRunLine)+3*maxRunWhy+1024 {
			t.Errorf("%d lines, %d bytes of %d", len(text.lines), size, len(output))
		}
	})
}
