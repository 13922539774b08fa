package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// A server may allow one session a connection (MaxSessions 1), or end a connection whenever a session on it ends. The stream has that one session: what the user asks for then
// gets a connection of its own, logged in like the first, when it is its turn at that server, and closed with what it was opened for.

const (
	// slotWait is how long the place of a session that has ended may take to be free: sshd counts it until its processes are gone.
	slotWait = 3 * time.Second
	// blameTime is how soon after a session of the user's a stream must be cut for that session to have been one too many.
	blameTime = 500 * time.Millisecond
)

// crowded says that a session was not opened because of those that there are: nothing was started.
func crowded(err error) bool {
	var open *ssh.OpenChannelError
	if errors.As(err, &open) {
		return open.Reason != ssh.UnknownChannelType
	}
	return errors.Is(err, errCutOpening)
}

// act does what needs a session of its own on a live node: over the connection of its stream, or, where that has no room for one, over another. The error says why the
// watch ended the connection, where it did.
func (n *node) act(ctx context.Context, l *liveness, do func(carrier) error) error {
	if !n.alone.Load() {
		n.acted.Store(n.pool.now())
		err := do(l.carrier)
		n.acted.Store(n.pool.now())
		if err == nil || !crowded(err) || n.target.Local || n.target.Door != nil {
			return n.because(l, err)
		}
	}
	c, err := n.second(ctx)
	if err != nil {
		return fmt.Errorf("%w: its sshd allows one session a connection, and there is no second connection: %w", ErrNotStarted, err)
	}
	n.alone.Store(true)
	defer c.Close()
	return do(c)
}

// second logs in once more, with what hosts took before where a key does not do; nobody is asked. ctx ends the wait.
func (n *node) second(ctx context.Context) (*sshCarrier, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	r := n.target.Resolved
	if r == nil {
		var err error
		if r, err = n.pool.resolver.resolve(ctx, n.target.Name); err != nil {
			return nil, err
		}
	}
	own := *r
	own.ControlPath = "" // an open master has no room either
	turn, err := n.pool.pace.acquire(ctx, gateKey(&own), nil)
	if err != nil {
		return nil, err
	}
	c, err := n.pool.connect(ctx, &own)
	turn.end(err != nil && asProblem(err).throttled)
	if err != nil && asProblem(err).ask != "" {
		err = n.unasked(asProblem(err))
	}
	return c, err
}

// unasked is a second login for which a person would have to be asked. Nothing interactive begins for it: it would with each action anew.
func (n *node) unasked(p *problem) *problem {
	n.pool.asks.abandon(p.ask)
	out := *p
	out.ask = ""
	out.remedy = "for each action it would be asked anew: ask its admin for MaxSessions 2 or more, or log in by ssh with ControlMaster, whose open connection is used"
	return &out
}

// blame notes that a stream was cut by a session of the user's: the next one gets a connection of its own.
func (n *node) blame() {
	if at := n.acted.Load(); at > 0 && time.Duration(n.pool.now()-at) < blameTime {
		n.alone.Store(true)
	}
}

// hold is the connection that one try has: where a server ends each after a session, one after the other.
type hold struct {
	mu    sync.Mutex
	c     carrier
	over  bool
	again func(ctx context.Context) (carrier, error) // nil: there is only this one
}

// Close ends the present connection, and all that would come.
func (h *hold) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	h.c.Close()
}

// renew puts a new connection in the place of one that has ended.
func (h *hold) renew(ctx context.Context) error {
	c, err := h.again(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		c.Close()
		return errCarrierClosed
	}
	h.c.Close()
	h.c = c
	return nil
}

func (h *hold) carrier() carrier {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.c
}

// run asks for one more session of a deployment. The place of the one before may be taken for a moment still, or the connection may have ended with it.
func (d *deployment) run(ctx context.Context, o order) (*process, error) {
	renewed := false
	for begun, wait := time.Now(), 20*time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		p, err := d.hold.carrier().run(ctx, o)
		switch {
		case err == nil:
			d.sessions++
			return p, nil
		case d.sessions == 0 || ctx.Err() != nil:
			return nil, err
		case ended(err) && d.hold.again != nil && !renewed:
			if err := d.hold.renew(ctx); err != nil {
				return nil, err
			}
			renewed = true
		case crowded(err) && time.Since(begun) < slotWait:
			if sleep(ctx, wait) != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// ended says that a connection was over when it was asked for something.
func ended(err error) bool {
	return errors.Is(err, errCarrierClosed) || errors.Is(err, errCutOpening) || errors.Is(err, io.EOF) || isReset(err)
}
