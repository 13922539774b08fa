package simfleet

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// gate is the way between a node and the world. Shut, nothing passes and nobody is told.
type gate struct {
	open atomic.Pointer[chan struct{}] // nil: open; else closed when the gate opens
	rate atomic.Int64                  // bytes a second, 0: as many as may be
}

func (g *gate) set(shut bool, rate int) {
	g.rate.Store(int64(rate))
	was := g.open.Load()
	switch {
	case shut && was == nil:
		c := make(chan struct{})
		g.open.Store(&c)
	case !shut && was != nil:
		g.open.Store(nil)
		close(*was)
	}
}

// gatedConn is a connection through a gate.
type gatedConn struct {
	net.Conn
	gate *gate
	done chan struct{}
	once sync.Once
}

// wait returns when the gate is open, or false when the connection was closed meanwhile.
func (c *gatedConn) wait() bool {
	for {
		open := c.gate.open.Load()
		if open == nil {
			return true
		}
		select {
		case <-*open:
		case <-c.done:
			return false
		}
	}
}

func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.wait() {
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *gatedConn) Write(p []byte) (int, error) {
	sent := 0
	for {
		if !c.wait() {
			return sent, net.ErrClosed
		}
		part := p[sent:]
		rate := c.gate.rate.Load()
		if rate > 0 {
			part = part[:min(len(part), max(64, int(rate/8)))]
		}
		n, err := c.Conn.Write(part)
		sent += n
		if err != nil || sent == len(p) && rate == 0 {
			return sent, err
		}
		if rate > 0 && !c.sleep(time.Duration(n)*time.Second/time.Duration(rate)) {
			return sent, net.ErrClosed
		}
		if sent == len(p) {
			return sent, nil
		}
	}
}

func (c *gatedConn) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.done:
		return false
	}
}

// Close also releases whoever waits at the gate.
func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.done) })
	return c.Conn.Close()
}
