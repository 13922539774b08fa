//go:build linux && cgo

package main

import (
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/telemetry"
)

// call is one question to the driver. go-nvml dies, beyond recovery, in a call of a function that the driver does not have, so each names the
// symbols that it may reach, and is only made where all of them were found.
type call struct {
	name  string // as shown when it does not return
	needs []string
	not   string // left out where this newer symbol is there
	make  func(*reader, *slot) nvml.Return
}

// Questions of each tick. No process lists, fans or PCIe throughput here: those block for milliseconds inside the driver.
var fastCalls = []call{
	{"nvmlDeviceGetFieldValues", []string{"nvmlDeviceGetFieldValues"}, "", (*reader).askFastFields},
	{"nvmlDeviceGetUtilizationRates", []string{"nvmlDeviceGetUtilizationRates"}, "", (*reader).utilization},
	{"nvmlDeviceGetMemoryInfo_v2", []string{"nvmlDeviceGetMemoryInfo_v2"}, "", (*reader).memory},
	{"nvmlDeviceGetMemoryInfo", []string{"nvmlDeviceGetMemoryInfo"}, "nvmlDeviceGetMemoryInfo_v2", (*reader).memoryV1},
	{"nvmlDeviceGetTemperatureV", []string{"nvmlDeviceGetTemperatureV"}, "", (*reader).temperature},
	{"nvmlDeviceGetTemperature", []string{"nvmlDeviceGetTemperature"}, "nvmlDeviceGetTemperatureV", (*reader).temperatureOld},
	{"nvmlDeviceGetClockInfo", []string{"nvmlDeviceGetClockInfo"}, "", (*reader).clocks},
	{"nvmlDeviceGetCurrentClocksEventReasons", []string{"nvmlDeviceGetCurrentClocksEventReasons"}, "", (*reader).throttle},
	{"nvmlDeviceGetCurrentClocksThrottleReasons", []string{"nvmlDeviceGetCurrentClocksThrottleReasons"}, "nvmlDeviceGetCurrentClocksEventReasons", (*reader).throttleOld},
	{"nvmlGpmSampleGet", []string{"nvmlGpmQueryDeviceSupport", "nvmlGpmSampleAlloc", "nvmlGpmSampleFree", "nvmlGpmSampleGet", "nvmlGpmMetricsGet"}, "", (*reader).activity},
}

// Questions of each half minute.
var slowCalls = []call{
	{"nvmlDeviceGetFieldValues", []string{"nvmlDeviceGetFieldValues"}, "", (*reader).askSlowFields},
	{"nvmlDeviceGetCurrPcieLinkGeneration", []string{"nvmlDeviceGetCurrPcieLinkGeneration", "nvmlDeviceGetCurrPcieLinkWidth"}, "", (*reader).pcie},
}

func available(lib nvml.Interface, all []call) []call {
	has := func(symbol string) bool { return lib.Extensions().LookupSymbol(symbol) == nil }
	var out []call
next:
	for _, c := range all {
		for _, symbol := range c.needs {
			if !has(symbol) {
				continue next
			}
		}
		if c.not == "" || !has(c.not) {
			out = append(out, c)
		}
	}
	return out
}

// read makes the calls that this GPU has, in order. When the GPU is lost its readings become absent and no more calls are made on it.
func (r *reader) read(s *slot, calls []call, firstBit int, now time.Time) {
	if s.dev == nil || now.Before(s.retry) {
		return
	}
	answers := 0
	wrong := nvml.SUCCESS
	for i, c := range calls {
		bit := uint64(1) << (firstBit + i)
		if s.unsupported&bit != 0 {
			continue
		}
		r.watch.enter(c.name, s.index)
		switch ret := c.make(r, s); ret {
		case nvml.SUCCESS:
			answers++
		case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_FUNCTION_NOT_FOUND, nvml.ERROR_ARGUMENT_VERSION_MISMATCH:
			s.unsupported |= bit // and is not asked again
		case nvml.ERROR_UNINITIALIZED, nvml.ERROR_DRIVER_NOT_LOADED, nvml.ERROR_LIB_RM_VERSION_MISMATCH:
			r.broken = ret
			return
		case nvml.ERROR_GPU_IS_LOST:
			r.fail(s, ret, now)
			return
		default:
			wrong = ret
		}
	}
	if answers == 0 && wrong != nvml.SUCCESS {
		r.fail(s, wrong, now)
		return
	}
	r.state.Set(telemetry.GPUStatus, s.index, telemetry.GPUOK)
	r.inv.GPUs[s.index].Note = ""
}

// fail makes all readings of a GPU absent and says why.
func (r *reader) fail(s *slot, ret nvml.Return, now time.Time) {
	r.state.ClearEntity(telemetry.ScopeGPU, s.index)
	status := int64(telemetry.GPUFailing)
	if ret == nvml.ERROR_GPU_IS_LOST {
		status = telemetry.GPULost
		s.dev = nil // until the library is initialised again
	}
	r.state.Set(telemetry.GPUStatus, s.index, status)
	r.inv.GPUs[s.index].Note = r.lib.ErrorString(ret)
	s.retry = now.Add(retryFailed)
}

// put and putInt return a setter that takes an NVML answer as it comes: what is not a success makes the reading absent.
func (r *reader) put(s *slot, m telemetry.Metric) func(uint32, nvml.Return) nvml.Return {
	return func(v uint32, ret nvml.Return) nvml.Return { return r.set(s, m, int64(v), ret) }
}

func (r *reader) putInt(s *slot, m telemetry.Metric) func(int, nvml.Return) nvml.Return {
	return func(v int, ret nvml.Return) nvml.Return { return r.set(s, m, int64(v), ret) }
}

func (r *reader) set(s *slot, m telemetry.Metric, v int64, ret nvml.Return) nvml.Return {
	if ret != nvml.SUCCESS {
		r.state.Clear(m, s.index)
		return ret
	}
	r.state.Set(m, s.index, v)
	return ret
}

func (r *reader) utilization(s *slot) nvml.Return {
	u, ret := s.dev.GetUtilizationRates()
	r.set(s, telemetry.GPUUtilPct, int64(u.Gpu), ret)
	return r.set(s, telemetry.GPUMemUtilPct, int64(u.Memory), ret)
}

func (r *reader) memory(s *slot) nvml.Return {
	m, ret := s.dev.GetMemoryInfo_v2()
	r.set(s, telemetry.GPUMemUsedBytes, int64(m.Used), ret)
	r.set(s, telemetry.GPUMemReservedBytes, int64(m.Reserved), ret)
	return r.set(s, telemetry.GPUMemTotalBytes, int64(m.Total), ret)
}

// memoryV1 counts what the driver keeps for itself as used, and cannot tell how much that is.
func (r *reader) memoryV1(s *slot) nvml.Return {
	m, ret := s.dev.GetMemoryInfo()
	r.set(s, telemetry.GPUMemUsedBytes, int64(m.Used), ret)
	return r.set(s, telemetry.GPUMemTotalBytes, int64(m.Total), ret)
}

func (r *reader) temperature(s *slot) nvml.Return {
	t, ret := s.dev.GetTemperatureV().V1()
	return r.set(s, telemetry.GPUTempC, int64(t.Temperature), ret)
}

func (r *reader) temperatureOld(s *slot) nvml.Return {
	return r.put(s, telemetry.GPUTempC)(s.dev.GetTemperature(nvml.TEMPERATURE_GPU))
}

func (r *reader) clocks(s *slot) nvml.Return {
	r.put(s, telemetry.GPUMemClockMHz)(s.dev.GetClockInfo(nvml.CLOCK_MEM))
	return r.put(s, telemetry.GPUSMClockMHz)(s.dev.GetClockInfo(nvml.CLOCK_SM))
}

func (r *reader) throttle(s *slot) nvml.Return {
	bits, ret := s.dev.GetCurrentClocksEventReasons()
	return r.set(s, telemetry.GPUThrottleBits, int64(bits), ret)
}

func (r *reader) throttleOld(s *slot) nvml.Return {
	bits, ret := s.dev.GetCurrentClocksThrottleReasons()
	return r.set(s, telemetry.GPUThrottleBits, int64(bits), ret)
}

func (r *reader) pcie(s *slot) nvml.Return {
	r.putInt(s, telemetry.GPUPCIeGen)(s.dev.GetCurrPcieLinkGeneration())
	return r.putInt(s, telemetry.GPUPCIeWidth)(s.dev.GetCurrPcieLinkWidth())
}
