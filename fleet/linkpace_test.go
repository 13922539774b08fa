package fleet

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// line plays a node's samples over a line that carries so many a second, from a start on, and gives each change of pace.
type line struct {
	pace  linkPace
	boot  time.Time
	mono  time.Duration // of the next sample
	free  time.Duration // when the line is, by a clock of its own
	drift float64
}

func (l *line) run(d time.Duration, perSecond float64) (paces []time.Duration, worst time.Duration) {
	for end := l.mono + d; l.mono < end; l.mono += l.pace.pace() {
		sent := l.mono + rand.N(50*time.Millisecond)
		l.free = max(l.free, sent) + time.Duration(float64(time.Second)/perSecond)
		at := l.boot.Add(l.free + time.Duration(l.drift*float64(l.free)))
		if l.pace.sample(l.mono, at, l.boot) {
			paces = append(paces, l.pace.pace())
		}
		worst = max(worst, l.free-sent)
	}
	return paces, worst
}

// A line that carries two samples in three seconds gets a sample each two; one that carries one in three, a sample each four; when it is wide again, one a second. What waits is bounded.
func TestLinkPace(t *testing.T) {
	l := &line{boot: time.Now()}
	if p, _ := l.run(time.Minute, 100); len(p) != 0 {
		t.Fatalf("a wide line: %v", p)
	}
	p, worst := l.run(time.Minute, 0.66)
	if len(p) == 0 || l.pace.pace() < 2*time.Second {
		t.Errorf("two in three seconds: %v", p)
	}
	if worst > 8*time.Second {
		t.Errorf("samples were up to %v late", worst)
	}
	p, worst = l.run(20*time.Minute, 0.3)
	if !slices.Contains(p, slowestEvery) || worst > 15*time.Second {
		t.Errorf("one in three seconds: %v, up to %v late", p, worst)
	}
	if len(p) > 24 { // it is tried whether the line is wider now, but seldom where it was not the last times
		t.Errorf("%d changes of pace in twenty minutes: %v", len(p), p)
	}
	if p, _ = l.run(5*time.Minute, 100); l.pace.pace() != usualEvery {
		t.Errorf("wide again: %v", p)
	}
}

// Clocks that run apart, a node whose clock jumps, and a burst after a stall of ours are no slow line for long.
func TestLinkPaceClocks(t *testing.T) {
	l := &line{boot: time.Now(), drift: 0.0005}
	if p, _ := l.run(24*time.Hour, 100); len(p) != 0 {
		t.Errorf("drift: %v", p)
	}
	l = &line{boot: time.Now()}
	l.run(time.Minute, 100)
	l.boot = l.boot.Add(time.Hour) // as if the node had slept
	for i := range 1000 {
		at := l.boot.Add(l.mono + time.Hour)
		l.pace.sample(l.mono, at, l.boot)
		l.mono += l.pace.pace()
		if i > 300 && l.pace.pace() != usualEvery {
			t.Fatalf("its clock jumped %d samples ago, and its pace is %v", i, l.pace.pace())
		}
	}
	l = &line{boot: time.Now()}
	l.run(time.Minute, 100)
	at := l.boot.Add(l.mono + 30*time.Second)
	for range 30 { // what came while nobody read
		if l.pace.sample(l.mono, at, l.boot) {
			t.Fatal("a burst after a stall")
		}
		l.mono += time.Second
		at = at.Add(time.Millisecond)
	}
}

func TestLinkPatience(t *testing.T) {
	p := linkPace{}
	if got := p.patience(2500 * time.Millisecond); got != 2500*time.Millisecond {
		t.Error(got)
	}
	p.every = 4 * time.Second
	if got := p.patience(2500 * time.Millisecond); got != 5500*time.Millisecond {
		t.Error(got)
	}
}

// A large fleet asks its nodes for fewer samples, once, and those that are looked at for as many as ever.
func TestSparing(t *testing.T) {
	for nodes, want := range map[int]time.Duration{1: 0, 1250: 0, 1251: 2 * time.Second, 3000: 3 * time.Second, 5000: 4 * time.Second, 20000: 4 * time.Second} {
		if got := Sparing(nodes); got != want {
			t.Errorf("%d nodes: %v, not %v", nodes, got, want)
		}
	}
	p := linkPace{spared: 4 * time.Second}
	if p.due() != 4*time.Second || p.due() != 0 {
		t.Error("it is to be told once")
	}
	if p.patience(2500*time.Millisecond) != 5500*time.Millisecond {
		t.Error("its silence is judged by that")
	}
	if p.spared = 0; p.due() != time.Second || p.due() != 0 {
		t.Error("who looks at it wants all")
	}
}
