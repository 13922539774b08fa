package sshpool

import (
	"os"
	"strings"
	"testing"

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
