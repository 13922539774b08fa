package fleet

import (
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

func TestIdleHeldGPUs(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, IdleAfter: 10 * time.Second})
	n := newFakeNode(2)
	n.state.Set(telemetry.GPUUtilPct, 0, 0)
	n.state.Set(telemetry.GPUUtilPct, 1, 0)
	join(t, f, "a", n, c.now())
	apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{rankOf(5, "0", "1", 0)}}), c.now())
	f.Publish()
	for range 12 {
		c.tick(time.Second)
		apply(t, f, "a", telemetry.KindSample, n.sample(), c.now())
	}
	s := f.Publish()
	if g := s.Node("a").GPUs; g[0].IdleSince.IsZero() || !g[1].IdleSince.IsZero() || s.Totals.GPUsIdle != 1 || s.Jobs[0].IdleGPUs != 1 {
		t.Fatalf("idle: %v, %v, totals %+v", g[0].IdleSince, g[1].IdleSince, s.Totals)
	}
}

func TestAMomentOfWorkDoesNotEndIdleness(t *testing.T) {
	for _, tt := range []struct {
		name string
		util func(second int) int64 // of a GPU that was idle for long
		idle bool                   // after a minute
	}{
		{"nothing", func(int) int64 { return 0 }, true},
		{"a second now and then", func(s int) int64 { return int64(s % 20 / 19 * 60) }, true},
		{"work", func(int) int64 { return 60 }, false},
		{"work with short breaks", func(s int) int64 { return int64(min(s%4, 1) * 60) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			f := New(Options{Now: c.now, IdleAfter: 20 * time.Second})
			n := newFakeNode(1)
			n.state.Set(telemetry.GPUUtilPct, 0, 0)
			join(t, f, "a", n, c.now())
			apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{rankOf(5, "0", "1", 0)}}), c.now())
			f.Publish()
			run(t, f, c, "a", n, 30)
			since := f.Publish().Node("a").GPUs[0].IdleSince
			if since.IsZero() {
				t.Fatal("not idle after 30 s of nothing")
			}
			for s := range 60 {
				n.state.Set(telemetry.GPUUtilPct, 0, tt.util(s))
				run(t, f, c, "a", n, 1)
				if got := f.Publish().Node("a").GPUs[0].IdleSince; tt.idle && !got.Equal(since) {
					t.Fatalf("after %d s idle since %v, before since %v", s, got, since)
				}
			}
			if got := f.Publish().Node("a").GPUs[0].IdleSince; got.IsZero() == tt.idle {
				t.Fatalf("idle since %v", got)
			}
		})
	}
}
