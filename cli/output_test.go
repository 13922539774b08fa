package cli

import (
	"strings"
	"testing"
	"time"
)

// TestLine: a line is left free for longer the longer a picture took to be read; a quick terminal, and one that answers nothing, are never waited for.
func TestLine(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	pass := func(d time.Duration) { now = now.Add(d) }
	l := &line{now: func() time.Time { return now }}
	picture := func(took time.Duration) {
		t.Helper()
		if !l.ready() || !l.ask() || l.ready() {
			t.Fatal("a picture before the last one was read, or none although it was")
		}
		pass(took)
		if !l.answered() || l.answered() {
			t.Fatal("one answer to one question")
		}
	}
	for range 10 {
		picture(20 * time.Millisecond)
	}
	picture(600 * time.Millisecond) // a hiccup, for all that is known
	for _, rest := range []time.Duration{1200, 2400, 4800, 7200, 7200} {
		picture(600 * time.Millisecond)
		pass(rest*time.Millisecond - 1)
		if l.ready() {
			t.Fatalf("a thin line is not left free for %d ms", rest)
		}
		pass(1)
	}
	picture(20 * time.Millisecond) // it became fast
	picture(600 * time.Millisecond)
	l.ask()
	pass(2900 * time.Millisecond)
	if l.ready() {
		t.Fatal("a picture although the last one is on its way")
	}
	pass(200 * time.Millisecond)
	if !l.ready() {
		t.Fatal("a lost answer ends all pictures")
	}
	l.writes = 1
	if l.ready() {
		t.Fatal("a picture while a write is in progress")
	}

	deaf := &line{now: func() time.Time { return now }}
	deaf.ask()
	pass(4 * time.Second)
	if !deaf.ready() || deaf.ask() {
		t.Fatal("a terminal that answers nothing is waited for, or asked again")
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
