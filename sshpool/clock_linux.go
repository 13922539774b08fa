package sshpool

import (
	"time"

	"golang.org/x/sys/unix"
)

// awake is a clock that goes on while this machine sleeps and that nobody sets (CLOCK_BOOTTIME).
func awake() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return time.Duration(time.Now().UnixNano())
	}
	return time.Duration(t.Nano())
}
