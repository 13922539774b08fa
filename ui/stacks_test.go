package ui

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"foretop/actions"

	tea "charm.land/bubbletea/v2"
)

// stackDoor plays nodes whose collectors say where processes are: rank 131 is elsewhere, rank 7 cannot be read.
func stackDoor() *door {
	return &door{tool: func(node string, args []string) (actions.Output, error) {
		var out strings.Builder
		for _, key := range args[1:] {
			pid, _, ok := strings.Cut(key, ":")
			if !ok {
				continue // an option
			}
			frames := `"all_reduce (torch/distributed/c10d.py:2501)","train (train.py:12)"`
			switch node + "/" + pid {
			case "gpu017/41238":
				frames = `"__next__ (torch/utils/data/dataloader.py:630)","train (train.py:10) \u001b[2J"`
			case "gpu001/41242":
				fmt.Fprintf(&out, `{"pid":%s,"why":"not permitted: needs root or its owner","threads":[]}`+"\n", pid)
				continue
			}
			fmt.Fprintf(&out, `{"pid":%s,"source":"py-spy","threads":[{"id":"1","name":"MainThread","frames":[%s]}]}`+"\n", pid, frames)
		}
		return actions.Output{Text: out.String()}, nil
	}}
}

// audited are the lines of an audit file, in short.
func audited(t *testing.T, h *hands) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(h.Audit.Path())
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		var line actions.Line
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Join([]string{string(line.Action), line.Target, line.Where, strings.Join(line.Command, "; "), line.State, line.Words}, " | "))
	}
	return lines
}

// TestStacks shows where ranks are: the odd ones first, and why one could not be read. The question is written down as a whole.
func TestStacks(t *testing.T) {
	h := newHands(t)
	h.planner.Door = stackDoor()
	d := drive(proven(), 120, 40, Options{Actor: h})
	d.keys("S")
	d.shows(t, "stacks of job 8123", "256 ranks", "1 rank 131 in __next__ (dataloader.py)", "rank 131, pid", "254 ranks 0-6,8-130,132-255 in all_reduce (c10d.py)", "1 rank 7 not read: not permitted")
	lines := d.text()
	if strings.Index(lines, "1 rank 131") > strings.Index(lines, "254 ranks 0-6") {
		t.Error("the odd one is not first")
	}
	d.shows(t, "S ask anew  B stop and read")
	if bad := foreign(d.View().Content); bad != "" {
		t.Errorf("%s got through", bad)
	}
	got := strings.Join(audited(t, h), "\n")
	if want := "stacks | job 8123 | 32 nodes | py-spy dump --nonblocking, else /proc, of 256 processes | starts | \n" +
		"stacks | job 8123 | 32 nodes | py-spy dump --nonblocking, else /proc, of 256 processes | done | 254 ranks in all_reduce (c10d.py), 1 in __next__ (dataloader.py): 131, 1 not read: 7"; got != want {
		t.Error(got)
	}
	if asked := h.planner.Door.(*door).were(); strings.Count(asked, "\n") != 31 || strings.Contains(asked, "blocking") {
		t.Error(asked)
	}
	d.keys("y", "esc")
	d.shows(t, "1 Jobs")
	d = drive(proven(), 80, 24, Options{Actor: h})
	d.keys("S", "S", "G", "g", "esc")
	d.shows(t, "1 Jobs")
	if n := len(audited(t, h)); n != 6 {
		t.Errorf("%d lines", n)
	}
}

// TestStacksOfNode asks for the processes of a node, and of a GPU for those that hold it.
func TestStacksOfNode(t *testing.T) {
	h := newHands(t)
	h.planner.Door = stackDoor()
	d := drive(proven(), 120, 40, Options{Actor: h})
	d.keys("2", "/").write("gpu001").keys("enter", "S")
	d.shows(t, "stacks of gpu001", "8 processes", "1 rank 7 not read")
	d.keys("esc", "enter", "S")
	d.shows(t, "stacks of gpu001", "7 ranks 0-6 in all_reduce")
	d.keys("esc", "enter", "S")
	d.shows(t, "stacks of GPU 0 of gpu001", "1 process", "1 rank 0 in all_reduce")
	d.keys("esc", "esc", "esc", "\\", "/").write("gpu064").keys("enter", "S")
	d.shows(t, "no process is known on gpu064")
	d.keys("\\", "/").write("gpu052").keys("enter", "S")
	d.shows(t, "gpu052 is lost: there is no connection to it")
}

// TestStacksMayNot refuses with the reason, and asks nobody.
func TestStacksMayNot(t *testing.T) {
	for _, c := range []struct {
		name, want string
		keys       []string
		set        func(*hands)
	}{
		{"read-only", "started with --readonly", []string{"S"}, func(h *hands) { h.refusal = "nothing can be done: started with --readonly" }},
		{"paused", "the screen is paused: Z goes on", []string{"Z", "S"}, func(*hands) {}},
		{"the audit file", "nothing was asked: the audit file cannot be written", []string{"S"}, func(h *hands) {
			h.Audit = actions.OpenAudit("/dev/null/audit", nil)
		}},
		{"no audit file", "nothing was asked: no audit file is configured", []string{"S"}, func(h *hands) { h.Audit = nil }},
		{"read-only at the desk", "nothing was asked: read only", []string{"S"}, func(h *hands) { h.ReadOnly = "read only" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHands(t)
			h.planner.Door = stackDoor()
			c.set(h)
			d := drive(proven(), 120, 40, Options{Actor: h})
			d.keys(c.keys...)
			d.shows(t, c.want)
			d.keys("y", "B", "esc")
			if asked := h.planner.Door.(*door).were(); asked != "" {
				t.Errorf("asked %s", asked)
			}
		})
	}
	d := drive(proven(), 120, 40, Options{})
	d.keys("S")
	d.shows(t, "nothing can be done from here")
}

// TestBlockingStacks asks first, names what it does and to whom, and takes nothing but the number of processes for a yes.
func TestBlockingStacks(t *testing.T) {
	h := newHands(t)
	h.planner.Door = stackDoor()
	d := drive(proven(), 120, 40, Options{Actor: h})
	d.keys("S", "B")
	d.shows(t, "stacks of job 8123: 256 processes", "affected: 1 job of 1 user, 256 GPUs in use", "py-spy stops each process while it reads it", "rank 0, pid 41235 on gpu001", "py-spy dump, else /proc/PID/stack", "do it? type 256")
	for _, keys := range []string{"y", "enter", "2 5 enter", "esc"} {
		d.keys(fields(keys)...)
		if asked := h.planner.Door.(*door).were(); strings.Contains(asked, "--blocking") || d.stack.pending {
			t.Fatalf("%q did it: %s", keys, asked)
		}
	}
	if d.screen != screenStacks || len(audited(t, h)) != 2 {
		t.Fatalf("screen %d, %q", d.screen, audited(t, h))
	}
	d.shows(t, "254 ranks 0-6") // the answer of before stands
	d.keys("B")
	d.write(strconv.Itoa(256)).keys("enter")
	d.shows(t, "stacks of job 8123", "254 ranks 0-6")
	if d.screen != screenStacks {
		t.Errorf("screen %d", d.screen)
	}
	lines := audited(t, h)
	if len(lines) != 4 || !strings.HasPrefix(lines[2], "stacks | job 8123 | 32 nodes | py-spy dump, else /proc, of 256 processes | starts") {
		t.Errorf("%q", lines)
	}
	if asked := h.planner.Door.(*door).were(); strings.Count(asked, "stacks --blocking ") != 32 {
		t.Error(asked)
	}
	d.keys("esc")
	d.shows(t, "8123")
}

// TestStacksPending leaves while they are asked, is told when the answer is there, and looks at it then.
func TestStacksPending(t *testing.T) {
	h := newHands(t)
	gate, through := make(chan struct{}), stackDoor()
	h.planner.Door = &door{tool: func(node string, args []string) (actions.Output, error) {
		if node != "gpu001" {
			<-gate
		}
		return through.tool(node, args)
	}}
	d := drive(proven(), 120, 40, Options{Actor: h})
	_, cmd := d.Update(keyMsg("S"))
	answers := make(chan any, 8)
	go collect(cmd, answers)
	for d.stack.asked.answered.Load() != 8 {
		d.Update(keyMsg("up"))
	}
	d.shows(t, "8 of 256 answered; no process is stopped for it", "Esc leaves")
	d.keys("S")
	d.shows(t, "they are being asked")
	d.keys("B")
	d.shows(t, "wait for the answer")
	d.keys("esc")
	if d.screen != screenJobs {
		t.Fatalf("screen %d", d.screen)
	}
	d.keys("S", "esc")
	close(gate)
	for {
		if msg, ok := (<-answers).(stacksMsg); ok {
			d.send(msg)
			break
		}
	}
	d.shows(t, "the stacks of job 8123 are there: S shows them")
	d.keys("S")
	d.shows(t, "254 ranks 0-6")
	if n := len(audited(t, h)); n != 2 {
		t.Errorf("asked more than once: %d lines", n)
	}
}

// TestFrozenAudit keeps the screen alive while the audit file does not answer; nothing is asked before it does.
func TestFrozenAudit(t *testing.T) {
	h := newHands(t)
	h.planner.Door = stackDoor()
	thaw := make(chan struct{})
	h.Audit = actions.OpenAudit(h.Audit.Path(), func(actions.Line) error { <-thaw; return nil })
	t.Cleanup(h.Audit.Close)
	d := drive(proven(), 120, 40, Options{Actor: h})
	_, cmd := d.Update(keyMsg("S"))
	answers := make(chan any, 8)
	go collect(cmd, answers)
	d.shows(t, "0 of 256 answered")
	d.keys("down", "esc", "2")
	d.shows(t, "gpu017")
	if asked := h.planner.Door.(*door).were(); asked != "" {
		t.Error(asked)
	}
	close(thaw)
	for {
		if msg, ok := (<-answers).(stacksMsg); ok {
			d.send(msg)
			break
		}
	}
	d.shows(t, "the stacks of job 8123 are there")
}

// collect runs a command, and those of a batch, and hands their messages on.
func collect(cmd tea.Cmd, out chan<- any) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			collect(c, out)
		}
	default:
		out <- msg
	}
}
