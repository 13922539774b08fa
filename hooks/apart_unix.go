//go:build unix

package hooks

import (
	"os/exec"
	"syscall"
)

// apart gives a command a process group of its own: Ctrl-C of foretop's terminal does not reach it, and all that it started ends with it.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
