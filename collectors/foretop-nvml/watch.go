//go:build linux && cgo

package main

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

const stuckAfter = 3 * time.Second

// watch knows which call into the driver is out, and tells the collector when it is late: the one word that still gets out when the
// driver does not answer. It also keeps what each call cost.
type watch struct {
	out  *output
	mark mark
	beat atomic.Int64 // of now, in nanoseconds; 0: as often as at the usual pace

	mu      sync.Mutex
	call    call
	gpu     int
	since   time.Time // zero: no call is out
	waiting time.Time // since when the wait for events is out; zero: none is
	costs   [callWait]cost
}

// cost is what the calls of one function took.
type cost struct {
	count            int64
	total, last, max time.Duration
}

// enter notes that a call is about to be made, on a GPU or (-1) on none. The next enter, or leave, means that it is back.
func (w *watch) enter(c call, gpu int) {
	now := time.Now()
	w.mu.Lock()
	w.back(now)
	w.call, w.gpu, w.since = c, gpu, now
	w.mu.Unlock()
	w.mark.busy()
}

// leave ends a round.
func (w *watch) leave() {
	now := time.Now()
	w.mu.Lock()
	w.back(now)
	w.mu.Unlock()
	w.mark.idle()
}

func (w *watch) back(now time.Time) {
	if w.since.IsZero() || w.call >= callWait {
		return
	}
	took := now.Sub(w.since)
	w.since = time.Time{}
	c := &w.costs[w.call]
	c.count++
	c.total += took
	c.last = took
	c.max = max(c.max, took)
}

// wait notes that the wait for events begins, waited that it is over.
func (w *watch) wait() { w.setWaiting(time.Now()) }

func (w *watch) waited() { w.setWaiting(time.Time{}) }

func (w *watch) setWaiting(at time.Time) {
	w.mu.Lock()
	w.waiting = at
	w.mu.Unlock()
}

// waitIsLate says that the wait for events does not return though its time is long over.
func (w *watch) waitIsLate() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.waiting.IsZero() && time.Since(w.waiting) > eventWait+stuckAfter
}

// put writes the costs of those calls that were ever made.
func (w *watch) put(s *telemetry.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range w.costs {
		if c.count > 0 {
			s.Set(telemetry.CallCount, i, c.count)
			s.Set(telemetry.CallTotalUS, i, c.total.Microseconds())
			s.Set(telemetry.CallLastUS, i, c.last.Microseconds())
			s.Set(telemetry.CallMaxUS, i, c.max.Microseconds())
		}
	}
}

// run writes a status whenever nothing else was written for a beat: which call is out, or (health unknown) just that all is quiet.
func (w *watch) run() {
	for {
		beat := max(time.Duration(w.beat.Load()), pipe.Beat(0))
		time.Sleep(beat)
		w.mu.Lock()
		s := pipe.Status{Health: pipe.OK, Call: w.call.String(), GPU: w.gpu}
		out := time.Since(w.since)
		busy := !w.since.IsZero()
		w.mu.Unlock()
		if w.out.silentFor() < beat*9/10 {
			continue
		}
		switch {
		case !busy:
			s = pipe.Status{GPU: -1}
		case out >= stuckAfter:
			s.Health, s.ForMS = pipe.Stuck, out.Milliseconds()
		default:
			s.ForMS = out.Milliseconds()
		}
		w.out.status(s)
	}
}

// mark shows in the process's name (/proc/PID/comm, what ps and top show) whether it is in the driver: "foretop-nvml*3" is in its round 3 (mod 36), and so
// it stays when it never comes out again, killed or not. By this a later collector of the same user tells that a reader is stuck before it
// starts another (package nvml, others.go).
type mark struct {
	name  string
	round int
	file  *os.File // nil: no /proc
	in    bool
}

func newMark(name string) mark {
	m := mark{name: name}
	m.file, _ = os.OpenFile("/proc/self/comm", os.O_WRONLY, 0)
	m.write(m.name)
	return m
}

func (m *mark) busy() {
	if !m.in {
		m.in = true
		m.round++
		m.write(m.name + pipe.MarkBusy + string("0123456789abcdefghijklmnopqrstuvwxyz"[m.round%36]))
	}
}

func (m *mark) idle() {
	if m.in {
		m.in = false
		m.write(m.name)
	}
}

func (m *mark) write(s string) {
	if m.file != nil {
		m.file.Write([]byte(s)) // each write sets the whole name
	}
}
