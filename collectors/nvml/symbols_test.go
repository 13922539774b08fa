package nvml

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"foretop/telemetry"
)

// always are functions that every driver has which runs on a machine of today: without them there is nothing to read.
var always = []string{"nvmlInit_v2", "nvmlInit", "nvmlShutdown", "nvmlErrorString", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"}

// Each function of the driver missing by itself: go-nvml would die in a call of it. Nothing else is lost but what it told.
func TestEachMissingSymbol(t *testing.T) {
	t.Parallel()
	driver := filepath.Join(programs(t).driver, "libnvidia-ml.so.1")
	f, err := elf.Open(driver)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, s := range symbols {
		if !strings.HasPrefix(s.Name, "nvml") || s.Section == elf.SHN_UNDEF || slices.Contains(always, s.Name) {
			continue
		}
		tried++
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command("sh", "../../testdata/nvml/build.sh", dir, s.Name)
			cmd.Env = append(os.Environ(), "OBJECTS="+programs(t).driver)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			p := play(t, dir, "machine gb200", "gpus 2", "wobble 0", "gpu 1 mig 1", "gpu 1 instance 1 0 1 1 16384 5 22", "gpu 0 nvlinks 2")
			pid := p.Report(nil).PID
			p.Detail(true)
			r := p.until("all kinds of rounds", func(r Report) bool { return r.Rounds > 2 && r.SlowMS > 0 && r.CallsMS > 0 })
			if r.Health != OK || len(r.Inventory.GPUs) != 2 || pid != 0 && r.PID != pid {
				t.Errorf("health %d, %q, pid %d, was %d, %+v", r.Health, r.Text, r.PID, pid, r.Inventory)
			}
			for i := range 2 {
				p.want(telemetry.GPUStatus, i, telemetry.GPUOK)
			}
			if s.Name != "nvmlDeviceGetFieldValues" {
				p.want(telemetry.GPUPowerLimitMW, 0, 1200000)
			}
			if !strings.HasPrefix(s.Name, "nvmlDeviceGetTemperature") {
				p.want(telemetry.GPUTempC, 0, 56)
			}
			if p.Close(); p.Report(nil).Text != "" {
				t.Errorf("at the end: %q", p.Report(nil).Text)
			}
		})
	}
	if tried < 70 {
		t.Errorf("only %d functions were tried", tried)
	}
}
