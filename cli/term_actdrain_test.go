package cli

import (
	"strings"
	"testing"
	"time"
)

// stages are ways to each stage of each action on nodes, from the Nodes view.
var nodeStages = map[string][]string{
	"drain: reason": {"D"}, "drain: question": {"D", "=x", "Enter"}, "drain when idle: question": {"D", "Tab", "=x", "Enter"}, "resume: question": {"R"},
	"run: command": {"!"}, "run: question": {"!", "=touch /tmp/ran", "Enter"}, "custom: question": {"X"}, "list": {"a"}, "list, drain: reason": {"a", "Enter"},
}

// nothingBy goes each way, leaves every stage by Escape, and pastes answers into each, in brackets and without: nothing changes, nothing is written down. back leads to where the ways begin.
func (a *acting) nothingBy(stages map[string][]string, back func(), nodes ...string) {
	a.t.Helper()
	leave := func(after string) {
		a.t.Helper()
		a.leave(after)
		back()
	}
	before, audited := a.bed.state(a.t, nodes...), a.audited()
	pasted := 0
	for name, way := range stages {
		a.do(way...)
		a.WaitFor(`Esc leaves|Esc: no`, 20*time.Second)
		a.leave(name)
		if pasted++; pasted > 6 && !soak() { // of a map, by chance
			continue
		}
		back()
		a.do(way...)
		a.WaitFor(`Esc leaves|Esc: no`, 20*time.Second)
		a.Paste("y\n1\n2\nD\ny\nC\ny\nK\n\ny\n") // brackets: whatever it is, it is no key
		leave("pasting at " + name)
		a.Keys(append(plainKeys(way), "y", "1", "Enter", "2", "Enter", "y")...) // at once, as where a terminal brackets nothing: too early
		leave("keys ahead at " + name)
	}
	for _, text := range []string{"D\ny", "D\ny\n", "C\ny\n", "K\n\ny\n", "!reboot\ny\n", "R\ny\n", "Dfan\n1\n"} {
		a.Paste(text)
		a.Keys(strings.Split(strings.ReplaceAll(text, "\n", "\r"), "")...)
		leave("pasting " + text)
	}
	back()
	a.whole("it all")
	if after := a.bed.state(a.t, nodes...); after != before || a.audited() != audited {
		a.t.Errorf("before:\n%s\nafter:\n%s\naudit file:\n%s", before, after, strings.TrimPrefix(a.audited(), audited))
	}
}

// plainKeys are keys as tmux sends them all at once.
func plainKeys(way []string) (keys []string) {
	for _, k := range way {
		keys = append(keys, strings.TrimPrefix(k, "="))
	}
	return keys
}

// From the program's start to a drained node it takes four keys and the reason. It is taken back by one more, unless somebody changed the node since; what it had
// stays, or is added to; a resume says what speaks against it.
func walkDrain(t *testing.T, b *actBed) {
	const node = "node001"
	a := b.open(t, opening{actions: "  custom:\n  - {name: note, key: X, scope: node, command: [touch, /tmp/ran]}\n"}, node)
	a.do("2")
	a.WaitFor(`(?s)▸ `+node+`[^\n]*GPU1 lost.*`+actSpare+`[^\n]*drained`, actWithin)
	question := a.asks("D", `= "broken" $(id)`, "Enter")
	for _, want := range []string{"drain 1 node: " + node, "slurm bed", "NodeName=" + node, "[foretop/root] \"broken\" $(id)", "affected: nobody's work"} {
		if !strings.Contains(question, want) {
			t.Errorf("no %q in\n%s", want, question)
		}
	}
	a.answer("y")
	a.WaitFor(`(?m)^ *1 done`, actWithin)
	if a.pressed != 4 {
		t.Errorf("%d keys from the start to a drained node", a.pressed)
	}
	first := b.reason(t, node)
	if !strings.HasPrefix(first, "root|GPU1 lost") || !strings.HasSuffix(first, `[foretop/root] "broken" $(id)`) {
		t.Errorf("sinfo -R: %s", first)
	}
	if lines := strings.Count(a.audited(), "\n"); lines != 2 {
		t.Errorf("%d audit lines:\n%s", lines, a.audited())
	}

	// Looking at what an undo would do undoes nothing.
	a.asks("z")
	a.leave("z")
	if got := b.reason(t, node); got != first || strings.Count(a.audited(), "\n") != 2 {
		t.Errorf("after Escape at the undo: %s\n%s", got, a.audited())
	}
	// A reason that is there stays, and is added to only where that is chosen.
	a.WaitFor(node+`.*drained`, actWithin)
	if question = a.asks("D", "=again", "Enter"); !strings.Contains(question, "which stays") && !strings.Contains(question, "its reason stays: ") {
		t.Errorf("no word of the reason that is there:\n%s", question)
	}
	a.answer("y")
	a.WaitFor(`1 done.*(?s).*nothing was sent`, actWithin)
	if got := b.reason(t, node); got != first {
		t.Errorf("it had a reason, and now %s", got)
	}
	a.do("Escape")
	a.asks("D", "C-o", "C-u", "=pump", "Enter")
	a.answer("y")
	a.WaitFor(`(?m)^ *1 done`, actWithin)
	if got := b.reason(t, node); got != first+"; pump" {
		t.Errorf("added to: %s", got)
	}
	a.do("Escape")
	// A resume says that it is not well still.
	if question = a.asks("R"); !strings.Contains(question, node+" is not well: GPU1 lost") {
		t.Errorf("no warning:\n%s", question)
	}
	a.answer("y")
	a.WaitFor(`(?m)^ *1 done`, actWithin)
	if got := b.reason(t, node); got != "" {
		t.Errorf("after the resume: %s", got)
	}
	a.do("Escape")

	// Undone.
	a.asks("D", "=1", "Enter")
	a.answer("y")
	a.WaitFor(`1 done.*z undoes it`, actWithin)
	a.asks("z")
	a.answer("y")
	a.WaitFor(`(?m)^ *1 done`, actWithin)
	if got := b.reason(t, node); got != "" {
		t.Errorf("after the undo: %s", got)
	}
	a.do("Escape")
	// Somebody else changes it in between.
	a.asks("D", "=2", "Enter")
	a.answer("y")
	a.WaitFor(`1 done.*z undoes it`, actWithin)
	_, err := b.ctl.Run("root", "scontrol", "update", "NodeName="+node, "Reason=the other shift's")
	must(t, err)
	a.asks("z")
	a.answer("y")
	a.WaitFor(`(?s)1 failed.*changed it since: the other shift's`, actWithin)
	if got := b.reason(t, node); got != "root|the other shift's" {
		t.Errorf("after the undo that was refused: %s", got)
	}
	a.do("Escape")
	a.asks("R")
	a.answer("y")
	a.WaitFor(`(?m)^ *1 done`, actWithin)
	a.do("Escape")
	a.eventually("it is shown to be idle", func() bool { return !strings.Contains(a.Screen(), "the other shift") })
	a.nothingBy(nodeStages, func() { a.home(); a.pick(node) }, node)
	a.press("q")
	a.left(0)
}
