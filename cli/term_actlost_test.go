package cli

import (
	"strings"
	"testing"
	"time"
)

// A shell on the node, in the program's own terminal: what runs there has the terminal's size and keys, and the screen is back when it ends, and when its node does.
func walkShell(t *testing.T, b *actBed) {
	const name = "node005"
	a := b.open(t, opening{}, name)
	enter := func(text string) {
		t.Helper()
		a.Type(text)
		a.press("Enter")
	}
	a.pick(name)
	a.do("s")
	enter("hostname; tput cols; stty size")
	a.WaitFor(`(?s)`+name+`.*120.*40 120`, actWithin)
	a.w, a.h = 100, 30
	a.Resize(a.w, a.h)
	a.eventually("the new size arrives", func() bool {
		enter("clear; stty size")
		time.Sleep(100 * time.Millisecond)
		return strings.Contains(a.Screen(), "30 100")
	})
	enter("vim -u NONE -n")
	a.WaitFor(`(?m)^~`, actWithin)
	a.Type("ihello from vim")
	a.press("Escape")
	a.WaitFor(`hello from vim`, 20*time.Second)
	enter(":q!")
	enter("htop")
	a.WaitFor(`Load average`, actWithin)
	a.Resize(110, 35)
	a.w, a.h = 110, 35
	a.WaitFor(`(?s)Load average.*F10Quit`, actWithin)
	a.press("q")
	enter("sleep 1000")
	a.press("C-c")
	enter("echo back=$((6*7))")
	a.WaitFor(`back=42`, actWithin)
	enter("exit")
	a.WaitFor(`(?s)1 Jobs.*`+name, actWithin)
	a.whole("the shell")
	if got := a.audited(); strings.Count(got, `"action":"shell"`) != 2 || !strings.Contains(got, `"state":"done"`) {
		t.Errorf("audit file:\n%s", got)
	}

	// The node dies under an editor: the grid is back, with the cause, and heeds keys.
	a.do("s")
	enter("vim -u NONE -n")
	a.WaitFor(`(?m)^~`, actWithin)
	must(t, b.Node(name).Kill())
	a.WaitFor(`the shell on `+name+` ended: .*lost`, actWithin)
	a.whole("the node's end")
	a.do("?")
	a.WaitFor(`› help`, 20*time.Second)
	a.do("Escape")
	if got := a.audited(); strings.Count(got, `"action":"shell"`) != 4 || !strings.Contains(got, `"state":"failed"`) {
		t.Errorf("audit file:\n%s", got)
	}
	a.press("q")
	a.left(0)
}

// The controller hangs, then dies, with an order on its way: what became of it is not known, and that is said; when the controller is back it is looked up. What the
// screen says is what sinfo -R says.
func walkController(t *testing.T, b *actBed) {
	head := b.Node(actLogin)
	a := b.open(t, opening{}, "node002", "node003")
	for _, c := range []struct {
		node, file string
		back       func()
	}{
		{"node002", "/run/stop", func() {
			_, err := head.Exec("sh", "-c", "kill -CONT $(cat /run/slurm-bed/slurmctld.pid)")
			must(t, err)
		}},
		{"node003", "/run/kill", func() { must(t, b.ctl.StartController()) }},
	} {
		_, err := head.Exec("touch", c.file)
		must(t, err)
		a.pick(c.node)
		a.asks("D", "C-u", "=fan", "Enter")
		a.answer("y")
		a.WaitFor(`(?m)^ *1 unknown`, actWithin)
		if got := a.audited(); !strings.Contains(got, `"state":"unknown"`) {
			t.Errorf("audit file:\n%s", got)
		}
		a.eventually("the controller is asked in vain", func() bool { return strings.Contains(a.Screen(), "no answer yet") })
		c.back()
		screen := a.WaitFor(`(?s)1 (done|failed).*found out later`, 2*actWithin)
		got := b.reason(t, c.node)
		done := strings.Contains(screen, "it was carried out")
		t.Logf("%s, with %s: carried out %v, sinfo -R %q", c.node, c.file, done, got)
		if done != (got == "root|fan") || !done && got != "" {
			t.Errorf("sinfo -R: %q\n%s", got, screen)
		}
		a.do("Escape")
		if done {
			a.WaitFor(c.node+`.*fan`, actWithin)
		}
	}
	a.press("q")
	a.left(0)
}
