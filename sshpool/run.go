package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrNotLive is a command for a node that no stream comes from.
var ErrNotLive = errors.New("the node is not live")

// Run runs a command line under the user's login shell on a node that is live, over the connection that its stream has, and gives what it printed on standard output,
// at most limit bytes: what is more is an error, as is an exit status that is not 0. The stream goes on whatever becomes of the command; when ctx ends it is
// left alone and its channel closed.
func (p *Pool) Run(ctx context.Context, name, command string, limit int) ([]byte, error) {
	p.mu.Lock()
	n := p.nodes[name]
	p.mu.Unlock()
	if n == nil {
		return nil, ErrNotLive
	}
	n.mu.Lock()
	live := n.live
	n.mu.Unlock()
	if live == nil {
		return nil, ErrNotLive
	}
	type answer struct {
		out []byte
		err error
	}
	started, done := make(chan *process, 1), make(chan answer, 1)
	go func() {
		// The node's own context: that of the command would end the whole connection where the node does not answer in time.
		r, err := live.carrier.run(n.ctx, command)
		if err != nil {
			done <- answer{err: err}
			return
		}
		started <- r
		_ = r.closeStdin()
		out, err := io.ReadAll(io.LimitReader(r.stdout, int64(limit)+1))
		switch {
		case err != nil:
			err = fmt.Errorf("read its answer: %w", err)
		case len(out) > limit:
			err = fmt.Errorf("it printed more than %d bytes", limit)
		default:
			if code := r.exit.wait(time.Second); code > 0 {
				err = fmt.Errorf("exit status %d: %s", code, firstLine(r.stderr.text(0)))
			}
		}
		r.kill()
		done <- answer{out, err}
	}()
	select {
	case a := <-done:
		return a.out, a.err
	case <-ctx.Done():
		go func() { // it may have started by now, or may yet
			select {
			case r := <-started:
				r.kill()
			case <-done:
			case <-n.ctx.Done():
			}
		}()
		return nil, ctx.Err()
	}
}
