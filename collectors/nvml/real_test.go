package nvml

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"foretop/telemetry"
)

func TestEightGPUs(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "wobble 0", "gpu * power_mw 690000", "gpu 3 temp_c 91", "gpu 0 proc 4242 71000000000",
		"gpu 5 proc 4243 1073741824 2 0", "gpu 5 proc 4244 18446744073709551615", "gpu 2 ecc_dbe_agg 7", "gpu 6 remap_pending 1", "gpu 7 pcie_width 8")
	r := p.until("slow readings and activity", func(r Report) bool {
		return r.SlowMS > 0 && r.Rounds > 5 && len(r.Processes) == 3
	})
	if r.Health != OK || r.Text != "" || r.Via != "nvml" || r.PID == 0 || r.StuckFor != 0 {
		t.Errorf("report %+v, want a healthy one", r)
	}
	if inv := r.Inventory; len(inv.GPUs) != 8 || inv.Driver != "550.90.07" || inv.CUDA != "12.4" {
		t.Errorf("inventory %+v", inv)
	}
	want := GPU{UUID: "GPU-f0e70b00-0007-4a5e-8d21-0000005eed07", Name: "NVIDIA H100 80GB HBM3", PCI: "0000:db:00.0", Minor: 7, Serial: "1653423011007",
		VBIOS: "96.00.74.00.0D", ComputeCapability: "9.0", Architecture: "Hopper", BoardPart: "692-2G520-0200-003", Firmware: "550.90.07", InfoROM: "G520.0200.00.05",
		ModuleID: 8, NUMANode: -1, MemoryBytes: 85520809984}
	if got := r.Inventory.GPUs[7]; got != want {
		t.Errorf("GPU 7 is %+v, want %+v", got, want)
	}
	for i := range 8 {
		for m, v := range map[telemetry.Metric]int64{
			telemetry.GPUStatus: telemetry.GPUOK, telemetry.GPUPowerMW: 690000, telemetry.GPUPowerLimitMW: 700000, telemetry.GPUUtilPct: 96,
			telemetry.GPUMemUtilPct: 48, telemetry.GPUMemUsedBytes: 71000000000 / mebi * mebi, telemetry.GPUMemTotalBytes: 85520809984,
			telemetry.GPUMemTempC: 64, telemetry.GPUSMClockMHz: 1755, telemetry.GPUMemClockMHz: 2619, telemetry.GPUSMClockMaxMHz: 1980,
			telemetry.GPUThrottleBits: 4, telemetry.GPUSMActivityPermille: 880, telemetry.GPUTensorActivityPermille: 420,
			telemetry.GPUDRAMActivityPermille: 510, telemetry.GPUSlowdownTempC: 87, telemetry.GPUShutdownTempC: 92, telemetry.GPUPCIeGen: 5,
			telemetry.GPUPCIeGenMax: 5, telemetry.GPUPCIeWidthMax: 16, telemetry.GPUECCVolatileUncorrected: 0, telemetry.GPUECCAggregateCorrected: 2,
			telemetry.GPURemapFailure: 0, telemetry.GPUPCIeReplays: 0,
		} {
			p.want(m, i, v)
		}
	}
	p.want(telemetry.GPUTempC, 3, 91)
	p.want(telemetry.GPUECCAggregateUncorrected, 2, 7)
	p.want(telemetry.GPURemapPending, 6, 1)
	p.want(telemetry.GPUPCIeWidth, 7, 8)
	p.want(telemetry.GPUProcesses, 5, 2)
	p.want(telemetry.GPUProcesses, 1, 0)
	p.want(telemetry.GPUEncoderPct, 0, telemetry.Absent)
	procs := []Process{process(4242, 0, 71000000000, true, -1), process(4243, 5, 1<<30, true, 2), process(4244, 5, 0, false, -1)}
	if !slices.Equal(r.Processes, procs) {
		t.Errorf("processes %+v, want %+v", r.Processes, procs)
	}
	p.Detail(true)
	r = p.until("counters", func(Report) bool {
		return p.state.Get(telemetry.GPUNVLinkTXBytes, 0) > 0 && p.state.Get(telemetry.GPUEnergyMJ, 0) > 0
	})
	energy, sent := p.state.Get(telemetry.GPUEnergyMJ, 0), p.state.Get(telemetry.GPUNVLinkTXBytes, 0)
	later := p.next(20) // energy is read in each fifth round
	dt := later.FastMS - r.FastMS
	if got := p.state.Get(telemetry.GPUEnergyMJ, 0) - energy; dt <= 0 || got < 690*dt*7/10-1000 || got > 690*dt*13/10+1000 {
		t.Errorf("%d mJ in %d ms at 690 W", got, dt)
	}
	if p.state.Get(telemetry.GPUNVLinkTXBytes, 0) <= sent {
		t.Error("NVLink bytes stand still")
	}
	p.change("wobble 0", "gpu 0 proc 99 1", "gpu * util 3")
	p.until("the change", func(r Report) bool {
		return p.state.Get(telemetry.GPUUtilPct, 7) == 3 && len(r.Processes) == 1 && r.Processes[0].PID == 99
	})
}

func TestProcessesFromFile(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	p := play(t, programs(t).driver, "gpu 1 procs_from "+pids)
	p.until("no process", func(r Report) bool { return r.ProcessesKnown && len(r.Processes) == 0 })
	if err := os.WriteFile(pids, []byte("4711 2147483648\n4712\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := p.until("two processes", func(r Report) bool { return len(r.Processes) == 2 })
	if want := process(4711, 1, 2<<30, true, -1); r.Processes[0] != want {
		t.Errorf("got %+v, want %+v", r.Processes[0], want)
	}
}

func TestInitErrors(t *testing.T) {
	for _, c := range []struct {
		profile, text string
		pci           bool
		health        Health
	}{
		{"init error 9", "the NVIDIA kernel driver is not loaded", false, Unsupported},
		{"init error 9", "the NVIDIA kernel driver is not loaded", true, Failing},
		{"init error 18", "driver and library have different versions", false, Failing},
		{"init error 4", "nvmlInit: Insufficient Permissions", false, Denied},
		{"gpus 0", "the NVIDIA driver runs, but there is no GPU", false, Unsupported},
		{"gpus 0", "the driver shows none of the 1 NVIDIA GPUs: 1 no driver bound", true, Failing},
		{"gpu * denied", "the driver shows none of the 8 NVIDIA GPUs: 8 not visible to this user", false, Denied},
		{"call nvmlDeviceGetCount_v2 999", "nvmlDeviceGetCount: Unknown Error", false, Failing},
	} {
		t.Run(c.profile, func(t *testing.T) {
			t.Parallel()
			profile := filepath.Join(t.TempDir(), "profile")
			if err := os.WriteFile(profile, []byte(c.profile+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			if c.pci {
				fakePCI(t, root, "0000:19:00.0", "")
			}
			b := programs(t)
			s := start(context.Background(), Options{Reader: b.reader, Root: root, Env: []string{"LD_LIBRARY_PATH=" + b.driver, "FORETOP_PLAY_NVML=" + profile}}, time.Hour, time.Hour)
			defer s.Close()
			p := &played{Source: s, t: t}
			r := p.until("a condition", func(r Report) bool { return r.Health != Unknown && r.PID == 0 })
			if r.Health != c.health || r.Text != c.text || (r.Remedy == "") != (r.Health == Unsupported) && c.health != Failing {
				t.Errorf("health %d, %q, remedy %q; want %d, %q", r.Health, r.Text, r.Remedy, c.health, c.text)
			}
		})
	}
}

// fakePCI puts an NVIDIA GPU on a machine's PCI bus, for a driver to have it, or ("") none.
func fakePCI(t *testing.T, root, pci, driver string) {
	t.Helper()
	dir := filepath.Join(root, "sys/bus/pci/devices", pci)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{"vendor": "0x10de\n", "class": "0x030200\n", "numa_node": "1\n", "local_cpulist": "0-55,112-167\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(v), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if driver == "" {
		return
	}
	drivers := filepath.Join(root, "sys/bus/pci/drivers", driver)
	if err := os.MkdirAll(drivers, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../../bus/pci/drivers/"+driver, filepath.Join(dir, "driver")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../../devices/pci/"+pci, filepath.Join(drivers, pci)); err != nil {
		t.Fatal(err)
	}
}

func TestNoDriver(t *testing.T) {
	t.Parallel()
	s := start(context.Background(), Options{Reader: programs(t).reader, Root: t.TempDir(), Env: []string{"LD_LIBRARY_PATH=" + t.TempDir()}}, time.Hour, time.Hour)
	defer s.Close()
	p := &played{Source: s, t: t}
	r := p.until("a condition", func(r Report) bool { return r.Health != Unknown })
	if r.Health != Unsupported || r.Text != "no NVIDIA driver library" {
		t.Errorf("health %d, %q", r.Health, r.Text)
	}
}

func TestOldDriver(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).oldDriver, "driver 450.248.02", "cuda 11000", "max_field 146", "wobble 0", "gpu 0 proc 77 1048576", "gpu 1 throttle 64")
	r := p.until("readings", func(r Report) bool { return r.Rounds > 3 && r.SlowMS > 0 && len(r.Processes) == 1 })
	if r.Health != OK || r.Inventory.Driver != "450.248.02" || r.Inventory.CUDA != "11.0" || len(r.Inventory.GPUs) != 8 {
		t.Errorf("report %+v", r)
	}
	for m, v := range map[telemetry.Metric]int64{
		telemetry.GPUPowerMW: 450000, telemetry.GPUPowerLimitMW: 700000, telemetry.GPUTempC: 56, telemetry.GPUThrottleBits: 64, telemetry.GPUUtilPct: 96,
		telemetry.GPUMemUsedBytes: (71000000000 + 570425344) / mebi * mebi, // version 1 counts what is reserved
		telemetry.GPUPCIeGen:      5, telemetry.GPUECCAggregateCorrected: 2, telemetry.GPURemapPending: 0,
		// and what that driver cannot tell is absent, not zero
		telemetry.GPUPowerAvgMW: telemetry.Absent, telemetry.GPUMemReservedBytes: telemetry.Absent, telemetry.GPUSMActivityPermille: telemetry.Absent,
		telemetry.GPUTensorActivityPermille: telemetry.Absent, telemetry.GPUDRAMActivityPermille: telemetry.Absent,
	} {
		p.want(m, 1, v)
	}
}

func TestSlowDriverIsNotStuck(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "gpus 3", "gpu 1 latency_ms 250")
	r := p.until("two rounds", func(r Report) bool { return r.Rounds > 3 && r.Round > 0 })
	if r.Health != OK || r.Round < time.Second {
		t.Errorf("health %d, %q, a round of %v; want a slow one", r.Health, r.Text, r.Round)
	}
}
