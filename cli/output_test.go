package cli

import (
	"strings"
	"testing"
	"time"
)

// TestPacedOutput plays a line of 4 KB/s: pictures wait until the line is free again, and a fast line is never waited for.
func TestPacedOutput(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	p := &pacedOutput{now: func() time.Time { return now }}
	write := func(n int, took time.Duration) {
		p.writes++
		start := now
		now = now.Add(took)
		p.wrote(n, start, now)
	}
	for range 50 {
		write(5000, 100*time.Microsecond)
		if !p.ready() {
			t.Fatal("a fast terminal is waited for")
		}
	}
	for range 10 {
		write(4096, time.Second)
	}
	write(4000, 10*time.Millisecond) // into the buffer between: it takes about a second to be read
	if p.ready() {
		t.Fatal("a picture into a full buffer")
	}
	now = now.Add(2 * time.Second)
	if !p.ready() {
		t.Fatal("no picture although the line must be free")
	}
	p.writes = 1
	if p.ready() {
		t.Fatal("a picture while a write is in progress")
	}
	p.writes = 0
	for range 2000 { // fast again: it is found out
		write(500, 100*time.Microsecond)
		now = now.Add(200 * time.Millisecond)
	}
	write(5000, 100*time.Microsecond)
	now = now.Add(20 * time.Millisecond)
	if !p.ready() {
		t.Fatal("the terminal became fast and is still waited for")
	}
}

func TestUTF8Locale(t *testing.T) {
	for env, want := range map[string]bool{"LANG=en_US.UTF-8": true, "LANG=C": false, "LC_ALL=C LANG=en_US.UTF-8": false, "LC_CTYPE=C.utf8 LANG=C": true, "": false} {
		get := func(name string) string {
			for _, kv := range strings.Fields(env) {
				if k, v, _ := strings.Cut(kv, "="); k == name {
					return v
				}
			}
			return ""
		}
		if got := utf8Locale(get); got != want {
			t.Errorf("%q: %v", env, got)
		}
	}
}
