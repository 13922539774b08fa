package testbed

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A file that is held lets no call on it return, open files included, and no other file is the worse for it.
func TestHeldFS(t *testing.T) {
	behind := t.TempDir()
	for name, text := range map[string]string{"a/x": "first\n", "b": "second\n"} {
		path := filepath.Join(behind, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a/x", filepath.Join(behind, "link")); err != nil {
		t.Fatal(err)
	}
	h := MountHeld(t, behind)
	entries, err := os.ReadDir(h.Dir)
	if err != nil || len(entries) != 3 || entries[0].Name() != "a" || !entries[0].IsDir() {
		t.Fatalf("listed %v, %v", entries, err)
	}
	f, err := os.Open(filepath.Join(h.Dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := func() (string, error) {
		b := make([]byte, 100)
		n, err := f.ReadAt(b, 0)
		if n > 0 {
			err = nil
		}
		return string(b[:n]), err
	}
	if s, err := read(); err != nil || s != "first\n" {
		t.Fatalf("read %q, %v", s, err)
	}
	if err := os.WriteFile(filepath.Join(behind, "a/x"), []byte("changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.Hold("a")
	done := make(chan string)
	go func() {
		s, err := read()
		if err != nil {
			s = err.Error()
		}
		done <- s
	}()
	for late := time.Now().Add(20 * time.Second); h.Waiting("a") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the read did not come")
		}
	}
	if b, err := os.ReadFile(filepath.Join(h.Dir, "b")); err != nil || string(b) != "second\n" {
		t.Errorf("beside it: %q, %v", b, err)
	}
	select {
	case s := <-done:
		t.Errorf("a held file gave %q", s)
	default:
	}
	h.Release()
	if s := <-done; s != "changed\n" {
		t.Errorf("after its release: %q", s)
	}
	h.Fail(syscall.ENODEV, "a")
	if s, err := read(); err == nil {
		t.Errorf("a failing file gave %q", s)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(h.Dir, &st); err != nil || st.Blocks != 1<<20 {
		t.Errorf("statfs: %+v, %v", st, err)
	}
}
