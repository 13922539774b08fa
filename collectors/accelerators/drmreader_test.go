package accelerators

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// A machine without accelerators costs a listing every 30 s, and of the bus every 5 min.
func TestNoAccelerators(t *testing.T) {
	tr := newTree(t)
	tr.put("sys/bus/pci/devices/0000:01:00.0/vendor", "0x144d")
	tr.link("sys/class/drm/card0/device", "../../../devices/pci0000:00/0000:03:00.0")
	u := tr.amd()
	for i := range 100 {
		u.tick(1000).says(facts.SourceState_SOURCE_UNSUPPORTED, "no AMD accelerators here")
		if i == 0 {
			clear(tr.opened)
		}
	}
	if len(tr.opened) != 0 || u.r.Reading().Generation != 0 {
		t.Errorf("read %v, generation %d", tr.opened, u.r.Reading().Generation)
	}
	if allocs := testing.AllocsPerRun(100, func() { u.tick(0) }); allocs > 0 {
		t.Errorf("%v allocations a reading", allocs)
	}
	// One that is plugged in, or whose driver is loaded, is there half a minute later.
	tr.mi300x(1, "0000:05:00.0")
	for range 31 {
		u.tick(1000)
	}
	u.want(telemetry.GPUUtilPct, 0, 46)
}

// Screens' cards, processors' own graphics, connectors and the cards of partitions are no accelerators.
func TestWhichCards(t *testing.T) {
	tr := newTree(t)
	tr.mi300x(10, "0000:05:00.0") // beyond one digit
	tr.mi300x(1, "0000:45:00.0")
	radeon, apu, asleep, muxless := tr.mi300x(2, "0000:0a:00.0"), tr.mi300x(3, "0000:0b:00.0"), tr.mi300x(4, "0000:0c:00.0"), tr.mi300x(5, "0000:0d:00.0")
	for _, d := range []string{radeon, apu, asleep, muxless} {
		tr.put(d+"/class", "0x030000")
		tr.put(d+"/device", "0x744c")
	}
	tr.put(apu+"/mem_info_vram_total", 512<<20)
	tr.put(muxless+"/mem_info_vram_total", 512<<20)
	tr.put(muxless+"/class", "0x038000")
	tr.put(asleep+"/power/runtime_status", "suspended")
	bmc := tr.mi300x(0, "0000:f1:00.0")
	tr.link(bmc+"/driver", "../../../bus/pci/drivers/ast")
	tr.put(bmc+"/vendor", "0x1a03")
	tr.put(bmc+"/class", "0x030000")
	tr.link("sys/class/drm/card11", "../../devices/platform/amdgpu_xcp_0/drm/card11")
	tr.link("sys/devices/platform/amdgpu_xcp_0/drm/card11/device", "../../../amdgpu_xcp_0")
	for _, n := range []string{"card10-DP-1", "renderD128", "version", "cardX"} {
		tr.put("sys/class/drm/"+n, "")
	}
	u := tr.amd().tick(1000)
	var got []string
	for _, g := range u.r.Reading().GPUs {
		got = append(got, g.Pci+" "+g.Name)
	}
	if want := "0000:05:00.0 AMD Instinct MI300X, 0000:0a:00.0 AMD GPU 744c, 0000:45:00.0 AMD Instinct MI300X"; strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	u.says(facts.SourceState_SOURCE_OK, "")
}

// A card that sleeps is left asleep: nothing of it is read but whether it still sleeps.
func TestSleepingCardIsNotTouched(t *testing.T) {
	tr := newTree(t)
	tr.mi300x(1, "0000:05:00.0")
	device := tr.mi300x(2, "0000:45:00.0")
	tr.put(device+"/power/runtime_status", "suspended")
	u := tr.amd()
	for range 70 {
		u.tick(1000)
	}
	for _, name := range tr.touched("card2/") {
		switch name[strings.LastIndex(name, "device/")+len("device/"):] {
		case "power/runtime_status", "local_cpulist", "numa_node": // the PCI core's own
		default:
			t.Errorf("%s was read", name)
		}
	}
	g := u.r.Reading().GPUs[1]
	if !strings.HasPrefix(g.Note, "asleep") || g.Uuid != "" || g.Name != "AMD Instinct MI300X" {
		t.Errorf("told as %v", g)
	}
	u.want(telemetry.GPUStatus, 1, telemetry.GPUOK)
	u.want(telemetry.GPUUtilPct, 1, telemetry.Absent)
	u.want(telemetry.GPUUtilPct, 0, 46)
	u.says(facts.SourceState_SOURCE_OK, "")
	// Awake it is read at once, and what was read is gone when it sleeps again.
	tr.put(device+"/power/runtime_status", "active")
	u.tick(1000).want(telemetry.GPUUtilPct, 1, 46)
	if g := u.r.Reading().GPUs[1]; g.Note != "" || g.Uuid != "GPU-0123456789abc45f" {
		t.Errorf("awake it is told as %v", g)
	}
	tr.put(device+"/power/runtime_status", "suspending")
	clear(tr.opened)
	u.tick(1000).want(telemetry.GPUUtilPct, 1, telemetry.Absent)
	u.want(telemetry.GPUECCVolatileCorrected, 1, telemetry.Absent)
	if names := tr.touched("card2/"); len(names) != 1 {
		t.Errorf("read %v", names)
	}
	if g := u.r.Reading().GPUs[1]; g.Uuid != "GPU-0123456789abc45f" {
		t.Errorf("asleep it is told as %v", g)
	}
}

// While the driver resets a card it is busy: the card says so, the others go on, and it comes back.
func TestReset(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		note string
	}{
		"now":          {syscall.EBUSY, "in reset, or being brought up"},
		"older kernel": {syscall.EPERM, "in reset or suspended"},
		"broken":       {syscall.EIO, "input/output error"},
		"timed out":    {syscall.ETIME, "timer expired"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t)
			tr.mi300x(1, "0000:05:00.0")
			tr.mi300x(2, "0000:45:00.0")
			u := tr.amd().tick(1000)
			tr.errors["card2/device/gpu_metrics"] = c.err
			u.tick(1000).want(telemetry.GPUStatus, 1, telemetry.GPUFailing)
			u.want(telemetry.GPUUtilPct, 1, telemetry.Absent)
			u.want(telemetry.GPUStatus, 0, telemetry.GPUOK)
			u.want(telemetry.GPUUtilPct, 0, 46)
			if g := u.r.Reading().GPUs[1]; !strings.Contains(g.Note, c.note) || g.Uuid == "" {
				t.Errorf("told as %v", g)
			}
			u.says(facts.SourceState_SOURCE_OK, "1 of 2 accelerators cannot be read: 0000:45:00.0: ")
			delete(tr.errors, "card2/device/gpu_metrics")
			u.tick(1000).want(telemetry.GPUStatus, 1, telemetry.GPUOK)
			u.want(telemetry.GPUUtilPct, 1, 46)
			u.says(facts.SourceState_SOURCE_OK, "")
			if g := u.r.Reading().GPUs[1]; g.Note != "" {
				t.Errorf("afterwards %q", g.Note)
			}
			tr.errors["/gpu_metrics"] = c.err
			u.tick(1000).says(facts.SourceState_SOURCE_FAILING, "none of the accelerators can be read")
		})
	}
}

// What a driver refuses for good is asked once; the other files give what they have.
func TestRefusedFile(t *testing.T) {
	for _, err := range []error{syscall.EINVAL, syscall.EOPNOTSUPP, syscall.ENODATA, syscall.EACCES} {
		words := ""
		if err == syscall.EACCES {
			words = "this user may not read sys/class/drm/card1/device/gpu_metrics"
		}
		tr := newTree(t)
		device := tr.mi300x(1, "0000:05:00.0")
		hwmon := device + "/hwmon/hwmon3/"
		for name, text := range map[string]any{"name": "amdgpu", "temp1_label": "edge", "temp1_input": 41000, "temp2_label": "junction", "temp2_input": 52000,
			"power1_average": 310_000_000, "freq1_input": 1_500_000_000, "power1_cap": 560_000_000} {
			tr.put(hwmon+name, text)
		}
		tr.errors["/gpu_metrics"] = err
		u := tr.amd()
		for range 10 {
			u.tick(1000)
		}
		if n := tr.opened["sys/class/drm/card1/device/gpu_metrics"]; n != 1 {
			t.Errorf("%v: asked %d times", err, n)
		}
		u.want(telemetry.GPUStatus, 0, telemetry.GPUOK)
		u.want(telemetry.GPUUtilPct, 0, 7)
		u.want(telemetry.GPUTempC, 0, 52)
		u.want(telemetry.GPUPowerMW, 0, 310_000)
		u.want(telemetry.GPUSMClockMHz, 0, 1500)
		u.want(telemetry.GPUPowerLimitMW, 0, 560_000)
		u.want(telemetry.GPUMemTempC, 0, telemetry.Absent)
		u.want(telemetry.GPUThrottleBits, 0, telemetry.Absent)
		u.says(facts.SourceState_SOURCE_OK, words)
	}
}

// A card whose firmware does not answer makes each reading wait for seconds: after some it is asked seldom, and the others are not held up.
func TestBrokenCardIsAskedSeldom(t *testing.T) {
	tr := newTree(t)
	tr.mi300x(1, "0000:05:00.0")
	tr.mi300x(2, "0000:45:00.0")
	u := tr.amd().tick(1000)
	tr.errors["card2/device/gpu_metrics"] = syscall.ETIME
	clear(tr.opened)
	for range 60 {
		u.tick(1000).want(telemetry.GPUStatus, 1, telemetry.GPUFailing)
		u.want(telemetry.GPUStatus, 0, telemetry.GPUOK)
	}
	if n := tr.opened["sys/class/drm/card2/device/gpu_metrics"]; n > 10 {
		t.Errorf("asked %d times in a minute", n)
	}
	clear(tr.errors)
	for range 11 {
		u.tick(1000)
	}
	u.want(telemetry.GPUStatus, 1, telemetry.GPUOK)
}

// A version of gpu_metrics that is not known is said to be so, once, and the plain files are read.
func TestUnknownMetrics(t *testing.T) {
	tr := newTree(t)
	device := tr.mi300x(1, "0000:05:00.0")
	tr.put(device+"/gpu_metrics", append([]byte{200, 0, 1, 42}, make([]byte, 196)...))
	u := tr.amd()
	for range 5 {
		u.tick(1000).says(facts.SourceState_SOURCE_OK, "0000:05:00.0: version 1.42 of gpu_metrics (200 bytes) is not known here: its plain files are read instead")
	}
	u.want(telemetry.GPUUtilPct, 0, 7)
	u.want(telemetry.GPUStatus, 0, telemetry.GPUOK)
	if n := tr.opened["sys/class/drm/card1/device/gpu_metrics"]; n != 1 {
		t.Errorf("asked %d times", n)
	}
	// One that is cut short is no new version: it is asked for again.
	tr.put(device+"/gpu_metrics", buildMetrics(7, every)[:1000])
	u = tr.amd()
	u.tick(1000).says(facts.SourceState_SOURCE_OK, "cut short")
	tr.put(device+"/gpu_metrics", buildMetrics(7, every))
	u.tick(1000).says(facts.SourceState_SOURCE_OK, "")
	u.want(telemetry.GPUUtilPct, 0, 46)
}

// A card that falls off the bus is lost, not forgotten, and is itself again when it comes back, whatever its number is then.
func TestCardGoesAndComesBack(t *testing.T) {
	tr := newTree(t)
	tr.mi300x(1, "0000:05:00.0")
	device := tr.mi300x(2, "0000:45:00.0")
	tr.mi300x(3, "0000:85:00.0")
	u := tr.amd().tick(1000)
	uuid := u.r.Reading().GPUs[1].Uuid
	generation := u.r.Reading().Generation
	tr.remove(device)
	tr.remove("sys/class/drm/card2")
	tr.remove("sys/bus/pci/devices/0000:45:00.0")
	tr.errors["card2/device/gpu_metrics"] = syscall.ENODEV // what a file gives that was open before
	tr.errors["card2/device/power/runtime_status"] = syscall.ENODEV
	u.tick(1000).want(telemetry.GPUStatus, 1, telemetry.GPUFailing)
	u.tick(1000).want(telemetry.GPUStatus, 1, telemetry.GPULost)
	for i, want := range []int64{46, telemetry.Absent, 46} {
		u.want(telemetry.GPUUtilPct, i, want)
	}
	u.want(telemetry.GPUProcesses, 1, telemetry.Absent)
	if g := u.r.Reading().GPUs; len(g) != 3 || g[1].Note != "gone from the PCI bus" || g[1].Uuid != uuid || u.r.Reading().Generation == generation {
		t.Errorf("told as %v", g)
	}
	u.says(facts.SourceState_SOURCE_OK, "1 of 3 accelerators cannot be read: 0000:45:00.0: gone from the PCI bus")
	clear(tr.errors)
	tr.mi300x(7, "0000:45:00.0")
	for range 31 {
		u.tick(1000)
	}
	u.want(telemetry.GPUStatus, 1, telemetry.GPUOK)
	u.want(telemetry.GPUUtilPct, 1, 46)
	if g := u.r.Reading().GPUs; len(g) != 3 || g[1].Note != "" || g[1].Uuid != uuid {
		t.Errorf("back it is told as %v", g)
	}
	// A driver that is unloaded leaves the device on the bus; one that is given to a virtual machine is no concern of ours.
	tr.remove("sys/class/drm/card7")
	tr.remove(device + "/driver")
	for range 31 {
		u.tick(1000)
	}
	u.want(telemetry.GPUStatus, 1, telemetry.GPUFailing)
	tr.link(device+"/driver", "../../../bus/pci/drivers/vfio-pci")
	for range 31 {
		u.tick(1000)
	}
	r := u.r.Reading()
	if len(r.GPUs) != 2 || len(r.Unseen) != 1 || r.Unseen[0].Why != "driver vfio-pci" {
		t.Errorf("%d accelerators, unseen %v", len(r.GPUs), r.Unseen)
	}
}

// Accelerators without any driver are told, with what to do.
func TestNoDriver(t *testing.T) {
	tr := newTree(t)
	for _, address := range []string{"0000:05:00.0", "0000:45:00.0"} {
		device := tr.mi300x(1, address)
		tr.remove(device + "/driver")
	}
	tr.remove("sys/class/drm/card1")
	u := tr.amd().tick(1000)
	u.says(facts.SourceState_SOURCE_FAILING, "accelerators that no driver shows: 0000:05:00.0 (no driver), 0000:45:00.0 (no driver)")
	if r := u.r.Reading(); len(r.Unseen) != 2 || r.Generation == 0 {
		t.Errorf("%+v", r)
	}
}

// Sixteen cards, the slow readings spread over seconds but told together, with one time.
func TestSixteenCards(t *testing.T) {
	tr := newTree(t)
	for i := range 16 {
		device := tr.mi300x(i, fmt.Sprintf("0000:%02x:00.0", 5+i*8))
		tr.put(device+"/ras/umc_err_count", "ue: 0\nce: 1")
	}
	u := tr.amd().tick(1000)
	if r := u.r.Reading(); len(r.GPUs) != 16 || len(r.Links) != 16*7 || r.SlowMS != tr.ms {
		t.Fatalf("%d cards, %d links, slow at %d", len(r.GPUs), len(r.Links), r.SlowMS)
	}
	for i := range 16 {
		u.want(telemetry.GPUECCVolatileCorrected, i, 1)
		tr.put(fmt.Sprintf("sys/class/drm/card%d/device/ras/umc_err_count", i), "ue: 0\nce: 3")
	}
	told := u.r.Reading().SlowMS
	for range 60 {
		before := len(tr.opened)
		clear(tr.opened)
		u.tick(1000)
		errors := 0
		for name := range tr.opened {
			if strings.HasSuffix(name, "_err_count") {
				errors++
			}
		}
		if errors > 2 {
			t.Fatalf("errors of %d cards in one second (%d files)", errors, before)
		}
		want := int64(1)
		if u.r.Reading().SlowMS != told {
			want = 3
		}
		for i := range 16 {
			u.want(telemetry.GPUECCVolatileCorrected, i, want)
		}
		if want == 3 {
			return
		}
	}
	t.Error("the slow readings did not come")
}

// What a driver says is hostile until it is checked.
func TestHostileWords(t *testing.T) {
	tr := newTree(t)
	device := tr.mi300x(1, "0000:05:00.0")
	long := strings.Repeat("x", 100_000)
	for name, text := range map[string]any{
		"unique_id": "\x1b[31m" + long, "vbios_version": long, "product_name": "a\u202eb", "serial_number": "\xff\xfe", "local_cpulist": long, "numa_node": "99999999999",
		"mem_info_vram_used": "-1", "mem_info_vram_total": "999999999999999999999999", "ras/umc_err_count": long, "ras/gpu_vram_bad_pages": long,
		"pp_dpm_sclk": "0: 99999999999999999999Mhz", "current_link_speed": long, "current_link_width": "255", "gpu_metrics": []byte(long),
	} {
		tr.put(device+"/"+name, text)
	}
	u := tr.amd().tick(1000)
	g := u.r.Reading().GPUs[0]
	for _, w := range []string{g.Uuid, g.Vbios, g.Name, g.Serial, g.CpuAffinity, g.Note} {
		if w != telemetry.Clean(w, 512) || len(w) > 300 {
			t.Errorf("%d bytes: %.60q", len(w), w)
		}
	}
	for _, m := range []telemetry.Metric{telemetry.GPUMemUsedBytes, telemetry.GPUMemTotalBytes, telemetry.GPUSMClockMaxMHz, telemetry.GPUPCIeGen, telemetry.GPUPCIeWidth} {
		if v := u.get(m, 0); v != telemetry.Absent && v < 0 {
			t.Errorf("metric %d is %d", m, v)
		}
	}
	if g.NumaNode != -1 {
		t.Errorf("NUMA node %d", g.NumaNode)
	}
	if _, err := facts.Encode(&facts.Inventory{Gpus: u.r.Reading().GPUs}); err != nil {
		t.Error(err)
	}
}
