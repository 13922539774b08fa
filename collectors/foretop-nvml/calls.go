//go:build linux && cgo

package main

import (
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// call is a function of the driver's library that this program calls. go-nvml dies, beyond recovery, in a call of a function that the driver
// does not have, so each is looked up first: no call is made but after [reader.may], or [reader.mayOnce], said yes.
type call uint8

const (
	callInit call = iota
	callShutdown
	callDriverVersion
	callNVMLVersion
	callCUDAVersion
	callCount
	callHandle
	callName
	callUUID
	callSerial
	callVBIOS
	callMinor
	callPCI
	callCapability
	callBoardPart
	callInfoROM
	callFirmware
	callArchitecture
	callModule
	callPlatform
	callFields
	callUtilization
	callMemory2
	callMemory1
	callTemperatureV
	callTemperature
	callMargin
	callClock
	callMaxClock
	callThreshold
	callReasons
	callReasonsOld
	callEncoder
	callDecoder
	callPowerUsage
	callPowerLimit
	callBAR1
	callPersistence
	callComputeMode
	callECCMode
	callPState
	callSRAM
	callErrors
	callPCIeGen
	callPCIeWidth
	callPCIeGenMax
	callPCIeWidthMax
	callFabricV
	callFabric
	callLinkState
	callLinkVersion
	callLinkType
	callLinkPCI
	callMIGMode
	callMIGCount
	callMIGHandle
	callGPUInstance
	callComputeInstance
	callProcesses
	callGPMSupport
	callGPMAlloc
	callGPMFree
	callGPMSample
	callGPMMIGSample
	callGPMMetrics
	callEventSet
	callEventFree
	callEventTypes
	callRegister
	callWait // last: a wait is not a cost
	numCalls
)

// symbols are the functions' names, the newest version of each first: go-nvml takes the newest that is there.
var symbols = [numCalls]string{
	callInit:            "nvmlInit_v2 nvmlInit",
	callShutdown:        "nvmlShutdown",
	callDriverVersion:   "nvmlSystemGetDriverVersion",
	callNVMLVersion:     "nvmlSystemGetNVMLVersion",
	callCUDAVersion:     "nvmlSystemGetCudaDriverVersion", // go-nvml takes this one
	callCount:           "nvmlDeviceGetCount_v2 nvmlDeviceGetCount",
	callHandle:          "nvmlDeviceGetHandleByIndex_v2 nvmlDeviceGetHandleByIndex",
	callName:            "nvmlDeviceGetName",
	callUUID:            "nvmlDeviceGetUUID",
	callSerial:          "nvmlDeviceGetSerial",
	callVBIOS:           "nvmlDeviceGetVbiosVersion",
	callMinor:           "nvmlDeviceGetMinorNumber",
	callPCI:             "nvmlDeviceGetPciInfo_v3 nvmlDeviceGetPciInfo_v2 nvmlDeviceGetPciInfo",
	callCapability:      "nvmlDeviceGetCudaComputeCapability",
	callBoardPart:       "nvmlDeviceGetBoardPartNumber",
	callInfoROM:         "nvmlDeviceGetInforomImageVersion",
	callFirmware:        "nvmlDeviceGetGspFirmwareVersion",
	callArchitecture:    "nvmlDeviceGetArchitecture",
	callModule:          "nvmlDeviceGetModuleId",
	callPlatform:        "nvmlDeviceGetPlatformInfo",
	callFields:          "nvmlDeviceGetFieldValues",
	callUtilization:     "nvmlDeviceGetUtilizationRates",
	callMemory2:         "nvmlDeviceGetMemoryInfo_v2",
	callMemory1:         "nvmlDeviceGetMemoryInfo",
	callTemperatureV:    "nvmlDeviceGetTemperatureV",
	callTemperature:     "nvmlDeviceGetTemperature",
	callMargin:          "nvmlDeviceGetMarginTemperature",
	callClock:           "nvmlDeviceGetClockInfo",
	callMaxClock:        "nvmlDeviceGetMaxClockInfo",
	callThreshold:       "nvmlDeviceGetTemperatureThreshold",
	callReasons:         "nvmlDeviceGetCurrentClocksEventReasons",
	callReasonsOld:      "nvmlDeviceGetCurrentClocksThrottleReasons",
	callEncoder:         "nvmlDeviceGetEncoderUtilization",
	callDecoder:         "nvmlDeviceGetDecoderUtilization",
	callPowerUsage:      "nvmlDeviceGetPowerUsage",
	callPowerLimit:      "nvmlDeviceGetEnforcedPowerLimit",
	callBAR1:            "nvmlDeviceGetBAR1MemoryInfo",
	callPersistence:     "nvmlDeviceGetPersistenceMode",
	callComputeMode:     "nvmlDeviceGetComputeMode",
	callECCMode:         "nvmlDeviceGetEccMode",
	callPState:          "nvmlDeviceGetPerformanceState",
	callSRAM:            "nvmlDeviceGetSramEccErrorStatus",
	callErrors:          "nvmlDeviceGetMemoryErrorCounter",
	callPCIeGen:         "nvmlDeviceGetCurrPcieLinkGeneration",
	callPCIeWidth:       "nvmlDeviceGetCurrPcieLinkWidth",
	callPCIeGenMax:      "nvmlDeviceGetMaxPcieLinkGeneration",
	callPCIeWidthMax:    "nvmlDeviceGetMaxPcieLinkWidth",
	callFabricV:         "nvmlDeviceGetGpuFabricInfoV",
	callFabric:          "nvmlDeviceGetGpuFabricInfo",
	callLinkState:       "nvmlDeviceGetNvLinkState",
	callLinkVersion:     "nvmlDeviceGetNvLinkVersion",
	callLinkType:        "nvmlDeviceGetNvLinkRemoteDeviceType",
	callLinkPCI:         "nvmlDeviceGetNvLinkRemotePciInfo_v2 nvmlDeviceGetNvLinkRemotePciInfo",
	callMIGMode:         "nvmlDeviceGetMigMode",
	callMIGCount:        "nvmlDeviceGetMaxMigDeviceCount",
	callMIGHandle:       "nvmlDeviceGetMigDeviceHandleByIndex",
	callGPUInstance:     "nvmlDeviceGetGpuInstanceId",
	callComputeInstance: "nvmlDeviceGetComputeInstanceId",
	callProcesses:       "nvmlDeviceGetComputeRunningProcesses_v3 nvmlDeviceGetComputeRunningProcesses_v2 nvmlDeviceGetComputeRunningProcesses",
	callGPMSupport:      "nvmlGpmQueryDeviceSupport",
	callGPMAlloc:        "nvmlGpmSampleAlloc",
	callGPMFree:         "nvmlGpmSampleFree",
	callGPMSample:       "nvmlGpmSampleGet",
	callGPMMIGSample:    "nvmlGpmMigSampleGet",
	callGPMMetrics:      "nvmlGpmMetricsGet",
	callEventSet:        "nvmlEventSetCreate",
	callEventFree:       "nvmlEventSetFree",
	callEventTypes:      "nvmlDeviceGetSupportedEventTypes",
	callRegister:        "nvmlDeviceRegisterEvents",
	callWait:            "nvmlEventSetWait_v2 nvmlEventSetWait",
}

// String is the function's name, without its version where go-nvml chooses that.
func (c call) String() string { return symbols[c][strings.LastIndexByte(symbols[c], ' ')+1:] }

// callSet is a set of calls.
type callSet [(numCalls + 63) / 64]uint64

func (s *callSet) has(c call) bool { return s[c>>6]&(1<<(c&63)) != 0 }
func (s *callSet) add(c call)      { s[c>>6] |= 1 << (c & 63) }

// lookUp says which functions this driver has. It must be loaded.
func lookUp(lib nvml.Interface) (there callSet) {
	for c := range numCalls {
		for symbol := range strings.SplitSeq(symbols[c], " ") {
			if lib.Extensions().LookupSymbol(symbol) == nil {
				there.add(c)
				break
			}
		}
	}
	return there
}

// mayOnce says whether a function is there, for questions that are asked once, and notes that it is called now, on a GPU or (-1) on none.
func (r *reader) mayOnce(c call, gpu int) bool {
	if !r.there.has(c) {
		return false
	}
	r.watch.enter(c, gpu)
	return true
}

// may says whether a question may be asked: the driver has the function, and this GPU has not refused it. It notes that it is asked now.
func (r *reader) may(s *slot, c call) bool { return !s.refused.has(c) && r.mayOnce(c, s.index) }

// took notes what came of a question, and says whether there is an answer. What the GPU or the driver does not know is not asked again.
func (r *reader) took(s *slot, c call, ret nvml.Return) bool {
	switch ret {
	case nvml.SUCCESS:
		s.answers++
		return true
	case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_FUNCTION_NOT_FOUND, nvml.ERROR_ARGUMENT_VERSION_MISMATCH:
		s.refused.add(c)
	case nvml.ERROR_UNINITIALIZED, nvml.ERROR_DRIVER_NOT_LOADED, nvml.ERROR_LIB_RM_VERSION_MISMATCH:
		r.broken = ret
	case nvml.ERROR_GPU_IS_LOST:
		s.wrong = ret
	default:
		if s.wrong != nvml.ERROR_GPU_IS_LOST {
			s.wrong = ret
		}
	}
	return false
}
