package sshpool

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	uploadsAtOnce = 8                // a workstation's uplink is narrow
	uploadMemory  = 60 * time.Second // how long an upload into a shared folder speaks for it: NFS attribute caches
)

// uploads lets nodes that see one shared folder wait for one upload, and bounds uploads in flight.
type uploads struct {
	slots chan struct{}

	mu     sync.Mutex
	groups map[string]*uploadGroup
}

// uploadGroup is one upload into one shared folder.
type uploadGroup struct {
	begun time.Time
	done  chan struct{}
	ok    bool      // set before done is closed
	when  time.Time // of the end; guarded by uploads.mu
}

func newUploads() *uploads {
	return &uploads{slots: make(chan struct{}, uploadsAtOnce), groups: make(map[string]*uploadGroup)}
}

// join gives the group of a shared folder and program; first is true for the one node that has to upload and call finish.
func (u *uploads) join(key string) (g *uploadGroup, first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	g = u.groups[key]
	if g != nil && (g.when.IsZero() || time.Since(g.when) < uploadMemory) {
		return g, false
	}
	g = &uploadGroup{begun: time.Now(), done: make(chan struct{})}
	u.groups[key] = g
	return g, true
}

func (u *uploads) finish(g *uploadGroup, ok bool) {
	u.mu.Lock()
	g.ok, g.when = ok, time.Now()
	u.mu.Unlock()
	close(g.done)
}

// errLate says that a group's upload takes too long to be waited for.
var errLate = errors.New("the upload into the shared folder takes too long")

// wait waits for a group's upload and tells whether it went well; errLate when it has not ended so long after its begin.
func (g *uploadGroup) wait(ctx context.Context, limit time.Duration) (bool, error) {
	late := time.NewTimer(time.Until(g.begun.Add(limit)))
	defer late.Stop()
	select {
	case <-g.done:
		return g.ok, nil
	default:
	}
	select {
	case <-g.done:
		return g.ok, nil
	case <-late.C:
		return false, errLate
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// slot waits for a place among the uploads in flight. When unless is closed before there is one, it gives nil: the upload is not needed
// any more. free may be called more than once.
func (u *uploads) slot(ctx context.Context, unless <-chan struct{}) (free func(), err error) {
	select {
	case u.slots <- struct{}{}:
		if unless != nil && isClosed(unless) {
			<-u.slots
			return nil, nil
		}
		return sync.OnceFunc(func() { <-u.slots }), nil
	case <-unless:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// moving tells when the other side has taken some of what is written to w.
type moving struct {
	w     io.Writer
	moved func()
}

func (m moving) Write(b []byte) (n int, err error) {
	const step = 8 << 10 // small, so that also a slow line is seen to move
	for n < len(b) && err == nil {
		var k int
		k, err = m.w.Write(b[n:min(n+step, len(b))])
		n += k
		m.moved()
	}
	return n, err
}
