//go:build unix

package sshpool

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A host that lets in whom this machine vouches for (HostbasedAuthentication), as ssh itself: by the system's ssh, whose ssh-keysign reads the machine's own key. That and the
// machine's ssh configuration are the test's, in a mount namespace in which ssh runs.
func TestHostbased(t *testing.T) {
	needs(t, os.Getuid() == 0, "a mount namespace needs root")
	l := &lab{t: t, dir: t.TempDir()}
	if err := os.Chmod(l.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	etc := l.path("etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	l.keygen("-q", "-t", "ed25519", "-N", "", "-C", "machine", "-f", filepath.Join(etc, "ssh_host_ed25519_key"))
	l.write("etc/ssh_config", "EnableSSHKeysign yes\n", 0o644)
	public := l.text("etc/ssh_host_ed25519_key.pub")
	names := []string{"localhost", "localhost.localdomain", "ip6-localhost"}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	d := startSSHD(t, "HostbasedAuthentication yes\nHostbasedUsesNameFromPacketOnly yes\nIgnoreRhosts no\nIgnoreUserKnownHosts no\nPubkeyAuthentication no\nPasswordAuthentication no\nKbdInteractiveAuthentication no")
	l.d, l.certified = d, d
	home := filepath.Join(d.root, "ftsh")
	shosts := ""
	for _, name := range names {
		shosts += name + " root\n"
	}
	for name, text := range map[string]string{".shosts": shosts, ".ssh/known_hosts": strings.Join(names, ",") + " " + public + "\n"} {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "-R", "61001:61001", home).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	real, err := exec.LookPath("ssh")
	needs(t, err == nil, "no ssh: install openssh-client")
	l.write("ssh", fmt.Sprintf("#!/bin/sh\nexec unshare -m sh -c 'mount --bind %s /etc/ssh && exec %s \"$@\"' ssh \"$@\"\n", etc, real), 0o755)
	t.Setenv("PATH", l.dir+":"+os.Getenv("PATH"))
	l.write("known", strings.ReplaceAll(d.known, "[127.0.0.*]", "[localhost]"), 0o600)
	config := fmt.Sprintf("Host h\nHostName localhost\nAddressFamily inet\nPort %d\nUser ftsh\nIdentityFile none\nIdentityAgent none\nUserKnownHostsFile %s\nGlobalKnownHostsFile none\n", d.port, l.path("known"))
	l.write("config", config+"HostbasedAuthentication yes\n", 0o600)
	want := l.bySSH("id -un")
	if want.end != endUp || want.out != "ftsh\n" {
		t.Fatalf("ssh itself: %+v\n%s", want, tailOf(d.logged(), 2000))
	}
	got, via := l.byPool("id -un")
	if got.end != endUp || got.out != want.out || !strings.Contains(via, "HostbasedAuthentication") {
		t.Errorf("%+v by %q", got, via)
	}
	if n := strings.Count(d.logged(), "Accepted hostbased for ftsh"); n != 2 {
		t.Errorf("%d logins of this machine's users:\n%s", n, tailOf(d.logged(), 2000))
	}
	l.write("config", config, 0o600)
	if got, _ := l.byPool("id -un"); got.end != endAuth {
		t.Errorf("where it is not configured: %+v", got)
	}
}
