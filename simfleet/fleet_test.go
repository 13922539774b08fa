package simfleet

import (
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

func TestStreamIsACollectors(t *testing.T) {
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
