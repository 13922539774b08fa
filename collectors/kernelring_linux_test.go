package collectors

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"foretop/collectors/kernfs"

	"golang.org/x/sys/unix"
)

// ring plays /dev/kmsg: a pipe that gives one record a read.
type ring struct {
	t        *testing.T
	root     kernfs.Root
	w        *os.File
	sequence uint64
	stamp    int64 // µs
}

func newRing(t *testing.T) *ring {
	t.Helper()
	root := t.TempDir()
	path := filepath.Join(root, "dev", "kmsg")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "proc/sys/kernel/random"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "proc/sys/kernel/random/boot_id"), []byte("0d7cbbd8-7a55-4f3c-9c39-0c1d8a8b1a11\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Open(path, syscall.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), syscall.F_SETFL, syscall.O_DIRECT|syscall.O_RDWR); err != nil { // packets
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, 64<<20); err != nil { // a page each; root may
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	w := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { w.Close() })
	return &ring{t: t, root: kernfs.Root(root), w: w, sequence: 100, stamp: 5_000_000}
}

// say writes records, a microsecond apart.
func (r *ring) say(lines ...string) {
	for _, line := range lines {
		r.sequence++
		r.stamp++
		if _, err := fmt.Fprintf(r.w, "4,%d,%d,-;%s\n", r.sequence, r.stamp, line); err != nil {
			r.t.Errorf("write the ring: %v", err)
			return
		}
	}
}

// A burst of 100,000 lines is neither told line by line nor loses its first, and never an Xid: whatever the lines are.
func TestFloods(t *testing.T) {
	letters := func(i int) string { // of no number: each its own shape
		b := []byte("aaaaaa")
		for at := len(b) - 1; i > 0; at, i = at-1, i/26 {
			b[at] += byte(i % 26)
		}
		return string(b)
	}
	for _, c := range []struct {
		name string
		line func(i int) string
		at   int // place of the Xid
		most int // bytes that may cross at once
		each int // and for every second that it lasts
	}{
		{"one shape", func(i int) string { return fmt.Sprintf("usb 1-1: reset high-speed device number %d using xhci_hcd", i) }, 0, 4 << 10, 1 << 10},
		{"one shape, an Xid in the middle", func(i int) string { return fmt.Sprintf("usb 1-1: reset high-speed device number %d using xhci_hcd", i) }, floodLines / 2, 4 << 10, 1 << 10},
		{"a thousand shapes", func(i int) string { return fmt.Sprintf("dev %s: state changed to %d", letters(i%1000), i) }, floodLines / 2, 64 << 10, 20 << 10},
		{"all distinct", func(i int) string { return "a line with the word " + letters(i) + " in it" }, floodLines / 2, 64 << 10, 20 << 10},
		{"important ones of one shape", func(i int) string { return fmt.Sprintf("nvme nvme7: I/O tag %d QID 3 timeout, reset controller", i) }, floodLines / 2, 4 << 10, 1 << 10},
		{"important ones, all distinct", func(i int) string { return "INFO: task " + letters(i) + ":7 blocked for more than 122 seconds." }, 0, 112 << 10, 20 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRing(t)
			began := time.Now()
			d := connectFlood(t, nil, Options{Root: r.root, Every: quick, Sources: floodSources()})
			r.say("the very first line")
			for i := range floodLines {
				if i == c.at {
					r.say(floodXid)
				}
				r.say(c.line(i))
			}
			all := uint64(floodLines + 2)
			n := d.await(all)
			time.Sleep(10 * quick)
			d.mu.Lock()
			t.Logf("%d lines: %d B crossed: %d whole, %d counts; the front end shows %d, and %d only counted", all, d.bytes, d.records, d.folds, len(n.Kernel), n.KernelUntold)
			heard, crossed := d.heard, d.bytes
			d.mu.Unlock()
			if heard != all {
				t.Errorf("%d records heard of, want %d", heard, all)
			}
			if xidsOf(n) != 1 {
				t.Errorf("%d Xids", xidsOf(n))
			}
			if n.KernelLost != 0 {
				t.Errorf("%d lost", n.KernelLost)
			}
			if !d.said("the very first line") || !d.said(c.line(0)) {
				t.Error("its first line was not told")
			}
			if most := c.most + int(time.Since(began).Seconds()+1)*c.each; crossed > most {
				t.Errorf("%d bytes crossed, want at most %d", crossed, most)
			}
		})
	}
}
