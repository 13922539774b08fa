package nvml

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// events are what was reported, but for the word that the reader listens.
func (p *played) events() []Event {
	return slices.DeleteFunc(p.Events(), func(e Event) bool { return e.What == "listening" })
}

// That Xids are listened for is told, so that their absence means something; not where the driver does not tell them.
func TestListening(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "gpus 2")
	p.until("the word that it listens", func(Report) bool {
		return slices.ContainsFunc(p.Events(), func(e Event) bool { return e.What == "listening" && e.MonoUS > 0 })
	})
	deaf := play(t, programs(t).driver, "gpus 2", "call nvmlDeviceGetSupportedEventTypes 3")
	deaf.next(3)
	if heard := deaf.Events(); len(heard) > 0 {
		t.Errorf("a driver that tells no events is listened to: %+v", heard)
	}
}

// hear gathers events until there are enough.
func (p *played) hear(n int) []Event {
	p.t.Helper()
	var heard []Event
	p.until(fmt.Sprintf("%d events", n), func(Report) bool {
		heard = append(heard, p.events()...)
		return len(heard) >= n
	})
	return heard
}

func TestEventsInOrder(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "machine b200", "event 1 0 8 13") // that was before
	p.next(2)
	lines := []string{"machine b200", "event 1 0 8 13", "event 2 5 8 79", "gpu 3 xid 3 94", "event 4 5 8 45 2 0", "event 5 1 2 0", "event 6 1 8000 0", "event 7 2 4000 0", "event 8 2 1 0"}
	p.change(lines...)
	heard := p.hear(6)
	type short struct {
		gpu  int
		what string
		code uint32
		gi   int
	}
	var got []short
	for i, e := range heard {
		got = append(got, short{e.GPU, e.What, e.Code, e.Instance})
		if e.MonoUS <= 0 || i > 0 && e.MonoUS < heard[i-1].MonoUS {
			t.Errorf("event %d at %d µs", i, e.MonoUS)
		}
	}
	want := []short{{5, "xid", 79, 0}, {3, "xid", 94, 0}, {5, "xid", 45, 3}, {1, "ecc_double_bit", 0, 0}, {1, "recovery_action", 0, 0}, {2, "gpu_unavailable", 0, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p.next(3)
	if more := p.events(); len(more) > 0 { // single-bit errors were not asked for
		t.Errorf("and %+v", more)
	}
}

// A flood is bounded, loses no kind's first, and its size is told.
func TestEventFlood(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "gpus 4")
	p.next(2)
	p.change("gpus 4", "event 1 2 8 31 4294967295 4294967295 10000", "event 2 3 8 79")
	var heard []Event
	p.until("the end of the flood, and how large it was", func(r Report) bool {
		heard = append(heard, p.events()...)
		return slices.ContainsFunc(heard, func(e Event) bool { return e.What == "events_dropped" })
	})
	told := map[string]int{}
	dropped := uint32(0)
	for _, e := range heard {
		told[fmt.Sprintf("%d %s", e.GPU, e.What)]++
		if e.What == "events_dropped" {
			dropped += e.Code
		}
	}
	p.until("all of them", func(Report) bool { // it may have gone on into the next window
		for _, e := range p.events() {
			told[fmt.Sprintf("%d %s", e.GPU, e.What)]++
			if e.What == "events_dropped" {
				dropped += e.Code
			}
		}
		return int(dropped)+told["2 xid"] == 10000
	})
	if told["2 xid"] > 100 || told["3 xid"] != 1 {
		t.Errorf("told %v", told)
	}
}

// The Xid that explains why a call does not return gets out while it does not.
func TestEventWhileACallHangs(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver)
	p.next(2)
	p.change("gpu 1 hang")
	p.until("stuck", func(r Report) bool { return r.Health == Stuck })
	p.change("gpu 1 hang", "event 1 1 8 119")
	heard := p.hear(1)
	if r := p.Report(nil); heard[0].GPU != 1 || heard[0].Code != 119 || r.Health != Stuck {
		t.Errorf("%+v; health %d, %q", heard, r.Health, r.Text)
	}
}

// A GPU that comes later, and one that comes back, are heard as well.
func TestEventsOfGPUsThatComeLater(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "gpus 4", "gpu 2 lost")
	p.until("three", func(r Report) bool { return r.Rounds > 2 })
	p.change("gpus 4")
	p.until("the fourth", func(r Report) bool { return r.Inventory.GPUs[2].UUID != "" })
	p.next(2)
	p.change("gpus 4", "event 1 2 8 92", "event 2 0 8 93")
	if heard := p.hear(2); heard[0].GPU != 2 || heard[0].Code != 92 || heard[1].GPU != 0 {
		t.Errorf("%+v", heard)
	}
}

// Drivers and GPUs without events: nothing is wrong.
func TestNoEvents(t *testing.T) {
	for name, line := range map[string]string{"no types": "events 0", "refused": "call nvmlDeviceRegisterEvents 3", "no sets": "call nvmlEventSetCreate 999"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := play(t, programs(t).driver, line)
			if r := p.next(5); r.Health != OK || r.Text != "" {
				t.Errorf("health %d, %q", r.Health, r.Text)
			}
		})
	}
}

// A wait that never returns holds up neither the readings nor the end, and is said.
func TestWaitThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "call nvmlEventSetWait_v2 hang")
	p.until("words", func(r Report) bool {
		return r.Health == OK && r.Text == "events (Xid) are not heard: nvmlEventSetWait does not return"
	})
	r := p.next(3)
	began := time.Now()
	p.Close()
	if d := time.Since(began); d > 10*time.Second || r.Health != OK {
		t.Errorf("closing took %v, health %d", d, r.Health)
	}
}
