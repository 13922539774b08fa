//go:build linux && cgo

package main

import (
	"math"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/telemetry"
)

// gpm is a pair of GPM samples (Hopper and later) of a GPU or a GPU instance: each tick takes one and compares it with the one of the tick before.
type gpm struct {
	samples [2]nvml.GpmSample
	at      time.Time // when samples[0] was taken; zero: not yet
}

// activity is one of GPM's metrics: a share in percent, or a rate in MiB/s, times what its unit wants.
type activity struct {
	id     nvml.GpmMetricId
	metric telemetry.Metric
	times  float64
}

var gpuActivities = []activity{
	{nvml.GPM_METRIC_SM_UTIL, telemetry.GPUSMActivityPermille, 10},
	{nvml.GPM_METRIC_ANY_TENSOR_UTIL, telemetry.GPUTensorActivityPermille, 10},
	{nvml.GPM_METRIC_DRAM_BW_UTIL, telemetry.GPUDRAMActivityPermille, 10},
	{nvml.GPM_METRIC_SM_OCCUPANCY, telemetry.GPUSMOccupancyPermille, 10}, // from here on of level Detail
	{nvml.GPM_METRIC_FP64_UTIL, telemetry.GPUFP64ActivityPermille, 10},
	{nvml.GPM_METRIC_FP32_UTIL, telemetry.GPUFP32ActivityPermille, 10},
	{nvml.GPM_METRIC_FP16_UTIL, telemetry.GPUFP16ActivityPermille, 10},
	{nvml.GPM_METRIC_PCIE_TX_PER_SEC, telemetry.GPUPCIeTXBytesPerS, 1 << 20},
	{nvml.GPM_METRIC_PCIE_RX_PER_SEC, telemetry.GPUPCIeRXBytesPerS, 1 << 20},
	{nvml.GPM_METRIC_GRAPHICS_UTIL, telemetry.GPUGraphicsActivityPermille, 10},
}

const (
	baseActivities = 3
	// The last one alone keeps an H100's driver for 1.1 ms, all the others together for 0.02 ms.
	cheapActivities = 9
)

var partActivities = []activity{
	{nvml.GPM_METRIC_GRAPHICS_UTIL, telemetry.PartUtilPct, 1},
	{nvml.GPM_METRIC_SM_UTIL, telemetry.PartSMActivityPermille, 10},
	{nvml.GPM_METRIC_ANY_TENSOR_UTIL, telemetry.PartTensorActivityPermille, 10},
	{nvml.GPM_METRIC_DRAM_BW_UTIL, telemetry.PartDRAMActivityPermille, 10},
}

// mostMiBPerS is beyond any bus.
const mostMiBPerS = 1 << 22

// readActivity is not for a GPU in MIG mode: its instances have activities of their own.
func (r *reader) readActivity(s *slot) {
	if s.mig || r.rests(s, 1) || s.refused.has(callGPMSample) || !r.there.has(callGPMMetrics) || !r.there.has(callGPMSample) {
		return
	}
	list := gpuActivities
	switch {
	case !r.detail:
		list = list[:baseActivities]
	case (r.round-r.looked)%detailTurn != 1: // not in the first round, which may have no pair yet
		list = list[:cheapActivities]
	}
	if !r.support(s) {
		return
	}
	r.slide(s, &s.gpm, list, s.index, callGPMSample, func(to nvml.GpmSample) nvml.Return { return s.dev.GpmSampleGet(to) })
}

// support asks once whether the GPU has GPM.
func (r *reader) support(s *slot) bool {
	if s.hasGPM {
		return true
	}
	if !r.there.has(callGPMAlloc) || !r.there.has(callGPMFree) || !r.may(s, callGPMSupport) {
		return false
	}
	support, ret := s.dev.GpmQueryDeviceSupport()
	if ret == nvml.SUCCESS && support.IsSupportedDevice == 0 {
		ret = nvml.ERROR_NOT_SUPPORTED
	}
	s.hasGPM = r.took(s, callGPMSupport, ret)
	return s.hasGPM
}

// slide moves a pair by one sample, and tells what lies between the two. The driver wants at least 100 ms between them.
func (r *reader) slide(s *slot, g *gpm, list []activity, entity int, c call, sample func(nvml.GpmSample) nvml.Return) {
	if g.samples[0] == nil && !r.alloc(s, g) {
		return
	}
	if !r.may(s, c) {
		return
	}
	if !r.took(s, c, sample(g.samples[1])) {
		for _, a := range list {
			r.state.Clear(a.metric, entity)
		}
		g.at = time.Time{}
		return
	}
	before, now := g.at, time.Now()
	if !before.IsZero() && now.Sub(before) < minPace/2 {
		return
	}
	g.samples[0], g.samples[1], g.at = g.samples[1], g.samples[0], now
	if before.IsZero() {
		return
	}
	ask := &r.activities
	ask.NumMetrics, ask.Sample1, ask.Sample2 = uint32(len(list)), g.samples[1], g.samples[0]
	for i, a := range list {
		ask.Metrics[i] = nvml.GpmMetric{MetricId: uint32(a.id)}
	}
	if !r.may(s, callGPMMetrics) {
		return
	}
	ok := r.took(s, callGPMMetrics, gpmMetricsGet(ask))
	for i, a := range list {
		m, most := &ask.Metrics[i], 1000.0
		if a.times > 10 {
			most = mostMiBPerS
		}
		if !ok || nvml.Return(m.NvmlReturn) != nvml.SUCCESS || math.IsNaN(m.Value) || m.Value < 0 || m.Value > most {
			r.state.Clear(a.metric, entity)
			continue
		}
		r.state.Set(a.metric, entity, int64(m.Value*a.times+.5))
	}
}

func (r *reader) alloc(s *slot, g *gpm) bool {
	for i := range g.samples {
		if !r.may(s, callGPMAlloc) {
			return false
		}
		var ret nvml.Return
		if g.samples[i], ret = r.lib.GpmSampleAlloc(); !r.took(s, callGPMAlloc, ret) {
			g.samples[i] = nil
			r.free(g)
			return false
		}
	}
	return true
}

// free must come before nvmlShutdown.
func (r *reader) free(g *gpm) {
	for _, sample := range g.samples {
		if sample != nil && r.mayOnce(callGPMFree, -1) {
			sample.Free()
		}
	}
	*g = gpm{}
}
