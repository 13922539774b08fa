package accelerators

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// question runs a program that answers and ends, in a goroutine of its own. There is one at a time: while it does not end, nothing else is asked.
type question struct {
	start    func(context.Context, string, ...string) (Program, error) // of the Machine
	most     int                                                       // bytes of an answer; what is more is cut off
	deadline time.Duration

	mu     sync.Mutex
	asked  time.Time // the question that is out; zero: none
	told   bool      // an answer waits to be fetched
	answer []byte
	err    error
}

var errSlow = errors.New("did not answer in time")

// ask puts a question, unless one is out or its answer was not fetched.
func (q *question) ask(ctx context.Context, name string, args ...string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.asked.IsZero() || q.told || q.start == nil {
		return false
	}
	q.asked = time.Now()
	go q.run(ctx, name, args)
	return true
}

func (q *question) run(ctx context.Context, name string, args []string) {
	out, err := q.read(ctx, name, args)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked, q.told, q.answer, q.err = time.Time{}, true, out, err
}

func (q *question) read(ctx context.Context, name string, args []string) ([]byte, error) {
	p, err := q.start(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	late := time.AfterFunc(q.deadline, p.Kill)
	out, err := io.ReadAll(io.LimitReader(p.Out, int64(q.most)))
	inTime := late.Stop()
	p.Kill() // no-op for one whose output ended because it did
	end := p.End()
	switch {
	case !inTime:
		return out, errSlow
	case err == nil && len(out) < q.most:
		return out, end
	}
	return out, err
}

// fetch gives the answer, once.
func (q *question) fetch() (answer []byte, err error, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	answer, err, ok = q.answer, q.err, q.told
	q.answer, q.err, q.told = nil, nil, false
	return answer, err, ok
}

// out says for how long the present question has had no answer; 0: none is out.
func (q *question) out() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asked.IsZero() {
		return 0
	}
	return time.Since(q.asked)
}
