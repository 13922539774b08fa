package nvml

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"foretop/telemetry"
)

const smiFixtures = "../../testdata/nvml/smi"

// smiFile is a fixture: its first line names the fields that this version of nvidia-smi knows, the others are what it printed for them.
func smiFile(t testing.TB, name string) (fields []smiField, lines []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(smiFixtures, name))
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.Split(strings.TrimSpace(string(b)), "\n")
	for _, n := range strings.Split(lines[0], ",") {
		i := slices.IndexFunc(smiFields, func(f smiField) bool { return f.name == n })
		if i < 0 {
			t.Fatalf("%s: a column %q that is not asked for", name, n)
		}
		fields = append(fields, smiFields[i])
	}
	return fields, lines[1:]
}

// numbers names the readings of a row.
func numbers(row smiRow) map[string]int64 {
	out := map[string]int64{}
	for _, r := range row.readings {
		d, _ := telemetry.Lookup(r.metric)
		out[d.Name] = r.value
	}
	return out
}

func TestParseSMIRow(t *testing.T) {
	for _, c := range []struct {
		file     string
		line     int
		gpu      GPU
		driver   string
		status   int64
		note     string
		readings map[string]int64
	}{
		{"h100.csv", 0, GPU{UUID: "GPU-f0e70b00-0000-4a5e-8d21-0000005eed00", Name: "NVIDIA H100 80GB HBM3", PCI: "0000:19:00.0", Minor: -1,
			Serial: "1653423011000", VBIOS: "96.00.74.00.0D", ComputeCapability: "9.0", InfoROM: "G520.0200.00.05", ModuleID: -1, NUMANode: -1, MemoryBytes: 81559 * mebi}, "550.90.07", telemetry.GPUOK, "",
			map[string]int64{"gpu_util_pct": 97, "gpu_mem_util_pct": 45, "gpu_mem_total_bytes": 81559 * mebi, "gpu_mem_used_bytes": 71203 * mebi,
				"gpu_temp_c": 58, "gpu_mem_temp_c": 66, "gpu_power_mw": 643210, "gpu_power_limit_mw": 700000, "gpu_sm_clock_mhz": 1755,
				"gpu_mem_clock_mhz": 2619, "gpu_sm_clock_max_mhz": 1980, "gpu_mem_clock_max_mhz": 2619, "gpu_throttle_bits": 4,
				"gpu_ecc_volatile_corrected": 0, "gpu_ecc_volatile_uncorrected": 0, "gpu_ecc_aggregate_corrected": 2, "gpu_ecc_aggregate_uncorrected": 0,
				"gpu_pcie_gen": 5, "gpu_pcie_gen_max": 5, "gpu_pcie_width": 16, "gpu_pcie_width_max": 16, "gpu_pstate": 0, "gpu_persistence": 1, "gpu_compute_mode": 0, "gpu_ecc_mode": 1, "gpu_power_default_limit_mw": 700000, "gpu_power_min_limit_mw": 200000,
				"gpu_power_max_limit_mw": 700000, "gpu_mem_reserved_bytes": 551 * mebi, "gpu_fabric_state": 3, "gpu_fabric_status": 0, "gpu_encoder_pct": 0, "gpu_decoder_pct": 4,
				"gpu_power_avg_mw": 640110, "gpu_temp_margin_c": 26}},
		{"h100.csv", 2, GPU{UUID: "GPU-f0e70b00-0002-4a5e-8d21-0000005eed02", Name: "NVIDIA H100 80GB HBM3", PCI: "0000:4c:00.0", Minor: -1,
			Serial: "1653423011002", VBIOS: "96.00.74.00.0D", ComputeCapability: "9.0", InfoROM: "G520.0200.00.05", ModuleID: -1, NUMANode: -1}, "550.90.07", telemetry.GPULost, "GPU is lost", map[string]int64{}},
		{"h100.csv", 3, GPU{UUID: "GPU-f0e70b00-0003-4a5e-8d21-0000005eed03", Name: "NVIDIA H100 80GB HBM3", PCI: "0000:5d:00.0", Minor: -1,
			Serial: "1653423011003", VBIOS: "96.00.74.00.0D", ComputeCapability: "9.0", InfoROM: "G520.0200.00.05", ModuleID: -1, NUMANode: -1}, "550.90.07", telemetry.GPUFailing, "Unknown Error", map[string]int64{}},
		{"a100.csv", 0, GPU{UUID: "GPU-5a1c0d1e-8c57-9c55-0f4e-1c6f2b7f9a10", Name: "NVIDIA A100-SXM4-80GB", PCI: "0000:07:00.0", Minor: -1,
			Serial: "1565020012345", VBIOS: "92.00.45.00.03", ComputeCapability: "8.0", InfoROM: "G506.0212.00.02", ModuleID: -1, NUMANode: -1, MemoryBytes: 81920 * mebi}, "525.147.05", telemetry.GPUOK, "",
			map[string]int64{"gpu_util_pct": 100, "gpu_mem_util_pct": 62, "gpu_mem_total_bytes": 81920 * mebi, "gpu_mem_used_bytes": 79123 * mebi,
				"gpu_temp_c": 64, "gpu_mem_temp_c": 71, "gpu_power_mw": 398770, "gpu_power_limit_mw": 400000, "gpu_sm_clock_mhz": 1320,
				"gpu_mem_clock_mhz": 1593, "gpu_sm_clock_max_mhz": 1410, "gpu_mem_clock_max_mhz": 1593, "gpu_throttle_bits": 0x24,
				"gpu_ecc_volatile_corrected": 3, "gpu_ecc_volatile_uncorrected": 0, "gpu_ecc_aggregate_corrected": 11, "gpu_ecc_aggregate_uncorrected": 1,
				"gpu_pcie_gen": 4, "gpu_pcie_gen_max": 4, "gpu_pcie_width": 16, "gpu_pcie_width_max": 16, "gpu_pstate": 0, "gpu_persistence": 1, "gpu_compute_mode": 3, "gpu_ecc_mode": 1, "gpu_power_default_limit_mw": 400000, "gpu_power_min_limit_mw": 100000,
				"gpu_power_max_limit_mw": 400000, "gpu_mem_reserved_bytes": 630 * mebi}},
		{"rtx4090.csv", 0, GPU{UUID: "GPU-0b6e3bd2-91ce-5a77-bb4f-3b1f2a0d7c44", Name: "NVIDIA GeForce RTX 4090", PCI: "0000:01:00.0", Minor: -1,
			VBIOS: "95.02.3C.40.1F", ComputeCapability: "8.9", InfoROM: "G002.0000.00.03", ModuleID: -1, NUMANode: -1, MemoryBytes: 24564 * mebi}, "555.42.02", telemetry.GPUOK, "",
			map[string]int64{"gpu_util_pct": 3, "gpu_mem_util_pct": 1, "gpu_mem_total_bytes": 24564 * mebi, "gpu_mem_used_bytes": 1290 * mebi,
				"gpu_temp_c": 41, "gpu_power_mw": 21420, "gpu_power_limit_mw": 450000, "gpu_sm_clock_mhz": 210, "gpu_mem_clock_mhz": 405,
				"gpu_sm_clock_max_mhz": 3120, "gpu_mem_clock_max_mhz": 10501, "gpu_throttle_bits": 1,
				"gpu_pcie_gen": 1, "gpu_pcie_gen_max": 4, "gpu_pcie_width": 16, "gpu_pcie_width_max": 16, "gpu_pstate": 8, "gpu_persistence": 0, "gpu_compute_mode": 0, "gpu_power_default_limit_mw": 450000, "gpu_power_min_limit_mw": 150000,
				"gpu_power_max_limit_mw": 600000, "gpu_mem_reserved_bytes": 347 * mebi, "gpu_encoder_pct": 0, "gpu_decoder_pct": 0, "gpu_power_avg_mw": 20980, "gpu_temp_margin_c": 43}},
		{"quadro_r450.csv", 0, GPU{UUID: "GPU-9d1cb3c6-3d2d-41de-93a8-2b6a2fdd40c1", Name: "Quadro P2000", PCI: "0000:d8:00.0", Minor: -1,
			Serial: "0423618054321", VBIOS: "86.06.3F.00.2A", InfoROM: "G001.0000.01.04", ModuleID: -1, NUMANode: -1, MemoryBytes: 5053 * mebi}, "450.248.02", telemetry.GPUOK, "",
			map[string]int64{"gpu_util_pct": 0, "gpu_mem_util_pct": 0, "gpu_mem_total_bytes": 5053 * mebi, "gpu_mem_used_bytes": 1 * mebi,
				"gpu_temp_c": 36, "gpu_power_mw": 4710, "gpu_power_limit_mw": 75000, "gpu_sm_clock_mhz": 139, "gpu_mem_clock_mhz": 405,
				"gpu_sm_clock_max_mhz": 1721, "gpu_mem_clock_max_mhz": 3504, "gpu_throttle_bits": 1,
				"gpu_pcie_gen": 1, "gpu_pcie_gen_max": 3, "gpu_pcie_width": 8, "gpu_pcie_width_max": 16, "gpu_pstate": 8, "gpu_persistence": 0, "gpu_compute_mode": 0, "gpu_power_default_limit_mw": 75000, "gpu_power_min_limit_mw": 75000,
				"gpu_power_max_limit_mw": 75000, "gpu_retired_pages_corrected": 3, "gpu_retired_pages_uncorrected": 1, "gpu_retired_pending": 1}},
		{"mig.csv", 0, GPU{UUID: "GPU-5a1c0d1e-8c57-9c55-0f4e-1c6f2b7f9a10", Name: "NVIDIA A100-SXM4-80GB", PCI: "0000:07:00.0", Minor: -1,
			Serial: "1565020012345", VBIOS: "92.00.45.00.03", ComputeCapability: "8.0", InfoROM: "G506.0212.00.02", ModuleID: -1, NUMANode: -1, MIG: true, MemoryBytes: 81920 * mebi}, "535.161.08", telemetry.GPUOK, "",
			map[string]int64{"gpu_mem_total_bytes": 81920 * mebi, "gpu_mem_used_bytes": 20481 * mebi,
				"gpu_temp_c": 39, "gpu_mem_temp_c": 44, "gpu_power_mw": 88120, "gpu_power_limit_mw": 400000, "gpu_sm_clock_mhz": 1155,
				"gpu_mem_clock_mhz": 1593, "gpu_sm_clock_max_mhz": 1410, "gpu_mem_clock_max_mhz": 1593, "gpu_throttle_bits": 0,
				"gpu_ecc_volatile_corrected": 0, "gpu_ecc_volatile_uncorrected": 0, "gpu_ecc_aggregate_corrected": 0, "gpu_ecc_aggregate_uncorrected": 0,
				"gpu_pcie_gen": 4, "gpu_pcie_gen_max": 4, "gpu_pcie_width": 16, "gpu_pcie_width_max": 16, "gpu_pstate": 0, "gpu_persistence": 0, "gpu_compute_mode": 0, "gpu_ecc_mode": 1, "gpu_power_default_limit_mw": 400000, "gpu_power_min_limit_mw": 100000,
				"gpu_power_max_limit_mw": 400000, "gpu_mem_reserved_bytes": 630 * mebi}},
	} {
		t.Run(c.file+c.gpu.PCI, func(t *testing.T) {
			fields, lines := smiFile(t, c.file)
			row, err := parseSMIRow(fields, lines[c.line])
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.gpu, row.gpu); d != "" {
				t.Errorf("GPU (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.readings, numbers(row)); d != "" {
				t.Errorf("readings (-want +got):\n%s", d)
			}
			if row.index != c.line || row.driver != c.driver || row.status != c.status || row.note != c.note {
				t.Errorf("index %d, driver %q, status %d, note %q", row.index, row.driver, row.status, row.note)
			}
		})
	}
}

// The newest nvidia-smi knows all that is asked for.
func TestParseNewestSMIRow(t *testing.T) {
	fields, lines := smiFile(t, "newest.csv")
	if len(fields) != len(smiFields) {
		t.Fatalf("%d of %d fields", len(fields), len(smiFields))
	}
	h100, err := parseSMIRow(fields, lines[0])
	if err != nil {
		t.Fatal(err)
	}
	gb200, err := parseSMIRow(fields, lines[1])
	if err != nil {
		t.Fatal(err)
	}
	if h100.gpu.ModuleID != 7 || h100.gpu.Chassis != "" || h100.gpu.FabricCluster != "" {
		t.Errorf("%+v", h100.gpu)
	}
	if g := gb200.gpu; g.ModuleID != 2 || g.Chassis != "1821325190001" || g.Slot != 13 || g.Tray != 4 || g.FabricClique != 32766 ||
		g.FabricCluster != "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf" || g.PCI != "0009:01:00.0" {
		t.Errorf("%+v", g)
	}
	for name, want := range map[string][2]int64{"gpu_fabric_state": {3, 3}, "gpu_fabric_status": {0, 0}, "gpu_remapped_rows_corrected": {0, 1}, "gpu_remap_pending": {0, 1},
		"gpu_remap_failure": {0, 0}, "gpu_sram_ecc_threshold_exceeded": {0, 1}, "gpu_recovery_action": {0, telemetry.RecoveryDrainAndReset},
		"gpu_throttle_power_ms": {1500, 2500}, "gpu_throttle_sw_thermal_ms": {2, 0}, "gpu_temp_margin_c": {26, 31}, "gpu_mem_reserved_bytes": {479 * mebi, 1100 * mebi}} {
		if got := [2]int64{numbers(h100)[name], numbers(gb200)[name]}; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestParseSMIState(t *testing.T) {
	field := func(name string) smiField {
		return smiFields[slices.IndexFunc(smiFields, func(f smiField) bool { return f.name == name })]
	}
	for _, c := range []struct {
		field, cell string
		want        int64
		ok          bool
	}{
		{"fabric.state", "In Progress", 2, true}, {"fabric.state", "state  Not Started", 1, true}, {"fabric.state", "state", 0, false}, {"fabric.state", "Whatever", 0, false},
		{"fabric.status", "Insufficient Resources", 999, true}, {"fabric.status", "status Success", 0, true},
		{"compute_mode", "Prohibited", 2, true}, {"compute_mode", "", 0, false}, {"gpu_recovery_action", "Drain P2P", 3, true}, {"retired_pages.pending", "yes", 0, false},
	} {
		if got, ok := smiState(field(c.field), c.cell); got != c.want || ok != c.ok {
			t.Errorf("%s %q is %d, %v", c.field, c.cell, got, ok)
		}
	}
}

func TestParseSMIRowRefuses(t *testing.T) {
	fields, lines := smiFile(t, "a100.csv")
	good := lines[0]
	for name, line := range map[string]string{
		"empty":            "",
		"a cell missing":   good[:strings.LastIndex(good, ",")],
		"a cell too many":  good + ", 1",
		"no index":         strings.Replace(good, "0,", "[N/A],", 1),
		"negative index":   strings.Replace(good, "0,", "-1,", 1),
		"huge index":       strings.Replace(good, "0,", "99999999999,", 1),
		"no uuid":          strings.Replace(good, "GPU-5a1c0d1e-8c57-9c55-0f4e-1c6f2b7f9a10", "[N/A]", 1),
		"a message":        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
		"only separators":  strings.Repeat(",", len(fields)-1),
		"words as numbers": strings.Repeat("x,", len(fields)-1) + "x",
	} {
		if row, err := parseSMIRow(fields, line); err == nil {
			t.Errorf("%s: accepted as %+v", name, row)
		}
	}
}

func TestParseSMIMessage(t *testing.T) {
	for line, want := range map[string]smiMessage{
		`Field "temperature.memory" is not a valid field to query.`: {badField: "temperature.memory",
			words: words{health: Failing, text: `nvidia-smi: Field "temperature.memory" is not a valid field to query.`}},
		"Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.  Reboot the system to recover this GPU": {pci: "0000:3b:00.0",
			words: words{health: Failing, text: "nvidia-smi: Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.  Reboot the system to recover this GPU"}},
		"Unable to determine the device handle for GPU3: 00000000:5D:00.0: Unknown Error": {pci: "0000:5d:00.0",
			words: words{health: Failing, text: "nvidia-smi: Unable to determine the device handle for GPU3: 00000000:5D:00.0: Unknown Error"}},
		"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.": {
			words: words{Failing, "the NVIDIA kernel driver is not loaded", "modprobe nvidia on the node; the kernel log says why it does not load"}},
		"Failed to initialize NVML: Driver/library version mismatch": {words: words{Failing, "driver and library have different versions",
			"reload the nvidia kernel modules or reboot the node: the driver was updated under it"}},
		"Failed to initialize NVML: Insufficient Permissions": {words: words{Denied, "the NVIDIA driver refuses this user",
			"this user needs read and write access to /dev/nvidiactl and /dev/nvidia*"}},
		"No devices were found": {words: words{Unsupported, "the NVIDIA driver runs, but there is no GPU", ""}},
		"\x1b[31mred\x1b[0m":    {words: words{health: Failing, text: "nvidia-smi: \ufffd[31mred\ufffd[0m"}},
	} {
		if d := cmp.Diff(want, parseSMIMessage(line), cmp.AllowUnexported(smiMessage{}, words{})); d != "" {
			t.Errorf("%q (-want +got):\n%s", line, d)
		}
	}
}

func process(pid, gpu int, memory uint64, known bool, instance int) Process {
	return Process{PID: pid, GPU: gpu, MemoryBytes: memory, MemoryKnown: known, GPUInstance: instance}
}

func TestParseSMIApps(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(smiFixtures, "apps.csv"))
	if err != nil {
		t.Fatal(err)
	}
	gpus := []GPU{{UUID: "GPU-f0e70b00-0000-4a5e-8d21-0000005eed00"}, {UUID: "GPU-f0e70b00-0001-4a5e-8d21-0000005eed01"}}
	want := []Process{process(481234, 0, 71194*mebi, true, -1), process(481235, 1, 0, false, -1), process(481236, 1, 0, false, -1)}
	if got := parseSMIApps(string(b), gpus); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parseSMIApps("No running processes found\n,,\na, -5, 1\n", gpus); len(got) != 0 {
		t.Errorf("got %+v from nonsense", got)
	}
}

func FuzzParseSMI(f *testing.F) {
	for _, name := range []string{"h100.csv", "a100.csv", "rtx4090.csv", "quadro_r450.csv", "mig.csv", "newest.csv"} {
		fields, lines := smiFile(f, name)
		for _, line := range lines {
			f.Add(line, len(fields))
		}
	}
	f.Add("GPU-f0e70b00-0000-4a5e-8d21-0000005eed00, 481234, 71194", 3)
	f.Add("Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.", 1)
	gpus := []GPU{{UUID: "GPU-f0e70b00-0000-4a5e-8d21-0000005eed00"}}
	f.Fuzz(func(t *testing.T, line string, columns int) {
		row, err := parseSMIRow(smiFields[:min(max(columns, 0), len(smiFields))], line)
		if err == nil {
			for _, s := range []string{row.gpu.UUID, row.gpu.Name, row.gpu.PCI, row.gpu.Serial, row.gpu.VBIOS, row.gpu.InfoROM, row.gpu.FabricCluster, row.gpu.Chassis, row.driver, row.note} {
				if s != telemetry.Clean(s, maxWord) {
					t.Errorf("%q came through", s)
				}
			}
			for _, r := range row.readings {
				if r.value == telemetry.Absent || r.metric.Scope() != telemetry.ScopeGPU {
					t.Errorf("reading %+v", r)
				}
			}
			if row.status == telemetry.GPULost && len(row.readings) > 0 {
				t.Error("a lost GPU has readings")
			}
		}
		if m := parseSMIMessage(line); m.words.text != telemetry.Clean(m.words.text, maxText+len("nvidia-smi: ")) {
			t.Errorf("message %q came through", m.words.text)
		}
		for _, p := range parseSMIApps(line, gpus) {
			if p.PID <= 0 || p.GPU != 0 {
				t.Errorf("process %+v", p)
			}
		}
	})
}
