//go:build linux || darwin

package cli

import "golang.org/x/sys/unix"

// foreground says that this process may read the terminal: one in the background would be stopped.
func foreground(fd uintptr) bool {
	group, err := unix.IoctlGetInt(int(fd), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// readsLines has the terminal give whole lines, shown or not while they are typed, and forget what was typed so far. restore has it as it was.
func readsLines(fd uintptr, echo bool) (restore func(), err error) {
	was, err := unix.IoctlGetTermios(int(fd), getTermios)
	if err != nil {
		return nil, err
	}
	now := *was
	now.Lflag |= unix.ICANON | unix.ISIG | unix.ECHO
	if !echo {
		now.Lflag &^= unix.ECHO
	}
	now.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(int(fd), setTermiosFlush, &now); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(int(fd), setTermiosFlush, was) }, nil
}
