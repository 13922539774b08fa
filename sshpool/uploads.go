package sshpool

import (
	"context"
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
	done chan struct{}
	ok   bool      // set before done is closed
	when time.Time // of the end; guarded by uploads.mu
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
	g = &uploadGroup{done: make(chan struct{})}
	u.groups[key] = g
	return g, true
}

func (u *uploads) finish(g *uploadGroup, ok bool) {
	u.mu.Lock()
	g.ok, g.when = ok, time.Now()
	u.mu.Unlock()
	close(g.done)
}

// wait waits for a group's upload and tells whether it went well.
func (g *uploadGroup) wait(ctx context.Context) (bool, error) {
	select {
	case <-g.done:
		return g.ok, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// slot waits for a place among the uploads in flight.
func (u *uploads) slot(ctx context.Context) (free func(), err error) {
	select {
	case u.slots <- struct{}{}:
		return func() { <-u.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
