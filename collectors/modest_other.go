//go:build !linux

package collectors

import "syscall"

// beModest gives way to the machine's other work.
func beModest() { syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness) }

// beLean has nothing to set here.
func beLean() {}
