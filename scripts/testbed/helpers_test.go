package testbed

import "os/exec"

// sshTo prepares the real ssh client, with the bed's configuration.
func sshTo(bed *Bed, node, command string) *exec.Cmd {
	return exec.Command("ssh", "-F", bed.SSHConfig, "-o", "ConnectTimeout=10", node, command)
}
