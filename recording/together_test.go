package recording

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"foretop/findings"
	"foretop/fleet"
	"foretop/simfleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Nodes tell, come and go, snapshots are published, segments begin, and the past is looked into, all at the same time. In the end what is recorded is what is there.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	const nodes, frames = 6, 120
	m, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: nodes, Seed: 4, Scenario: simfleet.Demo(), Epoch: noon})
	if err != nil {
		t.Fatal(err)
	}
	rec := New(Options{})
	rec.lengths = [2]time.Duration{100 * time.Millisecond, 20 * time.Millisecond}
	var clock atomic.Int64 // µs; time passes with what is told
	now := func() time.Time { return noon.Add(time.Duration(clock.Load()) * time.Microsecond) }
	pass := func(d time.Duration) { clock.Add(d.Microseconds()) }
	f := fleet.New(fleet.Options{Rules: findings.Rules(), Tap: rec, Now: now})
	defer f.Close()
	past := rec.Past(f, replay())
	var tellers, others sync.WaitGroup
	for i, n := range m.Nodes() {
		tellers.Go(func() {
			var enc telemetry.Encoder
			say := func(kind telemetry.Kind, m facts.Message) {
				b, err := facts.Encode(m)
				if err == nil {
					_, err = f.Apply(n.Name(), kind, b, now())
				}
				if err != nil {
					t.Error(err)
				}
			}
			for k := range frames {
				at := time.Duration(k) * time.Second
				if k%(30+i) == 0 {
					if i%2 == 0 {
						f.Remove(n.Name())
					}
					f.Add(n.Name())
					f.SetStatus(n.Name(), fleet.Status{State: fleet.Live})
					enc = telemetry.Encoder{}
					say(telemetry.KindHello, n.Hello(at))
					say(telemetry.KindInventory, n.Inventory())
				}
				n.Sample(at, telemetry.Base, func(st *telemetry.State, mono time.Duration) {
					if _, err := f.Apply(n.Name(), telemetry.KindSample, enc.Encode(nil, st, 1, mono.Milliseconds(), telemetry.Base, k%17 == 0), now()); err != nil {
						t.Error(err)
					}
				})
				if k%10 == 0 {
					_, list := n.Processes(at)
					say(telemetry.KindProcesses, &facts.Processes{Whole: true, Set: list})
				}
				f.Watch([]string{m.Nodes()[k%nodes].Name()})
				pass(4 * time.Millisecond)
				time.Sleep(time.Millisecond)
			}
		})
	}
	done := make(chan struct{})
	loop := func(do func()) {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					do()
				}
			}
		})
	}
	loop(func() { f.Publish(); time.Sleep(3 * time.Millisecond) })
	for range 2 {
		loop(func() {
			from, to, _, ok := past.Span()
			if !ok {
				return
			}
			var nothing *NothingError
			if s, err := past.At(context.Background(), from.Add(to.Sub(from)/2)); err != nil && !errors.As(err, &nothing) {
				t.Error(err)
			} else if err == nil && len(s.Nodes) > nodes {
				t.Errorf("%d nodes", len(s.Nodes))
			}
			past.Marks()
			past.History(to, fleet.Query{Node: m.Nodes()[0].Name(), Series: fleet.SeriesPower, Span: time.Minute, Points: 60})
			time.Sleep(5 * time.Millisecond)
		})
	}
	tellers.Wait()
	close(done)
	others.Wait()
	pass(1100 * time.Millisecond) // jobs are put together at most once a second
	f.Publish()
	pass(judgeEvery) // and findings recorded
	live := f.Publish()
	got, err := past.At(context.Background(), live.At)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*fleet.Snapshot{live, got} { // so dense, several slow readings are one for who watches, and not for a replay
		for _, n := range s.Nodes {
			for i := range n.GPUs {
				g := n.GPUs[i].Slow
				g.FabricSince, g.PCIeLowSince = time.Time{}, time.Time{}
				for _, r := range []*fleet.Rise{&g.NVLinkReplays, &g.NVLinkRecoveries, &g.NVLinkCRCErrors, &g.Resets, &g.ExecErrors} {
					r.At = time.Time{}
				}
			}
		}
	}
	if d := unlike(live, got); d != "" {
		t.Error(d)
	}
	if rec.lost > 0 {
		t.Errorf("%d records were left out", rec.lost)
	}
}
