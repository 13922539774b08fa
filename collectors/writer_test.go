package collectors

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// readAll reads all frames that a writer wrote.
func readAll(t *testing.T, b []byte) (kinds []telemetry.Kind, payloads [][]byte) {
	t.Helper()
	for r := telemetry.NewFrameReader(bytes.NewReader(b), telemetry.MaxFrameBytes); ; {
		k, p, err := r.Read()
		if err != nil {
			return kinds, payloads
		}
		kinds, payloads = append(kinds, k), append(payloads, bytes.Clone(p))
	}
}

func newTestWriter(p *played) (*writer, *bytes.Buffer) {
	var out bytes.Buffer
	w := &writer{out: &out, clock: p.m.clock, board: p.m.board, kernel: p.m.kernel, sent: &atomic.Uint64{}}
	w.open()
	return w, &out
}

// A sample a second even where nothing changes, whole ones once a minute.
func TestSampleEachSecond(t *testing.T) {
	p := play(t, extract(t, "laptop"), sourcesOf("memory"))
	w, out := newTestWriter(p)
	for range 150 {
		p.tick()
		w.sample.Store(true)
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
	}
	var d telemetry.Decoder
	var wholes []uint64
	samples := 0
	kinds, payloads := readAll(t, out.Bytes())
	for i, k := range kinds {
		if k != telemetry.KindSample {
			continue
		}
		s, needWhole, err := d.Apply(payloads[i])
		if err != nil || needWhole {
			t.Fatal(needWhole, err)
		}
		samples++
		if s.Whole {
			wholes = append(wholes, s.Sequence)
		}
	}
	if got := fmt.Sprint(samples, wholes); got != "150 [1 61 121]" {
		t.Errorf("samples and whole ones: %s", got)
	}
}

// A node where nothing runs says so in every stream: the front end may still hold the processes of the one before.
func TestNoProcessesIsTold(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	fakeProc(t, root, 1, 0, "init", "init", "", "/", 10)
	p := play(t, root, sourcesOf("process"))
	w, out := newTestWriter(p)
	tables := func() (list []*facts.Processes) {
		for range 10 {
			p.tick()
			w.sample.Store(true)
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
		}
		kinds, payloads := readAll(t, out.Bytes())
		for i, k := range kinds {
			if k == telemetry.KindProcesses {
				m := &facts.Processes{}
				if err := facts.Decode(payloads[i], m); err != nil {
					t.Fatal(err)
				}
				list = append(list, m)
			}
		}
		out.Reset()
		return list
	}
	if got := tables(); len(got) != 1 || !got[0].Whole || len(got[0].Set) != 0 {
		t.Errorf("at first: %v", got)
	}
	w.whole.Store(true)
	if got := tables(); len(got) != 1 || !got[0].Whole {
		t.Errorf("when asked for everything: %v", got)
	}
}

// Usage at its largest is cut to what one frame may hold.
func TestUsageIsBounded(t *testing.T) {
	p := play(t, extract(t, "laptop"), nil)
	w, out := newTestWriter(p)
	u := &facts.Usage{}
	for i := range 5000 {
		u.Told = append(u.Told, &facts.ProcessUsage{Pid: int32(i), StartTicks: 1 << 40, CpuMs: 1 << 40, RssBytes: 1 << 40, Threads: 1 << 20, State: "S", CpuPermille: 1 << 20})
	}
	for i := range topProcesses * 10 {
		u.Top = append(u.Top, &facts.ProcessUsage{Pid: int32(i), Comm: strings.Repeat("c", 60), Command: strings.Repeat("x", 4000)})
	}
	if err := w.writeUsage(u); err != nil {
		t.Fatal(err)
	}
	w.buffered.Flush()
	kinds, payloads := readAll(t, out.Bytes())
	if len(kinds) != 1 || kinds[0] != telemetry.KindUsage {
		t.Fatalf("frames %v", kinds)
	}
	var got facts.Usage
	if err := facts.Decode(payloads[0], &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Told) != maxPerFrame || facts.Size(&got) > framesBytes {
		t.Errorf("%d told, %d bytes", len(got.Told), facts.Size(&got))
	}
}

// An inventory beyond what a frame holds loses the names of its counters, not the stream.
func TestHugeInventory(t *testing.T) {
	p := play(t, extract(t, "laptop"), nil)
	for range telemetry.MaxEntities(telemetry.ScopeHWCounter) {
		p.m.board.inventory.HwCounters = append(p.m.board.inventory.HwCounters, &facts.HWCounter{Name: strings.Repeat("n", 64)})
	}
	p.m.board.inventory.Product = "kept"
	w, out := newTestWriter(p)
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	_, payloads := readAll(t, out.Bytes())
	var got facts.Inventory
	if err := facts.Decode(payloads[0], &got); err != nil {
		t.Fatal(err)
	}
	if got.Product != "kept" || len(got.HwCounters) != 0 {
		t.Errorf("got %q and %d counters", got.Product, len(got.HwCounters))
	}
}
