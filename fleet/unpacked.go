package fleet

import (
	"hash/maphash"
	"sync"

	"foretop/telemetry/facts"
)

// Unpacked keeps what the longest frames say, by their bytes. Who looks into a recording here and there restores the same nodes again and again, and what they are changes seldom: it is
// taken apart once. Fleets share what it gives, and nobody changes it.
type Unpacked struct {
	inventories unpacked[facts.Inventory]
	processes   unpacked[facts.Processes]
	kernels     unpacked[KeptKernel]
}

// Kernel is the end of a kernel log as it was written down, and as read reads it.
func (u *Unpacked) Kernel(written []byte, read func([]byte) (*KeptKernel, error)) (*KeptKernel, error) {
	return u.kernels.of(written, read)
}

// maxUnpacked bounds the frames of a kind whose meaning is kept, in bytes; it takes a few times as many. 200 nodes of 8 GPUs say as much.
const maxUnpacked = 3 << 20

type unpacked[T any] struct {
	mu    sync.Mutex
	seed  maphash.Seed
	bytes int
	known map[uint64]*T
}

// of is a frame as read reads it, or as it was read before.
func (u *unpacked[T]) of(frame []byte, read func([]byte) (*T, error)) (*T, error) {
	u.mu.Lock()
	if u.known == nil {
		u.seed, u.known = maphash.MakeSeed(), map[uint64]*T{}
	}
	key := maphash.Bytes(u.seed, frame) // of a seed that nobody knows: none is made to collide
	t := u.known[key]
	u.mu.Unlock()
	if t != nil {
		return t, nil
	}
	t, err := read(frame)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes += len(frame); u.bytes > maxUnpacked {
		u.bytes = len(frame)
		clear(u.known)
	}
	u.known[key] = t
	return t, nil
}
