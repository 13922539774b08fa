package simfleet

import (
	"context"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

func TestStreamIsACollectors(t *testing.T) {
	t.Parallel()
	f := start(t, Options{Nodes: 64, Scenario: Healthy()})
	n := f.Nodes()[0]
	p, err := connect(n, f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.Close()
	var order []telemetry.Kind
	for range 5 {
		k, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, k)
	}
	want := []telemetry.Kind{telemetry.KindHello, telemetry.KindInventory, telemetry.KindSample, telemetry.KindSourceNotes, telemetry.KindProcesses}
	for i := range want {
		if order[i] != want[i] {
			t.Fatalf("the stream starts with frames of kinds %v, want %v", order, want)
		}
	}
	if p.hello.Hostname != "gpu001" || p.hello.BootId == "" {
		t.Errorf("hello %v", p.hello)
	}
	if len(p.inventory.Gpus) != 8 || len(p.inventory.Ports) != 9 || len(p.processes) != 9 {
		t.Errorf("%d GPUs, %d ports, %d processes", len(p.inventory.Gpus), len(p.inventory.Ports), len(p.processes))
	}
	p.tell(t, &facts.Control{What: &facts.Control_Start{Start: &facts.Start{ProtocolMajor: 1}}})
	p.until(t, "the kernel log", func() bool { return len(p.kernel) > 0 })
	p.until(t, "three samples", func() bool { return p.samples >= 3 })
	st := p.decoder.State()
	if got := st.Get(telemetry.GPUPowerMW, 3); got < 60_000 || got > 710_000 {
		t.Errorf("power %d mW", got)
	}
	if got := st.Get(telemetry.SelfSentBytes, 0); got < int64(p.bytes)/2 || got > int64(p.bytes) {
		t.Errorf("the collector says that it sent %d bytes, %d have arrived", got, p.bytes)
	}
	if got := st.Get(telemetry.CoreBusyPct, 0); got != telemetry.Absent {
		t.Errorf("core 0 is at %d %% at base level, want absent", got)
	}
	p.tell(t, &facts.Control{What: &facts.Control_Level{Level: &facts.SetLevel{Detail: true}}})
	p.until(t, "detail", func() bool { return st.Get(telemetry.CoreBusyPct, 0) != telemetry.Absent && p.usage != nil })
	before := p.decoder.Last().Sequence
	p.tell(t, &facts.Control{What: &facts.Control_Whole{Whole: &facts.SendWhole{}}})
	p.until(t, "a whole sample", func() bool { return p.decoder.Last().Whole && p.decoder.Last().Sequence > before })
	p.tell(t, &facts.Control{What: &facts.Control_Pace{Pace: &facts.SetPace{EveryMs: 100}}})
	begin, samples := time.Now(), p.samples
	p.until(t, "ten more samples", func() bool { return p.samples >= samples+10 })
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("ten samples at a pace of 100 ms took %v", took)
	}
	if _, _, err := p.client.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Errorf("keepalive: %v", err)
	}
	p.stdin.Close()
	for err == nil {
		_, err = p.next()
	}
	if err := p.session.Wait(); err != nil {
		t.Errorf("the collector ended with %v", err)
	}
}

func TestCollectorEndsWithoutAFrontEnd(t *testing.T) {
	t.Parallel()
	f := start(t, Options{Nodes: 1, Scenario: Healthy(), silence: 2500 * time.Millisecond})
	p, err := connect(f.Nodes()[0], f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.Close()
	alive := make(chan bool)
	go func() {
		defer close(alive)
		for range 8 { // 2.4 s
			time.Sleep(300 * time.Millisecond)
			p.tell(t, &facts.Control{What: &facts.Control_Heartbeat{Heartbeat: &facts.Heartbeat{}}})
		}
	}()
	begin := time.Now()
	p.until(t, "it says why it ends", func() bool { return p.bye != nil })
	<-alive
	if took := time.Since(begin); took < 3500*time.Millisecond || p.bye.Reason == "" {
		t.Errorf("it ended after %v: %q", took, p.bye.Reason)
	}
}

func TestKnownKernelLinesAreNotToldAgain(t *testing.T) {
	t.Parallel()
	f := start(t, Options{Nodes: 1, Scenario: Healthy()})
	p, err := connect(f.Nodes()[0], f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	p.until(t, "the kernel log", func() bool { return len(p.kernel) > 0 })
	p.client.Close()
	last := p.kernel[len(p.kernel)-1].Sequence
	again, err := connect(f.Nodes()[0], f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	defer again.client.Close()
	again.tell(t, &facts.Control{What: &facts.Control_Start{Start: &facts.Start{ProtocolMajor: 1, BootId: p.hello.BootId, KernelSequence: last - 3}}})
	again.until(t, "the rest of the kernel log", func() bool { return len(again.kernel) > 0 })
	if got := again.kernel[0].Sequence; got != last-2 || len(again.kernel) != 3 {
		t.Errorf("told from line %d on, %d of them, want 3 from %d", got, len(again.kernel), last-2)
	}
}

func TestFleetEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f, err := Start(ctx, Options{Nodes: 3, Scenario: Healthy()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := connect(f.Nodes()[1], f.Signer())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil {
		_, err = p.next()
	}
	f.tasks.Wait() // nothing of it runs any more, though nobody called Close
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
