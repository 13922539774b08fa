//go:build linux && cgo

package main

import (
	"slices"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// part is a MIG device: a compute instance of a GPU instance.
type part struct {
	dev   nvml.Device
	is    pipe.Part
	alone bool // no other compute instance is in its GPU instance: the activity of that is its own
	gpm   gpm
}

// mostParts is how many parts are read in a round; with more they take turns.
const mostParts = 16

// checkMIG asks whether MIG mode is on and which instances there are. It is asked again each slow round and after an event that says so: both change while
// the driver runs.
func (r *reader) checkMIG(s *slot) {
	if s.dev == nil || !r.may(s, callMIGMode) {
		return
	}
	mode, _, ret := s.dev.GetMigMode()
	if !r.took(s, callMIGMode, ret) {
		return
	}
	on := mode == nvml.DEVICE_MIG_ENABLE
	var now []part
	if on {
		now = r.listParts(s)
	}
	same := slices.EqualFunc(now, s.parts, func(a, b part) bool { return a.is == b.is })
	if on == s.mig && same {
		return
	}
	for i := range s.parts {
		r.free(&s.parts[i].gpm)
	}
	if on != s.mig { // what it could not tell before, it may now, and the other way round
		r.free(&s.gpm)
		r.forget(s)
		s.refused, s.noFast, s.noEnergy, s.noSlow, s.hasGPM = callSet{}, 0, 0, 0, false
		s.links.count, s.links.unknown = r.countLinks(s), 0
		r.state.Set(telemetry.GPUStatus, s.index, telemetry.GPUOK)
	}
	s.mig, s.parts, r.relist = on, now, true
	r.inv.GPUs[s.index].MIG = on
}

func (r *reader) listParts(s *slot) []part {
	if !r.mayOnce(callMIGCount, s.index) {
		return nil
	}
	most, ret := s.dev.GetMaxMigDeviceCount()
	if ret != nvml.SUCCESS {
		return nil
	}
	var found []part
	for i := range min(most, 64) {
		if !r.mayOnce(callMIGHandle, s.index) {
			break
		}
		dev, ret := s.dev.GetMigDeviceHandleByIndex(i)
		if ret != nvml.SUCCESS {
			continue // there are holes
		}
		p := part{dev: dev, is: pipe.Part{GPU: s.index}}
		p.is.UUID = r.word(callUUID, s.index, dev.GetUUID)
		p.is.Name = profile(r.word(callName, s.index, dev.GetName))
		if r.mayOnce(callGPUInstance, s.index) {
			p.is.Instance, _ = dev.GetGpuInstanceId()
		}
		if r.mayOnce(callComputeInstance, s.index) {
			p.is.ComputeInstance, _ = dev.GetComputeInstanceId()
		}
		found = append(found, p)
	}
	for i := range found {
		p := &found[i]
		p.alone = !slices.ContainsFunc(found, func(o part) bool { return o.is != p.is && o.is.Instance == p.is.Instance })
	}
	return found
}

// profile is the end of a MIG device's name: "NVIDIA H100 80GB HBM3 MIG 1g.10gb".
func profile(name string) string {
	if at := strings.LastIndex(name, "MIG "); at >= 0 {
		return strings.TrimSpace(name[at+4:])
	}
	return name
}

// readParts reads memory and activity of a GPU's instances, at most as many as are left of a round's.
func (r *reader) readParts(s *slot, left *int) {
	for i := range s.parts {
		entity := s.firstPart + i
		if r.turn = r.turn % max(len(r.inv.Parts), 1); *left <= 0 || len(r.inv.Parts) > mostParts && entity != r.turn {
			continue
		}
		*left--
		r.turn++
		r.readPart(s, &s.parts[i], entity)
		if r.broken != nvml.SUCCESS || s.wrong == nvml.ERROR_GPU_IS_LOST {
			return
		}
	}
}

func (r *reader) readPart(s *slot, p *part, entity int) {
	var used, total uint64
	ret := nvml.ERROR_NOT_SUPPORTED
	if r.mayOnce(callMemory2, s.index) {
		m, got := p.dev.GetMemoryInfo_v2()
		used, total, ret = m.Used, m.Total, got
	} else if r.mayOnce(callMemory1, s.index) {
		m, got := p.dev.GetMemoryInfo()
		used, total, ret = m.Used, m.Total, got
	}
	if ret == nvml.SUCCESS {
		r.state.SetUint(telemetry.PartMemUsedBytes, entity, used)
		r.state.SetUint(telemetry.PartMemTotalBytes, entity, total)
	} else {
		r.state.ClearEntity(telemetry.ScopeGPUPart, entity) // it was taken away, perhaps: the next look at the instances will tell
		return
	}
	if p.alone && r.there.has(callGPMMetrics) && r.there.has(callGPMMIGSample) && !s.refused.has(callGPMMIGSample) && r.support(s) {
		r.slide(s, &p.gpm, partActivities, entity, callGPMMIGSample, func(to nvml.GpmSample) nvml.Return {
			return s.dev.GpmMigSampleGet(p.is.Instance, to)
		})
	}
}

// readPartErrors: of an instance the driver tells uncorrected errors of its SRAM since it was loaded, and no others.
func (r *reader) readPartErrors(s *slot) {
	for i := range s.parts {
		if r.may(s, callErrors) {
			v, ret := s.parts[i].dev.GetMemoryErrorCounter(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.VOLATILE_ECC, nvml.MEMORY_LOCATION_SRAM)
			if r.took(s, callErrors, ret) {
				r.state.SetUint(telemetry.PartECCUncorrected, s.firstPart+i, v)
			} else {
				r.state.Clear(telemetry.PartECCUncorrected, s.firstPart+i)
			}
		}
	}
}

// list makes the inventory's lists of parts and links anew, after either changed: their entities mean something else now.
func (r *reader) list() {
	if !r.relist {
		return
	}
	r.relist = false
	r.inv.Parts, r.inv.Links = nil, nil
	for _, s := range r.slots {
		s.firstPart = len(r.inv.Parts)
		s.parts = s.parts[:min(len(s.parts), pipe.MaxParts-len(r.inv.Parts))]
		for i := range s.parts {
			r.inv.Parts = append(r.inv.Parts, s.parts[i].is)
		}
		s.links = links{first: len(r.inv.Links), count: min(s.links.count, pipe.MaxLinks-len(r.inv.Links)), unknown: s.links.unknown}
		for i := range s.links.count {
			r.inv.Links = append(r.inv.Links, pipe.Link{GPU: s.index, Link: i})
		}
		s.slowDue = true
	}
	for sc, n := range map[telemetry.Scope]int{telemetry.ScopeGPUPart: len(r.inv.Parts), telemetry.ScopeGPULink: len(r.inv.Links)} {
		r.state.Resize(sc, 0)
		r.state.Resize(sc, n)
	}
}
