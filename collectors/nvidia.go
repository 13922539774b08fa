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
	detail     bool
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
		r.source = nvml.Start(ctx, nvml.Options{Reader: r.m.options.Reader, Root: string(r.m.root), Mono: r.m.clock.MonoMS})
	}
	if p := r.m.board.paceMS(); p != r.pace {
		r.pace = p
		r.source.Pace(time.Duration(p) * time.Millisecond)
	}
	if detail := r.m.board.detail.Load(); detail != r.detail {
		r.detail = detail
		r.source.Detail(detail)
	}
	rep := r.source.Report(&r.state)
	r.account(rep.PID)
	r.put(&rep, r.source.Events())
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

func (r *nvidiaReader) put(rep *nvml.Report, events []nvml.Event) {
	var fresh segment
	renewed := rep.Inventory != nil && rep.Generation != r.generation
	if renewed {
		fresh.take(r.m.root, rep.Inventory) // it reads sysfs: not under the lock
	}
	b := r.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.segmentOf(r.index)
	if renewed {
		r.generation = rep.Generation
		s.driver, s.cuda = fresh.driver, fresh.cuda
		s.gpus, s.parts, s.links, s.calls, s.unseen = fresh.gpus, fresh.parts, fresh.links, fresh.calls, fresh.unseen
	}
	b.putSegment(s, &r.state, r.generation)
	b.latest(telemetry.GroupGPU, rep.FastMS)
	b.latest(telemetry.GroupGPUSlow, rep.SlowMS)
	b.latest(telemetry.GroupGPULinks, rep.LinksMS)
	b.latest(telemetry.GroupCalls, rep.CallsMS)
	for _, e := range events { // NVIDIA's are the first accelerators of a node: their numbers are the node's
		b.event(&facts.GPUEvent{Gpu: uint32(e.GPU), What: e.What, Code: e.Code, MonoUs: e.MonoUS, Instance: uint32(e.Instance)})
	}
	if !slices.Equal(rep.Processes, r.processes) {
		r.processes, s.holders = rep.Processes, nil
		for _, p := range rep.Processes {
			s.holders = append(s.holders, accelerators.Holder{PID: int32(p.PID), GPU: uint32(p.GPU), Part: uint32(p.Part), Memory: p.MemoryBytes, Known: p.MemoryKnown})
		}
		b.moved.Store(true)
	}
}

// take makes an empty segment's inventory from what package nvml knows.
func (s *segment) take(root kernfs.Root, inv *nvml.Inventory) {
	s.driver, s.cuda = inv.Driver, inv.CUDA
	s.gpus = make([]*facts.GPU, len(inv.GPUs))
	for i, g := range inv.GPUs {
		s.gpus[i] = &facts.GPU{
			Uuid: g.UUID, Name: g.Name, Pci: g.PCI, Minor: int32(g.Minor), MemoryTotalBytes: g.MemoryBytes, Serial: g.Serial, Vbios: g.VBIOS,
			ComputeCapability: g.ComputeCapability, NumaNode: int32(g.NUMANode), Mig: g.MIG, Vendor: "nvidia",
			PciPath: pciPath(root, g.PCI), Driver: inv.Driver, Architecture: g.Architecture, BoardPart: g.BoardPart, Firmware: g.Firmware, Inforom: g.InfoROM,
			ModuleId: int32(g.ModuleID), CpuAffinity: g.CPUs, FabricCluster: g.FabricCluster, FabricClique: g.FabricClique, Chassis: g.Chassis,
			Slot: g.Slot, Tray: g.Tray, Note: g.Note,
		}
	}
	for _, p := range inv.Parts {
		s.parts = append(s.parts, &facts.GPUPart{Gpu: uint32(p.GPU), Kind: "MIG", Name: p.Name, Uuid: p.UUID, Instance: uint32(p.Instance), ComputeInstance: uint32(p.ComputeInstance)})
	}
	for _, l := range inv.Links {
		s.links = append(s.links, &facts.GPULink{Gpu: uint32(l.GPU), Link: uint32(l.Link), Kind: "NVLink", Remote: l.Remote, RemotePci: l.RemotePCI, Version: uint32(l.Version)})
	}
	for _, c := range inv.Calls {
		s.calls = append(s.calls, &facts.Call{Name: c})
	}
	for _, u := range inv.Unseen {
		s.unseen = append(s.unseen, &facts.UnseenGPU{Pci: u.PCI, Vendor: "nvidia", Why: u.Why})
	}
}
