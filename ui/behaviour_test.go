package ui

import (
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"
)

// later is the snapshot some time on.
func later(s *fleet.Snapshot, d time.Duration) *fleet.Snapshot {
	n := *s
	n.Sequence, n.At = s.Sequence+uint64(d), s.At.Add(d)
	return &n
}

func (d *driver) shows(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(d.text(), w) {
			t.Fatalf("no %q in\n%s", w, d.text())
		}
	}
}

// TestTwoKeysToTheCause is the researcher at night: one look says that something is wrong, two keys say what.
func TestTwoKeysToTheCause(t *testing.T) {
	d := drive(hang(), 80, 24, Options{})
	d.shows(t, "✖3 ▲3", "✖ no progress 41 s", "✖ 12:03:00 gpu017 Xid 79 GPU3: fell off the bus")
	d.keys("tab")
	d.shows(t, "gpu017 rank 131 GPU 3 pid 41238 ✖ Xid 79", "154/700W 22% · util 100% · tensor 0% · 71/80G · 61° · 1755MHz · net 400 kB/s")
	d.keys("enter")
	d.shows(t, "gpu017  ✖ live", "3 ✖ Xid 79 GPU3: fell off the bus, no reading fo", "lines 1–17 of")
	d.keys("esc")
	if d.place() != placeGrid {
		t.Fatalf("Esc leads to %s", placeNames[d.place()])
	}
	d.keys("L")
	d.shows(t, "✖ GPU3 Xid 79, fell off the bus │ NVRM: Xid")
}

// TestQuitting shows that q goes back before it quits, Esc never quits, and Ctrl-C always does.
func TestQuitting(t *testing.T) {
	d := drive(hang(), 80, 24, Options{})
	d.keys("esc", "esc", "enter", "enter", "?", "esc", "esc", "esc", "esc", "esc")
	if d.quit || d.Model.screen != screenJobs {
		t.Fatalf("quit %v, screen %d", d.quit, d.Model.screen)
	}
	d.keys("enter", "enter", "q", "q")
	if d.quit || d.Model.screen != screenJobs {
		t.Fatalf("q did not go back: quit %v, screen %d", d.quit, d.Model.screen)
	}
	if d.keys("q"); !d.quit {
		t.Fatal("q at the top does not quit")
	}
	for _, keys := range []string{"", "enter", "2", "2 enter", "?", "/", "Z"} {
		d := drive(hang(), 80, 24, Options{})
		if d.keys(fields(keys)...).keys("ctrl+c"); !d.quit {
			t.Errorf("Ctrl-C after %q does not quit", keys)
		}
	}
}

// TestFilterWhileTyping shows that a filter holds as it is typed, that mistakes are told in words, and that Esc takes it back.
func TestFilterWhileTyping(t *testing.T) {
	d := drive(hang(), 120, 24, Options{})
	d.keys("2", "/").write("state=lost")
	d.shows(t, "/ state=lost", "1 of 64 nodes")
	d.keys("enter")
	d.shows(t, "/ state=lost: 1 of 64 nodes", "no route to host → is the node powered on?")
	d.keys("/", "ctrl+u").write("utl<5")
	d.shows(t, `no field "utl": did you mean util?`)
	d.keys("enter")
	if !d.prompt.open {
		t.Fatal("a wrong filter was taken")
	}
	d.keys("esc")
	d.shows(t, "/ state=lost: 1 of 64 nodes")
	d.keys("\\")
	if got := len(d.nodes.list.keys); got != 64 {
		t.Fatalf("%d nodes after clearing", got)
	}
	d.keys("/")
	d.send(tea.PasteMsg{Content: "gpu05\x1b[2J0\n"})
	d.keys("enter")
	if diff := cmp.Diff([]string(nil), d.nodes.list.keys); diff == "" {
		t.Fatal("paste was not taken")
	}
	d.keys("\\", "/").write("zzz").keys("enter")
	d.shows(t, "no node is chosen by / zzz", `\ shows all 64 nodes`)
}

// TestRowsKeepTheirPlace shows that numbers may change and problems come without a row moving under the hand, until it has rested.
func TestRowsKeepTheirPlace(t *testing.T) {
	snap := healthy()
	d := drive(snap, 120, 40, Options{})
	d.keys("2", "down", "down")
	before := slices.Clone(d.nodes.list.keys)
	worse := later(snap, 2*time.Second)
	worse.Nodes = slices.Clone(snap.Nodes)
	sick := *snap.Nodes[40]
	sick.Problems = []fleet.Problem{{Severity: fleet.Critical, Text: "it burns", GPU: -1, Port: -1}}
	worse.Nodes[40] = &sick
	d.send(SnapshotMsg{worse})
	if diff := cmp.Diff(before, d.nodes.list.keys); diff != "" {
		t.Fatalf("rows moved:\n%s", diff)
	}
	d.send(SnapshotMsg{later(worse, 30*time.Second)})
	if d.nodes.list.keys[0] != "gpu041" || d.nodes.list.selected() != "gpu003" {
		t.Fatalf("after a rest %s is first and %s selected", d.nodes.list.keys[0], d.nodes.list.selected())
	}
}

// TestPause shows that the screen freezes, says so, and catches up.
func TestPause(t *testing.T) {
	snap := hang()
	d := drive(snap, 120, 40, Options{})
	d.keys("Z")
	frozen := strings.Split(d.text(), "\n")[1:]
	calm := healthy()
	d.send(SnapshotMsg{later(calm, 9*time.Second)})
	d.shows(t, "‖ paused 9s behind", "12:03:41")
	if diff := cmp.Diff(frozen, strings.Split(d.text(), "\n")[1:]); diff != "" {
		t.Fatalf("something moved:\n%s", diff)
	}
	d.keys("Z")
	d.shows(t, "● no problem seen", "12:03:50", "▶ live")
}

// TestOlderSnapshotIsLeft shows that the latest wins, in whichever order they arrive.
func TestOlderSnapshotIsLeft(t *testing.T) {
	d := drive(hang(), 80, 24, Options{})
	d.send(SnapshotMsg{later(healthy(), time.Minute)})
	d.send(SnapshotMsg{hang()})
	d.send(SnapshotMsg{nil})
	d.shows(t, "● no problem seen")
}

// TestTags shows tags by one, by range, and that they outlive a filter.
func TestTags(t *testing.T) {
	d := drive(healthy(), 120, 40, Options{})
	d.keys("2", "space", "down", "V", "down", "down", "V", "down")
	if diff := cmp.Diff([]string{"gpu001", "gpu003", "gpu004", "gpu005"}, d.nodes.tags()); diff != "" {
		t.Fatal(diff)
	}
	d.keys("/").write("gpu06").keys("enter")
	d.shows(t, "4 tagged")
	d.keys("y")
	d.shows(t, "copied gpu[001,003-005]")
	d.keys("U")
	if len(d.nodes.tags()) != 0 {
		t.Fatal("still tagged")
	}
}

// TestNarrowing shows one user, problems only, and sorting.
func TestNarrowing(t *testing.T) {
	d := drive(hang(), 160, 40, Options{})
	d.keys("down", "u")
	d.shows(t, "user bob: 2 of 5 jobs")
	d.keys("u", "x")
	d.shows(t, "problems only: 2 of 5 jobs")
	d.keys("\\", ">")
	if d.jobs.sort != "job" || d.jobs.list.keys[0] != "slurm/8123" || d.jobs.list.keys[4] != "slurm/8140" {
		t.Fatalf("sorted by %s: %v", d.jobs.sort, d.jobs.list.keys)
	}
	d.keys("r")
	if d.jobs.list.keys[0] != "slurm/8140" {
		t.Fatalf("not reversed: %v", d.jobs.list.keys)
	}
}

// TestWishes shows what the source is told: which node is on screen, and what to dial.
func TestWishes(t *testing.T) {
	d := drive(hang(), 120, 40, Options{})
	d.keys("2", "enter", "?")
	if diff := cmp.Diff([]string{"gpu017"}, d.source.watched); diff != "" {
		t.Fatal(diff)
	}
	d.keys("esc", "ctrl+r", "esc", "ctrl+r")
	if len(d.source.watched) != 0 {
		t.Fatalf("still watched: %v", d.source.watched)
	}
	d.keys("space", "space", "ctrl+r")
	if diff := cmp.Diff([]string{"gpu017", "", "gpu017", "gpu052"}, d.source.retried); diff != "" {
		t.Fatal(diff)
	}
}

// TestHistoryIsAskedOnceASecond shows that curves are asked for when they can have changed, not with every message.
func TestHistoryIsAskedOnceASecond(t *testing.T) {
	snap := hang()
	d := drive(snap, 120, 40, Options{})
	d.keys("2", "enter")
	asked := d.node.askedAt
	d.keys("down", "up")
	d.send(SnapshotMsg{later(snap, 500*time.Millisecond)})
	if d.node.askedAt != asked {
		t.Fatal("asked again within the second")
	}
	d.send(SnapshotMsg{later(snap, 1500*time.Millisecond)})
	if d.node.askedAt == asked || d.node.asking {
		t.Fatal("not asked again, or never answered")
	}
	d.keys("m")
	if d.node.history.ask.metric != fleet.SeriesUtil {
		t.Fatal("not asked for the new metric")
	}
}

// TestViewIsCached shows that a message which changes nothing costs no drawing.
func TestViewIsCached(t *testing.T) {
	d := drive(hang(), 120, 40, Options{})
	before := d.View().Content
	d.Update(tea.FocusMsg{})
	if d.dirty || d.View().Content != before {
		t.Fatal("drawn again for nothing")
	}
}

// TestClicks shows that, where the mouse is taken, rows and cells can be clicked on.
func TestClicks(t *testing.T) {
	d := drive(hang(), 120, 40, Options{Mouse: true})
	d.send(tea.MouseClickMsg{X: 20, Y: 4, Button: tea.MouseLeft})
	if got := d.jobs.selected(); got != "slurm/8130" {
		t.Fatalf("selected %s", got)
	}
	d.keys("home")
	lines := strings.Split(d.text(), "\n")
	y := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, " gpu003") })
	d.send(tea.MouseClickMsg{X: 9, Y: y, Button: tea.MouseLeft})
	d.shows(t, "gpu003 rank 16 GPU 0")
	off := drive(hang(), 120, 40, Options{})
	off.send(tea.MouseClickMsg{X: 20, Y: 4, Button: tea.MouseLeft})
	if off.jobs.cursor != "" || off.View().MouseMode != tea.MouseModeNone {
		t.Fatal("the mouse was not asked for")
	}
}

// TestNotChecked shows that what could not be looked at is never called fine.
func TestNotChecked(t *testing.T) {
	d := drive(hang(), 160, 60, Options{})
	d.shows(t, "Xid: read on 61/62, not checked on 1")
	d.keys("2", "/").write("gpu053").keys("enter", "enter")
	d.shows(t, "not checked: kernel log denied: /dev/kmsg: permission denied", "needs CAP_SYSLOG, or group adm")
}

// TestEnvironment shows that NO_COLOR, set to anything, is obeyed.
func TestEnvironment(t *testing.T) {
	m := New(Options{Source: &testSource{snap: hang()}, Location: time.UTC})
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	m.Update(SnapshotMsg{hang()})
	m.Update(tea.EnvMsg{"NO_COLOR=yes"})
	if c := m.View().Content; strings.Contains(c, "38;") || strings.Contains(c, "48;") || strings.Contains(c, ";3") {
		t.Fatalf("colours in spite of NO_COLOR: %s", visible(c))
	}
}

// TestFleetFinding shows that a sick node is named on the home screen though the selected job has nothing to do with it.
func TestFleetFinding(t *testing.T) {
	snap := healthy()
	snap.Nodes[60].Problems = []fleet.Problem{{Severity: fleet.Warning, Text: "GPU2 slowed: too hot", GPU: 2, Port: -1, Since: noon.Add(-time.Minute)}}
	d := drive(snap, 100, 30, Options{})
	d.shows(t, "▲ 12:02:41 gpu061 GPU2 slowed: too hot", "gpu001 rank 0 GPU 0")
	d.keys("enter")
	if strings.Contains(d.text(), "too hot") {
		t.Fatal("shown as if it were this job's")
	}
}

// TestWorseElsewhere shows that while the selected job has but a notice, the home screen names the node that is lost.
func TestWorseElsewhere(t *testing.T) {
	f := &fixture{seed: 6}
	f.addNodes("gpu%03d", 1, 4, 8)
	j := f.addJob("1", "eval", "bob", "", 1, 2, 8, load{11, 0, 0, 2, 0})
	j.State, j.Severity, j.StateText = fleet.JobIdle, fleet.Notice, "7 of 8 GPUs idle"
	f.state(4, fleet.Lost, time.Minute, "no route to host", "")
	d := drive(f.snapshot(), 80, 24, Options{})
	d.shows(t, "gpu004 lost: no route to host")
	d.keys("enter")
	if strings.Contains(d.text(), "gpu004") {
		t.Errorf("another node's trouble on the job's own screen:\n%s", d.text())
	}
}

// Ctrl-C ends the program wherever it is pressed, also where a slow line delivers it in one piece with an Escape, which terminals send as Alt.
func TestInterruptAfterEscape(t *testing.T) {
	for _, k := range []tea.KeyPressMsg{{Code: 'c', Mod: tea.ModCtrl}, {Code: 'c', Mod: tea.ModCtrl | tea.ModAlt}} {
		for _, before := range []string{"", "/"} {
			m := New(Options{Source: nil})
			if before != "" {
				m.press(tea.KeyPressMsg{Code: '/', Text: "/"})
			}
			cmd := m.press(k)
			if cmd == nil {
				t.Fatalf("%s after %q does nothing", k, before)
			}
			if _, quits := cmd().(tea.QuitMsg); !quits {
				t.Errorf("%s after %q does not end the program", k, before)
			}
		}
	}
}

// When a terminal has taken another size the picture is drawn whole once more: once after the last of several, and never for the first.
func TestResizedPictureIsWhole(t *testing.T) {
	d := drive(hang(), 80, 24, Options{})
	if d.clears != 0 {
		t.Errorf("drawn whole %d times after the first size", d.clears)
	}
	var late []tea.Cmd
	for _, size := range [][2]int{{100, 30}, {120, 40}} {
		_, cmd := d.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		late = append(late, cmd)
	}
	for _, cmd := range late {
		d.run(cmd)
	}
	if d.clears != 1 {
		t.Errorf("drawn whole %d times after two more sizes, want once", d.clears)
	}
	d.keys("ctrl+r")
	if d.clears != 2 {
		t.Errorf("Ctrl-r draws whole %d times", d.clears-1)
	}
}
