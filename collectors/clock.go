package collectors

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock is where the time comes from. MonoMS is the node's monotonic clock, the one that the kernel log's stamps count; Now is the wall clock.
type Clock struct {
	MonoMS func() int64
	Now    func() time.Time
}

// SystemClock is the machine's clock (CLOCK_MONOTONIC). It is asked dozens of times a second, so the system call is made once: from there on it is
// counted by the runtime's clock, which is the same one, read without a call.
func SystemClock() Clock {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		ts = unix.Timespec{}
	}
	began := time.Now()
	return Clock{
		MonoMS: func() int64 { return (ts.Nano() + int64(time.Since(began))) / int64(time.Millisecond) },
		Now:    time.Now,
	}
}
