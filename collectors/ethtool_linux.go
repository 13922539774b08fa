package collectors

import (
	"runtime"
	"syscall"
	"unsafe"
)

const siocEthtool = 0x8946

// ifreq is struct ifreq with a pointer in it.
type ifreq struct {
	name [16]byte
	data unsafe.Pointer
	_    [40 - 16 - unsafe.Sizeof(uintptr(0))]byte
}

// openEthtool opens the socket that the kernel takes questions to network drivers by. It is bound to nothing and carries no data.
func openEthtool() (call ethtoolCall, done func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return func(name string, request []byte) error {
		r := &ifreq{data: unsafe.Pointer(unsafe.SliceData(request))}
		if copy(r.name[:len(r.name)-1], name) < len(name) {
			return syscall.ENODEV
		}
		for {
			_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), siocEthtool, uintptr(unsafe.Pointer(r)))
			runtime.KeepAlive(request)
			if errno == 0 {
				return nil
			}
			if errno != syscall.EINTR {
				return errno
			}
		}
	}, func() { syscall.Close(fd) }, nil
}

// ethtoolBuffer is memory for answers. Many kernels write as much as the driver has at that moment, which may have become more than it said when it was
// asked: so the buffer stands apart from all else, and the page after it cannot be written.
func ethtoolBuffer() ([]byte, error) {
	page := syscall.Getpagesize()
	size := (ethtoolBytes + page - 1) / page * page
	b, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	if err := syscall.Mprotect(b[size:], syscall.PROT_NONE); err != nil {
		syscall.Munmap(b)
		return nil, err
	}
	return b[:size:size], nil
}

// forget gives the memory of an answer back until it is written again.
func forget(buf []byte) { syscall.Madvise(buf, syscall.MADV_DONTNEED) }
