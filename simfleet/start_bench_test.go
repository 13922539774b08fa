package simfleet

import (
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// BenchmarkStreamStart is what a node makes for the start of a stream.
func BenchmarkStreamStart(b *testing.B) {
	m := demoModel(b, 64, 1)
	for _, c := range []struct {
		name string
		make func(n *Node) facts.Message
	}{
		{"hello", func(n *Node) facts.Message { return n.Hello(time.Second) }},
		{"inventory", func(n *Node) facts.Message { return n.Inventory() }},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := stream{node: m.nodes[0]}
			b.ReportAllocs()
			for i := range b.N {
				s.buf = s.buf[:0]
				s.say(telemetry.KindHello, c.make(m.nodes[i%64]))
			}
			b.ReportMetric(float64(len(s.buf)), "B")
		})
	}
	b.Run("processes", func(b *testing.B) {
		s := stream{node: m.nodes[0]}
		b.ReportAllocs()
		for range b.N {
			s.buf = s.buf[:0]
			s.sayProcesses(time.Second, true)
		}
		b.ReportMetric(float64(len(s.buf)), "B")
	})
}
