package ui

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// reads fails unless each of the words is on screen.
func (d *driver) reads(t *testing.T, words ...string) {
	t.Helper()
	text := d.text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
}

// TestTravelKeys shows where each key goes, and that the screen shows that moment.
func TestTravelKeys(t *testing.T) {
	for _, c := range []struct {
		keys string
		want time.Duration // before noon
	}{
		{"[", time.Second}, {"[ [ [", 3 * time.Second}, {"(", 10 * time.Second}, {",", time.Minute}, {", . [", time.Second}, {"Z [ [ ]", time.Second}, {"( )", 0},
		{"{", 41 * time.Second}, {"{ {", 3 * time.Minute}, {"{ { {", 12 * time.Minute}, {"{ { }", 41 * time.Second}, {", , , , , , , , , , , , , , , , ,", 15 * time.Minute},
	} {
		d := traveller(nightPast(), 120, 40, Options{})
		d.keys(strings.Fields(c.keys)...)
		d.must(t)
		if got := noon.Sub(d.moment()); got != c.want || !d.paused {
			t.Errorf("%q goes %v back, want %v; paused %v", c.keys, got, c.want, d.paused)
		}
		if d.snap.At != noon.Add(-c.want) {
			t.Errorf("%q shows the picture of %v", c.keys, d.snap.At)
		}
	}
}

// TestFindingIsSaid shows that the finding that one jumped to is told in words, the worst of those that began together.
func TestFindingIsSaid(t *testing.T) {
	d := traveller(nightPast(), 120, 40, Options{})
	d.keys("{", "{")
	d.reads(t, "✖ 12:00:41 finding 3 of 4 (and 1 more then): gpu052 lost: no route to host")
	d.keys("}")
	d.reads(t, "✖ 12:03:00 finding 4 of 4: gpu017 Xid 79 GPU3: fell off the bus")
}

// TestTravelEverywhere shows that each screen shows the moment, that one can go on from there, and that Z goes back.
func TestTravelEverywhere(t *testing.T) {
	for _, c := range []struct{ keys, at string }{
		{"", "▲ rank 11 slower"}, {"tab", ""}, {"enter", "no progress 41 s"}, {"enter tab tab", ""}, {"2", "Xid 79"}, {"2 enter", "Xid 79"}, {"2 enter enter", "Xid 79"},
		{"2 L", "Xid 79"}, {"4", "USER"}, {"o", ""}, {"?", ""},
	} {
		d := traveller(nightPast(), 120, 40, Options{})
		d.keys(strings.Fields(c.keys)...)
		place := d.place()
		d.reads(t, c.at)
		d.keys(",", "(")
		d.must(t)
		d.reads(t, "12:02:31", "1m10s ago", "kept: 15 min at full rate", "‖ paused")
		if c.at != "" && c.at != "USER" && place != placeKernel && strings.Contains(d.text(), c.at) { // the log keeps what happened later nowhere else
			t.Errorf("%s shows what was not yet:\n%s", placeNames[place], d.text())
		}
		if d.place() != place {
			t.Errorf("from %s to %s", placeNames[place], placeNames[d.place()])
		}
		d.keys("Z")
		d.must(t)
		if d.snap != d.latest || d.paused || strings.Contains(d.text(), "kept: ") {
			t.Errorf("%s is not back:\n%s", placeNames[place], d.text())
		}
		d.reads(t, c.at)
	}
}

// TestTravelGoldens holds the time bar under every screen.
func TestTravelGoldens(t *testing.T) {
	for _, s := range []struct{ name, keys string }{
		{"jobs", "{ { ["}, {"at-finding", "{"}, {"job", "enter {"}, {"charts", "enter shift+tab , [ ]"}, {"grid", "tab , [ ]"}, {"nodes", "2 { { [ ]"}, {"node", "2 enter , [ ]"}, {"gpu", "2 enter enter , [ ]"},
		{"kernel", "2 L [ ]"}, {"users", "4 , [ ]"}, {"help", "[ ?"}, {"frozen", "Z"}, {"gone-job", "G , , , , , , , , ,"}, {"gone-node", "2 G enter , , , , , , , , ,"},
	} {
		for _, size := range []struct{ w, h int }{{80, 24}, {200, 60}} {
			t.Run(fmt.Sprintf("%s/%dx%d", s.name, size.w, size.h), func(t *testing.T) {
				d := traveller(nightPast(), size.w, size.h, Options{})
				d.keys(strings.Fields(s.keys)...)
				d.must(t)
				golden(t, filepath.Join("travel", fmt.Sprintf("%s-%dx%d", s.name, size.w, size.h)), trim(d.text()))
			})
		}
	}
}

// TestTravelOnPoorTerminals holds the time bar, with its colours, where there are eight, none, or no Unicode.
func TestTravelOnPoorTerminals(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  Options
	}{{"8", Options{Profile: colorprofile.ANSI}}, {"nocolor", Options{Profile: colorprofile.ASCII}}, {"ascii", Options{Profile: colorprofile.ASCII, ASCII: true}}} {
		d := traveller(nightPast(), 80, 24, c.opt)
		d.keys("{", "{", "[")
		content := d.View().Content
		if c.opt.ASCII && strings.ContainsFunc(content, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("not only ASCII:\n%s", content)
		}
		lines := strings.Split(content, "\n")
		d.keys("]", "j")
		at := strings.Split(d.View().Content, "\n")
		golden(t, filepath.Join("travel", "bar-"+c.name), visible(lines[len(lines)-2]+"\n"+at[len(at)-2]))
	}
}

// TestStepsCoalesce shows that one picture is asked for at a time, that of what is wanted meanwhile the last wins, and that each key counts.
func TestStepsCoalesce(t *testing.T) {
	p := nightPast()
	d := traveller(p, 120, 40, Options{})
	d.keys("Z")
	left := d.hold("[")
	for range 20 {
		left = append(left, d.hold("[")...)
	}
	d.must(t)
	d.reads(t, "12:03:20", "21s ago") // where it goes is shown at once
	if d.snap.At != noon {
		t.Errorf("another picture is shown: %v", d.snap.At)
	}
	for _, cmd := range left {
		d.run(cmd)
	}
	if want := []time.Time{noon.Add(-time.Second), noon.Add(-21 * time.Second)}; !slices.EqualFunc(p.asked, want, time.Time.Equal) {
		t.Errorf("asked for %v, want %v", p.asked, want)
	}
	if p.most != 1 || d.snap.At != noon.Add(-21*time.Second) {
		t.Errorf("%d at a time; shown is %v", p.most, d.snap.At)
	}
}

// TestKeysBeforeThePastIsTold shows that keys pressed before it is known what is kept are not lost.
func TestKeysBeforeThePastIsTold(t *testing.T) {
	d := traveller(nightPast(), 120, 40, Options{})
	left := d.hold("{", "{", "[", "]", "]")
	d.must(t)
	d.reads(t, "being asked what is kept")
	for _, cmd := range left {
		d.run(cmd)
	}
	if want := noon.Add(-3*time.Minute + time.Second); !d.moment().Equal(want) || d.snap.At != want {
		t.Errorf("it is %v, want %v", d.moment(), want)
	}
}

// TestBackWhileFlying shows that a picture that comes after Z is not shown, and that its asking is given up.
func TestBackWhileFlying(t *testing.T) {
	p := nightPast()
	d := traveller(p, 120, 40, Options{})
	d.keys("Z")
	p.hold = make(chan struct{})
	left := d.hold(",")
	done := make(chan tea.Msg)
	go func() { done <- d.late(left[0]) }()
	for i := 0; ; i++ {
		p.mu.Lock()
		inside := p.inside
		p.mu.Unlock()
		if inside == 1 {
			break
		}
		if i == 10000 {
			t.Fatal("no picture is asked for")
		}
		time.Sleep(time.Millisecond)
	}
	d.keys("Z") // the context of what is under way ends
	msg := <-done
	if p.stopped != 1 {
		t.Error("the picture is still made, though nobody wants it")
	}
	d.send(msg)
	d.must(t)
	if d.paused || d.snap != d.latest || d.notice != "" {
		t.Errorf("paused %v, notice %q", d.paused, d.notice)
	}
	p.hold = nil
	if d.keys("["); d.snap.At != noon.Add(-time.Second) {
		t.Errorf("the next trip shows %v", d.snap.At)
	}
}

// late runs a command, and those of a batch, until one gives a picture.
func (d *driver) late(cmd tea.Cmd) tea.Msg {
	if cmd == nil {
		return nil
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			if m := d.late(c); m != nil {
				return m
			}
		}
	case momentMsg:
		return msg
	}
	return nil
}

// TestTravelErrors shows that what cannot be shown is said, and that the screen stays where it was.
func TestTravelErrors(t *testing.T) {
	p := nightPast()
	d := traveller(p, 120, 40, Options{})
	d.keys("2", "down", "[", "[")
	row := d.nodes.selected()
	p.fails = errBroken
	d.keys("[")
	d.must(t)
	d.reads(t, "12:03:38 cannot be shown: the segment is torn", "12:03:39", "2s ago")
	if d.snap.At != noon.Add(-2*time.Second) || d.nodes.selected() != row {
		t.Errorf("shown is %v, row %s", d.snap.At, d.nodes.selected())
	}
	p.fails = nil
	if d.keys("["); d.snap.At != noon.Add(-3*time.Second) {
		t.Errorf("then it shows %v", d.snap.At)
	}
	for _, c := range []struct {
		past Past
		keys string
		want string
	}{
		{nil, "[", "no past is kept here"}, {nil, "Z }", "no past is kept here"}, {&tablePast{}, "[", "nothing is kept yet"}, {&tablePast{}, "{", "nothing is kept yet"},
		{nightPast(), "]", "this is now"}, {nightPast(), "}", "this is now"}, {nightPast(), "Z ]", "nothing later is kept yet"}, {nightPast(), "Z }", "no finding after 12:03:41"},
		{nightPast(), "{ { { {", "no finding before 11:51:41"}, {nightPast(), ", , , , , , , , , , , , , , , [", "nothing is kept of what was before 11:48:41"},
		{nightPast(), "+", "foretop replay FILE"},
	} {
		d := traveller(c.past, 120, 40, Options{})
		if c.past == nil {
			d = drive(hang(), 120, 40, Options{})
		}
		d.keys(strings.Fields(c.keys)...)
		d.must(t)
		d.reads(t, c.want)
	}
}

// TestChartsTravel shows that curves are those of the moment, on a node, a GPU and a job, and those of now again afterwards.
func TestChartsTravel(t *testing.T) {
	for _, keys := range []string{"2 enter", "2 enter enter", "enter"} {
		p := nightPast()
		d := traveller(p, 120, 40, Options{})
		d.keys(strings.Fields(keys)...)
		if len(p.curves) > 0 {
			t.Errorf("%s: the past is asked while the present is shown", keys)
		}
		for _, k := range []string{",", "[", "]", "{"} {
			d.keys(k)
			if len(p.curves) == 0 || !p.curves[len(p.curves)-1].Equal(d.moment()) {
				t.Fatalf("%s, then %s: the curves are of another moment than %v", keys, k, d.moment())
			}
		}
		ask := d.node.history.ask.until
		if keys == "enter" {
			ask = d.job.charts.history.ask.until
		}
		if !ask.Equal(d.moment()) {
			t.Errorf("%s: the curves shown are those of %v", keys, ask)
		}
		d.keys("Z")
		if ask = d.node.history.ask.until; keys == "enter" {
			ask = d.job.charts.history.ask.until
		}
		if !ask.IsZero() {
			t.Errorf("%s: now the curves are those of %v", keys, ask)
		}
	}
}

// TestNothingActsInThePast shows that no key does anything to a node, and that each says why.
func TestNothingActsInThePast(t *testing.T) {
	for _, c := range []struct{ name, keys, want string }{
		{"paused", "Z", "the screen is paused: Z goes on"}, {"past", "[", "the screen shows 12:03:40: Z goes back to now"},
	} {
		for _, screen := range []string{"", "2", "enter", "2 enter", "tab"} {
			d := traveller(nightPast(), 120, 40, Options{Actor: newHands(t)})
			d.keys(strings.Fields(screen + " " + c.keys)...)
			for _, k := range []string{"s", "S", "D", "R", "K", "!", "a", "ctrl+r"} {
				d.keys(k)
				d.must(t)
				if want := c.want; k == "ctrl+r" {
					if len(d.source.retried) > 0 || screen != "enter" && !strings.Contains(d.notice, "nothing is dialled while") {
						t.Errorf("%s, %s, %s: %q; dialled %v", c.name, screen, k, d.notice, d.source.retried)
					}
				} else if !strings.Contains(d.notice, want) || d.screen == screenAct {
					t.Errorf("%s, %q, %s: %q on screen %d", c.name, screen, k, d.notice, d.screen)
				}
			}
		}
	}
}

// TestQuestionsWhileTravelling shows that what connections ask can be answered whatever moment is shown.
func TestQuestionsWhileTravelling(t *testing.T) {
	d := drive(asks(), 120, 40, Options{Past: nightPast(), Asker: &clerk{}})
	d.keys(",", "[")
	d.reads(t, "press Q")
	if d.keys("Q"); d.screen != screenAsk || d.hasBar() {
		t.Errorf("screen %d, bar %v", d.screen, d.hasBar())
	}
	d.must(t)
}

// TestThePastMovesOn shows that what is kept is asked for again as time goes on, and that a picture that is not kept any more stays on screen.
func TestThePastMovesOn(t *testing.T) {
	p := nightPast()
	d := traveller(p, 120, 40, Options{})
	d.keys(strings.Fields(", , , , , , , , , , , , , , ,")...)
	old := d.snap
	p.from, p.to = noon.Add(-5*time.Minute), noon.Add(10*time.Minute)
	s := *hang()
	s.Sequence, s.At = 99, noon.Add(10*time.Minute)
	d.send(SnapshotMsg{&s})
	d.must(t)
	if d.snap != old || !d.travel.kept.to.Equal(p.to) {
		t.Errorf("another picture is shown, or the bar ends at %v", d.travel.kept.to)
	}
	d.reads(t, "25m00s ago")
	d.keys("[")
	d.reads(t, "nothing is kept of what was before 11:58:41")
	if d.snap != old {
		t.Error("back goes forward")
	}
	if d.keys("]"); !d.moment().Equal(p.from) {
		t.Errorf("forward goes to %v", d.moment())
	}
}

// TestNoPictureIsKept shows that the pictures of moments that were left are given back.
func TestNoPictureIsKept(t *testing.T) {
	p := nightPast()
	d := traveller(p, 120, 40, Options{})
	var seen []weak.Pointer[fleet.Snapshot]
	for _, screen := range []string{"", "2", "enter", "1", "2 enter", "enter", "L", "4", "2"} {
		d.keys(strings.Fields(screen)...)
		for range 20 {
			d.keys("[")
			seen = append(seen, weak.Make(d.snap))
		}
	}
	runtime.GC()
	runtime.GC()
	alive := 0
	for _, w := range seen {
		if w.Value() != nil {
			alive++
		}
	}
	if alive < 1 || alive > 6 { // that on screen, and those that what is not drawn now was last made of
		t.Errorf("%d of %d pictures are held", alive, len(seen))
	}
	runtime.KeepAlive(d)
}

// TestTimeHints shows that the keys of time are offered while there is a past to go to, and only then.
func TestTimeHints(t *testing.T) {
	last := func(d *driver) string { l := strings.Split(d.text(), "\n"); return l[len(l)-1] }
	d := traveller(nightPast(), 80, 24, Options{})
	if s := last(d); strings.Contains(s, "[ ]") || !strings.Contains(s, "Z pause") {
		t.Errorf("live: %q", s)
	}
	if d.keys("Z"); !strings.HasPrefix(last(d), " Z go on  [ ] time  { } findings") {
		t.Errorf("paused: %q", last(d))
	}
	if d.keys("["); !strings.HasPrefix(last(d), " Z back to now  [ ] time  { } findings") || strings.Count(last(d), "Z ") != 1 {
		t.Errorf("past: %q", last(d))
	}
	if d = drive(hang(), 80, 24, Options{}).keys("Z"); strings.Contains(last(d), "[ ]") {
		t.Errorf("without a past: %q", last(d))
	}
}
