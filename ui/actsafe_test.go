package ui

import (
	"context"
	"strings"
	"testing"

	"foretop/actions"
	"foretop/config"
	"foretop/fleet"
	"foretop/schedulers"

	tea "charm.land/bubbletea/v2"
)

// mixed is the night with some of the nodes at a Kubernetes, and one at no scheduler.
func mixedFleet() *fleet.Snapshot {
	s := proven()
	for _, i := range []int{2, 3} {
		s.Nodes[i].Scheduled = []fleet.ScheduledNode{{Kind: "kubernetes", Cluster: "prod", Node: &schedulers.Node{Name: s.Nodes[i].Name}, Proof: fleet.ProofHost}}
	}
	s.Nodes[4].Scheduled = nil
	return s
}

func (d *driver) tagNodes(names ...string) *driver {
	d.keys("2")
	for _, name := range names {
		d.nodes.tag(name, true)
	}
	return d
}

// TestDrainForm tells what a drain does to each scheduler's nodes, and every option of Kubernetes in words, on a small terminal too.
func TestDrainForm(t *testing.T) {
	h := newHands(t)
	d := drive(mixedFleet(), 80, 24, Options{Actor: h}).tagNodes("gpu001", "gpu003", "gpu005")
	d.keys("D").keys("ctrl+u").write("fan")
	d.shows(t, "drain 3 nodes: gpu[001,003,005]", "reason: fan", "Tab       drain now",
		"slurm bay, 1 node: no new job starts there; jobs that run go on to", "kubernetes prod, 1 node: cordoned, then its pods are evicted", "no scheduler, 1 node: the configured command",
		"Ctrl-d    emptyDir data: kept; where a pod has any, no pod is evicted", "Ctrl-p    bare pods: kept", "Ctrl-g    grace: what each pod asks for itself", "Ctrl-t    time: 5m for all pods")
	golden(t, "act/drain-form-80x24", trim(d.text()))
	d.send(tea.WindowSizeMsg{Width: 200, Height: 60})
	golden(t, "act/drain-form-200x60", trim(d.text()))
	for _, k := range []rune{'d', 'p', 'g', 'g', 't'} {
		d.send(tea.KeyPressMsg{Code: k, Mod: tea.ModCtrl})
	}
	d.shows(t, "emptyDir data: LOST", "bare pods: evicted and GONE", "grace: 30s for each pod, then it is killed", "time: 1m for all pods")
	if in := d.acting.intent; !in.EmptyDir || !in.Force || in.Grace.Seconds() != 30 || in.Timeout.Minutes() != 1 || in.WhenIdle {
		t.Errorf("%+v", in)
	}
	d.keys("enter")
	d.shows(t, "kubernetes prod (1 node): cordoned, then its pods are evicted", "emptyDir data: LOST", "bare pods: evicted and GONE", "grace: 30s", "slurm bay (1 node)")
	d.keys("esc")

	d.keys("D", "tab")
	d.shows(t, "drain when idle", "cordoned: no new pod is placed there; pods that run stay", "when idle are the same")
	d.lacks(t, "emptyDir", "bare", "Ctrl-g")
	before := d.acting.intent
	d.send(tea.KeyPressMsg{Code: 'p', Mod: tea.ModCtrl}) // it is not offered, so it does nothing
	if d.acting.intent.Force != before.Force {
		t.Error("an option that is not there was turned")
	}
	d.send(tea.KeyPressMsg{Code: 'o', Mod: tea.ModCtrl})
	d.shows(t, "gets this one added")

	d = drive(mixedFleet(), 80, 24, Options{Actor: h}).tagNodes("gpu001", "gpu002")
	d.keys("D")
	d.lacks(t, "kubernetes", "emptyDir", "Ctrl-d")
	d = drive(mixedFleet(), 80, 12, Options{Actor: h}).tagNodes("gpu001", "gpu002", "gpu006", "gpu007")
	d.keys("D").write("fan").keys("enter")
	d.shows(t, "PgDn: ", "more lines", "do it? type 4") // nothing of what is confirmed is out of sight without a word
	d.keys("end")
	d.shows(t, "gpu007  slurm bay")
	d.lacks(t, "PgDn: ")
	for _, lang := range []Options{{Actor: h, ASCII: true}, {Actor: h}} {
		for w := 0; w < 100; w += 7 {
			d := drive(mixedFleet(), w, 9, lang).tagNodes("gpu001", "gpu003")
			d.keys("D")
			d.must(t)
		}
	}
}

// TestOrdersHaveTheOptions shows that what was chosen in the form is what the scheduler is asked.
func TestOrdersHaveTheOptions(t *testing.T) {
	h := newHands(t)
	d := drive(mixedFleet(), 100, 30, Options{Actor: h}).tagNodes("gpu004")
	d.keys("D", "ctrl+u").write("fan")
	for _, k := range []rune{'d', 'g', 't', 'o'} {
		d.send(tea.KeyPressMsg{Code: k, Mod: tea.ModCtrl})
	}
	d.keys("enter").answer()
	d.acted(t)
	h.mu.Lock()
	defer h.mu.Unlock()
	want := schedulers.Order{Verb: schedulers.Drain, Node: "gpu004", Reason: "fan", Append: true, Evict: true, EmptyDir: true, Grace: 1e9, Timeout: 60e9}
	if len(h.orders) != 1 || h.orders[0] != want {
		t.Errorf("%+v", h.orders)
	}
}

// TestTryAgain goes back to the form with what was not done, and its options; it asks as before.
func TestTryAgain(t *testing.T) {
	h := newHands(t)
	d := drive(mixedFleet(), 120, 40, Options{Actor: h}).tagNodes("gpu001", "gpu003", "gpu004")
	d.keys("D", "ctrl+u").write("fan")
	d.send(tea.KeyPressMsg{Code: 'd', Mod: tea.ModCtrl})
	d.keys("enter").answer()
	d.acted(t)
	d.shows(t, "2 done, 1 failed", "e: the rest again")
	d.keys("e")
	d.shows(t, "drain 1 node: gpu003", "reason: fan", "emptyDir data: LOST")
	before := h.given()
	d.keys("enter")
	d.shows(t, "do it?")
	if h.given() != before {
		t.Error("tried again without a word")
	}
	d.answer()
	d.acted(t)
	d.shows(t, "1 failed")
	if got := strings.Count(h.given(), "gpu003"); got != 2 || strings.Count(h.given(), "gpu001") != 1 {
		t.Error(h.given())
	}
	d = drive(mixedFleet(), 120, 40, Options{Actor: h}).tagNodes("gpu001")
	d.keys("D", "ctrl+u").write("fan").keys("enter").answer()
	d.acted(t)
	d.lacks(t, "e: the rest")
	d.keys("e")
	d.shows(t, "nothing to try again")
}

// asked has a question on screen, and what it does when it is answered.
func asked(t *testing.T, s *fleet.Snapshot, keys ...string) (*driver, *hands) {
	t.Helper()
	h := newHands(t)
	h.planner.Door = openDoor{}
	d := drive(s, 120, 40, Options{Actor: h})
	d.keys(keys...)
	if d.acting.stage != stageQuestion || d.screen != screenAct {
		t.Fatalf("after %q there is no question:\n%s", keys, d.text())
	}
	return d, h
}

// openDoor is a way to nodes on which all goes well.
type openDoor struct{}

func (openDoor) Run(context.Context, string, []string, int) (actions.Output, error) {
	return actions.Output{Text: "well\n"}, nil
}

func (openDoor) Tool(context.Context, string, []string, int) (actions.Output, error) {
	return actions.Output{Text: "sent\n"}, nil
}

// next sends another picture of the fleet.
func (d *driver) next(s *fleet.Snapshot) *driver {
	s.Sequence = d.snap.Sequence + 1
	d.send(SnapshotMsg{s})
	return d
}

// TestItChangedMeanwhile shows that an answer to a question that is not right any more does nothing: what changed is said, and asked anew.
func TestItChangedMeanwhile(t *testing.T) {
	d, h := asked(t, proven(), "2", "/", "g", "p", "u", "0", "6", "3", "enter", "D", "f", "a", "n", "enter")
	again := func(what string) {
		t.Helper()
		d.answer()
		if h.given() != "" || d.acting.job != nil {
			t.Fatalf("done all the same: %s", h.given())
		}
		d.shows(t, "it changed: "+what, "nothing is done yet")
	}
	s := proven() // somebody else's job has begun there
	s.Nodes[62].Jobs = append(s.Nodes[62].Jobs, "slurm/8127")
	d.next(s)
	again("work of bob is there now")
	d.shows(t, "came: job 8127")
	s = proven() // and ended
	d.next(s)
	again("not there any more: job 8127")
	s = proven() // it was drained meanwhile
	node := *s.Nodes[62].Scheduled[0].Node
	node.Reason, node.ReasonBy = "PSU", "root"
	s.Nodes[62].Scheduled[0].Node = &node
	d.next(s)
	again("gpu063: it has a reason already: PSU [root], which stays")
	s = proven() // it is not certain any more which node it is
	s.Nodes[62].Scheduled[0].Proof = fleet.ProofName
	d.next(s)
	d.answer()
	d.shows(t, "it cannot be done", "from its name here only")
	d.keys("y", "1", "enter")
	if h.given() != "" {
		t.Fatal(h.given())
	}
	d.next(proven()).keys("esc")

	// Nothing is asked twice where only numbers went on.
	d, h = asked(t, proven(), "2", "/", "g", "p", "u", "0", "1", "7", "enter", "R")
	s = proven()
	n := *s.Nodes[16]
	n.Problems = append([]fleet.Problem(nil), n.Problems...)
	n.Problems[0].Text = strings.Replace(n.Problems[0].Text, "GPU3", "GPU4", 1)
	s.Nodes[16] = &n
	d.next(s).answer()
	d.acted(t)
	if h.given() != "resume gpu017" {
		t.Error(h.given())
	}

	d, h = asked(t, proven(), "C", "enter") // the job ended
	s = proven()
	s.Jobs = s.Jobs[1:]
	d.next(s).answer()
	d.shows(t, "it cannot be done: that job is not seen any more")
	if h.given() != "" {
		t.Error(h.given())
	}
}

// TestAnswersThatDoNotCount are keys from before the question could be read, keys that are held down, and what is pasted; each of them starts the wait anew.
func TestAnswersThatDoNotCount(t *testing.T) {
	d, h := asked(t, proven(), "2", "/", "g", "p", "u", "0", "6", "4", "enter", "D", "f", "a", "n", "enter")
	for range 40 { // Enter is held down
		d.keys("enter")
	}
	d.send(tea.PasteMsg{Content: "y\n"})
	d.shows(t, "what is pasted is no answer")
	d.send(tea.KeyPressMsg{Code: 'y', Text: "y", IsRepeat: true})
	d.shows(t, "read it first")
	for _, k := range []string{"Y", "space", "1", "enter", "x"} {
		d.keys(k)
	}
	if h.given() != "" || d.acting.stage != stageQuestion {
		t.Fatal(h.given())
	}
	if d.answer(); d.acting.job == nil {
		t.Fatalf("a real answer does not count:\n%s", d.text())
	}
	d.acted(t)

	// What comes key by key, as a paste does where a terminal brackets nothing, never counts, however long it takes: each key starts the wait anew.
	h = newHands(t)
	d = drive(proven(), 120, 40, Options{Actor: h}).tagNodes("gpu001")
	d.keys("D").write("fan")
	var waits []tea.Cmd
	for _, k := range []string{"enter", "y", "1", "enter", "y"} {
		_, cmd := d.Update(keyMsg(k))
		waits = append(waits, cmd)
	}
	for _, w := range waits[:len(waits)-1] { // the waits of all but the last are over
		d.run(w)
	}
	_, _ = d.Update(keyMsg("1"))
	_, _ = d.Update(keyMsg("y"))
	if h.given() != "" || d.acting.job != nil {
		t.Fatal("a late key of a paste counted")
	}
}

// TestWorkOfOthers wants the number typed for whatever touches another user's work, and names whose it is.
func TestWorkOfOthers(t *testing.T) {
	cases := []struct {
		what string
		keys string
		want []string
	}{
		{"a job", "/ e v a l enter C enter", []string{"work of others: bob: 8127", "whose it is: bob", "type 1"}},
		{"a command", "2 / g p u 0 5 0 enter ! i d enter", []string{"work of others: bob: 8127", "type 1"}},
		{"a drain", "2 / g p u 0 5 0 enter D f enter", []string{"work of others: bob: 8127", "type 1"}},
		{"a process", "2 / g p u 0 5 0 enter K space enter enter", []string{"work of others: bob: ", "type 1"}},
		{"one's own job", "C enter", []string{"do it? y: yes"}},
		{"one's own process", "2 / g p u 0 0 1 enter K space enter enter", []string{"do it? y: yes"}},
		{"several of one's own", "2 / g p u 0 0 1 enter K * enter enter", []string{"type 8"}},
		{"nobody's node", "2 / g p u 0 6 4 enter D f enter", []string{"affected: nobody's work", "do it? y: yes"}},
	}
	for _, c := range cases {
		d, h := asked(t, proven(), strings.Fields(c.keys)...)
		d.shows(t, c.want...)
		if strings.HasPrefix(c.want[len(c.want)-1], "type") {
			d.keys("y")
			if d.acting.job != nil || h.given() != "" {
				t.Errorf("%s: y was enough", c.what)
			}
		}
	}
	s := proven()
	for _, j := range s.Jobs {
		j.User = ""
	}
	d, _ := asked(t, s, "C", "enter") // whose it is, is not known: it may be anybody's
	d.shows(t, "work of others: not known", "type 1")
}

// TestNothingWhilePausedOrReadOnly shows that what is switched off says so, on every screen, at every key, the configuration's own included.
func TestNothingWhilePausedOrReadOnly(t *testing.T) {
	custom := []config.CustomAction{{Name: "show", Key: "X", Scope: "node", Command: []string{"true"}, Quiet: true, Here: true}}
	for _, at := range []string{"", "tab", "enter", "enter tab tab", "enter shift+tab", "o", "2", "2 enter", "2 enter enter", "2 L"} {
		for _, why := range []string{"the screen is paused", "started with --readonly"} {
			h := newHands(t)
			if why == "started with --readonly" {
				h.refusal = "nothing can be changed: started with --readonly"
			}
			d := drive(proven(), 120, 40, Options{Actor: h, Custom: custom})
			d.keys(strings.Fields(at)...)
			if h.refusal == "" {
				d.keys("Z")
			} else {
				d.shows(t, "read-only")
			}
			for _, key := range []string{"D", "R", "K", "C", "!", "s", "S", "X"} {
				if d.Model.keys.byKey[d.place()][key] == nil && key != "X" {
					continue
				}
				screen := d.screen
				d.keys(key)
				d.shows(t, why)
				if d.screen != screen || d.acting.job != nil || h.shell != "" {
					t.Errorf("%q, %s, %s: it went on", at, why, key)
				}
			}
		}
	}
	h := newHands(t)
	h.refusal = "nothing can be changed: started with --readonly"
	d := drive(proven(), 120, 400, Options{Actor: h, Custom: custom})
	d.keys("2", "a")
	d.shows(t, "started with --readonly", "D  off: drain", "X  off: show")
	d.keys("enter")
	d.shows(t, "started with --readonly")
	d.keys("?")
	d.shows(t, "what acts is off: nothing can be changed", "off: drain: the node", "off: a shell on the node", "off: where each rank", "off: run a command", "off: cancel the job")
	d = drive(proven(), 120, 400, Options{Actor: newHands(t)})
	d.keys("?")
	d.lacks(t, "off: ", "read-only")
}

// TestPausedWithAQuestion does nothing when the screen was paused after the question was asked.
func TestPausedWithAQuestion(t *testing.T) {
	d, h := asked(t, proven(), "2", "/", "g", "p", "u", "0", "6", "4", "enter", "D", "f", "enter")
	d.paused = true
	d.keys("y")
	d.shows(t, "the screen is paused: nothing is done")
	if h.given() != "" {
		t.Error(h.given())
	}
}

// TestQuietAction is an action of the configuration's that changes nothing: it is not asked about, and written down like any other.
func TestQuietAction(t *testing.T) {
	h := newHands(t)
	custom := []config.CustomAction{{Name: "show node", Key: "X", Scope: "node", Command: []string{"echo", "{node}"}, Quiet: true, Here: true}}
	d := drive(proven(), 120, 40, Options{Actor: h, Custom: custom})
	d.keys("2", "/").write("gpu064").keys("enter", "X")
	d.acted(t)
	d.shows(t, "● gpu064", "exit 0  1 line")
}

// TestDrainReasonOfSeveral is the worst of all of them, with the node that it is of; what an application did to itself is none.
func TestDrainReasonOfSeveral(t *testing.T) {
	s := proven()
	give := func(i int, p fleet.Problem) {
		n := *s.Nodes[i]
		n.Problems = []fleet.Problem{p}
		s.Nodes[i] = &n
	}
	give(0, fleet.Problem{Severity: fleet.Critical, Text: "Xid 31 GPU0: memory page fault", Cause: fleet.Application})
	give(1, fleet.Problem{Severity: fleet.Warning, Text: "GPU1 throttled by heat"})
	give(2, fleet.Problem{Severity: fleet.Critical, Text: "Xid 79 GPU5: fell off the bus"})
	for _, c := range []struct{ nodes, want string }{
		{"gpu001", ""}, {"gpu002", "GPU1 throttled by heat [foretop/ann]"}, {"gpu002 gpu003", "Xid 79 GPU5: fell off the bus on gpu003 [foretop/ann]"},
		{"gpu001 gpu002", "GPU1 throttled by heat on gpu002 [foretop/ann]"}, {"gpu003 gpu003", "Xid 79 GPU5: fell off the bus [foretop/ann]"},
	} {
		var nodes []*fleet.Node
		for _, name := range strings.Fields(c.nodes) {
			nodes = append(nodes, s.Node(name))
		}
		if got := actions.DrainReason(nodes, "ann"); got != c.want {
			t.Errorf("%s: %q", c.nodes, got)
		}
	}
}
