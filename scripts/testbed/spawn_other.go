//go:build !linux

package testbed

import "os/exec"

// inNamespaces exists for the build only: Missing keeps every other system from coming here.
func inNamespaces(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

func inHostNetwork(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }
