package collectors

import (
	"context"
	"slices"
	"time"

	"foretop/collectors/accelerators"
	"foretop/collectors/kernfs"
	"foretop/collectors/nvml"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// nvidiaReader takes over what package nvml knows. It waits for nothing: the driver is read by a child process, at its own pace.
type nvidiaReader struct {
	m          *machine
	source     *nvml.Source
	state      telemetry.State
	generation uint64
	pid        int
	pace       int64
	processes  []nvml.Process
	index      int // of the source
}

func newNVIDIA(m *machine) reader { return &nvidiaReader{m: m, index: m.sourceIndex("nvidia")} }

func (r *nvidiaReader) close() {
	if r.source != nil {
		r.source.Close()
	}
}

func (r *nvidiaReader) read(ctx context.Context) error {
	if r.source == nil {
		if !r.m.root.Real() && r.m.options.Reader == "" {
			return unsupported("no NVIDIA reader for a machine that is played")
		}
		r.source = nvml.Start(ctx, nvml.Options{Reader: r.m.options.Reader, Sys: r.m.root.Path("sys"), Mono: r.m.clock.MonoMS})
	}
	if p := r.m.board.paceMS(); p != r.pace {
		r.pace = p
		r.source.Pace(time.Duration(p) * time.Millisecond)
	}
	rep := r.source.Report(&r.state)
	r.account(rep.PID)
	r.put(&rep)
	return &condition{state: facts.SourceState(rep.Health), text: rep.Text, remedy: rep.Remedy, stuckMS: rep.StuckFor.Milliseconds()}
}

// account counts the child's cost as the collector's own.
func (r *nvidiaReader) account(pid int) {
	if pid == r.pid {
		return
	}
	if r.pid != 0 {
		r.m.children.remove(r.pid)
	}
	if pid != 0 {
		r.m.children.add(pid)
	}
	r.pid = pid
}

func (r *nvidiaReader) put(rep *nvml.Report) {
	var gpus []*facts.GPU
	renewed := rep.Inventory != nil && rep.Generation != r.generation
	if renewed {
		gpus = gpuFacts(r.m.root, rep.Inventory) // it reads sysfs: not under the lock
	}
	b := r.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.segmentOf(r.index)
	if renewed {
		r.generation = rep.Generation
		s.gpus = gpus
		s.driver, s.cuda = rep.Inventory.Driver, rep.Inventory.CUDA
	}
	b.putSegment(s, &r.state, r.generation)
	b.latest(telemetry.GroupGPU, rep.FastMS)
	b.latest(telemetry.GroupGPUSlow, rep.SlowMS)
	if !slices.Equal(rep.Processes, r.processes) {
		r.processes, s.holders = rep.Processes, nil
		for _, p := range rep.Processes {
			s.holders = append(s.holders, accelerators.Holder{PID: int32(p.PID), GPU: uint32(p.GPU), Memory: p.MemoryBytes, Known: p.MemoryKnown})
		}
		b.moved.Store(true)
	}
}

func gpuFacts(root kernfs.Root, inv *nvml.Inventory) []*facts.GPU {
	list := make([]*facts.GPU, len(inv.GPUs))
	for i, g := range inv.GPUs {
		list[i] = &facts.GPU{
			Uuid: g.UUID, Name: g.Name, Pci: g.PCI, Minor: int32(g.Minor), MemoryTotalBytes: g.MemoryBytes, Serial: g.Serial, Vbios: g.VBIOS,
			ComputeCapability: g.ComputeCapability, NumaNode: int32(g.NUMANode), Mig: g.MIG, Vendor: "nvidia",
			PciPath: pciPath(root, g.PCI),
		}
	}
	return list
}
