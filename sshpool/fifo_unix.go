//go:build unix

package sshpool

import (
	"os"
	"os/exec"
	"syscall"
)

// makeFIFO makes a named pipe for this user alone.
func makeFIFO(path string) error { return syscall.Mkfifo(path, 0o600) }

// openFIFO opens a named pipe to write to; an error: nobody reads it.
func openFIFO(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
}

// ownSession puts a command into a session of its own, without a terminal.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
