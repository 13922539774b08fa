package simfleet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"foretop/telemetry"
)

// BenchmarkModelEncode is the cost of one node for one second: its readings and their sample, as the servers make them.
func BenchmarkModelEncode(b *testing.B) {
	for _, level := range []telemetry.Level{telemetry.Base, telemetry.Detail} {
		b.Run([]string{"base", "detail"}[level], func(b *testing.B) {
			m, err := NewModel(ModelOptions{Nodes: 64, Scenario: Demo(), Epoch: epoch})
			if err != nil {
				b.Fatal(err)
			}
			encoders := make([]telemetry.Encoder, 64)
			var buf []byte
			var sizes []int
			b.ReportAllocs()
			b.ResetTimer()
			cpu := selfCPU() // the machine may be busy with other things: time on the wall says little
			for i := range b.N {
				k := i % 64
				m.nodes[k].Sample(time.Duration(i/64)*time.Second, level, func(st *telemetry.State, mono time.Duration) {
					buf = encoders[k].Encode(buf[:0], st, 1, mono.Milliseconds(), level, false)
				})
				if i >= 64 {
					sizes = append(sizes, len(buf)+3)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64((selfCPU()-cpu).Nanoseconds())/float64(b.N), "CPU-ns/op")
			if len(sizes) > 0 {
				slices.Sort(sizes)
				b.ReportMetric(float64(sizes[len(sizes)/2]), "B-median")
				b.ReportMetric(float64(sizes[len(sizes)*99/100]), "B-p99")
			}
		})
	}
}

// BenchmarkStart is how long it takes until every node accepts.
func BenchmarkStart(b *testing.B) {
	for _, nodes := range []int{64, 1000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			for range b.N {
				f, err := Start(b.Context(), Options{Nodes: nodes})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				f.Close()
				b.StartTimer()
			}
		})
	}
}

var epoch = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
