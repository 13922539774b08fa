package accelerators

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"foretop/telemetry"
)

// metricsField names a value of the file gpu_metrics, whatever its version. Names are the kernel's (kgd_pp_interface.h), shortened.
type metricsField uint8

const (
	temperatureEdge        metricsField        = iota // °C, as are all temperatures
	temperatureHotspot                                // the hottest place of the socket
	temperatureMem                                    // the hottest stack
	temperatureVRSoC                                  // the hottest voltage regulator
	socketPower                                       // W
	gfxActivity                                       // %
	umcActivity                                       // %; from v1.4 on the share of the memory's bandwidth
	energyAccumulator                                 // 2⁻¹⁶ J
	indepThrottleStatus                               // bits that mean the same for all chips
	accumulationCounter                               // turns of the firmware's loop; each residency counts those that were spent held back
	prochotResidency                                  //
	pptResidency                                      // package power tracking: the power limit
	socketThermalResidency                            //
	vrThermalResidency                                //
	hbmThermalResidency                               //
	pcieLinkWidth                                     // lanes
	pcieLinkSpeed                                     // 0.1 GT/s
	xgmiLinkWidth                                     // bits
	xgmiLinkSpeed                                     // Gbit/s a bit
	pcieL0ToRecovery                                  //
	pcieReplays                                       //
	pcieReplayRollovers                               //
	pcieNAKsSent                                      //
	pcieNAKsReceived                                  //
	currentUClk                                       // MHz, of the memory
	numPartition                                      //
	contentRevision                                   // of the table itself: 9 for version 1.9
	currentGfxClk                                     // MHz, of up to 8 dies
	xgmiReadData           = currentGfxClk + 8        // KiB, of 8 links
	xgmiWriteData          = xgmiReadData + 8         //
	xgmiLinkStatus         = xgmiWriteData + 8        // one of the xgmiStates
	partitionBusy          = xgmiLinkStatus + 8
	numMetricsFields       = partitionBusy + 8
)

// Values of xgmiLinkStatus (amdgpu_xgmi_link_status); links that are not wired have none.
const (
	xgmiInactive = 0
	xgmiActive   = 1
)

// gpuMetrics is what is taken of gpu_metrics. What the driver left at all ones, and what the version does not have, is absent.
type gpuMetrics [numMetricsFields]int64

// metricsRow is where a field stands in one version: count values of size bytes each.
type metricsRow struct {
	field  metricsField
	offset uint16
	size   uint8
	count  uint8
}

// metricsLayout is one version of the table. Each has one size, and no version is another's beginning.
type metricsLayout struct {
	content   byte
	size      int
	rows      [][]metricsRow
	xcp, xcps int // where the partitions' own readings begin, and how long each is
}

// Versions 1.1 to 1.3: Vega, MI100 and MI200.
var metricsOld = []metricsRow{
	{temperatureEdge, 4, 2, 1}, {temperatureHotspot, 6, 2, 1}, {temperatureMem, 8, 2, 1}, {temperatureVRSoC, 12, 2, 1},
	{gfxActivity, 16, 2, 1}, {umcActivity, 18, 2, 1}, {socketPower, 22, 2, 1}, {energyAccumulator, 24, 8, 1},
	{currentGfxClk, 54, 2, 1}, {currentUClk, 58, 2, 1}, {pcieLinkWidth, 74, 2, 1}, {pcieLinkSpeed, 76, 2, 1},
}

// From 1.4 on, MI300: what they begin with.
var metricsHead = []metricsRow{
	{temperatureHotspot, 4, 2, 1}, {temperatureMem, 6, 2, 1}, {temperatureVRSoC, 8, 2, 1}, {socketPower, 10, 2, 1},
	{gfxActivity, 12, 2, 1}, {umcActivity, 14, 2, 1},
}

// metricsLink is the stretch from the links' width to the counters of the PCIe link, which begin where the next multiple of 8 is.
func metricsLink(at, counters uint16) []metricsRow {
	return []metricsRow{
		{pcieLinkWidth, at, 2, 1}, {pcieLinkSpeed, at + 2, 2, 1}, {xgmiLinkWidth, at + 4, 2, 1}, {xgmiLinkSpeed, at + 6, 2, 1},
		{pcieL0ToRecovery, counters, 8, 1}, {pcieReplays, counters + 8, 8, 1}, {pcieReplayRollovers, counters + 16, 8, 1},
	}
}

// metricsResidency is the stretch of the counters of throttling, from 1.6 on.
func metricsResidency(at uint16) []metricsRow {
	return []metricsRow{
		{accumulationCounter, at, 4, 1}, {prochotResidency, at + 4, 4, 1}, {pptResidency, at + 8, 4, 1}, {socketThermalResidency, at + 12, 4, 1},
		{vrThermalResidency, at + 16, 4, 1}, {hbmThermalResidency, at + 20, 4, 1},
	}
}

// metricsLayouts are the versions, from struct gpu_metrics_v1_N of include/kgd_pp_interface.h. Left out on purpose: 1.0, which is not aligned; 2 and 3, of
// processors with graphics. throttle_status of 1.4 and 1.5 is always 0 (the firmware does not tell), and that of 1.1 and 1.2 means something else for each chip.
// 1.9 has no layout: see [parseAttributes].
var metricsLayouts = [...]metricsLayout{
	{content: 1, size: 96, rows: [][]metricsRow{metricsOld}},
	{content: 2, size: 104, rows: [][]metricsRow{metricsOld}},
	{content: 3, size: 120, rows: [][]metricsRow{metricsOld, {{indepThrottleStatus, 112, 8, 1}}}},
	{content: 4, size: 288, rows: [][]metricsRow{metricsHead, metricsLink(48, 80), {
		{energyAccumulator, 24, 8, 1}, {xgmiReadData, 104, 8, 8}, {xgmiWriteData, 168, 8, 8}, {currentGfxClk, 240, 2, 8}, {currentUClk, 280, 2, 1},
	}}},
	{content: 5, size: 360, rows: [][]metricsRow{metricsHead, metricsLink(112, 144), {
		{energyAccumulator, 88, 8, 1}, {pcieNAKsSent, 168, 4, 1}, {pcieNAKsReceived, 172, 4, 1}, {xgmiReadData, 176, 8, 8}, {xgmiWriteData, 240, 8, 8},
		{currentGfxClk, 312, 2, 8}, {currentUClk, 352, 2, 1},
	}}},
	{content: 6, size: 1664, rows: [][]metricsRow{metricsHead, metricsResidency(32), metricsLink(60, 96), {
		{energyAccumulator, 16, 8, 1}, {pcieNAKsSent, 120, 4, 1}, {pcieNAKsReceived, 124, 4, 1}, {xgmiReadData, 128, 8, 8}, {xgmiWriteData, 192, 8, 8},
		{currentGfxClk, 264, 2, 8}, {currentUClk, 304, 2, 1}, {numPartition, 306, 2, 1},
	}}, xcp: 312, xcps: 168},
	{content: 7, size: 2208, rows: [][]metricsRow{metricsHead, metricsResidency(40), metricsLink(68, 104), metricsTail}, xcp: 344, xcps: 232},
	{content: 8, size: 3872, rows: [][]metricsRow{metricsHead, metricsResidency(40), metricsLink(68, 104), metricsTail}, xcp: 344, xcps: 440},
}

// metricsTail is what 1.7 and 1.8 have in common.
var metricsTail = []metricsRow{
	{energyAccumulator, 24, 8, 1}, {pcieNAKsSent, 128, 4, 1}, {pcieNAKsReceived, 132, 4, 1}, {xgmiReadData, 136, 8, 8}, {xgmiWriteData, 200, 8, 8},
	{xgmiLinkStatus, 264, 2, 8}, {currentGfxClk, 296, 2, 8}, {currentUClk, 336, 2, 1}, {numPartition, 338, 2, 1},
}

// metricsHeader is struct metrics_table_header: u16 structure_size, u8 format_revision, u8 content_revision.
const metricsHeader = 4

var errMetricsShort = errors.New("gpu_metrics is cut short")

// metricsVersionError says that a version of gpu_metrics is not read here; the card's plain files are.
type metricsVersionError struct {
	format, content byte
	size            int
}

func (e *metricsVersionError) Error() string {
	return fmt.Sprintf("version %d.%d of gpu_metrics (%d bytes) is not known here", e.format, e.content, e.size)
}

// parseGPUMetrics reads the file gpu_metrics, which is in the machine's own byte order: little endian, as amdgpu runs on nothing else here. The error is a
// [*metricsVersionError], or that the bytes are fewer than they claim.
func parseGPUMetrics(b []byte, m *gpuMetrics) error {
	for i := range m {
		m[i] = telemetry.Absent
	}
	if len(b) < metricsHeader {
		return errMetricsShort
	}
	size, format, content := int(binary.LittleEndian.Uint16(b)), b[2], b[3]
	if format == 1 && content == 9 {
		m[contentRevision] = int64(content)
		return parseAttributes(b, m)
	}
	for i := range metricsLayouts {
		l := &metricsLayouts[i]
		if format != 1 || content != l.content || size != l.size {
			continue
		}
		if len(b) < size {
			return errMetricsShort
		}
		m[contentRevision] = int64(content)
		l.read(b, m)
		return nil
	}
	return &metricsVersionError{format, content, size}
}

func (l *metricsLayout) read(b []byte, m *gpuMetrics) {
	for _, rows := range l.rows {
		for _, r := range rows {
			for i := range int(r.count) {
				m[int(r.field)+i] = littleEndian(b[int(r.offset)+i*int(r.size):], int(r.size))
			}
		}
	}
	if l.xcps == 0 {
		return
	}
	for p := range 8 {
		var busy [8]int64
		for i := range busy {
			busy[i] = littleEndian(b[l.xcp+p*l.xcps+i*4:], 4) // gfx_busy_inst, %
		}
		m[int(partitionBusy)+p] = mean(busy[:])
	}
}

// littleEndian is an unsigned value of 1, 2, 4 or 8 bytes. All ones means that there is none.
func littleEndian(b []byte, size int) int64 {
	var v uint64
	for i := size - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	if v > math.MaxInt64 || v == 1<<(8*size)-1 {
		return telemetry.Absent
	}
	return int64(v)
}

// mean is that of the values which are there.
func mean(values []int64) int64 {
	sum, n := int64(0), int64(0)
	for _, v := range values {
		if v != telemetry.Absent && v <= math.MaxUint32 {
			sum, n = sum+v, n+1
		}
	}
	if n == 0 {
		return telemetry.Absent
	}
	return sum / n
}
