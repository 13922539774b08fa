package ui

import (
	"time"

	"foretop/actions"

	tea "charm.land/bubbletea/v2"
)

// drainOption is one line of a drain's form: a key, and how things stand.
type drainOption struct {
	key   string // as tea.KeyPressMsg.String gives it
	label string
	words string // how it stands
	heavy bool   // as it stands it destroys something
	turn  func(*actions.Intent)
}

// Times that are offered, one after the other; 0 stands for what is so by itself.
var (
	graces   = [...]time.Duration{0, time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour}
	timeouts = [...]time.Duration{0, time.Minute, 15 * time.Minute, time.Hour}
)

// after is the time that is offered after another.
func after(list []time.Duration, now time.Duration) time.Duration {
	for i, d := range list {
		if d == now {
			return list[(i+1)%len(list)]
		}
	}
	return list[0]
}

// drainOptions are what may be chosen for a drain of these nodes. Those of Kubernetes are there only where pods would be evicted.
func (m *Model) drainOptions() []drainOption {
	in := &m.acting.intent
	evicts, evictable := false, false
	for _, k := range actions.DrainKinds(m.snap, in.Nodes) {
		evictable = evictable || k.Kind == "kubernetes"
		evicts = evicts || in.Evicts(k.Kind)
	}
	when := "now, not when idle"
	if in.WhenIdle {
		when = "when idle, not now"
	}
	has := "stays; this one is not written"
	if in.Append {
		has = "gets this one added"
	}
	list := []drainOption{
		{"tab", "Tab", "drain " + when, evicts, func(in *actions.Intent) { in.WhenIdle = !in.WhenIdle }},
		{"ctrl+o", "Ctrl-o", "a reason that is there already " + has, false, func(in *actions.Intent) { in.Append = !in.Append }},
	}
	if !evictable || !evicts {
		return list
	}
	return append(list,
		drainOption{"ctrl+d", "Ctrl-d", actions.EmptyDirWords(in), in.EmptyDir, func(in *actions.Intent) { in.EmptyDir = !in.EmptyDir }},
		drainOption{"ctrl+p", "Ctrl-p", actions.ForceWords(in), in.Force, func(in *actions.Intent) { in.Force = !in.Force }},
		drainOption{"ctrl+g", "Ctrl-g", actions.GraceWords(in), false, func(in *actions.Intent) { in.Grace = after(graces[:], in.Grace) }},
		drainOption{"ctrl+t", "Ctrl-t", actions.TimeoutWords(in), false, func(in *actions.Intent) { in.Timeout = after(timeouts[:], in.Timeout) }})
}

// drawActWords draws the line that is typed, and what may be chosen with it.
func (m *Model) drawActWords(a area, y int) {
	s := &m.acting
	in := &s.intent
	label := "reason: "
	if in.Kind == actions.Command {
		label = "command: "
	}
	x := a.text(1, y, label, fg(colDim))
	box := a.sub(x-1, y, a.w-x, 1)
	caret := s.line.drawAs(box, 0, "")
	m.frame.Cursor = tea.NewCursor(box.x+caret, box.y)
	y += 2
	const indent = 11
	say := func(key, words string, st style) {
		for i, part := range wrap(words, max(10, a.w-indent-2), a.c.ascii) {
			if i == 0 {
				a.cut(1, y, indent-2, key, fg(colAccent))
			}
			a.cut(indent, y, a.w-indent-1, part, st)
			y++
		}
	}
	say("Enter", "goes on to the question; nothing is done yet. Esc leaves", fg(colDim))
	if in.Kind == actions.Command && len(m.commands) > 0 {
		say("Up/Down", "commands run before", fg(colDim))
	}
	if in.Kind != actions.Drain {
		return
	}
	say("Up/Down", "reasons given before", fg(colDim))
	for _, o := range m.drainOptions() {
		st := style{}
		if o.heavy {
			st = fg(colWarn)
		}
		say(o.label, o.words, st)
		if o.key == "tab" {
			for _, k := range actions.DrainKinds(m.snap, in.Nodes) {
				say("", k.Name+", "+count(k.Nodes, "node")+": "+actions.DrainWords(k.Kind, in), st)
			}
		}
	}
}
