package fleet

import (
	"errors"
	"slices"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// detailed is a node of two GPUs, the second in two parts, with a link and a driver's call, that is looked at.
func detailed(t *testing.T, c *clock) (*Fleet, *fakeNode) {
	f := New(Options{Now: c.now})
	n := newFakeNode(2)
	n.inv.GpuParts = []*facts.GPUPart{{Gpu: 1, Kind: "MIG", Name: "1g"}, {Gpu: 0, Kind: "MIG", Name: "7g"}, {Gpu: 1, Kind: "MIG", Name: "3g"}}
	n.inv.GpuLinks = []*facts.GPULink{{Gpu: 1, Link: 3, Kind: "NVLink"}, {Gpu: 0, Link: 9, Kind: "NVLink"}, {Gpu: 1, Link: 2, Kind: "NVLink"}}
	n.inv.Calls = []*facts.Call{{Source: 0, Name: "never made"}, {Source: 0, Name: "nvmlX"}}
	n.state.Resize(telemetry.ScopeGPUPart, 3)
	n.state.Resize(telemetry.ScopeGPULink, 3)
	n.state.Resize(telemetry.ScopeCall, 2)
	n.state.Resize(telemetry.ScopeCore, 8)
	join(t, f, "a", n, c.now())
	f.Watch([]string{"a"})
	return f, n
}

// look lets a second pass and a sample at detail level come.
func (n *fakeNode) look(t *testing.T, f *Fleet, c *clock) *Node {
	t.Helper()
	c.tick(time.Second)
	n.mono += 1000
	for g := range telemetry.NumGroups {
		n.state.Set(telemetry.ReadMS, int(g), n.mono)
	}
	apply(t, f, "a", telemetry.KindSample, n.enc.Encode(nil, &n.state, 1, n.mono, telemetry.Detail, false), c.now())
	return f.Publish().Node("a")
}

func TestSlowReadingsAreSharedUntilReadAgain(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(2)
	n.state.Set(telemetry.GPUPCIeGen, 1, 5)
	join(t, f, "a", n, c.now())
	first := f.Publish().Node("a").GPUs[1].Slow
	sample := func() *GPUSlow {
		c.tick(time.Second)
		n.mono += 1000
		n.state.Set(telemetry.GPUPowerMW, 1, n.mono)
		apply(t, f, "a", telemetry.KindSample, n.enc.Encode(nil, &n.state, 1, n.mono, telemetry.Base, false), c.now())
		return f.Publish().Node("a").GPUs[1].Slow
	}
	if got := sample(); got != first || got.PCIeGen != 5 {
		t.Fatalf("made anew for nothing: %+v", got)
	}
	n.state.Set(telemetry.GPUPCIeGen, 1, 3)
	if got := sample(); got == first || got.PCIeGen != 3 || first.PCIeGen != 5 {
		t.Fatalf("not made anew: %+v", got)
	}
	n.state.ClearEntity(telemetry.ScopeGPU, 1)
	if got := sample(); got.PCIeGen.Known() || got.RecoveryAction != -1 || got.FabricState != -1 {
		t.Fatalf("what is gone is still there: %+v", got)
	}
}

func TestGrowthOfCounters(t *testing.T) {
	c := newClock()
	f, n := detailed(t, c)
	say := func(v int64) Rise {
		n.state.Set(telemetry.GPUNVLinkReplays, 1, v)
		return n.look(t, f, c).GPUs[1].Slow.NVLinkReplays
	}
	if got := say(40); got.Total != 40 || got.Grew != 0 || !got.At.IsZero() {
		t.Fatalf("what was there before we looked is growth: %+v", got)
	}
	if got := say(42); got.Grew != 2 || !got.At.Equal(c.now()) {
		t.Fatalf("%+v", got)
	}
	// The node is reached anew, and its GPUs have changed places.
	n.inv.Gpus[0], n.inv.Gpus[1] = n.inv.Gpus[1], n.inv.Gpus[0]
	apply(t, f, "a", telemetry.KindHello, encode(t, n.hello()), c.now())
	apply(t, f, "a", telemetry.KindInventory, encode(t, n.inv), c.now())
	if got := f.Publish().Node("a").GPUs[0].Slow.NVLinkReplays; got.Total.Known() || got.Grew != 2 {
		t.Fatalf("while nothing is told: %+v", got)
	}
	n.enc = telemetry.Encoder{}
	n.state.Set(telemetry.GPUNVLinkReplays, 0, 45)
	if got := n.look(t, f, c).GPUs[0].Slow.NVLinkReplays; got.Total != 45 || got.Grew != 5 {
		t.Fatalf("after a reconnect: %+v", got)
	}
	c.tick(RiseKept)
	n.state.Set(telemetry.GPUPCIeReplays, 0, 1) // something else is read
	if got := n.look(t, f, c).GPUs[0].Slow.NVLinkReplays; got.Total != 45 || got.Grew != 0 {
		t.Fatalf("after an hour: %+v", got)
	}
	n.state.Set(telemetry.GPUNVLinkReplays, 0, 1)
	if got := n.look(t, f, c).GPUs[0].Slow.NVLinkReplays; got.Total != 1 || got.Grew != 0 {
		t.Fatalf("after a reset: %+v", got)
	}
}

// TestPCIeGenerationOnlyUnderLoad shows since when a generation is seen low while the GPU works: an idle GPU may lower it, and one that works again is well again.
func TestPCIeGenerationOnlyUnderLoad(t *testing.T) {
	c := newClock()
	f, n := detailed(t, c)
	n.state.Set(telemetry.GPUPCIeGenMax, 0, 5)
	var first time.Time
	for i, step := range []struct {
		util, gen int64
		low       bool
	}{{2, 1, false}, {99, 5, false}, {99, 1, true}, {99, 2, true}, {3, 1, false}, {99, 1, true}, {99, 5, false}} {
		n.state.Set(telemetry.GPUUtilPct, 0, step.util)
		n.state.Set(telemetry.GPUPCIeGen, 0, step.gen)
		n.state.Set(telemetry.GPUPCIeReplays, 0, int64(i)) // something is read anew
		got := n.look(t, f, c).GPUs[0].Slow.PCIeLowSince
		if got.IsZero() == step.low {
			t.Fatalf("step %d: since %v", i, got)
		}
		if i == 2 {
			first = got
		}
		if i == 3 && !got.Equal(first) {
			t.Errorf("since %v, then since %v", first, got)
		}
	}
}

func TestPartsLinksAndCalls(t *testing.T) {
	c := newClock()
	f, n := detailed(t, c)
	apply(t, f, "a", telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{
		{Pid: 7, Held: []*facts.Held{{Gpu: 1, Part: 3, MemoryBytes: 5, MemoryKnown: true}, {Gpu: 0, Part: 1}, {Gpu: 1, Part: 99}}},
	}}), c.now())
	for i := range 3 {
		n.state.Set(telemetry.PartMemUsedBytes, i, int64(i+1)<<20)
		n.state.Set(telemetry.LinkState, i, int64(i)) // down, up, asleep
	}
	n.state.Set(telemetry.CoreBusyPct, 0, 1)
	n.state.Set(telemetry.LinkTXBytes, 1, 0)
	n.state.Set(telemetry.CallCount, 0, 0)
	n.state.Set(telemetry.CallCount, 1, 10)
	n.state.Set(telemetry.CallTotalUS, 1, 5000)
	n.state.Set(telemetry.GPUThrottleHWThermalMS, 1, 1000)
	n.look(t, f, c)
	n.state.Set(telemetry.LinkTXBytes, 1, 8<<20)
	n.state.Set(telemetry.CallCount, 1, 14)
	n.state.Set(telemetry.CallTotalUS, 1, 5400)
	n.state.Set(telemetry.GPUThrottleHWThermalMS, 1, 1250)
	v := n.look(t, f, c)

	names := []string{}
	for _, p := range slices.Concat(v.PartsOf(0), v.PartsOf(1)) {
		names = append(names, p.Info.Name)
	}
	if diff := cmp.Diff([]string{"7g", "1g", "3g"}, names); diff != "" {
		t.Fatal(diff)
	}
	if p := v.PartsOf(1)[1]; p.MemUsedBytes != 3<<20 || len(p.Holders) != 1 || p.Holders[0].MemBytes != 5 || p.Holders[0].Part != 2 {
		t.Errorf("part: %+v", p)
	}
	if h := v.GPUs[0].Holders; len(h) != 1 || h[0].Part != -1 { // it said a part of another GPU
		t.Errorf("holders: %+v", h)
	}
	if l := v.LinksOf(1); len(l) != 2 || l[0].Info.Link != 2 || l[0].State != telemetry.LinkSleep || l[1].State != telemetry.LinkDown {
		t.Errorf("links: %+v", l)
	}
	if l := v.LinksOf(0); len(l) != 1 || l[0].TXBytesPerS != 8<<20 || l[0].RXBytesPerS.Known() {
		t.Errorf("links: %+v", l)
	}
	if got := v.GPUs[1].Slow.LinksDown; !slices.Equal(got, []int{3}) {
		t.Errorf("down: %v", got)
	}
	if len(v.Calls) != 1 || v.Calls[0].PerS != 4 || v.Calls[0].MeanUS != 100 || v.Calls[0].Count != 14 {
		t.Errorf("calls: %+v", v.Calls)
	}
	if th := v.GPUs[1].Detail.Throttle[ThrottleHWThermal]; th.Total != 1.25 || th.Pct != 25 {
		t.Errorf("throttle: %+v", th)
	}
	if th := v.GPUs[0].Detail.Throttle[ThrottleHWThermal]; th.Total.Known() || th.Pct.Known() {
		t.Errorf("throttle of one that tells nothing: %+v", th)
	}
	f.Watch(nil)
	if v := f.Publish().Node("a"); v.Links != nil || v.Calls != nil || v.GPUs[0].Detail != nil || len(v.Parts) != 3 {
		t.Errorf("nobody looks: %d links, %d calls, %d parts", len(v.Links), len(v.Calls), len(v.Parts))
	}
}

func TestHostileInventories(t *testing.T) {
	at := newClock().now()
	unseen := make([]*facts.UnseenGPU, 65)
	for i := range unseen {
		unseen[i] = &facts.UnseenGPU{}
	}
	one := []*facts.GPU{{}}
	for name, inv := range map[string]*facts.Inventory{
		"a part of no GPU":  {Gpus: one, GpuParts: []*facts.GPUPart{{Gpu: 1}}},
		"a link of no GPU":  {Gpus: one, GpuLinks: []*facts.GPULink{{Gpu: 1 << 31}}},
		"a call of nobody":  {Gpus: one, Calls: []*facts.Call{{Source: 0}}},
		"hidden by dozens":  {UnseenGpus: unseen},
		"too many of parts": {Gpus: one, GpuParts: slices.Repeat([]*facts.GPUPart{{}}, 513)},
		"too many of links": {Gpus: one, GpuLinks: slices.Repeat([]*facts.GPULink{{}}, 1025)},
	} {
		f := New(Options{})
		join(t, f, "a", newFakeNode(1), at)
		var bad *telemetry.Malformed
		if _, err := f.Apply("a", telemetry.KindInventory, encode(t, inv), at); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
		f.Publish()
	}
}

// TestEqualListsAreSharedAndOthersAreNot shows that nodes of one kind hold their links and calls once, and that what differs in any field stays apart.
func TestEqualListsAreSharedAndOthersAreNot(t *testing.T) {
	at := newClock().now()
	f := New(Options{})
	join(t, f, "a", newFakeNode(1), at)
	told := func(change func(*facts.GPULink)) *facts.Inventory {
		l := &facts.GPULink{Link: 1, Kind: "NVLink", Remote: "switch", RemotePci: "p", Version: 4}
		change(l)
		apply(t, f, "a", telemetry.KindInventory, encode(t, &facts.Inventory{Gpus: []*facts.GPU{{}, {}}, GpuLinks: []*facts.GPULink{l}}), at)
		return f.nodes["a"].inventory
	}
	first := told(func(*facts.GPULink) {}).GpuLinks[0]
	if again := told(func(*facts.GPULink) {}).GpuLinks[0]; again != first {
		t.Error("an equal list is kept a second time")
	}
	for name, change := range map[string]func(*facts.GPULink){
		"gpu": func(l *facts.GPULink) { l.Gpu = 1 }, "link": func(l *facts.GPULink) { l.Link = 2 }, "kind": func(l *facts.GPULink) { l.Kind = "xGMI" },
		"remote": func(l *facts.GPULink) { l.Remote = "gpu" }, "remote_pci": func(l *facts.GPULink) { l.RemotePci = "q" }, "version": func(l *facts.GPULink) { l.Version = 5 },
	} {
		if other := told(change).GpuLinks[0]; other == first {
			t.Errorf("%s differs, and is lost", name)
		}
	}
}

func TestFabricHealth(t *testing.T) {
	for _, c := range []struct {
		bits int64
		want []FabricHealth
	}{
		{-1, nil}, {0, nil},
		{0x51AA, []FabricHealth{{"bandwidth", "full", false}, {"route recovery", "no", false}, {"route", "healthy", false}, {"access timeout recovery", "no", false},
			{"configuration", "correct", false}, {"partition", "assigned", false}, {"fabric manager", "connected", false}}},
		{1 | 4<<8 | 2<<14, []FabricHealth{{"bandwidth", "degraded", true}, {"configuration", "no partition", true}, {"fabric manager", "disconnected", true}}},
		{3 | 15<<8, []FabricHealth{{"bandwidth", "value 3", false}, {"configuration", "value 15", false}}},
	} {
		s := GPUSlow{FabricHealthBits: c.bits}
		if diff := cmp.Diff(c.want, s.FabricHealth()); diff != "" {
			t.Errorf("%#x: -want +got:\n%s", c.bits, diff)
		}
		if bad := slices.ContainsFunc(c.want, func(h FabricHealth) bool { return h.Bad }); s.FabricSound() == bad {
			t.Errorf("%#x: sound %t", c.bits, !bad)
		}
	}
	for state, want := range map[int]string{-1: "", telemetry.FabricUnsupported: "none here", telemetry.FabricInProgress: "registering", telemetry.FabricCompleted: "not registered: error 77", 200: ""} {
		if got := (&GPUSlow{FabricState: state, FabricStatus: 77}).FabricWords(); got != want {
			t.Errorf("state %d: %q, want %q", state, got, want)
		}
	}
}
