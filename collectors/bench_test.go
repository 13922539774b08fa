package collectors

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foretop/scripts/testbed"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// busyNode plays an H100 node in the middle of a training job: its files and its GPUs' readings change as a second of work changes them.
type busyNode struct {
	*testbed.Work
	p *played
}

func newBusyNode(b *testing.B) *busyNode {
	root := extract(b, "h100")
	testbed.Rewrite(b, string(root), "proc/self/mountinfo", func(s string) string { return strings.ReplaceAll(s, `/mnt/with\040space`, "/mnt/x") })
	write(b, root, "dev/kmsg", "6,1,1,-;x\n")
	n := &busyNode{Work: testbed.NewWork(b, string(root))}
	n.p = play(b, root, slices.DeleteFunc(Sources(), func(s Source) bool { return s.Name == "nvidia" }))
	board := n.p.m.board
	board.inventory.Gpus = make([]*facts.GPU, 8)
	for i := range board.inventory.Gpus {
		board.inventory.Gpus[i] = &facts.GPU{Uuid: fmt.Sprintf("GPU-%d", i)}
	}
	board.state.Resize(telemetry.ScopeGPU, 8)
	n.step()
	n.p.tick()
	return n
}

func (n *busyNode) step() {
	n.Step()
	n.gpus()
}

func (n *busyNode) gpus() {
	r, b := n.Rand(), n.p.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	talking := n.Talking()
	for i := range 8 {
		set := func(m telemetry.Metric, v int) { b.state.Set(m, i, int64(v)) }
		power, tensor, clock := 640_000+r.IntN(50_000), 550+r.IntN(60), 1755+15*r.IntN(4)
		if talking {
			power, tensor, clock = 380_000+r.IntN(60_000), 120+r.IntN(80), 1980
		}
		set(telemetry.GPUStatus, 0)
		set(telemetry.GPUUtilPct, 98+r.IntN(3))
		set(telemetry.GPUMemUtilPct, tensor/12)
		set(telemetry.GPUMemUsedBytes, 70<<30)
		set(telemetry.GPUMemTotalBytes, 80<<30)
		set(telemetry.GPUTempC, 60+i/4+r.IntN(10)/8)
		set(telemetry.GPUMemTempC, 72+r.IntN(10)/8)
		set(telemetry.GPUPowerMW, power)
		set(telemetry.GPUPowerLimitMW, 700_000)
		set(telemetry.GPUSMClockMHz, clock)
		set(telemetry.GPUMemClockMHz, 2619)
		set(telemetry.GPUThrottleBits, 4*r.IntN(2))
		set(telemetry.GPUSMActivityPermille, tensor+200+r.IntN(20))
		set(telemetry.GPUTensorActivityPermille, tensor)
		set(telemetry.GPUDRAMActivityPermille, tensor/2+r.IntN(40))
		for _, m := range []telemetry.Metric{telemetry.GPUECCVolatileCorrected, telemetry.GPUECCAggregateUncorrected, telemetry.GPUPCIeReplays, telemetry.GPUProcesses} {
			set(m, 1)
		}
	}
	b.read(telemetry.GroupGPU, n.p.ms.Load())
	if n.Second%30 == 0 {
		b.read(telemetry.GroupGPUSlow, n.p.ms.Load())
	}
}

// What a node sends at base level, frames and all: 8 GPUs, 9 ports, 192 CPUs at work. The budget is a median of 700 B/s.
func BenchmarkBytesPerSecond(b *testing.B) {
	for _, level := range []string{"base", "detail"} {
		b.Run(level, func(b *testing.B) {
			n := newBusyNode(b)
			n.p.m.board.detail.Store(level == "detail")
			var sent atomic.Uint64
			w := &writer{out: discard{}, clock: n.p.m.clock, board: n.p.m.board, kernel: n.p.m.kernel, sent: &sent}
			w.open()
			n.p.m.sent = sent.Load
			var sizes []int
			total := 0
			for range max(b.N, 240) {
				n.step()
				n.p.tick()
				before := sent.Load()
				w.sample.Store(true)
				if err := w.flush(); err != nil {
					b.Fatal(err)
				}
				sizes = append(sizes, int(sent.Load()-before))
				total += sizes[len(sizes)-1]
			}
			total -= sizes[0] // what a stream begins with
			sizes = sizes[1:]
			slices.Sort(sizes)
			b.ReportMetric(float64(sizes[len(sizes)/2]), "median-B/s")
			b.ReportMetric(float64(sizes[len(sizes)*99/100]), "p99-B/s")
			b.ReportMetric(float64(total)/float64(len(sizes)), "mean-B/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// One second of the collector's work on a big node, all sources and the encoding.
func BenchmarkTick(b *testing.B) {
	for _, level := range []string{"base", "detail"} {
		b.Run(level, func(b *testing.B) {
			n := newBusyNode(b)
			n.p.m.board.detail.Store(level == "detail")
			var sent atomic.Uint64
			w := &writer{out: discard{}, clock: n.p.m.clock, board: n.p.m.board, kernel: n.p.m.kernel, sent: &sent}
			w.open()
			b.ReportAllocs()
			for b.Loop() {
				n.p.ms.Add(1000)
				n.p.runner.tick(n.p.ctx, time.Second)
				w.sample.Store(true)
				if err := w.flush(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Each source by itself, at its own pace.
func BenchmarkSource(b *testing.B) {
	for _, s := range Sources() {
		if s.Name == "nvidia" {
			continue
		}
		b.Run(s.Name, func(b *testing.B) {
			p := play(b, extract(b, "h100"), []Source{s})
			b.ReportAllocs()
			for b.Loop() {
				p.ms.Add(s.Every.Milliseconds())
				p.runner.tick(p.ctx, time.Second)
			}
		})
	}
}
