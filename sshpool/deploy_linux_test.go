package sshpool

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tmpfs mounts a small file system for one test; it needs root.
func tmpfs(t *testing.T, path, options string, flags uintptr) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("mounting needs root")
		}
		t.Skip("mounting needs root")
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", flags, options); err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("cannot mount a tmpfs here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
}

func TestNoexecFallback(t *testing.T) {
	at := newPlace(t)
	tmpfs(t, at.local+"/a", "size=64m", unix.MS_NOEXEC)
	tmpfs(t, at.home, "size=64m", unix.MS_NOEXEC)
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	if got := exe(t, rec, "n"); !strings.HasPrefix(got, at.local+"/b/") {
		t.Errorf("runs from %s", got)
	}
}

func TestNoexecEverywhere(t *testing.T) {
	at := newPlace(t)
	tmpfs(t, at.local, "size=64m", unix.MS_NOEXEC)
	tmpfs(t, at.home, "size=64m", unix.MS_NOEXEC)
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	check(t, rec, Refused, "noexec", "allow execution in one of")
}

// A folder that was good is remounted noexec while the collector lies there.
func TestNoexecLater(t *testing.T) {
	at := newPlace(t)
	tmpfs(t, at.local+"/a", "size=64m", 0)
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	_, seen := rec.reached("n", Live, 0)
	rec.send("n", "exit 1")
	if err := unix.Mount("", at.local+"/a", "", unix.MS_REMOUNT|unix.MS_NOEXEC, ""); err != nil {
		t.Fatal(err)
	}
	_, seen = rec.reached("n", Lost, seen)
	rec.reached("n", Live, seen)
	rec.until("a start from elsewhere", func() bool {
		l := rec.lines["n"]
		for _, line := range l {
			if strings.HasPrefix(line, "hello ") && strings.Contains(line, at.local+"/b/") {
				return true
			}
		}
		return false
	})
}

func TestDiskFull(t *testing.T) {
	at := newPlace(t)
	tmpfs(t, at.local+"/a", "size=64k", 0)
	tmpfs(t, at.home, "size=64k", 0)
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	if got := exe(t, rec, "n"); !strings.HasPrefix(got, at.local+"/b/") {
		t.Errorf("runs from %s", got)
	}
	if left := glob(t, at, ".up.*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDiskFullEverywhere(t *testing.T) {
	at := newPlace(t)
	tmpfs(t, at.local, "size=64k", 0)
	tmpfs(t, at.home, "size=64k", 0)
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	check(t, rec, Refused, "disk full", "free some space")
}

// hangingMount mounts a file system whose server never answers: whoever looks into it hangs until it is unmounted, as on a dead NFS.
func hangingMount(t *testing.T, path string) {
	t.Helper()
	needs(t, os.Getuid() == 0, "mounting needs root")
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no FUSE here: %v", err) // also in CI: a kernel without it cannot play this
	}
	if err := unix.Mount("hanging", path, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)); err != nil {
		unix.Close(fd)
		t.Skipf("no FUSE here: %v", err)
	}
	t.Cleanup(func() {
		unix.Close(fd) // what hangs there fails now
		_ = unix.Unmount(path, unix.MNT_DETACH)
	})
}

// The home hangs before anything of ours is on the node: the collector goes into a folder of the node's own.
func TestHomeHangs(t *testing.T) {
	at := newPlace(t)
	hangingMount(t, at.home)
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	cfg := deployConfig(t, fakeSet(t))
	cfg.Timing = quick()
	cfg.Timing.Home = time.Second
	p, rec := newTestPool(t, cfg)
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	_, seen := rec.reached("n", Live, 0)
	if got := exe(t, rec, "n"); !strings.HasPrefix(got, at.local+"/a/") {
		t.Errorf("runs from %s", got)
	}
	rec.send("n", "exit 1")
	_, seen = rec.reached("n", Lost, seen)
	rec.reached("n", Live, seen)
}
