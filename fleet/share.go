package fleet

import (
	"encoding/binary"
	"maps"
	"sync"
	"unique"

	"foretop/telemetry/facts"
)

// sharedLists holds lists that nodes told. Nodes of one kind have the same hundreds of files and links; one copy serves them all.
type sharedLists struct {
	counters shared[facts.HWCounter]
	links    shared[facts.GPULink]
	calls    shared[facts.Call]
}

// share puts shared lists in the place of an inventory's own.
func (s *sharedLists) share(inv *facts.Inventory) {
	inv.HwCounters = s.counters.of(inv.HwCounters, func(k *listKey, c *facts.HWCounter) { k.add(uint64(c.Port), c.Name) })
	inv.GpuLinks = s.links.of(inv.GpuLinks, func(k *listKey, l *facts.GPULink) {
		k.add(uint64(l.Gpu), l.Kind)
		k.add(uint64(l.Link), l.Remote)
		k.add(uint64(l.Version), l.RemotePci)
	})
	inv.Calls = s.calls.of(inv.Calls, func(k *listKey, c *facts.Call) { k.add(uint64(c.Source), c.Name) })
}

// shared holds lists of one kind by what is in them.
type shared[T any] struct {
	mu    sync.Mutex
	lists map[string][]*T
}

// listKey tells lists apart.
type listKey struct{ b []byte }

func (k *listKey) add(n uint64, word string) {
	k.b = binary.AppendUvarint(k.b, n)
	k.b = binary.AppendUvarint(k.b, uint64(len(word)))
	k.b = append(k.b, word...)
}

// maxSharedLists bounds how many kinds of node share; a fleet has a handful.
const maxSharedLists = 64

// of gives the list that equals this one; add writes all there is of an element into the key.
func (s *shared[T]) of(list []*T, add func(*listKey, *T)) []*T {
	if len(list) == 0 {
		return nil
	}
	key := listKey{make([]byte, 0, 24*len(list))}
	for _, t := range list {
		add(&key, t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.lists[string(key.b)]; ok {
		return known
	}
	if s.lists == nil {
		s.lists = map[string][]*T{}
	}
	if len(s.lists) >= maxSharedLists { // whoever has one keeps it; what nobody tells any more goes
		clear(s.lists)
	}
	s.lists[string(key.b)] = list
	return list
}

// shareWords makes the ranks of a job hold the same strings once, as of thousands of processes most words are equal, and a process what the one told before it (nil: none) was
// started with: ranks of one node differ in their environment alone.
func shareWords(p, before *facts.Process) {
	if before == nil {
		before = new(facts.Process)
	}
	p.Env, p.LayoutFlags = sharedMap(p.Env, before.Env), sharedMap(p.LayoutFlags, before.LayoutFlags)
	for i, f := range p.LayoutFiles {
		var same map[string]string
		if i < len(before.LayoutFiles) {
			same = before.LayoutFiles[i].Keys
		}
		f.Keys = sharedMap(f.Keys, same)
	}
	for _, s := range []*string{&p.User, &p.Comm, &p.Command, &p.Cgroup, &p.Cwd, &p.Versions} {
		*s = unique.Make(*s).Value()
	}
}

func sharedMap(m, same map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	if same != nil && maps.Equal(m, same) {
		return same
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[unique.Make(k).Value()] = unique.Make(v).Value()
	}
	return out
}
