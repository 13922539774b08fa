package testbed

import (
	"testing"
)

func TestSmoke(t *testing.T) {
	bed := Nodes(t, 2)
	for _, n := range bed.Nodes {
		out, err := n.Exec("sh", "-c", "hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id; ls /proc | grep '^[0-9]' ; ls -la ~ /home; pwd; id; ip addr; ls /sys/class/net; cat /proc/mounts")
		t.Log(out, err)
		ps, err := n.Processes(".")
		t.Log(ps, err)
		out, err = output(sshTo(bed, n.Name, "id; pwd; env; tty; ls /dev/pts"))
		t.Log(out, err)
	}
}
