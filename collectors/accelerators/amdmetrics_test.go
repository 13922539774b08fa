package accelerators

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"foretop/telemetry"
)

// tables are the versions of gpu_metrics as the kernel declares them (struct gpu_metrics_v1_N, kgd_pp_interface.h), member by member: NAME:BITS, or
// NAME:BITS*COUNT. Offsets come of the rules of C alone: each member stands at a multiple of its own size.
var tables = map[int]string{
	1: tableOld,
	2: tableOld + " firmware_timestamp:64",
	3: tableOld + " firmware_timestamp:64 voltage_soc:16 voltage_gfx:16 voltage_mem:16 padding1:16 indep_throttle_status:64",
	4: tableHead + " vcn_activity:16*4 energy_accumulator:64 system_clock_counter:64 throttle_status:32 gfxclk_lock_status:32 " + tableLinks +
		" " + tableXGMI + " " + tableClocks + " padding:16",
	5: tableHead + " vcn_activity:16*4 jpeg_activity:16*32 energy_accumulator:64 system_clock_counter:64 throttle_status:32 gfxclk_lock_status:32 " + tableLinks +
		" " + tableNAKs + " " + tableXGMI + " " + tableClocks + " padding:16",
	6: tableHead + " energy_accumulator:64 system_clock_counter:64 " + tableResidency + " " + tableLinks + " " + tableNAKs + " " + tableXGMI + " " + tableClocks +
		" num_partition:16" + partitions("jpeg_busy:16*32 vcn_busy:16*4 gfx_busy_acc:64*8") + " pcie_lc_perf_other_end_recovery:32",
	7: tableHead + " mem_max_bandwidth:64 energy_accumulator:64 system_clock_counter:64 " + tableResidency + " " + tableLinks + " " + tableNAKs + " " + tableXGMI +
		" xgmi_link_status:16*8 padding:16 " + tableClocks + " num_partition:16" +
		partitions("jpeg_busy:16*32 vcn_busy:16*4 gfx_busy_acc:64*8 gfx_below_host_limit_acc:64*8") + " pcie_lc_perf_other_end_recovery:32",
	8: tableHead + " mem_max_bandwidth:64 energy_accumulator:64 system_clock_counter:64 " + tableResidency + " " + tableLinks + " " + tableNAKs + " " + tableXGMI +
		" xgmi_link_status:16*8 padding:16 " + tableClocks + " num_partition:16" +
		partitions("jpeg_busy:16*40 vcn_busy:16*4 gfx_busy_acc:64*8 below_ppt:64*8 below_thm:64*8 low_utilization:64*8 below_total:64*8") + " pcie_lc_perf_other_end_recovery:32",
}

const (
	tableOld = "temperature_edge:16 temperature_hotspot:16 temperature_mem:16 temperature_vrgfx:16 temperature_vrsoc:16 temperature_vrmem:16 " +
		"average_gfx_activity:16 average_umc_activity:16 average_mm_activity:16 average_socket_power:16 energy_accumulator:64 system_clock_counter:64 " +
		"average_clocks:16*7 current_gfxclk:16 current_socclk:16 current_uclk:16 current_vclk0:16 current_dclk0:16 current_vclk1:16 current_dclk1:16 " +
		"throttle_status:32 current_fan_speed:16 pcie_link_width:16 pcie_link_speed:16 padding:16 gfx_activity_acc:32 mem_activity_acc:32 temperature_hbm:16*4"
	tableHead  = "temperature_hotspot:16 temperature_mem:16 temperature_vrsoc:16 curr_socket_power:16 average_gfx_activity:16 average_umc_activity:16"
	tableLinks = "pcie_link_width:16 pcie_link_speed:16 xgmi_link_width:16 xgmi_link_speed:16 gfx_activity_acc:32 mem_activity_acc:32 pcie_bandwidth_acc:64 " +
		"pcie_bandwidth_inst:64 pcie_l0_to_recov_count_acc:64 pcie_replay_count_acc:64 pcie_replay_rover_count_acc:64"
	tableNAKs      = "pcie_nak_sent_count_acc:32 pcie_nak_rcvd_count_acc:32"
	tableXGMI      = "xgmi_read_data_acc:64*8 xgmi_write_data_acc:64*8"
	tableResidency = "accumulation_counter:32 prochot_residency_acc:32 ppt_residency_acc:32 socket_thm_residency_acc:32 vr_thm_residency_acc:32 " +
		"hbm_thm_residency_acc:32 gfxclk_lock_status:32"
	tableClocks = "firmware_timestamp:64 current_gfxclk:16*8 current_socclk:16*4 current_vclk0:16*4 current_dclk0:16*4 current_uclk:16"
)

// partitions are the eight xcp_stats; |8 aligns each, for it holds 64-bit members.
func partitions(rest string) string {
	var b strings.Builder
	for i := range 8 {
		fmt.Fprintf(&b, " |8 xcp%d.gfx_busy_inst:32*8 %s", i, strings.ReplaceAll(rest, ":", "_"+strconv.Itoa(i)+":"))
	}
	return b.String() + " |8"
}

// buildMetrics lays out a table: all ones where values has nothing.
func buildMetrics(content int, values map[string][]uint64) []byte {
	b := make([]byte, metricsHeader)
	align := func(n int) {
		for len(b)%n != 0 {
			b = append(b, 0)
		}
	}
	most := 4
	for _, member := range strings.Fields(tables[content]) {
		if n, ok := strings.CutPrefix(member, "|"); ok {
			size, _ := strconv.Atoi(n)
			align(size)
			continue
		}
		name, kind, _ := strings.Cut(member, ":")
		bits, times, _ := strings.Cut(kind, "*")
		size, _ := strconv.Atoi(bits)
		size /= 8
		count, _ := strconv.Atoi(times)
		align(size)
		most = max(most, size)
		for i := range max(count, 1) {
			v := ^uint64(0)
			if list := values[name]; i < len(list) {
				v = list[i]
			}
			b = append(b, binary.LittleEndian.AppendUint64(nil, v)[:size]...)
		}
	}
	align(most)
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	b[2], b[3] = 1, byte(content)
	return b
}

// every gives each member that is read a value of its own.
var every = map[string][]uint64{
	"temperature_edge": {41}, "temperature_hotspot": {42}, "temperature_mem": {43}, "temperature_vrsoc": {44}, "curr_socket_power": {45},
	"average_socket_power": {45}, "average_gfx_activity": {46}, "average_umc_activity": {47}, "energy_accumulator": {48 << 40},
	"accumulation_counter": {49}, "prochot_residency_acc": {50}, "ppt_residency_acc": {51}, "socket_thm_residency_acc": {52}, "vr_thm_residency_acc": {53},
	"hbm_thm_residency_acc": {54}, "pcie_link_width": {16}, "pcie_link_speed": {320}, "xgmi_link_width": {55}, "xgmi_link_speed": {32},
	"pcie_l0_to_recov_count_acc": {56}, "pcie_replay_count_acc": {57}, "pcie_replay_rover_count_acc": {58}, "pcie_nak_sent_count_acc": {59},
	"pcie_nak_rcvd_count_acc": {60}, "current_uclk": {61}, "num_partition": {2}, "current_gfxclk": {2100, 2000, 1900, 1800, 1700, 1600, 1500, 1400},
	"xgmi_read_data_acc": {70, 71, 72, 73, 74, 75, 76, 77}, "xgmi_write_data_acc": {80, 81, 82, 83, 84, 85, 86, 87},
	"xgmi_link_status": {1, 0, 1, 1, 1, 1, 1}, "xcp0.gfx_busy_inst": {90, 94}, "xcp1.gfx_busy_inst": {10, 20, 30}, "indep_throttle_status": {1<<34 | 1},
	"throttle_status": {0xffff}, "firmware_timestamp": {99}, "mem_max_bandwidth": {5300}, "gfx_activity_acc": {98}, "pcie_bandwidth_inst": {97},
}

// wanted is what each version has of them.
func wanted(content int) (m gpuMetrics) {
	for i := range m {
		m[i] = telemetry.Absent
	}
	m[contentRevision] = int64(content)
	set := func(from int, v map[metricsField]int64) {
		if content >= from {
			for f, v := range v {
				m[f] = v
			}
		}
	}
	set(1, map[metricsField]int64{temperatureHotspot: 42, temperatureMem: 43, temperatureVRSoC: 44, socketPower: 45, gfxActivity: 46, umcActivity: 47,
		energyAccumulator: 48 << 40, pcieLinkWidth: 16, pcieLinkSpeed: 320, currentUClk: 61, currentGfxClk: 2100})
	if content > 0 && content < 4 {
		m[temperatureEdge] = 41
	}
	if content == 3 {
		m[indepThrottleStatus] = 1<<34 | 1
	}
	set(4, map[metricsField]int64{xgmiLinkWidth: 55, xgmiLinkSpeed: 32, pcieL0ToRecovery: 56, pcieReplays: 57, pcieReplayRollovers: 58})
	set(5, map[metricsField]int64{pcieNAKsSent: 59, pcieNAKsReceived: 60})
	set(6, map[metricsField]int64{accumulationCounter: 49, prochotResidency: 50, pptResidency: 51, socketThermalResidency: 52, vrThermalResidency: 53,
		hbmThermalResidency: 54, numPartition: 2, partitionBusy: 92, partitionBusy + 1: 20})
	for i := range 8 {
		if content >= 4 {
			m[int(currentGfxClk)+i] = 2100 - int64(i)*100
			m[int(xgmiReadData)+i], m[int(xgmiWriteData)+i] = 70+int64(i), 80+int64(i)
		}
		if content >= 7 && i < 7 {
			m[int(xgmiLinkStatus)+i] = 1
		}
	}
	if content >= 7 {
		m[xgmiLinkStatus+1] = 0
	}
	return m
}

func TestGPUMetricsVersions(t *testing.T) {
	sizes := map[int]int{1: 96, 2: 104, 3: 120, 4: 288, 5: 360, 6: 1664, 7: 2208, 8: 3872} // sizeof, as compiled from the kernel's header
	for content := 1; content <= 8; content++ {
		t.Run(fmt.Sprintf("1.%d", content), func(t *testing.T) {
			b := buildMetrics(content, every)
			if len(b) != sizes[content] {
				t.Fatalf("the test's own table has %d bytes, the kernel's %d", len(b), sizes[content])
			}
			var m gpuMetrics
			if err := parseGPUMetrics(b, &m); err != nil {
				t.Fatal(err)
			}
			compareMetrics(t, &m, wanted(content))
			// What the driver left at all ones is absent, all of it.
			nothing := wanted(0)
			nothing[contentRevision] = int64(content)
			if err := parseGPUMetrics(buildMetrics(content, nil), &m); err != nil {
				t.Fatal(err)
			}
			compareMetrics(t, &m, nothing)
			for n := range len(b) {
				if err := parseGPUMetrics(b[:n], &m); !errors.Is(err, errMetricsShort) {
					t.Fatalf("%d of %d bytes: %v", n, len(b), err)
				}
			}
		})
	}
}

func compareMetrics(t *testing.T, got *gpuMetrics, want gpuMetrics) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("field %d is %d, want %d", i, got[i], want[i])
		}
	}
}

func TestGPUMetricsRefused(t *testing.T) {
	good := buildMetrics(7, every)
	change := func(at int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"1.0":                 change(3, 0),
		"1.10":                change(3, 10),
		"2.1, of a processor": change(2, 2),
		"3.0, of a processor": change(2, 3),
		"1.8 of 1.7's size":   change(3, 8),
		"a byte more":         append(change(0, good[0]+1), 0),
		"header of zeros":     make([]byte, 4096),
	} {
		var m gpuMetrics
		var unknown *metricsVersionError
		if err := parseGPUMetrics(b, &m); !errors.As(err, &unknown) {
			t.Errorf("%s: %v", name, err)
		}
		compareMetrics(t, &m, wanted(0).without(contentRevision))
	}
}

func (m gpuMetrics) without(f metricsField) gpuMetrics {
	m[f] = telemetry.Absent
	return m
}

// attribute is one of gpu_metrics 1.9.
type attribute struct {
	id, kind int
	values   []uint64
}

// buildAttributes lays out version 1.9 (smu_cmn.h, DECLARE_SMU_METRICS_CLASS): packed, no alignment anywhere.
func buildAttributes(list ...attribute) []byte {
	b := make([]byte, 8)
	for _, a := range list {
		b = binary.LittleEndian.AppendUint64(b, 2<<24|uint64(a.kind)<<20|uint64(a.id)<<10|uint64(len(a.values)))
		for _, v := range a.values {
			b = append(b, binary.LittleEndian.AppendUint64(nil, v)[:[]int{1, 1, 2, 2, 4, 4, 8, 8}[a.kind]]...)
		}
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	b[2], b[3] = 1, 9
	binary.LittleEndian.PutUint32(b[4:], uint32(len(list)))
	return b
}

func TestGPUMetricsAttributes(t *testing.T) {
	const u16, u32, u64 = 2, 4, 6
	all := []attribute{
		{0, u16, []uint64{42}}, {1, u16, []uint64{43}}, {3, u16, []uint64{45}}, {2, u16, []uint64{0xffff}}, {45, u64, []uint64{1, 2, 3, 4, 5, 6, 7, 8}},
		{7, u64, []uint64{48 << 40}}, {9, u64, []uint64{49}}, {11, u64, []uint64{51}}, {700, u16, []uint64{7}}, {15, u32, []uint64{3}},
		{29, u64, []uint64{70, 71, 72, 73, 74, 75, 76, 77}}, {31, u16, []uint64{1, 0, 0xffff}}, {33, u16, []uint64{2100, 2000}}, {37, u16, []uint64{61}},
	}
	want := wanted(0)
	want[contentRevision] = 9
	for f, v := range map[metricsField]int64{temperatureHotspot: 42, temperatureMem: 43, socketPower: 45, energyAccumulator: 48 << 40, accumulationCounter: 49,
		pptResidency: 51, xgmiLinkStatus: 1, xgmiLinkStatus + 1: 0, currentGfxClk: 2100, currentGfxClk + 1: 2000, currentUClk: 61} {
		want[f] = v
	}
	for i := range 8 {
		want[int(xgmiReadData)+i] = 70 + int64(i)
	}
	var m gpuMetrics
	b := buildAttributes(all...)
	if err := parseGPUMetrics(b, &m); err != nil {
		t.Fatal(err)
	}
	compareMetrics(t, &m, want)
	// Cut off anywhere, as a kernel does at the end of a page, it gives what is whole.
	for n := 8; n < len(b); n++ {
		if err := parseGPUMetrics(b[:n], &m); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		for i := range m {
			if m[i] != want[i] && m[i] != telemetry.Absent {
				t.Fatalf("%d bytes: field %d is %d", n, i, m[i])
			}
		}
	}
	// A type that nobody knows ends the reading: how far to go is not known.
	stranger := buildAttributes(attribute{0, u16, []uint64{42}}, attribute{1, u16, []uint64{43}})
	stranger[8+10+2] |= 9 << 4
	if err := parseGPUMetrics(stranger, &m); err != nil || m[temperatureHotspot] != 42 || m[temperatureMem] != telemetry.Absent {
		t.Errorf("%v, hot spot %d, memory %d", err, m[temperatureHotspot], m[temperatureMem])
	}
}

func TestResidencies(t *testing.T) {
	r := newResidencies()
	look := func(ms, turns int64, counts ...int64) {
		m := wanted(0)
		m[accumulationCounter] = turns
		for i, v := range counts {
			m[residencyFields[i]] = v
		}
		r.add(&m, ms)
	}
	var s sheet
	if r.put(&s); len(s) != 0 {
		t.Errorf("told before it was read: %v", s)
	}
	look(1000, 100, 0, 50, 0, 0, 7)
	if r.bits != telemetry.Absent {
		t.Errorf("bits %d of one reading", r.bits)
	}
	look(2000, 1100, 0, 550, 100, 0, 7) // half the time at the power limit, a tenth too hot
	if want := int64(throttlePowerCap | throttleSWThermal); r.bits != want {
		t.Errorf("bits %#x, want %#x", r.bits, want)
	}
	look(4000, 3100, 20, 550, 100, 200, 7)
	if want := int64(throttleHWSlowdown | throttleHWThermal | throttleSWThermal); r.bits != want {
		t.Errorf("bits %#x, want %#x", r.bits, want)
	}
	look(5000, 12, 0, 0, 0, 0, 0) // the firmware was loaded anew
	look(6000, 1012, 0, 1000, 0, 0, 0)
	look(7000, 2012, 0, 9_000_000, 0, 0, 0) // more than there were turns
	s = nil
	r.put(&s)
	want := sheet{{telemetry.GPUThrottlePowerMS, 0, 500 + 1000 + 1000}, {telemetry.GPUThrottleSWThermalMS, 0, 200}, {telemetry.GPUThrottleHWThermalMS, 0, 20}}
	if fmt.Sprint(s) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", s, want)
	}
	look(8000, telemetry.Absent)
	if r.bits != telemetry.Absent {
		t.Errorf("bits %#x without a reading", r.bits)
	}
}

func TestIndependentThrottlers(t *testing.T) {
	for bit, want := range map[int]int64{
		0: throttlePowerCap, 3: throttlePowerCap, 4: 0, 16: 0, 22: 0, 23: 0, 32: throttleSWThermal, 36: throttleSWThermal, 43: throttleSWThermal,
		44: throttleHWSlowdown | throttleHWThermal, 47: throttleHWSlowdown | throttleHWThermal, 48: 0, 56: 0, 57: 0,
	} {
		if got := throttleOfIndep(1 << bit); got != want {
			t.Errorf("bit %d is %#x, want %#x", bit, got, want)
		}
	}
	if throttleOfIndep(telemetry.Absent) != telemetry.Absent {
		t.Error("bits out of nothing")
	}
}
