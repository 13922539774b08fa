package fleet

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time       { return c.t }
func (c *clock) tick(d time.Duration) { c.t = c.t.Add(d) }
func newClock() *clock                { return &clock{time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)} }

// fakeNode plays a collector: it holds what a node would say and makes frames of it.
type fakeNode struct {
	state telemetry.State
	enc   telemetry.Encoder
	inv   *facts.Inventory
	mono  int64
}

func newFakeNode(gpus int) *fakeNode {
	n := &fakeNode{mono: 1000, inv: &facts.Inventory{Cpu: &facts.CPU{Threads: 8}, Sources: []*facts.Source{{Name: KernelLogSource}}}}
	for i := range gpus {
		n.inv.Gpus = append(n.inv.Gpus, &facts.GPU{Uuid: "GPU-" + string(rune('a'+i)), Name: "H100", Pci: "0000:0" + string(rune('1'+i)) + ":00.0",
			PciPath: "devices/pci0000:00/0000:00:01." + string(rune('0'+i)) + "/x"})
		n.inv.Ports = append(n.inv.Ports, &facts.Port{Device: "mlx5_" + string(rune('0'+i)), Port: 1,
			PciPath: "devices/pci0000:00/0000:00:01." + string(rune('0'+i)) + "/y"})
	}
	n.state.Resize(telemetry.ScopeNode, 1)
	n.state.Resize(telemetry.ScopeGroup, int(telemetry.NumGroups))
	n.state.Resize(telemetry.ScopeSource, 1)
	n.state.Resize(telemetry.ScopeGPU, gpus)
	n.state.Resize(telemetry.ScopePort, gpus)
	n.state.Set(telemetry.SourceStateEnum, 0, int64(facts.SourceState_SOURCE_OK))
	for i := range gpus {
		n.state.Set(telemetry.GPUStatus, i, telemetry.GPUOK)
		n.state.Set(telemetry.GPUUtilPct, i, 90)
		n.state.Set(telemetry.GPUPowerMW, i, 350_000)
		n.state.Set(telemetry.GPUPowerLimitMW, i, 700_000)
		n.state.Set(telemetry.PortRcvDataBytes, i, 0)
		n.state.Set(telemetry.PortXmitDataBytes, i, 0)
	}
	return n
}

func encode(t testing.TB, m facts.Message) []byte {
	t.Helper()
	b, err := facts.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (n *fakeNode) hello() *facts.Hello {
	return &facts.Hello{ProtocolMajor: telemetry.ProtocolMajor, BootId: "boot", Hostname: "gpu", MonoMs: n.mono, WallMs: 1}
}

func (n *fakeNode) sample() []byte {
	n.mono += 1000
	for g := range telemetry.NumGroups {
		n.state.Set(telemetry.ReadMS, int(g), n.mono)
	}
	return n.enc.Encode(nil, &n.state, 1, n.mono, telemetry.Base, false)
}

// join makes a node of the fleet live: hello, inventory, first sample.
func join(t testing.TB, f *Fleet, name string, n *fakeNode, at time.Time) {
	t.Helper()
	f.Add(name)
	f.SetStatus(name, Status{State: Live})
	apply(t, f, name, telemetry.KindHello, encode(t, n.hello()), at)
	apply(t, f, name, telemetry.KindInventory, encode(t, n.inv), at)
	apply(t, f, name, telemetry.KindSample, n.sample(), at)
}

func apply(t testing.TB, f *Fleet, name string, k telemetry.Kind, payload []byte, at time.Time) Reply {
	t.Helper()
	r, err := f.Apply(name, k, payload, at)
	if err != nil {
		t.Fatalf("%s, frame of kind %d: %v", name, k, err)
	}
	return r
}

func rankOf(pid int32, rank, world string, gpu uint32) *facts.Process {
	return &facts.Process{Pid: pid, StartTicks: 7, User: "ann", Comm: "python", Rank: true, EnvState: facts.EnvState_ENV_READ,
		Env:  map[string]string{"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "gpu1", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none"},
		Held: []*facts.Held{{Gpu: gpu, MemoryBytes: 70 << 30, MemoryKnown: true}}}
}

func TestSnapshotShowsWhatNodesSay(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	a := newFakeNode(2)
	join(t, f, "gpu10", newFakeNode(2), c.now())
	join(t, f, "gpu9", a, c.now())
	apply(t, f, "gpu9", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true,
		Set: []*facts.Process{rankOf(100, "0", "4", 0), rankOf(101, "1", "4", 1)}}), c.now())
	c.tick(time.Second)
	a.state.Set(telemetry.PortRcvDataBytes, 1, 64<<20)
	apply(t, f, "gpu9", telemetry.KindSample, a.sample(), c.now())

	s := f.Publish()
	if s.Nodes[0].Name != "gpu9" || s.Nodes[1].Name != "gpu10" {
		t.Fatalf("order: %s, %s", s.Nodes[0].Name, s.Nodes[1].Name)
	}
	n := s.Node("gpu9")
	if n.State != Live || len(n.GPUs) != 2 || n.GPUs[1].PowerPct() != 50 {
		t.Fatalf("node: %v, %d GPUs, power %v", n.State, len(n.GPUs), n.GPUs[1].PowerPct())
	}
	if n.Ports[1].RcvBytesPerS != 64<<20 || n.Ports[1].GPU != 1 || n.GPUs[1].NetRxBytesPerS != 64<<20 {
		t.Fatalf("port: %+v", n.Ports[1])
	}
	if n.GPUs[0].TempC.Known() {
		t.Fatal("an absent temperature became known")
	}
	if len(s.Jobs) != 1 || s.Jobs[0].World != 4 || len(s.Jobs[0].Ranks) != 2 || s.Jobs[0].MissingN != 2 {
		t.Fatalf("jobs: %+v", s.Jobs)
	}
	if h := n.GPUs[1].Holders; len(h) != 1 || h[0].Rank != 1 || h[0].Job != s.Jobs[0].Key {
		t.Fatalf("holder: %+v", h)
	}
	if tot := s.Totals; tot.GPUs != 4 || tot.GPUsHeld != 2 || tot.ByState[Live] != 2 || tot.KernelLogRead != 2 {
		t.Fatalf("totals: %+v", tot)
	}
	if again := f.Publish(); again.Nodes[0] != s.Nodes[0] {
		t.Fatal("a node that did not change was cloned")
	}
}

func TestSilentNodeBecomesStaleOthersStay(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	a, b := newFakeNode(1), newFakeNode(1)
	join(t, f, "a", a, c.now())
	join(t, f, "b", b, c.now())
	for range 3 {
		c.tick(time.Second)
		apply(t, f, "b", telemetry.KindSample, b.sample(), c.now())
	}
	s := f.Publish()
	if got := s.Node("a"); got.State != Stale || !strings.Contains(got.Cause, "no sample for 3s") {
		t.Fatalf("a: %v %q", got.State, got.Cause)
	}
	if got := s.Node("b"); got.State != Live {
		t.Fatalf("b: %v", got.State)
	}
	c.tick(2 * time.Second)
	if got := f.Publish().Node("a"); !strings.Contains(got.Cause, "5s") {
		t.Fatalf("the age stands still: %q", got.Cause)
	}
	apply(t, f, "a", telemetry.KindSample, a.sample(), c.now())
	if got := f.Publish().Node("a"); got.State != Live {
		t.Fatalf("a again: %v", got.State)
	}
}

func TestHistory(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(2)
	join(t, f, "a", n, c.now())
	for i := range 120 {
		c.tick(time.Second)
		n.state.Set(telemetry.GPUUtilPct, 1, int64(i%60))
		apply(t, f, "a", telemetry.KindSample, n.sample(), c.now())
	}
	got := f.History(Query{Node: "a", GPU: 1, Series: SeriesUtil, Span: 10 * time.Second, Points: 10})
	for i, v := range got {
		if want := float64(50 + i); v != want {
			t.Fatalf("point %d = %v, want %v (%v)", i, v, want, got)
		}
	}
	hour := f.History(Query{Node: "a", GPU: 1, Series: SeriesUtil, Span: time.Hour, Points: 60})
	if known := hour[len(hour)-2]; math.Abs(known-29.5) > 1 || hour[0] == hour[0] {
		t.Fatalf("by the minute: %v … %v", hour[0], known)
	}
	for name, q := range map[string]Query{
		"unknown node": {Node: "x", Span: time.Second, Points: 1}, "no such GPU": {Node: "a", GPU: 7, Span: time.Second, Points: 1},
		"a host's series of a GPU": {Node: "a", GPU: 0, Series: SeriesCPU, Span: time.Second, Points: 1}, "no points": {Node: "a", Span: time.Second},
	} {
		if got := f.History(q); got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	f.Remove("a")
	if got := f.History(Query{Node: "a", Span: time.Second, Points: 1}); got != nil {
		t.Errorf("removed: %v", got)
	}
}

func TestQuantisedBytes(t *testing.T) {
	for _, v := range []float64{0, 5e3, 1e6, 3e9, 1e11} {
		got := unquantise(int(SeriesNet), 8, quantise(int(SeriesNet), 8, v))
		if math.Abs(got-v) > 0.05*v+1 {
			t.Errorf("%g bytes a second came back as %g", v, got)
		}
	}
}

func TestHostileFrames(t *testing.T) {
	at := newClock().now()
	var many facts.Inventory
	for range 200 {
		many.Gpus = append(many.Gpus, &facts.GPU{})
	}
	for name, frame := range map[string]struct {
		kind    telemetry.Kind
		payload []byte
	}{
		"other protocol":  {telemetry.KindHello, encode(t, &facts.Hello{ProtocolMajor: 9})},
		"too many GPUs":   {telemetry.KindInventory, encode(t, &many)},
		"broken sample":   {telemetry.KindSample, []byte{1, 1}},
		"broken protobuf": {telemetry.KindProcesses, []byte{0xff, 0xff}},
		"unknown source":  {telemetry.KindSourceNotes, encode(t, &facts.SourceNotes{Notes: []*facts.SourceNote{{Source: 1 << 30}}})},
	} {
		t.Run(name, func(t *testing.T) {
			f := New(Options{})
			join(t, f, "a", newFakeNode(1), at)
			_, err := f.Apply("a", frame.kind, frame.payload, at)
			var bad *telemetry.Malformed
			if !errors.As(err, &bad) {
				t.Fatalf("error %v", err)
			}
			f.Publish() // what it said before still shows
		})
	}
	f := New(Options{})
	f.Add("a")
	if _, err := f.Apply("a", telemetry.KindSample, nil, at); err == nil {
		t.Fatal("a sample before hello was taken")
	}
}

func TestKernelLogIsToldOnceAndFindsItsGPU(t *testing.T) {
	c := newClock()
	classify := func(text string) KernelClass {
		if strings.Contains(text, "Xid") {
			return KernelClass{Severity: Critical, Kind: "xid", Xid: 79, PCI: "0000:02:00"}
		}
		return KernelClass{}
	}
	f := New(Options{Now: c.now, Rules: Rules{Kernel: classify}})
	n := newFakeNode(2)
	join(t, f, "a", n, c.now())
	log := &facts.KernelLog{Lost: 3, Records: []*facts.KernelRecord{
		{Sequence: 10, MonoUs: 500_000, Text: "usb"}, {Sequence: 11, MonoUs: 900_000, Text: "NVRM: Xid 79"}}}
	apply(t, f, "a", telemetry.KindKernelLog, encode(t, log), c.now())
	apply(t, f, "a", telemetry.KindKernelLog, encode(t, &facts.KernelLog{Records: log.Records}), c.now())
	v := f.Publish().Node("a")
	if len(v.Kernel) != 2 || v.Kernel[1].GPU != 1 || v.KernelLost != 3 {
		t.Fatalf("kernel log: %+v, lost %d", v.Kernel, v.KernelLost)
	}
	if want := c.now().Add(-100 * time.Millisecond); !v.Kernel[1].At.Equal(want) {
		t.Fatalf("time %v, want %v", v.Kernel[1].At, want)
	}
	reply := apply(t, f, "a", telemetry.KindHello, encode(t, n.hello()), c.now())
	if reply.Start.GetKernelSequence() != 11 || reply.Start.GetBootId() != "boot" {
		t.Fatalf("start after a reconnect: %v", reply.Start)
	}
	for i := range 500 { // what matters outlives a flood of what does not
		apply(t, f, "a", telemetry.KindKernelLog, encode(t, &facts.KernelLog{Records: []*facts.KernelRecord{{Sequence: uint64(20 + i), Text: "noise of " + strings.Repeat("x", i)}}}), c.now())
	}
	v = f.Publish().Node("a")
	if len(v.Kernel) != kernelTailLines || v.Kernel[0].Class.Xid != 79 {
		t.Fatalf("after a flood: %d lines, first %+v", len(v.Kernel), v.Kernel[0])
	}
}

func TestServeHoldsTheConversation(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	f.Add("a")
	f.SetStatus("a", Status{State: Live})
	f.Watch([]string{"a"})
	n := newFakeNode(1)
	toFront, fromNode := io.Pipe()
	toNode, fromFront := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- f.Serve(context.Background(), "a", toFront, fromFront) }()
	controls := make(chan *facts.Control, 10)
	go func() {
		frames := telemetry.NewFrameReader(toNode, telemetry.MaxControlBytes)
		for {
			_, payload, err := frames.Read()
			if err != nil {
				return
			}
			ctl := new(facts.Control)
			if facts.Decode(payload, ctl) == nil {
				controls <- ctl
			}
		}
	}()
	w := telemetry.NewFrameWriter(fromNode, telemetry.MaxFrameBytes)
	send := func(k telemetry.Kind, b []byte) {
		t.Helper()
		if _, err := w.Write(k, b); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, is func(*facts.Control) bool) {
		t.Helper()
		select {
		case ctl := <-controls:
			if !is(ctl) {
				t.Fatalf("control %v, want %s", ctl, what)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no control, want %s", what)
		}
	}
	send(telemetry.KindHello, encode(t, n.hello()))
	want("start", func(c *facts.Control) bool { return c.GetStart() != nil })
	want("detail", func(c *facts.Control) bool { return c.GetLevel().GetDetail() })
	send(telemetry.KindInventory, encode(t, n.inv))
	n.sample() // lost on the way
	send(telemetry.KindSample, n.sample())
	want("whole", func(c *facts.Control) bool { return c.GetWhole() != nil })
	send(telemetry.KindSample, n.enc.Encode(nil, &n.state, 1, n.mono, telemetry.Base, true))
	f.Watch(nil)
	want("base", func(c *facts.Control) bool { return c.GetLevel() != nil && !c.GetLevel().Detail })
	send(telemetry.KindHello+100, nil) // of a newer collector: skipped
	fromNode.Close()
	if err := <-done; err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
	if got := f.Publish().Node("a"); got.State != Live || len(got.GPUs) != 1 || got.GPUs[0].UtilPct != 90 {
		t.Fatalf("node: %+v", got)
	}
}

func TestServeCutsAFlood(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	f.Add("a")
	n := newFakeNode(1)
	r, w := io.Pipe()
	go func() {
		frames := telemetry.NewFrameWriter(w, telemetry.MaxFrameBytes)
		frames.Write(telemetry.KindHello, encode(t, n.hello()))
		for {
			if _, err := frames.Write(99, make([]byte, 200<<10)); err != nil {
				return
			}
		}
	}()
	err := f.Serve(context.Background(), "a", r, io.Discard)
	r.Close()
	var bad *telemetry.Malformed
	if !errors.As(err, &bad) {
		t.Fatalf("error %v", err)
	}
}

func TestNatural(t *testing.T) {
	want := []string{"a", "gpu1", "gpu01", "gpu2", "gpu10", "gpu10b", "gpux"}
	for i := range want {
		for j := range want {
			got := compareNames(want[i], want[j])
			if (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("compare %q, %q = %d", want[i], want[j], got)
			}
		}
	}
}
