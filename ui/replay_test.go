package ui

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// replay is a driver of a screen that shows a recording, of the night before yesterday.
func replay(past Past, w, h int, opt Options) *driver { return replayFrom(nil, past, w, h, opt) }

// replayFrom is replay where the source has a picture already; nil: it has none.
func replayFrom(first *fleet.Snapshot, past Past, w, h int, opt Options) *driver {
	opt.Past, opt.Replay, opt.Name = past, true, "crash-8123.rec"
	d := &driver{source: &testSource{snap: first}}
	opt.Source, opt.Location = d.source, time.UTC
	if opt.Profile == colorprofile.Unknown {
		opt.Profile = colorprofile.TrueColor
	}
	d.Model = New(opt)
	d.settling = 0
	d.now = func() time.Time { return noon.Add(40*time.Hour + 3*time.Minute) }
	d.ticks = func(time.Duration, func(time.Time) tea.Msg) tea.Cmd { return nil }
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	d.run(d.Init())
	return d
}

// TestReplayOpens shows that a recording is opened at its end, stopped, with its name, and the day that it was.
func TestReplayOpens(t *testing.T) {
	d := replay(nightPast(), 120, 40, Options{})
	d.must(t)
	d.reads(t, "REPLAY crash-8123.rec", "‖ end (Z)", "Nov 23 12:03:41  1d16h ago", "15m00s of 15m00s", "no progress 41 s", "the recording's end: { goes to the finding before, Z plays")
	if d.keys("{"); d.moment() != noon.Add(-41*time.Second) || strings.Contains(d.text(), "end (Z)") {
		t.Errorf("{ goes to %v", d.moment())
	}
	d.keys("[")
	d.reads(t, "‖ stopped (Z)", "Z play  [ ] time  { } findings  - + speed")
	d.send(SnapshotMsg{healthy()}) // nothing live is shown
	if d.snap.At != noon.Add(-42*time.Second) {
		t.Errorf("a picture came of %v", d.snap.At)
	}
}

// TestReplayOpensDamaged shows that the picture that the source has is shown at once, and that a recording whose end cannot be read says so.
func TestReplayOpensDamaged(t *testing.T) {
	p := nightPast()
	s := *p.pictures[3]
	s.At = noon
	d := replayFrom(&s, p, 120, 40, Options{})
	d.reads(t, "the recording's end: {", "no progress 41 s", "‖ end (Z)")
	if len(p.asked) > 0 {
		t.Errorf("it is asked for again: %v", p.asked)
	}
	s.At = noon.Add(-3 * time.Minute)
	p.fails = errBroken
	d = replayFrom(&s, p, 120, 40, Options{})
	d.must(t)
	d.reads(t, "what comes after Nov 23 12:00:41 cannot be read", "no progress 41 s", "‖ stopped (Z)", "Nov 23 12:00:41  1d16h ago")
	p.fails = nil
	if d.keys("["); d.snap.At != noon.Add(-3*time.Minute-time.Second) {
		t.Errorf("[ shows %v", d.snap.At)
	}
}

// TestReplayGrowsOld shows that a recording that is looked at for long says how long ago it was by now, and that it grew.
func TestReplayGrowsOld(t *testing.T) {
	p := nightPast()
	d := replay(p, 120, 40, Options{})
	d.now = func() time.Time { return noon.Add(50 * time.Hour) }
	p.to = noon.Add(time.Hour)
	d.send(readMsg{})
	d.must(t)
	d.reads(t, "2d2h ago", "15m00s of 1h15m", "‖ stopped (Z)")
}

// TestReplayPlays shows that a recording runs as fast as it was or faster, by the time that passed, and stops at its end.
func TestReplayPlays(t *testing.T) {
	p := nightPast()
	d := replay(p, 120, 40, Options{})
	d.keys("Z") // from the beginning
	if !d.moment().Equal(p.from) {
		t.Fatalf("it plays from %v", d.moment())
	}
	d.reads(t, "▶ playing 1×", "Z stop")
	steps := []struct {
		keys   string
		passed time.Duration
		want   time.Duration // since the beginning
	}{
		{"", beatEvery, beatEvery}, {"", 600 * time.Millisecond, 1100 * time.Millisecond}, {"+ +", time.Second, 6100 * time.Millisecond}, {"-", time.Second, 8100 * time.Millisecond},
		{"", time.Hour, 18100 * time.Millisecond}, // a laptop slept: no more than 5 s of it count
		{"]", time.Second, 21100 * time.Millisecond},
	}
	for _, s := range steps {
		d.keys(strings.Fields(s.keys)...)
		d.runOn(s.passed)
		d.must(t)
		if got := d.moment().Sub(p.from); got != s.want || d.snap.At != d.moment() {
			t.Errorf("%q and %v: it is at %v, want %v; shown %v", s.keys, s.passed, got, s.want, d.snap.At)
		}
	}
	d.keys("Z")
	at := d.moment()
	if d.runOn(time.Second); d.moment() != at || d.travel.play.on {
		t.Error("it does not stop")
	}
	d.keys("Z", "+", "+", "+", "+", "+", "+", "+")
	d.reads(t, "▶ playing 300×")
	for range 40 {
		d.runOn(time.Second)
		d.must(t)
	}
	if d.travel.play.on || !d.moment().Equal(p.to) {
		t.Errorf("at the end: on %v, at %v", d.travel.play.on, d.moment())
	}
	d.reads(t, "‖ end (Z)", "the recording ends here: Z plays it again from the beginning")
	if d.keys("Z"); !d.moment().Equal(p.from) || !d.travel.play.on {
		t.Errorf("Z plays from %v", d.moment())
	}
}

// TestReplayTellsOfFindings shows that a recording that runs tells of what began, the worst of what it runs past, and that one that jumps does not.
func TestReplayTellsOfFindings(t *testing.T) {
	d := replay(nightPast(), 120, 40, Options{})
	d.keys("Z", "+", "+", "+", "+", "+")
	d.runOn(time.Second)
	if strings.Contains(d.notice, "finding") {
		t.Fatalf("before anything began it says %q", d.notice)
	}
	d.runOn(2 * time.Second)
	d.runOn(2 * time.Second)
	d.reads(t, "11:51:41 finding 1 of 4: job 8127: 7 of 8 GPUs idle")
	d.keys("+")
	d.runOn(1500 * time.Millisecond) // over both of three minutes before the end
	d.must(t)
	d.reads(t, "12:00:41 finding 3 of 4 (and 1 more then): gpu052 lost: no route to host")
	d.keys("Z", "}")
	d.reads(t, "finding 4 of 4")
	d.keys("[", "Z")
	if d.keys("-"); strings.Contains(d.notice, "finding") {
		t.Errorf("%q", d.notice)
	}
	d.runOn(beatEvery)
	d.reads(t, "finding 4 of 4: gpu017 Xid 79 GPU3")
}

// TestReplayKeepsTime shows that a recording whose pictures take long goes on by the clock: what was on its way is shown, then that of the moment.
func TestReplayKeepsTime(t *testing.T) {
	p := nightPast()
	d := replay(p, 120, 40, Options{})
	d.keys("Z")
	p.asked = nil
	var left []tea.Cmd
	for i := range 9 {
		_, cmd := d.Update(beatMsg(noon.Add(time.Duration(i) * beatEvery)))
		left = append(left, cmd)
	}
	for _, cmd := range left {
		d.run(cmd)
	}
	if len(p.asked) != 2 || !d.moment().Equal(p.from.Add(9*beatEvery)) || p.most != 1 {
		t.Errorf("%d pictures were asked for, shown is %v after the beginning", len(p.asked), d.moment().Sub(p.from))
	}
}

// TestReplayErrors shows that a recording that is empty or broken says so, before there is a picture too, and that playing stops.
func TestReplayErrors(t *testing.T) {
	d := replay(&tablePast{}, 80, 24, Options{})
	d.must(t)
	d.reads(t, "the recording is empty")
	for _, k := range []string{"Z", "[", "}", "2", "enter", "D", "a", "?", "+", ":", "esc", "y", "S", "s", "ctrl+r", "m", "x", "tab", "space", "4", "5", "L", "o", "p", "v", "u", "/", "esc", "Q"} {
		d.keys(k)
		d.must(t)
	}
	p := nightPast()
	p.fails = errBroken
	d = replay(p, 80, 24, Options{})
	d.must(t)
	d.reads(t, "cannot be shown: the segment is torn")
	p.fails = nil
	if d.keys("["); d.snap == nil {
		t.Fatal("it is not shown when it can be again")
	}
	d = replay(nightPast(), 80, 24, Options{})
	d.keys("Z")
	d.Model.opt.Past.(*tablePast).fails = errBroken
	at := d.moment()
	d.runOn(time.Second)
	d.must(t)
	d.reads(t, "the segment is torn")
	if d.travel.play.on || d.moment() != at {
		t.Errorf("it plays on, at %v", d.moment())
	}
}

// TestNothingActsInARecording shows that no key does anything to a node, that each says why, and that nothing recorded can be answered.
func TestNothingActsInARecording(t *testing.T) {
	p := nightPast()
	p.pictures = append(p.pictures, asks())
	for _, screen := range []string{"", "2", "enter", "2 enter", "tab"} {
		d := replay(p, 120, 40, Options{Actor: newHands(t), Asker: &clerk{}})
		d.keys(strings.Fields(screen)...)
		for _, k := range []string{"s", "S", "D", "R", "K", "!", "a"} {
			d.keys(k)
			d.must(t)
			if !strings.Contains(d.notice, "this is a recording: nothing can be done") || d.screen == screenAct || strings.Contains(d.text(), "press Q") {
				t.Errorf("%s, %s: %q on screen %d", screen, k, d.notice, d.screen)
			}
			if d.keys("ctrl+r"); len(d.source.retried) > 0 {
				t.Error("nodes of a recording are dialled")
			}
		}
	}
}

// TestReplayKeepsRowsInPlace shows that rows do not change places under the cursor while a recording runs fast, until nobody has pressed a key for a while.
func TestReplayKeepsRowsInPlace(t *testing.T) {
	p := nightPast()
	p.pictures = append(p.pictures[:1], p.pictures[2:]...) // all have the same jobs
	for i, s := range p.pictures {
		if i%2 == 1 { // another order each time
			for k, j := 0, len(s.Jobs)-1; k < j; k, j = k+1, j-1 {
				s.Jobs[k], s.Jobs[j] = s.Jobs[j], s.Jobs[k]
			}
		}
	}
	d := replay(p, 120, 40, Options{})
	d.keys("Z", "+", "+", "+", "+", "+", "down")
	order := fmt.Sprint(d.jobs.keys)
	job := d.jobs.selected()
	resorted := 0
	for i := range calmBeats + 3*orderBeats {
		d.travel.at = p.from.Add(time.Duration(i%10) * time.Minute)
		d.runOn(beatEvery)
		if got := fmt.Sprint(d.jobs.keys); got != order {
			if resorted++; i < calmBeats-1 {
				t.Fatalf("beat %d: %s was %s", i, got, order)
			}
			order = got
		}
		if d.jobs.selected() != job && d.jobs.gone != job {
			t.Fatalf("beat %d: selected is %s", i, d.jobs.selected())
		}
	}
	if resorted == 0 {
		t.Log("the order was the same at each beat that may change it")
	}
}

// TestReplayGoldens holds what a recording looks like.
func TestReplayGoldens(t *testing.T) {
	for _, s := range []struct{ name, keys string }{{"opened", ""}, {"finding", "{"}, {"stopped", "{ ["}, {"playing", "Z + + ["}, {"node", "2 enter ["}} {
		for _, size := range []struct{ w, h int }{{80, 24}, {200, 60}} {
			t.Run(fmt.Sprintf("%s/%dx%d", s.name, size.w, size.h), func(t *testing.T) {
				d := replay(nightPast(), size.w, size.h, Options{})
				d.keys(strings.Fields(s.keys)...)
				if s.name == "playing" {
					d.runOn(time.Second)
				}
				d.must(t)
				golden(t, filepath.Join("replay", fmt.Sprintf("%s-%dx%d", s.name, size.w, size.h)), trim(d.text()))
			})
		}
	}
	d := replay(nightPast(), 80, 24, Options{Profile: colorprofile.ASCII, ASCII: true})
	d.keys("{", "[")
	if s := d.View().Content; strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e }) {
		t.Errorf("not only ASCII:\n%s", s)
	} else {
		golden(t, filepath.Join("replay", "ascii"), visible(s))
	}
}
