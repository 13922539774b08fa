package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"foretop/actions"
	"foretop/sshpool"
)

// runner runs one command on many nodes.
type runner struct {
	names   []string
	line    string // for the login shell
	merge   bool
	json    bool
	worst   bool
	timeout time.Duration // of a command; 0 none
	connect time.Duration
	width   int
	limit   int // bytes of output kept a node

	out, errs     io.Writer
	text, errText func(string) string // make output fit for them
	mu            sync.Mutex          // of out and errs
	lost          error               // out takes no more

	pool  *sshpool.Pool
	reach *reach

	audit      *actions.Audit // nil: none is written
	user, from string         // for its lines
	id         string         // of this run, for its lines
}

// note writes how a command stands on a node to the audit file.
func (r *runner) note(node, state, words string) error {
	if r.audit == nil {
		return nil
	}
	return r.audit.Append(actions.Line{Time: time.Now(), ID: r.id, User: r.user, From: r.from, Action: actions.Command, Target: node, Where: node, Command: []string{r.line}, State: state, Words: words})
}

// end is how a command ended on one node.
type end struct {
	exit    sshpool.Exit
	err     error // why it has no exit: not reached, timed out, cut off
	cause   error // of a timeout: what the pool said
	output  string
	cut     bool
	seconds float64
	noted   error // its end was not written down everywhere
}

// state is how a command ended in the words of an audit file.
func (e *end) state() actions.State {
	switch {
	case errors.Is(e.err, sshpool.ErrNotStarted):
		return actions.NotStarted
	case e.err != nil && errors.Is(e.cause, sshpool.ErrEndUnknown):
		return actions.Unknown
	case e.err != nil || e.exit.Code != 0:
		return actions.Failed
	}
	return actions.Done
}

// words are how it ended, where that is not well.
func (e *end) words() string {
	switch {
	case e.err != nil:
		return wordsOf(e.err)
	case e.exit.Code < 0:
		return "ended by signal " + e.exit.Signal
	case e.exit.Code > 0:
		return fmt.Sprintf("exited with exit code %d", e.exit.Code)
	}
	return ""
}

// Exit codes of run beside those of all commands.
const (
	codeFailed      = 1
	codeInterrupted = 130
	codeWorst       = 255 // as ssh's own
)

// run runs it over a pool's connections; await waits for each.
func (r *runner) run(ctx context.Context, pool *sshpool.Pool, await func(ctx context.Context, node string, within time.Duration) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ends := make([]end, len(r.names))
	room := make(chan struct{}, r.width)
	var all sync.WaitGroup
	for i, name := range r.names {
		all.Go(func() {
			e := &ends[i]
			if e.err = await(ctx, name, r.connect); e.err == nil {
				room <- struct{}{}
				if err := r.note(name, actions.Starts, ""); err != nil {
					e.err = fmt.Errorf("nothing was done: %w", err)
				} else {
					r.one(ctx, pool, name, e)
					e.noted = r.note(name, e.state().String(), e.words())
				}
				<-room
			}
			if err := r.told(name, e); err != nil {
				r.mu.Lock()
				r.lost = err
				r.mu.Unlock()
				cancel(err)
			}
		})
	}
	all.Wait()
	if r.lost != nil {
		return fmt.Errorf("write output: %w", r.lost)
	}
	return r.close(ctx, ends)
}

// one runs the command on one node.
func (r *runner) one(ctx context.Context, pool *sshpool.Pool, name string, e *end) {
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.timeout, errTimeout)
		defer cancel()
	}
	begun := time.Now()
	kept := &firstBytes{room: r.limit}
	left := r.limit
	out := &labelled{mu: &r.mu, to: r.out, label: name, text: r.text, room: &left}
	errs := &labelled{mu: &r.mu, to: r.errs, label: name, text: r.errText, room: &left}
	cmd := sshpool.Command{Line: r.line, Stdout: out, Stderr: errs}
	switch {
	case r.json:
		cmd.Stdout, cmd.Stderr = kept, kept
	case r.merge:
		cmd.Stdout = kept
	}
	e.exit, e.err = pool.Exec(ctx, name, cmd)
	e.cause = e.err
	if err := errors.Join(out.end(), errs.end()); err != nil && e.err == nil {
		e.err = err
	}
	e.seconds = time.Since(begun).Seconds()
	e.output, e.cut = kept.text()
	e.cut = e.cut || left < 0
	if e.err != nil && errors.Is(context.Cause(ctx), errTimeout) {
		e.err = errTimeout
	}
}

// errTimeout is a command that was stopped for it ran too long.
var errTimeout = errors.New("command timeout")

// jsonLine is what --json prints of a node.
type jsonLine struct {
	Node      string  `json:"node"`
	ExitCode  *int    `json:"exit_code"` // null: it has none
	Signal    string  `json:"signal,omitempty"`
	Output    string  `json:"output"`
	Truncated bool    `json:"truncated"`
	Error     string  `json:"error,omitempty"`
	Seconds   float64 `json:"seconds"`
}

// told prints what is to be printed when a node has ended.
func (r *runner) told(name string, e *end) error {
	if !r.json {
		return nil
	}
	line := jsonLine{Node: name, Signal: e.exit.Signal, Output: e.output, Truncated: e.cut, Seconds: e.seconds}
	if e.err != nil {
		line.Error = wordsOf(e.err)
	} else if e.exit.Code >= 0 {
		line.ExitCode = &e.exit.Code
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err = r.out.Write(append(b, '\n'))
	return err
}

// wordsOf is why a command has no end, without the node's name.
func wordsOf(err error) string {
	switch {
	case err == errTimeout:
		return err.Error()
	case errors.Is(err, context.Canceled) && errors.Is(err, sshpool.ErrNotStarted), err == context.Canceled:
		return "interrupted before it was started"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	text := err.Error()
	if strings.HasPrefix(text, "run on ") { // sshpool names the node
		if _, rest, ok := strings.Cut(text, ": "); ok {
			return rest
		}
	}
	return text
}

// close says on standard error how the nodes ended, as clush does, and gives the exit code.
func (r *runner) close(ctx context.Context, ends []end) error {
	answers := make([]actions.Answer, len(ends))
	code, worst := codeOK, 0
	for i := range ends {
		e := &ends[i]
		a := actions.Answer{Name: r.names[i], Output: e.output, Code: e.exit.Code, Cut: e.cut}
		before := code
		switch {
		case e.err != nil:
			a.Code, a.Why = -1, wordsOf(e.err)
			worst = codeWorst
			if code = codeNotLive; e.err == errTimeout {
				code = max(before, codeFailed)
			}
		case e.exit.Code < 0:
			a.Why = e.words()
			worst = codeWorst
			code = max(code, codeFailed)
		default:
			worst = max(worst, e.exit.Code)
			if e.exit.Code != 0 {
				code = max(code, codeFailed)
			}
		}
		if e.noted != nil {
			fmt.Fprintf(r.errs, "foretop: %s: its end was not written down everywhere: %v\n", r.names[i], e.noted)
		}
		answers[i] = a
	}
	if r.merge {
		groups := actions.Merge(answers)
		if err := actions.WriteGroups(r.out, groups, fold, r.text); err != nil {
			return err
		}
	}
	for i := range answers {
		answers[i].Output = "" // only how they ended
	}
	if !r.json {
		r.sayEnds(answers)
	}
	if r.worst {
		code = worst
	}
	if ctx.Err() != nil {
		code = codeInterrupted
	}
	if code != codeOK {
		return &failure{code: code}
	}
	return nil
}

// sayEnds names those that did not end well, equal ends once.
func (r *runner) sayEnds(answers []actions.Answer) {
	cut := slices.DeleteFunc(slices.Clone(answers), func(a actions.Answer) bool { return !a.Cut })
	for i := range answers {
		answers[i].Cut = false
	}
	say := func(names []string, words string) {
		list := fold(names)
		if len(names) > 1 {
			list = fmt.Sprintf("%s (%d)", list, len(names))
		}
		fmt.Fprintf(r.errs, "foretop: %s: %s\n", list, r.errText(words))
	}
	if len(cut) > 0 {
		names := make([]string, len(cut))
		for i := range cut {
			names[i] = cut[i].Name
		}
		say(names, fmt.Sprintf("more than %d bytes of output: the rest is not printed (--limit)", r.limit))
	}
	for _, g := range actions.Merge(answers) {
		if end := g.End(); end != "" {
			say(g.Names, end)
		}
	}
}
