package sshpool

import (
	"context"
	"testing"
	"time"
)

// stuckCarrier is a connection on which nothing comes back, the end of Close neither.
type stuckCarrier struct{ closing, over chan struct{} }

func (c stuckCarrier) run(context.Context, order) (*process, error) { return nil, errCarrierClosed }
func (c stuckCarrier) probe() error                                 { <-c.over; return errCarrierClosed }
func (c stuckCarrier) Close() error                                 { close(c.closing); <-c.over; return nil }

// A connection whose Close hangs does not keep the watch from the other nodes.
func TestWatchGoesOnWhileACloseHangs(t *testing.T) {
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	p, rec := newTestPool(t, Config{Timing: hasty()})
	stream := func(name string) stuckCarrier {
		c := stuckCarrier{make(chan struct{}), over}
		n := newNode(p, Target{Name: name})
		n.live = &liveness{carrier: c}
		n.last.Store(p.now())
		p.mu.Lock()
		p.nodes[name] = n
		p.mu.Unlock()
		return c
	}
	for _, name := range []string{"first", "second"} {
		c := stream(name)
		select {
		case <-c.closing:
		case <-time.After(patience):
			t.Fatalf("%s is not given up", name)
		}
		rec.reached(name, Stale, 0)
	}
}
