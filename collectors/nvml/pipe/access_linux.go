package pipe

import (
	"errors"
	"syscall"
)

// mayOpen asks the kernel whether this user may read and write a file, without opening it. For a device the answer holds for the cgroup as well.
func mayOpen(path string) error { return syscall.Access(path, 6) }

// isNotPermitted tells a cgroup's refusal (EPERM) from that of the file's mode (EACCES).
func isNotPermitted(err error) bool { return errors.Is(err, syscall.EPERM) }
