package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"foretop/schedulers"
)

// To scontrol one node costs as much as all: it has the controller send every node and every partition, and picks. So those that are asked about at the same time share a question.
const (
	maxShared = 64                    // nodes of a question
	gathering = 20 * time.Millisecond // for others to come
	fresh     = time.Second           // how old an answer may be when the order that it is for is given
)

// question is one node that is asked about.
type question struct {
	name string
	done chan struct{}
	// Once done is closed:
	now  nodeNow
	seen reading
	err  error
}

// questions are those that wait for the one that is under way to be answered.
type questions struct {
	mu      sync.Mutex
	asking  bool
	waiting []*question
	orders  map[string]*question // the latest of each node that an order waits to be given to
}

// before is how a node stands right before an order to it, for which there is room until leave is called.
func (a *Actor) before(ctx context.Context, node string) (now nodeNow, seen reading, leave func(), err error) {
	a.questions.mu.Lock()
	q := a.ask(ctx, node)
	a.questions.orders[node] = q
	a.questions.mu.Unlock()
	defer func() {
		a.questions.mu.Lock()
		delete(a.questions.orders, node)
		a.questions.mu.Unlock()
	}()
	if now, seen, err = q.answer(ctx); err != nil {
		return now, seen, nil, err
	}
	if leave, err = a.enter(ctx); err != nil {
		return now, seen, nil, err
	}
	if now, seen, err = a.again(ctx, node).answer(ctx); err != nil {
		leave()
		return now, seen, nil, err
	}
	return now, seen, leave, nil
}

// again is the latest question about a node that an order is to be given to now. Where its answer has grown old, while the order waited for room, it is asked again, and with it those of all other orders
// whose answers have.
func (a *Actor) again(ctx context.Context, node string) *question {
	a.questions.mu.Lock()
	defer a.questions.mu.Unlock()
	if a.questions.orders[node].old() {
		for other, q := range a.questions.orders {
			if q.old() {
				a.questions.orders[other] = a.ask(ctx, other)
			}
		}
	}
	return a.questions.orders[node]
}

// old says that an answer is too old for an order.
func (q *question) old() bool {
	select {
	case <-q.done:
		return time.Since(q.seen.at) > fresh
	default:
		return false
	}
}

// answer waits for it.
func (q *question) answer(ctx context.Context) (nodeNow, reading, error) {
	select {
	case <-q.done:
		return q.now, q.seen, q.err
	case <-ctx.Done():
		return nodeNow{}, reading{}, fmt.Errorf("%w: %w", schedulers.ErrNotSent, ctx.Err())
	}
}

// enter waits for room for an order.
func (a *Actor) enter(ctx context.Context) (leave func(), err error) {
	select {
	case a.room <- struct{}{}:
		return func() { <-a.room }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", schedulers.ErrNotSent, ctx.Err())
	}
}

// readNode asks how one node stands, together with others: the question is sent after this is called.
func (a *Actor) readNode(ctx context.Context, name string) (nodeNow, reading, error) {
	a.questions.mu.Lock()
	q := a.ask(ctx, name)
	a.questions.mu.Unlock()
	return q.answer(ctx)
}

// ask puts a question to the others. a.questions.mu is held.
func (a *Actor) ask(ctx context.Context, name string) *question {
	q := &question{name: name, done: make(chan struct{})}
	a.questions.waiting = append(a.questions.waiting, q)
	if !a.questions.asking {
		a.questions.asking = true
		go a.answerAll(context.WithoutCancel(ctx))
	}
	return q
}

// answerAll answers questions until there is none.
func (a *Actor) answerAll(ctx context.Context) {
	for {
		time.Sleep(gathering)
		a.questions.mu.Lock()
		n := min(len(a.questions.waiting), maxShared)
		part := slices.Clone(a.questions.waiting[:n])
		a.questions.waiting = slices.Delete(a.questions.waiting, 0, n)
		a.questions.asking = n > 0
		a.questions.mu.Unlock()
		if n == 0 {
			return
		}
		a.answer(ctx, part)
	}
}

// answer answers some questions by one, and those that this leaves open each by its own.
func (a *Actor) answer(ctx context.Context, part []*question) {
	names := make([]string, len(part))
	for i, q := range part {
		names[i] = q.name
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 1 {
		got, seen, err := a.readMany(ctx, names)
		for _, q := range part {
			if r := got[q.name]; r != nil {
				q.now, q.seen = nowOf(r), seen
				close(q.done)
			} else if err != nil {
				q.err = notSent(err)
				close(q.done)
			}
		}
		part = slices.DeleteFunc(part, func(q *question) bool { return err != nil || got[q.name] != nil })
	}
	for _, q := range part {
		q.now, q.seen, q.err = a.readOne(ctx, q.name)
		close(q.done)
	}
}

// readMany asks how several nodes stand, given in order and each once. A node of which the answer does not say so beyond doubt is not in it. The error is one that every node's own question would meet.
func (a *Actor) readMany(ctx context.Context, names []string) (map[string]*nodeJSON, reading, error) {
	out, seen, asText, err := a.show(ctx, strings.Join(names, ","))
	var exit *schedulers.ExitError
	switch {
	case errors.As(err, &exit) && slices.ContainsFunc(names, func(n string) bool { return noSuchNode(exit, out, n) }):
		return nil, seen, nil // whatever else it said
	case errors.Is(err, schedulers.ErrTooMuch):
		return nil, seen, nil
	case err != nil:
		return nil, seen, err
	case asText:
		return parseNodes(out, names), seen, nil
	}
	got, twice := map[string]*nodeJSON{}, map[string]bool{}
	if _, err := decode(out, "nodes", func(n *nodeJSON) bool {
		if name := string(n.Name); got[name] != nil || twice[name] {
			delete(got, name)
			twice[name] = true
		} else if _, asked := slices.BinarySearch(names, name); asked {
			one := *n
			got[name] = &one
		}
		return true
	}); err != nil {
		return nil, seen, nil
	}
	return got, seen, nil
}

// readOne asks how one node stands, by a question of its own.
func (a *Actor) readOne(ctx context.Context, name string) (now nodeNow, seen reading, err error) {
	var r *nodeJSON
	out, seen, asText, err := a.show(ctx, name)
	switch {
	case err != nil:
	case asText:
		r, err = parseNode(out, name)
	default:
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
		if r == nil && withoutJSON(err) {
			a.text.Store(true)
			return a.readOne(ctx, name)
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

// show has scontrol show nodes, a comma between two: as JSON, or as text where there is no JSON.
func (a *Actor) show(ctx context.Context, nodes string) (out []byte, seen reading, asText bool, err error) {
	if !a.text.Load() {
		out, seen, err = a.read(ctx, a.slurm.scontrol, "--json", "-a", "show", "node", nodes)
		if !withoutJSON(err) {
			return out, seen, false, err
		}
		a.text.Store(true)
	}
	out, seen, err = a.read(ctx, a.slurm.scontrol, "-a", "show", "node", nodes)
	return out, seen, true, err
}

// noSuchNode says that scontrol failed for there is no such node: it says so where answers stand.
func noSuchNode(exit *schedulers.ExitError, out []byte, name string) bool {
	said := "Node " + name + " not found"
	return strings.Contains(exit.Words, said) || bytes.Contains(out, []byte(said))
}

// parseNodes reads what scontrol show node prints of several, in the order in which they were asked for. A comment may hold the text of another node: unless there is just one of each, no node is taken
// from it.
func parseNodes(data []byte, names []string) map[string]*nodeJSON {
	got := make(map[string]*nodeJSON, len(names))
	for i, name := range names {
		begins := []byte("NodeName=" + name + " ")
		if !bytes.HasPrefix(data, begins) {
			return nil
		}
		end := bytes.Index(data, []byte("\nNodeName="))
		if (end < 0) != (i == len(names)-1) {
			return nil
		}
		one := data
		if end >= 0 {
			one, data = data[:end+1], data[end+1:]
		}
		r, err := parseNode(one, name)
		if err != nil {
			continue // by its own question it gets the error's words
		}
		got[name] = r
	}
	return got
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
