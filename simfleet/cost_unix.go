//go:build unix

package simfleet

import (
	"runtime"
	"syscall"
	"time"
)

// processCost is this process's CPU time, and the most memory that it had resident.
func processCost() (cpu time.Duration, rss int64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	rss = int64(u.Maxrss)
	if runtime.GOOS != "darwin" { // KiB everywhere else
		rss *= kib
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), rss
}
