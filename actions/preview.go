package actions

import (
	"context"
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry"
)

// Planner knows how things are done.
type Planner struct {
	Actor  func(kind, cluster string) schedulers.Actor // nil: that scheduler takes no orders
	Door   Door
	User   string                // who acts: his own work may be acted on with one key
	Fold   func([]string) string // names to a node set
	Drain  []string              // for nodes of no scheduler: a command here, with {node} and {reason}; nil none
	Resume []string              // the same to take it back
	Quote  func(argv ...string) string
	World  string // said before every place that is asked: "demo"; "" the real one
	Away   string // why nothing may be run on this machine; "" it may
}

// Preview is what an intent comes to, computed from what is on screen. It is what is confirmed, and then carried out as it is.
type Preview struct {
	Intent   Intent
	Title    string // "drain 3 nodes: gpu[017-019]"
	Steps    []Step
	Means    []string // what a drain does to what is there, a scheduler each
	Warnings []string // what the person should know before
	Affected Affected
	Count    int    // the number to type; 0: y is enough
	Trouble  string // why nothing can be done at all; ""

	world  string                                                // Planner.World
	stacks func(ctx context.Context, answered func(int)) []Stack // of a Dump
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// Answer is the one that confirms it.
func (p *Preview) Answer() string {
	if p.Count > 0 {
		return strconv.Itoa(p.Count)
	}
	return "y"
}

// Confirms says whether an answer confirms it.
func (p *Preview) Confirms(answer string) bool { return answer == p.Answer() }

// Ready are the steps that may be done.
func (p *Preview) Ready() (n int) {
	for i := range p.Steps {
		if p.Steps[i].Refused == "" {
			n++
		}
	}
	return n
}

// maxReason bounds a reason, in bytes: Slurm takes any, screens do not.
const maxReason = 256

// Preview computes what an intent comes to.
func (l *Planner) Preview(s *fleet.Snapshot, in Intent) *Preview {
	p := &Preview{Intent: in, world: l.World}
	switch in.Kind {
	case Drain, Resume:
		l.nodes(p, s)
	case Cancel, Requeue:
		l.jobs(p, s)
	case Signal:
		l.signal(p, s)
	case Command:
		l.commands(p, s)
	case Custom:
		l.custom(p, s)
	case Dump:
		l.dump(p, s)
	default:
		p.Trouble = "nobody knows how to " + string(in.Kind)
	}
	if l.World != "" {
		for i := range p.Steps {
			p.Steps[i].Where = strings.TrimSpace(l.World + " " + p.Steps[i].Where)
		}
	}
	if n := len(in.Hidden); n > 0 {
		names := l.fold(in.Hidden)
		if len(in.Nodes)+len(in.Processes) == 0 {
			names = "job " + jobNames(s, in.Hidden)
		}
		p.Warnings = append(p.Warnings, plural(n, "target")+" not on screen: "+names)
	}
	if p.Trouble == "" && p.Ready() == 0 {
		p.Trouble = "nothing can be done"
		if len(p.Steps) > 0 {
			p.Trouble = p.Steps[0].Target + ": " + p.Steps[0].Refused
		}
	}
	if in.Kind == Dump && !in.Blocking {
		return p // nothing is changed by it: y is enough, whoever they are of
	}
	if n := p.Ready(); len(in.Nodes) > 1 || in.Kind != Drain && in.Kind != Resume && n > 1 || len(p.Affected.Others) > 0 {
		p.Count = n
	}
	return p
}

func (l *Planner) fold(names []string) string {
	if l.Fold != nil {
		return l.Fold(names)
	}
	return strings.Join(names, ",")
}

// nodes plans a drain or a resume.
func (l *Planner) nodes(p *Preview, s *fleet.Snapshot) {
	in := &p.Intent
	p.Title = string(in.Kind) + " " + plural(len(in.Nodes), "node") + ": " + l.fold(in.Nodes)
	in.Reason = telemetry.Clean(strings.TrimSpace(in.Reason), maxReason)
	if in.Kind == Drain && in.Reason == "" {
		p.Trouble = "a drain needs a reason"
	}
	if in.Undo != nil && time.Now().After(in.Undo.Until) {
		p.Trouble = "too late to undo: resume it instead"
	}
	for _, name := range in.Nodes {
		n := s.Node(name)
		if n == nil {
			p.Steps = append(p.Steps, Step{Target: name, Refused: "no such node is watched"})
			continue
		}
		l.node(p, s, n)
		if in.Kind == Drain {
			p.Affected.addNode(s, n)
		}
	}
	if in.Kind == Drain {
		p.Means = in.meaning(s)
	}
	p.Affected.settle(l.User)
}

// node plans the steps of one node: one for each scheduler that it belongs to.
func (l *Planner) node(p *Preview, s *fleet.Snapshot, n *fleet.Node) {
	in := &p.Intent
	known := 0
	for i := range n.Scheduled {
		at := &n.Scheduled[i]
		step := Step{Target: n.Name, Where: strings.TrimSpace(at.Kind + " " + at.Cluster), node: n.Name, reason: in.Reason}
		known++
		switch {
		case at.Node == nil:
			step.Refused = "it is not known which of " + at.Kind + "'s nodes it is: " + at.Why
		case !at.Proof.Proven():
			step.Refused = "that it is " + at.Kind + "'s " + at.Node.Name + " is known from " + at.Proof.String() + " only: connect to it first"
		default:
			l.order(&step, in, at)
			if in.Kind == Resume {
				p.Warnings = append(p.Warnings, resumeNotes(s, n, at, l.User)...)
			}
		}
		p.Steps = append(p.Steps, step)
	}
	if known == 0 {
		p.Steps = append(p.Steps, l.ownCommand(in, n))
	}
}

// order fills in what one scheduler is asked about one of its nodes.
func (l *Planner) order(step *Step, in *Intent, at *fleet.ScheduledNode) {
	var actor schedulers.Actor
	if l.Actor != nil {
		actor = l.Actor(at.Kind, at.Cluster)
	}
	if actor == nil {
		step.Refused = step.Where + " takes no orders from here"
		return
	}
	o := schedulers.Order{Verb: schedulers.Drain, Node: at.Node.Name, Reason: in.Reason, Append: in.Append, Evict: !in.WhenIdle, EmptyDir: in.EmptyDir, Force: in.Force, Grace: in.Grace, Timeout: in.Timeout}
	if in.Kind == Resume {
		o = schedulers.Order{Verb: schedulers.Resume, Node: at.Node.Name}
		if in.Undo != nil {
			reason, ok := in.Undo.Reason[step.Target]
			if !ok {
				step.Refused = "it was not drained by what is to be undone"
				return
			}
			o.UnlessSeen = &schedulers.NodeMark{Reason: reason}
		}
	}
	if at.Node.Reason != "" && in.Kind == Drain {
		what := "which stays"
		if in.Append {
			what = "to which this one is added"
		}
		step.Notes = append(step.Notes, "it has a reason already: "+at.Node.Reason+inBrackets(at.Node.ReasonBy)+", "+what)
	}
	step.byActor(actor, o)
}

// byActor makes a step of an order. What an actor remarks among its commands is a note: an audit line holds commands only.
func (step *Step) byActor(actor schedulers.Actor, o schedulers.Order) {
	for _, line := range actor.Commands(o) {
		if remark, ok := strings.CutPrefix(line, "# "); ok {
			step.Notes = append(step.Notes, remark)
		} else {
			step.Commands = append(step.Commands, line)
		}
	}
	step.settle = orderSettles
	step.do = func(ctx context.Context, say func(string)) (last string, err error) {
		err = actor.Do(ctx, o, func(words string) {
			last = words
			say(words)
		})
		return last, err
	}
	step.look = func(ctx context.Context) (bool, string, error) { return actor.Look(ctx, o) }
}

// resumeNotes is what speaks against a resume: somebody else set the reason, or what is wrong is still wrong.
func resumeNotes(s *fleet.Snapshot, n *fleet.Node, at *fleet.ScheduledNode, user string) (notes []string) {
	if by := at.Node.ReasonBy; at.Node.Reason != "" && by != user {
		notes = append(notes, n.Name+" was drained by "+or(by, "somebody else")+": "+at.Node.Reason)
	}
	for i := range n.Problems {
		if w := &n.Problems[i]; w.Severity >= fleet.Warning {
			notes = append(notes, n.Name+" is not well: "+w.Text)
			break
		}
	}
	return notes
}

// ownCommand plans what the configuration says for a node that no scheduler has.
func (l *Planner) ownCommand(in *Intent, n *fleet.Node) Step {
	step := Step{Target: n.Name, Where: "here", node: n.Name}
	words := l.Drain
	if in.Kind == Resume {
		words = l.Resume
	}
	if len(words) == 0 {
		step.Refused = "no scheduler has it, and no command for such nodes is configured (actions." + string(in.Kind) + ")"
		return step
	}
	if l.Away != "" {
		step.Refused = l.Away
		return step
	}
	argv := fill(words, map[string]string{"node": n.Name, "reason": in.Reason})
	step.Commands = []string{l.Quote(argv...)}
	step.do = runHere(argv)
	return step
}

func (l *Planner) actor(kind, cluster string) schedulers.Actor {
	if l.Actor == nil {
		return nil
	}
	return l.Actor(kind, cluster)
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " [" + s + "]"
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
