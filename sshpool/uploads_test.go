//go:build unix

package sshpool

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// putNodes adds nodes with folders of their own to a pool; home(i) is the home that node i sees, upload is called before each upload to it, and tells whether it goes on.
func putNodes(t *testing.T, timing Timing, nodes int, home func(i int) string, upload func(i int, r *request) bool) *recorder {
	t.Helper()
	cfg := deployConfig(t, fakeSet(t))
	cfg.Timing = timing
	p, rec := newTestPool(t, cfg)
	root, key := t.TempDir(), newSigner(t)
	for i := range nodes {
		name := "n" + strconv.Itoa(i)
		local := filepath.Join(root, name)
		for _, dir := range []string{local, home(i)} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		run := shell("/bin/sh", "HOME="+home(i), "FT="+local)
		s := newServer(t, func(r *request) {
			if !strings.Contains(r.command, "say DONE") || upload(i, r) {
				run(r)
			}
		}, key.PublicKey())
		p.Add(Target{Name: name, Resolved: s.resolved(key)})
	}
	return rec
}

func intoShared(r *request) bool { return strings.Contains(r.command, `d="$HOME/.cache/foretop"`) }

// The node that uploads for all hangs while it does: the others of that home go without it.
func TestFirstUploaderHangs(t *testing.T) {
	const nodes = 4
	home := t.TempDir()
	timing := quick()
	timing.Share = 500 * time.Millisecond
	var first atomic.Int64
	first.Store(-1)
	rec := putNodes(t, timing, nodes, func(int) string { return home }, func(i int, r *request) bool {
		if intoShared(r) && first.CompareAndSwap(-1, int64(i)) {
			<-r.ended
			return false
		}
		return true
	})
	rec.until("an upload", func() bool { return first.Load() >= 0 || len(rec.lines) > 0 })
	for i := range nodes {
		if int64(i) != first.Load() {
			rec.reached("n"+strconv.Itoa(i), Live, 0)
		}
	}
}

// Uploads that hang do not keep the places of all.
func TestUploadsThatHangMakeRoom(t *testing.T) {
	const hung = uploadsAtOnce + 2
	root := t.TempDir()
	timing := quick()
	timing.Still = 300 * time.Millisecond
	held := make(chan struct{}, hung)
	rec := putNodes(t, timing, hung+1, func(i int) string { return filepath.Join(root, strconv.Itoa(i)) }, func(i int, r *request) bool {
		if i < hung {
			held <- struct{}{}
			<-r.ended
			return false
		}
		return true
	})
	rec.reached("n"+strconv.Itoa(hung), Live, 0)
	for range hung {
		select {
		case <-held:
		case <-time.After(patience):
			t.Fatal("not all of them began")
		}
	}
}

// The upload for all is slow, as over a narrow line: those who gave up waiting, but have no place to upload yet, take what has come.
func TestSlowSharedUploadIsTakenAfterAll(t *testing.T) {
	const nodes = uploadsAtOnce + 4
	home := t.TempDir()
	timing := quick()
	timing.Share, timing.Still = 500*time.Millisecond, time.Hour
	var uploads, shared atomic.Int32
	slow, own := make(chan struct{}), make(chan struct{})
	rec := putNodes(t, timing, nodes, func(int) string { return home }, func(i int, r *request) bool {
		uploads.Add(1)
		if intoShared(r) {
			shared.Add(1)
			<-slow
		} else {
			<-own
		}
		return true
	})
	live := func() (n int) {
		for _, list := range rec.statuses {
			if list[len(list)-1].State == Live {
				n++
			}
		}
		return n
	}
	for limit := time.Now().Add(patience); uploads.Load() < uploadsAtOnce; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%d uploads", uploads.Load())
		}
	}
	close(slow)
	rec.until("all live that had no place", func() bool { return live() == nodes-(uploadsAtOnce-1) })
	close(own)
	rec.until("all live", func() bool { return live() == nodes })
	if uploads.Load() != uploadsAtOnce || shared.Load() != 1 {
		t.Errorf("%d uploads, %d of them for all", uploads.Load(), shared.Load())
	}
}
