package accelerators

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// dialLocal connects to a port of this machine, by IPv4 and, where that is refused, by IPv6. Package net, with its resolver, is not needed for that.
func dialLocal(port int, deadline time.Time) (socket, error) {
	s, err := dialAddress(syscall.AF_INET, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}, port, deadline)
	if errors.Is(err, syscall.ECONNREFUSED) {
		if six, err := dialAddress(syscall.AF_INET6, &syscall.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}, port, deadline); err == nil {
			return six, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func dialAddress(family int, to syscall.Sockaddr, port int, deadline time.Time) (*os.File, error) {
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	// What is asked for is a few bytes at once: waiting for more to send would cost 40 ms a call.
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	refused := syscall.Connect(fd, to)
	f := os.NewFile(uintptr(fd), "localhost:"+fmt.Sprint(port))
	if f == nil {
		syscall.Close(fd)
		return nil, errors.New("open a socket: no file")
	}
	if refused == syscall.EINPROGRESS {
		refused = connected(f, deadline)
	}
	if refused != nil {
		f.Close()
		return nil, fmt.Errorf("connect to port %d: %w", port, refused)
	}
	return f, nil
}

// connected waits until the connection stands.
func connected(f *os.File, deadline time.Time) error {
	if err := f.SetWriteDeadline(deadline); err != nil {
		return err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	wait := raw.Write(func(fd uintptr) bool {
		if state, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR); err != nil || state != 0 {
			if refused = err; err == nil {
				refused = syscall.Errno(state)
			}
			return true
		}
		_, err := syscall.Getpeername(int(fd))
		return err == nil
	})
	if wait != nil {
		return wait
	}
	return refused
}
