package testbed

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSharedHome(t *testing.T) {
	bed := Nodes(t, 3, On("node001", SharedHome("x")), On("node002", SharedHome("x")))
	login(t, bed, "node001", "echo hello >greeting")
	if got := login(t, bed, "node002", "cat greeting"); got != "hello" {
		t.Errorf("the other node of the group reads %q", got)
	}
	if out, err := output(sshTo(bed, "node003", "cat greeting")); err == nil {
		t.Errorf("a node outside the group reads %q", out)
	}
}

func TestHomesThatRefuse(t *testing.T) {
	bed := Nodes(t, 3, HomeFile("mine", "kept"),
		On("node001", Mount(Home, "noexec")), On("node002", Mount(Home, "ro")), On("node003", Full(Home, "/tmp", "/var/tmp", "/dev/shm")))
	const program = "cp /bin/true prog && ./prog"
	for node, want := range map[string]string{"node001": "Permission denied", "node002": "Read-only file system", "node003": "No space left on device"} {
		if out, err := output(sshTo(bed, node, program)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: run a program from home: %q %v, want %q", node, out, err, want)
		}
		if got := login(t, bed, node, "cat mine"); got != "kept" {
			t.Errorf("%s: a file of the home reads %q", node, got)
		}
	}
	for _, path := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		if _, err := output(sshTo(bed, "node003", "cp /bin/true "+path+"/prog")); err == nil {
			t.Errorf("%s is not full", path)
		}
	}
	login(t, bed, "node001", "cp /bin/true /tmp/prog && /tmp/prog")
}

func TestFrozenHomeHangsAndThaws(t *testing.T) {
	bed := Nodes(t, 2, SharedHome("x"), FreezableHome())
	n := bed.Nodes[0]
	login(t, bed, "node002", "echo hello >greeting")
	if got := login(t, bed, n.Name, "cat greeting && echo more >>greeting"); got != "hello" {
		t.Fatalf("home over FUSE reads %q", got)
	}
	must(t, n.FreezeHome(true))
	done := make(chan error, 1)
	go func() {
		// Past ssh: sshd itself goes to the home and would hang.
		_, err := n.Exec("ls", "/home/ann")
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("a frozen home answered: %v", err)
	case <-time.After(2 * time.Second):
	}
	login(t, bed, "node002", "cat greeting")
	must(t, n.FreezeHome(false))
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the home did not thaw")
	}
	// A node dies even with its home frozen and somebody waiting for it.
	must(t, n.FreezeHome(true))
	go n.Exec("ls", "/home/ann")
	within(t, 5*time.Second, "a process that waits for the home", func() bool {
		ps, err := n.Processes("^ls /home/ann$")
		return err == nil && len(ps) == 1
	})
	must(t, n.Kill())
}

func TestOwnSysfsDriverAndFiles(t *testing.T) {
	tree := t.TempDir()
	counter := filepath.Join(tree, "devices/pci0000:01/infiniband/mlx5_0/counter")
	must(t, os.MkdirAll(filepath.Dir(counter), 0o755))
	must(t, os.MkdirAll(filepath.Join(tree, "class/infiniband"), 0o755))
	must(t, os.Symlink("../../devices/pci0000:01/infiniband/mlx5_0", filepath.Join(tree, "class/infiniband/mlx5_0")))
	must(t, os.WriteFile(counter, []byte("1\n"), 0o644))
	library := filepath.Join(t.TempDir(), "lib.so")
	must(t, os.WriteFile(library, []byte("library"), 0o644))

	bed := Nodes(t, 2, NVIDIA(library, "PLAYED_PROFILE", "gpus=8"), On("node001", Sysfs(tree)), On("node002", Bind(counter, "/srv/deep/counter")))
	n := bed.Nodes[0]
	if got := login(t, bed, n.Name, "cat /sys/class/infiniband/mlx5_0/counter"); got != "1" {
		t.Errorf("counter %q", got)
	}
	must(t, os.WriteFile(counter, []byte("2\n"), 0o644))
	if got := login(t, bed, n.Name, "cat /sys/class/infiniband/mlx5_0/counter; ls /sys/class/net"); got != "2\neth0\nlo" {
		t.Errorf("counter and the real interfaces: %q", got)
	}
	if got := login(t, bed, "node002", "cat /srv/deep/counter; ls /sys/class/infiniband 2>&1 || true"); !strings.HasPrefix(got, "2\n") || !strings.Contains(got, "No such file") {
		t.Errorf("node002 sees %q", got)
	}
	must(t, n.SetProfile("gpus=7"))
	for node, want := range map[string]string{"node001": "gpus=7", "node002": "gpus=8"} {
		if got := login(t, bed, node, `cat $PLAYED_PROFILE; echo; cat $LD_LIBRARY_PATH/libnvidia-ml.so.1`); got != want+"\nlibrary" {
			t.Errorf("%s: driver %q", node, got)
		}
	}
}

func TestLoginShellsThatPrint(t *testing.T) {
	const bytes = 1 << 20
	shells := map[string]string{"node001": "/bin/bash", "node002": "/usr/bin/tcsh", "node003": "/usr/bin/fish"}
	opts := []Option{Noise(bytes)}
	for node, shell := range shells {
		opts = append(opts, On(node, Shell(shell)))
	}
	bed := Nodes(t, 3, opts...)
	for node := range shells {
		out := login(t, bed, node, "exec /bin/sh -c 'echo end of noise'")
		if len(out) != bytes+len("end of noise") || !strings.HasSuffix(out, "end of noise") {
			t.Errorf("%s printed %d bytes, ending in %q", node, len(out), out[max(0, len(out)-40):])
		}
	}
	if got := execOn(t, bed.Node("node002"), "getent", "passwd", "ann"); !strings.HasSuffix(got, ":/usr/bin/tcsh") {
		t.Errorf("account %q", got)
	}
}

func TestClientsThatAreNotLetIn(t *testing.T) {
	bed := Nodes(t, 4, On("node001", UnknownHostKey()), On("node002", ChangedHostKey()), On("node003", RefuseKey()),
		On("node004", SSHD("MaxSessions 0"), User("root")))
	for node, want := range map[string]string{
		"node001": "No ED25519 host key is known",
		"node002": "REMOTE HOST IDENTIFICATION HAS CHANGED",
		"node003": "Permission denied (publickey)",
		"node004": "open failed",
	} {
		out, err := sshTo(bed, node, "true").CombinedOutput()
		if _, ok := err.(*exec.ExitError); !ok || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, want %q in\n%s", node, err, want, out)
		}
	}
}
