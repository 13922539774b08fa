//go:build linux && cgo

package main

import (
	"fmt"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// enumerate takes handles of all GPUs that the driver shows and asks what does not change. A GPU known from before keeps its slot; one that is not
// shown any more is lost. Handles are kept: fetching them anew each tick is costly.
func (r *reader) enumerate() pipe.Status {
	defer r.watch.leave()
	r.watch.enter("nvmlSystemGetDriverVersion", -1)
	r.inv.Driver, _ = r.lib.SystemGetDriverVersion()
	r.inv.NVML, _ = r.lib.SystemGetNVMLVersion()
	if v, ret := r.lib.SystemGetCudaDriverVersion(); ret == nvml.SUCCESS {
		r.inv.CUDA = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	r.watch.enter("nvmlDeviceGetCount", -1)
	n, ret := r.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return pipe.Status{Health: pipe.Failing, GPU: -1, Text: "nvmlDeviceGetCount: " + r.lib.ErrorString(ret)}
	}
	seen := map[*slot]bool{}
	for i := range min(n, pipe.MaxGPUs) {
		r.watch.enter("nvmlDeviceGetHandleByIndex", i)
		dev, ret := r.lib.DeviceGetHandleByIndex(i)
		if ret != nvml.SUCCESS {
			if len(r.slots) <= i { // never seen well: it has a place, and nothing else
				s := r.addSlot(pipe.GPU{Minor: -1, NUMANode: -1})
				r.fail(s, ret, time.Now())
				seen[s] = true
			}
			continue
		}
		g := r.identity(dev)
		s := r.slotOf(g, i)
		if s == nil {
			continue
		}
		s.dev, s.unsupported, s.retry = dev, 0, time.Time{}
		s.fastFields, s.slowFields = fastFieldIDs(), slowFieldIDs()
		r.inv.GPUs[s.index] = g
		r.state.Set(telemetry.GPUStatus, s.index, telemetry.GPUOK)
		r.limits(s)
		seen[s] = true
	}
	for _, s := range r.slots {
		if !seen[s] {
			s.dev = nil
			r.fail(s, nvml.ERROR_GPU_IS_LOST, time.Now())
		}
	}
	if len(r.slots) == 0 {
		return noGPU(r.onPCI)
	}
	return pipe.Status{Health: pipe.OK}
}

func noGPU(onPCI int) pipe.Status {
	if onPCI == 0 {
		return pipe.Status{Health: pipe.Unsupported, GPU: -1, Text: "the NVIDIA driver runs, but there is no GPU"}
	}
	return pipe.Status{Health: pipe.Failing, GPU: -1, Text: fmt.Sprintf("the driver shows none of the %d NVIDIA GPUs on the PCI bus", onPCI),
		Remedy: "this user may not be allowed to open /dev/nvidia* (a cgroup of a job?), or the driver could not start them: see the kernel log"}
}

// slotOf finds the GPU's slot by its UUID, or gives it one: the nameless one at its index, or a new one.
func (r *reader) slotOf(g pipe.GPU, index int) *slot {
	for i, known := range r.inv.GPUs {
		if known.UUID != "" && known.UUID == g.UUID {
			return r.slots[i]
		}
	}
	if index < len(r.slots) && r.inv.GPUs[index].UUID == "" {
		return r.slots[index]
	}
	if len(r.slots) == pipe.MaxGPUs {
		return nil
	}
	return r.addSlot(g)
}

func (r *reader) addSlot(g pipe.GPU) *slot {
	s := &slot{index: len(r.slots)}
	r.slots = append(r.slots, s)
	r.inv.GPUs = append(r.inv.GPUs, g)
	var before telemetry.State
	before.CopyFrom(&r.state)
	r.state.Resize(telemetry.ScopeGPU, len(r.slots)) // drops the readings of the others: put them back
	for _, d := range telemetry.Defs() {
		if d.ID.Scope() != telemetry.ScopeGPU {
			continue
		}
		for i, v := range before.Column(d.ID) {
			if v != telemetry.Absent {
				r.state.Set(d.ID, i, v)
			}
		}
	}
	return s
}

// identity asks what does not change. What the driver does not tell stays empty.
func (r *reader) identity(dev nvml.Device) pipe.GPU {
	g := pipe.GPU{Minor: -1, NUMANode: -1}
	g.UUID, _ = dev.GetUUID()
	g.Name, _ = dev.GetName()
	g.Serial, _ = dev.GetSerial()
	g.VBIOS, _ = dev.GetVbiosVersion()
	if minor, ret := dev.GetMinorNumber(); ret == nvml.SUCCESS {
		g.Minor = minor
	}
	if p, ret := dev.GetPciInfo(); ret == nvml.SUCCESS {
		g.PCI = fmt.Sprintf("%04x:%02x:%02x.0", p.Domain, p.Bus, p.Device)
		g.NUMANode = pipe.NUMANode(r.sys, g.PCI)
	}
	if major, minor, ret := dev.GetCudaComputeCapability(); ret == nvml.SUCCESS {
		g.ComputeCapability = fmt.Sprintf("%d.%d", major, minor)
	}
	if r.has("nvmlDeviceGetMigMode") {
		if mode, _, ret := dev.GetMigMode(); ret == nvml.SUCCESS {
			g.MIG = mode == nvml.DEVICE_MIG_ENABLE
		}
	}
	if m, ret := dev.GetMemoryInfo(); ret == nvml.SUCCESS {
		g.MemoryBytes = m.Total
	}
	return g
}

// limits reads what bounds the readings, which changes with the driver only.
func (r *reader) limits(s *slot) {
	r.watch.enter("nvmlDeviceGetMaxClockInfo", s.index)
	r.put(s, telemetry.GPUSMClockMaxMHz)(s.dev.GetMaxClockInfo(nvml.CLOCK_SM))
	r.put(s, telemetry.GPUMemClockMaxMHz)(s.dev.GetMaxClockInfo(nvml.CLOCK_MEM))
	r.put(s, telemetry.GPUSlowdownTempC)(s.dev.GetTemperatureThreshold(nvml.TEMPERATURE_THRESHOLD_SLOWDOWN))
	r.put(s, telemetry.GPUShutdownTempC)(s.dev.GetTemperatureThreshold(nvml.TEMPERATURE_THRESHOLD_SHUTDOWN))
	r.putInt(s, telemetry.GPUPCIeGenMax)(s.dev.GetMaxPcieLinkGeneration())
	r.putInt(s, telemetry.GPUPCIeWidthMax)(s.dev.GetMaxPcieLinkWidth())
}

func (r *reader) has(symbol string) bool { return r.lib.Extensions().LookupSymbol(symbol) == nil }
