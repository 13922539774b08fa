package accelerators

import (
	"fmt"
	"strings"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// arc makes a card that xe runs: one tile with a unit that computes and one for media.
func (tr *tree) arc(number int, address string) (device string) {
	device = "sys/devices/pci0000:00/" + address
	tr.link("sys/bus/pci/devices/"+address, "../../../devices/pci0000:00/"+address)
	tr.link(fmt.Sprintf("sys/class/drm/card%d", number), fmt.Sprintf("../../devices/pci0000:00/%s/drm/card%d", address, number))
	tr.link(fmt.Sprintf("%s/drm/card%d/device", device, number), "../../../"+address)
	tr.link(device+"/driver", "../../../bus/pci/drivers/xe")
	for name, text := range map[string]any{
		"vendor": "0x8086", "device": "0xe20b", "class": "0x030000", "power/runtime_status": "active",
		fmt.Sprintf("drm/renderD%d/dev", 127+number): "226:128",
		"hwmon/hwmon2/name":                          "xe", "hwmon/hwmon2/energy1_input": 5_000_000, "hwmon/hwmon2/energy2_input": 1, "hwmon/hwmon2/power1_max": 190_000_000,
		"hwmon/hwmon2/power1_rated_max": 190_000_000, "hwmon/hwmon2/temp2_label": "pkg", "hwmon/hwmon2/temp2_input": 61_000,
		"hwmon/hwmon2/temp3_label": "vram", "hwmon/hwmon2/temp3_input": 72_000,
		"tile0/physical_vram_size_bytes": 12 << 30, "tile0/memory/freq0/max_freq": 2375,
		"tile0/gt0/freq0/act_freq": 2400, "tile0/gt0/freq0/rp0_freq": 2850, "tile0/gt0/gtidle/name": "gt0-rc", "tile0/gt0/gtidle/idle_residency_ms": 70_000,
		"tile0/gt0/freq0/throttle/status": 0, "tile0/gt0/freq0/throttle/reason_pl1": 0, "tile0/gt0/freq0/throttle/reason_thermal": 0,
		"tile0/gt0/freq0/throttle/reason_pl4": 0, "tile0/gt0/freq0/throttle/reason_prochot": 0,
		"tile0/gt1/freq0/act_freq": 100, "tile0/gt1/gtidle/name": "gt1-mc", "tile0/gt1/gtidle/idle_residency_ms": 90_000,
	} {
		tr.put(device+"/"+name, text)
	}
	return device
}

// xe counts energy and idle time; what is told is their growth over the last second. A media unit that sleeps halves nothing.
func TestXe(t *testing.T) {
	tr := newTree(t)
	device := tr.arc(1, "0000:03:00.0")
	integrated := tr.arc(0, integratedIntel)
	u := tr.intel().tick(1000)
	u.says(facts.SourceState_SOURCE_OK, "")
	if g := u.r.Reading().GPUs; len(g) != 1 || g[0].Name != "Intel Arc B580" || g[0].Pci != "0000:03:00.0" || g[0].MemoryTotalBytes != 12<<30 || g[0].Vendor != "intel" {
		t.Fatalf("told as %v", g)
	}
	for _, name := range tr.touched(integrated) {
		t.Errorf("%s was read", name)
	}
	u.want(telemetry.GPUPowerMW, 0, telemetry.Absent) // of one reading
	u.want(telemetry.GPUUtilPct, 0, telemetry.Absent)
	u.want(telemetry.GPUThrottleBits, 0, 0)
	tr.put(device+"/hwmon/hwmon2/energy1_input", 5_000_000+300_000_000)
	tr.put(device+"/tile0/gt0/gtidle/idle_residency_ms", 70_400)
	tr.put(device+"/tile0/gt1/gtidle/idle_residency_ms", 92_000)
	tr.put(device+"/tile0/gt0/freq0/throttle/status", 1)
	tr.put(device+"/tile0/gt0/freq0/throttle/reason_pl1", 1)
	tr.put(device+"/tile0/gt0/freq0/throttle/reason_pl4", 1)
	u.tick(2000)
	for m, want := range map[telemetry.Metric]int64{
		telemetry.GPUStatus: telemetry.GPUOK, telemetry.GPUEnergyMJ: 305_000, telemetry.GPUPowerMW: 150_000, telemetry.GPUUtilPct: 80, telemetry.GPUTempC: 61,
		telemetry.GPUMemTempC: 72, telemetry.GPUSMClockMHz: 2400, telemetry.GPUSMClockMaxMHz: 2850, telemetry.GPUMemClockMaxMHz: 2375,
		telemetry.GPUPowerLimitMW: 190_000, telemetry.GPUPowerDefaultLimitMW: 190_000, telemetry.GPUThrottleBits: throttlePowerCap,
		telemetry.GPUMemTotalBytes: 12 << 30, telemetry.GPUECCVolatileCorrected: telemetry.Absent, telemetry.GPURemapPending: telemetry.Absent,
	} {
		u.want(m, 0, want)
	}
	if r := u.r.Reading(); len(r.Parts) != 0 {
		t.Errorf("a card of one tile has parts %v", r.Parts)
	}
	// Counters that went back (the driver was loaded anew) give nothing once, then go on.
	tr.put(device+"/hwmon/hwmon2/energy1_input", 10)
	tr.put(device+"/tile0/gt0/gtidle/idle_residency_ms", 5)
	u.tick(1000).want(telemetry.GPUPowerMW, 0, telemetry.Absent)
	u.want(telemetry.GPUUtilPct, 0, telemetry.Absent)
	tr.put(device+"/hwmon/hwmon2/energy1_input", 10+70_000_000)
	u.tick(1000).want(telemetry.GPUPowerMW, 0, 70_000)
	u.want(telemetry.GPUUtilPct, 0, 100)
}

// Where the driver names no clients, the processes that have a card open are looked for, some at a time, and a descriptor that was copied counts once.
func TestOpenFiles(t *testing.T) {
	tr := newTree(t)
	tr.arc(1, "0000:03:00.0")
	tr.arc(2, "0000:07:00.0")
	client := func(pid, fd int, node, address string, id int, mib int) {
		tr.link(fmt.Sprintf("proc/%d/fd/%d", pid, fd), "/dev/dri/"+node)
		tr.put(fmt.Sprintf("proc/%d/fdinfo/%d", pid, fd), fmt.Sprintf("pos:\t0\nflags:\t02100002\ndrm-driver:\txe\ndrm-client-id:\t%d\ndrm-pdev:\t%s\n"+
			"drm-total-system:\t0\ndrm-total-vram0:\t%d MiB\ndrm-resident-vram0:\t%d MiB\ndrm-resident-gtt:\t900 MiB\ndrm-cycles-ccs:\t1\n", id, address, 2*mib, mib))
	}
	client(50, 7, "renderD128", "0000:03:00.0", 5, 100)
	client(50, 8, "renderD128", "0000:03:00.0", 6, 50)
	client(51, 7, "renderD128", "0000:03:00.0", 5, 100) // a child's copy
	client(60, 3, "card2", "0000:07:00.0", 1, 10)
	client(61, 3, "renderD199", "0000:09:00.0", 1, 10) // no card of ours
	tr.link("proc/70/fd/0", "/dev/null")
	tr.put("proc/70/fdinfo/0", "pos:\t0\n")
	for i := range 30 {
		for fd := range 100 {
			tr.link(fmt.Sprintf("proc/%d/fd/%d", 1000+i, fd), "socket:[1]")
		}
	}
	u := tr.intel().tick(1000)
	u.want(telemetry.GPUProcesses, 0, telemetry.Absent) // not yet through
	steps := 1
	for ; len(u.r.Reading().Holders) == 0 && steps < 50; steps++ {
		u.tick(1000)
	}
	if steps != 2 {
		t.Errorf("the walk took %d steps", steps)
	}
	u.held(Holder{50, 0, 0, 150 << 20, true}, Holder{60, 1, 0, 10 << 20, true})
	u.want(telemetry.GPUProcesses, 0, 1)
	u.tick(1000).want(telemetry.GPUMemUsedBytes, 0, 150<<20)
	u.want(telemetry.GPUMemUsedBytes, 1, 10<<20)
	// The next walk begins 10 s after the first; until it ends, the old list holds.
	tr.remove("proc/50")
	client(52, 4, "renderD129", "0000:07:00.0", 9, 1)
	u.tick(1000).want(telemetry.GPUProcesses, 0, 1)
	for range 20 {
		u.tick(1000)
	}
	u.held(Holder{51, 0, 0, 100 << 20, true}, Holder{52, 1, 0, 1 << 20, true}, Holder{60, 1, 0, 10 << 20, true})
	// An old process without a card is looked at seldom, one that has one each time.
	for range 70 {
		u.tick(1000)
	}
	client(1000, 200, "renderD128", "0000:03:00.0", 77, 5)
	tr.remove("proc/60")
	seen := 0
	for ; seen < 100 && u.get(telemetry.GPUProcesses, 0) != 2; seen++ {
		u.tick(1000)
	}
	if seen > 75 {
		t.Errorf("found after %d s", seen)
	}
	u.want(telemetry.GPUProcesses, 1, 1)
}

// Intel's own i915 on Max 1550: memory, processes and the engines' time from its own files; no walk through /proc.
func TestMax1550(t *testing.T) {
	tr := newTree(t)
	tr.lay("intel-max")
	u := tr.intel().tick(1000)
	r := u.r.Reading()
	if len(r.GPUs) != 4 || len(r.Parts) != 8 || r.Parts[3].Gpu != 1 || r.Parts[3].Name != "tile 1" {
		t.Fatalf("%d cards, parts %v", len(r.GPUs), r.Parts)
	}
	u.held(Holder{8200, 0, 0, 21 << 30, true}, Holder{8201, 0, 0, 21 << 30, true}, Holder{8202, 1, 0, 21 << 30, true}, Holder{8203, 1, 0, 21 << 30, true},
		Holder{8204, 2, 0, 21 << 30, true}, Holder{8205, 2, 0, 21 << 30, true})
	for _, name := range tr.touched("proc/") {
		if strings.Contains(name, "fdinfo") {
			t.Errorf("%s was read", name)
		}
	}
	busy := func(card, client, ms int) {
		tr.put(fmt.Sprintf("sys/class/drm/card%d/clients/%d/busy/4", card, client), 6_000_000_000_000+int64(ms)*1_000_000)
	}
	busy(1, 11, 0)
	busy(1, 12, 0)
	u.tick(1000)
	busy(1, 11, 2000)
	busy(1, 12, 1000)
	tr.remove("sys/class/drm/card2/clients/12") // a process ended
	u.tick(2000)
	u.want(telemetry.GPUUtilPct, 0, 75) // one tile the whole time, the other half of it
	u.want(telemetry.GPUUtilPct, 1, 0)
	u.want(telemetry.GPUUtilPct, 3, 0)
	u.want(telemetry.GPUMemUsedBytes, 3, 600<<20)
	u.want(telemetry.PartMemTotalBytes, 0, 64<<30)
	u.tick(6000).want(telemetry.GPUProcesses, 1, 1)
	u.says(facts.SourceState_SOURCE_OK, "0000:29:00.0: memory health: ec_pending")
}

// A tile more than the first has its own part, and the card is as busy as they are on the mean.
func TestTiles(t *testing.T) {
	tr := newTree(t)
	device := tr.arc(1, "0000:03:00.0")
	tr.put(device+"/tile1/physical_vram_size_bytes", 12<<30)
	tr.put(device+"/tile1/gt2/gtidle/idle_residency_ms", 100)
	u := tr.intel().tick(1000)
	tr.put(device+"/tile0/gt0/gtidle/idle_residency_ms", 70_000)
	tr.put(device+"/tile1/gt2/gtidle/idle_residency_ms", 1100)
	u.tick(1000)
	if r := u.r.Reading(); len(r.Parts) != 2 || r.GPUs[0].MemoryTotalBytes != 24<<30 {
		t.Fatalf("parts %v of %v", r.Parts, r.GPUs[0])
	}
	u.want(telemetry.PartUtilPct, 0, 100)
	u.want(telemetry.PartUtilPct, 1, 0)
	u.want(telemetry.GPUUtilPct, 0, 50)
	u.want(telemetry.PartMemTotalBytes, 1, 12<<30)
}
