//go:build linux && cgo

package main

import (
	"encoding/binary"
	"math"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/telemetry"
)

// field is one entry of nvmlDeviceGetFieldValues, by which many readings cost one call.
type field struct {
	id     uint32
	scope  uint32
	metric telemetry.Metric
	times  int64
	other  func(*reader, *slot) nvml.Return // asked when the driver does not know the field
}

const allLinks = math.MaxUint32

var fastFields = []field{
	{nvml.FI_DEV_POWER_INSTANT, 0, telemetry.GPUPowerMW, 1, (*reader).powerUsage},
	{nvml.FI_DEV_POWER_AVERAGE, 0, telemetry.GPUPowerAvgMW, 1, nil},
	{nvml.FI_DEV_POWER_CURRENT_LIMIT, 0, telemetry.GPUPowerLimitMW, 1, (*reader).powerLimit},
	{nvml.FI_DEV_TOTAL_ENERGY_CONSUMPTION, 0, telemetry.GPUEnergyMJ, 1, nil},
	{nvml.FI_DEV_MEMORY_TEMP, 0, telemetry.GPUMemTempC, 1, nil},
	{nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX, allLinks, telemetry.GPUNVLinkTXBytes, 1024, nil},
	{nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_RX, allLinks, telemetry.GPUNVLinkRXBytes, 1024, nil},
}

var slowFields = []field{
	{nvml.FI_DEV_ECC_SBE_VOL_TOTAL, 0, telemetry.GPUECCVolatileCorrected, 1, nil},
	{nvml.FI_DEV_ECC_DBE_VOL_TOTAL, 0, telemetry.GPUECCVolatileUncorrected, 1, nil},
	{nvml.FI_DEV_ECC_SBE_AGG_TOTAL, 0, telemetry.GPUECCAggregateCorrected, 1, nil},
	{nvml.FI_DEV_ECC_DBE_AGG_TOTAL, 0, telemetry.GPUECCAggregateUncorrected, 1, nil},
	{nvml.FI_DEV_REMAPPED_COR, 0, telemetry.GPURemappedCorrected, 1, nil},
	{nvml.FI_DEV_REMAPPED_UNC, 0, telemetry.GPURemappedUncorrected, 1, nil},
	{nvml.FI_DEV_REMAPPED_PENDING, 0, telemetry.GPURemapPending, 1, nil},
	{nvml.FI_DEV_REMAPPED_FAILURE, 0, telemetry.GPURemapFailure, 1, nil},
	{nvml.FI_DEV_PCIE_REPLAY_COUNTER, 0, telemetry.GPUPCIeReplays, 1, nil},
}

func fastFieldIDs() []nvml.FieldValue { return fieldIDs(fastFields) }
func slowFieldIDs() []nvml.FieldValue { return fieldIDs(slowFields) }

func fieldIDs(table []field) []nvml.FieldValue {
	out := make([]nvml.FieldValue, len(table))
	for i, f := range table {
		out[i] = nvml.FieldValue{FieldId: f.id, ScopeId: f.scope}
	}
	return out
}

func (r *reader) askFastFields(s *slot) nvml.Return { return r.askFields(s, fastFields, &s.fastFields) }
func (r *reader) askSlowFields(s *slot) nvml.Return { return r.askFields(s, slowFields, &s.slowFields) }

// askFields asks for all fields that this GPU has in one call. A field that the driver or the GPU does not know is not asked for again, but
// replaced by its other call, where there is one. The call succeeded when any field did.
func (r *reader) askFields(s *slot, table []field, ask *[]nvml.FieldValue) nvml.Return {
	lost, best := nvml.SUCCESS, nvml.ERROR_NOT_SUPPORTED
	if len(*ask) > 0 {
		ret := s.dev.GetFieldValues(*ask)
		if ret != nvml.SUCCESS {
			for _, f := range table {
				r.state.Clear(f.metric, s.index)
			}
			return ret
		}
		kept := (*ask)[:0]
		for _, v := range *ask {
			f := find(table, v.FieldId)
			n, ok := number(v)
			switch ret := nvml.Return(v.NvmlReturn); {
			case ret == nvml.SUCCESS && ok:
				r.state.Set(f.metric, s.index, n*f.times)
				best = nvml.SUCCESS
			case ret == nvml.ERROR_GPU_IS_LOST:
				lost = ret
			case ret == nvml.ERROR_NOT_SUPPORTED || ret == nvml.ERROR_INVALID_ARGUMENT || !ok && ret == nvml.SUCCESS:
				r.state.Clear(f.metric, s.index)
				continue
			default:
				r.state.Clear(f.metric, s.index)
				if best != nvml.SUCCESS {
					best = ret
				}
			}
			kept = append(kept, nvml.FieldValue{FieldId: v.FieldId, ScopeId: v.ScopeId})
		}
		*ask = kept
	}
	if lost != nvml.SUCCESS {
		return lost
	}
	for _, f := range table {
		if f.other != nil && !asked(*ask, f.id) {
			if ret := f.other(r, s); ret == nvml.SUCCESS || best != nvml.SUCCESS && ret != nvml.ERROR_NOT_SUPPORTED {
				best = ret
			}
		}
	}
	return best
}

func find(table []field, id uint32) field {
	for _, f := range table {
		if f.id == id {
			return f
		}
	}
	return field{}
}

func asked(ask []nvml.FieldValue, id uint32) bool {
	for _, v := range ask {
		if v.FieldId == id {
			return true
		}
	}
	return false
}

// number reads the union of a field's value by its type; the bytes that a narrow type leaves over are garbage.
func number(v nvml.FieldValue) (int64, bool) {
	b := v.Value[:]
	switch nvml.ValueType(v.ValueType) {
	case nvml.VALUE_TYPE_UNSIGNED_INT:
		return int64(binary.NativeEndian.Uint32(b)), true
	case nvml.VALUE_TYPE_UNSIGNED_LONG, nvml.VALUE_TYPE_UNSIGNED_LONG_LONG:
		return int64(min(binary.NativeEndian.Uint64(b), math.MaxInt64)), true
	case nvml.VALUE_TYPE_SIGNED_LONG_LONG:
		return int64(binary.NativeEndian.Uint64(b)), true
	case nvml.VALUE_TYPE_SIGNED_INT:
		return int64(int32(binary.NativeEndian.Uint32(b))), true
	case nvml.VALUE_TYPE_UNSIGNED_SHORT:
		return int64(binary.NativeEndian.Uint16(b)), true
	case nvml.VALUE_TYPE_DOUBLE:
		f := math.Float64frombits(binary.NativeEndian.Uint64(b))
		return int64(f), !math.IsNaN(f) && math.Abs(f) < math.MaxInt64
	}
	return 0, false
}

func (r *reader) powerUsage(s *slot) nvml.Return {
	return r.put(s, telemetry.GPUPowerMW)(s.dev.GetPowerUsage())
}

func (r *reader) powerLimit(s *slot) nvml.Return {
	return r.put(s, telemetry.GPUPowerLimitMW)(s.dev.GetEnforcedPowerLimit())
}
