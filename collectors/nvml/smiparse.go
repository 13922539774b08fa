package nvml

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// smiField is one column of `nvidia-smi --query-gpu`. (`nvidia-smi --help-query-gpu`)
type smiField struct {
	name   string
	metric telemetry.Metric // of a reading; 0 otherwise (telemetry's first metric is none of a GPU's)
	times  float64          // of a number: nvidia-smi's unit, to the metric's
	words  map[string]int64 // of a state: what it is called
	text   func(*GPU, string)
	group  int // fields of one group came with one version: one that does not know this field knows none of them; 0: every version since R450 knows it
}

const (
	mebi    = 1 << 20
	unnamed = "*" // in words: any other state
)

var (
	onOff    = map[string]int64{"Enabled": 1, "Disabled": 0}
	yesNo    = map[string]int64{"Yes": 1, "No": 0}
	modes    = map[string]int64{"Default": 0, "Exclusive_Thread": 1, "Prohibited": 2, "Exclusive_Process": 3}
	recovery = map[string]int64{"None": telemetry.RecoveryNone, "Reset": telemetry.RecoveryGPUReset, "GPU Reset": telemetry.RecoveryGPUReset,
		"Reboot": telemetry.RecoveryNodeReboot, "Node Reboot": telemetry.RecoveryNodeReboot, "Drain P2P": telemetry.RecoveryDrainP2P,
		"Drain and Reset": telemetry.RecoveryDrainAndReset, "Recover IMEX Domain": telemetry.RecoveryIMEX, "Bus Reset": telemetry.RecoveryBusReset,
		"System Reboot": telemetry.RecoverySystemReboot}
	// Some versions put the column's name before the state.
	fabricStates = map[string]int64{"Not Started": telemetry.FabricNotStarted, "In Progress": telemetry.FabricInProgress, "Completed": telemetry.FabricCompleted}
	fabricStatus = map[string]int64{"Success": 0, unnamed: 999} // NVML_ERROR_UNKNOWN: it has words where NVML has numbers
)

// smiFields are asked for in this order. The first two must stay.
var smiFields = []smiField{
	{name: "index"},
	{name: "uuid", text: func(g *GPU, s string) { g.UUID = s }},
	{name: "pci.bus_id", text: func(g *GPU, s string) { g.PCI = shortPCI(s) }},
	{name: "name", text: func(g *GPU, s string) { g.Name = s }},
	{name: "serial", text: func(g *GPU, s string) { g.Serial = s }},
	{name: "vbios_version", text: func(g *GPU, s string) { g.VBIOS = s }},
	{name: "driver_version"},
	{name: "mig.mode.current", text: func(g *GPU, s string) { g.MIG = s == "Enabled" }},
	{name: "inforom.img", text: func(g *GPU, s string) { g.InfoROM = s }},
	{name: "utilization.gpu", metric: telemetry.GPUUtilPct, times: 1},
	{name: "utilization.memory", metric: telemetry.GPUMemUtilPct, times: 1},
	{name: "memory.total", metric: telemetry.GPUMemTotalBytes, times: mebi},
	{name: "memory.used", metric: telemetry.GPUMemUsedBytes, times: mebi},
	{name: "temperature.gpu", metric: telemetry.GPUTempC, times: 1},
	{name: "temperature.memory", metric: telemetry.GPUMemTempC, times: 1},
	{name: "power.draw", metric: telemetry.GPUPowerMW, times: 1000},
	{name: "enforced.power.limit", metric: telemetry.GPUPowerLimitMW, times: 1000},
	{name: "power.default_limit", metric: telemetry.GPUPowerDefaultLimitMW, times: 1000},
	{name: "power.min_limit", metric: telemetry.GPUPowerMinLimitMW, times: 1000},
	{name: "power.max_limit", metric: telemetry.GPUPowerMaxLimitMW, times: 1000},
	{name: "clocks.sm", metric: telemetry.GPUSMClockMHz, times: 1},
	{name: "clocks.mem", metric: telemetry.GPUMemClockMHz, times: 1},
	{name: "clocks.max.sm", metric: telemetry.GPUSMClockMaxMHz, times: 1},
	{name: "clocks.max.mem", metric: telemetry.GPUMemClockMaxMHz, times: 1},
	{name: "clocks_throttle_reasons.active", metric: telemetry.GPUThrottleBits, times: 1},
	{name: "pstate", metric: telemetry.GPUPState, times: 1},
	{name: "persistence_mode", metric: telemetry.GPUPersistence, words: onOff},
	{name: "compute_mode", metric: telemetry.GPUComputeMode, words: modes},
	{name: "ecc.mode.current", metric: telemetry.GPUECCMode, words: onOff},
	{name: "ecc.errors.corrected.volatile.total", metric: telemetry.GPUECCVolatileCorrected, times: 1},
	{name: "ecc.errors.uncorrected.volatile.total", metric: telemetry.GPUECCVolatileUncorrected, times: 1},
	{name: "ecc.errors.corrected.aggregate.total", metric: telemetry.GPUECCAggregateCorrected, times: 1},
	{name: "ecc.errors.uncorrected.aggregate.total", metric: telemetry.GPUECCAggregateUncorrected, times: 1},
	{name: "retired_pages.single_bit_ecc.count", metric: telemetry.GPURetiredPagesCorrected, times: 1},
	{name: "retired_pages.double_bit.count", metric: telemetry.GPURetiredPagesUncorrected, times: 1},
	{name: "retired_pages.pending", metric: telemetry.GPURetiredPending, words: yesNo},
	{name: "pcie.link.gen.current", metric: telemetry.GPUPCIeGen, times: 1},
	{name: "pcie.link.gen.max", metric: telemetry.GPUPCIeGenMax, times: 1},
	{name: "pcie.link.width.current", metric: telemetry.GPUPCIeWidth, times: 1},
	{name: "pcie.link.width.max", metric: telemetry.GPUPCIeWidthMax, times: 1},
	{name: "memory.reserved", metric: telemetry.GPUMemReservedBytes, times: mebi, group: 1},
	{name: "compute_cap", text: func(g *GPU, s string) { g.ComputeCapability = s }, group: 1},
	{name: "fabric.state", metric: telemetry.GPUFabricState, words: fabricStates, group: 2},
	{name: "fabric.status", metric: telemetry.GPUFabricStatus, words: fabricStatus, group: 2},
	{name: "utilization.encoder", metric: telemetry.GPUEncoderPct, times: 1, group: 3},
	{name: "utilization.decoder", metric: telemetry.GPUDecoderPct, times: 1, group: 3},
	{name: "power.draw.average", metric: telemetry.GPUPowerAvgMW, times: 1000, group: 4},
	{name: "temperature.gpu.tlimit", metric: telemetry.GPUTempMarginC, times: 1, group: 5},
	{name: "remapped_rows.correctable", metric: telemetry.GPURemappedCorrected, times: 1, group: 6},
	{name: "remapped_rows.uncorrectable", metric: telemetry.GPURemappedUncorrected, times: 1, group: 6},
	{name: "remapped_rows.pending", metric: telemetry.GPURemapPending, words: yesNo, group: 6},
	{name: "remapped_rows.failure", metric: telemetry.GPURemapFailure, words: yesNo, group: 6},
	{name: "ecc.errors.uncorrected.aggregate.sram.thresholdExceeded", metric: telemetry.GPUSRAMThresholdExceeded, words: yesNo, group: 7},
	{name: "clocks_event_reasons_counters.sw_power_cap", metric: telemetry.GPUThrottlePowerMS, times: .001, group: 8},
	{name: "clocks_event_reasons_counters.sync_boost", metric: telemetry.GPUThrottleSyncBoostMS, times: .001, group: 8},
	{name: "clocks_event_reasons_counters.sw_thermal_slowdown", metric: telemetry.GPUThrottleSWThermalMS, times: .001, group: 8},
	{name: "clocks_event_reasons_counters.hw_thermal_slowdown", metric: telemetry.GPUThrottleHWThermalMS, times: .001, group: 8},
	{name: "clocks_event_reasons_counters.hw_power_brake_slowdown", metric: telemetry.GPUThrottlePowerBrakeMS, times: .001, group: 8},
	{name: "gpu_recovery_action", metric: telemetry.GPURecoveryAction, words: recovery, group: 9},
	{name: "fabric.cliqueId", text: func(g *GPU, s string) { g.FabricClique = small(s) }, group: 10},
	{name: "fabric.clusterUuid", text: func(g *GPU, s string) {
		if strings.Trim(s, "0-") != "" {
			g.FabricCluster = s
		}
	}, group: 10},
	{name: "platform.chassis_serial_number", text: func(g *GPU, s string) { g.Chassis = s }, group: 11},
	{name: "platform.slot_number", text: func(g *GPU, s string) { g.Slot = small(s) }, group: 11},
	{name: "platform.tray_index", text: func(g *GPU, s string) { g.Tray = small(s) }, group: 11},
	{name: "platform.module_id", text: func(g *GPU, s string) { g.ModuleID = int(small(s)) }, group: 11}, // one that is none comes bracketed
}

// small is a number of an inventory; what is none is 0.
func small(s string) uint32 {
	v, _ := strconv.ParseUint(s, 10, 16)
	return uint32(v)
}

// smiReading is one number of a row.
type smiReading struct {
	metric telemetry.Metric
	value  int64
}

// smiRow is one line of the stream: one GPU. What nvidia-smi brackets ("[N/A]", "[Not Supported]") is absent.
type smiRow struct {
	index    int
	gpu      GPU
	driver   string
	readings []smiReading
	status   int64  // telemetry.GPUOK, …
	note     string // why not OK, in nvidia-smi's words
}

var errSMIRow = errors.New("not a row of nvidia-smi")

// parseSMIRow reads a line of `--format=csv,noheader,nounits` for the fields asked.
func parseSMIRow(fields []smiField, line string) (smiRow, error) {
	cells := strings.Split(line, ",")
	if len(cells) != len(fields) {
		return smiRow{}, fmt.Errorf("parse %d cells for %d fields: %w", len(cells), len(fields), errSMIRow)
	}
	row := smiRow{index: -1, gpu: GPU{Minor: -1, NUMANode: -1, ModuleID: -1}}
	unknown := ""
	for i, f := range fields {
		cell := clean(strings.TrimSpace(cells[i]), maxWord)
		if word, absent := absentWord(cell); absent {
			switch lower := strings.ToLower(word); {
			case strings.Contains(lower, "lost"):
				row.status, row.note = telemetry.GPULost, word
			case strings.Contains(lower, "reset") && row.status == telemetry.GPUOK:
				row.status, row.note = telemetry.GPUFailing, word
			case strings.Contains(lower, "unknown error"):
				unknown = word
			}
			continue
		}
		switch {
		case f.name == "index":
			n, err := strconv.Atoi(cell)
			if err != nil || n < 0 || n >= 1024 {
				return smiRow{}, fmt.Errorf("parse index %q: %w", cell, errSMIRow)
			}
			row.index = n
		case f.name == "driver_version":
			row.driver = cell
		case f.text != nil:
			f.text(&row.gpu, cell)
		case f.words != nil:
			if v, ok := smiState(f, cell); ok {
				row.readings = append(row.readings, smiReading{f.metric, v})
			}
		default:
			if f.metric == telemetry.GPUPState {
				cell = strings.TrimPrefix(cell, "P")
			}
			if v, ok := smiNumber(cell, f.times); ok {
				row.readings = append(row.readings, smiReading{f.metric, v})
			}
		}
	}
	if unknown != "" && len(row.readings) == 0 && row.status == telemetry.GPUOK {
		row.status, row.note = telemetry.GPUFailing, unknown
	}
	if row.status == telemetry.GPULost {
		row.readings = nil // what is cached is not what the GPU says
	}
	if row.index < 0 || row.gpu.UUID == "" && row.status == telemetry.GPUOK {
		return smiRow{}, fmt.Errorf("parse a row without index and uuid: %w", errSMIRow)
	}
	for _, r := range row.readings {
		if r.metric == telemetry.GPUMemTotalBytes {
			row.gpu.MemoryBytes = uint64(r.value)
		}
	}
	if row.gpu.Chassis == "" {
		row.gpu.Slot, row.gpu.Tray = 0, 0 // of no rack
	}
	return row, nil
}

// absentWord is the reason that stands in the place of a value.
func absentWord(cell string) (string, bool) {
	if s, ok := strings.CutPrefix(cell, "["); ok {
		return strings.TrimSuffix(s, "]"), true
	}
	switch cell {
	case "", "N/A", "ERR!", "Not Supported", "Unknown Error", "GPU is lost":
		return cell, true
	}
	return "", false
}

// smiState reads a word. Some versions say the column's last name before it: "state  Completed".
func smiState(f smiField, cell string) (int64, bool) {
	cell = strings.TrimSpace(strings.TrimPrefix(cell, f.name[strings.LastIndexByte(f.name, '.')+1:]+" "))
	v, ok := f.words[cell]
	if !ok {
		v, ok = f.words[unnamed]
	}
	return v, ok
}

func smiNumber(cell string, times float64) (int64, bool) {
	if hex, ok := strings.CutPrefix(cell, "0x"); ok {
		v, err := strconv.ParseUint(hex, 16, 63)
		return int64(v), err == nil
	}
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil || math.IsNaN(v) || v < -1e6 || v*times > math.MaxInt64/2 {
		return 0, false
	}
	return int64(math.Round(v * times)), true
}

// smiMessage is what a line that is no row means.
type smiMessage struct {
	words    words
	badField string // a field that this version does not know
	pci      string // the GPU that it is about
}

var (
	badField = regexp.MustCompile(`Field "([^"]{1,64})" is not a valid field`)
	pciIn    = regexp.MustCompile(`\b[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]\b`)
)

// parseSMIMessage reads nvidia-smi's complaints, which it writes to stdout.
func parseSMIMessage(line string) smiMessage {
	line = clean(strings.TrimSpace(line), maxText)
	m := smiMessage{words: words{health: Failing, text: "nvidia-smi: " + line}}
	if f := badField.FindStringSubmatch(line); f != nil {
		m.badField = f[1]
		return m
	}
	lower := strings.ToLower(line)
	switch {
	case strings.Contains(lower, "insufficient permissions"):
		m.words = words{Denied, "the NVIDIA driver refuses this user", "this user needs read and write access to /dev/nvidiactl and /dev/nvidia*"}
	case strings.Contains(lower, "version mismatch"):
		m.words = words{Failing, "driver and library have different versions", "reload the nvidia kernel modules or reboot the node: the driver was updated under it"}
	case strings.Contains(lower, "couldn't communicate with the nvidia driver"), strings.Contains(lower, "driver not loaded"):
		m.words = words{Failing, "the NVIDIA kernel driver is not loaded", "modprobe nvidia on the node; the kernel log says why it does not load"}
	case strings.Contains(lower, "no devices were found"):
		m.words = words{Unsupported, "the NVIDIA driver runs, but there is no GPU", ""}
	}
	if p := pciIn.FindString(line); p != "" {
		m.pci = shortPCI(p)
	}
	return m
}

// shortPCI turns 00000000:3B:00.0 into 0000:3b:00.0.
func shortPCI(s string) string {
	s = strings.ToLower(s)
	if domain, _, ok := strings.Cut(s, ":"); ok && len(domain) == 8 && strings.HasPrefix(domain, "0000") {
		return s[4:]
	}
	return s
}

// parseSMIApps reads `--query-compute-apps=gpu_uuid,pid,used_memory`. Lines that say something else are left out.
func parseSMIApps(out string, gpus []GPU) []Process {
	var list []Process
	for line := range strings.Lines(out) {
		cells := strings.Split(line, ",")
		if len(cells) != 3 || len(list) == pipe.MaxProcesses {
			continue
		}
		pid, err := strconv.ParseInt(strings.TrimSpace(cells[1]), 10, 32)
		if err != nil || pid <= 0 {
			continue
		}
		uuid := strings.TrimSpace(cells[0])
		for i, g := range gpus {
			if g.UUID != uuid {
				continue
			}
			p := Process{PID: int(pid), GPU: i, GPUInstance: -1}
			if v, ok := smiNumber(strings.TrimSpace(cells[2]), mebi); ok && v >= 0 {
				p.MemoryBytes, p.MemoryKnown = uint64(v), true
			}
			list = append(list, p)
		}
	}
	return list
}
