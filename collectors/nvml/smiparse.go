package nvml

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// smiField is one column of `nvidia-smi --query-gpu`, by the name that every version since R450 takes. (`nvidia-smi --help-query-gpu`)
type smiField struct {
	name   string
	metric telemetry.Metric // of a number; 0 otherwise (telemetry's first metric is none of a GPU's)
	times  float64          // the number in nvidia-smi's unit, to the metric's
	text   func(*GPU, string)
}

const mebi = 1 << 20

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
	{"utilization.gpu", telemetry.GPUUtilPct, 1, nil},
	{"utilization.memory", telemetry.GPUMemUtilPct, 1, nil},
	{"memory.total", telemetry.GPUMemTotalBytes, mebi, nil},
	{"memory.used", telemetry.GPUMemUsedBytes, mebi, nil},
	{"temperature.gpu", telemetry.GPUTempC, 1, nil},
	{"temperature.memory", telemetry.GPUMemTempC, 1, nil},
	{"power.draw", telemetry.GPUPowerMW, 1000, nil},
	{"enforced.power.limit", telemetry.GPUPowerLimitMW, 1000, nil},
	{"clocks.sm", telemetry.GPUSMClockMHz, 1, nil},
	{"clocks.mem", telemetry.GPUMemClockMHz, 1, nil},
	{"clocks.max.sm", telemetry.GPUSMClockMaxMHz, 1, nil},
	{"clocks.max.mem", telemetry.GPUMemClockMaxMHz, 1, nil},
	{"clocks_throttle_reasons.active", telemetry.GPUThrottleBits, 1, nil},
	{"ecc.errors.corrected.volatile.total", telemetry.GPUECCVolatileCorrected, 1, nil},
	{"ecc.errors.uncorrected.volatile.total", telemetry.GPUECCVolatileUncorrected, 1, nil},
	{"ecc.errors.corrected.aggregate.total", telemetry.GPUECCAggregateCorrected, 1, nil},
	{"ecc.errors.uncorrected.aggregate.total", telemetry.GPUECCAggregateUncorrected, 1, nil},
	{"pcie.link.gen.current", telemetry.GPUPCIeGen, 1, nil},
	{"pcie.link.gen.max", telemetry.GPUPCIeGenMax, 1, nil},
	{"pcie.link.width.current", telemetry.GPUPCIeWidth, 1, nil},
	{"pcie.link.width.max", telemetry.GPUPCIeWidthMax, 1, nil},
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
	row := smiRow{index: -1, gpu: GPU{Minor: -1, NUMANode: -1}}
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
		default:
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

// parseSMIMessage reads nvidia-smi's complaints, which it writes to stdout.
func parseSMIMessage(line string) smiMessage {
	line = clean(strings.TrimSpace(line), maxText)
	m := smiMessage{words: words{health: Failing, text: "nvidia-smi: " + line}}
	if m.badField = badField(line); m.badField != "" {
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
	m.pci = shortPCI(pciIn(line))
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
