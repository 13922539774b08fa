package collectors

import (
	"slices"

	"foretop/collectors/accelerators"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// segment is what one source says of the accelerators that it reads: a node may have several kinds, and each keeps its own numbers. On the board they
// stand one after the other, in the order of the sources.
type segment struct {
	source     int // index of the source
	generation uint64
	gpus       []*facts.GPU
	parts      []*facts.GPUPart // their gpu counts within the segment
	links      []*facts.GPULink
	calls      []*facts.Call
	unseen     []*facts.UnseenGPU
	driver     string // of NVIDIA's
	cuda       string
	state      telemetry.State
	holders    []accelerators.Holder
}

var segmentScopes = [...]telemetry.Scope{telemetry.ScopeGPU, telemetry.ScopeGPUPart, telemetry.ScopeGPULink, telemetry.ScopeCall}

// count is how many entities of a scope a segment's inventory has.
func (s *segment) count(sc telemetry.Scope) int {
	switch sc {
	case telemetry.ScopeGPU:
		return len(s.gpus)
	case telemetry.ScopeGPUPart:
		return len(s.parts)
	case telemetry.ScopeGPULink:
		return len(s.links)
	}
	return len(s.calls)
}

// segmentOf is a source's segment on the board. The caller holds the lock.
func (b *board) segmentOf(source int) *segment {
	at, found := slices.BinarySearchFunc(b.segments, source, func(s *segment, source int) int { return s.source - source })
	if !found {
		b.segments = slices.Insert(b.segments, at, &segment{source: source})
	}
	return b.segments[at]
}

// putSegment makes what a source wrote into its segment, and read into its state, the node's. The caller holds the lock.
func (b *board) putSegment(s *segment, state *telemetry.State, generation uint64) {
	for _, sc := range segmentScopes {
		s.state.CopyScope(sc, state)
	}
	if s.generation != generation {
		s.generation = generation
		b.joinSegments()
		return
	}
	for _, sc := range segmentScopes {
		at := 0
		for _, before := range b.segments {
			if before == s {
				break
			}
			at += before.count(sc)
		}
		b.state.CopyScopeTo(sc, &s.state, at)
	}
}

// joinSegments makes the inventory of accelerators anew, and puts all segments' readings in their new places.
func (b *board) joinSegments() {
	inv := b.inventory
	inv.Gpus, inv.GpuParts, inv.GpuLinks, inv.Calls, inv.UnseenGpus = nil, nil, nil, nil, nil
	inv.GpuDriverVersion, inv.CudaVersion = "", ""
	for _, s := range b.segments {
		first := uint32(len(inv.Gpus))
		inv.Gpus = append(inv.Gpus, s.gpus...)
		inv.UnseenGpus = append(inv.UnseenGpus, s.unseen...)
		for _, p := range s.parts {
			if first > 0 {
				p = &facts.GPUPart{Gpu: first + p.Gpu, Kind: p.Kind, Name: p.Name, Uuid: p.Uuid, Instance: p.Instance, ComputeInstance: p.ComputeInstance}
			}
			inv.GpuParts = append(inv.GpuParts, p)
		}
		for _, l := range s.links {
			if first > 0 {
				l = &facts.GPULink{Gpu: first + l.Gpu, Link: l.Link, Kind: l.Kind, Remote: l.Remote, RemotePci: l.RemotePci, Version: l.Version}
			}
			inv.GpuLinks = append(inv.GpuLinks, l)
		}
		for _, c := range s.calls {
			inv.Calls = append(inv.Calls, &facts.Call{Source: uint32(s.source), Name: c.Name})
		}
		if s.driver != "" {
			inv.GpuDriverVersion, inv.CudaVersion = s.driver, s.cuda
		}
	}
	for _, sc := range segmentScopes {
		n := 0
		for _, s := range b.segments {
			n += s.count(sc)
		}
		b.state.Resize(sc, 0)
		b.state.Resize(sc, n)
		n = 0
		for _, s := range b.segments {
			b.state.CopyScopeTo(sc, &s.state, n)
			n += s.count(sc)
		}
	}
	b.generation++
	b.moved.Store(true) // holders name accelerators by their place
}

// heldAccelerators are the holders of all segments, with the numbers of the whole node. The caller holds the lock.
func (b *board) heldAccelerators() []accelerators.Holder {
	var all []accelerators.Holder
	gpus, parts := uint32(0), uint32(0)
	for _, s := range b.segments {
		for _, h := range s.holders {
			h.GPU += gpus
			if h.Part > 0 {
				h.Part += parts
			}
			all = append(all, h)
		}
		gpus += uint32(len(s.gpus))
		parts += uint32(len(s.parts))
	}
	return all
}
