package simfleet

import (
	"context"
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	ChildMain()
	os.Exit(m.Run())
}

func TestFleetInItsOwnProcess(t *testing.T) {
	t.Parallel()
	c, err := StartChild(t.Context(), Options{Nodes: 12, RawBytes: 5000, Speed: 10, Scenario: Healthy()})
	if err != nil {
		t.Fatal(err)
	}
	d, err := StartDrain(t.Context(), c.Nodes(), c.Signer(), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for deadline := time.Now().Add(20 * time.Second); d.Bytes() < 12*20_000; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes arrived", d.Bytes())
		}
	}
	if cpu, _, err := c.Cost(); err != nil || cpu <= 0 {
		t.Errorf("cost %v, %v", cpu, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := StartChild(t.Context(), Options{Nodes: -3}); err == nil {
		t.Error("a fleet of -3 nodes started")
	}
}

// BenchmarkFleetAtWork is what 1,000 nodes cost their own process and a bare client, at 1 Hz: the part of a core that each takes.
func BenchmarkFleetAtWork(b *testing.B) {
	for _, c := range []struct {
		name string
		raw  int
	}{{"streams", 0}, {"raw", 250}} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				work(b, Options{Nodes: 1000, RawBytes: c.raw})
			}
		})
	}
}

func work(b *testing.B, o Options) {
	child, err := StartChild(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer child.Close()
	began, self0 := time.Now(), selfCPU()
	d, err := StartDrain(context.Background(), child.Nodes(), child.Signer(), 16)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	dialled, self1 := time.Since(began), selfCPU()
	time.Sleep(2 * time.Second)
	cpu0, _, _ := child.Cost()
	bytes0, self2, at := d.Bytes(), selfCPU(), time.Now()
	time.Sleep(8 * time.Second)
	cpu1, rss, _ := child.Cost()
	seconds := time.Since(at).Seconds()
	b.ReportMetric(100*(cpu1-cpu0).Seconds()/seconds, "%core-servers")
	b.ReportMetric(100*(selfCPU()-self2).Seconds()/seconds, "%core-client")
	b.ReportMetric(float64(d.Bytes()-bytes0)/seconds/float64(o.Nodes), "B/node/s")
	b.ReportMetric(float64(rss)/(1<<20), "MiB-servers")
	b.ReportMetric(dialled.Seconds(), "s-connect")
	b.ReportMetric((self1-self0).Seconds()*1e6/float64(o.Nodes), "µs-client/handshake")
}

func selfCPU() time.Duration {
	cpu, _ := processCost()
	return cpu
}
