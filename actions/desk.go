package actions

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"foretop/schedulers"
	"foretop/telemetry"
)

// Limits of carrying out.
const (
	width    = 32               // steps at once
	lookFor  = 10 * time.Minute // how long a step of which no answer came is looked up
	maxWords = 512              // of a result, in bytes
)

// ErrNotSent is an order or a command that was never sent: nothing happened.
var ErrNotSent = schedulers.ErrNotSent

// Desk carries out what was confirmed.
type Desk struct {
	Audit    *Audit // nil: nothing is done at all
	User     string // who acts
	From     string // on which machine
	ReadOnly string // why nothing may be done; "" it may
	Now      func() time.Time
	Pause    func(try int) time.Duration // between two looks at what happened to a step; nil: a second, then longer
}

// Job is an action that is carried out. It goes on until all its steps are final or nothing is known of them for too long.
type Job struct {
	Preview *Preview
	ID      string

	mu      sync.Mutex
	results []Result
	changed chan struct{} // closed and renewed with each change
	stop    chan struct{} // closed: nothing more starts
	stopped bool
	done    chan struct{}
}

// ErrConfirm is an answer that confirms nothing.
var ErrConfirm = errors.New("not confirmed")

// Start begins what a preview says, if answer confirms it: "y", or the number that [Preview.Count] asks for. Steps run in its goroutines, until ctx ends.
func (d *Desk) Start(ctx context.Context, p *Preview, answer string) (*Job, error) {
	if err := d.may(p, answer); err != nil {
		return nil, err
	}
	if p.Intent.Kind == Dump {
		return nil, errors.New("stacks are an answer, not a job: Desk.Stacks gives them")
	}
	j := &Job{Preview: p, ID: rand.Text()[:12], results: make([]Result, len(p.Steps)), changed: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	for i, s := range p.Steps {
		j.results[i] = Result{Target: s.Target}
		if s.Refused != "" {
			j.results[i].State, j.results[i].Words = Refused, s.Refused
		}
	}
	go d.run(ctx, j)
	return j, nil
}

// may says why a preview must not be carried out upon an answer.
func (d *Desk) may(p *Preview, answer string) error {
	switch {
	case d.ReadOnly != "":
		return errors.New(d.ReadOnly)
	case d.Audit == nil:
		return errNoAudit
	case p.Trouble != "":
		return errors.New(p.Trouble)
	case !p.Confirms(answer):
		return ErrConfirm
	}
	return nil
}

// Note writes a line of something that is done otherwise, such as a shell; the first of its lines gives it an id.
func (d *Desk) Note(l *Line, state, words string) error {
	if d.Audit == nil {
		return errNoAudit
	}
	if l.ID == "" {
		l.ID = rand.Text()[:12]
	}
	l.Time, l.User, l.From, l.State, l.Words = d.now(), d.User, d.From, state, clean(words)
	return d.Audit.Append(*l)
}

var errNoAudit = errors.New("no audit file is configured: nothing is done without one (actions.audit in the configuration file)")

func (d *Desk) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

func (d *Desk) run(ctx context.Context, j *Job) {
	defer close(j.done)
	var group sync.WaitGroup
	room := make(chan struct{}, width)
	for i := range j.Preview.Steps {
		if j.Preview.Steps[i].Refused != "" {
			continue
		}
		if !j.may(ctx, room) {
			j.set(i, func(r *Result) { r.State = NotStarted })
			continue
		}
		group.Go(func() {
			defer func() { <-room }()
			d.step(ctx, j, i)
		})
	}
	group.Wait()
}

// may waits for room for one more step; false once nothing more is to start.
func (j *Job) may(ctx context.Context, room chan struct{}) bool {
	select {
	case <-j.stop:
		return false
	case <-ctx.Done():
		return false
	default:
	}
	select {
	case room <- struct{}{}:
		return true
	case <-j.stop:
		return false
	case <-ctx.Done():
		return false
	}
}

// step carries one out. Its audit lines frame it: without the first nothing is done, and without the last the result says so.
func (d *Desk) step(ctx context.Context, j *Job, i int) {
	s := &j.Preview.Steps[i]
	line := Line{Time: d.now(), ID: j.ID, User: d.User, From: d.From, Action: j.Preview.Intent.Kind, Target: s.Target, Where: s.Where, Command: s.Commands, Reason: j.Preview.Intent.Reason, State: Starts}
	if err := d.Audit.Append(line); err != nil {
		j.set(i, func(r *Result) { r.State, r.Words = Failed, clean("nothing was done: "+err.Error()) })
		return
	}
	j.set(i, func(r *Result) { r.State, r.Start = Running, d.now() })
	words, err := d.do(ctx, j, i, s)
	state := stateOf(err)
	if err != nil {
		words = err.Error()
	}
	d.end(j, i, line, state, words)
	if state == Unknown {
		// It may have waited long before it was sent.
		if state, words = d.lookUp(ctx, j, i, s, d.now()); state != Unknown {
			d.end(j, i, line, state, words)
		}
	}
}

// do runs a step; the output of a command goes to its result.
func (d *Desk) do(ctx context.Context, j *Job, i int, s *Step) (words string, err error) {
	if s.run == nil {
		return s.do(ctx, func(words string) { j.set(i, func(r *Result) { r.Words = clean(words) }) })
	}
	out, err := s.run(ctx)
	j.set(i, func(r *Result) { r.Output = out })
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("exit status %d", out.Code)
	}
	return "", err
}

// stateOf is what an error of a step means.
func stateOf(err error) State {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, schedulers.ErrUnsure):
		return Unknown
	}
	return Failed
}

// end says how a step ended, on the screen and in the audit file.
func (d *Desk) end(j *Job, i int, line Line, state State, words string) {
	words = clean(words)
	line.Time, line.State, line.Words = d.now(), state.String(), words
	err := d.Audit.Append(line)
	j.set(i, func(r *Result) {
		r.State, r.Words, r.End = state, words, d.now()
		if err != nil {
			r.Words = clean(words + " · its end was not written down everywhere: " + err.Error())
		}
	})
}

// lookUp finds out what became of a step of which no answer came. It asks, and never does.
func (d *Desk) lookUp(ctx context.Context, j *Job, i int, s *Step, lost time.Time) (State, string) {
	if s.look == nil {
		return Unknown, ""
	}
	until := d.now().Add(lookFor)
	for try := 0; d.now().Before(until); try++ {
		select {
		case <-ctx.Done():
			return Unknown, ""
		case <-time.After(d.pause(try)):
		}
		so, words, err := s.look(ctx)
		switch {
		case err != nil:
			j.set(i, func(r *Result) { r.Words = clean("no answer yet: " + err.Error()) })
		case !so && d.now().Before(lost.Add(s.settle)):
			j.set(i, func(r *Result) { r.Words = clean("not so yet: " + words) })
		case so:
			return Done, "it was carried out, found out later: " + words
		default:
			return Failed, "it was not carried out, found out later: " + words
		}
	}
	return Unknown, ""
}

func (d *Desk) pause(try int) time.Duration {
	if d.Pause != nil {
		return d.Pause(try)
	}
	return min(time.Second<<min(try, 5), 15*time.Second)
}

func clean(s string) string { return telemetry.Clean(s, maxWords) }

func (j *Job) set(i int, change func(*Result)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.results[i])
	close(j.changed)
	j.changed = make(chan struct{})
}

// Cancel lets nothing more start.
func (j *Job) Cancel() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.stopped {
		j.stopped = true
		close(j.stop)
	}
}

// Done is closed when nothing more will change.
func (j *Job) Done() <-chan struct{} { return j.done }

// Results are those so far, a step each; changed is closed when there are others.
func (j *Job) Results() (results []Result, changed <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.results), j.changed
}

// Undo is the intent that takes a drain back, while that may be done; nil otherwise.
func (j *Job) Undo(now time.Time) *Intent {
	in := &j.Preview.Intent
	if in.Kind != Drain {
		return nil
	}
	results, _ := j.Results()
	undo := &Undo{Reason: map[string]string{}}
	out := &Intent{Kind: Resume, Undo: undo}
	for i, r := range results {
		s := &j.Preview.Steps[i]
		if r.State != Done || s.node == "" || s.reason == "" {
			continue
		}
		if end := r.End.Add(undoFor); end.After(now) {
			undo.Reason[s.node] = s.reason
			undo.Until = end
			out.Nodes = append(out.Nodes, s.node)
		}
	}
	if len(out.Nodes) == 0 {
		return nil
	}
	return out
}

// undoFor is how long a drain can be taken back at one key.
const undoFor = 30 * time.Second
