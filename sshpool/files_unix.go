//go:build unix

package sshpool

import (
	"math"
	"syscall"
)

// filesLimit is how many files this process may have open. The Go runtime has raised the soft limit to the hard one before main began (package os).
func filesLimit() (limit int, known bool) {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0, false
	}
	return int(min(uint64(l.Cur), math.MaxInt32)), true
}
