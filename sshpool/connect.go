package sshpool

import (
	"context"
	"errors"
)

// connect dials and authenticates.
func (p *Pool) connect(ctx context.Context, r *Resolved) (*sshCarrier, error) {
	return p.connectVia(ctx, r, nil)
}

// connectVia is connect for a host that jump hosts wait for: through a master of the user's that is open, through a system ssh where only that can do what the configuration
// asks for, else by our own client.
func (p *Pool) connectVia(ctx context.Context, r *Resolved, via []string) (*sshCarrier, error) {
	t := traceOf(ctx)
	if c := p.openMaster(ctx, r); c != nil {
		t.note("transport", c.via)
		return c, nil
	}
	if why := p.needsSSH(r); why != "" {
		return p.systemSSH(ctx, r, why, via, true)
	}
	t.note("transport", "foretop's own client")
	first := func(methods []string) bool {
		return len(r.MaySSH) > 0 && p.maySSH(r, &AuthError{Methods: methods}) != ""
	}
	c, err := p.connectNative(ctx, r, asking{via: via, first: first})
	if why := p.maySSH(r, err); why != "" {
		c, again := p.systemSSH(ctx, r, why, via, false)
		if again == nil {
			p.bySSH.Store(wayOf(r), why)
			return c, nil
		}
		if !p.asks.on {
			return nil, err
		}
		return p.connectNative(ctx, r, asking{via: via})
	}
	return c, err
}

func (p *Pool) connectNative(ctx context.Context, r *Resolved, a asking) (*sshCarrier, error) {
	for whole := false; ; whole = true {
		conn, err := p.dial(ctx, r, a.via)
		if err != nil {
			return nil, err
		}
		s, err := p.handshake(ctx, conn, r, a, whole)
		if err == nil {
			c := newSSHCarrier(s)
			c.env = r.Env
			return c, nil
		}
		// The host showed a key of another kind than we know, because the dear look-up was put off: ask it once more for the known kind.
		var bad *HostKeyError
		if !whole && errors.As(err, &bad) && bad.Verdict == KeyOtherKind && bad.hasty {
			continue
		}
		return nil, err
	}
}
