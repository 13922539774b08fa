package fleet

import (
	"math"
	"slices"
	"testing"
	"time"

	"foretop/telemetry"
)

// What the comparison of nodes finds is given to the node with its next view, as long as it is found; it is asked every five seconds of the fleet's clock.
func TestComparisonReachesItsNode(t *testing.T) {
	c := newClock()
	asked, found := 0, map[string][]Problem(nil)
	f := New(Options{Now: c.now, Rules: Rules{
		Node: func(n *Node, _ time.Time, _ *Memory) []Problem { return slices.Clone(n.Unlike) },
		Fleet: func(s *Snapshot, _ time.Time, m *Memory) map[string][]Problem {
			asked++
			if m == nil || len(s.Nodes) != 2 {
				t.Errorf("asked with %d nodes, memory %v", len(s.Nodes), m)
			}
			return found
		},
	}})
	a, b := newFakeNode(1), newFakeNode(1)
	join(t, f, "a", a, c.now())
	join(t, f, "b", b, c.now())
	f.Publish()
	odd := Problem{Severity: Warning, Text: "odd", GPU: 0, Port: -1, Rule: "hw.pcie", Evidence: []string{"x"}}
	found = map[string][]Problem{"b": {odd}, "gone": {odd}}
	texts := func(n *Node) (out []string) {
		for _, p := range n.Problems {
			out = append(out, p.Text)
		}
		return out
	}
	seen := 0
	for s := range 20 {
		c.tick(time.Second)
		apply(t, f, "a", telemetry.KindSample, a.sample(), c.now())
		apply(t, f, "b", telemetry.KindSample, b.sample(), c.now())
		snap := f.Publish()
		if len(texts(snap.Node("a"))) > 0 {
			t.Fatalf("a: %v", texts(snap.Node("a")))
		}
		got := texts(snap.Node("b"))
		switch {
		case s < 4 && len(got) > 0, s >= 6 && s < 10 && (len(got) != 1 || snap.Node("b").GPUs[0].Severity != Warning), s > 16 && len(got) > 0:
			t.Fatalf("after %d s: %v", s, got)
		}
		seen += len(got)
		if s == 10 {
			found = nil
		}
	}
	if asked < 4 || asked > 6 || seen < 5 {
		t.Errorf("asked %d times, told in %d snapshots", asked, seen)
	}
	// A silent node's view is made anew for what is found of it.
	found = map[string][]Problem{"a": {odd}}
	c.tick(5 * time.Second)
	f.Publish()
	c.tick(100 * time.Millisecond)
	if got := texts(f.Publish().Node("a")); len(got) != 1 {
		t.Errorf("a silent node: %v", got)
	}
}

// A node's wall clock is held against ours by its quickest sample: how late others come does not matter, nor when its collector started.
func TestClockOffset(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(1)
	skewed := func(by time.Duration) { // the node's monotonic clock began when the fleet's clock says so
		n.state.Set(telemetry.WallOffsetMS, 0, c.now().Add(by).UnixMilli()-n.mono-1000)
	}
	offset := func() Reading { return f.Publish().Node("a").ClockOffsetS }
	join(t, f, "a", n, c.now())
	if got := offset(); got.Known() {
		t.Fatalf("an old collector tells no clock, and it is %v s ahead", got)
	}
	c.tick(time.Second)
	skewed(3 * time.Second)
	apply(t, f, "a", telemetry.KindSample, n.sample(), c.now())
	near := func(when string, want float64) {
		t.Helper()
		if got := offset(); !got.Known() || math.Abs(float64(got)-want) > 1.1 {
			t.Errorf("%s: %v s ahead, wanted %v", when, got, want)
		}
	}
	near("ahead", 3)
	for range 30 { // a line that is ever slower
		c.tick(2 * time.Second)
		apply(t, f, "a", telemetry.KindSample, n.sample(), c.now())
	}
	near("late samples", 3)
	c.tick(time.Second)
	n.state.Set(telemetry.WallOffsetMS, 0, n.state.Get(telemetry.WallOffsetMS, 0)-3_600_000) // somebody sets it
	apply(t, f, "a", telemetry.KindSample, n.sample(), c.now())
	near("set back an hour", 3-3600)
	if way := f.Publish().Node("a").ClockWayS; way.Known() {
		t.Errorf("nobody asked it to start, and it needed %v s", way)
	}
}

func TestTheWayIsMeasuredWhenAStreamBegins(t *testing.T) {
	c := newClock()
	var s clockSight
	s.restart()
	s.heard(c.now())
	if s.way.Known() {
		t.Errorf("way %v before it was asked", s.way)
	}
	s.ask(c.now())
	c.tick(300 * time.Millisecond)
	s.heard(c.now())
	c.tick(time.Hour)
	s.heard(c.now())
	if math.Abs(float64(s.way)-0.3) > 1e-9 {
		t.Errorf("way %v", s.way)
	}
	s.restart()
	if s.way.Known() {
		t.Error("another stream goes another way")
	}
}
