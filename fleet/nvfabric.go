package fleet

import (
	"strconv"

	"foretop/telemetry"
)

// FabricReady says whether a GPU may talk over NVSwitches: known is false where that is not its way, or not told.
func (s *GPUSlow) FabricReady() (ready, known bool) {
	switch s.FabricState {
	case telemetry.FabricNotStarted, telemetry.FabricInProgress:
		return false, true
	case telemetry.FabricCompleted:
		return s.FabricStatus <= 0, true
	}
	return false, false
}

// FabricWords say how far a GPU's joining of the fabric went: "registered", "registering", "not registered: timeout". "" where that is not told.
func (s *GPUSlow) FabricWords() string {
	switch s.FabricState {
	case telemetry.FabricUnsupported:
		return "none here"
	case telemetry.FabricNotStarted:
		return "registering not started"
	case telemetry.FabricInProgress:
		return "registering"
	case telemetry.FabricCompleted:
		if s.FabricStatus > 0 {
			return "not registered: " + NVMLWords(s.FabricStatus)
		}
		return "registered"
	}
	return ""
}

// FabricHealth is one thing that the fabric's health mask tells.
type FabricHealth struct {
	What string // it is about: "bandwidth"
	Says string // "full", "degraded", …; "not told" where the GPU does not support it
	Bad  bool
}

// healthFields are the fields of NVML's healthMask (nvml.h, NVML_GPU_FABRIC_HEALTH_MASK_*). A field's value is compared, never tested for a bit: 0 says
// that it is not supported.
var healthFields = [...]struct {
	what        string
	shift, mask uint
	says        []string // by value
	bad         uint64   // a bit a value
}{
	{"bandwidth", 0, 3, []string{"", "degraded", "full"}, 1 << 1},
	{"route recovery", 2, 3, []string{"", "under way", "no"}, 1 << 1},
	{"route", 4, 3, []string{"", "unhealthy", "healthy"}, 1 << 1},
	{"access timeout recovery", 6, 3, []string{"", "under way", "no"}, 1 << 1},
	{"configuration", 8, 15, []string{"", "correct", "wrong system GUID", "wrong chassis serial", "no partition", "too few NVLinks", "incompatible GPU firmware", "invalid location", "GPU state invalid"},
		1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8},
	{"partition", 12, 3, []string{"", "assigned", "none assigned"}, 0},
	{"fabric manager", 14, 3, []string{"", "connected", "disconnected"}, 1 << 2},
}

// FabricSound says that the health mask, where it is told, tells nothing bad.
func (s *GPUSlow) FabricSound() bool {
	for i := range healthFields {
		if f := &healthFields[i]; s.FabricHealthBits > 0 && f.bad>>(uint(s.FabricHealthBits>>f.shift)&f.mask)&1 == 1 {
			return false
		}
	}
	return true
}

// FabricHealth decodes the health mask; nil where it is not told. A field that the GPU does not support is left out.
func (s *GPUSlow) FabricHealth() []FabricHealth {
	if s.FabricHealthBits < 0 {
		return nil
	}
	var out []FabricHealth
	for _, f := range healthFields {
		v := uint(s.FabricHealthBits>>f.shift) & f.mask
		if v == 0 {
			continue
		}
		h := FabricHealth{What: f.what, Bad: f.bad>>v&1 == 1, Says: "value " + strconv.Itoa(int(v))}
		if int(v) < len(f.says) {
			h.Says = f.says[v]
		}
		out = append(out, h)
	}
	return out
}

// nvmlWords are NVML's return codes that say why something could not be done (nvml.h, nvmlReturn_t).
var nvmlWords = map[int64]string{
	2: "invalid argument", 3: "not supported", 4: "no permission", 6: "not found", 8: "too little power", 9: "driver not loaded", 10: "timeout",
	11: "interrupt trouble", 14: "corrupted inforom", 15: "GPU lost", 16: "reset required", 17: "the system refuses", 18: "driver and library differ", 19: "in use",
	20: "out of memory", 21: "no data", 23: "too few resources", 25: "version mismatch", 27: "not ready", 28: "no such GPU", 29: "invalid state", 999: "unknown error",
}

// NVMLWords are a return code of NVML in words.
func NVMLWords(code int64) string {
	if w := nvmlWords[code]; w != "" {
		return w
	}
	return "error " + strconv.FormatInt(code, 10)
}
