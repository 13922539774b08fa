package accelerators

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tpuAt is a reader whose runtime answers on the ports from the one given on.
func tpuAt(c *clock, root kernfs.Root, port int) *tpuReader {
	r := newTPU(c.machine(root)).(*tpuReader)
	r.runtime.firstPort = port
	return r
}

// v5e makes a server tell what a v5e-8's runtime does.
func v5e(s *tpuServer) {
	s.set("tpu.runtime.hbm.memory.usage.bytes", gauges("as_int", 1<<30, 2<<30, 3<<30, 4<<30, 5<<30, 6<<30, 7<<30, 0))
	s.set("tpu.runtime.hbm.memory.total.bytes", gauges("as_int", 17044078592, 17044078592, 17044078592, 17044078592, 17044078592, 17044078592, 17044078592, 17044078592))
	s.set(dutyMetric, gauges("as_double", 100.0, 87.4, 87.6, 0.0, 12.5, 50.0, 99.9, 3.0))
	s.set("tpu.runtime.hbm.utilization.percent", gauges("as_double", 41.2, 40.0, 39.9, 0.0, 0.0, 0.0, 0.0, 0.0))
	s.set("tpu.runtime.tensorcore.idle_duration.seconds", gauges("as_double", 0.0, 0.25, 0.0, 41.5, 0.0, 0.0, 0.0, 0.0))
	// Queues are told for each kind of core, by libtpu's older and newer way of writing a number.
	s.set("hlo.queue.size.gauge", `metric {
		metrics { attribute { key: "attributes" value { kvlist_attr { attributes { key: "core_type" value { string_attr: "TENSOR_CORE" } } attributes { key: "device_ordinal" value { string_attr: "1" } } } } } gauge { as_int: 3 } }
		metrics { attribute { key: "attributes" value { kvlist_attr { attributes { key: "device_ordinal" value { int_attr: 1 } } attributes { key: "core_type" value { string_attr: "SPARSE_CORE" } } } } } gauge { as_int: 4 } }
		metrics { attribute { key: "attributes" value { kvlist_attr { attributes { key: "device_ordinal" value { string_attr: "0" } } } } } gauge { as_int: 0 } }
		metrics { attribute { key: "attributes" value { kvlist_attr { attributes { key: "device_ordinal" value { string_attr: "none" } } } } } gauge { as_int: 9 } }
		metrics { attribute { key: "buffer-size" value { string_attr: "8MB" } } distribution { count: 5 mean: 3 } } }`)
}

// A v5e host with a training process and its runtime: one connection, every reading at its chip, and the chip's holder.
func TestTPU(t *testing.T) {
	s := startTPU(t, 0)
	v5e(s)
	var c clock
	r := tpuAt(&c, extractHost(t, "tpu-v5e"), s.port)
	defer r.Close()
	for range 12 {
		if got := conditionOf(t, r.Read(background, true)); got.State != facts.SourceState_SOURCE_OK || got.Text != "" {
			t.Fatalf("says %+v", got)
		}
		c.pass(time.Second)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUStatus:        "0 0 0 0 0 0 0 0",
		telemetry.GPUMemUsedBytes:  "1073741824 2147483648 3221225472 4294967296 5368709120 6442450944 7516192768 0",
		telemetry.GPUMemTotalBytes: strings.TrimSpace(strings.Repeat("17044078592 ", 8)),
		telemetry.GPUUtilPct:       "100 87 88 0 13 50 100 3",
		telemetry.GPUMemUtilPct:    "41 40 40 0 0 0 0 0",
		telemetry.GPUIdleMS:        "0 250 0 41500 0 0 0 0",
		telemetry.GPUQueueSize:     "0 7 - - - - - -",
		telemetry.GPUProcesses:     "1 1 1 1 1 1 1 1",
		telemetry.GPUPCIeGen:       "4 4 4 4 4 4 4 4",
	})
	if len(r.reading.Holders) != 8 || r.reading.Holders[3] != (Holder{PID: 5100, GPU: 3}) {
		t.Errorf("held: %v", r.reading.Holders)
	}
	if r.reading.Generation != 1 || len(r.reading.Parts) != 0 || s.connections() != 1 {
		t.Errorf("generation %d, %d parts, %d connections", r.reading.Generation, len(r.reading.Parts), s.connections())
	}
	if usage, total := s.count("tpu.runtime.hbm.memory.usage.bytes"), s.count("tpu.runtime.hbm.memory.total.bytes"); usage != 6 || total != 1 {
		t.Errorf("in 12 s the usage was asked for %d times and the total %d times", usage, total)
	}
}

// The workload ends, and another begins: what is not told any more is absent, and the port is tried again, but not each second.
func TestTPUWorkloadComesAndGoes(t *testing.T) {
	s := startTPU(t, 0)
	v5e(s)
	var c clock
	root := extractHost(t, "tpu-v5e")
	r := tpuAt(&c, root, s.port)
	defer r.Close()
	r.Read(background, false)
	s.grpc.Stop()
	remove(t, root, "proc/5100")
	for range 20 {
		c.pass(time.Second)
		r.Read(background, false)
	}
	if got := conditionOf(t, r.Read(background, false)); got.State != facts.SourceState_SOURCE_OK || !strings.Contains(got.Text, "no workload runs") {
		t.Errorf("without a workload: %+v", got)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUUtilPct: "- - - - - - - -", telemetry.GPUMemUsedBytes: "- - - - - - - -", telemetry.GPUStatus: "- - - - - - - -",
		telemetry.GPUProcesses: "0 0 0 0 0 0 0 0",
	})
	s = startTPU(t, s.port)
	v5e(s)
	for range 6 {
		c.pass(time.Second)
		r.Read(background, false)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUUtilPct: "100 87 88 0 13 50 100 3"})
}

// A service that fails is told, left alone for longer each time, and found again.
func TestTPUServiceFails(t *testing.T) {
	var c clock
	var dialled atomic.Int32
	port := rawServer(t, func(conn net.Conn) {
		dialled.Add(1)
		conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat(" ", 40)))
	})
	r := tpuAt(&c, extractHost(t, "tpu-v5e"), port)
	defer r.Close()
	for range 120 {
		got := conditionOf(t, r.Read(background, false))
		if got.State != facts.SourceState_SOURCE_FAILING || !strings.Contains(got.Text, errH2.Error()) || got.Remedy == "" {
			t.Fatalf("says %+v", got)
		}
		c.pass(time.Second)
	}
	if n := dialled.Load(); n != 4 { // at 0, 10, 30 and 70 s
		t.Errorf("dialled %d times in two minutes", n)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUUtilPct: "- - - - - - - -", telemetry.GPUProcesses: "1 1 1 1 1 1 1 1"})
}

// A hanging service holds a reading up for less than a second, and no other reading with it.
func TestTPUServiceHangs(t *testing.T) {
	s := startTPU(t, 0)
	s.before = func(ctx context.Context, _ string) error { <-ctx.Done(); return nil }
	var c clock
	r := tpuAt(&c, extractHost(t, "tpu-v5e"), s.port)
	defer r.Close()
	began := time.Now()
	got := conditionOf(t, r.Read(background, false))
	if took := time.Since(began); took < spend/2 || took > 20*time.Second {
		t.Errorf("a reading took %v", took)
	}
	if got.State != facts.SourceState_SOURCE_FAILING || !strings.Contains(got.Text, errLate.Error()) {
		t.Errorf("says %+v", got)
	}
	for range 5 {
		c.pass(time.Second)
		r.Read(background, false)
	}
	if n := s.connections(); n != 1 {
		t.Errorf("%d connections in six seconds", n)
	}
}

// An older runtime does not know all metrics: those are absent and not asked for again; one that refuses all is told.
func TestTPUOlderRuntime(t *testing.T) {
	s := startTPU(t, 0)
	v5e(s)
	s.mu.Lock()
	delete(s.answers, "tpu.runtime.hbm.utilization.percent")
	delete(s.answers, "tpu.runtime.tensorcore.idle_duration.seconds")
	s.mu.Unlock()
	var c clock
	r := tpuAt(&c, extractHost(t, "tpu-v5e"), s.port)
	defer r.Close()
	for range 30 {
		if got := conditionOf(t, r.Read(background, true)); got.Text != "" {
			t.Fatalf("says %+v", got)
		}
		c.pass(time.Second)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUMemUtilPct: "- - - - - - - -", telemetry.GPUUtilPct: "100 87 88 0 13 50 100 3"})
	if n := s.count("tpu.runtime.hbm.utilization.percent"); n != 1 {
		t.Errorf("an unknown metric was asked for %d times", n)
	}
	s.mu.Lock()
	s.before = func(context.Context, string) error { return status.Error(codes.Unavailable, "libtpu is not ready") }
	s.mu.Unlock()
	c.pass(2 * time.Second)
	if got := conditionOf(t, r.Read(background, false)); got.State != facts.SourceState_SOURCE_FAILING || !strings.Contains(got.Text, "libtpu is not ready") {
		t.Errorf("says %+v", got)
	}
}

// Four processes with a port each, of which each numbers its own chips from 0; and one whose runtime tells for all.
func TestTPUSeveralProcesses(t *testing.T) {
	root := extractHost(t, "tpu-v5e")
	remove(t, root, "proc/5100")
	base := freePorts(t, 4)
	servers := make([]*tpuServer, 4)
	for i := range 4 {
		put(t, root, fmt.Sprintf("proc/%d/stat", 6000+i), "")
		link(t, root, fmt.Sprintf("proc/%d/fd/5", 6000+i), fmt.Sprintf("/dev/vfio/%d", 2*i))
		link(t, root, fmt.Sprintf("proc/%d/fd/6", 6000+i), fmt.Sprintf("/dev/vfio/%d", 2*i+1))
		servers[i] = startTPU(t, base+i)
		servers[i].set("tpu.runtime.hbm.memory.usage.bytes", gauges("as_int", 10*i, 10*i+1))
		servers[i].set(dutyMetric, gauges("as_double", 20*i, 20*i+1))
	}
	var c clock
	r := tpuAt(&c, root, base)
	defer r.Close()
	for range 4 {
		r.Read(background, false)
		c.pass(time.Second)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUMemUsedBytes: "0 1 10 11 20 21 30 31", telemetry.GPUUtilPct: "0 1 20 21 40 41 60 61", telemetry.GPUProcesses: "1 1 1 1 1 1 1 1",
	})
	// The first one tells for all: the others are not asked any more.
	v5e(servers[0])
	for range 4 {
		r.Read(background, false)
		c.pass(time.Second)
	}
	asked := servers[1].count(dutyMetric)
	for range 4 {
		r.Read(background, false)
		c.pass(time.Second)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUUtilPct: "100 87 88 0 13 50 100 3"})
	if n := servers[1].count(dutyMetric); n != asked {
		t.Errorf("the second service was asked %d times more", n-asked)
	}
	// One process is gone, and with it what it told.
	servers[0].set("tpu.runtime.hbm.memory.usage.bytes", gauges("as_int", 0, 1))
	servers[0].set(dutyMetric, gauges("as_double", 7, 8))
	servers[3].grpc.Stop()
	remove(t, root, "proc/6003")
	for range 12 {
		c.pass(time.Second)
		r.Read(background, false)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUUtilPct: "7 8 20 21 40 41 - -"})
}

// A v3 chip has two cores: memory is told by core, the duty cycle by chip; on TPU7x both are told by core.
func TestTPUCores(t *testing.T) {
	for name, m := range map[string]struct {
		device, subsystem string
		duty              string
		util, parts       string
	}{
		"v3": {"0x0027", "0x004f", gauges("as_double", 10.0, 20.0), "10 20", "- - - -"},
		"7x": {"0x0076", "0x0001", gauges("as_double", 10.0, 20.0, 30.0, 50.0), "15 40", "10 20 30 50"},
	} {
		t.Run(name, func(t *testing.T) {
			root := kernfs.Root(t.TempDir())
			for i := range 2 {
				d := fmt.Sprintf("sys/bus/pci/devices/0000:00:%02x.0/", 4+i)
				put(t, root, d+"vendor", "0x1ae0\n")
				put(t, root, d+"device", m.device+"\n")
				put(t, root, d+"subsystem_device", m.subsystem+"\n")
				link(t, root, d+"driver", "../../../bus/pci/drivers/tpu")
				put(t, root, d+fmt.Sprintf("accel/accel%d/dev", 1-i), "")
				put(t, root, fmt.Sprintf("dev/accel%d", i), "")
			}
			put(t, root, "proc/77/stat", "")
			link(t, root, "proc/77/fd/3", "/dev/accel0")
			s := startTPU(t, 0)
			s.set("tpu.runtime.hbm.memory.usage.bytes", gauges("as_int", 1, 2, 4, 8))
			s.set(dutyMetric, m.duty)
			s.set("tpu.runtime.tensorcore.idle_duration.seconds", gauges("as_double", 5, 3, 2, 9))
			var c clock
			r := tpuAt(&c, root, s.port)
			defer r.Close()
			r.Read(background, false)
			wantColumns(t, r.Reading(), map[telemetry.Metric]string{
				telemetry.GPUMemUsedBytes: "3 12", telemetry.PartMemUsedBytes: "1 2 4 8", telemetry.GPUUtilPct: m.util, telemetry.PartUtilPct: m.parts,
				telemetry.GPUIdleMS: "3000 2000",
			})
			if g := r.reading.GPUs[1]; g.Minor != 0 || !strings.Contains(g.Name, name) || r.reading.Parts[2].Gpu != 1 {
				t.Errorf("the second chip is %v", g)
			}
			if h := r.reading.Holders; len(h) != 1 || h[0] != (Holder{PID: 77, GPU: 1}) {
				t.Errorf("held: %v", h)
			}
		})
	}
}

// Chips without a driver, those of others, and those that fall off the bus.
func TestTPUInventory(t *testing.T) {
	var c clock
	root := extractHost(t, "tpu-v5e")
	for i := 4; i < 8; i++ {
		remove(t, root, fmt.Sprintf("dev/vfio/%d", i))
	}
	remove(t, root, "sys/devices/pci0000:00/0000:00:0b.0/driver")
	r := tpuAt(&c, root, 0)
	r.Read(background, false)
	var unseen []string
	for _, u := range r.reading.Unseen {
		unseen = append(unseen, u.Pci+" "+u.Why)
	}
	want := "0000:00:08.0 not visible to this user, 0000:00:09.0 not visible to this user, 0000:00:0a.0 not visible to this user, 0000:00:0b.0 no driver"
	if got := strings.Join(unseen, ", "); got != want || len(r.reading.GPUs) != 4 {
		t.Errorf("%d are seen, unseen are %s", len(r.reading.GPUs), got)
	}
	remove(t, root, "sys/bus/pci/devices/0000:00:05.0")
	for range 2 {
		c.pass(31 * time.Second)
		r.Read(background, false)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUStatus: "- 1 - -"})
	if g := r.reading.GPUs[1]; g.Note != goneNote || r.reading.Generation != 2 {
		t.Errorf("generation %d, gone is %v", r.reading.Generation, g)
	}
}

// On a machine without TPUs nothing is dialled, and hardly anything read.
func TestNoTPU(t *testing.T) {
	s := startTPU(t, 0)
	var c clock
	r := tpuAt(&c, extractHost(t, "laptop"), s.port)
	defer r.Close()
	for range 100 {
		if got := conditionOf(t, r.Read(background, true)); got.State != facts.SourceState_SOURCE_UNSUPPORTED {
			t.Fatalf("says %+v", got)
		}
		c.pass(time.Second)
	}
	if s.connections() != 0 || r.reading.Generation != 0 {
		t.Errorf("%d connections, generation %d", s.connections(), r.reading.Generation)
	}
	if n := testing.AllocsPerRun(100, func() { r.Read(background, false) }); n > 2 { // the words of the answer
		t.Errorf("%v allocations for a kind that is not here", n)
	}
}

// freePorts is the first of so many ports in a row where nothing listens.
func freePorts(t testing.TB, n int) int {
	t.Helper()
	for range 100 {
		first := freePort(t)
		free := first+n < 1<<16
		for i := range n {
			if conn, err := dialLocal(first+i, time.Now().Add(time.Second)); err == nil {
				conn.Close()
				free = false
			}
		}
		if free {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}
