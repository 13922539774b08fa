package ui

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/actions"
	"foretop/fleet"
	"foretop/schedulers"

	tea "charm.land/bubbletea/v2"
)

// door plays nodes: what a command comes to on each, and what their collectors say of processes.
type door struct {
	run  func(node string, argv []string) (actions.Output, error)
	tool func(node string, args []string) (actions.Output, error)

	mu    sync.Mutex
	asked []string // nodes, with what was run
}

func (d *door) Run(_ context.Context, node string, argv []string, _ int) (actions.Output, error) {
	d.note(node + ": " + strings.Join(argv, " "))
	return d.run(node, argv)
}

func (d *door) Tool(_ context.Context, node string, args []string, _ int) (actions.Output, error) {
	d.note(node + ": " + strings.Join(args, " "))
	return d.tool(node, args)
}

func (d *door) note(words string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, words)
}

func (d *door) were() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.asked, "\n")
}

// mixed is a command that comes to four things on the nodes of the fixture.
func mixed(node string, _ []string) (actions.Output, error) {
	switch node {
	case "gpu003", "gpu004":
		return actions.Output{Text: "bash: nvidia-smi: command not found\n", Code: 127}, nil
	case "gpu005":
		return actions.Output{Code: -1, Text: "half"}, fmt.Errorf("run on gpu005: connection lost: %w", schedulers.ErrUnsure)
	case "gpu006":
		return actions.Output{Text: strings.Repeat("a line\n", 30), Cut: true}, nil
	}
	return actions.Output{Text: "GPU 0: H100\n\tUUID: GPU-1\n"}, nil
}

// clock goes on by a tenth of a second with each look at it.
func clock() func() time.Time {
	var mu sync.Mutex
	now := noon
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(100 * time.Millisecond)
		return now
	}
}

// runOn tags nodes, runs a command on them and waits for its end.
func runOn(t *testing.T, w, h int, opt Options, run func(string, []string) (actions.Output, error), nodes ...string) (*driver, *hands) {
	t.Helper()
	hand := newHands(t)
	hand.Desk.Now = clock()
	hand.planner.Door = &door{run: run}
	opt.Actor = hand
	d := drive(proven(), w, h, opt)
	d.keys("2")
	for _, name := range nodes {
		d.nodes.tag(name, true)
	}
	d.keys("!").write("nvidia-smi -L").keys("enter")
	d.answer()
	if d.screen != screenRun || !d.Model.run.news.over {
		t.Fatalf("screen %d after the answer, notice %q", d.screen, d.notice)
	}
	return d, hand
}

var eightNodes = []string{"gpu001", "gpu002", "gpu003", "gpu004", "gpu005", "gpu006", "gpu007", "gpu052"}

// TestRun shows equal outputs once: what failed first, then what has no end, then the odd one; a small output is there at once, a long one at a key.
func TestRun(t *testing.T) {
	d, _ := runOn(t, 120, 40, Options{}, mixed, eightNodes...)
	d.shows(t, "8 of 8 ended in", "4 done, 2 failed, 1 unknown, 1 refused", "each: fastest", "slowest", "gpu[003-004]", "2 nodes  exit 127  1 line", "bash: nvidia-smi: command not found",
		"run on it: connection lost", "it is lost: there is no connection to it", "gpu006", "30 lines, cut off (↵)", "gpu[001-002,007]", "3 nodes  exit 0  2 lines", "        UUID: GPU-1")
	d.shows(t, "↵ output  Esc back  Tab node by node  / search", "! again", "y copy")
	d.lacks(t, "Ctrl-x", "<> sort") // they do nothing here and now
	text := d.text()
	last := -1
	for _, w := range []string{"gpu[003-004]", "gpu005", "gpu006", "gpu[001-002,007]"} {
		at := strings.Index(text, " "+w+" ")
		if at < last {
			t.Errorf("%s is not in its place:\n%s", w, text)
		}
		last = at
	}
	d.lacks(t, "a line")
	for d.Model.run.at = 0; ; d.keys("down") {
		if e, _ := d.Model.run.cursor(); e.kind == runOfGroup && d.Model.run.news.groups[e.n].names == "gpu006" {
			break
		}
	}
	d.keys("enter")
	d.shows(t, "a line")
	d.keys("pgdown")
	d.shows(t, "cut off after 209B: what came then was not kept")
	d.keys("pgup")
	d.keys("t")
	d.lacks(t, "a line")
	d.keys("esc")
	d.shows(t, "2 Nodes", "gpu017")
	d.keys("1", "5")
	d.shows(t, "8 of 8 ended", "gpu[003-004]")
	d.keys("esc")
	d.shows(t, "8123")
}

// TestRunByNode shows each node's own end, time and output, in the order that one likes.
func TestRunByNode(t *testing.T) {
	d, _ := runOn(t, 120, 40, Options{}, mixed, eightNodes...)
	d.keys("tab")
	d.shows(t, "NODE", "STATE", "EXIT", "TIME↓", "✖ failed", "127", "? unknown", "✖ refused", "bash: nvidia-smi")
	order := func() (names string) {
		for _, e := range d.Model.run.entries {
			names += d.Model.run.news.results[e.n].Target[3:] + " "
		}
		return strings.TrimSpace(names)
	}
	if got := order(); !strings.HasSuffix(got, " 052") {
		t.Errorf("by time: %s", got)
	}
	d.keys(">", ">")
	if got := order(); got != "001 002 003 004 005 006 007 052" {
		t.Errorf("by name: %s", got)
	}
	d.keys("r")
	if got := order(); got != "052 007 006 005 004 003 002 001" {
		t.Errorf("the other way round: %s", got)
	}
	d.keys("r", ">")
	if got := order(); got != "003 004 005 052 001 002 006 007" {
		t.Errorf("by state: %s", got)
	}
	d.keys("enter")
	d.shows(t, "     bash: nvidia-smi: command not found")
	d.keys("tab")
	d.shows(t, "2 nodes  exit 127")
}

// TestRunSearch goes from one place with a text to the next, also where an output is hidden.
func TestRunSearch(t *testing.T) {
	d, _ := runOn(t, 120, 40, Options{}, mixed, eightNodes...)
	d.keys("/").write("A LINE").keys("enter")
	e, line := d.Model.run.cursor()
	if e.kind != runOfGroup || d.Model.run.news.groups[e.n].names != "gpu006" || line != 0 {
		t.Fatalf("at %v, line %d: %s", e, line, d.text())
	}
	d.keys("n", "n", "N")
	if _, line := d.Model.run.cursor(); line != 1 {
		t.Errorf("at line %d", line)
	}
	d.keys("/").write("uuid").keys("enter")
	if e, line := d.Model.run.cursor(); d.Model.run.news.groups[e.n].names != "gpu[001-002,007]" || line != 1 {
		t.Errorf("at %v, line %d", e, line)
	}
	d.keys("/").write("gpu004").keys("enter") // it is in the middle of a node set
	if e, line := d.Model.run.cursor(); d.Model.run.news.groups[e.n].names != "gpu[003-004]" || line != -1 {
		t.Errorf("at %v, line %d", e, line)
	}
	d.keys("/").write("nothing like it").keys("enter")
	d.shows(t, `"nothing like it" is nowhere in it`)
	d.keys("tab", "/").write("gpu052").keys("enter")
	if e, _ := d.Model.run.cursor(); d.Model.run.news.results[e.n].Target != "gpu052" {
		t.Errorf("at %v", e)
	}
}

// TestRunNone says how to begin.
func TestRunNone(t *testing.T) {
	d := drive(proven(), 80, 24, Options{Actor: newHands(t)})
	d.keys("5")
	d.shows(t, "no command was run yet", "press !", "5 Run")
	for _, k := range []string{"enter", "tab", "y", "/", "n", "<", "ctrl+x", "!", "up", "down", "left", "right", "G"} {
		d.keys(k)
	}
	d.shows(t, "no command was run yet")
	d.keys("esc")
	d.shows(t, "8123")
}

// TestRunGoesOn shows a run while it goes on, stops what has not started, and says in the end what became of it, wherever one is.
func TestRunGoesOn(t *testing.T) {
	h := newHands(t)
	h.Desk.Now = clock()
	gate := make(chan struct{})
	h.planner.Door = &door{run: func(node string, argv []string) (actions.Output, error) {
		if node != "gpu001" {
			<-gate
		}
		return mixed("", nil)
	}}
	d := drive(proven(), 120, 40, Options{Actor: h})
	d.keys("2")
	var on int
	for _, n := range d.snap.Nodes {
		if n.State == fleet.Live {
			d.nodes.tag(n.Name, true)
			on++
		}
	}
	d.keys("!").write("uptime").keys("enter")
	for _, r := range fmt.Sprint(on) {
		d.keys(string(r))
	}
	_, _ = d.Update(keyMsg("enter")) // what it waits for is not waited for here
	if d.screen != screenRun {
		t.Fatal(d.text())
	}
	job := d.Model.run.job
	for { // 32 run at once, of which one has ended and another taken its place
		results, changed := job.Results()
		if strings.HasPrefix(resultWords(results), "1 done, 32 running, ") {
			break
		}
		<-changed
	}
	digest := &runDigest{}
	results, changed := job.Results()
	_, _ = d.Update(runNewsMsg{job, digest.take(results, false), digest, changed})
	d.View()
	d.shows(t, fmt.Sprintf("1 of %d ended", on), "1 done, 32 running, ", "gpu001", "32 running: gpu[002-", "waiting: gpu[")
	d.keys("tab")
	d.shows(t, "▸ running")
	d.keys("G")
	d.shows(t, "gpu001", "● done", "· waiting")
	d.keys("tab", "ctrl+x")
	d.shows(t, "nothing more is started; what was, goes on", ", stopped  1 done")
	d.keys("esc", "D")
	d.shows(t, "one thing after another")
	d.keys("a")
	d.shows(t, "1 of ")
	d.keys("esc")
	close(gate)
	for !d.Model.run.news.over {
		digest := &runDigest{}
		<-job.Done()
		results, changed := job.Results()
		d.send(runNewsMsg{job, digest.take(results, true), digest, changed})
	}
	d.shows(t, "33 done, ", " not started (5 shows it): uptime on ")
	d.keys("5")
	d.shows(t, fmt.Sprintf("%d of %d ended", on, on), "33 nodes  exit 0", "not started")
}

// TestRunHistory offers the commands of this session.
func TestRunHistory(t *testing.T) {
	d, h := runOn(t, 100, 30, Options{}, mixed, "gpu001")
	d.keys("!")
	d.shows(t, "run 1 node: gpu001", "commands run before")
	d.keys("up")
	d.shows(t, "command: nvidia-smi -L")
	d.keys("down").write("hostname").keys("enter")
	d.answer()
	d.keys("!", "up", "up")
	d.shows(t, "command: nvidia-smi -L")
	d.keys("down")
	d.shows(t, "command: hostname")
	d.keys("down")
	d.lacks(t, "command: h")
	d.keys("esc")
	d.shows(t, "1 of 1 ended")
	if got := h.planner.Door.(*door).were(); got != "gpu001: sh -c nvidia-smi -L\ngpu001: sh -c hostname" {
		t.Error(got)
	}
}

// TestRunLongLine takes a command as long as people write them.
func TestRunLongLine(t *testing.T) {
	line := "echo " + strings.Repeat("x", 3000)
	h := newHands(t)
	h.planner.Door = &door{run: mixed}
	d := drive(proven(), 80, 24, Options{Actor: h})
	d.keys("2", "/").write("gpu001").keys("enter", "!")
	d.send(tea.PasteMsg{Content: line})
	d.keys("enter")
	d.answer()
	if got := h.planner.Door.(*door).were(); got != "gpu001: sh -c "+line {
		t.Errorf("%d bytes", len(got))
	}
}
