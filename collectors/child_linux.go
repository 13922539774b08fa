package collectors

import (
	"os/exec"
	"syscall"
)

// detach lets the program die with the collector, however that ends, and keeps the terminal's signals from it.
func detach(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
