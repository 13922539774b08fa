//go:build unix

package fleet

import "golang.org/x/sys/unix"

// offHeap gives zeroed memory that the garbage collector does not know of; on the heap where the system has none to give.
func offHeap(size int) []byte {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size)
	}
	return b
}

// giveBack returns what offHeap gave. Memory that is not a mapping is refused by Munmap and left to the garbage collector.
func giveBack(b []byte) { _ = unix.Munmap(b) }
