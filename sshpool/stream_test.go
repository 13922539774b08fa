package sshpool

import (
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foretop/telemetry"

	"golang.org/x/crypto/ssh"
)

// stoppable plays a collector that falls silent on demand.
func stoppable(silent *atomic.Bool) func(*request) {
	return func(r *request) {
		nonce, _ := telemetry.NonceIn(r.command)
		_, _ = io.WriteString(r, telemetry.StreamLine(nonce))
		go func() {
			_, _ = io.Copy(io.Discard, r)
			r.exit(0)
		}()
		for {
			select {
			case <-r.ended:
				return
			case <-time.After(20 * time.Millisecond):
				if !silent.Load() {
					if _, err := io.WriteString(r, "tick\n"); err != nil {
						return
					}
				}
			}
		}
	}
}

func TestSilentCollector(t *testing.T) {
	var silent atomic.Bool
	key := newSigner(t)
	s := newServer(t, stoppable(&silent), key.PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	rec.line("n", "tick")
	silent.Store(true)
	begun := time.Now()
	st, at := rec.reached("n", Stale, 0)
	if took := st.At.Sub(begun); took < 2*time.Second || took > 3200*time.Millisecond {
		t.Errorf("stale after %v", took)
	}
	rec.until("an answer of ssh", func() bool {
		l := rec.statuses["n"]
		last := l[len(l)-1]
		return last.State == Stale && strings.Contains(last.Cause, "collector silent 3 s; ssh answers") && last.Remedy != ""
	})
	silent.Store(false)
	rec.reached("n", Live, at)
	if s.count() != 1 {
		t.Errorf("%d logins", s.count())
	}
}

func TestHalfOpen(t *testing.T) {
	var silent atomic.Bool
	key := newSigner(t)
	s := newServer(t, stoppable(&silent), key.PublicKey())
	timing := quick()
	timing.Quiet, timing.Gone, timing.Sweep = 300*time.Millisecond, time.Second, 20*time.Millisecond
	p, rec := newTestPool(t, Config{Timing: timing})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	_, at := rec.reached("n", Live, 0)
	rec.line("n", "tick")
	s.mu.Lock()
	s.deaf = true
	s.mu.Unlock()
	silent.Store(true)
	_, at = rec.reached("n", Stale, at)
	st, at := rec.reached("n", Lost, at)
	if !strings.Contains(st.Cause, "no answer for 1 s") || st.NextTry.IsZero() {
		t.Errorf("status %+v", st)
	}
	silent.Store(false)
	rec.reached("n", Live, at)
}

func TestNodeDiesAndComesBack(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	other := newServer(t, collect, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	p.Add(Target{Name: "other", Resolved: other.resolved(key)})
	_, at := rec.reached("n", Live, 0)
	rec.reached("other", Live, 0)
	s.stop()
	st, at := rec.reached("n", Lost, at)
	if !strings.Contains(st.Cause, "connection lost") {
		t.Errorf("cause %q", st.Cause)
	}
	since := st.At
	st, at = rec.reached("n", Lost, at)
	if !st.At.Equal(since) {
		t.Errorf("lost since %v, then since %v", since, st.At)
	}
	if !strings.Contains(st.Cause, "connection refused") || st.Attempt < 2 {
		t.Errorf("status %+v", st)
	}
	s.listen(s.listener.Addr().String())
	rec.reached("n", Live, at)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if l := rec.statuses["other"]; l[len(l)-1].State != Live || len(l) != 3 {
		t.Errorf("the other node changed: %+v", l)
	}
}

func TestCollectorDies(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, func(r *request) {
		nonce, _ := telemetry.NonceIn(r.command)
		_, _ = io.WriteString(r, telemetry.StreamLine(nonce))
		_, _ = io.WriteString(r.Stderr(), strings.Repeat("noise\n", 100000)+"panic: out of cheese\n")
		r.exit(3)
	}, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	check(t, rec, Lost, "the collector ended: exit 3: panic: out of cheese", "")
}

func TestBackoffGrows(t *testing.T) {
	timing := Timing{}.withDefaults()
	for _, c := range []struct {
		attempt  int
		again    pause
		outage   time.Duration
		min, max time.Duration
	}{
		{1, pauseFar, 0, 125 * time.Millisecond, time.Second},
		{3, pauseFar, 0, 500 * time.Millisecond, 4 * time.Second},
		{40, pauseFar, 0, 7 * time.Second, time.Minute},
		{40, pauseBack, 30 * time.Second, 750 * time.Millisecond, 6 * time.Second},
		{40, pauseBack, 2 * time.Minute, 7 * time.Second, time.Minute},
		{40, pauseNear, time.Minute, 750 * time.Millisecond, 6 * time.Second},
		{40, pauseNear, time.Hour, 7 * time.Second, time.Minute},
		{1, pauseLong, 0, time.Minute, 75 * time.Second},
		{40, pauseLong, 0, 10 * time.Minute, 13 * time.Minute},
	} {
		spread := make(map[time.Duration]bool)
		for range 200 {
			d := timing.backoff(c.attempt, c.again, c.outage)
			if d < c.min || d > c.max {
				t.Fatalf("%+v: %v", c, d)
			}
			spread[d] = true
		}
		if len(spread) < 100 {
			t.Errorf("%+v: only %d different waits", c, len(spread))
		}
	}
}

func TestCloseIsPrompt(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	const nodes = 60
	for i := range nodes {
		r := *s.resolved(key)
		r.HostName = "127.0.3." + strconv.Itoa(i+1)
		if i%3 == 0 {
			r.Port = 1 // refused: these are in their backoff
		}
		p.Add(Target{Name: "n" + strconv.Itoa(i), Resolved: &r})
	}
	// the listener is on 127.0.0.1 only: the others are refused too
	r := s.resolved(key)
	p.Add(Target{Name: "n", Resolved: r})
	rec.reached("n", Live, 0)
	begun := time.Now()
	p.Close()
	if took := time.Since(begun); took > 800*time.Millisecond {
		t.Errorf("close took %v", took)
	}
	rec.mu.Lock()
	count := len(rec.statuses["n"])
	rec.mu.Unlock()
	p.Add(Target{Name: "late", Resolved: r})
	time.Sleep(50 * time.Millisecond)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.statuses["n"]) != count || len(rec.statuses["late"]) != 0 {
		t.Error("reports after Close")
	}
}

func TestRemove(t *testing.T) {
	key := newSigner(t)
	ended := make(chan struct{})
	s := newServer(t, func(r *request) {
		collect(r)
		close(ended)
	}, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	p.Remove("n")
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the collector stayed")
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if l := rec.statuses["n"]; l[len(l)-1].State != Live {
		t.Errorf("spoken of after its removal: %+v", l[len(l)-1])
	}
}

// A node may ask for nothing: channels that it opens are refused, its requests answered "no".
func TestNodeAsksForChannels(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	refused := make(chan error, 1)
	p, rec := newTestPool(t, Config{})
	s.change(func(*ssh.ServerConfig) {
		s.onConn = func(c ssh.Conn) {
			_, _, err := c.OpenChannel("auth-agent@openssh.com", nil)
			refused <- err
		}
	})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	select {
	case err := <-refused:
		if err == nil {
			t.Error("a node opened a channel to the agent")
		}
	case <-time.After(patience):
		t.Fatal("no answer to a channel open")
	}
}
