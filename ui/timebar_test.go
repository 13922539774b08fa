package ui

import (
	"fmt"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// TestGoToTypedMoments shows what may be typed after ":at".
func TestGoToTypedMoments(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"at 11:55", "11:55:00"}, {"at 12:00:07", "12:00:07"}, {"at -5m", "11:58:41"}, {"at start", "11:48:41"}, {"at end", "12:03:41"}, {"at 2026-11-23 12:01", "12:01:00"}, {"at 3:00", "11:48:41"},
	} {
		d := traveller(nightPast(), 120, 40, Options{})
		d.keys("[", ":").write(c.typed).keys("enter")
		d.must(t)
		if got := d.moment().Format(time.TimeOnly); got != c.want || d.snap.At != d.moment() {
			t.Errorf("%q shows %s, want %s", c.typed, got, c.want)
		}
	}
	for typed, want := range map[string]string{"at 25:00": "is no moment", "at 5m": "what will be is not known", "at": "at 12:03:41, -5m", "at -99h": ""} {
		d := traveller(nightPast(), 200, 40, Options{})
		d.keys("[", ":").write(typed).keys("enter")
		d.must(t)
		d.reads(t, want)
	}
	d := traveller(nightPast(), 120, 40, Options{})
	if d.keys(":").write("at 11:55").keys("enter"); d.moment().Format(time.TimeOnly) != "11:55:00" || !d.paused {
		t.Errorf("from now it goes to %v", d.moment())
	}
	d = traveller(nightPast(), 120, 40, Options{})
	if d.keys("[", ":").write("at now").keys("enter"); d.paused {
		t.Error("at now is not now")
	}
}

// TestBarClick shows that a click on the time bar goes there.
func TestBarClick(t *testing.T) {
	d := traveller(nightPast(), 120, 40, Options{Mouse: true})
	d.keys("Z")
	y := d.height - 2
	d.send(tea.MouseClickMsg{X: d.barBox.x, Y: y, Button: tea.MouseLeft})
	if !d.moment().Equal(noon.Add(-15 * time.Minute)) {
		t.Errorf("the first cell is %v", d.moment())
	}
	d.send(tea.MouseClickMsg{X: d.barBox.x + d.barCells - 1, Y: y, Button: tea.MouseLeft})
	if !d.moment().Equal(noon) {
		t.Errorf("the last cell is %v", d.moment())
	}
	at := d.moment()
	d.send(tea.MouseClickMsg{X: d.barBox.x + d.barCells + 3, Y: y, Button: tea.MouseLeft})
	if d.moment() != at {
		t.Error("beside the bar is a moment too")
	}
}

// TestBarPlan holds that the parts of the bar never overlap, and which of them goes first as room lacks.
func TestBarPlan(t *testing.T) {
	for w := range 240 {
		for _, left := range []int{9, 19, 40} {
			for _, words := range []int{0, 9, 25, 90} {
				for _, ends := range []int{18, 40} {
					p := planBar(w, left, words, ends)
					at := 0
					if p.cells > 0 {
						at = p.bar + 1 + p.cells + 2
						if p.ends {
							at += ends
						}
						if p.bar <= left {
							t.Fatalf("%d, %d: the bar is over the moment", w, left)
						}
					}
					if at > w || p.n > 0 && (p.words <= at || p.words+p.n > w) || p.n > words || p.n > 0 && p.cells < barLeast {
						t.Fatalf("w %d, left %d, words %d, ends %d: %+v", w, left, words, ends, p)
					}
				}
			}
		}
	}
}

// TestBarMarks shows that of several findings in a cell the worst is seen, and none of what is not kept any more.
func TestBarMarks(t *testing.T) {
	k := &kept{from: noon, to: noon.Add(100 * time.Second), ok: true, marks: []PastMark{{noon.Add(-time.Second), fleet.Critical, ""}, {noon, fleet.Notice, ""}, {noon.Add(50 * time.Second), fleet.Critical, ""},
		{noon.Add(51 * time.Second), fleet.Warning, ""}, {noon.Add(100 * time.Second), fleet.Warning, ""}, {noon.Add(101 * time.Second), fleet.Critical, ""}}}
	got := fmt.Sprint(barMarks(k, 11))
	if want := fmt.Sprint([]fleet.Severity{fleet.Notice, 0, 0, 0, 0, fleet.Critical, 0, 0, 0, 0, fleet.Warning}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for cells := 2; cells < 200; cells++ {
		for c := range cells {
			if at := barCell(barMoment(c, k.from, k.to.Add(time.Hour), cells), k.from, k.to.Add(time.Hour), cells); at != c {
				t.Fatalf("cell %d of %d is the moment of cell %d", c, cells, at)
			}
		}
	}
}

// TestPastDurations holds how long ago is written.
func TestPastDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 400 * time.Millisecond: "0s", 59 * time.Second: "59s", 60 * time.Second: "1m00s", 150 * time.Second: "2m30s", 62 * time.Minute: "1h02m", 52 * time.Hour: "2d4h"} {
		if got := formatPast(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
	zone := time.FixedZone("", 3600)
	for _, c := range []struct {
		at   time.Time
		want string
	}{{noon, "13:03:41"}, {noon.Add(-24 * time.Hour), "Nov 22 13:03:41"}, {noon.Add(11 * time.Hour), "Nov 24 00:03:41"}, {noon.AddDate(-1, 0, 0), "2025 Nov 23 13:03:41"}} {
		if got := clockWords(c.at, noon, zone); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
