package ui

import (
	"slices"
	"strings"
	"testing"
)

// TestKeysAreUnique shows that no key means two things at a place, and none is offered that belongs to a later version.
func TestKeysAreUnique(t *testing.T) {
	later := laterKeys()
	for p := range numPlaces {
		if p == placeAct || p == placeAsk {
			continue // they take their keys themselves, for letters are typed there
		}
		seen := map[string]string{}
		for _, b := range bindings() {
			if !b.at.has(p) {
				continue
			}
			for _, k := range b.keys {
				if other, ok := seen[k]; ok {
					t.Errorf("%s: key %q is %q and %q", placeNames[p], k, other, b.help)
				}
				seen[k] = b.help
				if _, ok := later[k]; ok {
					t.Errorf("%s: key %q is offered, and said to come later", placeNames[p], k)
				}
			}
		}
		for _, k := range []string{"q", "ctrl+c", "up", "down", "j", "k", "pgup", "pgdown", "home", "end", "g", "G", "esc", "Z", "1", "2", "3", "4"} {
			if seen[k] == "" {
				t.Errorf("%s: key %q does nothing", placeNames[p], k)
			}
		}
	}
}

// TestEveryKeyIsExplained shows that each binding has words, a group and a label, and that the help shows it.
func TestEveryKeyIsExplained(t *testing.T) {
	d := drive(hang(), 120, 400, Options{})
	d.keys("?")
	help := d.text()
	for _, b := range bindings() {
		if b.help == "" || b.group == "" || b.label == "" || len(b.keys) == 0 || b.at == 0 {
			t.Errorf("binding %v lacks something", b)
		}
		if b.at != at(placeHelp) && (!strings.Contains(help, b.keyNames()) || !strings.Contains(help, strings.Fields(b.help)[0])) {
			t.Errorf("the help does not show %q: %s", b.keys, b.help)
		}
	}
	for do := actNone + 1; do <= actHelp; do++ {
		if !slices.ContainsFunc(bindings(), func(b binding) bool { return b.do == do }) {
			t.Errorf("action %d has no key", do)
		}
	}
}

// TestHintsWorkHere shows that what stands on the bottom line does something where it stands.
func TestHintsWorkHere(t *testing.T) {
	for p, keys := range map[place]string{placeJobs: "", placeGrid: "tab", placeNodes: "2", placeNode: "2 enter", placeGPU: "2 enter enter", placeKernel: "2 L",
		placeRanks: "enter tab tab", placeJob: "enter tab", placeLog: "o", placeUsers: "4", placeFindings: "3", placeIncident: "3 enter", placeHelp: "?"} {
		d := drive(incidentsOn(), 200, 60, Options{})
		d.keys(fields(keys)...)
		if d.place() != p {
			t.Fatalf("after %q the keyboard is at %s", keys, placeNames[d.place()])
		}
		lines := strings.Split(d.text(), "\n")
		bottom := lines[len(lines)-1]
		for _, b := range d.Model.keys.hints[p] {
			if !strings.Contains(bottom, b.shown(false)+" "+b.hint) {
				t.Errorf("%s: %q is not on the bottom line %q", placeNames[p], b.hint, bottom)
			}
		}
	}
}

// TestLaterKeysSaySo shows that a key of a later version is neither dead nor offered.
func TestLaterKeysSaySo(t *testing.T) {
	for k := range laterKeys() {
		d := drive(hang(), 120, 40, Options{})
		d.keys(k)
		if !strings.Contains(d.text(), "is not in this version yet") {
			t.Errorf("key %q says nothing", k)
		}
	}
}

// TestKeysAreWrittenOneWay shows that help and hints write a key alike, and that no help repeats its keys.
func TestKeysAreWrittenOneWay(t *testing.T) {
	for key, want := range map[string]string{"ctrl+r": "Ctrl-r", "shift+tab": "Shift-Tab", "pgdown": "PgDn", "G": "G", "f5": "F5", "+": "+", "esc": "Esc", "up": "Up"} {
		if got := keyName(key); got != want {
			t.Errorf("%s is written %s, want %s", key, got, want)
		}
	}
	for _, b := range bindings() {
		if strings.Contains(b.help, "also") {
			t.Errorf("%s: the help repeats keys: %s", b.keyNames(), b.help)
		}
		for _, label := range strings.Split(b.label, " ") {
			if strings.HasPrefix(label, "C-") || strings.HasPrefix(label, "S-") || strings.Contains(label, "+") {
				t.Errorf("%s is shown as %s", b.keyNames(), label)
			}
		}
	}
	d := drive(hang(), 120, 60, Options{})
	d.keys("?")
	for _, not := range []string{"ctrl+", "C-r", "(also"} {
		if strings.Contains(d.text(), not) {
			t.Errorf("%q in\n%s", not, d.text())
		}
	}
}
