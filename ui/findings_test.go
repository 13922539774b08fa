package ui

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var findingsScreens = []struct {
	name string
	keys string
}{
	{"findings", "3"}, {"folded", "3 t"}, {"filter", "3 / n o d e = g p u 0 1 7 enter"}, {"incident", "3 enter"}, {"leaf", "3 down enter down"}, {"node", "2 / g p u 0 1 7 enter enter"}, {"job", "enter tab"},
	{"critical", "3 x"}, {"none", "3 / n o s u c h enter"},
}

// TestFindingsGoldens holds the Findings view, the page of an incident, and what other screens say of it.
func TestFindingsGoldens(t *testing.T) {
	for _, s := range findingsScreens {
		for _, size := range sizes {
			t.Run(s.name+"/"+size.name, func(t *testing.T) {
				d := drive(incidentsOn(), size.w, size.h, Options{Keeper: &keeper{}})
				d.keys(strings.Fields(s.keys)...)
				d.must(t)
				golden(t, filepath.Join("incidents", s.name+"-"+size.name), trim(d.text()))
			})
		}
	}
}

// TestFindingsWithoutColour shows that it is all said by shape or word as well, in ASCII too.
func TestFindingsWithoutColour(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{"3", "new X critical"}, {"3", "! warning"}, {"3", "1 acknowledged . 1 snoozed . 1 out of service . 1 false alarm . 1 over"}, {"3 t", "o seen, bob"}, {"3 t", "o snoozed 59m"}, {"3 t", "o known bad"}, {"3 t", "o false alarm"},
		{"3 t", ". over 5m"}, {"3 enter", "> 12:03:00 X gpu017 GPU3 Xid 79"}, {"3", "3 Findings (2 new)"}, {"2 / g p u 0 1 7 enter enter", "X incident 41s (3)"}, {"enter", "incident (3) gpu017 GPU3"},
	} {
		d := drive(incidentsOn(), 120, 40, Options{Profile: colorprofile.ASCII, ASCII: true, Keeper: &keeper{}})
		d.keys(strings.Fields(c.keys)...)
		if got := d.text(); !strings.Contains(got, c.want) || strings.ContainsFunc(got, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("after %q: no %q in\n%s", c.keys, c.want, got)
		}
	}
}

func TestWhatIsSaidOfIncidents(t *testing.T) {
	lost, leaf := incidentsOn().Incidents[0].ID, incidentsOn().Incidents[1].ID
	tomorrow := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		keys   string
		want   []said
		notice string
	}{
		{"3 A", []said{{[]string{lost}, fleet.Acknowledged, time.Time{}}}, "acknowledged"},
		{"3 down A", []said{{[]string{leaf}, fleet.Acknowledged, time.Time{}}}, "acknowledged"},
		{"3 enter A", []said{{[]string{lost}, fleet.Acknowledged, time.Time{}}}, "acknowledged"},
		{"3 z", []said{{[]string{lost}, fleet.Snoozed, noon.Add(time.Hour)}}, "snoozed for 1 h; z again: for 4 h"},
		{"3 z z z z", []said{{[]string{lost}, fleet.Snoozed, noon.Add(time.Hour)}, {[]string{lost}, fleet.Snoozed, noon.Add(4 * time.Hour)}, {[]string{lost}, fleet.Snoozed, tomorrow}, {[]string{lost}, fleet.Unmarked, time.Time{}}}, "no longer snoozed"},
		{"3 z down z", []said{{[]string{lost}, fleet.Snoozed, noon.Add(time.Hour)}, {[]string{leaf}, fleet.Snoozed, noon.Add(time.Hour)}}, "snoozed for 1 h"},
		{"3 X", []said{{[]string{lost}, fleet.FalseAlarm, time.Time{}}}, "false alarm: this rule asks for nobody any more on gpu017 GPU3"},
		{"3 space space A", []said{{[]string{lost, leaf}, fleet.Acknowledged, time.Time{}}}, "2 incidents acknowledged"},
		{"3 / m a r k = a c k n o w l e d g e d enter A", []said{{[]string{"disk.full@gpu044"}, fleet.Unmarked, time.Time{}}}, "no longer acknowledged"},
		{"3 / m a r k = f a l s e * enter X", []said{{[]string{incidentsOn().Incidents[6].ID}, fleet.Unmarked, time.Time{}}}, "no longer false alarm"},
		{"3 / n o s u c h enter A", nil, "no incident is selected"},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			k := &keeper{}
			d := drive(incidentsOn(), 120, 40, Options{Keeper: k})
			d.keys(strings.Fields(tt.keys)...)
			if diff := cmp.Diff(tt.want, k.said, cmp.AllowUnexported(said{}), cmpopts.SortSlices(strings.Compare)); diff != "" {
				t.Errorf("-want +said:\n%s", diff)
			}
			if !strings.Contains(d.notice, tt.notice) {
				t.Errorf("it says %q, not %q", d.notice, tt.notice)
			}
		})
	}
}

func TestWhatIsSaidThatDoesNotLastIsTold(t *testing.T) {
	d := drive(incidentsOn(), 200, 60, Options{Keeper: &keeper{trouble: "what is said here lasts only until foretop ends: disk quota exceeded"}})
	d.keys("3", "A")
	if !strings.Contains(d.text(), "acknowledged · what is said here lasts only") {
		t.Error(d.text())
	}
	d.keys("down")
	if !strings.Contains(d.text(), "disk quota exceeded") {
		t.Error(d.text())
	}
	d = drive(incidentsOn(), 200, 60, Options{})
	d.keys("3", "A")
	if !strings.Contains(d.notice, "recording") {
		t.Errorf("%q", d.notice)
	}
}

// Whoever leaves the findings has looked; whoever never opened them has not.
func TestLeavingTheFindingsIsALook(t *testing.T) {
	for keys, want := range map[string]int{"2 1": 0, "3": 0, "3 enter": 0, "3 enter enter": 0, "3 1": 1, "3 enter esc 2": 1, "3 1 3 1": 2} {
		k := &keeper{}
		d := drive(incidentsOn(), 120, 40, Options{Keeper: k})
		d.keys(strings.Fields(keys)...)
		if k.looked != want {
			t.Errorf("after %q: looked %d times, not %d", keys, k.looked, want)
		}
	}
}

func TestAnIncidentLeadsToWhatItIsAbout(t *testing.T) {
	for _, tt := range []struct {
		keys string
		want screen
		says string
	}{
		{"3 enter enter", screenGPU, "GPU"}, {"3 enter down enter", screenJob, "8123"}, {"3 down enter enter", screenIncident, "choose one below"}, {"3 down enter down enter", screenNode, "gpu051"},
		{"3 L", screenKernel, "gpu017"}, {"3 enter L", screenKernel, "gpu017"}, {"3 down L", screenFindings, "no node is selected"}, {"3 enter enter esc esc esc", screenFindings, "PROBABLE ROOT"},
	} {
		d := drive(incidentsOn(), 120, 40, Options{Keeper: &keeper{}})
		d.keys(strings.Fields(tt.keys)...)
		if d.Model.screen != tt.want || !strings.Contains(d.text(), tt.says) {
			t.Errorf("after %q: screen %d, not %d, or no %q in\n%s", tt.keys, d.Model.screen, tt.want, tt.says, d.text())
		}
	}
}

func TestFindingsOpenAtTheIncidentOfWhereOneWas(t *testing.T) {
	for keys, want := range map[string]string{"2 / g p u 0 5 2 enter enter 3": "node.lost@leaf03", "2 / g p u 0 4 4 enter enter 3": "disk.full@gpu044", "enter 3": incidentsOn().Incidents[0].ID} {
		d := drive(incidentsOn(), 120, 40, Options{Keeper: &keeper{}})
		d.keys(strings.Fields(keys)...)
		if got := d.findings.selected(); got != want {
			t.Errorf("after %q: %q, not %q", keys, got, want)
		}
	}
}

func TestADrainOfAnIncidentHasItsRootAsReason(t *testing.T) {
	for _, tt := range []struct{ keys, want string }{
		{"3 D", "GPU3 Xid 79: fell off the bus 12:03 [foretop/ann]"},
		{"3 enter D", "GPU3 Xid 79: fell off the bus 12:03 [foretop/ann]"},
		{"3 down D", "gpu051"}, // which of its nodes?
		{"3 down D * enter", "leaf03: 2 of 2 nodes lost within 4 s 12:00 [foretop/ann]"},
	} {
		d := drive(incidentsOn(), 120, 40, Options{Actor: newHands(t), Keeper: &keeper{}})
		d.keys(strings.Fields(tt.keys)...)
		if d.Model.screen != screenAct || !strings.Contains(d.text(), tt.want) {
			t.Errorf("after %q: no %q in\n%s", tt.keys, tt.want, d.text())
		}
	}
}

func TestATicketSaysWhatAStrangerMustKnow(t *testing.T) {
	snap := incidentsOn()
	snap.Incidents[0].Members[0].Text = "Xid 79: fell\x1b[31m off\r\nthe bus"
	d := drive(snap, 120, 40, Options{Keeper: &keeper{}})
	d.keys("3")
	text := d.ticket(d.incident())
	for _, want := range []string{"critical: gpu017 GPU3", "probable root: gpu017 GPU3 Xid 79", "since: 2026-11-23 12:03:00 UTC (41s)", "what to do: drain the node", "serial 1650123456789", "job: 8123 llama3-70b-pt ann",
		"- 2026-11-23 12:03:20 UTC job 8123: no progress 41 s", "third time in a week", "kernel log of gpu017:", "foretop, fleet h100"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "\x1b\r") {
		t.Errorf("control characters in %q", text)
	}
}

// TestEverySizeOfFindings draws the findings at every size down to nothing.
func TestEverySizeOfFindings(t *testing.T) {
	for _, keys := range []string{"3", "3 t", "3 enter", "3 down enter down", "3 enter pgdown", "3 / x", "2 / g p u 0 1 7 enter enter", "enter tab"} {
		d := drive(incidentsOn(), 80, 24, Options{Mouse: true, Keeper: &keeper{}})
		d.keys(fields(keys)...)
		for h := range 13 {
			for w := 0; w <= 42; w += 1 + w/9 {
				d.send(tea.WindowSizeMsg{Width: w, Height: h})
				d.must(t)
			}
		}
		for _, size := range [][2]int{{20, 5}, {80, 24}, {500, 3}, {3, 200}, {200, 60}} {
			d.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			d.must(t)
		}
	}
}
