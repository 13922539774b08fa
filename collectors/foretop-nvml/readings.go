//go:build linux && cgo

package main

import (
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/telemetry"
)

// reading is a question, or a few that belong together, to a GPU.
type reading func(*reader, *slot)

// Questions of each tick. No process lists, fans or PCIe throughput here: those block for milliseconds inside the driver.
var fastReadings = []reading{
	(*reader).readFastFields, (*reader).readUtilization, (*reader).readMemory, (*reader).readTemperature, (*reader).readClocks, (*reader).readReasons, (*reader).readActivity,
}

// Questions of each half minute.
var slowReadings = []reading{
	(*reader).readSlowFields, (*reader).readPCIe, (*reader).readSRAM, (*reader).readFabric, (*reader).readLinks, (*reader).readC2C, (*reader).readLimits, (*reader).readPartErrors,
}

// Questions that are only asked while somebody looks, each few rounds and each half minute.
var (
	linkReadings       = []reading{(*reader).readLinkTraffic}
	detailReadings     = []reading{(*reader).readEnergy, (*reader).readCodecs, (*reader).readMargin, (*reader).readPState}
	slowDetailReadings = []reading{(*reader).readBAR1, (*reader).readModes}
)

// read asks a GPU, in order. When it is lost its readings become absent and no more calls are made on it. With judge, the answers decide whether it
// is well.
func (r *reader) read(s *slot, list []reading, now time.Time, judge bool) {
	if s.dev == nil || now.Before(s.retry) {
		return
	}
	s.answers, s.wrong = 0, nvml.SUCCESS
	for _, ask := range list {
		ask(r, s)
		if r.broken != nvml.SUCCESS {
			return
		}
		if s.wrong == nvml.ERROR_GPU_IS_LOST {
			r.fail(s, s.wrong, now)
			return
		}
	}
	switch {
	case !judge:
	case s.answers == 0 && s.wrong != nvml.SUCCESS:
		r.fail(s, s.wrong, now)
	default:
		r.state.Set(telemetry.GPUStatus, s.index, telemetry.GPUOK)
		r.inv.GPUs[s.index].Note = ""
	}
}

// fail makes all readings of a GPU absent and says why.
func (r *reader) fail(s *slot, ret nvml.Return, now time.Time) {
	r.forget(s)
	status := int64(telemetry.GPUFailing)
	if ret == nvml.ERROR_GPU_IS_LOST {
		status = telemetry.GPULost
		s.dev = nil // until the library is initialised again
	}
	r.state.Set(telemetry.GPUStatus, s.index, status)
	r.inv.GPUs[s.index].Note = r.lib.ErrorString(ret)
	s.retry = now.Add(retryFailed)
}

// forget makes all readings of a GPU, its links and parts absent. They are read again when it is well.
func (r *reader) forget(s *slot) {
	r.state.ClearEntity(telemetry.ScopeGPU, s.index)
	for i := range s.links.count {
		r.state.ClearEntity(telemetry.ScopeGPULink, s.links.first+i)
	}
	for i := range s.parts {
		r.state.ClearEntity(telemetry.ScopeGPUPart, s.firstPart+i)
	}
	s.limited, s.slowDue = false, true
}

// put takes an answer as it comes: without one the reading is absent.
func (r *reader) put(s *slot, c call, m telemetry.Metric, v int64, ret nvml.Return) {
	if r.took(s, c, ret) {
		r.state.Set(m, s.index, v)
	} else {
		r.state.Clear(m, s.index)
	}
}

func (r *reader) readUtilization(s *slot) {
	if r.may(s, callUtilization) {
		u, ret := s.dev.GetUtilizationRates()
		r.put(s, callUtilization, telemetry.GPUUtilPct, int64(u.Gpu), ret)
		r.beside(s, telemetry.GPUMemUtilPct, int64(u.Memory), ret)
	}
}

// beside is a second reading from the same answer.
func (r *reader) beside(s *slot, m telemetry.Metric, v int64, ret nvml.Return) {
	if ret == nvml.SUCCESS {
		r.state.Set(m, s.index, v)
	} else {
		r.state.Clear(m, s.index)
	}
}

// readMemory: version 1 counts what the driver keeps for itself as used, and cannot tell how much that is.
func (r *reader) readMemory(s *slot) {
	if r.may(s, callMemory2) {
		m, ret := s.dev.GetMemoryInfo_v2()
		r.put(s, callMemory2, telemetry.GPUMemUsedBytes, int64(m.Used), ret)
		r.beside(s, telemetry.GPUMemReservedBytes, int64(m.Reserved), ret)
		r.beside(s, telemetry.GPUMemTotalBytes, int64(m.Total), ret)
	} else if r.may(s, callMemory1) {
		m, ret := s.dev.GetMemoryInfo()
		r.put(s, callMemory1, telemetry.GPUMemUsedBytes, int64(m.Used), ret)
		r.beside(s, telemetry.GPUMemTotalBytes, int64(m.Total), ret)
	}
}

// rests says that a reading is left out in this round: while nobody looks, those that keep the driver for long, and tell of a second what they tell
// of two, take turns.
func (r *reader) rests(s *slot, turn int) bool {
	return !r.detail && r.round > 0 && (r.round+s.index)%2 != turn
}

func (r *reader) readTemperature(s *slot) {
	if r.rests(s, 0) {
		return
	}
	if r.may(s, callTemperatureV) {
		t, ret := s.dev.GetTemperatureV().V1()
		r.put(s, callTemperatureV, telemetry.GPUTempC, int64(t.Temperature), ret)
	} else if r.may(s, callTemperature) {
		t, ret := s.dev.GetTemperature(nvml.TEMPERATURE_GPU)
		r.put(s, callTemperature, telemetry.GPUTempC, int64(t), ret)
	}
}

const memClockTurn = 5

func (r *reader) readClocks(s *slot) {
	if r.rests(s, 1) {
		return
	}
	if r.may(s, callClock) {
		v, ret := s.dev.GetClockInfo(nvml.CLOCK_SM)
		r.put(s, callClock, telemetry.GPUSMClockMHz, int64(v), ret)
	}
	unknown := r.state.Get(telemetry.GPUMemClockMHz, s.index) == telemetry.Absent
	if (unknown || r.round%memClockTurn == 0) && r.may(s, callClock) { // it changes with the performance state only
		v, ret := s.dev.GetClockInfo(nvml.CLOCK_MEM)
		r.beside(s, telemetry.GPUMemClockMHz, int64(v), ret)
	}
}

func (r *reader) readReasons(s *slot) {
	if r.rests(s, 0) {
		return
	}
	if r.may(s, callReasons) {
		bits, ret := s.dev.GetCurrentClocksEventReasons()
		r.put(s, callReasons, telemetry.GPUThrottleBits, int64(bits), ret)
	} else if r.may(s, callReasonsOld) {
		bits, ret := s.dev.GetCurrentClocksThrottleReasons()
		r.put(s, callReasonsOld, telemetry.GPUThrottleBits, int64(bits), ret)
	}
}

func (r *reader) readCodecs(s *slot) {
	if r.may(s, callEncoder) {
		v, _, ret := s.dev.GetEncoderUtilization()
		r.put(s, callEncoder, telemetry.GPUEncoderPct, int64(v), ret)
	}
	if r.may(s, callDecoder) {
		v, _, ret := s.dev.GetDecoderUtilization()
		r.put(s, callDecoder, telemetry.GPUDecoderPct, int64(v), ret)
	}
}

func (r *reader) readMargin(s *slot) {
	if r.may(s, callMargin) {
		t, ret := s.dev.GetMarginTemperature()
		r.put(s, callMargin, telemetry.GPUTempMarginC, int64(t.MarginTemperature), ret)
	}
}

func (r *reader) readPState(s *slot) {
	if r.may(s, callPState) {
		p, ret := s.dev.GetPerformanceState()
		if p == nvml.PSTATE_UNKNOWN && ret == nvml.SUCCESS {
			ret = nvml.ERROR_NO_DATA
		}
		r.beside(s, telemetry.GPUPState, int64(p), ret)
		r.took(s, callPState, ret)
	}
}

func (r *reader) readPCIe(s *slot) {
	if r.may(s, callPCIeGen) {
		v, ret := s.dev.GetCurrPcieLinkGeneration()
		r.put(s, callPCIeGen, telemetry.GPUPCIeGen, int64(v), ret)
	}
	if r.may(s, callPCIeWidth) {
		v, ret := s.dev.GetCurrPcieLinkWidth()
		r.put(s, callPCIeWidth, telemetry.GPUPCIeWidth, int64(v), ret)
	}
}

// readSRAM: errors since the board was made, and whether there were so many that it is to be replaced.
func (r *reader) readSRAM(s *slot) {
	if r.may(s, callSRAM) {
		e, ret := s.dev.GetSramEccErrorStatus()
		r.put(s, callSRAM, telemetry.GPUSRAMUncorrected, int64(e.AggregateUncParity+e.AggregateUncSecDed), ret)
		r.beside(s, telemetry.GPUSRAMThresholdExceeded, int64(e.BThresholdExceeded), ret)
	}
}

func (r *reader) readBAR1(s *slot) {
	if r.may(s, callBAR1) {
		b, ret := s.dev.GetBAR1MemoryInfo()
		r.put(s, callBAR1, telemetry.GPUBAR1UsedBytes, int64(b.Bar1Used), ret)
		r.beside(s, telemetry.GPUBAR1TotalBytes, int64(b.Bar1Total), ret)
	}
}

func (r *reader) readModes(s *slot) {
	if r.may(s, callPersistence) {
		v, ret := s.dev.GetPersistenceMode()
		r.put(s, callPersistence, telemetry.GPUPersistence, int64(v), ret)
	}
	if r.may(s, callComputeMode) {
		v, ret := s.dev.GetComputeMode()
		r.put(s, callComputeMode, telemetry.GPUComputeMode, int64(v), ret)
	}
}

// readLimits asks for what bounds the readings, which changes with the driver only: once, and again when the GPU was not well or somebody looks.
func (r *reader) readLimits(s *slot) {
	if s.limited {
		return
	}
	s.limited = true
	once := func(c call, m telemetry.Metric, ask func() (int64, nvml.Return)) {
		if (r.detail || !isDetail(m)) && r.mayOnce(c, s.index) {
			v, ret := ask()
			r.beside(s, m, v, ret)
		}
	}
	once(callMaxClock, telemetry.GPUSMClockMaxMHz, wide(func() (uint32, nvml.Return) { return s.dev.GetMaxClockInfo(nvml.CLOCK_SM) }))
	once(callMaxClock, telemetry.GPUMemClockMaxMHz, wide(func() (uint32, nvml.Return) { return s.dev.GetMaxClockInfo(nvml.CLOCK_MEM) }))
	for m, t := range map[telemetry.Metric]nvml.TemperatureThresholds{telemetry.GPUSlowdownTempC: nvml.TEMPERATURE_THRESHOLD_SLOWDOWN,
		telemetry.GPUShutdownTempC: nvml.TEMPERATURE_THRESHOLD_SHUTDOWN, telemetry.GPUMemMaxTempC: nvml.TEMPERATURE_THRESHOLD_MEM_MAX} {
		once(callThreshold, m, wide(func() (uint32, nvml.Return) { return s.dev.GetTemperatureThreshold(t) }))
	}
	once(callPCIeGenMax, telemetry.GPUPCIeGenMax, wide(s.dev.GetMaxPcieLinkGeneration))
	once(callPCIeWidthMax, telemetry.GPUPCIeWidthMax, wide(s.dev.GetMaxPcieLinkWidth))
}

func wide[T uint32 | int](ask func() (T, nvml.Return)) func() (int64, nvml.Return) {
	return func() (int64, nvml.Return) {
		v, ret := ask()
		return int64(v), ret
	}
}
