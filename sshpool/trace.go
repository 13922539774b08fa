package sshpool

import (
	"context"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// Trace is told each step of the way to one node as the pool goes it, as net/http/httptrace is of a request: what `foretop doctor` shows is what the pool did, not what another
// program would do. It is for one try of one target; a target without one is reached in the very same way. Its methods may be called from any goroutine.
type Trace struct {
	mu    sync.Mutex
	steps []*span
}

// Step is one thing that was done on the way to a node. Its texts are clean and bounded.
type Step struct {
	Name string // "resolve", "name", "TCP", "key exchange", …
	Hop  string // the jump host that it concerns; "": the node itself
	Took time.Duration
	End  StepEnd
	Said []string // what came of it, in words

	Cause, Remedy string // of one that failed
}

// StepEnd is how a step ended.
type StepEnd uint8

// The ends.
const (
	StepOpen    StepEnd = iota // it has not ended
	StepDone                   // it went well
	StepFailed                 // it is why the node is not reached, or why another way was taken
	StepDropped                // it did not come to an end, for a step after it failed
)

// maxSaid bounds the words of one step, and maxSteps the steps: a node decides about how many there are.
const (
	maxSaid  = 40
	maxSteps = 500
)

// Steps are the steps so far, in the order in which they began.
func (t *Trace) Steps() []Step {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Step, len(t.steps))
	for i, s := range t.steps {
		out[i] = s.step
		out[i].Said = append([]string(nil), s.step.Said...)
		if s.step.End == StepOpen {
			out[i].Took = time.Since(s.begun)
		}
	}
	return out
}

// finish says why the try ended: the step that was last is the one that failed.
func (t *Trace) finish(err error) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.steps) == 0 {
		return
	}
	culprit := t.steps[len(t.steps)-1]
	if culprit.step.End == StepDone { // the step that it was part of
		for _, s := range t.steps {
			if s.step.End == StepOpen {
				culprit = s
			}
		}
	}
	culprit.fail(err)
	for _, s := range t.steps {
		if s.step.End == StepOpen {
			s.close(StepDropped)
		}
	}
}

// tracing is a trace where it is now: which host the steps concern. It travels in the context; nil: nobody looks.
type tracing struct {
	trace *Trace
	hop   string
}

type traceKey struct{}

// withTrace gives a context whose steps t is told.
func withTrace(ctx context.Context, t *Trace) context.Context {
	if t == nil {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, &tracing{trace: t})
}

// traceOf is the trace of a context; nil where it has none. All that is called on it then does nothing.
func traceOf(ctx context.Context) *tracing {
	t, _ := ctx.Value(traceKey{}).(*tracing)
	return t
}

// atHop gives a context whose steps concern a jump host.
func atHop(ctx context.Context, host string) context.Context {
	t := traceOf(ctx)
	if t == nil {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, &tracing{t.trace, clean(host)})
}

// span is a step that may be going on.
type span struct {
	trace *Trace
	begun time.Time
	step  Step // guarded by trace.mu
}

// step begins a step.
func (t *tracing) step(name string) *span {
	if t == nil {
		return nil
	}
	s := &span{trace: t.trace, begun: time.Now(), step: Step{Name: name, Hop: t.hop}}
	t.trace.mu.Lock()
	defer t.trace.mu.Unlock()
	if len(t.trace.steps) < maxSteps {
		t.trace.steps = append(t.trace.steps, s)
	}
	return s
}

// note is a step that takes no time.
func (t *tracing) note(name string, words ...string) {
	s := t.step(name)
	s.say(words...)
	s.end(nil)
}

// say adds what came of a step; what is empty is left out.
func (s *span) say(words ...string) {
	if s == nil {
		return
	}
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	for _, w := range words {
		if w = clean(w); w != "" && len(s.step.Said) < maxSaid {
			s.step.Said = append(s.step.Said, w)
		}
	}
}

// end ends a step; only the first call counts. One that is why the node is not reached need not be ended: finish does.
func (s *span) end(err error) {
	if s == nil {
		return
	}
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	if s.step.End != StepOpen {
		return
	}
	if err == nil {
		s.close(StepDone)
		return
	}
	s.fail(err)
}

// fail closes a step as failed; the lock is held.
func (s *span) fail(err error) {
	s.close(StepFailed)
	p := asProblem(err)
	s.step.Cause, s.step.Remedy = p.cause, p.remedy
}

// close is end with the lock held.
func (s *span) close(end StepEnd) {
	if s.step.End == StepOpen {
		s.step.Took = time.Since(s.begun)
	}
	s.step.End = end
}

// dialling gives a context whose name look-ups and TCP connections are steps.
func dialling(ctx context.Context) context.Context {
	t := traceOf(ctx)
	if t == nil {
		return ctx
	}
	var mu sync.Mutex
	var name *span
	connects := make(map[string]*span) // by address: several may be tried at once
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(i httptrace.DNSStartInfo) {
			mu.Lock()
			defer mu.Unlock()
			name = t.step("name")
			name.say(i.Host)
		},
		DNSDone: func(i httptrace.DNSDoneInfo) {
			mu.Lock()
			defer mu.Unlock()
			var addrs []string
			for _, a := range i.Addrs {
				addrs = append(addrs, a.String())
			}
			name.say(strings.Join(addrs, ", "))
			name.end(i.Err)
		},
		ConnectStart: func(_, addr string) {
			mu.Lock()
			defer mu.Unlock()
			connects[addr] = t.step("TCP")
			connects[addr].say(addr)
		},
		ConnectDone: func(_, addr string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				err = networkProblem(err, addr)
			}
			connects[addr].end(err)
		},
	})
}
