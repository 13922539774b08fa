package slurm

import (
	"bytes"
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
	now, seen, err := a.readNode(ctx, o.Node)
	if err != nil {
		return err
	}
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
	now, seen, err := a.readNode(ctx, o.Node)
	if err != nil {
		return err
	}
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

// readNode asks how one node stands.
func (a *Actor) readNode(ctx context.Context, name string) (now nodeNow, seen reading, err error) {
	var r *nodeJSON
	var out []byte
	if !a.text.Load() {
		if out, seen, err = a.read(ctx, a.slurm.scontrol, "--json", "-a", "show", "node", name); err == nil {
			var got answer
			got, err = decode(out, "nodes", func(n *nodeJSON) bool {
				if string(n.Name) == name {
					r = n
				}
				return r == nil
			})
			if err == nil && r == nil && len(got.errors) > 0 {
				err = &schedulers.ExitError{Status: 1, Words: strings.Join(got.errors, "; ")}
			}
		}
		if r == nil && withoutJSON(err) {
			a.text.Store(true)
		}
	}
	if a.text.Load() {
		if out, seen, err = a.read(ctx, a.slurm.scontrol, "-a", "show", "node", name); err == nil {
			r, err = parseNode(out, name)
		}
	}
	var exit *schedulers.ExitError
	switch {
	case errors.As(err, &exit) && noSuchNode(exit, out, name):
		r = nil
	case err != nil:
		return now, seen, notSent(err)
	}
	if r == nil {
		return now, seen, &schedulers.RefusedError{Words: "Slurm has no node " + name, Remedy: "see `sinfo -N`"}
	}
	return nowOf(r), seen, nil
}

// noSuchNode says that scontrol failed for there is no such node: it says so where answers stand.
func noSuchNode(exit *schedulers.ExitError, out []byte, name string) bool {
	said := "Node " + name + " not found"
	return strings.Contains(exit.Words, said) || bytes.Contains(out, []byte(said))
}

// parseNode reads what scontrol show node prints of one node: unlike a line a node, this tells where a reason ends, whatever is in it. A line of a reason but its
// first stands ten spaces in, a key three. What follows the reason is not read, for comments may hold anything. nil: that node is not in it.
func parseNode(data []byte, name string) (*nodeJSON, error) {
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	word, _, _ := strings.Cut(string(first), " ")
	given, ok := strings.CutPrefix(word, "NodeName=")
	switch {
	case !ok:
		return nil, fmt.Errorf("read node %s: it is not what scontrol was asked for: %s", name, quoted(string(first)))
	case given != name:
		return nil, nil
	}
	r := &nodeJSON{Name: text(name)}
	said, in := []string(nil), false
	for line := range strings.SplitSeq(string(rest), "\n") {
		if more, ok := strings.CutPrefix(line, "          "); ok && in {
			said = append(said, more)
			continue
		}
		key, value, _ := strings.Cut(strings.TrimPrefix(line, "   "), "=")
		if in || strings.HasPrefix(line, "    ") || key == "Comment" || key == "Extra" || line == "" {
			break
		}
		switch key {
		case "State":
			state, _, _ := strings.Cut(value, " ")
			r.State = words{state}
		case "Reason":
			v := nodeOf(map[string]string{"Reason": value})
			r.ReasonBy, r.ReasonAt = v.ReasonBy, v.ReasonAt
			said, in = []string{string(v.Reason)}, true
		}
	}
	if r.State == nil {
		return nil, fmt.Errorf("read node %s: %w", name, errNoState)
	}
	r.Reason = text(strings.Join(said, "\n"))
	return r, nil
}

var errNoState = errors.New("scontrol tells no state")
