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

// SystemClock is the machine's clock (CLOCK_MONOTONIC).
func SystemClock() Clock {
	return Clock{
		MonoMS: func() int64 {
			var ts unix.Timespec
			if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
				return 0
			}
			return ts.Nano() / int64(time.Millisecond)
		},
		Now: time.Now,
	}
}
