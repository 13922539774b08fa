package ui

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"foretop/actions"
	"foretop/config"
	"foretop/fleet"
	"foretop/schedulers"

	tea "charm.land/bubbletea/v2"
)

// hands are an Actor over a scheduler that does what it is told.
type hands struct {
	*actions.Desk
	planner actions.Planner
	refusal string
	shell   string

	mu     sync.Mutex
	orders []schedulers.Order
}

func newHands(t *testing.T) *hands {
	audit := actions.OpenAudit(filepath.Join(t.TempDir(), "audit"), nil)
	t.Cleanup(audit.Close)
	h := &hands{Desk: &actions.Desk{Audit: audit, User: "ann"}}
	h.planner = actions.Planner{User: "ann", Fold: func(names []string) string { return strings.Join(config.Fold(names), ",") },
		Quote: func(argv ...string) string { return strings.Join(argv, " ") },
		Actor: func(string, string) schedulers.Actor { return h }}
	return h
}

func (h *hands) Preview(s *fleet.Snapshot, in actions.Intent) *actions.Preview {
	return h.planner.Preview(s, in)
}
func (h *hands) Start(p *actions.Preview, answer string) (*actions.Job, error) {
	return h.Desk.Start(context.Background(), p, answer)
}
func (h *hands) Refusal() string   { return h.refusal }
func (h *hands) Reasons() []string { return []string{"fan broken", "memory errors"} }
func (h *hands) User() string      { return "ann" }
func (h *hands) Shell(node string, at *actions.Process) tea.ExecCommand {
	h.shell = node
	if at != nil {
		h.shell = at.String()
	}
	return &noShell{}
}
func (h *hands) Stacks(p *actions.Preview, answer string, answered func(int)) ([]actions.Stack, error) {
	return h.Desk.Stacks(context.Background(), p, answer, answered)
}

// noShell is a shell that is over at once.
type noShell struct{}

func (*noShell) Run() error          { return errors.New("the connection died") }
func (*noShell) SetStdin(io.Reader)  {}
func (*noShell) SetStdout(io.Writer) {}
func (*noShell) SetStderr(io.Writer) {}

func (h *hands) Commands(o schedulers.Order) []string {
	return []string{strings.TrimSpace("scontrol update NodeName=" + o.Node + o.Job + " State=" + string(o.Verb) + " " + o.Reason)}
}

func (h *hands) Do(_ context.Context, o schedulers.Order, _ func(string)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orders = append(h.orders, o)
	if o.Node == "gpu003" {
		return &schedulers.RefusedError{Words: "Access/permission denied", Remedy: "needs an operator"}
	}
	return nil
}

func (h *hands) Look(context.Context, schedulers.Order) (bool, string, error) { return true, "", nil }
func (h *hands) Mark(context.Context, string) (schedulers.NodeMark, error) {
	return schedulers.NodeMark{}, nil
}

func (h *hands) given() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, o := range h.orders {
		out = append(out, string(o.Verb)+" "+o.Node+o.Job)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// proven is the fixture with a scheduler that has its nodes for certain.
func proven() *fleet.Snapshot {
	s := scheduled()
	for i, n := range s.Nodes {
		at := *n
		at.Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Cluster: "bay", Node: &schedulers.Node{Name: n.Name}, Proof: fleet.ProofHost}}
		s.Nodes[i] = &at
	}
	return s
}

// TestDrain drains a node in four keys, with the reason that is wrong with it; nothing happens before the last one.
func TestDrain(t *testing.T) {
	h := newHands(t)
	d := drive(proven(), 100, 30, Options{Actor: h})
	d.keys("2", "D")
	d.shows(t, "drain 1 node", "reason:", "[foretop/ann]", "nothing is done yet")
	d.keys("enter")
	d.shows(t, "affected:", "scontrol update NodeName=", "do it?")
	if h.given() != "" {
		t.Fatalf("done before the answer: %s", h.given())
	}
	d.keys("enter")
	d.keys("x", "Y", "space")
	if h.given() != "" || d.acting.stage != stageQuestion {
		t.Fatalf("done without y: %s", h.given())
	}
	d.answer()
	<-d.acting.job.Done()
	d.send(actNewsMsg{d.acting.job, true})
	if h.given() == "" {
		t.Fatal("nothing was done")
	}
	d.shows(t, "1 done", "z undoes it")
	d.keys("esc")
	d.shows(t, "2 Nodes")
}

// answer gives whatever answer the question takes.
func (d *driver) answer() {
	if n := d.acting.preview.Count; n > 0 {
		d.write(strconv.Itoa(n)).keys("enter")
		return
	}
	d.keys("y")
}

// TestNothingIsDoneByAccident holds what keeps a person from doing what he does not mean.
func TestNothingIsDoneByAccident(t *testing.T) {
	t.Run("Esc at every step", func(t *testing.T) {
		h := newHands(t)
		for _, keys := range []string{"2 D esc", "2 D enter esc", "2 D enter n", "2 R esc", "K esc", "K * enter esc", "K * enter enter esc", "C esc", "C enter esc", "C down enter esc", "D esc", "D * enter esc", "D * enter enter esc", "! esc"} {
			d := drive(proven(), 100, 30, Options{Actor: h})
			d.keys(strings.Fields(keys)...)
			if h.given() != "" || d.screen == screenAct || d.acting.job != nil {
				t.Errorf("%s: %q, screen %d", keys, h.given(), d.screen)
			}
		}
	})
	t.Run("typed before the question was there", func(t *testing.T) {
		h := newHands(t)
		d := drive(proven(), 100, 30, Options{Actor: h})
		d.keys("2", "D")
		for _, k := range []string{"enter", "y", "1", "enter", "1", "enter"} { // its wait is still on
			_, _ = d.Update(keyMsg(k))
		}
		if h.given() != "" || d.acting.job != nil {
			t.Errorf("done: %s", h.given())
		}
		d.shows(t, "read it first")
	})
	t.Run("pasted", func(t *testing.T) {
		h := newHands(t)
		d := drive(proven(), 100, 30, Options{Actor: h})
		d.keys("2")
		d.send(tea.PasteMsg{Content: "D\ny\n"})
		d.keys("D")
		d.send(tea.PasteMsg{Content: "fan\ny\n\x1b[31m"})
		if h.given() != "" || d.acting.stage != stageWords || strings.ContainsAny(string(d.acting.line.text), "\n\x1b") {
			t.Errorf("%q, stage %d, %q", h.given(), d.acting.stage, string(d.acting.line.text))
		}
	})
	t.Run("paused", func(t *testing.T) {
		h := newHands(t)
		d := drive(proven(), 100, 30, Options{Actor: h})
		d.keys("2", "Z", "D")
		d.shows(t, "the screen is paused")
	})
	t.Run("read-only", func(t *testing.T) {
		h := newHands(t)
		h.refusal = "nothing can be changed: started with --readonly"
		d := drive(proven(), 100, 30, Options{Actor: h})
		for _, key := range []string{"D", "R", "K", "C", "!"} {
			d.keys(key)
			d.shows(t, "started with --readonly")
		}
	})
}

// TestTaggedAndHidden drains what is tagged, names what is not on screen, wants the number typed, and tells each result in the scheduler's own words.
func TestTaggedAndHidden(t *testing.T) {
	h := newHands(t)
	d := drive(proven(), 120, 40, Options{Actor: h})
	d.keys("2")
	for _, name := range []string{"gpu001", "gpu002", "gpu003"} {
		d.nodes.tag(name, true)
	}
	d.keys("/").write("gpu001").keys("enter", "D")
	d.keys("ctrl+u").write("fan").keys("enter")
	d.shows(t, "drain 3 nodes: gpu[001-003]", "2 targets not on screen: gpu[002-003]", "type 3, the number of targets")
	d.keys("y", "2", "enter")
	d.shows(t, "type 3")
	d.keys("3", "enter")
	<-d.acting.job.Done()
	d.send(actNewsMsg{d.acting.job, true})
	d.shows(t, "2 done, 1 failed", "gpu003  failed: Access/permission denied (needs an operator)")
	if got := h.given(); got != "drain gpu001, drain gpu002, drain gpu003" {
		t.Errorf("orders %s", got)
	}
	if len(d.nodes.tagged) != 0 {
		t.Error("they are still tagged")
	}
}

// TestWhoIsProven shows that a node of which it is only believed which one of the scheduler's it is is not acted on.
func TestWhoIsProven(t *testing.T) {
	s := proven()
	for _, n := range s.Nodes {
		n.Scheduled[0].Proof = fleet.ProofName
	}
	h := newHands(t)
	d := drive(s, 100, 30, Options{Actor: h})
	d.keys("2", "D").write("fan").keys("enter", "y", "1", "enter")
	d.shows(t, "it cannot be done", "is known from its name here only")
	if h.given() != "" {
		t.Error(h.given())
	}
}

// TestMenu lists what can be done, one's own actions too, and each asks first.
func TestMenu(t *testing.T) {
	h := newHands(t)
	custom := []config.CustomAction{
		{Name: "show node", Key: "X", Scope: "node", Command: []string{"echo", "{node}", "; rm $(id)"}, Here: true},
		{Name: "diagnose", Scope: "gpu", Command: []string{"echo", "{node}", "{gpu}", "{uuid}"}, Here: true},
		{Name: "seff", Key: "E", Scope: "job", Command: []string{"echo", "{job}", "{user}"}, Here: true},
	}
	d := drive(proven(), 120, 40, Options{Actor: h, Custom: custom})
	d.keys("2", "a")
	d.shows(t, "what to do", "D  drain", "X  show node")
	d.lacks(t, "diagnose", "seff", "cancel the job")
	d.keys("esc", "X")
	d.shows(t, "show node: 1 target", "echo gpu017 ; rm $(id)", "do it?")
	d.answer()
	d.shows(t, "gpu017  ", "exit 0  1 line", "     gpu017 ; rm $(id)")
	d.keys("esc", "1", "E")
	d.shows(t, "seff: 1 target", "echo 8123 ann")
	d.keys("esc", "enter", "tab", "tab", "a")
	d.shows(t, "diagnose", "seff")
	d.keys("G", "up", "enter")
	d.shows(t, "diagnose: 1 target", "GPU 3 of gpu017", "echo gpu017 3 GPU-")
	if h.given() != "" {
		t.Error(h.given())
	}
}

// TestShell opens a shell on the node, or where the rank is, and comes back with the reason why it ended.
func TestShell(t *testing.T) {
	h := newHands(t)
	d := drive(proven(), 120, 40, Options{Actor: h})
	d.keys("s")
	d.shows(t, "a shell on which node?")
	d.keys("2", "s")
	if h.shell != "" { // gpu017 is lost, or stale
		t.Logf("a shell on %s", h.shell)
	}
	d.keys("1", "enter", "tab", "tab", "down", "s")
	if !strings.Contains(h.shell, "rank 0, pid") {
		t.Errorf("a shell at %q", h.shell)
	}
	d.send(shellEndedMsg{"gpu001", errors.New("the connection died")})
	d.shows(t, "the shell on gpu001 ended: the connection died")
	h.refusal = "nothing can be changed: started with --readonly"
	h.shell = ""
	d.keys("s")
	d.shows(t, "--readonly")
	if h.shell != "" {
		t.Error("opened all the same")
	}
}
