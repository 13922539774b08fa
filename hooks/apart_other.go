//go:build !unix

package hooks

import "os/exec"

// apart does nothing: there are no process groups.
func apart(*exec.Cmd) {}
