package testbed

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// HeldFS is a folder seen through a FUSE file system of the test's own, read-only and without any cache: calls on chosen paths do not return for
// as long as the test holds them, or fail as the test says. It is what a driver that hangs looks like under /sys, and a file server that is gone.
type HeldFS struct {
	Dir string // where it is mounted

	behind string // the folder
	dev    int    // /dev/fuse

	ended chan struct{}

	mu     sync.Mutex
	paths  map[uint64]string // by node: below the folder, "" the folder itself
	nodes  map[string]uint64
	faults map[string]fault
	waits  map[string]int // calls that are out, by the path that is held
}

// fault is what happens to calls on a path and all beneath it.
type fault struct {
	until chan struct{} // nil: they fail at once
	err   syscall.Errno
}

const heldDevice = "foretop-held" // in the mount table

// MountHeld shows a folder through a HeldFS until the test ends. It takes root and /dev/fuse.
func MountHeld(t testing.TB, folder string) *HeldFS {
	t.Helper()
	NeedRoot(t)
	sweepHeld()
	dev, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		require(t, []string{"open /dev/fuse: " + err.Error()})
	}
	h := &HeldFS{Dir: t.TempDir(), behind: folder, dev: dev, ended: make(chan struct{}), paths: map[uint64]string{1: ""}, nodes: map[string]uint64{"": 1}, faults: map[string]fault{}, waits: map[string]int{}}
	options := "fd=" + strconv.Itoa(dev) + ",rootmode=40755,user_id=0,group_id=0,allow_other"
	if err := syscall.Mount(heldDevice, h.Dir, "fuse.foretop", syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, options); err != nil {
		require(t, []string{"mount a FUSE file system: " + err.Error()})
	}
	go h.serve()
	if err := h.noPoll(); err != nil {
		t.Errorf("poll a file of %s: %v", h.Dir, err)
	}
	t.Cleanup(func() {
		h.Release()
		if err := syscall.Unmount(h.Dir, syscall.MNT_FORCE|syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", h.Dir, err)
		}
		<-h.ended
		syscall.Close(dev)
	})
	return h
}

// noPoll makes the kernel learn that files here cannot be polled, so that it never asks again. Go's runtime adds every file that it opens to its poller, in a call during
// which it cannot stop the world; were that call ours to answer, a garbage collection at that moment would wait for ever.
func (h *HeldFS) noPoll() error {
	fd, err := syscall.Open(filepath.Join(h.Dir, pollName), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err
}

// pollName is a file that is there for noPoll alone; no listing has it.
const (
	pollName = ".foretop-no-poll"
	pollNode = 1 << 60
)

// sweepHeld unmounts what tests left that were killed: a dead mount is a fault of this machine to whoever looks at it next.
func sweepHeld() {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != heldDevice {
			continue
		}
		var s syscall.Statfs_t
		if errors.Is(syscall.Statfs(f[1], &s), syscall.ENOTCONN) {
			syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
}

// Hold keeps calls on these paths, and on all beneath them, from returning, those on files that are open included.
func (h *HeldFS) Hold(paths ...string) {
	for _, p := range paths {
		h.set(p, fault{until: make(chan struct{})})
	}
}

// Fail lets calls on these paths fail.
func (h *HeldFS) Fail(err syscall.Errno, paths ...string) {
	for _, p := range paths {
		h.set(p, fault{err: err})
	}
}

func (h *HeldFS) set(path string, f fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was := h.faults[path]; was.until != nil {
		close(was.until)
	}
	h.faults[path] = f
}

// Release lets all calls go their way.
func (h *HeldFS) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.faults {
		if f.until != nil {
			close(f.until)
		}
	}
	clear(h.faults)
}

// Waiting is how many calls on a path that is held are out.
func (h *HeldFS) Waiting(path string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waits[path]
}

// pass returns when a call on a path may go on, or what it is to fail with.
func (h *HeldFS) pass(path string) error {
	for {
		h.mu.Lock()
		at, f, found := path, fault{}, false
		for {
			if f, found = h.faults[at]; found || at == "" {
				break
			}
			if at = filepath.Dir(at); at == "." {
				at = ""
			}
		}
		if !found || f.until == nil {
			h.mu.Unlock()
			if found {
				return f.err
			}
			return nil
		}
		h.waits[at]++
		h.mu.Unlock()
		<-f.until
		h.mu.Lock()
		h.waits[at]--
		h.mu.Unlock()
	}
}

// The words of the protocol (include/uapi/linux/fuse.h), version 7.31: as far as a read-only tree needs them.
const (
	fuseLookup, fuseForget, fuseGetattr, fuseReadlink, fuseOpen, fuseRead, fuseStatfs, fuseRelease = 1, 2, 3, 5, 14, 15, 17, 18
	fuseFlush, fusePoll                                                                            = 25, 40
	fuseInit, fuseOpendir, fuseReaddir, fuseReleasedir, fuseInterrupt, fuseBatchForget             = 26, 27, 28, 29, 36, 42

	fuseHeader   = 40
	fuseDirectIO = 1 // FOPEN_DIRECT_IO
)

func (h *HeldFS) serve() {
	defer close(h.ended)
	for {
		b := make([]byte, 64<<10+4096)
		n, err := syscall.Read(h.dev, b)
		if err == syscall.EINTR || err == syscall.ENOENT || err == syscall.EAGAIN {
			continue
		}
		if err != nil || n < fuseHeader {
			return // unmounted
		}
		switch op := binary.NativeEndian.Uint32(b[4:]); op {
		case fuseForget, fuseBatchForget, fuseInterrupt:
		default:
			go h.answer(op, b[:n]) // each by itself: one that is held holds no other
		}
	}
}

func (h *HeldFS) answer(op uint32, b []byte) {
	body, err := h.call(op, binary.NativeEndian.Uint64(b[16:]), b[fuseHeader:])
	out := make([]byte, 16, 16+len(body))
	if err != nil {
		var no syscall.Errno
		if !errors.As(err, &no) {
			no = syscall.EIO
		}
		binary.NativeEndian.PutUint32(out[4:], uint32(-int32(no)))
		body = nil
	}
	binary.NativeEndian.PutUint32(out, uint32(16+len(body)))
	copy(out[8:], b[8:16])                     // the call's number
	syscall.Write(h.dev, append(out, body...)) // a call that was given up is no longer waited for
}

// call does what one request asks for.
func (h *HeldFS) call(op uint32, node uint64, in []byte) ([]byte, error) {
	if op == fuseFlush || op == fusePoll {
		return nil, syscall.ENOSYS // for all files and for good
	}
	h.mu.Lock()
	path := h.paths[node]
	h.mu.Unlock()
	if node == pollNode || op == fuseLookup && strings.TrimRight(string(in), "\x00") == pollName {
		return pollFile(op)
	}
	if op == fuseLookup {
		path = filepath.Join(path, strings.TrimRight(string(in), "\x00"))
	}
	if op != fuseInit && op != fuseRelease && op != fuseReleasedir {
		if err := h.pass(path); err != nil {
			return nil, err
		}
	}
	full := filepath.Join(h.behind, path)
	var out words
	switch op {
	case fuseInit:
		return out.u32(7, 31, 64<<10, 0).u32(1<<16|16, 4096).u32(1, 0).zero(32), nil
	case fuseLookup:
		info, err := os.Lstat(full)
		if err != nil {
			return nil, err
		}
		return append(out.u64(h.nodeOf(path), 0, 0, 0).u32(0, 0), attributes(info)...), nil
	case fuseGetattr:
		info, err := os.Lstat(full)
		if err != nil {
			return nil, err
		}
		return append(out.u64(0).u32(0, 0), attributes(info)...), nil
	case fuseReadlink:
		target, err := os.Readlink(full)
		return []byte(target), err
	case fuseOpen, fuseOpendir:
		return out.u64(0).u32(fuseDirectIO, 0), nil
	case fuseRead:
		return readAt(full, int64(binary.NativeEndian.Uint64(in[8:])), binary.NativeEndian.Uint32(in[16:]))
	case fuseReaddir:
		return h.list(full, binary.NativeEndian.Uint64(in[8:]), int(binary.NativeEndian.Uint32(in[16:])))
	case fuseStatfs:
		return out.u64(1<<20, 1<<19, 1<<19, 1000, 1000).u32(4096, 255, 4096, 0).zero(24), nil
	case fuseRelease, fuseReleasedir:
		return nil, nil
	}
	return nil, syscall.ENOSYS
}

// pollFile is an empty file.
func pollFile(op uint32) ([]byte, error) {
	var out words
	file := words{}.u64(pollNode, 0, 0, 0, 0, 0).u32(0, 0, 0, syscall.S_IFREG|0o444, 1, 0, 0, 0, 4096, 0)
	switch op {
	case fuseLookup:
		return append(out.u64(pollNode, 0, 0, 0).u32(0, 0), file...), nil
	case fuseGetattr:
		return append(out.u64(0).u32(0, 0), file...), nil
	case fuseOpen:
		return out.u64(0).u32(fuseDirectIO, 0), nil
	}
	return nil, nil
}

func (h *HeldFS) nodeOf(path string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, ok := h.nodes[path]
	if !ok {
		n = uint64(len(h.nodes) + 1)
		h.nodes[path], h.paths[n] = n, path
	}
	return n
}

func readAt(path string, offset int64, size uint32) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, size)
	n, err := f.ReadAt(b, offset)
	if n > 0 {
		err = nil
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// list is a folder's entries from the offset on, as many as fit.
func (h *HeldFS) list(path string, offset uint64, size int) ([]byte, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var out words
	for i, e := range entries[min(int(offset), len(entries)):] {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		name := e.Name()
		padded := (24 + len(name) + 7) &^ 7
		if len(out)+padded > size {
			break
		}
		st := info.Sys().(*syscall.Stat_t)
		out = out.u64(st.Ino, offset+uint64(i)+1).u32(uint32(len(name)), st.Mode>>12)
		out = append(out, name...).zero(padded - 24 - len(name))
	}
	return out, nil
}

func attributes(info fs.FileInfo) []byte {
	st := info.Sys().(*syscall.Stat_t)
	var out words
	return out.u64(st.Ino, uint64(st.Size), uint64(st.Blocks), uint64(st.Atim.Sec), uint64(st.Mtim.Sec), uint64(st.Ctim.Sec)).
		u32(0, 0, 0, st.Mode, uint32(st.Nlink), st.Uid, st.Gid, 0, 4096, 0)
}

// words is a message that grows by numbers of the machine's own byte order.
type words []byte

func (w words) u64(numbers ...uint64) words {
	for _, n := range numbers {
		w = binary.NativeEndian.AppendUint64(w, n)
	}
	return w
}

func (w words) u32(numbers ...uint32) words {
	for _, n := range numbers {
		w = binary.NativeEndian.AppendUint32(w, n)
	}
	return w
}

func (w words) zero(n int) words { return append(w, make([]byte, n)...) }
