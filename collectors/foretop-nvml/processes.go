//go:build linux && cgo

package main

import (
	"math"
	"slices"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

const noInstance = 0xFFFFFFFF

// processes asks which compute processes each GPU has, one of the dearest questions, and sends the list when it changed. In MIG mode each instance is
// asked: of the GPU as a whole only root gets an answer.
func (r *reader) processes(first bool) {
	var now pipe.Processes
	for _, s := range r.slots {
		if !r.isWell(s) || !r.there.has(callProcesses) {
			continue
		}
		before := len(now.Processes)
		known := false
		if len(s.parts) == 0 {
			known = r.processesOf(&now, s, s.dev, 0)
		}
		for i := range s.parts {
			known = r.processesOf(&now, s, s.parts[i].dev, s.firstPart+i+1) || known
		}
		if !known {
			r.state.Clear(telemetry.GPUProcesses, s.index)
			continue
		}
		now.Known = true
		r.state.Set(telemetry.GPUProcesses, s.index, int64(len(now.Processes)-before))
	}
	if first || now.Known != r.procs.Known || !slices.Equal(now.Processes, r.procs.Processes) {
		r.procs = now
		r.out.frame(pipe.KindProcesses, now.Append(nil))
	}
}

func (r *reader) processesOf(now *pipe.Processes, s *slot, dev nvml.Device, part int) bool {
	r.watch.enter(callProcesses, s.index)
	list, ret := dev.GetComputeRunningProcesses()
	if ret != nvml.SUCCESS {
		return false
	}
	for _, p := range list {
		if len(now.Processes) == pipe.MaxProcesses {
			break
		}
		out := pipe.Process{PID: int(p.Pid), GPU: s.index, Part: part, GPUInstance: -1}
		if p.UsedGpuMemory != math.MaxUint64 { // NVML_VALUE_NOT_AVAILABLE
			out.MemoryBytes, out.MemoryKnown = p.UsedGpuMemory, true
		}
		if p.GpuInstanceId != noInstance {
			out.GPUInstance = int(p.GpuInstanceId)
		}
		now.Processes = append(now.Processes, out)
	}
	return true
}
