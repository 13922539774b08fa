package collectors

import (
	"testing"

	"foretop/collectors/accelerators"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// A node with accelerators of two kinds numbers them one after the other, parts, readings and holders with them, and a kind whose number changes
// moves the others.
func TestSegments(t *testing.T) {
	b := newBoard(3)
	put := func(source int, generation uint64, gpus int, util int64, parts ...*facts.GPUPart) {
		var st telemetry.State
		st.Resize(telemetry.ScopeGPU, gpus)
		st.Resize(telemetry.ScopeGPUPart, len(parts))
		for i := range gpus {
			st.Set(telemetry.GPUUtilPct, i, util+int64(i))
		}
		for i := range parts {
			st.Set(telemetry.PartUtilPct, i, util+50)
		}
		s := b.segmentOf(source)
		s.gpus, s.parts = nil, parts
		for range gpus {
			s.gpus = append(s.gpus, &facts.GPU{Name: string(rune('a' + source))})
		}
		b.putSegment(s, &st, generation)
	}
	want := func(what string, names string, utils ...int64) {
		t.Helper()
		got := ""
		for _, g := range b.inventory.Gpus {
			got += g.Name
		}
		if got != names || b.state.Count(telemetry.ScopeGPU) != len(utils) {
			t.Fatalf("%s: accelerators %q, %d with readings", what, got, b.state.Count(telemetry.ScopeGPU))
		}
		for i, u := range utils {
			if v := b.state.Get(telemetry.GPUUtilPct, i); v != u {
				t.Errorf("%s: accelerator %d has %d %%, want %d", what, i, v, u)
			}
		}
	}
	put(2, 1, 2, 20, &facts.GPUPart{Gpu: 1})
	b.segmentOf(2).holders = []accelerators.Holder{{PID: 7, GPU: 1, Part: 1}}
	want("one kind", "cc", 20, 21)
	put(0, 1, 1, 10, &facts.GPUPart{Gpu: 0})
	want("another before it", "acc", 10, 20, 21)
	if p := b.inventory.GpuParts; len(p) != 2 || p[1].Gpu != 2 || b.state.Get(telemetry.PartUtilPct, 1) != 70 {
		t.Errorf("parts %v", p)
	}
	if h := b.heldAccelerators(); len(h) != 1 || h[0].GPU != 2 || h[0].Part != 2 {
		t.Errorf("held: %+v", h)
	}
	generation := b.generation
	put(2, 1, 2, 30, &facts.GPUPart{Gpu: 1})
	want("new readings", "acc", 10, 30, 31)
	if b.generation != generation {
		t.Error("readings make a new generation")
	}
	put(0, 2, 0, 0)
	want("the first kind is gone", "cc", 30, 31)
}
