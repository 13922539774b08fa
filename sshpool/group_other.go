//go:build !unix

package sshpool

import "os/exec"

func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func termGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
