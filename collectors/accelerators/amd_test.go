package accelerators

import (
	"fmt"
	"strings"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// kfdNode makes a node of the compute driver.
func (tr *tree) kfdNode(n, id int, address string, partition int, bytes int64) {
	var bus, device int
	fmt.Sscanf(address, "0000:%x:%x.0", &bus, &device)
	dir := fmt.Sprintf("sys/class/kfd/kfd/topology/nodes/%d/", n)
	tr.put(dir+"gpu_id", id)
	tr.put(dir+"properties", fmt.Sprintf("cpu_cores_count 0\nsimd_count 1216\nlocation_id %d\ndomain 0\nnum_xcc 8", bus<<8|device<<3|partition))
	tr.put(dir+"mem_banks/0/properties", fmt.Sprintf("heap_type 1\nsize_in_bytes %d\nflags 0", bytes))
}

// Processes are joined with cards and partitions by what the compute driver calls them; a card that is cut anew has other parts, and others hold them.
func TestKFD(t *testing.T) {
	tr := newTree(t)
	tr.mi300x(1, "0000:05:00.0")
	device := tr.mi300x(2, "0000:45:00.0")
	tr.put(device+"/current_compute_partition", "CPX")
	tr.put(device+"/current_memory_partition", "NPS4")
	tr.put("sys/class/kfd/kfd/topology/generation_id", 2)
	tr.put("sys/class/kfd/kfd/topology/nodes/0/gpu_id", 0)
	tr.put("sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 96")
	tr.kfdNode(1, 777, "0000:05:00.0", 0, 192<<30)
	tr.kfdNode(2, 100, "0000:45:00.0", 0, 96<<30)
	tr.kfdNode(10, 101, "0000:45:00.0", 1, 96<<30) // after the second one by number, not by letter
	proc := "sys/class/kfd/kfd/proc/"
	for _, f := range []struct {
		name  string
		bytes int
	}{{"41/vram_777", 5000}, {"41/vram_100", 0}, {"41/vram_101", 0}, {"7/vram_101", 300}, {"7/vram_777", 20}, {"7/sdma_101", 9}, {"8/vram_999", 1}, {"x/vram_777", 1}, {"9/vram_100", -4}} {
		tr.put(proc+f.name, f.bytes)
	}
	u := tr.amd().tick(1000)
	r := u.r.Reading()
	u.held(Holder{7, 0, 0, 20, true}, Holder{7, 1, 2, 300, true}, Holder{41, 0, 0, 5000, true})
	if len(r.Parts) != 2 || r.Parts[1].Gpu != 1 || r.Parts[1].Name != "CPX/NPS4 1" || r.Parts[1].Kind != "XCP" || r.Parts[1].Instance != 1 {
		t.Errorf("parts %v", r.Parts)
	}
	u.want(telemetry.PartUtilPct, 0, 92)
	u.want(telemetry.PartUtilPct, 1, 20)
	u.want(telemetry.PartMemTotalBytes, 1, 96<<30)
	u.want(telemetry.GPUProcesses, 0, 2)
	u.want(telemetry.GPUProcesses, 1, 1)
	// A process that ended, and the same list for as long as nothing changes.
	u.tick(5000)
	before := u.r.Reading().Holders
	u.tick(5000)
	if &before[0] != &u.r.Reading().Holders[0] {
		t.Error("a new list of holders, and nothing changed")
	}
	tr.remove(proc + "41")
	u.tick(1000).want(telemetry.GPUProcesses, 0, 2)
	u.tick(5000).want(telemetry.GPUProcesses, 0, 1)
	// Where a process had no memory before is looked at only now and then.
	tr.put(proc+"7/vram_100", 70)
	clear(tr.opened)
	u.tick(5000)
	if n := tr.opened[proc+"7/vram_100"]; n != 0 {
		t.Errorf("read %d times", n)
	}
	u.tick(30_000)
	u.held(Holder{7, 0, 0, 20, true}, Holder{7, 1, 1, 70, true}, Holder{7, 1, 2, 300, true})
	tr.put(proc+"7/vram_100", 0)
	u.tick(5000)
	u.held(Holder{7, 0, 0, 20, true}, Holder{7, 1, 2, 300, true})
	// The card is made whole again.
	tr.remove("sys/class/kfd/kfd/topology/nodes/10")
	tr.put("sys/class/kfd/kfd/topology/generation_id", 3)
	tr.kfdNode(2, 300, "0000:45:00.0", 0, 192<<30)
	tr.remove(proc + "7/vram_101")
	tr.put(proc+"7/vram_300", 400)
	generation := u.r.Reading().Generation
	for range 40 {
		u.tick(1000)
	}
	r = u.r.Reading()
	if len(r.Parts) != 0 || r.Generation == generation {
		t.Errorf("parts %v", r.Parts)
	}
	u.held(Holder{7, 0, 0, 20, true}, Holder{7, 1, 0, 400, true})
	u.says(facts.SourceState_SOURCE_OK, "")
}

// In a container the driver's pids are not those that this process sees: nobody is told to hold a card, and that is said.
func TestForeignPIDs(t *testing.T) {
	tr := newTree(t)
	tr.mi300x(1, "0000:05:00.0")
	tr.kfdNode(1, 777, "0000:05:00.0", 0, 192<<30)
	tr.put("sys/class/kfd/kfd/proc/41/vram_777", 5000)
	tr.link("proc/self/ns/pid", "pid:[4026532999]")
	u := tr.amd().tick(1000)
	u.says(facts.SourceState_SOURCE_OK, "who holds the accelerators is not known")
	u.want(telemetry.GPUProcesses, 0, telemetry.Absent)
	u.held()
}

// The link that counts is the one in the slot: the card's own switch is passed, the board's and the processor's are not.
func TestSlotLink(t *testing.T) {
	chain := []struct{ address, vendor, speed, width string }{
		{"0000:00:01.1", "0x1002", "64.0 GT/s PCIe", "16"}, // a processor of the same maker
		{"0000:01:00.0", "0x1000", "32.0 GT/s PCIe", "16"},
		{"0000:02:00.0", "0x1000", "32.0 GT/s PCIe", "16"},
		{"0000:03:00.0", "0x1002", "16.0 GT/s PCIe", "8"},
		{"0000:04:00.0", "0x1002", "2.5 GT/s PCIe", "1"},
		{"0000:05:00.0", "0x1002", "2.5 GT/s PCIe", "1"},
	}
	for name, c := range map[string]struct {
		from       int // the chain begins there, behind the host bridge
		gen, width int64
	}{"through the board's switch": {0, 4, 8}, "straight at the processor": {2, 4, 8}, "processor of the same maker": {3, 1, 1}} {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t)
			path := "pci0000:00"
			for _, e := range chain[c.from:] {
				path += "/" + e.address
				tr.link("sys/bus/pci/devices/"+e.address, "../../../devices/"+path)
				for n, v := range map[string]string{"vendor": e.vendor, "current_link_speed": e.speed, "max_link_speed": "32.0 GT/s PCIe", "current_link_width": e.width, "max_link_width": "16"} {
					tr.put("sys/devices/"+path+"/"+n, v)
				}
			}
			sys := tr.sysfs()
			var s sheet
			putPCIe(sys, slotPort(sys, sys.root.PCIPath("0000:05:00.0"), "0000:05:00.0", "0x1002"), &s)
			want := sheet{{telemetry.GPUPCIeGen, 0, c.gen}, {telemetry.GPUPCIeGenMax, 0, 5}, {telemetry.GPUPCIeWidth, 0, c.width}, {telemetry.GPUPCIeWidthMax, 0, 16}}
			if fmt.Sprint(s) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", s, want)
			}
		})
	}
}

// A node of eight MI300X over a minute: what holds the clocks back shows at once, its time and the counters of errors with the slow readings.
func TestMI300XAtWork(t *testing.T) {
	tr := newTree(t)
	tr.lay("mi300x")
	u := tr.amd().tick(1000)
	u.want(telemetry.GPUThrottleBits, 2, telemetry.Absent)
	file := "sys/class/drm/card17/device/gpu_metrics"
	b, err := tr.root.Read(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	add := func(at, size int, v int64) {
		for i := range size {
			v += int64(b[at+i])
			b[at+i] = byte(v)
			v >>= 8
		}
	}
	for range 60 {
		add(40, 4, 1000)     // accumulation_counter
		add(48, 4, 250)      // ppt_residency_acc
		add(24, 8, 700<<16)  // energy_accumulator
		add(136+8, 8, 1<<20) // xgmi_read_data_acc of link 1
		tr.put(file, b)
		u.tick(1000)
		u.want(telemetry.GPUThrottleBits, 2, throttlePowerCap)
	}
	// Energy is 2⁻¹⁶ J a unit: 700 W for a minute.
	u.want(telemetry.GPUEnergyMJ, 2, 5_000_000_000+60*700_000)
	if got := u.get(telemetry.GPUThrottlePowerMS, 2); got < 7_000 || got > 15_000 {
		t.Errorf("held back for %d ms of a minute, a quarter of the time", got)
	}
	u.want(telemetry.LinkRXBytes, 2*7, (15*1_000_003+60<<20)<<10)
	// The firmware hangs up on the link: its state is told with the slow readings.
	b[264+2*3] = 0
	tr.put(file, b)
	for range 40 {
		u.tick(1000)
	}
	u.want(telemetry.LinkState, 2*7+2, telemetry.LinkDown)
	u.want(telemetry.GPULinksUp, 2, 6)
	u.want(telemetry.GPULinks, 2, 7)
	u.says(facts.SourceState_SOURCE_OK, "")
}

// MI200: gpu_metrics 1.3, energy in the known unit; throttling by the bits that are the same for all chips. An older chip's energy has no known unit.
func TestMI200(t *testing.T) {
	tr := newTree(t)
	for i, number := range []string{"0x740c", "0x738c"} {
		device := tr.mi300x(i, fmt.Sprintf("0000:%d5:00.0", i))
		tr.put(device+"/device", number)
		tr.put(device+"/gpu_metrics", buildMetrics(3, every))
	}
	second := tr.mi300x(3, "0000:25:00.0") // the second die of the card has no power of its own
	tr.put(second+"/device", "0x740c")
	values := map[string][]uint64{"average_socket_power": {0}, "temperature_hotspot": {50}, "energy_accumulator": {0}}
	tr.put(second+"/gpu_metrics", buildMetrics(3, values))
	u := tr.amd().tick(1000)
	for m, want := range map[telemetry.Metric][3]int64{
		telemetry.GPUTempC:                {42, 42, 50},
		telemetry.GPUMemTempC:             {43, 43, telemetry.Absent},
		telemetry.GPUVRTempC:              {44, 44, telemetry.Absent},
		telemetry.GPUPowerMW:              {45_000, 45_000, telemetry.Absent},
		telemetry.GPUUtilPct:              {46, 46, 7},
		telemetry.GPUMemUtilPct:           {47, 47, telemetry.Absent},
		telemetry.GPUDRAMActivityPermille: {telemetry.Absent, telemetry.Absent, telemetry.Absent},
		telemetry.GPUEnergyMJ:             {48 << 24 * 1000, telemetry.Absent, telemetry.Absent},
		telemetry.GPUThrottleBits:         {throttlePowerCap | throttleSWThermal, throttlePowerCap | throttleSWThermal, telemetry.Absent},
		telemetry.GPUSMClockMHz:           {2100, 2100, telemetry.Absent},
		telemetry.GPUMemClockMHz:          {61, 61, telemetry.Absent},
		telemetry.GPUPCIeGen:              {5, 5, telemetry.Absent},
	} {
		for i, v := range want {
			u.want(m, i, v)
		}
	}
	if n := u.r.Reading().GPUs[0]; n.Architecture != "CDNA2" || !strings.Contains(n.Name, "MI250X") {
		t.Errorf("told as %v", n)
	}
}

// Tables older than 1.7 do not say which links there are: those over which anything went are.
func TestLinksWithoutState(t *testing.T) {
	tr := newTree(t)
	device := tr.mi300x(1, "0000:05:00.0")
	values := map[string][]uint64{"xgmi_read_data_acc": {0, 5, 0, 0, 0, 0, 0, 0}, "xgmi_write_data_acc": {0, 0, 6, 0, 0, 0, 0, 0}, "xgmi_link_width": {16}, "xgmi_link_speed": {32}}
	tr.put(device+"/gpu_metrics", buildMetrics(5, values))
	u := tr.amd().tick(1000)
	if l := u.r.Reading().Links; len(l) != 2 || l[0].Link != 1 || l[1].Link != 2 || l[0].Kind != "xGMI" {
		t.Fatalf("links %v", l)
	}
	u.want(telemetry.LinkRXBytes, 0, 5<<10)
	u.want(telemetry.LinkTXBytes, 1, 6<<10)
	u.want(telemetry.LinkSpeedMBps, 1, 64_000)
	u.want(telemetry.LinkState, 0, telemetry.Absent)
	u.want(telemetry.GPULinks, 0, 2)
	u.want(telemetry.GPULinksUp, 0, telemetry.Absent)
}
