//go:build linux && cgo

package main

import (
	"math"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/telemetry"
)

// gpm is a GPU's pair of GPM samples (Hopper and later): each tick takes one and compares it with the one of the tick before.
type gpm struct {
	samples [2]nvml.GpmSample
	at      time.Time // when samples[0] was taken; zero: not yet
}

var activityMetrics = []struct {
	id     nvml.GpmMetricId
	metric telemetry.Metric
}{
	{nvml.GPM_METRIC_SM_UTIL, telemetry.GPUSMActivityPermille},
	{nvml.GPM_METRIC_ANY_TENSOR_UTIL, telemetry.GPUTensorActivityPermille},
	{nvml.GPM_METRIC_DRAM_BW_UTIL, telemetry.GPUDRAMActivityPermille},
}

// activity slides the pair by one sample. The driver wants at least 100 ms between the two.
func (r *reader) activity(s *slot) nvml.Return {
	g := &s.gpm
	if g.samples[0] == nil {
		if ret := g.alloc(s.dev); ret != nvml.SUCCESS {
			return ret
		}
	}
	if ret := s.dev.GpmSampleGet(g.samples[1]); ret != nvml.SUCCESS {
		for _, m := range activityMetrics {
			r.state.Clear(m.metric, s.index)
		}
		g.at = time.Time{}
		return ret
	}
	before, now := g.at, time.Now()
	if !before.IsZero() && now.Sub(before) < minPace/2 {
		return nvml.SUCCESS
	}
	g.samples[0], g.samples[1], g.at = g.samples[1], g.samples[0], now
	if before.IsZero() {
		return nvml.SUCCESS
	}
	ask := nvml.GpmMetricsGetType{NumMetrics: uint32(len(activityMetrics)), Sample1: g.samples[1], Sample2: g.samples[0]}
	for i, m := range activityMetrics {
		ask.Metrics[i].MetricId = uint32(m.id)
	}
	ret := gpmMetricsGet(&ask)
	for i, m := range activityMetrics {
		v := ask.Metrics[i]
		if ret != nvml.SUCCESS || nvml.Return(v.NvmlReturn) != nvml.SUCCESS || math.IsNaN(v.Value) || v.Value < 0 || v.Value > 1000 {
			r.state.Clear(m.metric, s.index)
			continue
		}
		r.state.Set(m.metric, s.index, int64(v.Value*10+.5))
	}
	return ret
}

func (g *gpm) alloc(dev nvml.Device) nvml.Return {
	support, ret := dev.GpmQueryDeviceSupport()
	if ret != nvml.SUCCESS {
		return ret
	}
	if support.IsSupportedDevice == 0 {
		return nvml.ERROR_NOT_SUPPORTED
	}
	for i := range g.samples {
		if g.samples[i], ret = nvml.GpmSampleAlloc(); ret != nvml.SUCCESS {
			g.samples = [2]nvml.GpmSample{}
			return ret
		}
	}
	return nvml.SUCCESS
}

// free must come before nvmlShutdown.
func (g *gpm) free() {
	for _, s := range g.samples {
		if s != nil {
			s.Free()
		}
	}
	*g = gpm{}
}
