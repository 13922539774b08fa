package ui

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"foretop/fleet"

	"github.com/charmbracelet/colorprofile"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens anew")

// golden compares text with a file of testdata, line by line.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got+"\n", "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// trim takes the blanks off the ends of lines: where a background ends is for the goldens with colours.
func trim(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

type namedFixture struct {
	name string
	make func() *fleet.Snapshot
}

// allFixtures are those of the goldens, and the machines that are not like the others.
func allFixtures() []namedFixture {
	return slices.Concat(fixtures, []namedFixture{{"kinds", kinds}, {"scheduled", scheduled}})
}

var fixtures = []namedFixture{{"healthy", healthy}, {"hang", hang}, {"connecting", connecting}, {"empty", empty}, {"lost", allLost}}

// kindScreens are shown of machines that are not like the others.
var kindScreens = []struct {
	name string
	keys string
}{
	{"amd", "2 / a m d enter enter"}, {"amd-gpu", "2 / a m d enter enter enter"}, {"hidden", "2 / h i d 0 enter enter"}, {"mig", "2 / m i g enter enter"},
	{"mig-folded", "2 / m i g enter enter left"}, {"mig-gpu", "2 / m i g enter enter enter"}, {"sick", "2 / s i c k enter enter"}, {"sick-gpu", "2 / s i c k enter enter enter"},
	{"sick-fabric", "2 / s i c k enter enter enter right tab tab tab tab tab tab tab tab tab tab"}, {"tpu", "2 / t p u enter enter"}, {"tpu-gpu", "2 / t p u enter enter enter"},
}

var screens = []struct {
	name string
	keys string
}{
	{"jobs", ""}, {"job", "enter"}, {"grid", "tab"}, {"nodes", "2"}, {"node", "2 enter"}, {"kernel", "2 L"}, {"help", "?"},
	{"node-ports", "2 enter shift+tab shift+tab shift+tab shift+tab"}, {"jobs-temp", "m m m m"}, {"nodes-filter", "2 /"}, {"paused", "Z"},
	{"gpu", "2 enter enter"}, {"gpu-calls", "2 enter enter right shift+tab t"},
}

// scheduledScreens are shown of a fleet whose scheduler is asked.
var scheduledScreens = []struct {
	name string
	keys string
}{
	{"jobs", ""}, {"waiting", "p"}, {"waiting-job", "p enter"}, {"job", "enter"}, {"ranks", "enter tab tab"}, {"charts", "enter shift+tab"}, {"log", "o"}, {"log-up", "o pgup pgup"}, {"unseen", "down down enter"}, {"ended", "G enter"},
	{"users", "4"}, {"users-empty", "4 down down"}, {"users-idle", "4 down down down"}, {"nodes", "2"}, {"partition", "P"},
}

// TestScheduledGoldens holds what a scheduler adds to every screen, at the four sizes.
func TestScheduledGoldens(t *testing.T) {
	for _, s := range scheduledScreens {
		for _, size := range sizes {
			t.Run(s.name+"/"+size.name, func(t *testing.T) {
				d := drive(scheduled(), size.w, size.h, Options{})
				d.keys(strings.Fields(s.keys)...)
				d.must(t)
				golden(t, filepath.Join("scheduled", s.name+"-"+size.name), trim(d.text()))
			})
		}
	}
}

// TestScheduledWithoutColour shows that what a scheduler says is told by shape or word as well, in ASCII too.
func TestScheduledWithoutColour(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{"", "! slurm says running"}, {"", "- ended 19 min ago: failed"}, {"p", "Resources"}, {"2", "o drained"}, {"2", "o draining"}, {"2", "X lost 3m "}, {"", "2 drained 1 down"},
		{"4 down down down", ".7"}, {"4 down down down", "idle for 20m"}, {"enter tab tab", "X failed"}, {"o", "RuntimeError"},
	} {
		d := drive(scheduled(), 120, 40, Options{Profile: colorprofile.ASCII, ASCII: true})
		d.keys(strings.Fields(c.keys)...)
		if got := d.text(); !strings.Contains(got, c.want) || strings.ContainsFunc(got, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("after %q: no %q in\n%s", c.keys, c.want, got)
		}
	}
}

var sizes = []struct {
	name string
	w, h int
}{{"80x24", 80, 24}, {"120x40", 120, 40}, {"200x60", 200, 60}, {"20x5", 20, 5}}

// TestGoldens holds every screen, with and without trouble, at the four sizes.
func TestGoldens(t *testing.T) {
	for _, f := range fixtures {
		for _, s := range screens {
			if f.name != "hang" && s.name != "jobs" && s.name != "nodes" && s.name != "node" {
				continue
			}
			for _, size := range sizes {
				t.Run(f.name+"/"+s.name+"/"+size.name, func(t *testing.T) {
					d := drive(f.make(), size.w, size.h, Options{})
					d.keys(strings.Fields(s.keys)...)
					d.must(t)
					golden(t, filepath.Join(f.name, s.name+"-"+size.name), trim(d.text()))
				})
			}
		}
	}
}

// TestKindGoldens holds the node and GPU screens of every kind of machine at the four sizes.
func TestKindGoldens(t *testing.T) {
	for _, s := range kindScreens {
		for _, size := range sizes {
			t.Run(s.name+"/"+size.name, func(t *testing.T) {
				d := drive(kinds(), size.w, size.h, Options{})
				d.keys(strings.Fields(s.keys)...)
				d.must(t)
				golden(t, filepath.Join("kinds", s.name+"-"+size.name), trim(d.text()))
			})
		}
	}
}

// TestPoorTerminals holds, with their colours, what is shown where there are eight, none, or no Unicode.
func TestPoorTerminals(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  Options
	}{
		{"8", Options{Profile: colorprofile.ANSI}},
		{"8-ascii", Options{Profile: colorprofile.ANSI, ASCII: true}},
		{"nocolor", Options{Profile: colorprofile.ASCII}},
		{"ascii", Options{Profile: colorprofile.ASCII, ASCII: true}},
		{"256", Options{Profile: colorprofile.ANSI256}},
		{"truecolor-light", Options{Profile: colorprofile.TrueColor, Theme: "light"}},
	} {
		for _, s := range screens[:5] {
			t.Run(c.name+"/"+s.name, func(t *testing.T) {
				d := drive(hang(), 80, 24, c.opt)
				d.keys(strings.Fields(s.keys)...)
				d.must(t)
				content := d.View().Content
				if c.opt.ASCII && strings.ContainsFunc(content, func(r rune) bool { return r > 0x7e }) {
					t.Errorf("not only ASCII:\n%s", content)
				}
				golden(t, filepath.Join("terminals", c.name+"-"+s.name), visible(content))
			})
		}
	}
}

// visible writes escape characters so that goldens can be read and compared: "\x1b[0;1m" as "‹0;1›".
func visible(s string) string {
	var b strings.Builder
	for {
		at := strings.Index(s, "\x1b[")
		if at < 0 {
			return b.String() + s
		}
		b.WriteString(s[:at])
		s = s[at+2:]
		end := strings.IndexByte(s, 'm')
		b.WriteString("‹" + s[:end] + "›")
		s = s[end+1:]
	}
}

// TestStateWithoutColour shows that what colour says is said by shape or word as well: without colours, each of these differs from the others.
func TestStateWithoutColour(t *testing.T) {
	text := func(snap *fleet.Snapshot, keys string) string {
		d := drive(snap, 120, 40, Options{Profile: colorprofile.ASCII})
		d.keys(strings.Fields(keys)...)
		return d.text()
	}
	for _, c := range []struct{ keys, want string }{
		{"", "✖ no progress 41 s"}, {"", "▲ rank 11 slower"}, {"", "○ 7 of 8 GPUs idle"}, {"", "● running"}, {"", "✖3 ▲3"}, {"", "21  21  ✖   21"},
		{"2", "✖ lost 3m"}, {"2", "◌ stale 12s"}, {"2", "▲ live"}, {"2", "● live"}, {"2", "◌◌◌◌◌◌◌◌"},
		{"2 enter", "✖ Xid 79 GPU3: fell off the bus"}, {"2 L", "✖ GPU3 Xid 79"}, {"Z", "‖ paused"},
	} {
		if got := text(hang(), c.keys); !strings.Contains(got, c.want) {
			t.Errorf("after %q: no %q in\n%s", c.keys, c.want, got)
		}
	}
}
