package collectors

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// dialListener connects to a socket that listens on this machine, in the network namespace where it does. A namespace is a thread's own: this one goes there, connects, and
// comes back. It must not end instead: it may be the first one, which cannot, or have started a child that is to die with it. To enter a namespace takes CAP_SYS_ADMIN there and here (setns(2)).
func dialListener(at rasPlace, limit time.Duration) (conn *os.File, err error) {
	if at.namespace == "" {
		return connect(at.listener, limit)
	}
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("open the network namespace: %w", err)
	}
	defer unix.Close(home)
	if err := enterNetwork(at.namespace); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer func() {
		if unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread() // else it is of no use to anybody any more
		}
	}()
	return connect(at.listener, limit)
}

func enterNetwork(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.Setns(fd, unix.CLONE_NEWNET)
	}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return &rasTrouble{text: "the job is in a container with a network of its own, which may not be entered", remedy: "needs CAP_SYS_ADMIN (root), or the container in the host's network"}
	case err != nil:
		return fmt.Errorf("enter the container's network: %w", err)
	}
	return nil
}

// connect connects within limit.
func connect(l listener, limit time.Duration) (*os.File, error) {
	family := unix.AF_INET
	var to unix.Sockaddr
	if len(l.address) == 4 {
		to = &unix.SockaddrInet4{Port: int(l.port), Addr: [4]byte(l.address)}
	} else {
		family = unix.AF_INET6
		to = &unix.SockaddrInet6{Port: int(l.port), Addr: [16]byte(l.address)}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	wait := unix.NsecToTimeval(limit.Nanoseconds())
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err == nil {
		err = unix.Connect(fd, to)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true) // then reads have a deadline
	}
	if err != nil {
		unix.Close(fd)
		if errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EAGAIN) {
			return nil, fmt.Errorf("%w: it took no connection", errMute)
		}
		return nil, fmt.Errorf("connect to port %d: %w", l.port, err)
	}
	return os.NewFile(uintptr(fd), "ras"), nil
}
