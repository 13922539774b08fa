//go:build linux && cgo

package main

import (
	"sync"
	"time"

	"foretop/collectors/nvml/pipe"
)

const (
	heartbeat  = time.Second
	stuckAfter = 3 * time.Second
)

// watch knows which call into the driver is out, and tells the collector when it is late: the one word that still gets out when the
// driver does not answer.
type watch struct {
	out   *output
	mu    sync.Mutex
	call  string
	gpu   int
	since time.Time // zero: no call is out
}

// enter notes that a call is about to be made, on a GPU or (-1) on none. The next enter, or leave, means that it is back.
func (w *watch) enter(call string, gpu int) {
	now := time.Now()
	w.mu.Lock()
	w.call, w.gpu, w.since = call, gpu, now
	w.mu.Unlock()
}

func (w *watch) leave() {
	w.mu.Lock()
	w.since = time.Time{}
	w.mu.Unlock()
}

// run writes a status whenever nothing else was written for a second: which call is out, or (health unknown) just that all is quiet.
func (w *watch) run() {
	for range time.Tick(heartbeat / 2) {
		w.mu.Lock()
		s := pipe.Status{Health: pipe.OK, Call: w.call, GPU: w.gpu}
		out := time.Since(w.since)
		busy := !w.since.IsZero()
		w.mu.Unlock()
		if w.out.silentFor() < heartbeat {
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
