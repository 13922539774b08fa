package sshpool

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// sleepy is a clock that can be made to have slept.
type sleepy struct{ slept atomic.Int64 }

func (s *sleepy) now() time.Duration    { return awake() + time.Duration(s.slept.Load()) }
func (s *sleepy) sleep(d time.Duration) { s.slept.Add(int64(d)) }

// A laptop sleeps for eight minutes. Of the connections that did not outlive it nobody says that their nodes were lost; those that did go on as if nothing had been; a node that waited for
// its next try is tried at once.
func TestAway(t *testing.T) {
	var lid sleepy
	var silent atomic.Bool
	key := newSigner(t)
	timing := quick()
	timing.Sweep, timing.Quiet, timing.Gone = 20*time.Millisecond, 400*time.Millisecond, time.Minute
	timing.BackoffMin, timing.BackoffNear, timing.BackoffMax = time.Hour, time.Hour, time.Hour
	p, rec := newTestPool(t, Config{Timing: timing, awake: lid.now})
	gone := newServer(t, stoppable(&silent), key.PublicKey()) // its way is no more
	stays, ended, down := newServer(t, collect, key.PublicKey()), newServer(t, collect, key.PublicKey()), newServer(t, collect, key.PublicKey())
	down.stop()
	for name, s := range map[string]*server{"gone": gone, "stays": stays, "ended": ended, "down": down} {
		p.Add(Target{Name: name, Resolved: s.resolved(key)})
	}
	for _, name := range []string{"gone", "stays", "ended"} {
		rec.reached(name, Live, 0)
		rec.line(name, "tick")
	}
	_, downAt := rec.reached("down", Lost, 0)
	down.listen(down.listener.Addr().String())
	gone.mu.Lock()
	gone.deaf = true
	gone.mu.Unlock()
	silent.Store(true)
	lid.sleep(8 * time.Minute)
	rec.reached("down", Live, downAt)
	for _, s := range []*server{ended} { // its collector ended for want of a word, and the connection with it
		addr := s.listener.Addr().String()
		s.stop()
		s.listen(addr)
	}
	for _, name := range []string{"gone", "ended"} {
		st, at := rec.reached(name, Waiting, 1)
		if st.Cause != "this machine was away for 8 min" || !strings.Contains(st.Remedy, "by itself") {
			t.Errorf("%s: %+v", name, st)
		}
		p.Retry(name) // its backoff is an hour in this test
		silent.Store(false)
		gone.mu.Lock()
		gone.deaf = false
		gone.mu.Unlock()
		rec.reached(name, Live, at)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, name := range []string{"gone", "ended", "stays"} {
		for _, st := range rec.statuses[name] {
			if st.State == Lost || st.State == Stale {
				t.Errorf("%s is told to be %v: %q", name, st.State, st.Cause)
			}
		}
	}
	if l := rec.statuses["stays"]; l[len(l)-1].State != Live || len(l) != 3 {
		t.Errorf("a connection that outlived it: %+v", l)
	}
}

// After an absence the nodes that are still unreachable say both, and lose the excuse in time.
func TestAwayAndDown(t *testing.T) {
	var lid sleepy
	key := newSigner(t)
	timing := quick()
	timing.Sweep = 20 * time.Millisecond
	p, rec := newTestPool(t, Config{Timing: timing, awake: lid.now})
	s := newServer(t, collect, key.PublicKey())
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	lid.sleep(3 * time.Hour)
	time.Sleep(200 * time.Millisecond)
	s.stop()
	rec.until("both causes", func() bool {
		l := rec.statuses["n"]
		last := l[len(l)-1]
		return last.State == Waiting && strings.HasPrefix(last.Cause, "this machine was away for 3 h; now: connection refused")
	})
	p.mu.Lock()
	n := p.nodes["n"]
	p.mu.Unlock()
	n.mu.Lock()
	n.away.Store(&absence{n.away.Load().long, p.now() - int64(awaySettle) - 1})
	n.mu.Unlock()
	check(t, rec, Lost, "connection refused", "")
}

// What is on screen is dialled first, from the moment it is there.
func TestSeenFirst(t *testing.T) {
	p := newPacer(time.Now)
	turns := takeAll(p, "h")
	var order []string
	done := make(chan string, 20)
	var seen [10]atomic.Bool
	for i := range seen {
		go func() {
			u, err := p.acquire(t.Context(), "w"+strconv.Itoa(i), &seen[i])
			if err == nil {
				done <- strconv.Itoa(i)
				u.slow.Stop()
			}
		}()
		for waiting(p) != i+1 {
			time.Sleep(time.Millisecond)
		}
	}
	seen[7].Store(true)
	seen[4].Store(true)
	p.reorder()
	go func() { // and a person's own wish before all
		if u, err := p.acquire(t.Context(), "action", nil); err == nil {
			done <- "action"
			u.slow.Stop()
		}
	}()
	for waiting(p) != 11 {
		time.Sleep(time.Millisecond)
	}
	for range 11 {
		turns[len(order)].end(false)
		order = append(order, <-done)
	}
	if got, want := strings.Join(order, " "), "4 7 action 0 1 2 3 5 6 8 9"; got != want {
		t.Errorf("in the order %s, want %s", got, want)
	}
}

func waiting(p *pacer) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)
}

func TestFiles(t *testing.T) {
	limit, known := filesLimit()
	if !known {
		t.Fatal("this system tells no limit")
	}
	if words := Files(10); words != "" {
		t.Errorf("ten nodes: %s", words)
	}
	words := Files(limit)
	for _, want := range []string{"may open " + strconv.Itoa(limit) + " files", "about " + strconv.Itoa(limit-64) + " fit", "ulimit -Hn", "LimitNOFILE"} {
		if !strings.Contains(words, want) {
			t.Errorf("%q does not say %q", words, want)
		}
	}
}

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{6 * time.Second: "6 s", 8 * time.Minute: "8 min", 3*time.Hour + 20*time.Minute: "3 h", 90 * time.Minute: "90 min"} {
		if got := spell(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
