package sshpool

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// tryAcquire takes a turn if one is free at once.
func tryAcquire(p *pacer, key string) *turn {
	ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond) // what there is room for comes at once, but on a machine that stalls
	defer cancel()
	t, err := p.acquire(ctx, key, new(atomic.Bool))
	if err != nil {
		return nil
	}
	return t
}

func takeAll(p *pacer, prefix string) []*turn {
	var turns []*turn
	for i := 0; ; i++ {
		t := tryAcquire(p, fmt.Sprint(prefix, i))
		if t == nil {
			return turns
		}
		turns = append(turns, t)
	}
}

func endAll(turns []*turn) {
	for _, t := range turns {
		t.end(false)
	}
}

func TestSlowStart(t *testing.T) {
	c := &clock{time.Now()}
	p := newPacer(c.now)
	var widths []int
	for range 7 {
		turns := takeAll(p, "h")
		widths = append(widths, len(turns))
		endAll(turns)
		c.t = c.t.Add(time.Second)
	}
	if got, want := fmt.Sprint(widths), "[16 32 64 128 256 256 256]"; got != want {
		t.Errorf("in flight, a second apart: %s, want %s", got, want)
	}
}

func TestThrottlingHalves(t *testing.T) {
	c := &clock{time.Now()}
	p := newPacer(c.now)
	c.t = c.t.Add(2 * time.Second)
	turns := takeAll(p, "h")
	if len(turns) != 64 {
		t.Fatalf("%d in flight", len(turns))
	}
	turns[0].end(true)
	turns[0].end(true) // counts once
	endAll(turns)
	turns = takeAll(p, "h")
	if len(turns) != 32 {
		t.Errorf("%d in flight after throttling", len(turns))
	}
	endAll(turns)
	c.t = c.t.Add(time.Second) // a second with an error in it does not grow
	turns = takeAll(p, "h")
	if len(turns) != 32 {
		t.Errorf("%d in flight in the next second", len(turns))
	}
	endAll(turns)
	c.t = c.t.Add(time.Second)
	if turns = takeAll(p, "h"); len(turns) != 64 {
		t.Errorf("%d in flight after a good second", len(turns))
	}
	endAll(turns)
}

func gateWidth(p *pacer, key string) int {
	var turns []*turn
	for {
		t := tryAcquire(p, key)
		if t == nil {
			break
		}
		turns = append(turns, t)
	}
	endAll(turns)
	return len(turns)
}

func TestGate(t *testing.T) {
	p := newPacer(time.Now)
	var widths []int
	for range 7 {
		widths = append(widths, gateWidth(p, "login:22"))
	}
	if got, want := fmt.Sprint(widths), "[2 3 4 5 6 6 6]"; got != want {
		t.Errorf("in flight at one server: %s, want %s", got, want)
	}
	tryAcquire(p, "login:22").end(true)
	if got := gateWidth(p, "login:22"); got != 3 {
		t.Errorf("%d in flight after throttling", got)
	}
	if got := gateWidth(p, "other:22"); got != 2 {
		t.Errorf("%d in flight at another server", got)
	}
}

// A full gate holds back only its own: those behind it in the queue pass.
func TestGateDoesNotBlockOthers(t *testing.T) {
	p := newPacer(time.Now)
	a, b := tryAcquire(p, "x"), tryAcquire(p, "x")
	if tryAcquire(p, "x") != nil {
		t.Fatal("the gate is open")
	}
	if other := tryAcquire(p, "y"); other == nil {
		t.Error("another server waits too")
	}
	got := make(chan *turn)
	go func() {
		w, _ := p.acquire(context.Background(), "x", new(atomic.Bool))
		got <- w
	}()
	a.end(false)
	select {
	case w := <-got:
		w.end(false)
	case <-time.After(patience):
		t.Error("a waiter was forgotten")
	}
	b.end(false)
}

func TestEase(t *testing.T) {
	p := newPacer(time.Now)
	turns := takeAll(p, "h")
	for _, u := range turns { // all only wait for silent servers
		u.ease()
		u.ease()
	}
	if got := gateWidth(p, "h0"); got != gateFirst-1 {
		t.Errorf("%d places at a silent server: its place was given away", got)
	}
	more := takeAll(p, "i")
	if len(more) != paceFirst {
		t.Errorf("%d others in flight", len(more))
	}
	endAll(turns)
	endAll(more)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy > 1 {
		t.Errorf("%d busy at the end", p.busy)
	}
}
