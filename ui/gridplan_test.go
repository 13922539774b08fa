package ui

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"foretop/fleet"
	"foretop/jobs/layout"

	"github.com/charmbracelet/colorprofile"
)

// laidOut is a fleet whose big job says its layout: stage 2 of its pipeline is slow, and so is its replica 5.
func laidOut() *fleet.Snapshot { return laidOutAs("tp=8 dp=8 pp=4") }

func laidOutAs(text string) *fleet.Snapshot {
	f := &fixture{seed: 9}
	f.addNodes("gpu%03d", 1, 40, 8)
	j := f.addJob("8123", "llama3-70b-pt", "ann", "torchrun", 1, 32, 8, load{97, 99, 41, 71, 9.6e9})
	f.addJob("8131", "gemma-9b", "cy", "torchrun", 33, 36, 8, load{93, 98, 44, 60, 4.8e9})
	w, err := layout.Parse(text)
	if err == nil {
		j.Layout, err = w.Layout(j.Size())
	}
	if err != nil {
		panic(err)
	}
	j.Layout.Framework, j.Layout.From = "Megatron-LM", "flags"
	for i := range j.GPUs {
		ref := &j.GPUs[i]
		dp := j.Layout.Coord(ref.Rank, layout.DP) + j.Layout.Coord(ref.Rank, layout.Shard)
		switch {
		case j.Layout.Coord(ref.Rank, layout.PP) == 2:
			ref.GPU.PowerW = 280
		case dp == 5:
			ref.GPU.PowerW = 420
		}
	}
	return f.snapshot()
}

// TestLayoutGoldens holds the grid by layout, and the marks of a rank's peers, at the four sizes and on poor terminals.
func TestLayoutGoldens(t *testing.T) {
	for _, s := range []struct{ name, keys string }{{"home", "v"}, {"job", "enter"}, {"plan", "enter v"}, {"moved", "enter v g down down right right right"}} {
		for _, size := range sizes {
			t.Run(s.name+"/"+size.name, func(t *testing.T) {
				d := drive(laidOut(), size.w, size.h, Options{})
				d.keys(strings.Fields(s.keys)...)
				d.must(t)
				golden(t, filepath.Join("layout", s.name+"-"+size.name), trim(d.text()))
			})
		}
	}
	for _, c := range []struct {
		name string
		opt  Options
	}{{"8", Options{Profile: colorprofile.ANSI}}, {"nocolor", Options{Profile: colorprofile.ASCII}}, {"ascii", Options{Profile: colorprofile.ASCII, ASCII: true}}} {
		t.Run(c.name, func(t *testing.T) {
			d := drive(laidOut(), 80, 24, c.opt)
			d.keys("enter", "v", "g", "right")
			d.must(t)
			golden(t, filepath.Join("layout", "terminal-"+c.name), visible(d.View().Content))
		})
	}
}

// TestPeersLightUp shows each peer of the selected rank by the letter of its dimension, in the grid by node and in that by layout, without any colour.
func TestPeersLightUp(t *testing.T) {
	for _, keys := range []string{"enter", "enter v"} {
		d := drive(laidOut(), 200, 60, Options{Profile: colorprofile.ASCII})
		d.keys(strings.Fields(keys)...)
		d.keys("g", "right")
		l := d.snap.Job("slurm/8123").Layout
		v := &d.jobs.view
		if u := v.unit(v.cursor()); u != 1 {
			t.Fatalf("after %q rank %d is selected", keys, u)
		}
		for rank := range l.World {
			want := byte(0)
			switch dense, _ := l.Between(1, rank); dense {
			case layout.TP:
				want = 't'
			case layout.DP:
				want = 'd'
			case layout.PP:
				want = 'p'
			}
			if got := v.peers.mark(int32(rank)); got != want {
				t.Errorf("rank %d is marked %q, want %q", rank, got, want)
			}
		}
		text := d.text()
		for letter, n := range map[string]int{"t": 7, "d": 7, "p": 3} {
			if got := len(regexp.MustCompile(` `+letter+`[0-9][0-9]\b`).FindAllString(text, -1)); got != n {
				t.Errorf("after %q: %d cells are marked %s, want %d\n%s", keys, got, letter, n, text)
			}
		}
		d.shows(t, "tp 8 · pp 4 · dp 8")
		d.shows(t, "tp 1 · dp 0 · pp 0")
	}
}

// TestEveryRankHasItsCell shows that a plan holds each rank once, in the place that its layout gives, whatever the dimensions.
func TestEveryRankHasItsCell(t *testing.T) {
	for _, text := range []string{"tp=8 dp=8 pp=4", "tp=4 cp=2 dp=8 pp=4", "tp=2 pp=4 dp=32", "shard=8 replicate=32", "dp=256", "tp=8 sp=2 shard=4 replicate=4", "tp=256",
		"tp=2 ep=4 etp=1 dp=32 pp=4", "pp=256", "tp=4 shard=4 replicate=4 pp=4"} {
		t.Run(text, func(t *testing.T) {
			snap := laidOutAs(text)
			l := snap.Jobs[0].Layout
			p := makePlan(l)
			seen := map[spot]bool{}
			for rank, s := range p.spots {
				if seen[s] || s.col >= p.cells || s.row >= p.deep*p.wide {
					t.Fatalf("rank %d at %v of %d × %d × %d", rank, s, p.deep, p.wide, p.cells)
				}
				seen[s] = true
				if p.down != "" && s.row%p.deep != l.Coord(rank, p.down) {
					t.Fatalf("rank %d is in row %d, its %s is %d", rank, s.row%p.deep, p.down, l.Coord(rank, p.down))
				}
				if tp := l.Coord(rank, layout.TP); l.Size(layout.TP) == p.part && s.col%p.part != tp {
					t.Fatalf("rank %d is at column %d, its tp is %d", rank, s.col, tp)
				}
			}
			for _, size := range [][2]int{{80, 24}, {60, 12}, {20, 5}} {
				for _, color := range []colorprofile.Profile{colorprofile.TrueColor, colorprofile.ASCII} {
					d := drive(snap, size[0], size[1], Options{Profile: color, Mouse: true})
					d.keys("enter", "v")
					for _, k := range []string{"g", "right", "down", "pgdown", "left", "up", "G", "pgup", "right", "right", "down"} {
						d.keys(k)
						d.must(t)
						v := &d.jobs.view
						if c := v.cursor(); v.at(c) == nil || v.unit(c) < 0 || p.spots[v.unit(c)] != c {
							t.Fatalf("%v: after %s the cursor is at %v", size, k, c)
						}
						if c := v.cursor(); v.shape.bands && v.shape.window > 1 {
							if y := v.shape.line(c.row) - v.top; y < 0 || y >= v.shape.window {
								t.Fatalf("%v: the cursor is on line %d of %d", size, y, v.shape.window)
							}
						}
					}
				}
			}
		})
	}
}

// TestLayoutCommand sets a layout by hand, says what is wrong with one, and undoes it.
func TestLayoutCommand(t *testing.T) {
	d := drive(healthy(), 120, 40, Options{})
	d.keys("v")
	d.shows(t, "nothing is known of a parallel layout of job 8123")
	d.keys(":")
	d.write("layout tp=8 pp=4 dp=7")
	d.shows(t, "tp 8 × pp 4 × dp 7 = 224, but there are 256 ranks")
	d.keys("enter")
	if !d.prompt.open {
		t.Fatal("a layout that cannot be is taken")
	}
	d.keys("backspace")
	d.write("8").keys("enter")
	d.shows(t, "job 8123: tp 8 · pp 4 · dp 8 (manual)")
	d.shows(t, "pp × dp, tp 8 side by side")
	d.keys("enter")
	d.shows(t, "tp 8 · pp 4 · dp 8 (manual)")
	d.keys(":").write("layout auto").keys("enter")
	d.shows(t, "job 8123 says nothing of its layout")
	d.keys(":").write("loyout x")
	d.shows(t, `"loyout" is no command: did you mean layout?`)
	d.keys("esc")
	if d.prompt.open {
		t.Error("Esc does not end it")
	}
	d.keys(":").write("layout tp=8 pp=4 dp=-1").keys("enter").keys("v")
	d.shows(t, "node × local rank")
	d.keys("v")
	d.shows(t, "pp × dp, tp 8 side by side")
}

// TestUnknownLayoutSaysWhy shows what is said where a layout cannot be told.
func TestUnknownLayoutSaysWhy(t *testing.T) {
	snap := healthy()
	snap.Jobs[0].LayoutTrouble = "tp 7 does not divide 256 ranks"
	d := drive(snap, 120, 40, Options{})
	d.keys("enter")
	d.shows(t, "layout not known: tp 7 does not divide 256 ranks")
	d.keys("v")
	d.shows(t, "its layout is not known: tp 7 does not divide 256 ranks")
}

// TestMissingRanksHaveCells shows the ranks that are not seen, in their places.
func TestMissingRanksHaveCells(t *testing.T) {
	snap := laidOut()
	j := snap.Jobs[0]
	j.GPUs, j.Ranks, j.MissingN, j.Missing = j.GPUs[:248], j.Ranks[:248], 8, []int{248, 249, 250, 251, 252, 253, 254, 255}
	d := drive(snap, 200, 60, Options{})
	d.keys("enter", "v", "G")
	d.shows(t, "rank 255 tp 7 · dp 7 · pp 3 not seen on any node")
	if n := strings.Count(d.text(), "?  "); n < 7 {
		t.Errorf("%d cells of ranks that are not seen\n%s", n, d.text())
	}
	d.keys("enter")
	d.shows(t, "rank 255 is not seen on any node")
}
