package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// run lets seconds pass in which a node sends a sample each.
func run(t *testing.T, f *Fleet, c *clock, name string, n *fakeNode, seconds int) {
	t.Helper()
	for range seconds {
		c.tick(time.Second)
		apply(t, f, name, telemetry.KindSample, n.sample(), c.now())
	}
}

func TestRebootEndsItsProcesses(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(2)
	join(t, f, "a", n, c.now())
	apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{rankOf(5, "0", "2", 0)}}), c.now())
	if s := f.Publish(); len(s.Jobs) != 1 || s.Totals.GPUsHeld != 1 {
		t.Fatalf("before: %+v", s.Totals)
	}
	h := n.hello()
	h.BootId = "another"
	apply(t, f, "a", telemetry.KindHello, encode(t, h), c.now())
	n.enc = telemetry.Encoder{}
	run(t, f, c, "a", n, 3)
	if s := f.Publish(); s.Totals.Jobs != 0 || s.Totals.GPUsHeld != 0 || len(s.Nodes[0].Processes) != 0 || s.Nodes[0].ProcessesTold {
		t.Fatalf("after the reboot: %d jobs, %+v", len(s.Jobs), s.Totals)
	}
}

func TestProcessesAreBounded(t *testing.T) {
	at := newClock().now()
	held := make([]*facts.Held, maxHeld+1)
	for i := range held {
		held[i] = &facts.Held{}
	}
	env := map[string]string{}
	for i := range maxEnv + 1 {
		env[fmt.Sprint("K", i)] = "v"
	}
	for name, set := range map[string]func(i int) *facts.Process{
		"accelerators": func(int) *facts.Process { return &facts.Process{Held: held} },
		"variables":    func(int) *facts.Process { return &facts.Process{Env: env} },
		"namespaces":   func(int) *facts.Process { return &facts.Process{NsPids: make([]int32, maxNSPids+1)} },
		"bytes":        func(i int) *facts.Process { return &facts.Process{Pid: int32(i), Command: strings.Repeat("x", 4000)} },
	} {
		t.Run(name, func(t *testing.T) {
			f := New(Options{})
			join(t, f, "a", newFakeNode(1), at)
			var err error
			for i := 0; err == nil && i < 3000; i++ {
				_, err = f.Apply("a", telemetry.KindProcesses, encode(t, &facts.Processes{Set: []*facts.Process{set(i)}}), at)
			}
			var bad *telemetry.Malformed
			if !errors.As(err, &bad) {
				t.Fatalf("taken in: %v", err)
			}
		})
	}
}

// TestProcessFramesAreCheapUntilLookedAt: the work of ordering and identifying is done once a look, not once a frame.
func TestProcessFramesAreCheapUntilLookedAt(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	join(t, f, "a", newFakeNode(1), c.now())
	before := f.nodes["a"].processes.version
	for i := range 50 {
		apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Set: []*facts.Process{{Pid: int32(i)}}}), c.now())
	}
	if got := f.nodes["a"].processes.version; got != before {
		t.Fatalf("%d orderings for 50 frames nobody looked at", got-before)
	}
	if got := len(f.Publish().Nodes[0].Processes); got != 50 {
		t.Fatalf("%d processes shown", got)
	}
}

func TestPastOutlivesAReaderThatStartsAnew(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(2)
	join(t, f, "a", n, c.now())
	run(t, f, c, "a", n, 60)
	known := func(points int) (k int) {
		for _, v := range f.History(Query{Node: "a", GPU: 1, Series: SeriesUtil, Span: time.Duration(points) * time.Second, Points: points}) {
			if v == v {
				k++
			}
		}
		return k
	}
	if got := known(60); got < 58 {
		t.Fatalf("%d of 60 points known", got)
	}
	again := newFakeNode(0)
	again.mono = n.mono
	apply(t, f, "a", telemetry.KindHello, encode(t, again.hello()), c.now())
	apply(t, f, "a", telemetry.KindInventory, encode(t, again.inv), c.now())
	run(t, f, c, "a", again, 5)
	more := newFakeNode(3)
	more.mono = again.mono
	apply(t, f, "a", telemetry.KindHello, encode(t, more.hello()), c.now())
	apply(t, f, "a", telemetry.KindInventory, encode(t, more.inv), c.now())
	run(t, f, c, "a", more, 5)
	if got := known(70); got < 60 {
		t.Fatalf("%d of 70 points known after two new starts", got)
	}
}

func TestReadingsOfAHungSourceAreThePast(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, IdleAfter: 10 * time.Second})
	n := newFakeNode(1)
	n.state.Set(telemetry.GPUUtilPct, 0, 0)
	join(t, f, "a", n, c.now())
	apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{rankOf(5, "0", "1", 0)}}), c.now())
	f.Publish()
	for i := range 5 {
		n.state.Set(telemetry.PortRcvDataBytes, 0, int64(i)<<30)
		run(t, f, c, "a", n, 1)
	}
	if g := f.Publish().Nodes[0]; g.Ports[0].RcvBytesPerS != 1<<30 {
		t.Fatalf("rate %v", g.Ports[0].RcvBytesPerS)
	}
	for range 60 { // samples go on, GPUs and ports are not read any more
		c.tick(time.Second)
		n.mono += 1000
		n.state.Set(telemetry.ReadMS, int(telemetry.GroupSelf), n.mono)
		apply(t, f, "a", telemetry.KindSample, n.enc.Encode(nil, &n.state, 1, n.mono, telemetry.Base, false), c.now())
	}
	s := f.Publish()
	v := s.Nodes[0]
	if v.State != Live || v.GPUs[0].Stale < 55*time.Second {
		t.Fatalf("node %v, GPU stale for %v", v.State, v.GPUs[0].Stale)
	}
	if v.Ports[0].RcvBytesPerS.Known() || v.GPUs[0].NetRxBytesPerS.Known() || v.Host.CPUBusyPct.Known() {
		t.Fatalf("old rates shown as new: %v, %v", v.Ports[0].RcvBytesPerS, v.Host.CPUBusyPct)
	}
	if s.Totals.GPUsIdle != 0 || s.Jobs[0].PowerPct.Known() {
		t.Fatalf("a hung GPU counts: %+v, power %v", s.Totals, s.Jobs[0].PowerPct)
	}
	for i, v := range f.History(Query{Node: "a", Series: SeriesPower, Span: 40 * time.Second, Points: 40}) {
		if v == v {
			t.Fatalf("point %d of the past is known: %v", i, v)
		}
	}
}

func TestOneNodeDoesNotSpeakForAnother(t *testing.T) {
	at := newClock().now()
	f := New(Options{})
	evil := newFakeNode(1)
	f.Add("evil")
	apply(t, f, "evil", telemetry.KindHello, encode(t, evil.hello()), at)
	evil.inv.HwCounters = []*facts.HWCounter{{Port: 256, Name: "symbol_error"}}
	if _, err := f.Apply("evil", telemetry.KindInventory, encode(t, evil.inv), at); err == nil {
		t.Fatal("a counter of no port was taken in")
	}
	for i := range 3 * maxSharedLists {
		evil.inv.HwCounters = []*facts.HWCounter{{Port: 0, Name: fmt.Sprint("junk", i)}}
		apply(t, f, "evil", telemetry.KindInventory, encode(t, evil.inv), at)
	}
	if got := len(f.shared.counters.lists); got > maxSharedLists {
		t.Fatalf("%d lists kept", got)
	}
}

func TestKernelLogWhenItsWayChanges(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(1)
	join(t, f, "a", n, c.now())
	tell := func(via string, records ...*facts.KernelRecord) {
		apply(t, f, "a", telemetry.KindKernelLog, encode(t, &facts.KernelLog{Via: via, Records: records}), c.now())
	}
	tell("journal", &facts.KernelRecord{Sequence: 5_000_000, MonoUs: 5_000_000, Text: "one"})
	if r := apply(t, f, "a", telemetry.KindHello, encode(t, n.hello()), c.now()); r.Start.KernelVia != "journal" {
		t.Fatalf("start: %v", r.Start)
	}
	tell("kmsg", &facts.KernelRecord{Sequence: 700, MonoUs: 5_000_000, Text: "one"}, &facts.KernelRecord{Sequence: 701, MonoUs: 6_000_000, Text: "Xid"})
	if got := f.Publish().Nodes[0].Kernel; len(got) != 2 || got[1].Text != "Xid" {
		t.Fatalf("lines: %+v", got)
	}
}

func TestClockSetBack(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(1)
	join(t, f, "a", n, c.now())
	run(t, f, c, "a", n, 30)
	c.tick(-10 * time.Minute)
	n.state.Set(telemetry.GPUUtilPct, 0, 10)
	run(t, f, c, "a", n, 20)
	for i, v := range f.History(Query{Node: "a", Series: SeriesUtil, Span: 15 * time.Second, Points: 15}) {
		if v != 10 {
			t.Fatalf("point %d = %v, want 10", i, v)
		}
	}
}

func TestOutageKeepsItsBeginning(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	f.Add("a")
	began := c.now()
	for range 5 {
		f.SetStatus("a", Status{State: Lost, Cause: "no route to host", Since: began})
		c.tick(time.Minute)
		f.SetStatus("a", Status{State: Connecting, Since: began, Attempt: 2})
		if got := f.Publish().Nodes[0]; got.State != Lost || got.Cause != "no route to host" || got.Attempt != 2 {
			t.Fatalf("while it is dialled again: %v %q", got.State, got.Cause)
		}
	}
	if got := f.Publish().Nodes[0].Since; !got.Equal(began) {
		t.Fatalf("since %v, want %v", got, began)
	}
}

func TestTheLastLevelAskedForIsTheOneTold(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	f.Add("a")
	n := newFakeNode(1)
	toFront, fromNode := io.Pipe()
	toNode, fromFront := io.Pipe()
	go f.Serve(context.Background(), "a", toFront, fromFront)
	defer fromNode.Close()
	levels := make(chan bool, 10_000)
	go func() {
		frames := telemetry.NewFrameReader(toNode, telemetry.MaxControlBytes)
		for {
			_, payload, err := frames.Read()
			if err != nil {
				return
			}
			ctl := new(facts.Control)
			if facts.Decode(payload, ctl) == nil && ctl.GetLevel() != nil {
				levels <- ctl.GetLevel().Detail
			}
		}
	}()
	w := telemetry.NewFrameWriter(fromNode, telemetry.MaxFrameBytes)
	w.Write(telemetry.KindHello, encode(t, n.hello()))
	w.Write(telemetry.KindInventory, encode(t, n.inv))
	for range 1000 {
		f.Watch([]string{"a"})
		f.Watch(nil)
	}
	f.Watch([]string{"a"})
	last := false
	for deadline := time.After(10 * time.Second); ; {
		select {
		case last = <-levels:
			continue
		case <-time.After(300 * time.Millisecond):
		case <-deadline:
		}
		break
	}
	if !last {
		t.Fatal("the node was left at the base level")
	}
}

func TestLostNodesHoldNothing(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	join(t, f, "a", newFakeNode(2), c.now())
	apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{rankOf(5, "0", "1", 0)}}), c.now())
	f.SetStatus("a", Status{State: Lost})
	if tot := f.Publish().Totals; tot.GPUs != 2 || tot.GPUsHeld != 0 {
		t.Fatalf("totals: %+v", tot)
	}
}

func TestUsageEndsWithDetail(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	join(t, f, "a", newFakeNode(1), c.now())
	f.Watch([]string{"a"})
	apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{{Pid: 7, StartTicks: 1}}}), c.now())
	apply(t, f, "a", telemetry.KindUsage, encode(t, &facts.Usage{Told: []*facts.ProcessUsage{{Pid: 7, StartTicks: 1, CpuPermille: 990}}, Top: []*facts.ProcessUsage{{Pid: 9}}}), c.now())
	if n := f.Publish().Nodes[0]; n.Processes[0].CPUPct != 99 || len(n.Top) != 1 {
		t.Fatalf("with detail: %v, %d", n.Processes[0].CPUPct, len(n.Top))
	}
	f.Watch(nil)
	if n := f.Publish().Nodes[0]; n.Processes[0].CPUPct.Known() || len(n.Top) != 0 {
		t.Fatalf("without: %v, %d", n.Processes[0].CPUPct, len(n.Top))
	}
}

func TestInventoryAfterProcesses(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(2)
	f.Add("a")
	f.SetStatus("a", Status{State: Live})
	apply(t, f, "a", telemetry.KindHello, encode(t, n.hello()), c.now())
	p := rankOf(5, "0", "1", 0)
	p.Held, p.Env["CUDA_VISIBLE_DEVICES"] = nil, "GPU-b"
	apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{p}}), c.now())
	f.Publish()
	c.tick(2 * time.Second)
	apply(t, f, "a", telemetry.KindInventory, encode(t, n.inv), c.now())
	if j := f.Publish().Jobs[0]; len(j.GPUs) != 1 || j.GPUs[0].Index != 1 {
		t.Fatalf("GPUs: %+v", j.GPUs)
	}
}

func TestNeverReachedNodeHasNoReadings(t *testing.T) {
	f := New(Options{})
	f.Add("a")
	if h := f.Publish().Nodes[0].Host; h.CPUBusyPct.Known() || h.MemTotalBytes.Known() || h.Load1.Known() || h.UptimeS.Known() {
		t.Fatalf("host: %+v", h)
	}
}

func TestSwappedNodes(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(1)
	join(t, f, "a", n, c.now())
	apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{rankOf(5, "0", "1", 0)}}), c.now())
	f.Publish()
	gone := f.nodes["a"]
	f.Remove("a")
	f.Add("b")
	c.tick(2 * time.Second)
	if s := f.Publish(); len(s.Jobs) != 0 || len(s.Nodes) != 1 || s.Nodes[0].Name != "b" {
		t.Fatalf("jobs of a removed node: %d", len(s.Jobs))
	}
	if _, err := gone.apply(f, telemetry.KindSample, n.sample(), c.now()); err != nil || gone.past != nil {
		t.Fatalf("a removed node took memory for its past: %v", err)
	}
}
