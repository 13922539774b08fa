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

	"github.com/google/go-cmp/cmp"
)

// neuronTools puts a neuron-monitor that says what is in a file, and goes on living, and a neuron-ls on PATH.
func neuronTools(t *testing.T, report string) {
	t.Helper()
	if _, err := os.Stat("/opt/aws/neuron/bin"); err == nil {
		t.Skip("this machine has the Neuron tools: the test's own would not be asked")
	}
	dir, err := filepath.Abs(filepath.Join("..", "..", "testdata", "accelerators"))
	if err != nil {
		t.Fatal(err)
	}
	script(t, "neuron-monitor", fmt.Sprintf("cat %s/%s; exec sleep 1000", dir, report))
	script(t, "neuron-ls", fmt.Sprintf(`[ "$*" = --json-output ] || exit 1; cat %s/neuron-ls.trn1.json`, dir))
}

func repeated(n int, value string) string { return strings.TrimSpace(strings.Repeat(value+" ", n)) }

// A trn1.32xlarge with a job of four ranks: memory, errors and power from the driver's files, utilisation and who runs what from neuron-monitor, and
// where the devices sit from neuron-ls.
func TestNeuron(t *testing.T) {
	neuronTools(t, "neuron-monitor.trn1.json")
	var c clock
	r := newNeuron(c.machine(extractHost(t, "trainium"))).(*neuronReader)
	defer r.Close()
	r.Read(background, false)
	soon(t, "places and a report", func() bool {
		c.pass(time.Second)
		r.Read(background, false)
		return r.reading.GPUs[0].Pci != "" && r.reported == 1
	})
	c.pass(time.Minute)
	if got := conditionOf(t, r.Read(background, false)); got.State != facts.SourceState_SOURCE_OK || got.Text != "" {
		t.Errorf("says %+v", got)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUStatus:                 repeated(16, "0"),
		telemetry.GPUUtilPct:                "70 39 " + repeated(14, "0"),
		telemetry.PartUtilPct:               "98 43 0 77 " + repeated(28, "0"),
		telemetry.GPUMemUsedBytes:           "25848652608 25848652608 " + repeated(14, "67108864"),
		telemetry.PartMemUsedBytes:          "12923826304 12924826304 12923826304 12924826304 " + repeated(28, "33554432"),
		telemetry.GPUMemTotalBytes:          repeated(16, "34359738368"),
		telemetry.GPUHostMemUsedBytes:       "6997643264 6997643264 " + repeated(14, "0"),
		telemetry.GPUECCVolatileCorrected:   "0 0 0 0 0 9 " + repeated(10, "0"),
		telemetry.GPUECCVolatileUncorrected: "0 0 0 0 0 1 0 0 0 0 " + repeated(6, "0"),
		telemetry.GPUExecErrors:             "0 3 " + repeated(14, "0"),
		telemetry.GPUPowerPermille:          "487 487 " + repeated(14, "55"),
		telemetry.GPUProcesses:              "2 2 " + repeated(14, "0"),
	})
	const held = 193986816 + 176285056 + 12520000000
	want := []Holder{{7100, 0, 1, held, true}, {7101, 0, 2, held, true}, {7102, 1, 3, held, true}, {7103, 1, 4, held, true}}
	if d := cmp.Diff(want, r.reading.Holders); d != "" {
		t.Error(d)
	}
	g := r.reading.GPUs[5]
	if g.Name != "AWS Trainium1" || g.Pci != "0000:20:1d.0" || g.PciPath != "pci0000:20/0000:20:1d.0" || g.NumaNode != 0 || g.Serial != "3a5f11200000c091" || g.Driver != "2.21.37.0" {
		t.Errorf("a device is %v", g)
	}
	if p := r.reading.Parts[31]; len(r.reading.Parts) != 32 || p.Gpu != 15 || p.Kind != "NeuronCore" || p.Instance != 1 {
		t.Errorf("the last of %d parts is %v", len(r.reading.Parts), p)
	}
}

// Without its tools a node tells what the driver's files do, and what is missing; /proc says who holds a device.
func TestNeuronWithoutTools(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	var c clock
	root := extractHost(t, "trainium")
	r := newNeuron(c.machine(root)).(*neuronReader)
	defer r.Close()
	soon(t, "it is told", func() bool {
		c.pass(time.Second)
		got := conditionOf(t, r.Read(background, false))
		return got.State == facts.SourceState_SOURCE_OK && strings.HasPrefix(got.Text, "neuron-monitor is missing") && got.Remedy != ""
	})
	c.pass(holderEvery * time.Millisecond)
	r.Read(background, false)
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUStatus: repeated(16, "0"), telemetry.GPUUtilPct: repeated(16, "-"), telemetry.PartUtilPct: repeated(32, "-"),
		telemetry.GPUProcesses: "2 2 " + repeated(14, "0"),
	})
	if h := r.reading.Holders; len(h) != 4 || h[2] != (Holder{PID: 7102, GPU: 1}) {
		t.Errorf("held: %v", h)
	}
	// A file that cannot be read costs its device, and no other.
	remove(t, root, neuronFolder+"/neuron3/neuron_core1/stats/memory_usage/device_mem/total")
	r.devices[3].memory[1].Close()
	c.pass(time.Second)
	r.Read(background, false)
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUStatus:       "0 0 0 - " + repeated(12, "0"),
		telemetry.GPUMemUsedBytes: "25848652608 25848652608 67108864 - " + repeated(12, "67108864"),
	})
}

// The driver is unloaded and comes back, with fewer devices: those that it does not show are told.
func TestNeuronDriverReload(t *testing.T) {
	neuronTools(t, "neuron-monitor.idle.json")
	var c clock
	root := extractHost(t, "trainium")
	r := newNeuron(c.machine(root)).(*neuronReader)
	defer r.Close()
	soon(t, "places", func() bool { c.pass(time.Second); r.Read(background, false); return r.reading.GPUs[0].Pci != "" })
	if err := os.Rename(root.Path(neuronFolder), root.Path("away")); err != nil {
		t.Fatal(err)
	}
	c.pass(31 * time.Second)
	got := conditionOf(t, r.Read(background, false))
	if got.State != facts.SourceState_SOURCE_UNSUPPORTED || got.Text != "16 Neuron devices on the PCI bus, and no driver" || len(r.reading.GPUs) != 0 || len(r.reading.Unseen) != 16 {
		t.Errorf("says %+v with %d devices and %d unseen", got, len(r.reading.GPUs), len(r.reading.Unseen))
	}
	if err := os.Rename(root.Path("away"), root.Path(neuronFolder)); err != nil {
		t.Fatal(err)
	}
	remove(t, root, neuronFolder+"/neuron7")
	c.pass(31 * time.Second)
	soon(t, "places again", func() bool {
		c.pass(time.Second)
		r.Read(background, false)
		return len(r.reading.GPUs) == 15 && r.reading.GPUs[0].Pci != ""
	})
	c.pass(31 * time.Second)
	r.Read(background, false)
	if u := r.reading.Unseen; len(u) != 1 || u[0].Pci != "0000:90:1d.0" || u[0].Why != "not shown by the driver" {
		t.Errorf("unseen: %v", u)
	}
	if r.reading.GPUs[7].Minor != 8 || column(&r.reading, telemetry.GPUStatus) != repeated(15, "0") {
		t.Errorf("after it: %v %s", r.reading.GPUs[7], column(&r.reading, telemetry.GPUStatus))
	}
}

// neuron-monitor's reports end: what only it tells is absent, what it says is told.
func TestNeuronMonitorTrouble(t *testing.T) {
	start, started := playPrograms()
	var c clock
	m := c.machine(extractHost(t, "trainium"))
	r := newNeuron(m).(*neuronReader)
	r.monitor.stream.start = start
	r.ls.start = nil
	defer r.Close()
	r.Read(background, false)
	p := <-started
	say := func(line string) {
		t.Helper()
		if _, err := fmt.Fprintln(p.say, line); err != nil {
			t.Fatal(err)
		}
	}
	say(strings.TrimSpace(string(recorded(t, "neuron-monitor.trn1.json"))))
	soon(t, "a report", func() bool { c.pass(time.Second); r.Read(background, false); return r.reported == 1 })
	say("neuron-monitor: warning: not JSON at all")
	soon(t, "the complaint", func() bool {
		return strings.Contains(conditionOf(t, r.Read(background, false)).Text, errJSON.Error())
	})
	say(`{"neuron_runtime_data":[],"neuron_hardware_info":{"error":"no driver \u001b[31m"}}`)
	soon(t, "its own words", func() bool {
		return strings.Contains(conditionOf(t, r.Read(background, false)).Text, "no driver \ufffd[31m")
	})
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUUtilPct: repeated(16, "0")})
	r.monitor.mu.Lock()
	r.monitor.report.at = time.Now().Add(-2 * neuronSilence)
	r.monitor.mu.Unlock()
	r.Read(background, false)
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUUtilPct: repeated(16, "-"), telemetry.PartUtilPct: repeated(32, "-"), telemetry.GPUStatus: repeated(16, "0")})
	p.say.(interface{ Close() error }).Close()
	p.ended <- fmt.Errorf("signal: killed")
	soon(t, "its end", func() bool {
		got := conditionOf(t, r.Read(background, false))
		return got.State == facts.SourceState_SOURCE_FAILING && strings.Contains(got.Text, "signal: killed")
	})
}

// Trainium2 with two physical cores to a NeuronCore, in a tree that hangs elsewhere and without memory files: what the monitor tells is all there is.
func TestNeuronOtherTree(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	for d := range 2 {
		n := fmt.Sprintf("%s/neuron%d/", neuronFolder, d)
		put(t, root, n+"attributes/device_name", "Trainium2\n")
		put(t, root, n+"attributes/arch_type", "NDv3\n")
		put(t, root, n+"hardware/ecc/mem_ecc_uncorrected", "2\n")
		put(t, root, n+"hardware/ecc/sram_ecc_uncorrected", "1\n")
		put(t, root, n+"hardware/power/utilization", "POWER_STATUS_NO_DATA,1795440000,0.00,0.00,0.00\n")
		for core := range 8 {
			put(t, root, fmt.Sprintf("%score/neuron_core%d/arch_type", n, core), "NCv3\n")
		}
	}
	var c clock
	m := c.machine(root)
	m.Start = nil
	r := newNeuron(m).(*neuronReader)
	defer r.Close()
	r.Read(background, false)
	r.monitor.line(recorded(t, "neuron-monitor.trn2.json"))
	c.pass(time.Second)
	r.Read(background, false)
	const held = "12890271872"
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUStatus: "0 0", telemetry.GPUMemTotalBytes: "103079215104 103079215104", telemetry.GPUECCVolatileUncorrected: "3 3",
		telemetry.PartUtilPct: "30 90 20 60 0 0 0 0 5 15 0 0 0 0 0 0", telemetry.GPUUtilPct: "25 3", telemetry.GPUMemUsedBytes: "25780543744 " + held,
		telemetry.GPUPowerPermille: "- -", telemetry.GPUHostMemUsedBytes: "- -", telemetry.GPUProcesses: "1 1", telemetry.GPUExecErrors: "0 0",
	})
	if h := r.reading.Holders; len(h) != 3 || h[1].Part != 3 || h[2] != (Holder{9001, 1, 9, 12890271872, true}) {
		t.Errorf("held: %v", h)
	}
	if g := r.reading.GPUs[1]; g.Name != "AWS Trainium2" || g.Architecture != "NDv3" {
		t.Errorf("a device is %v", g)
	}
}

func TestNeuronLS(t *testing.T) {
	got := parseNeuronLS(recorded(t, "neuron-ls.trn1.json"))
	if len(got) != 16 || got[2] != (neuronPlace{"0000:a0:1c.0", 32 << 30}) || got[15] != (neuronPlace{"0000:a0:1b.0", 32 << 30}) {
		t.Errorf("%v", got)
	}
	// The form announced for Neuron 2.34 has more around the list; addresses may have their domain.
	got = parseNeuronLS([]byte(`{"instance_type":"trn2u.48xlarge","devices":[{"bdf":"0001:CC:00.0","neuron_device":3,"neuron_processes":[{"pid":1}],"memory_size":7},{"neuron_device":4}],"x":[{"y":2}]}`))
	if d := cmp.Diff(map[uint32]neuronPlace{3: {"0001:cc:00.0", 7}, 4: {}}, got, cmp.AllowUnexported(neuronPlace{})); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"", "[", "[]", "{}", "nonsense", `[{"neuron_device":-1}]`, `[{"neuron_device":1e9,"bdf":"../../etc"}]`, `[1,2,3]`} {
		if got := parseNeuronLS([]byte(bad)); len(got) != 0 {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestNeuronBrokenReports(t *testing.T) {
	for text, want := range map[string]string{
		`{`: errJSON.Error(), `[]`: "", `{}`: "", `null`: "", `{"neuron_runtime_data":{"pid":5}}`: "", `{"a":[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]}`: errJSON.Error(),
		`{"neuron_runtime_data":[{"pid":-4},{"pid":"x"},{"pid":99999999999}]}`: "",
	} {
		r, err := parseNeuronReport([]byte(text))
		if got := fmt.Sprint(err); want != "" && got != want || want == "" && err != nil || len(r.runtimes) != 0 {
			t.Errorf("%s: %v %+v", text, err, r)
		}
	}
	// One bad value costs itself.
	r, err := parseNeuronReport([]byte(`{"neuron_runtime_data":[{"pid":8,"report":{"neuroncore_counters":{"neuroncores_in_use":{"0":{"neuroncore_utilization":"?"},"x":{"neuroncore_utilization":5},"3":{"neuroncore_utilization":5.5}}},"memory_used":null}}],"system_data":{"neuron_hw_counters":{"neuron_devices":[null,{"neuron_device_index":1,"mem_ecc_corrected":-3,"sram_ecc_uncorrected":2}]}}}`))
	if err != nil || len(r.runtimes) != 1 || len(r.runtimes[0].cores) != 2 || r.runtimes[0].cores[0].util != -1 || r.runtimes[0].cores[1].util != 5.5 {
		t.Errorf("%v %+v", err, r)
	}
	if d := cmp.Diff([]neuronErrors{{-1, -1, -1}, {1, -1, 2}}, r.devices, cmp.AllowUnexported(neuronErrors{})); d != "" {
		t.Error(d)
	}
}

func TestNeuronPower(t *testing.T) {
	for text, want := range map[string]int{
		"POWER_STATUS_VALID,1795440000,12.50,61.25,48.75\n": 487, "POWER_STATUS_VALID,1,0.00,0.00,0.00": 0, "POWER_STATUS_VALID,1,0,0,100.00": 1000,
		"POWER_STATUS_NO_DATA,1,0.00,0.00,0.00": -1, "POWER_STATUS_INVALID,1,0.00,0.00,0.00": -1, "": -1, "VALID": -1, "_VALID,1,2,3,x": -1, "_VALID,,,,": -1,
		"POWER_STATUS_VALID,1,0,0,99999999999": -1,
	} {
		got := -1
		if v, ok := parseNeuronPower([]byte(text)); ok {
			got = int(v)
		}
		if got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
