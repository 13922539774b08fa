package sshpool

import (
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A host that answers nothing at all: a listener whose queue is full, so that the kernel drops further connection requests.
func TestUnreachable(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	r := &Resolved{Alias: "n", HostName: "127.0.0.1", Port: name.(*unix.SockaddrInet4).Port, User: "u", IdentityAgent: "none"}
	for range 4 {
		if c, err := net.DialTimeout("tcp", r.addr(), 200*time.Millisecond); err == nil {
			defer c.Close()
		}
	}
	timing := quick()
	timing.Dial = 500 * time.Millisecond
	p, rec := newTestPool(t, Config{Timing: timing})
	p.Add(Target{Name: "n", Resolved: r})
	st := check(t, rec, Lost, "no answer from "+r.addr(), "firewall")
	if st.NextTry.IsZero() || strings.Contains(st.Cause, "says nothing") {
		t.Errorf("%+v", st)
	}
}
