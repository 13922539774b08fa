package nvml

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

func TestLostGPUComesBack(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "gpu 2 lost", "wobble 0", "gpu 3 temp_c 33")
	r := p.until("a start without one", func(r Report) bool { return r.Rounds > 2 })
	if len(r.Inventory.GPUs) != 8 || r.Inventory.GPUs[2].UUID != "" || r.Inventory.GPUs[2].Note != "GPU is lost" {
		t.Errorf("inventory %+v", r.Inventory)
	}
	p.want(telemetry.GPUStatus, 2, telemetry.GPULost)
	p.want(telemetry.GPUTempC, 3, 33)
	p.change("wobble 0", "gpu 2 temp_c 22", "gpu 3 temp_c 33")
	r = p.until("its return", func(r Report) bool {
		return p.state.Get(telemetry.GPUStatus, 2) == telemetry.GPUOK && r.Inventory.GPUs[2].UUID != ""
	})
	p.next(2)
	p.want(telemetry.GPUTempC, 2, 22)
	p.want(telemetry.GPUTempC, 3, 33)
	if len(r.Inventory.GPUs) != 8 || r.Inventory.GPUs[2].Note != "" || r.PID != p.Report(nil).PID {
		t.Errorf("inventory %+v", r.Inventory)
	}
}

func TestGoneGPUKeepsItsPlaceOverARestart(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "wobble 0", "gpu 4 temp_c 44")
	p.next(2)
	p.change("crash")
	p.until("the crash", func(r Report) bool { return r.Health == Failing })
	p.change("wobble 0", "gpu 3 gone", "gpu 4 temp_c 44")
	r := p.until("seven GPUs", func(r Report) bool { return r.Health == OK && p.state.Get(telemetry.GPUStatus, 3) == telemetry.GPULost })
	if len(r.Inventory.GPUs) != 8 || !strings.Contains(r.Inventory.GPUs[3].UUID, "-0003-") {
		t.Errorf("inventory %+v", r.Inventory)
	}
	p.want(telemetry.GPUTempC, 3, telemetry.Absent)
	p.want(telemetry.GPUTempC, 4, 44) // not moved down with the driver's index
}

// The driver's own order is not identity: after a reset it may be another, and each GPU keeps its place.
func TestOrderChanges(t *testing.T) {
	t.Parallel()
	temps := []string{"wobble 0"}
	for i := range 8 {
		temps = append(temps, "gpu "+strconv.Itoa(i)+" temp_c "+strconv.Itoa(40+i))
	}
	p := play(t, programs(t).driver, temps...)
	pid := p.next(2).PID
	p.change(append(temps, "gpu 6 lost")...)
	p.until("the loss", func(Report) bool { return p.state.Get(telemetry.GPUStatus, 6) == telemetry.GPULost })
	p.change(append(temps, "order 7 6 5 4 3 2 1 0")...)
	p.until("its return", func(Report) bool { return p.state.Get(telemetry.GPUStatus, 6) == telemetry.GPUOK })
	r := p.next(2)
	for i := range 8 {
		p.want(telemetry.GPUTempC, i, int64(40+i))
		if g := r.Inventory.GPUs[i]; !strings.Contains(g.UUID, "-000"+strconv.Itoa(i)+"-") || g.Minor != i {
			t.Errorf("place %d: %+v", i, g)
		}
	}
	if r.PID != pid || len(r.Inventory.GPUs) != 8 {
		t.Errorf("pid %d, was %d; %d GPUs", r.PID, pid, len(r.Inventory.GPUs))
	}
}

// A GPU that is gone, not only lost, comes back under another number of the driver.
func TestGoneGPUComesBackElsewhere(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "gpus 4", "wobble 0", "gpu 1 temp_c 41", "gpu 2 temp_c 42")
	p.next(2)
	p.change("gpus 4", "wobble 0", "gpu 1 gone", "gpu 2 temp_c 42")
	p.until("the loss", func(Report) bool { return p.state.Get(telemetry.GPUStatus, 1) == telemetry.GPULost })
	p.slow()
	p.want(telemetry.GPUTempC, 2, 42)
	p.want(telemetry.GPUTempC, 1, telemetry.Absent)
	p.change("gpus 4", "wobble 0", "gpu 1 temp_c 51", "gpu 2 temp_c 42", "order 0 2 3 1")
	p.until("its return", func(Report) bool { return p.state.Get(telemetry.GPUTempC, 1) == 51 })
	p.slow()
	p.want(telemetry.GPUTempC, 2, 42)
	p.want(telemetry.GPULinksUp, 1, 18)
}

// The driver was reloaded or replaced under the reader: it starts over, and the GPUs are those that they were.
func TestDriverReload(t *testing.T) {
	for name, code := range map[string]string{"uninitialised": "1", "not loaded": "9", "version mismatch": "18"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := play(t, programs(t).driver, "machine h100", "wobble 0", "gpu 7 temp_c 77")
			before := p.next(2)
			p.change("machine h100", "broken "+code, "init error 9")
			p.until("words", func(r Report) bool { return r.Health == Failing || r.Health == Unsupported })
			p.change("machine h200", "wobble 0", "gpu 7 temp_c 78")
			r := p.until("the new driver", func(r Report) bool { return r.Health == OK && p.state.Get(telemetry.GPUTempC, 7) == 78 })
			if r.PID == before.PID || r.Inventory.Driver != "590.48.01" || len(r.Inventory.GPUs) != 8 || r.Inventory.GPUs[7].UUID != before.Inventory.GPUs[7].UUID {
				t.Errorf("pid %d, was %d; %+v", r.PID, before.PID, r.Inventory)
			}
		})
	}
}

// A GPU that the kernel's driver takes later is seen without a restart.
func TestNewGPUAppears(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, pci := range []string{"0000:19:00.0", "0000:3b:00.0"} {
		fakePCI(t, root, pci, "nvidia")
	}
	p := playWith(t, programs(t).driver, func(o *Options) { o.Root = root }, "gpus 2")
	pid := p.next(2).PID
	fakePCI(t, root, "0000:4c:00.0", "nvidia")
	p.change("gpus 3")
	r := p.until("the third", func(r Report) bool { return len(r.Inventory.GPUs) == 3 && p.state.Get(telemetry.GPUPowerMW, 2) > 0 })
	if r.PID != pid || r.Health != OK || r.Text != "" {
		t.Errorf("pid %d, was %d; health %d, %q", r.PID, pid, r.Health, r.Text)
	}
}

// mine makes a machine's files: GPUs of the PCI bus, and device files of some.
func mine(t *testing.T, pci []string, visible ...int) string {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, address := range pci {
		fakePCI(t, root, address, "nvidia")
		write("proc/driver/nvidia/gpus/"+address+"/information", "Model: NVIDIA H100 80GB HBM3\nDevice Minor: \t "+strconv.Itoa(i)+"\n")
	}
	for _, i := range visible {
		write("dev/nvidia"+strconv.Itoa(i), "")
	}
	return root
}

var eight = []string{"0000:19:00.0", "0000:3b:00.0", "0000:4c:00.0", "0000:5d:00.0", "0000:9b:00.0", "0000:bb:00.0", "0000:cb:00.0", "0000:db:00.0"}

// Eight on the PCI bus, four of them this user's: the others are not lost, they are not his.
func TestForeignGPUs(t *testing.T) {
	t.Parallel()
	root := mine(t, eight, 0, 1, 2, 3)
	fakePCI(t, root, "0000:e0:00.0", "vfio-pci")
	p := playWith(t, programs(t).driver, func(o *Options) { o.Root = root }, "gpu 4 hidden", "gpu 5 hidden", "gpu 6 hidden", "gpu 7 hidden")
	r := p.until("words", func(r Report) bool { return r.Health == OK && r.Text != "" })
	if r.Text != "the driver shows 4 of the 9 NVIDIA GPUs: 4 not visible to this user, 1 bound to the driver vfio-pci" {
		t.Errorf("%q", r.Text)
	}
	if len(r.Inventory.GPUs) != 4 || len(r.Inventory.Unseen) != 5 {
		t.Fatalf("%+v", r.Inventory)
	}
	if u := r.Inventory.Unseen[0]; u != (pipe.Unseen{PCI: "0000:9b:00.0", Why: "not visible to this user: there is no /dev/nvidia4"}) {
		t.Errorf("%+v", u)
	}
	for i := range 4 {
		p.want(telemetry.GPUStatus, i, telemetry.GPUOK)
	}
	if g := r.Inventory.GPUs[1]; g.NUMANode != 1 || g.CPUs != "0-55,112-167" {
		t.Errorf("%+v", g)
	}
}

// NVML may count them and refuse their handles: no false alarm for those either.
func TestRefusedGPUs(t *testing.T) {
	t.Parallel()
	root := mine(t, eight, 0, 1, 2, 3, 4, 5, 6, 7)
	p := playWith(t, programs(t).driver, func(o *Options) { o.Root = root }, "gpu 0 denied", "gpu 1 denied", "gpu 6 denied", "wobble 0", "gpu 7 temp_c 77")
	p.next(2)
	r := p.slow()
	if r.Text != "the driver shows 5 of the 8 NVIDIA GPUs: 3 not visible to this user" || r.Health != OK || len(r.Inventory.GPUs) != 5 || len(r.Inventory.Unseen) != 3 {
		t.Errorf("health %d, %q, %+v", r.Health, r.Text, r.Inventory)
	}
	for i := range 5 {
		p.want(telemetry.GPUStatus, i, telemetry.GPUOK)
	}
	p.want(telemetry.GPUTempC, 4, 77)
	if u := r.Inventory.Unseen[2]; u != (pipe.Unseen{PCI: "0000:cb:00.0", Why: "not visible to this user: the driver refuses it"}) {
		t.Errorf("%+v", u)
	}
}

// None of them is his: that is a denial, with the GPUs named.
func TestAllGPUsAreForeign(t *testing.T) {
	t.Parallel()
	root := mine(t, eight)
	p := playWith(t, programs(t).driver, func(o *Options) { o.Root = root }, "gpus 0")
	r := p.until("a condition", func(r Report) bool { return r.Health == Denied && r.Inventory != nil })
	if r.Text != "the driver shows none of the 8 NVIDIA GPUs: 8 not visible to this user" || r.Remedy == "" || len(r.Inventory.Unseen) != 8 || len(r.Inventory.GPUs) != 0 {
		t.Errorf("%q, %q, %+v", r.Text, r.Remedy, r.Inventory)
	}
}

// One that was shown and is another's now (its job began) is not lost; one that was shown and is nowhere is.
func TestShownBeforeAndForeignNow(t *testing.T) {
	t.Parallel()
	root := mine(t, eight, 0, 1, 2, 3, 4, 5, 6, 7)
	p := playWith(t, programs(t).driver, func(o *Options) { o.Root = root })
	p.next(2)
	if err := os.Remove(filepath.Join(root, "dev/nvidia6")); err != nil {
		t.Fatal(err)
	}
	p.change("gpu 6 hidden", "gpu 2 gone")
	r := p.until("the loss of one, and the other's taking", func(r Report) bool { // an inventory comes before the sample of the same round
		return p.state.Get(telemetry.GPUStatus, 2) == telemetry.GPULost && r.Inventory.GPUs[6].Note != "" && p.state.Get(telemetry.GPUStatus, 6) == telemetry.Absent
	})
	if r.Inventory.GPUs[6].Note != "not visible to this user: there is no /dev/nvidia6" || r.Inventory.GPUs[2].Note != "GPU is lost" {
		t.Errorf("notes %q and %q", r.Inventory.GPUs[6].Note, r.Inventory.GPUs[2].Note)
	}
	p.want(telemetry.GPUStatus, 7, telemetry.GPUOK)
}
