package slurm

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"foretop/schedulers"
	"foretop/telemetry"
)

// Actor gives Slurm orders, with scontrol and scancel, where its programs are. It reads how a node or a job stands right before each order and sends none that
// would overwrite somebody's reason; Slurm has no way to make that one step, so that somebody else may still act between the two.
//
// Slurm's drain always lets what runs go on: to drain now and to drain when idle are the same to it.
type Actor struct {
	slurm *Slurm
	sudo  bool
	room  chan struct{} // orders at once; what they are preceded by is asked together
	text  atomic.Bool   // nodes are asked for in text: this installation has no JSON

	questions questions

	mu       sync.Mutex
	restarts map[string]int         // of a job right before an order that is not settled yet, by key
	who      string                 // as whom orders are given, once asked
	nodes    map[string]*sync.Mutex // one order at a time for each, so that none of ours overwrites another
	kept     map[string]string      // reasons with which nodes were drained that they had before, in whole or in part
}

// atOnce is how many orders are given at a time: the controller has better things to do, and a login node lets ten sessions a connection.
const atOnce = 4

// Actor gives orders to this cluster, through the same runner; with sudo it is `sudo -n scontrol` that changes nodes and requeues, as root.
func (s *Slurm) Actor(sudo bool) *Actor {
	a := &Actor{slurm: s, sudo: sudo, room: make(chan struct{}, atOnce), restarts: map[string]int{}, nodes: map[string]*sync.Mutex{}, kept: map[string]string{}, questions: questions{orders: map[string]*question{}}}
	a.text.Store(s.version.before(23, 2)) // scontrol has no JSON, and sinfo's is of all nodes
	return a
}

// Commands is what an order comes to, as far as the last picture tells.
func (a *Actor) Commands(o schedulers.Order) []string {
	switch o.Verb {
	case schedulers.Drain:
		now := a.pictured(o.Node)
		reason, send, note := drainReason(now, oneLine(o.Reason), o.Append)
		if !send {
			return []string{"# nothing: " + note}
		}
		out := []string{a.typed("scontrol", drainArgs(o.Node, reason)...)}
		if o.Evict {
			out = append(out, "# Slurm lets what runs there go on to its end")
		}
		return out
	case schedulers.Resume:
		return []string{a.typed("scontrol", resumeArgs(o.Node)...)}
	case schedulers.Cancel, schedulers.Requeue:
		id, _ := jobNumber(o.Job)
		if p := a.slurm.last.Load(); p != nil {
			for i := range p.Jobs {
				if j := &p.Jobs[i]; j.Key == o.Job {
					id = wholeOf(withoutLimit(j.ID), o.Verb, j.Phase)
				}
			}
		}
		if o.Verb == schedulers.Cancel {
			return []string{a.typed("scancel", id)}
		}
		return []string{a.typed("scontrol", "requeue", id)}
	}
	return nil
}

// drainArgs are scontrol's. It takes a quotation mark off each end of a reason: one that has its own there gets another.
func drainArgs(node, reason string) []string {
	if strings.HasPrefix(reason, `"`) || strings.HasSuffix(reason, `"`) {
		reason = `"` + reason + `"`
	}
	return []string{"update", "NodeName=" + node, "State=DRAIN", "Reason=" + reason}
}

func resumeArgs(node string) []string { return []string{"update", "NodeName=" + node, "State=RESUME"} }

// typed is a command as a person would type it.
func (a *Actor) typed(program string, args ...string) string {
	words := []string{program}
	if a.sudo && program == "scontrol" {
		words = []string{"sudo", "-n", program}
	}
	for _, w := range args {
		if w = telemetry.Clean(w, maxReasons); !plainWord.MatchString(w) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// Do carries an order out.
func (a *Actor) Do(ctx context.Context, o schedulers.Order, say func(string)) error {
	if err := a.check(o); err != nil {
		return err
	}
	defer a.alone(o.Node)()
	defer a.slurm.Hurry() // the next picture shows it
	switch o.Verb {
	case schedulers.Drain:
		return a.drain(ctx, o, say)
	case schedulers.Resume:
		return a.resume(ctx, o, say)
	}
	leave, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	switch o.Verb {
	case schedulers.Cancel:
		return a.cancel(ctx, o, say)
	}
	return a.requeue(ctx, o, say)
}

// alone waits until no other order is given to a node, and returns what ends this one.
func (a *Actor) alone(node string) func() {
	if node == "" {
		return func() {}
	}
	a.mu.Lock()
	m := a.nodes[node]
	if m == nil {
		m = new(sync.Mutex)
		a.nodes[node] = m
	}
	a.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// check refuses what must not be sent at all.
func (a *Actor) check(o schedulers.Order) error {
	switch o.Verb {
	case schedulers.Drain, schedulers.Resume:
		if err := a.checkNode(o.Node); err != nil {
			return err
		}
		if o.Verb == schedulers.Drain && oneLine(o.Reason) == "" {
			return &schedulers.RefusedError{Words: "Slurm drains no node without a reason"}
		}
		return nil
	case schedulers.Cancel, schedulers.Requeue:
		if _, ok := jobNumber(o.Job); !ok {
			return &schedulers.RefusedError{Words: quoted(clean(o.Job)) + " is no job of Slurm's"}
		}
		return nil
	}
	return &schedulers.RefusedError{Words: "Slurm knows no " + clean(string(o.Verb))}
}

// nodeName is what a node's name looks like. To scontrol a name is a host list: one with commas or brackets would be several nodes.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$`)

// checkNode refuses what is not the name of exactly one node.
func (a *Actor) checkNode(name string) error {
	if !nodeName.MatchString(name) || strings.EqualFold(name, "ALL") || strings.EqualFold(name, "DEFAULT") {
		return &schedulers.RefusedError{Words: quoted(telemetry.Clean(name, 80)) + " is not the name of one node"}
	}
	p := a.slurm.last.Load()
	if p != nil && !p.At.IsZero() && !slices.ContainsFunc(p.Nodes, func(n schedulers.Node) bool { return n.Name == name }) {
		return &schedulers.RefusedError{Words: "Slurm has no node " + name, Remedy: "see `sinfo -N`"}
	}
	return nil
}

// Look says whether what an order asks for is so. A no counts only when it is said twice: the second question is sent when the controller has caught up with what
// it was sent before the first, as after it hung.
func (a *Actor) Look(ctx context.Context, o schedulers.Order) (so bool, words string, err error) {
	if err := a.check(o); err != nil {
		return false, "", err
	}
	look := a.lookJob
	if o.Verb == schedulers.Drain || o.Verb == schedulers.Resume {
		look = a.lookNode
	}
	for range 2 {
		if so, words, err = look(ctx, o); so || err != nil {
			break
		}
	}
	if so {
		a.settled(o.Job)
	}
	return so, words, err
}

// Mark is how a node is marked now.
func (a *Actor) Mark(ctx context.Context, node string) (schedulers.NodeMark, error) {
	if err := a.checkNode(node); err != nil {
		return schedulers.NodeMark{}, err
	}
	now, _, err := a.readNode(ctx, node)
	if err != nil {
		return schedulers.NodeMark{}, err
	}
	return schedulers.NodeMark{Draining: now.draining(), Reason: telemetry.Clean(now.reason, schedulers.MaxText), By: now.by, At: now.at, Left: a.left(node)}, nil
}

// left are the jobs that ran on a node when the last picture was made.
func (a *Actor) left(node string) (ids []string) {
	p := a.slurm.last.Load()
	if p == nil {
		return nil
	}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if slices.Contains(j.Nodes, node) && (j.Phase == schedulers.Running || j.Phase == schedulers.Suspended || j.Phase == schedulers.Completing) {
			ids = append(ids, j.ID)
		}
	}
	return ids
}
