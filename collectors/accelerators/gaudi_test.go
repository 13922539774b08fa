package accelerators

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// gaudiHost is a machine with eight Gaudi 3 as a Dell XE9680 has them, under the class accel; gaudi2Host one with two Gaudi 2 under the older class.
func gaudiHost(t testing.TB) kernfs.Root {
	root := kernfs.Root(t.TempDir())
	put(t, root, "sys/module/habanalabs/version", "1.22.1-97ec1a4\n")
	for i, bus := range []string{"33", "34", "4d", "4e", "9a", "9b", "b3", "b4"} {
		address := "0000:" + bus + ":00.0"
		d := "sys/devices/pci0000:" + bus + "/" + address + "/"
		link(t, root, "sys/bus/pci/devices/"+address, "../../../devices/pci0000:"+bus+"/"+address)
		for name, text := range map[string]string{
			"vendor": "0x1da3", "device": "0x1060", "subsystem_device": "0x0001", "numa_node": fmt.Sprint(i / 4), "current_link_speed": "32.0 GT/s PCIe", "max_link_speed": "32.0 GT/s PCIe",
			"current_link_width": "16", "max_link_width": "16", "status": "Operational", "device_type": "GAUDI3", "pci_addr": address, "clk_cur_freq_mhz": "1600",
			"clk_max_freq_mhz": "1650", "hard_reset_cnt": fmt.Sprint(i % 2), "max_power": "900000", "cpucp_ver": "hl-gaudi3-1.22.0-fw-61.0.0-sec-9",
		} {
			put(t, root, d+name, text+"\n")
		}
		link(t, root, d+"driver", "../../../bus/pci/drivers/habanalabs")
		link(t, root, fmt.Sprintf("sys/class/accel/accel%d/device", i), "../../../devices/pci0000:"+bus+"/"+address)
	}
	put(t, root, "proc/8100/stat", "")
	link(t, root, "proc/8100/fd/11", "/dev/accel/accel2")
	link(t, root, "proc/8100/fd/12", "/dev/accel/accel_controlD2")
	return root
}

// hlSMI puts an hl-smi on PATH that says what is in a file each time it is asked, and goes on living.
func hlSMI(t *testing.T, file string) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "testdata", "accelerators"))
	if err != nil {
		t.Fatal(err)
	}
	script(t, "hl-smi", fmt.Sprintf("cat %s/%s; exec sleep 1000", dir, file))
}

func TestGaudi(t *testing.T) {
	hlSMI(t, "hl-smi.gaudi3.csv")
	var c clock
	root := gaudiHost(t)
	r := newGaudi(c.machine(root)).(*gaudiReader)
	defer r.Close()
	soon(t, "all rows", func() bool {
		c.pass(time.Second)
		r.Read(background, false)
		return !strings.Contains(column(&r.reading, telemetry.GPUUtilPct), "-")
	})
	if got := conditionOf(t, r.Read(background, false)); got.State != facts.SourceState_SOURCE_OK || got.Text != "" {
		t.Errorf("says %+v", got)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUStatus:                  repeated(8, "0"),
		telemetry.GPUUtilPct:                 "0 0 97 96 0 0 0 100",
		telemetry.GPUMemUsedBytes:            "704643072 704643072 103079215104 103085506560 704643072 704643072 704643072 137438953472",
		telemetry.GPUMemTotalBytes:           repeated(8, "137438953472"),
		telemetry.GPUPowerMW:                 "226000 230000 611000 598000 225000 228000 226000 805000",
		telemetry.GPUPowerLimitMW:            repeated(8, "850000"),
		telemetry.GPUTempC:                   "36 37 61 60 36 36 35 71",
		telemetry.GPUSMClockMHz:              repeated(8, "1600"),
		telemetry.GPUSMClockMaxMHz:           repeated(8, "1650"),
		telemetry.GPUResets:                  "0 1 0 1 0 1 0 1",
		telemetry.GPUECCVolatileUncorrected:  repeated(8, "0"),
		telemetry.GPUECCAggregateCorrected:   "0 0 0 0 0 0 0 3",
		telemetry.GPUECCAggregateUncorrected: repeated(8, "0"),
		telemetry.GPUPCIeGen:                 repeated(8, "5"),
		telemetry.GPUProcesses:               "0 0 1 0 0 0 0 0",
	})
	g := r.reading.GPUs[2]
	if g.Name != "Intel Gaudi 3" || g.Uuid != "01P4-HL3090A0-18-U4V101-01-07-00" || g.Minor != 2 || g.ModuleId != 1 || g.BoardPart != "HL-325L" || g.Driver != "1.22.1-97ec1a4" ||
		g.MemoryTotalBytes != 128<<30 || g.NumaNode != 0 || g.PciPath != "pci0000:4d/0000:4d:00.0" || !strings.HasPrefix(g.Firmware, "hl-gaudi3-1.22.0") {
		t.Errorf("a device is %v", g)
	}
	// One is reset, another falls off the bus.
	generation := r.reading.Generation
	put(t, root, "sys/devices/pci0000:4d/0000:4d:00.0/status", "In reset\n")
	remove(t, root, "sys/bus/pci/devices/0000:9a:00.0")
	c.pass(31 * time.Second)
	r.Read(background, false)
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUStatus: "0 0 2 0 1 0 0 0"})
	if r.reading.Generation == generation || r.reading.GPUs[2].Note != "In reset" || r.reading.GPUs[4].Note != goneNote || r.reading.GPUs[2].Uuid != g.Uuid {
		t.Errorf("generation %d after %d: %v, %v", r.reading.Generation, generation, r.reading.GPUs[2], r.reading.GPUs[4])
	}
}

// An older driver's class, and an hl-smi that does not know all columns: it is asked without those that it names, else without the newest.
func TestGaudiOlder(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("..", "..", "testdata", "accelerators"))
	if err != nil {
		t.Fatal(err)
	}
	asked := filepath.Join(t.TempDir(), "asked")
	script(t, "hl-smi", fmt.Sprintf(`echo "$2" >>%s
case $2 in
*power.max*) echo "Error: query type power.max is not supported"; exit 1;;
*ecc.*) exit 2;;
*serial*|*module_id*) exit 2;;
esac
cat %s/hl-smi.gaudi2.csv; exec sleep 1000`, asked, dir))
	root := kernfs.Root(t.TempDir())
	for i, address := range []string{"0000:19:00.0", "0000:b3:00.0"} {
		d := "sys/bus/pci/devices/" + address + "/"
		put(t, root, d+"vendor", "0x1da3\n")
		put(t, root, d+"device", "0x1020\n")
		link(t, root, d+"driver", "../../../../bus/pci/drivers/habanalabs")
		hl := fmt.Sprintf("sys/class/habanalabs/hl%d/", i)
		put(t, root, hl+"pci_addr", strings.ToUpper(address)+"\n")
		put(t, root, hl+"status", "Operational\n")
		put(t, root, hl+"soft_reset_cnt", "2\n")
		put(t, root, hl+"hard_reset_cnt", "1\n")
		put(t, root, hl+"max_power", "600000\n")
		put(t, root, fmt.Sprintf("sys/class/habanalabs/hl_controlD%d/pci_addr", i), address+"\n")
	}
	put(t, root, "sys/bus/pci/devices/0000:b4:00.0/vendor", "0x1da3\n")
	put(t, root, "proc/9/stat", "")
	link(t, root, "proc/9/fd/3", "/dev/hl1")
	var c clock
	r := newGaudi(c.machine(root)).(*gaudiReader)
	defer r.Close()
	soon(t, "both rows", func() bool {
		c.pass(time.Second)
		r.Read(background, false)
		return column(&r.reading, telemetry.GPUUtilPct) == "0 88"
	})
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUMemUsedBytes: "805306368 98784247808", telemetry.GPUPowerLimitMW: "600000 600000", telemetry.GPUResets: "3 3", telemetry.GPUStatus: "0 0",
		telemetry.GPUECCVolatileCorrected: "- -", telemetry.GPUProcesses: "0 1",
	})
	if u := r.reading.Unseen; len(u) != 1 || u[0].Pci != "0000:b4:00.0" || u[0].Why != "no driver" {
		t.Errorf("unseen: %v", u)
	}
	if g := r.reading.GPUs[1]; g.Name != "Intel Gaudi 2" || g.Minor != 1 || g.ModuleId != -1 {
		t.Errorf("a device is %v", g)
	}
	b, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(b), "\n"); got != 4 || strings.Count(string(b), "power.max") != 1 {
		t.Errorf("asked %d times:\n%s", got, b)
	}
}

// hl-smi is missing, or fails: the driver's files are read all the same, and its words are told.
func TestGaudiWithoutTool(t *testing.T) {
	path := os.Getenv("PATH")
	t.Setenv("PATH", "/nowhere")
	var c clock
	r := newGaudi(c.machine(gaudiHost(t))).(*gaudiReader)
	soon(t, "it is told", func() bool {
		got := conditionOf(t, r.Read(background, false))
		return got.State == facts.SourceState_SOURCE_OK && strings.HasPrefix(got.Text, "hl-smi is missing") && got.Remedy != ""
	})
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUStatus: repeated(8, "0"), telemetry.GPUTempC: repeated(8, "-"), telemetry.GPUSMClockMHz: repeated(8, "1600")})
	r.Close()
	t.Setenv("PATH", path)
	script(t, "hl-smi", "echo 'HLML init failed: driver not loaded'; exit 1")
	r = newGaudi(c.machine(gaudiHost(t))).(*gaudiReader)
	defer r.Close()
	soon(t, "its words", func() bool {
		got := conditionOf(t, r.Read(background, false))
		return got.State == facts.SourceState_SOURCE_FAILING && strings.Contains(got.Text, "HLML init failed: driver not loaded")
	})
	if len(r.smi.columns) != len(gaudiColumns) {
		t.Errorf("it will be asked for %d columns only", len(r.smi.columns))
	}
}

// Rows that do not come any more are not true any more.
func TestGaudiStaleRows(t *testing.T) {
	var c clock
	m := c.machine(gaudiHost(t))
	m.Start = nil
	r := newGaudi(m).(*gaudiReader)
	defer r.Close()
	r.smi.line([]byte(strings.SplitAfter(string(recorded(t, "hl-smi.gaudi3.csv")), "\n")[1]))
	r.Read(background, false)
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUTempC: "- - 61 - - - - -"})
	row := r.smi.rows["0000:4d:00.0"]
	row.at = time.Now().Add(-2 * gaudiSilence)
	r.smi.rows["0000:4d:00.0"] = row
	r.Read(background, false)
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUTempC: repeated(8, "-"), telemetry.GPUPowerLimitMW: "900000 900000 850000 900000 900000 900000 900000 900000"})
}

func TestGaudiRows(t *testing.T) {
	columns := gaudiColumns[:10]
	for _, bad := range []string{
		"", ",,,,,,,,,", "index, bus_id, uuid, name, driver_version, memory.total [MiB], memory.used [MiB], power.draw [W], temperature.aip [C], utilization.aip [%]",
		"0, 0000:19:00.0, u, n, d, 1 MiB, 1 MiB, 1 W, 1 C", "0, 0000:19:00.0, u, n, d, 1 MiB, 1 MiB, 1 W, 1 C, 0 %, 5", "x, 0000:19:00.0, u, n, d, 1, 1, 1, 1, 0",
		"0, ../../etc/passwd, u, n, d, 1, 1, 1, 1, 0", "0, N/A, u, n, d, 1, 1, 1, 1, 0", "-1, 0000:19:00.0, u, n, d, 1, 1, 1, 1, 0",
	} {
		if row, ok := parseGaudiRow(columns, []byte(bad)); ok {
			t.Errorf("%q: %+v", bad, row)
		}
	}
	// One bad cell costs itself; words are clean.
	row, ok := parseGaudiRow(columns, []byte("7, 19:00.0, u\x1b[31m, HL-225, 1.2, N/A, 768 MiB, -5 W, NaN C, 1e99 %"))
	if !ok || row.pci != "0000:19:00.0" || row.uuid != "u\ufffd[31m" || row.memory != 0 || row.values[6] != 768<<20 || row.values[7] != -1 || row.values[8] != -1 || row.values[9] != -1 {
		t.Errorf("%v %+v", ok, row)
	}
	for text, want := range map[string]bool{"bad column 'serial'": true, "serial": true, "unknown: serial.": true, "serial_number": false, "xserial": false, "no such thing": false, "a.serial": false} {
		if got := namesColumn([]byte(text), "serial"); got != want {
			t.Errorf("%q names a column: %v", text, got)
		}
	}
}
