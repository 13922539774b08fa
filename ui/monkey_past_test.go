package ui

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// lazy is a driver whose commands wait until they are let go, in any order.
type lazy struct {
	*driver
	waiting []tea.Cmd
}

func (d *lazy) send(msg tea.Msg) {
	_, cmd := d.Update(msg)
	d.View()
	d.later(cmd)
}

// later keeps a command, and quits where it says so.
func (d *lazy) later(cmd tea.Cmd) {
	if cmd != nil {
		d.waiting = append(d.waiting, cmd)
	}
}

// letGo runs the i-th waiting command.
func (d *lazy) letGo(i int) {
	cmd := d.waiting[i]
	d.waiting = append(d.waiting[:i:i], d.waiting[i+1:]...)
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			d.later(c)
		}
	case tea.QuitMsg:
		d.quit = true
	default:
		if reflect.TypeOf(msg).PkgPath() == reflect.TypeOf(historyMsg{}).PkgPath() {
			d.send(msg)
		}
	}
}

// TestTravelMonkey presses keys at random while pictures of the past are in flight and come late, fail, or come from a past that moves on, live and in a recording:
// every frame fills its rectangle, nothing panics, nothing acts, there is never more than one picture on its way, and at last the screen shows what was wanted.
func TestTravelMonkey(t *testing.T) {
	keys := []string{"[", "]", "(", ")", ",", ".", "{", "}", "[", "]", "{", "}", "-", "+", "Z", "Z", "up", "down", "left", "right", "enter", "esc", "tab", "1", "2", "4", "5", "G", "g", "o", "p", "L", "m", "v", "?",
		"x", "\\", "u", "space", "V", "U", "s", "S", "D", "R", "K", "C", "!", "a", "ctrl+r", "y", "t", "Q", "r", "<", "pgdown", "/", "n", ":", "f", "backspace"}
	seeds, steps := uint64(4), 800
	if os.Getenv("FORETOP_SOAK") != "" {
		seeds, steps = 60, 3000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			p := nightPast()
			for i, s := range []*fleet.Snapshot{kinds(), scheduled(), laidOut(), empty(), mixedFleet(), withFindings(), asks()} {
				c := *s
				c.At = noon.Add(time.Duration(i-8) * time.Minute)
				p.pictures = append(p.pictures, &c)
			}
			h := newHands(t)
			opt := Options{Past: p, Actor: h, Asker: &clerk{}, Mouse: true, ASCII: seed%4 == 3, Profile: []colorprofile.Profile{colorprofile.TrueColor, colorprofile.ASCII}[seed%2]}
			d := &lazy{}
			if seed%3 == 0 {
				d.driver = replay(p, 80, 24, opt)
			} else {
				d.driver = drive(nightNow(), 80, 24, opt)
			}
			beats := noon
			for step := range steps {
				switch rnd.IntN(14) {
				case 0:
					d.send(tea.WindowSizeMsg{Width: rnd.IntN(150), Height: rnd.IntN(45)})
				case 1:
					s := *nightNow()
					s.Sequence, s.At = uint64(100+step), noon.Add(time.Duration(step)*time.Second)
					p.from, p.to = p.from.Add(time.Second), s.At
					d.send(SnapshotMsg{&s})
				case 2:
					d.send(tea.MouseClickMsg{X: rnd.IntN(150), Y: rnd.IntN(45), Button: tea.MouseLeft})
				case 3:
					p.fails = nil
					if rnd.IntN(4) == 0 {
						p.fails = errBroken
					}
				case 4:
					beats = beats.Add(time.Duration(rnd.IntN(3000)) * time.Millisecond)
					d.send(beatMsg(beats))
				case 5, 6, 7:
					if len(d.waiting) > 0 {
						d.letGo(rnd.IntN(len(d.waiting)))
					}
				default:
					d.send(keyMsg(keys[rnd.IntN(len(keys))]))
				}
				if d.quit {
					t.Fatal("it quit, though nobody asked it to")
				}
				d.must(t)
				if d.away() && (d.screen == screenAct || d.acting.job != nil && !d.acting.over) && d.opt.Replay {
					t.Fatalf("step %d: something acts in a recording", step)
				}
			}
			p.fails = nil
			for n := 0; len(d.waiting) > 0; n++ {
				if d.letGo(0); n > 100000 {
					t.Fatal("commands lead to commands for ever")
				}
			}
			d.must(t)
			if p.most > 1 {
				t.Errorf("%d pictures were on their way at a time", p.most)
			}
			if d.travel.flying || !d.travel.want.IsZero() {
				t.Errorf("still on the way to %v", d.travel.want)
			}
			if !d.opt.Replay && !d.paused && d.snap != d.latest {
				t.Error("it is now, and something else is shown")
			}
			if d.away() && d.snap.At != d.travel.at {
				t.Errorf("the bar says %v, the picture is of %v", d.travel.at, d.snap.At)
			}
		})
	}
}

// TestEveryTravelSize draws every screen of the past at every size down to nothing.
func TestEveryTravelSize(t *testing.T) {
	for _, s := range []string{"", "tab", "enter", "2", "2 enter", "2 L", "?", "2 enter enter", "4", "o", "5", ":"} {
		for _, d := range []*driver{traveller(nightPast(), 80, 24, Options{Mouse: true}), replay(nightPast(), 80, 24, Options{})} {
			d.keys(append(fields(s), "[")...)
			for h := range 13 {
				for w := 0; w <= 42; w += 2 + w/6 {
					d.send(tea.WindowSizeMsg{Width: w, Height: h})
					d.must(t)
				}
			}
			for _, size := range [][2]int{{20, 5}, {80, 24}, {500, 3}, {3, 200}, {109, 30}, {300, 100}} {
				d.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				d.must(t)
			}
		}
	}
}
