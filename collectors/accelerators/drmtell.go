package accelerators

import (
	"fmt"
	"strings"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// tell makes the Reading.
func (r *drmReader) tell(now int64, detail bool) {
	st := &r.reading.State
	for i := range r.reading.Parts {
		st.ClearEntity(telemetry.ScopeGPUPart, i)
	}
	for i := range r.reading.Links {
		st.ClearEntity(telemetry.ScopeGPULink, i)
	}
	part, link := 0, 0
	for i, s := range r.slots {
		st.ClearEntity(telemetry.ScopeGPU, i)
		st.Set(telemetry.GPUStatus, i, s.status)
		if s.card == nil {
			continue
		}
		st.Set(telemetry.GPUProcesses, i, s.held)
		parts, links := len(s.card.shape().parts), len(s.card.shape().links)
		for _, list := range [...]sheet{s.slow, s.fast} {
			for _, e := range list {
				switch e.metric.Scope() {
				case telemetry.ScopeGPUPart: // slow readings may be older than the shape
					if e.at < parts {
						st.Set(e.metric, part+e.at, e.value)
					}
				case telemetry.ScopeGPULink:
					if e.at < links {
						st.Set(e.metric, link+e.at, e.value)
					}
				default:
					st.Set(e.metric, i, e.value)
				}
			}
		}
		part, link = part+parts, link+links
	}
	r.reading.FastMS, r.reading.SlowMS = now, r.slowMS
	if detail && len(r.reading.Links) > 0 {
		r.reading.LinksMS = now
	}
}

// rebuild makes the lists anew where something is not as it was. Holders are named by places in them, so they are asked for as well.
func (r *drmReader) rebuild() {
	for _, s := range r.slots {
		if s.card != nil && s.revision != s.card.shape().revision {
			s.revision, r.stale = s.card.shape().revision, true
		}
	}
	if !r.stale {
		return
	}
	r.stale, r.heldMS = false, 0
	d := &r.reading
	d.Generation++
	d.GPUs, d.Parts, d.Links, d.Unseen = nil, nil, nil, r.unseen
	for i, s := range r.slots {
		d.GPUs = append(d.GPUs, s.told())
		if s.card == nil {
			continue
		}
		for _, p := range s.card.shape().parts {
			d.Parts = append(d.Parts, &facts.GPUPart{Gpu: uint32(i), Kind: p.Kind, Name: p.Name, Uuid: p.Uuid, Instance: p.Instance})
		}
		for _, l := range s.card.shape().links {
			d.Links = append(d.Links, &facts.GPULink{Gpu: uint32(i), Link: l.Link, Kind: l.Kind, Remote: l.Remote, RemotePci: l.RemotePci})
		}
	}
	for _, c := range [...]struct {
		scope telemetry.Scope
		n     int
	}{{telemetry.ScopeGPU, len(d.GPUs)}, {telemetry.ScopeGPUPart, len(d.Parts)}, {telemetry.ScopeGPULink, len(d.Links)}} {
		d.State.Resize(c.scope, 0)
		d.State.Resize(c.scope, c.n)
	}
}

// told is the card's description with what there is to say of it now.
func (s *drmSlot) told() *facts.GPU {
	f := s.fact
	return &facts.GPU{
		Uuid: f.Uuid, Name: f.Name, Pci: f.Pci, Minor: f.Minor, MemoryTotalBytes: f.MemoryTotalBytes, Serial: f.Serial, Vbios: f.Vbios,
		NumaNode: f.NumaNode, Vendor: f.Vendor, PciPath: f.PciPath, Driver: f.Driver, Architecture: f.Architecture, BoardPart: f.BoardPart,
		Firmware: f.Firmware, ModuleId: f.ModuleId, CpuAffinity: f.CpuAffinity, Note: telemetry.Clean(s.note, 256),
	}
}

// condition says in words what is wrong with single cards; the cards' own status says it as well.
func (r *drmReader) condition() error {
	bad, first := 0, ""
	for _, s := range r.slots {
		if s.status != telemetry.GPUOK {
			if bad++; first == "" {
				first = s.info.address + ": " + s.note
			}
		}
	}
	switch {
	case bad > 0 && bad == len(r.slots):
		return &Condition{State: facts.SourceState_SOURCE_FAILING, Text: "none of the accelerators can be read: " + first, Remedy: "see the kernel log"}
	case bad > 0:
		return Remark(fmt.Sprintf("%d of %d accelerators cannot be read: %s", bad, len(r.slots), first))
	case *r.sys.denied != "":
		return &Condition{State: facts.SourceState_SOURCE_OK, Text: "this user may not read " + *r.sys.denied + ": what it tells is not known",
			Remedy: "run the collector as a user who may read it"}
	case len(r.unseen) > 0:
		return r.unseenCondition()
	case r.foreign():
		return Remark("who holds the accelerators is not known: the driver tells pids of the machine, and this is a container")
	}
	for _, s := range r.slots {
		if n, ok := s.card.(interface{ remark() string }); ok && n.remark() != "" {
			return Remark(s.info.address + ": " + n.remark())
		}
	}
	return nil
}

func (r *drmReader) unseenCondition() error {
	var names []string
	bare := false // one without any driver
	for _, u := range r.unseen {
		names = append(names, u.Pci+" ("+u.Why+")")
		bare = bare || u.Why == noDriver
	}
	text := "accelerators that no driver shows: " + strings.Join(names, ", ")
	if bare && len(r.slots) == 0 {
		return &Condition{State: facts.SourceState_SOURCE_FAILING, Text: text, Remedy: "load the kernel module " + strings.Join(r.maker.drivers(), " or ") + ", or see why it failed in the kernel log"}
	}
	return Remark(text)
}
