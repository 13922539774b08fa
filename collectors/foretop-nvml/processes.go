//go:build linux && cgo

package main

import (
	"math"
	"reflect"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

const noInstance = 0xFFFFFFFF

// processes asks which compute processes each GPU has, one of the dearest questions, and sends the list when it changed.
func (r *reader) processes(first bool) {
	var now pipe.Processes
	for _, s := range r.slots {
		if s.dev == nil || r.state.Get(telemetry.GPUStatus, s.index) != telemetry.GPUOK {
			continue
		}
		r.watch.enter("nvmlDeviceGetComputeRunningProcesses", s.index)
		list, ret := s.dev.GetComputeRunningProcesses()
		if ret != nvml.SUCCESS {
			r.state.Clear(telemetry.GPUProcesses, s.index)
			continue
		}
		now.Known = true
		r.state.Set(telemetry.GPUProcesses, s.index, int64(len(list)))
		for _, p := range list {
			out := pipe.Process{PID: int(p.Pid), GPU: s.index, GPUInstance: -1}
			if p.UsedGpuMemory != math.MaxUint64 { // NVML_VALUE_NOT_AVAILABLE
				out.MemoryBytes, out.MemoryKnown = p.UsedGpuMemory, true
			}
			if p.GpuInstanceId != noInstance {
				out.GPUInstance = int(p.GpuInstanceId)
			}
			now.Processes = append(now.Processes, out)
		}
	}
	if first || !reflect.DeepEqual(now, r.procs) {
		r.procs = now
		r.out.frame(pipe.KindProcesses, now.Append(nil))
	}
}
