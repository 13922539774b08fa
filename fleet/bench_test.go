package fleet

import (
	"fmt"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// busyFleet is n live nodes of 8 GPUs with a rank on each, one job.
func busyFleet(b *testing.B, n int, c *clock) (*Fleet, []*fakeNode) {
	f := New(Options{Now: c.now, Nodes: n})
	nodes := make([]*fakeNode, n)
	for i := range nodes {
		nodes[i] = newFakeNode(8)
		name := fmt.Sprintf("gpu%04d", i)
		join(b, f, name, nodes[i], c.now())
		set := make([]*facts.Process, 8)
		for g := range set {
			set[g] = rankOf(int32(100+g), fmt.Sprint(i*8+g), fmt.Sprint(n*8), uint32(g))
			set[g].Env["LOCAL_RANK"] = fmt.Sprint(g)
		}
		apply(b, f, name, telemetry.KindProcesses, encode(b, &facts.Processes{Whole: true, Set: set}), c.now())
	}
	f.Publish()
	return f, nodes
}

// BenchmarkApply is one sample of one node: decode, rates, history.
func BenchmarkApply(b *testing.B) {
	c := newClock()
	f, nodes := busyFleet(b, 1, c)
	payloads := make([][]byte, 512)
	for i := range payloads {
		for g := range 8 {
			nodes[0].state.Set(telemetry.GPUPowerMW, g, int64(300_000+1000*((i*7+g)%90)))
			nodes[0].state.Set(telemetry.GPUUtilPct, g, int64(90+i%10))
			nodes[0].state.Set(telemetry.PortRcvDataBytes, g, int64(i)<<30)
		}
		if i == 0 { // whole, so that the recording can begin again
			nodes[0].enc = telemetry.Encoder{}
		}
		payloads[i] = nodes[0].sample()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		c.tick(time.Second)
		if r, err := f.Apply("gpu0000", telemetry.KindSample, payloads[i%len(payloads)], c.now()); err != nil || r.Whole {
			b.Fatal(r, err)
		}
	}
}

// BenchmarkPublish clones and aggregates a fleet of which a quarter changed, as four snapshots a second make it.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{64, 1000, 5000} {
		b.Run(fmt.Sprintf("%d_nodes", n), func(b *testing.B) {
			c := newClock()
			f, _ := busyFleet(b, n, c)
			order, _ := f.ordered()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				for j := i % 4; j < len(order); j += 4 {
					order[j].changed = true
				}
				f.Publish()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
		})
	}
}
