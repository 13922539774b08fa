package simfleet

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"foretop/schedulers"
)

// Actor gives orders to the fleet's own schedulers, which exist in the model only: they take an order as the real ones do, and answer as soon.
type Actor struct {
	fleet *Fleet
	kind  string
	user  string // in whose name
	told  func()
}

var _ schedulers.Actor = (*Actor)(nil)

// Actor gives orders in the name of a user; told is called when one was carried out. nil: the fleet has no such scheduler.
func (f *Fleet) Actor(kind, cluster, user string, told func()) *Actor {
	if kind == slurmKind && cluster == slurmCluster || kind == kubeKind && cluster == kubeCluster {
		return &Actor{f, kind, user, told}
	}
	return nil
}

// How long the played schedulers take, in virtual time.
const (
	orderTakes  = 400 * time.Millisecond
	podEnds     = 3 * time.Second  // an evicted pod's grace
	requeueWait = 12 * time.Second // until a job that was queued again has its nodes
)

func (a *Actor) now() time.Duration { return a.fleet.At(time.Now()) }

// wait lets virtual time go by.
func (a *Actor) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(time.Duration(float64(d) / a.fleet.opts.Speed)):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", schedulers.ErrNotSent, ctx.Err())
	}
}

func (a *Actor) tell() {
	if a.told != nil {
		a.told()
	}
}

// node finds one of the scheduler's nodes by its name there, and how it stands.
func (a *Actor) node(name string) (*Node, schedulers.Node, error) {
	plain := name
	if a.kind == kubeKind {
		plain = strings.TrimSuffix(name, kubeDomain)
	}
	for _, n := range a.fleet.model.nodes {
		if n.name == plain && n.scheduler() == a.kind {
			if s, _ := n.told(a.kind, a.now()); s.Name == name {
				return n, s, nil
			}
		}
	}
	return nil, schedulers.Node{}, &schedulers.RefusedError{Words: fmt.Sprintf("%s has no node %q", a.kind, name)}
}

// job finds one of the scheduler's jobs, as it stands; played is nil of one that only waits.
func (a *Actor) job(key string) (played *job, s schedulers.Job, err error) {
	m, at := a.fleet.model, a.now()
	for _, j := range m.jobs {
		switch {
		case a.kind == slurmKind && j.scheduler() == slurmKind && j.slurmKey() == key:
			return j, m.slurmJob(j, at), nil
		case a.kind == kubeKind && j.scheduler() == kubeKind && j.kubeKey() == key:
			return j, m.kubeJob(j, at), nil
		}
	}
	if a.kind == slurmKind {
		for _, s := range m.waiting(at) {
			if s.Key == key {
				return nil, s, nil
			}
		}
	}
	return nil, s, &schedulers.RefusedError{Words: fmt.Sprintf("%s does not know job %q any more", a.kind, key)}
}

// Commands is what an order comes to, in the words of the real ones.
func (a *Actor) Commands(o schedulers.Order) []string {
	if a.kind == kubeKind {
		return a.calls(o)
	}
	switch o.Verb {
	case schedulers.Drain:
		_, s, err := a.node(o.Node)
		reason, send, note := drainReason(s, o)
		if err == nil && !send {
			return []string{"# nothing: " + note}
		}
		return []string{"scontrol update NodeName=" + typed(o.Node) + " State=DRAIN " + typed("Reason="+reason), "# Slurm lets what runs there go on to its end"}
	case schedulers.Resume:
		return []string{"scontrol update NodeName=" + typed(o.Node) + " State=RESUME"}
	case schedulers.Cancel, schedulers.Requeue:
		_, s, err := a.job(o.Job)
		if err != nil {
			return nil
		}
		return []string{map[schedulers.Verb]string{schedulers.Cancel: "scancel ", schedulers.Requeue: "scontrol requeue "}[o.Verb] + s.ID}
	}
	return nil
}

const pytorchJobs = "pytorchjobs.kubeflow.org/rlhf/"

// calls are those of an API server.
func (a *Actor) calls(o schedulers.Order) (list []string) {
	switch o.Verb {
	case schedulers.Drain:
		list = append(list, "PATCH nodes/"+o.Node+` {"spec":{"unschedulable":true}}`)
		if n, _, err := a.node(o.Node); err == nil && o.Evict {
			for _, s := range n.pods(a.now()) {
				list = append(list, "POST pods/rlhf/"+s.job.podName(s.member)+"/eviction")
			}
		}
	case schedulers.Resume:
		list = append(list, "PATCH nodes/"+o.Node+` {"spec":{"unschedulable":false}}`)
	case schedulers.Cancel:
		list = append(list, "DELETE "+pytorchJobs+path.Base(o.Job))
	case schedulers.Requeue:
		what := "PATCH " + pytorchJobs + path.Base(o.Job)
		list = append(list, what+` {"spec":{"runPolicy":{"suspend":true}}}`, what+` {"spec":{"runPolicy":{"suspend":false}}}`)
	}
	return list
}

// pods are the slots of a node whose pods are there.
func (n *Node) pods(at time.Duration) (list []slot) {
	for _, s := range n.slots {
		if stopped, _, _ := s.job.stopAt(at); stopped == nil && s.job.scheduler() == kubeKind {
			list = append(list, s)
		}
	}
	return list
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// typed is a word as a person would type it.
func typed(w string) string {
	if plainWord.MatchString(w) {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// Do carries an order out.
func (a *Actor) Do(ctx context.Context, o schedulers.Order, say func(string)) error {
	if err := a.wait(ctx, orderTakes); err != nil {
		return err
	}
	defer a.tell()
	switch o.Verb {
	case schedulers.Drain:
		return a.drain(ctx, o, say)
	case schedulers.Resume:
		return a.resume(o, say)
	case schedulers.Cancel, schedulers.Requeue:
		return a.end(o, say)
	}
	return &schedulers.RefusedError{Words: fmt.Sprintf("%s knows no order %q", a.kind, o.Verb)}
}

// drained says that a node takes nothing new for somebody, or its health check, said so.
func drained(s schedulers.Node) bool {
	return slices.Contains(s.Flags, drainFlag(slurmKind)) || slices.Contains(s.Flags, drainFlag(kubeKind))
}

// drainReason is the reason that a drain sets on a node that stands so; send is false where nothing is to be done, and note says why.
func drainReason(s schedulers.Node, o schedulers.Order) (reason string, send bool, note string) {
	switch was := s.Reason; {
	case !drained(s) || was == "":
		return o.Reason, true, "drained"
	case !o.Append:
		return "", false, "it is drained already, and its reason stays: " + was + inBrackets(s.ReasonBy)
	case slices.Contains(strings.Split(was, "; "), o.Reason):
		return "", false, "it is drained already, and its reason says so: " + was + inBrackets(s.ReasonBy)
	default:
		return was + "; " + o.Reason, true, "drained, its reason added to: " + was + inBrackets(s.ReasonBy)
	}
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " [" + s + "]"
}

func (a *Actor) drain(ctx context.Context, o schedulers.Order, say func(string)) error {
	n, s, err := a.node(o.Node)
	if err != nil {
		return err
	}
	if strings.TrimSpace(o.Reason) == "" {
		return &schedulers.RefusedError{Words: "Slurm drains no node without a reason"}
	}
	reason, send, note := drainReason(s, o)
	if send {
		a.fleet.model.mark(n, mark{a.now(), true, reason, a.user})
		a.tell() // before the pods are gone, too
	} else {
		note += ": nothing was sent"
	}
	if a.kind == kubeKind && o.Evict {
		return a.evict(ctx, n, say)
	}
	if left := n.running(a.now()); len(left) > 0 {
		note += "; running there to their end: " + strings.Join(left, ", ")
	}
	say(note)
	return nil
}

// running are the scheduler's jobs on a node.
func (n *Node) running(at time.Duration) (ids []string) {
	for _, s := range n.slots {
		stopped, _, _ := s.job.stopAt(at)
		switch {
		case stopped != nil:
		case s.job.scheduler() == slurmKind:
			ids = append(ids, n.model.slurmJob(s.job, at).ID)
		case s.job.scheduler() == kubeKind:
			ids = append(ids, "rlhf/"+s.job.podName(s.member))
		}
	}
	return ids
}

// evict has the pods of a cordoned node go, one after another. Their job waits for the node to come back.
func (a *Actor) evict(ctx context.Context, n *Node, say func(string)) error {
	pods := n.pods(a.now())
	for i, s := range pods {
		say(fmt.Sprintf("cordoned; %d of %d pods gone, rlhf/%s ends", i, len(pods), s.job.podName(s.member)))
		if err := a.wait(ctx, podEnds); err != nil {
			return fmt.Errorf("cordoned; %d of %d pods gone, and nobody waits for the rest: %w", i, len(pods), schedulers.ErrUnsure)
		}
		a.fleet.model.requeue(s.job, a.now(), requeueWait, "0:15")
	}
	say(fmt.Sprintf("cordoned; all %d pods gone, none is left", len(pods)))
	return nil
}

func (a *Actor) resume(o schedulers.Order, say func(string)) error {
	n, s, err := a.node(o.Node)
	if err != nil {
		return err
	}
	was := s.State
	if s.Reason != "" {
		was += ": " + s.Reason + inBrackets(s.ReasonBy)
	}
	switch seen := o.UnlessSeen; {
	case seen != nil && !drained(s):
		return &schedulers.RefusedError{Words: "there is nothing to undo: it is " + was}
	case seen != nil && (s.Reason != seen.Reason || s.ReasonBy != a.user):
		return &schedulers.RefusedError{Words: s.ReasonBy + " changed it since: " + s.Reason, Remedy: "to bring it back all the same, resume it"}
	case !drained(s):
		say("it takes work already: nothing was sent")
		return nil
	}
	a.fleet.model.mark(n, mark{at: a.now()})
	say("resumed; it was " + was)
	return nil
}

// end ends a job, for good or to start again.
func (a *Actor) end(o schedulers.Order, say func(string)) error {
	j, s, err := a.job(o.Job)
	if err != nil {
		return err
	}
	m := a.fleet.model
	switch {
	case o.Verb == schedulers.Cancel && s.Phase == schedulers.Ended:
		say("it had ended already (" + s.State + "): nothing was sent")
	case o.Verb == schedulers.Requeue && s.Phase == schedulers.Pending:
		say("it waits already (" + s.State + "): nothing was sent")
	case j == nil && o.Verb == schedulers.Requeue:
		return &schedulers.RefusedError{Words: "it never ran: there is nothing to queue again"}
	case j == nil:
		m.withdraw(o.Job, a.now())
		say("cancelled; it was " + s.State)
	case o.Verb == schedulers.Cancel:
		m.stop(j, stop{from: a.now(), to: forever, state: "CANCELLED", code: "0:15"})
		say("cancelled; it was " + s.State)
	default:
		m.requeue(j, a.now(), requeueWait, "0:15")
		say("queued again; it was " + s.State)
	}
	return nil
}

// Look says whether what an order asks for is so.
func (a *Actor) Look(_ context.Context, o schedulers.Order) (bool, string, error) {
	switch o.Verb {
	case schedulers.Drain, schedulers.Resume:
		n, s, err := a.node(o.Node)
		if err != nil {
			return false, "", err
		}
		so := drained(s) == (o.Verb == schedulers.Drain)
		if a.kind == kubeKind && o.Evict {
			so = so && len(n.pods(a.now())) == 0
		}
		return so, "it is " + s.State + inBrackets(s.Reason), nil
	}
	_, s, err := a.job(o.Job)
	if err != nil {
		return false, "", err
	}
	return s.Phase == map[schedulers.Verb]schedulers.Phase{schedulers.Cancel: schedulers.Ended, schedulers.Requeue: schedulers.Pending}[o.Verb], "it is " + s.State, nil
}

// Mark is how a node is marked now.
func (a *Actor) Mark(_ context.Context, node string) (schedulers.NodeMark, error) {
	n, s, err := a.node(node)
	if err != nil {
		return schedulers.NodeMark{}, err
	}
	return schedulers.NodeMark{Draining: drained(s), Reason: s.Reason, By: s.ReasonBy, At: s.ReasonAt, Left: n.running(a.now())}, nil
}
