package sshpool

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Nodes die, come back and are added and removed in any order, for a while; in the end all are live and nothing was reported of a
// node after its removal.
func TestChaos(t *testing.T) {
	const nodes = 24
	key := newSigner(t)
	var servers []*server
	for range nodes {
		servers = append(servers, newServer(t, collect, key.PublicKey()))
	}
	p, rec := newTestPool(t, Config{})
	var serving sync.Map
	rec.serve = func(node string, r io.Reader) error {
		if _, twice := serving.LoadOrStore(node, true); twice {
			t.Errorf("two streams of %s at once", node)
		}
		defer serving.Delete(node)
		_, err := io.Copy(io.Discard, r)
		return err
	}
	name := func(i int) string { return fmt.Sprint("n", i) }
	for i, s := range servers {
		p.Add(Target{Name: name(i), Resolved: s.resolved(key)})
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	up := make([]bool, nodes)
	for i := range up {
		up[i] = true
	}
	for range 150 {
		i := dice.IntN(nodes)
		switch dice.IntN(4) {
		case 0:
			if up[i] {
				servers[i].stop()
				up[i] = false
			}
		case 1:
			if !up[i] {
				servers[i].listen(servers[i].listener.Addr().String())
				up[i] = true
			}
		case 2:
			p.Remove(name(i))
			p.Add(Target{Name: name(i), Resolved: servers[i].resolved(key)})
		case 3:
			p.Retry(name(i))
		}
		time.Sleep(time.Duration(dice.IntN(10)) * time.Millisecond)
	}
	for i, s := range servers {
		if !up[i] {
			s.listen(s.listener.Addr().String())
		}
	}
	for i := range servers {
		rec.until(name(i)+" live at the end", func() bool {
			l := rec.statuses[name(i)]
			return len(l) > 0 && l[len(l)-1].State == Live
		})
	}
	p.pace.mu.Lock()
	defer p.pace.mu.Unlock()
	if len(p.pace.queue) != 0 {
		t.Errorf("%d still wait for a turn", len(p.pace.queue))
	}
}
