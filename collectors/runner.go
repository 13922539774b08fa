package collectors

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	deadline = 2 * time.Second        // a read that takes longer is stuck
	settle   = 200 * time.Millisecond // how long a sample waits for its readings; what is later comes in the next one
	lookout  = 10 * time.Second       // how often it is looked whether the node has by now what it did not have
)

// worker runs one source in its own goroutine. It is never called again before it returned.
type worker struct {
	source Source
	index  int
	wake   chan struct{}
	since  atomic.Int64 // when the present read began, monotonic ms; 0 = idle
	lacks  atomic.Bool  // the node has nothing of the kind
	due    int64        // of the runner only
}

// runner lets the sources read when they are due.
type runner struct {
	m       *machine
	workers []*worker
	done    chan int
	pending []bool
	late    *time.Timer
}

func startRunner(ctx context.Context, m *machine, sources []Source) *runner {
	r := &runner{m: m, done: make(chan int, len(sources)), pending: make([]bool, len(sources)), late: time.NewTimer(time.Hour)}
	for i, s := range sources {
		w := &worker{source: s, index: i, wake: make(chan struct{}, 1)}
		r.workers = append(r.workers, w)
		m.board.inventory.Sources = append(m.board.inventory.Sources, &facts.Source{Name: s.Name, EveryMs: s.Every.Milliseconds()})
		go w.run(ctx, r)
	}
	return r
}

// tick wakes the sources that are due and waits for them, at most [settle]. Those in a call that does not return are told to be stuck.
func (r *runner) tick(ctx context.Context, every time.Duration) {
	if r.m.board.moved.Swap(false) {
		r.hurry("process")
	}
	now := r.m.clock.MonoMS()
	r.m.board.ease(now)
	stretch := r.m.board.stretch()
	waiting := 0
	for i, w := range r.workers {
		r.pending[i] = false
		if since := w.since.Load(); since != 0 {
			r.m.overdue(w, now-since, now)
			continue
		}
		if now < w.due {
			continue
		}
		pace := w.source.Every
		if w.lacks.Load() {
			pace = max(pace, lookout)
		} else if w.source.Name != "kernel_log" { // what it says cannot wait, and costs nothing while it says nothing
			pace = max(pace, min(pace*time.Duration(stretch), lookout))
		}
		// A tick comes a little early or late; half a tick of slack keeps the source on its own pace.
		w.due = now + (pace - min(every, pace)/2).Milliseconds()
		w.since.Store(max(now, 1))
		r.pending[i] = true
		waiting++
		w.wake <- struct{}{}
	}
	r.late.Reset(settle)
	defer r.late.Stop()
	for waiting > 0 {
		select {
		case i := <-r.done:
			if r.pending[i] {
				r.pending[i] = false
				waiting--
			}
		case <-r.late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// hurry makes sources due at once; no name: all of them.
func (r *runner) hurry(names ...string) {
	for _, w := range r.workers {
		if len(names) == 0 || slices.Contains(names, w.source.Name) {
			w.due = 0
		}
	}
}

// overdue tells that a source is in a call since the time given.
func (m *machine) overdue(w *worker, since, now int64) {
	if since < deadline.Milliseconds() {
		return
	}
	m.board.mu.Lock()
	defer m.board.mu.Unlock()
	m.board.state.Set(telemetry.SourceStuckMS, w.index, since)
	m.board.note(w.index, condition{state: facts.SourceState_SOURCE_STUCK, text: "in a call that does not return"}, now-since)
}

func (w *worker) run(ctx context.Context, r *runner) {
	var read reader
	defer func() {
		if read != nil {
			read.close()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		began := time.Now()
		err := w.call(ctx, r.m, &read)
		w.finished(r.m, err, time.Since(began))
		select {
		case r.done <- w.index:
		default:
		}
	}
}

// call makes the reader when there is none, and reads. A panic is a fault of ours that must not cost the other sources.
func (w *worker) call(ctx context.Context, m *machine, read *reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read %s: fault in the collector: %v", w.source.Name, p)
			abandon(*read)
			*read = nil
		}
	}()
	if *read == nil {
		if *read = elsewhere(w.source.Name, m); *read == nil {
			*read = w.source.New(m)
		}
	}
	return (*read).read(ctx)
}

// abandon closes a reader that panicked: its files and programs would stay open with each panic. It may be in any state, so that may panic as well.
func abandon(r reader) {
	defer func() { recover() }()
	if r != nil {
		r.close()
	}
}

func (w *worker) finished(m *machine, err error, cost time.Duration) {
	now := m.clock.MonoMS()
	m.board.mu.Lock()
	defer m.board.mu.Unlock()
	w.since.Store(0)
	m.board.state.Clear(telemetry.SourceStuckMS, w.index)
	m.board.state.Set(telemetry.SourceCallUS, w.index, cost.Microseconds())
	c := conditionOf(err)
	w.lacks.Store(c.state == facts.SourceState_SOURCE_UNSUPPORTED)
	if c.stuckMS > 0 {
		m.board.state.Set(telemetry.SourceStuckMS, w.index, c.stuckMS)
		c.stuckMS = 0
	}
	m.board.note(w.index, c, now)
}
