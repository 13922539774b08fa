package ui

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// driver runs a model by hand: it presses keys, and runs the commands that this sets off.
type driver struct {
	*Model
	source *testSource
	quit   bool
	clears int // pictures that were asked for whole
}

func drive(snap *fleet.Snapshot, w, h int, opt Options) *driver {
	source := &testSource{snap: snap}
	opt.Source, opt.Location = source, time.UTC
	if opt.Profile == colorprofile.Unknown {
		opt.Profile = colorprofile.TrueColor
	}
	if opt.Name == "" {
		opt.Name = "h100"
	}
	d := &driver{Model: New(opt), source: source}
	d.settling = 0
	d.now = func() time.Time { return noon }
	d.ticks = func(time.Duration, func(time.Time) tea.Msg) tea.Cmd { return nil } // tests send beats themselves
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	d.run(d.Init())
	return d
}

func (d *driver) send(msg tea.Msg) {
	_, cmd := d.Update(msg)
	d.View()
	d.run(cmd)
}

// run runs a command and all that it leads to.
func (d *driver) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	case tea.QuitMsg:
		d.quit = true
	default:
		if reflect.TypeOf(msg) == reflect.TypeOf(tea.ClearScreen()) {
			d.clears++
		}
		if reflect.TypeOf(msg).PkgPath() == reflect.TypeOf(historyMsg{}).PkgPath() { // what is not ours is for the runtime
			d.send(msg)
		}
	}
}

var namedKeys = map[string]tea.KeyPressMsg{
	"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight},
	"pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
	"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift},
	"space": {Code: tea.KeySpace, Text: " "}, "backspace": {Code: tea.KeyBackspace}, "delete": {Code: tea.KeyDelete},
	"ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+r": {Code: 'r', Mod: tea.ModCtrl}, "ctrl+u": {Code: 'u', Mod: tea.ModCtrl}, "ctrl+w": {Code: 'w', Mod: tea.ModCtrl},
	"ctrl+b": {Code: 'b', Mod: tea.ModCtrl}, "ctrl+f": {Code: 'f', Mod: tea.ModCtrl}, "ctrl+x": {Code: 'x', Mod: tea.ModCtrl}, "f1": {Code: tea.KeyF1}, "f5": {Code: tea.KeyF5}, "f9": {Code: tea.KeyF9},
}

// keyMsg is the message of a key as String gives it.
func keyMsg(k string) tea.KeyPressMsg {
	if m, ok := namedKeys[k]; ok {
		return m
	}
	r := []rune(k)[0]
	return tea.KeyPressMsg{Code: r, Text: k}
}

// press presses keys, one after another.
func (d *driver) keys(keys ...string) *driver {
	for _, k := range keys {
		d.send(keyMsg(k))
	}
	return d
}

// write types text.
func (d *driver) write(s string) *driver {
	for _, r := range s {
		if r == ' ' {
			d.keys("space")
		} else {
			d.keys(string(r))
		}
	}
	return d
}

// screen is what is to be seen, without colours.
func (d *driver) text() string { return ansi.Strip(d.View().Content) }

// must checks that the frame fills its rectangle: exactly h lines of at most w cells.
func (d *driver) must(t *testing.T) {
	t.Helper()
	content := d.View().Content
	if d.width == 0 || d.height == 0 {
		if content != "" {
			t.Fatalf("%d×%d: drew %q", d.width, d.height, content)
		}
		return
	}
	lines := strings.Split(content, "\n")
	if len(lines) != d.height {
		t.Fatalf("%d×%d, screen %d: %d lines", d.width, d.height, d.Model.screen, len(lines))
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w > d.width {
			t.Fatalf("%d×%d, screen %d: line %d has %d cells: %q", d.width, d.height, d.Model.screen, i, w, l)
		}
	}
}
