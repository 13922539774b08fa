//go:build linux && cgo

package main

import (
	"encoding/binary"
	"math"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/telemetry"
)

// field is one entry of nvmlDeviceGetFieldValues, by which many readings cost one call. Fields whose metric is of level Detail are only
// asked for while somebody looks.
type field struct {
	id          uint32
	scope       uint32
	metric      telemetry.Metric
	times, over int64
	other       reading // asked when the driver does not know the field
}

const allLinks = math.MaxUint32

// Tables have at most 64 entries: what a GPU does not know is kept in one word.
var fastFields = []field{
	// The mean of the last second, as nvidia-smi's power.draw: at 1 Hz the value of a moment is chance (on an H100 in a job that goes in steps 130 and 607 W in turn).
	{nvml.FI_DEV_POWER_AVERAGE, 0, telemetry.GPUPowerMW, 1, 1, (*reader).readPower},
	{nvml.FI_DEV_POWER_AVERAGE, 0, telemetry.GPUPowerAvgMW, 1, 1, nil},
	{nvml.FI_DEV_POWER_CURRENT_LIMIT, 0, telemetry.GPUPowerLimitMW, 1, 1, (*reader).readPowerLimit},
	{nvml.FI_DEV_MEMORY_TEMP, 0, telemetry.GPUMemTempC, 1, 1, nil},
	{nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX, allLinks, telemetry.GPUNVLinkTXBytes, 1024, 1, nil},
	{nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_RX, allLinks, telemetry.GPUNVLinkRXBytes, 1024, 1, nil},
}

const (
	fastLinkTX = 4 // index of the bytes of all NVLinks
	nsToMS     = 1e6
)

// Energy alone keeps an H100's driver for 4 ms; all the others together for 0.03 ms.
var energyFields = []field{{nvml.FI_DEV_TOTAL_ENERGY_CONSUMPTION, 0, telemetry.GPUEnergyMJ, 1, 1, nil}}

var slowFields = []field{
	{nvml.FI_DEV_ECC_CURRENT, 0, telemetry.GPUECCMode, 1, 1, (*reader).readECCMode},
	{nvml.FI_DEV_ECC_SBE_VOL_TOTAL, 0, telemetry.GPUECCVolatileCorrected, 1, 1, nil},
	{nvml.FI_DEV_ECC_DBE_VOL_TOTAL, 0, telemetry.GPUECCVolatileUncorrected, 1, 1, nil},
	{nvml.FI_DEV_ECC_SBE_AGG_TOTAL, 0, telemetry.GPUECCAggregateCorrected, 1, 1, nil},
	{nvml.FI_DEV_ECC_DBE_AGG_TOTAL, 0, telemetry.GPUECCAggregateUncorrected, 1, 1, nil},
	{nvml.FI_DEV_RETIRED_SBE, 0, telemetry.GPURetiredPagesCorrected, 1, 1, nil},
	{nvml.FI_DEV_RETIRED_DBE, 0, telemetry.GPURetiredPagesUncorrected, 1, 1, nil},
	{nvml.FI_DEV_RETIRED_PENDING, 0, telemetry.GPURetiredPending, 1, 1, nil},
	{nvml.FI_DEV_REMAPPED_COR, 0, telemetry.GPURemappedCorrected, 1, 1, nil},
	{nvml.FI_DEV_REMAPPED_UNC, 0, telemetry.GPURemappedUncorrected, 1, 1, nil},
	{nvml.FI_DEV_REMAPPED_PENDING, 0, telemetry.GPURemapPending, 1, 1, nil},
	{nvml.FI_DEV_REMAPPED_FAILURE, 0, telemetry.GPURemapFailure, 1, 1, nil},
	{nvml.FI_DEV_GET_GPU_RECOVERY_ACTION, 0, telemetry.GPURecoveryAction, 1, 1, nil},
	{nvml.FI_DEV_C2C_LINK_COUNT, 0, telemetry.GPUC2CLinks, 1, 1, nil},
	{nvml.FI_DEV_POWER_DEFAULT_LIMIT, 0, telemetry.GPUPowerDefaultLimitMW, 1, 1, nil},
	{nvml.FI_DEV_POWER_MIN_LIMIT, 0, telemetry.GPUPowerMinLimitMW, 1, 1, nil},
	{nvml.FI_DEV_POWER_MAX_LIMIT, 0, telemetry.GPUPowerMaxLimitMW, 1, 1, nil},
	{nvml.FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT, 0, telemetry.GPUSlowdownTLimitC, 1, 1, nil},
	{nvml.FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT, 0, telemetry.GPUShutdownTLimitC, 1, 1, nil},
	{nvml.FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT, 0, telemetry.GPUMaxTLimitC, 1, 1, nil},
	{nvml.FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT, 0, telemetry.GPUMemMaxTLimitC, 1, 1, nil},
	{nvml.FI_DEV_PCIE_REPLAY_COUNTER, 0, telemetry.GPUPCIeReplays, 1, 1, nil},
	{nvml.FI_DEV_PCIE_REPLAY_ROLLOVER_COUNTER, 0, telemetry.GPUPCIeReplayRollovers, 1, 1, nil},
	{nvml.FI_DEV_PCIE_L0_TO_RECOVERY_COUNTER, 0, telemetry.GPUPCIeL0ToRecovery, 1, 1, nil},
	{nvml.FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS, 0, telemetry.GPUPCIeCorrectableErrors, 1, 1, nil},
	{nvml.FI_DEV_PCIE_COUNT_NON_FATAL_ERROR, 0, telemetry.GPUPCIeNonFatalErrors, 1, 1, nil},
	{nvml.FI_DEV_PCIE_COUNT_FATAL_ERROR, 0, telemetry.GPUPCIeFatalErrors, 1, 1, nil},
	{nvml.FI_DEV_PCIE_COUNT_NAKS_RECEIVED, 0, telemetry.GPUPCIeNAKsReceived, 1, 1, nil},
	{nvml.FI_DEV_PCIE_COUNT_NAKS_SENT, 0, telemetry.GPUPCIeNAKsSent, 1, 1, nil},
	{nvml.FI_DEV_PCIE_COUNT_BAD_TLP, 0, telemetry.GPUPCIeBadTLPs, 1, 1, nil},
	{nvml.FI_DEV_PCIE_COUNT_BAD_DLLP, 0, telemetry.GPUPCIeBadDLLPs, 1, 1, nil},
	{nvml.FI_DEV_PCIE_COUNT_LCRC_ERROR, 0, telemetry.GPUPCIeLCRCErrors, 1, 1, nil},
	{nvml.FI_DEV_PERF_POLICY_POWER, 0, telemetry.GPUThrottlePowerMS, 1, nsToMS, nil},
	{nvml.FI_DEV_PERF_POLICY_THERMAL, 0, telemetry.GPUThrottleThermalMS, 1, nsToMS, nil},
	{nvml.FI_DEV_PERF_POLICY_SYNC_BOOST, 0, telemetry.GPUThrottleSyncBoostMS, 1, nsToMS, nil},
	{nvml.FI_DEV_PERF_POLICY_BOARD_LIMIT, 0, telemetry.GPUThrottleBoardMS, 1, nsToMS, nil},
	{nvml.FI_DEV_PERF_POLICY_RELIABILITY, 0, telemetry.GPUThrottleReliabilityMS, 1, nsToMS, nil},
	{nvml.FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN, 0, telemetry.GPUThrottleSWThermalMS, 1, nsToMS, nil},
	{nvml.FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN, 0, telemetry.GPUThrottleHWThermalMS, 1, nsToMS, nil},
	{nvml.FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN, 0, telemetry.GPUThrottlePowerBrakeMS, 1, nsToMS, nil},
	// What older drivers count for all links together: read where they do not count link by link (links.go).
	{nvml.FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL, 0, telemetry.GPUNVLinkReplays, 1, 1, nil},
	{nvml.FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL, 0, telemetry.GPUNVLinkRecoveries, 1, 1, nil},
	{nvml.FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL, 0, telemetry.GPUNVLinkCRCErrors, 1, 1, nil},
}

// isDetail says whether a metric is only told while somebody looks.
func isDetail(m telemetry.Metric) bool {
	d, _ := telemetry.Lookup(m)
	return d.Level == telemetry.Detail
}

func (r *reader) readFastFields(s *slot) { r.readFields(s, fastFields, &s.noFast) }
func (r *reader) readEnergy(s *slot)     { r.readFields(s, energyFields, &s.noEnergy) }
func (r *reader) readSlowFields(s *slot) { r.readFields(s, slowFields, &s.noSlow) }

// readFields asks for all fields that this GPU has in one call. A field that the driver or the GPU does not know (its bit in unknown) is not asked for
// again, but replaced by its other question, where there is one.
func (r *reader) readFields(s *slot, table []field, unknown *uint64) {
	ask, which := r.fields[:0], r.which[:0]
	for i := range table {
		if *unknown&(1<<i) == 0 && (r.detail || !isDetail(table[i].metric)) {
			ask, which = append(ask, nvml.FieldValue{FieldId: table[i].id, ScopeId: table[i].scope}), append(which, i)
		}
	}
	r.fields, r.which = ask, which
	if len(ask) > 0 {
		ret := nvml.ERROR_NOT_SUPPORTED
		if r.may(s, callFields) {
			ret = s.dev.GetFieldValues(ask)
		}
		best := ret
		if ret == nvml.SUCCESS {
			best = r.takeFields(s, table, unknown)
		} else {
			for _, i := range which {
				r.state.Clear(table[i].metric, s.index)
			}
			if ret == nvml.ERROR_NOT_SUPPORTED || ret == nvml.ERROR_FUNCTION_NOT_FOUND {
				*unknown = math.MaxUint64
			}
		}
		if best != nvml.ERROR_NOT_SUPPORTED || ret != nvml.SUCCESS { // that none of them is known is no reason to ask for no other fields
			r.took(s, callFields, best)
		}
	}
	if r.broken != nvml.SUCCESS || s.wrong == nvml.ERROR_GPU_IS_LOST {
		return
	}
	for i := range table {
		if f := &table[i]; f.other != nil && *unknown&(1<<i) != 0 {
			f.other(r, s)
		}
	}
}

// takeFields takes over what stands in r.fields, and gives the best of their return codes.
func (r *reader) takeFields(s *slot, table []field, unknown *uint64) nvml.Return {
	best := nvml.ERROR_NOT_SUPPORTED
	for k, i := range r.which {
		f := &table[i]
		v, ret := number(&r.fields[k])
		switch ret {
		case nvml.SUCCESS:
			r.state.Set(f.metric, s.index, v*f.times/f.over)
			best = ret
			continue
		case nvml.ERROR_GPU_IS_LOST:
			return ret
		case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_INVALID_ARGUMENT:
			*unknown |= 1 << i
		default:
			if best != nvml.SUCCESS {
				best = ret
			}
		}
		r.state.Clear(f.metric, s.index)
	}
	return best
}

// number reads the union of a field's value by its type; the bytes that a narrow type leaves over are garbage. A type that is not known, or what is no
// number, is not supported.
func number(v *nvml.FieldValue) (int64, nvml.Return) {
	ret := nvml.Return(v.NvmlReturn)
	if ret != nvml.SUCCESS {
		return 0, ret
	}
	b := v.Value[:]
	switch nvml.ValueType(v.ValueType) {
	case nvml.VALUE_TYPE_UNSIGNED_INT:
		return int64(binary.NativeEndian.Uint32(b)), ret
	case nvml.VALUE_TYPE_UNSIGNED_LONG, nvml.VALUE_TYPE_UNSIGNED_LONG_LONG:
		if u := binary.NativeEndian.Uint64(b); u < math.MaxInt64/1024 { // more is what NVML says for "not available"
			return int64(u), ret
		}
		return 0, nvml.ERROR_NO_DATA
	case nvml.VALUE_TYPE_SIGNED_LONG_LONG:
		return int64(binary.NativeEndian.Uint64(b)), ret
	case nvml.VALUE_TYPE_SIGNED_INT:
		return int64(int32(binary.NativeEndian.Uint32(b))), ret
	case nvml.VALUE_TYPE_UNSIGNED_SHORT:
		return int64(binary.NativeEndian.Uint16(b)), ret
	case nvml.VALUE_TYPE_DOUBLE:
		if f := math.Float64frombits(binary.NativeEndian.Uint64(b)); !math.IsNaN(f) && math.Abs(f) < math.MaxInt64 {
			return int64(f), ret
		}
	}
	return 0, nvml.ERROR_NOT_SUPPORTED
}

func (r *reader) readPower(s *slot) {
	if r.may(s, callPowerUsage) {
		v, ret := s.dev.GetPowerUsage()
		r.put(s, callPowerUsage, telemetry.GPUPowerMW, int64(v), ret)
	}
}

func (r *reader) readPowerLimit(s *slot) {
	if r.may(s, callPowerLimit) {
		v, ret := s.dev.GetEnforcedPowerLimit()
		r.put(s, callPowerLimit, telemetry.GPUPowerLimitMW, int64(v), ret)
	}
}

func (r *reader) readECCMode(s *slot) {
	if r.may(s, callECCMode) {
		v, _, ret := s.dev.GetEccMode()
		r.put(s, callECCMode, telemetry.GPUECCMode, int64(v), ret)
	}
}

// readC2C counts the links to the CPU that are up (Grace).
func (r *reader) readC2C(s *slot) {
	n := r.state.Get(telemetry.GPUC2CLinks, s.index)
	if n <= 0 || n > 64 || !r.may(s, callFields) {
		r.state.Clear(telemetry.GPUC2CLinks, s.index) // 0: it is no Grace
		r.state.Clear(telemetry.GPUC2CLinksUp, s.index)
		return
	}
	r.fields = r.fields[:0]
	for link := range uint32(n) {
		r.fields = append(r.fields, nvml.FieldValue{FieldId: nvml.FI_DEV_C2C_LINK_GET_STATUS, ScopeId: link})
	}
	ret, up := s.dev.GetFieldValues(r.fields), int64(0)
	for i := range r.fields {
		if v, of := number(&r.fields[i]); of == nvml.SUCCESS {
			up += v
		} else if ret == nvml.SUCCESS {
			ret = of
		}
	}
	r.beside(s, telemetry.GPUC2CLinksUp, up, ret)
}
