//go:build unix

package sshpool

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// cutting is a connection that dies after so many bytes, in either direction.
type cutting struct {
	net.Conn
	mu   sync.Mutex
	left int
}

func (c *cutting) spend(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left -= n
	return c.left >= 0
}

func (c *cutting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.spend(n) {
		c.Conn.Close()
		return 0, os.ErrClosed
	}
	return n, err
}

func (c *cutting) Write(b []byte) (int, error) {
	if !c.spend(len(b)) {
		_, _ = c.Conn.Write(b[:len(b)/2])
		c.Conn.Close()
		return 0, os.ErrClosed
	}
	return c.Conn.Write(b)
}

// A server that dies after any number of bytes, wherever in the protocol that is: each time there are words, and it is reached when it holds.
func TestRandomCuts(t *testing.T) {
	settled := goroutines()
	t.Run("cuts", func(t *testing.T) {
		key := newSigner(t)
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		dice := rand.New(rand.NewPCG(seed, 2))
		p, rec := newTestPool(t, Config{})
		const nodes = 40
		for i := range nodes {
			s := newServer(t, collect, key.PublicKey())
			lives, cut := 0, dice.IntN(6000)
			hook := func(c net.Conn) net.Conn { // the third connection holds
				if lives++; lives > 2 {
					return c
				}
				return &cutting{Conn: c, left: cut}
			}
			s.set(func() { s.wrap = hook })
			p.Add(Target{Name: fmt.Sprint("n", i), Resolved: s.resolved(key)})
		}
		for i := range nodes {
			name := fmt.Sprint("n", i)
			rec.until(name+" live at last", func() bool {
				l := rec.statuses[name]
				lost := 0
				for _, s := range l {
					if s.State == Lost || s.State == Stale {
						lost++
					}
				}
				return lost >= 2 && l[len(l)-1].State == Live
			})
		}
		rec.mu.Lock()
		defer rec.mu.Unlock()
		for name, list := range rec.statuses {
			for _, s := range list {
				if s.State == Lost && (s.Cause == "" || s.Remedy == "") || s.State > Live && s.State != Lost && s.State != Stale || s.State == NeedsTrust || s.State == NeedsAuth || s.State == Refused {
					t.Errorf("%s: a cut is no %v: %q, %q", name, s.State, s.Cause, s.Remedy)
				}
			}
		}
	})
	for limit := time.Now().Add(patience); goroutines() > settled; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%d goroutines before, %d after", settled, goroutines())
		}
	}
}
