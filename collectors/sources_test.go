package collectors

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

func write(t testing.TB, root kernfs.Root, name, text string) {
	t.Helper()
	path := root.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A source in a call that does not return is told to be stuck, is not called again, and costs the others nothing; when the call returns it goes on.
func TestHangingSource(t *testing.T) {
	root := extract(t, "laptop")
	fifo := root.Path("proc/meminfo")
	text, err := os.ReadFile(fifo)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(fifo)
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p := play(t, root, sourcesOf("cpu", "memory", "net"))
	memory := p.index["memory"]
	for i := range 5 {
		p.ms.Add(1000)
		p.runner.tick(p.ctx, time.Second)
		p.idle("memory")
		if got := p.get(telemetry.ReadMS, int(telemetry.GroupNet)); got != p.ms.Load() {
			t.Fatalf("tick %d: net was read at %d, it is %d", i, got, p.ms.Load())
		}
	}
	if c := p.condition("memory"); c.state != facts.SourceState_SOURCE_STUCK {
		t.Fatalf("memory is %v %q", c.state, c.text)
	}
	if got := p.get(telemetry.SourceStuckMS, memory); got != 4000 {
		t.Errorf("stuck for %d ms, want 4000", got)
	}
	if got := p.get(telemetry.MemTotalBytes, 0); got != telemetry.Absent {
		t.Errorf("memory of %d out of nothing", got)
	}
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(fifo) // the next read opens a plain file again
	if err := os.WriteFile(fifo, text, 0o644); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p.idle()
	for p.condition("memory").state != facts.SourceState_SOURCE_OK {
		p.tick()
		if p.ms.Load() > 864_100_000 {
			t.Fatalf("memory stays %+v", p.condition("memory"))
		}
	}
	if got := p.get(telemetry.SourceStuckMS, memory); got != telemetry.Absent {
		t.Errorf("still stuck for %d ms", got)
	}
}

// A reader with a fault of ours is told, made anew, and costs the others nothing.
func TestPanickingSource(t *testing.T) {
	s := sourcesOf("memory")
	s = append(s, Source{"bad", time.Second, func(m *machine) reader { panic("no reader") }})
	p := play(t, extract(t, "laptop"), s)
	p.tick()
	p.tick()
	if c := p.condition("bad"); c.state != facts.SourceState_SOURCE_FAILING || !strings.Contains(c.text, "no reader") {
		t.Errorf("bad is %+v", c)
	}
	if c := p.condition("memory"); c.state != facts.SourceState_SOURCE_OK {
		t.Errorf("memory is %+v", c)
	}
}

// faulty panics in each read, and in each close.
type faulty struct{ open *atomic.Int32 }

func (f faulty) read(context.Context) error { panic("no reading") }
func (f faulty) close()                     { f.open.Add(-1); panic("no end") }

// What a reader holds is given back when it panics, or each panic costs a descriptor.
func TestPanickingReaderIsClosed(t *testing.T) {
	var open, made atomic.Int32
	p := play(t, extract(t, "laptop"), []Source{{"bad", time.Second, func(*machine) reader { open.Add(1); made.Add(1); return faulty{&open} }}})
	for range 5 {
		p.tick()
	}
	if made.Load() != 5 || open.Load() != 0 {
		t.Errorf("%d were made, %d are left open", made.Load(), open.Load())
	}
	if c := p.condition("bad"); !strings.Contains(c.text, "no reading") {
		t.Errorf("bad is %+v", c)
	}
}

func TestCores(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/stat", "cpu 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0\ncpu1 0 0 0 1000 0 0 0 0\n")
	p := play(t, root, sourcesOf("cpu"))
	p.tick()
	if n := p.m.board.state.Count(telemetry.ScopeCore); n != 2 || p.get(telemetry.CoreBusyPct, 0) != telemetry.Absent {
		t.Errorf("%d cores at base level, the first %d %% busy", n, p.get(telemetry.CoreBusyPct, 0))
	}
	generation := p.m.board.generation
	p.m.board.detail.Store(true)
	p.tick()
	write(t, root, "proc/stat", "cpu 0 0 0 0\ncpu0 125 0 105 860 10 0 0 0\ncpu1 100 0 0 1000 0 0 0 0\n")
	p.tick()
	if p.m.board.generation != generation {
		t.Error("the detail level is another inventory")
	}
	for i, want := range [][3]int64{{30, 5, 10}, {100, 0, 0}} {
		got := [3]int64{p.get(telemetry.CoreBusyPct, i), p.get(telemetry.CoreSystemPct, i), p.get(telemetry.CoreIowaitPct, i)}
		if got != want {
			t.Errorf("core %d: %d, want %d", i, got, want)
		}
	}
}

// Interfaces that come are a new inventory; those of containers are not.
func TestNetChanges(t *testing.T) {
	root := extract(t, "laptop")
	p := play(t, root, sourcesOf("net"))
	p.tick()
	generation := p.m.board.generation
	head := "Inter-|\n face |\n"
	rows := " wlp4s0: 1 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n   tun0: 3 3 0 0 0 0 0 0 4 4 0 0 0 0 0 0\n"
	write(t, root, "proc/net/dev", head+" veth9: 5 5 0 0 0 0 0 0 6 6 0 0 0 0 0 0\n"+rows)
	p.tick()
	if p.m.board.generation != generation || p.get(telemetry.NetRxBytes, 0) != 1 || p.get(telemetry.NetRxBytes, 1) != 3 {
		t.Errorf("generation %d → %d, %d %d bytes", generation, p.m.board.generation, p.get(telemetry.NetRxBytes, 0), p.get(telemetry.NetRxBytes, 1))
	}
	write(t, root, "proc/net/dev", head+rows+"  eth7: 7 7 0 0 0 0 0 0 8 8 0 0 0 0 0 0\n")
	p.tick()
	if p.m.board.generation == generation || len(p.m.board.inventory.Nets) != 3 || p.get(telemetry.NetTxBytes, 1) != 8 {
		t.Errorf("inventory %v, %d bytes", p.m.board.inventory.Nets, p.get(telemetry.NetTxBytes, 1))
	}
}

// A file server that is gone hides its own file system only; statfs is not called again on it before it came back.
func TestHangingFilesystem(t *testing.T) {
	p := play(t, extract(t, "h100"), sourcesOf("filesystem"))
	release := make(chan struct{})
	calls := make(chan string, 100)
	inner := p.m.options.statfs
	p.m.options.statfs = func(path string) (space, error) {
		if strings.HasSuffix(path, "/home") {
			calls <- path
			<-release
		}
		return inner(path)
	}
	for range 3 {
		p.ms.Add(30_000)
		p.runner.tick(p.ctx, time.Second)
		p.idle()
	}
	c := p.condition("filesystem")
	if c.state != facts.SourceState_SOURCE_STUCK || c.text != "statfs does not return: /home" {
		t.Errorf("got %+v", c)
	}
	if len(calls) != 1 {
		t.Errorf("%d calls are out", len(calls))
	}
	if got := p.get(telemetry.SourceStuckMS, 0); got != 60_000 {
		t.Errorf("stuck for %d ms", got)
	}
	if p.get(telemetry.FSSizeBytes, 0) != 1<<40 || p.get(telemetry.FSSizeBytes, 2) != telemetry.Absent {
		t.Error("the others are not told, or it is")
	}
	close(release)
	p.ms.Add(30_000)
	p.runner.tick(p.ctx, time.Second)
	p.idle()
	if got := p.get(telemetry.FSSizeBytes, 2); got != 1<<40 {
		t.Errorf("size %d after it came back", got)
	}
}

// A mount that lies in another user's folder is not checked: it does not fail.
func TestClosedFilesystem(t *testing.T) {
	p := play(t, extract(t, "h100"), sourcesOf("filesystem"))
	inner := p.m.options.statfs
	p.m.options.statfs = func(path string) (space, error) {
		if strings.HasSuffix(path, "/home") {
			return space{}, &os.PathError{Op: "statfs", Path: path, Err: syscall.EACCES}
		}
		if strings.HasSuffix(path, "with space") {
			return space{}, syscall.EACCES
		}
		return inner(path)
	}
	p.tick()
	if c := p.condition("filesystem"); c.state != facts.SourceState_SOURCE_OK || c.text != "not checked, for they lie where only others may go: /home, /mnt/with space" {
		t.Errorf("got %+v", c)
	}
	if p.get(telemetry.FSSizeBytes, 0) != 1<<40 || p.get(telemetry.FSSizeBytes, 2) != telemetry.Absent {
		t.Error("the others are not told, or it is")
	}
}

func TestRDMAPace(t *testing.T) {
	root := extract(t, "h100")
	p := play(t, root, sourcesOf("rdma"))
	port := func(n string) string { return "sys/class/infiniband/mlx5_0/ports/1/" + n }
	p.tick()
	generation := p.m.board.generation
	write(t, root, port("counters/port_rcv_data"), "500\n")
	write(t, root, port("counters/symbol_error"), "9\n")
	write(t, root, port("state"), "1: DOWN\n")
	write(t, root, port("phys_state"), "2: Polling\n")
	p.tick()
	if got := p.get(telemetry.PortRcvDataBytes, 0); got != 2000 {
		t.Errorf("traffic %d, want 2000", got)
	}
	if got := p.get(telemetry.PortPhysState, 0); got != 2 {
		t.Errorf("the link went down and its physical state is %d", got)
	}
	if got := p.get(telemetry.PortSymbolError, 0); got != 0 {
		t.Errorf("errors were read again after a second: %d", got)
	}
	for range 10 {
		p.tick()
	}
	if got := p.get(telemetry.PortSymbolError, 0); got != 9 {
		t.Errorf("errors %d after 11 s", got)
	}
	// What refused once is not read again, though it could be now.
	bad := "sys/class/infiniband/mlx5_2/ports/1/counters/port_rcv_data"
	os.Remove(root.Path(bad))
	write(t, root, bad, "5\n")
	for range 21 {
		p.tick()
	}
	if got := p.get(telemetry.PortRcvDataBytes, 2); got != telemetry.Absent {
		t.Errorf("a refused counter was read: %d", got)
	}
	if p.m.board.generation != generation {
		t.Error("the inventory changed")
	}
	// A device that goes takes its ports along.
	os.RemoveAll(root.Path("sys/class/infiniband/mlx5_0"))
	for range 11 {
		p.tick()
	}
	if p.m.board.inventory.Ports[0].Device != "mlx5_1" || p.m.board.generation == generation {
		t.Errorf("first port is %v", p.m.board.inventory.Ports[0])
	}
	// Packets and the counters without a metric of their own are read at detail level.
	p.m.board.detail.Store(true)
	p.tick()
	if got := p.get(telemetry.PortRcvPackets, 0); got != 1_000_000_100 {
		t.Errorf("packets %d", got)
	}
	if got := p.get(telemetry.HWCounterValue, 2); got != 0 {
		t.Errorf("counter %d", got)
	}
}

func TestManyPorts(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	for d := range 130 {
		for c := range 35 {
			write(t, root, fmt.Sprintf("sys/class/infiniband/x_%d/ports/1/hw_counters/c%d", d, c), "1\n")
		}
		write(t, root, fmt.Sprintf("sys/class/infiniband/x_%d/ports/1/state", d), "4: ACTIVE\n")
	}
	p := play(t, root, sourcesOf("rdma"))
	p.tick()
	s := &p.m.board.state
	if s.Count(telemetry.ScopePort) != telemetry.MaxEntities(telemetry.ScopePort) || s.Count(telemetry.ScopeHWCounter) != telemetry.MaxEntities(telemetry.ScopeHWCounter) {
		t.Errorf("%d ports, %d counters", s.Count(telemetry.ScopePort), s.Count(telemetry.ScopeHWCounter))
	}
	b, err := facts.Encode(p.m.board.snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > telemetry.MaxFrameBytes-1 {
		t.Errorf("inventory of %d bytes", len(b))
	}
	if err := facts.Decode(b, &facts.Inventory{}); err != nil {
		t.Error(err)
	}
}

// Where many collectors run on one node each of them reads it seldomer, while nobody looks closely; the kernel's words do not wait.
func TestCrowd(t *testing.T) {
	root := extract(t, "laptop")
	write(t, root, "dev/kmsg", "6,1,1,-;x\n")
	for pid := 100; pid < 120; pid++ {
		fakeProc(t, root, pid, 1, ownName, "./foretop-collector", "", "/", 10)
	}
	p := play(t, root, sourcesOf("cpu", "kernel_log", "process", "self"))
	reads := map[string]int{}
	second := func() {
		before := p.m.board.state.Column(telemetry.ReadMS)[telemetry.GroupHost]
		p.tick()
		if p.get(telemetry.ReadMS, int(telemetry.GroupHost)) != before {
			reads["cpu"]++
		}
		if w := p.runner.workers[p.index["kernel_log"]]; w.due == p.ms.Load()+500 {
			reads["kernel_log"]++
		}
	}
	p.tick()
	// Slower by steps: never later than the readings before let expect.
	gap, last := 0, 1
	for range 60 {
		before := reads["cpu"]
		second()
		if gap++; reads["cpu"] != before {
			if gap > max(4, 3*last) {
				t.Errorf("a reading %d s after one that came after %d s", gap, last)
			}
			gap, last = 0, gap
		}
	}
	clear(reads)
	for range 30 {
		second()
	}
	if reads["cpu"] != 3 || reads["kernel_log"] != 30 {
		t.Errorf("read in 30 s: %v", reads)
	}
	if c := p.condition("self"); c.text != "20 collectors run on this node: each reads it every 10 s while nobody looks at it closely" {
		t.Errorf("self says %q", c.text)
	}
	p.m.board.detail.Store(true)
	p.runner.hurry()
	clear(reads)
	for range 5 {
		second()
	}
	if reads["cpu"] != 5 {
		t.Errorf("read in 5 s that somebody looks: %v", reads)
	}
	p.m.board.detail.Store(false)
	for pid := 103; pid < 120; pid++ {
		os.RemoveAll(root.Path(procPath(int32(pid), "")))
	}
	for range 10 {
		p.tick()
	}
	clear(reads)
	for range 5 {
		second()
	}
	if reads["cpu"] != 5 {
		t.Errorf("read in 5 s in company of three: %v", reads)
	}
}
