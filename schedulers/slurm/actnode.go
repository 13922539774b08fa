package slurm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/schedulers"
	"foretop/telemetry"
)

// maxReasons bounds a reason to which others were added, in bytes.
const maxReasons = 4 << 10

// oneLine makes a reason fit to be set: no line ends, and nothing that a terminal obeys.
func oneLine(s string) string { return strings.TrimSpace(telemetry.Clean(s, maxReasons)) }

// nodeNow is how a node stands.
type nodeNow struct {
	flags  []string
	reason string // as it was set, line ends and all
	by     string
	at     time.Time
}

func nowOf(r *nodeJSON) nodeNow {
	now := nodeNow{flags: stateFlags(append(slices.Clone(r.State), r.StateFlags...)), reason: string(r.Reason), by: clean(string(r.ReasonBy)), at: unix(r.ReasonAt.or(0))}
	if now.reason == "" {
		now.by, now.at = "", time.Time{}
	}
	return now
}

func (n nodeNow) has(flags ...string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return slices.Contains(n.flags, f) })
}

// draining says that it takes nothing new for somebody said so.
func (n nodeNow) draining() bool { return n.has("DRAIN", "DRAINED", "DRAINING") }

// out says that a resume would bring it back: it is drained, or down.
func (n nodeNow) out() bool { return n.draining() || n.has("DOWN", "ERROR", "FAIL", "FAILING") }

// String is "IDLE+DRAIN: fan [bob]".
func (n nodeNow) String() string {
	s := strings.Join(n.flags, "+")
	if n.reason != "" {
		s += ": " + n.reasonBy()
	}
	return s
}

func (n nodeNow) reasonBy() string {
	if n.by == "" {
		return oneLine(n.reason)
	}
	return oneLine(n.reason) + " [" + n.by + "]"
}

// pictured is how a node stood in the last picture.
func (a *Actor) pictured(name string) nodeNow {
	if p := a.slurm.last.Load(); p != nil {
		for i := range p.Nodes {
			if n := &p.Nodes[i]; n.Name == name {
				return nodeNow{n.Flags, n.Reason, n.ReasonBy, n.ReasonAt}
			}
		}
	}
	return nodeNow{}
}

// drainReason is the reason that a drain sets on a node that stands so, and what there is to say about it; send is false where nothing is to be done.
func drainReason(now nodeNow, reason string, add bool) (text string, send bool, note string) {
	old := oneLine(now.reason)
	says := slices.Contains(strings.Split(old, "; "), reason)
	switch {
	case old == "":
		return reason, true, "drained"
	case now.draining() && !add:
		return "", false, "it is drained already, and its reason stays: " + now.reasonBy()
	case now.draining() && says:
		return "", false, "it is drained already, and its reason says so: " + now.reasonBy()
	case !add || says:
		return old, true, "drained, with the reason that it had: " + now.reasonBy()
	}
	return old + "; " + reason, true, "drained, its reason added to: " + now.reasonBy()
}

func (a *Actor) drain(ctx context.Context, o schedulers.Order, say func(string)) error {
	now, seen, leave, err := a.before(ctx, o.Node)
	if err != nil {
		return err
	}
	defer leave()
	reason, send, note := drainReason(now, oneLine(o.Reason), o.Append)
	if !send {
		say(note + ": nothing was sent")
		return nil
	}
	if len(reason) > maxReasons {
		return &schedulers.RefusedError{Words: fmt.Sprintf("its reason would be longer than %d bytes", maxReasons), Remedy: "drain it without adding to its reason"}
	}
	a.keeps(o.Node, reason, now.reason != "")
	if err := a.send(ctx, seen, a.slurm.scontrol, drainArgs(o.Node, reason)...); err != nil {
		return refusal(err, o.Verb)
	}
	if left := a.left(o.Node); len(left) > 0 {
		note += "; running there to their end: " + strings.Join(left[:min(len(left), 8)], ", ")
	}
	say(note)
	return nil
}

func (a *Actor) resume(ctx context.Context, o schedulers.Order, say func(string)) error {
	mark := o.UnlessSeen
	if mark != nil && mark.By == "" {
		who, err := a.whoAmI(ctx)
		if err != nil {
			return err
		}
		ours := *mark
		ours.By, mark = who, &ours
	}
	now, seen, leave, err := a.before(ctx, o.Node)
	if err != nil {
		return err
	}
	defer leave()
	if mark != nil {
		if now.draining() && now.by == mark.By && now.reason != "" && a.keptOf(o.Node) == oneLine(now.reason) {
			return &schedulers.RefusedError{Words: "it had a reason before, which a resume would take away: " + oneLine(now.reason), Remedy: "to bring it back all the same, resume it"}
		}
		if err := still(now, *mark); err != nil {
			return err
		}
	}
	if !now.out() {
		say("it takes work already: nothing was sent")
		return nil
	}
	err = refusal(a.send(ctx, seen, a.slurm.scontrol, resumeArgs(o.Node)...), o.Verb)
	var refused *schedulers.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Remedy == wrongState:
		refused.Remedy = "it is " + strings.Join(now.flags, "+") + ": " + wrongState
		return refused
	case err != nil:
		return err
	}
	say("resumed; it was " + now.String())
	return nil
}

// keeps remembers that a node is drained with a reason that it had before, in whole or in part.
func (a *Actor) keeps(node, reason string, had bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.kept, node)
	if had {
		a.kept[node] = reason
	}
}

func (a *Actor) keptOf(node string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept[node]
}

// still refuses to take a drain back that is not there any more as it was made.
func still(now nodeNow, mark schedulers.NodeMark) error {
	if !now.draining() {
		return &schedulers.RefusedError{Words: "there is nothing to undo: it is " + now.String()}
	}
	if oneLine(now.reason) != oneLine(mark.Reason) || now.by != mark.By || !mark.At.IsZero() && !mark.At.Equal(now.at) {
		who := now.by
		if who == "" {
			who = "somebody"
		}
		return &schedulers.RefusedError{Words: who + " changed it since: " + oneLine(now.reason), Remedy: "to bring it back all the same, resume it"}
	}
	return nil
}

// whoAmI is as whom nodes are drained, by the name that scontrol gives for it.
func (a *Actor) whoAmI(ctx context.Context) (string, error) {
	if a.sudo {
		return "root", nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.who == "" {
		out, err := a.slurm.run(ctx, "id", "-un")
		if err != nil {
			return "", notSent(err)
		}
		a.who = clean(strings.TrimSpace(string(out)))
	}
	return a.who, nil
}

func (a *Actor) lookNode(ctx context.Context, o schedulers.Order) (so bool, words string, err error) {
	now, _, err := a.readNode(ctx, o.Node)
	if err != nil {
		return false, "", err
	}
	if o.Verb == schedulers.Resume {
		return !now.out(), "it is " + now.String(), nil
	}
	says := !o.Append || slices.Contains(strings.Split(oneLine(now.reason), "; "), oneLine(o.Reason))
	return now.draining() && says, "it is " + now.String(), nil
}
