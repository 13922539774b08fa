//go:build linux && cgo

package main

/*
// As nvml.h has them (nvmlGpmMetricsGet_t, version 1).
typedef struct {
	unsigned int metricId;
	int nvmlReturn;
	double value;
	const char *words[3];
} gpmMetric;
typedef struct {
	unsigned int version, numMetrics;
	void *sample1, *sample2;
	gpmMetric metrics[477];
} gpmMetricsGet;

extern int nvmlGpmMetricsGet(gpmMetricsGet *);

static gpmMetricsGet *gpmRoom(void) {
	static gpmMetricsGet room;
	return &room;
}
static int gpmCall(gpmMetricsGet *room, void *sample1, void *sample2, unsigned int n) {
	room->version = 1, room->numMetrics = n, room->sample1 = sample1, room->sample2 = sample2;
	return nvmlGpmMetricsGet(room);
}
*/
import "C"

import (
	"reflect"
	"unsafe"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// gpmMetricsGet is nvml's GpmMetricsGet without its price. That one copies room for 477 metrics, 19 KB, three times a call and has cgo search them for
// pointers: with eight GPUs it was two fifths of what this program cost. The driver must be known to have the function.
func gpmMetricsGet(ask *nvml.GpmMetricsGetType) nvml.Return {
	room := C.gpmRoom()
	n := min(int(ask.NumMetrics), len(room.metrics))
	for i := range n {
		room.metrics[i] = C.gpmMetric{metricId: C.uint(ask.Metrics[i].MetricId)}
	}
	ret := C.gpmCall(room, gpmHandle(ask.Sample1), gpmHandle(ask.Sample2), C.uint(n))
	for i := range n {
		m := &room.metrics[i]
		ask.Metrics[i].NvmlReturn, ask.Metrics[i].Value = uint32(m.nvmlReturn), float64(m.value)
	}
	return nvml.Return(ret)
}

// gpmHandle is the driver's own handle of a sample, which the interface hides.
func gpmHandle(s nvml.GpmSample) unsafe.Pointer {
	return reflect.ValueOf(s).FieldByName("Handle").UnsafePointer()
}
