//go:build unix

package cli

import "golang.org/x/sys/unix"

// foreground says that this process may read the terminal: one in the background would be stopped.
func foreground(fd uintptr) bool {
	group, err := unix.IoctlGetInt(int(fd), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
