package collectors

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// busyNode plays an H100 node in the middle of a training job: it rewrites the fixture's files and the GPUs' readings as a second of work would.
type busyNode struct {
	p     *played
	r     *rand.Rand
	files map[string]*os.File
	ports []string
	second,
	rx, tx, net, user, idle, disk uint64
}

func newBusyNode(b *testing.B) *busyNode {
	root := extract(b, "h100")
	// The restricted function would only be skipped.
	os.RemoveAll(root.Path("sys/class/infiniband/mlx5_2"))
	text, err := os.ReadFile(root.Path("proc/self/mountinfo"))
	if err != nil {
		b.Fatal(err)
	}
	write(b, root, "proc/self/mountinfo", strings.ReplaceAll(string(text), `/mnt/with\040space`, "/mnt/x"))
	write(b, root, "dev/kmsg", "6,1,1,-;x\n")
	n := &busyNode{r: rand.New(rand.NewPCG(1, 2)), files: map[string]*os.File{}, rx: 1 << 50, tx: 1 << 50, net: 1 << 40, user: 1e9, idle: 1e10, disk: 1 << 30}
	n.p = play(b, root, slices.DeleteFunc(Sources(), func(s Source) bool { return s.Name == "nvidia" }))
	n.ports, _ = root.Names("sys/class/infiniband")
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

// put rewrites a file in place: what was kept open sees it.
func (n *busyNode) put(name, text string) {
	f := n.files[name]
	if f == nil {
		var err error
		if f, err = os.OpenFile(n.p.m.root.Path(name), os.O_WRONLY, 0); err != nil {
			n.p.t.Fatal(err)
		}
		n.files[name] = f
	}
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		n.p.t.Fatal(err)
	}
}

func (n *busyNode) step() {
	r := n.r
	n.second++
	n.user += 2000 + uint64(r.IntN(400))
	n.idle += 17000 + uint64(r.IntN(400))
	n.put("proc/stat", fmt.Sprintf("cpu  %d 0 %d %d %d 0 %d 0 0 0\n", n.user, n.user/5, n.idle, n.second*3+uint64(r.IntN(3)), n.user/9))
	n.put("proc/loadavg", fmt.Sprintf("%02d.%02d 25.%02d 24.%02d 9/3120 918273", 22+r.IntN(4), r.IntN(100), n.second/5%100, n.second/30%100))
	n.put("proc/pressure/cpu", fmt.Sprintf("some avg10=0.00 avg60=0.01 avg300=0.00 total=%09d", 123456789+n.second*900+uint64(r.IntN(3000))))
	n.put("proc/pressure/io", fmt.Sprintf("some avg10=0.00 avg60=0.01 avg300=0.00 total=%09d", 123456789+n.second*5000+uint64(r.IntN(9000))))
	n.put("proc/meminfo", fmt.Sprintf("MemTotal:       2113513616 kB\nMemFree:        906756808 kB\nMemAvailable:   %d kB", 1813513616+r.IntN(40000)))
	n.net += 5_000_000 + uint64(r.IntN(9_000_000))
	n.put("proc/net/dev", fmt.Sprintf("Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\nens6f0: %d %d 0 0 0 0 0 0 %d %d 0 0 0 0 0 0\n", n.net, n.net/1200, n.net/3, n.net/4000))
	n.disk += uint64(r.IntN(20_000))
	n.put("proc/diskstats", fmt.Sprintf(" 259 0 nvme0n1 %d 2 %d 30 %d 5 %d 60 0 %d 800", n.disk, n.disk*8, n.disk, n.disk*16, n.disk/9))
	// A step of 4 s: gradients travel in the last second of it.
	for _, d := range n.ports {
		amount := uint64(r.IntN(20 << 20))
		if n.second%4 == 3 {
			amount = 20<<30 + uint64(r.IntN(8<<30))
		}
		n.rx += amount
		n.tx += amount + uint64(r.IntN(1<<20))
		n.put("sys/class/infiniband/"+d+"/ports/1/counters/port_rcv_data", fmt.Sprintf("%d\n", n.rx/4))
		n.put("sys/class/infiniband/"+d+"/ports/1/counters/port_xmit_data", fmt.Sprintf("%d\n", n.tx/4))
		n.put("sys/class/infiniband/"+d+"/ports/1/counters/port_xmit_wait", fmt.Sprintf("%d\n", 1000+n.second*3))
	}
	n.gpus()
}

func (n *busyNode) gpus() {
	r, b := n.r, n.p.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	talking := n.second%4 == 3
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
	if n.second%30 == 0 {
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
