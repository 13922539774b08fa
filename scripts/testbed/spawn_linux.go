package testbed

import (
	"os/exec"
	"syscall"
)

// inNamespaces prepares a command that becomes the first process of new PID, mount, UTS, IPC and network namespaces.
func inNamespaces(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		// A terminal's Ctrl-C is for the program that made the bed; it closes the bed in order.
		Setsid: true,
	}
	return cmd
}

// inHostNetwork is inNamespaces with this machine's network and IPC.
func inHostNetwork(name string, args ...string) *exec.Cmd {
	cmd := inNamespaces(name, args...)
	cmd.SysProcAttr.Cloneflags &^= syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC
	return cmd
}
