package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"foretop/sshpool"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// reach is a pool's sink for commands that want nodes' connections and not what their collectors say: it keeps the collectors alive, throws their streams away, and knows
// which nodes are there.
type reach struct {
	asker *asker // who is asked what nodes ask; nil: nobody
	mu    sync.Mutex
	nodes map[string]*reached
}

// reached is one node. It is settled once it is live, or has given an answer that waiting does not change.
type reached struct {
	settled chan struct{}
	status  sshpool.Status // guarded by reach.mu
}

func newReach(names []string) *reach {
	r := &reach{nodes: make(map[string]*reached, len(names))}
	r.expect(names...)
	return r
}

// expect makes nodes known before they are reached.
func (r *reach) expect(names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range names {
		if r.nodes[n] == nil {
			r.nodes[n] = &reached{settled: make(chan struct{})}
		}
	}
}

// Status is told by the pool.
func (r *reach) Status(node string, s sshpool.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nodes[node]
	n.status = s
	switch s.State {
	case sshpool.Waiting, sshpool.Connecting, sshpool.Deploying:
		return
	}
	select {
	case <-n.settled:
	default:
		close(n.settled)
	}
}

// beatEvery is how often a collector is told that somebody is there.
const beatEvery = 10 * time.Second

// Serve is called by the pool with one node's stream.
func (r *reach) Serve(ctx context.Context, _ string, stdout io.Reader, stdin io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beat, err := facts.Encode(&facts.Control{What: &facts.Control_Heartbeat{Heartbeat: &facts.Heartbeat{}}})
	if err != nil {
		return err
	}
	go func() {
		w := telemetry.NewFrameWriter(stdin, telemetry.MaxControlBytes)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if _, err := w.Write(telemetry.KindControl, beat); err != nil {
				return // the stream's reader sees its end too
			}
		}
	}()
	in := bufio.NewReaderSize(stdout, 2<<10)
	for {
		if _, err := in.Discard(in.Size()); err != nil {
			return err
		}
	}
}

// answered says that a node is live, or will not be by waiting or by what the person says.
func (r *reach) answered(node string, n *reached) bool {
	r.mu.Lock()
	state := n.status.State
	r.mu.Unlock()
	switch state {
	case sshpool.Waiting, sshpool.Connecting, sshpool.Deploying:
		return false
	case sshpool.NeedsTrust, sshpool.NeedsAuth:
		return !r.asker.waits(node)
	}
	return true
}

// await waits until a node is live; the error says why it is not, and what helps.
func (r *reach) await(ctx context.Context, node string, within time.Duration) error {
	r.mu.Lock()
	n := r.nodes[node]
	r.mu.Unlock()
	late := false
	if r.asker != nil {
		late = !r.asker.await(ctx, within, func() bool { return r.answered(node, n) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
	} else {
		limit := time.NewTimer(within)
		defer limit.Stop()
		select {
		case <-n.settled:
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			late = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := n.status
	switch {
	case s.State == sshpool.Live || s.State == sshpool.Stale:
		return nil
	case s.Cause == "" && late:
		return fmt.Errorf("%s: no answer within %v (--connect waits longer)", s.State, within)
	}
	text := s.State.String()
	if s.Cause != "" {
		text += ": " + s.Cause
	}
	if s.Remedy != "" {
		text += " (" + s.Remedy + ")"
	}
	return fmt.Errorf("%s", text)
}
