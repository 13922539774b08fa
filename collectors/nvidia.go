package collectors

import (
	"context"
	"slices"
	"time"

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
}

func newNVIDIA(m *machine) reader { return &nvidiaReader{m: m} }

func (r *nvidiaReader) close() {
	if r.source != nil {
		r.source.Close()
	}
}

func (r *nvidiaReader) read(ctx context.Context) error {
	if r.source == nil {
		if !r.m.root.real() && r.m.options.Reader == "" {
			return unsupported("no NVIDIA reader for a machine that is played")
		}
		r.source = nvml.Start(ctx, nvml.Options{Reader: r.m.options.Reader, Sys: r.m.root.path("sys"), Mono: r.m.clock.MonoMS})
	}
	if p := r.m.board.everyMS.Load(); p != r.pace {
		r.pace = p
		r.source.Pace(max(time.Duration(p)*time.Millisecond, time.Second))
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
	var holders []holder
	fresh := !slices.Equal(rep.Processes, r.processes)
	if fresh {
		r.processes = rep.Processes
		for _, p := range rep.Processes {
			holders = append(holders, holder{pid: int32(p.PID), gpu: uint32(p.GPU), memory: p.MemoryBytes, known: p.MemoryKnown})
		}
	}
	b := r.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if rep.Inventory != nil && rep.Generation != r.generation {
		r.generation = rep.Generation
		b.inventory.Gpus = gpuFacts(r.m.root, rep.Inventory)
		b.inventory.GpuDriverVersion, b.inventory.CudaVersion = rep.Inventory.Driver, rep.Inventory.CUDA
		b.generation++
	}
	b.state.CopyScope(telemetry.ScopeGPU, &r.state)
	if rep.FastMS > 0 {
		b.read(telemetry.GroupGPU, rep.FastMS)
	}
	if rep.SlowMS > 0 {
		b.read(telemetry.GroupGPUSlow, rep.SlowMS)
	}
	if fresh {
		b.holders = holders
		b.moved.Store(true)
	}
}

func gpuFacts(root Root, inv *nvml.Inventory) []*facts.GPU {
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
