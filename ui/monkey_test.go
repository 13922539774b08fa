package ui

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// TestMonkey presses keys at random, at sizes at random, while snapshots come and go: every frame fills its rectangle, nothing panics, and only
// q and Ctrl-C quit.
func TestMonkey(t *testing.T) {
	keys := []string{"up", "down", "left", "right", "pgup", "pgdown", "home", "end", "enter", "esc", "tab", "shift+tab", "space", "backspace", "ctrl+r", "f1",
		"1", "2", "3", "4", "5", "!", "S", "B", "n", "N", "K", "C", "R", "s", "*", "ctrl+x", "o", "p", "P", "/", "\\", "<", ">", "r", "V", "U", "m", "M", "u", "x", "Z", "y", "L", "?", "t", "j", "k", "h", "l", "g", "G", "a", "=", "D", "ctrl+u", "v", "v", ":", "F", "e", "z", "Q", "3", "A", "X"}
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			snaps := []*fleet.Snapshot{hang(), healthy(), connecting(), empty(), allLost(), kinds(), scheduled(), laidOut(), mixedFleet(), withFindings(), incidentsOn(), asks(), asks(codeQuestion())}
			var actor Actor
			if seed%3 > 0 {
				h := newHands(t)
				h.planner.Door = &door{run: mixed, tool: stackDoor().tool}
				actor = h
			}
			d := drive(snaps[0], 80, 24, Options{Actor: actor,
				Profile: []colorprofile.Profile{colorprofile.TrueColor, colorprofile.ANSI, colorprofile.ASCII}[seed%3], ASCII: seed%4 == 3, Mouse: seed%2 == 0, Asker: &clerk{}, Keeper: &keeper{}})
			for step := range 600 {
				switch rnd.IntN(12) {
				case 0:
					d.send(tea.WindowSizeMsg{Width: rnd.IntN(130), Height: rnd.IntN(45)})
				case 1:
					s := *snaps[rnd.IntN(len(snaps))]
					s.Sequence, s.At = uint64(100+step), noon.Add(time.Duration(step)*time.Second)
					d.send(SnapshotMsg{&s})
				case 2:
					d.send(tea.MouseClickMsg{X: rnd.IntN(130), Y: rnd.IntN(45), Button: tea.MouseLeft})
				case 3:
					d.send(tea.MouseWheelMsg{X: 1, Y: 1, Button: tea.MouseWheelDown})
				default:
					k := keys[rnd.IntN(len(keys))]
					d.keys(k)
				}
				if d.quit {
					t.Fatal("it quit, though nobody asked it to")
				}
				d.must(t)
			}
		})
	}
}

// TestEverySize draws every screen at every size down to nothing.
func TestEverySize(t *testing.T) {
	for _, f := range append(allFixtures(), namedFixture{"layout", laidOut}) {
		for _, s := range []string{"", "tab", "enter", "2", "2 enter", "2 L", "?", "/", "2 enter tab tab tab", "2 enter enter", "2 enter enter right shift+tab t", "4", "5", "o", "p", "enter tab tab", "enter shift+tab", "v", "enter v", ":"} {
			d := drive(f.make(), 80, 24, Options{Mouse: true})
			d.keys(fields(s)...)
			for h := range 13 {
				for w := 0; w <= 42; w += 1 + w/9 {
					d.send(tea.WindowSizeMsg{Width: w, Height: h})
					d.must(t)
				}
			}
			for _, size := range [][2]int{{20, 5}, {80, 24}, {500, 3}, {3, 200}, {109, 30}, {110, 30}, {300, 100}} {
				d.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				d.must(t)
			}
		}
	}
}

// TestEverySizeOfActing draws every stage of acting at every size down to nothing.
func TestEverySizeOfActing(t *testing.T) {
	for _, s := range []string{"a", "D", "D F", "D * enter", "D * enter enter", "K", "K * enter", "K * enter enter", "C", "C enter", "!", "2 D", "2 F D enter", "2 a", "2 R"} {
		d := drive(mixedFleet(), 80, 24, Options{Actor: newHands(t)})
		d.keys(fields(s)...)
		if d.screen != screenAct {
			t.Fatalf("%q does not ask:\n%s", s, d.text())
		}
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
