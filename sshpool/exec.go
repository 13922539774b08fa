package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNotStarted says that a command was certainly not started. [ErrNotConnected] is one of its kind.
var ErrNotStarted = errors.New("not started")

// ErrEndUnknown says that a command was started, or may have been, and that nobody knows how it went on: the connection was lost, or nobody waited any longer.
var ErrEndUnknown = errors.New("its end is not known")

// Command is a command line for one node.
type Command struct {
	Line string // for the login shell of the node's user: see Quote
	// Stdout and Stderr get what it prints, one write at a time; they may be one. nil throws it away. An error of theirs ends the command.
	Stdout, Stderr io.Writer
}

// Exit is how a command ended.
type Exit struct {
	Code   int    // 0 to 255; -1: by a signal, or it is not known
	Signal string // "TERM"; "" none
}

// stopGrace is how long a command that is to stop may take to say how it ended.
const stopGrace = time.Second

// Exec runs a command over the connection that a node's stream uses; where the node's sshd allows no second session on it, over one of its own. The error is nil for a command that ended,
// however it did.
//
// When ctx ends the command is sent a TERM, as far as the node's sshd passes one on, and has a second to end; then its channel is closed. The error then is that of
// ctx, and wraps [ErrEndUnknown] unless the command's end came in time.
func (p *Pool) Exec(ctx context.Context, name string, c Command) (Exit, error) {
	n, l := p.liveOf(name)
	if l == nil {
		return Exit{Code: -1}, fmt.Errorf("run on %s: %w", name, ErrNotConnected)
	}
	exit := Exit{Code: -1}
	err := n.act(ctx, l, func(over carrier) (err error) {
		exit, err = execOn(ctx, over, c)
		return err
	})
	if err != nil {
		return exit, fmt.Errorf("run on %s: %w", name, advised(err))
	}
	return exit, nil
}

// liveOf is a node and its running stream; nil where none runs.
func (p *Pool) liveOf(name string) (*node, *liveness) {
	p.mu.Lock()
	n := p.nodes[name]
	p.mu.Unlock()
	if n == nil {
		return nil, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.live == nil || n.live.lost != nil {
		return nil, nil
	}
	return n, n.live
}

// because adds to an error why the watch ended the connection, where it did.
func (n *node) because(l *liveness, err error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil && l.lost != nil {
		return fmt.Errorf("%w: %w", err, l.lost)
	}
	return err
}

// stages of an order. It is given up or sent, never both: so whoever gives one up in time knows that it was never started.
const (
	orderOpening int32 = iota
	orderSent
	orderGivenUp
	orderRefused // sent, and the node said no
)

// order is what a carrier is asked to run.
type order struct {
	command string // "" with a terminal: the login shell
	stderr  io.Writer
	users   bool          // the user's own command: with the environment that his configuration sends
	term    *Term         // nil: no terminal
	stage   *atomic.Int32 // nil: whoever asks does not mind
}

// send says that the order is about to be sent; false when it was given up.
func (o *order) send() bool {
	return o.stage == nil || o.stage.CompareAndSwap(orderOpening, orderSent)
}

func (o *order) refused() {
	if o.stage != nil {
		o.stage.Store(orderRefused)
	}
}

// unsure is an error of an order, in words that say whether it was started.
func (o *order) unsure(err error) error {
	if o.stage.Load() == orderSent {
		return fmt.Errorf("%w: %w", ErrEndUnknown, err)
	}
	return fmt.Errorf("%w: %w", ErrNotStarted, err)
}

// begin starts an order, and gives up waiting for that when ctx ends.
func begin(ctx context.Context, c carrier, o order) (*process, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotStarted, ctx.Err())
	}
	o.stage = new(atomic.Int32)
	p, err := open(ctx, c, o)
	if err == nil {
		return p, nil
	}
	o.stage.CompareAndSwap(orderOpening, orderGivenUp)
	return nil, o.unsure(err)
}

func execOn(ctx context.Context, c carrier, cmd Command) (Exit, error) {
	var mu sync.Mutex
	out, errs := &outlet{mu: &mu, to: cmd.Stdout, failed: make(chan struct{})}, &outlet{mu: &mu, to: cmd.Stderr, failed: make(chan struct{})}
	defer out.close()
	defer errs.close()
	p, err := begin(ctx, c, order{command: cmd.Line, stderr: errs, users: true})
	if err != nil {
		return Exit{Code: -1}, err
	}
	_ = p.closeStdin() // nothing is typed into it
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.CopyBuffer(out, onlyReader{p.stdout}, make([]byte, 4<<10))
		<-p.stderr.done
		<-p.exit.done
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		return p.stop(ctx.Err())
	case <-out.failed:
		return p.stop(out.err)
	case <-errs.failed:
		return p.stop(errs.err)
	}
	return p.ended()
}

// ended is how a process ended, once its exit is known.
func (p *process) ended() (Exit, error) {
	e := Exit{p.exit.code, clean(p.exit.signal)}
	if e.Code >= 0 || e.Signal != "" {
		return e, nil
	}
	cut := p.cutOff()
	var why *problem
	switch {
	case errors.As(cut, &why) && why.state == Refused:
		return e, fmt.Errorf("%w: %w", ErrNotStarted, cut)
	case cut != nil:
		return e, fmt.Errorf("%w: %w", ErrEndUnknown, cut)
	}
	return e, fmt.Errorf("%w: %w", ErrEndUnknown, errCarrierClosed)
}

// stop ends a process before its time, because of err. Nothing here waits for a connection that takes no more.
func (p *process) stop(err error) (Exit, error) {
	go func() {
		if p.signal != nil {
			p.signal("TERM")
			p.exit.wait(stopGrace)
		}
		p.kill()
	}()
	late := time.NewTimer(stopGrace)
	defer late.Stop()
	select {
	case <-p.exit.done:
		if e, unknown := p.ended(); unknown == nil {
			return e, err
		}
	case <-late.C:
	}
	return Exit{Code: -1}, fmt.Errorf("%w: %w", ErrEndUnknown, err)
}

// outlet lets writes through until it is closed, one at a time with those of its brother.
type outlet struct {
	mu     *sync.Mutex
	to     io.Writer
	shut   bool
	err    error         // of to, set before failed is closed
	failed chan struct{} // to took no more
}

func (g *outlet) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.shut:
		return 0, errCarrierClosed
	case g.to == nil:
		return len(b), nil
	}
	n, err := g.to.Write(b)
	if err != nil {
		g.shut, g.err = true, err
		close(g.failed)
	}
	return n, err
}

func (g *outlet) close() {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
}

// onlyReader hides what else a reader can do, so that the buffer is ours.
type onlyReader struct{ io.Reader }
