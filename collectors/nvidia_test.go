package collectors

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// By its own reader, on a driver that is played: what the reader says of GPUs, parts, links, calls, processes and events is on the board, in the words of facts,
// and the level goes the other way.
func TestNVIDIAByItsReader(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil || runtime.GOOS != "linux" {
		if os.Getenv("CI") != "" {
			t.Fatal("gcc is missing")
		}
		t.Skip("the driver is played on Linux only, and needs gcc")
	}
	dir := t.TempDir()
	reader, profile := filepath.Join(dir, "foretop-nvml"), filepath.Join(dir, "profile")
	for _, args := range [][]string{{"foretop-nvml/build.sh", runtime.GOARCH, reader}, {"../testdata/nvml/build.sh", filepath.Join(dir, "driver")}} {
		if out, err := exec.Command("sh", args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
	profiled := func(more string) {
		text := "machine gb200\ngpus 2\ngpu 1 mig 1\ngpu 1 instance 3 0 1 1 16384 5 22\ngpu 1 proc 4242 1048576 3 0\n" + more
		if err := os.WriteFile(profile+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(profile+".new", profile); err != nil {
			t.Fatal(err)
		}
	}
	profiled("")
	t.Setenv("LD_LIBRARY_PATH", filepath.Join(dir, "driver"))
	t.Setenv("FORETOP_PLAY_NVML", profile)
	p := play(t, "", sourcesOf("nvidia"))
	p.m.options.Reader = reader
	r := newNVIDIA(p.m).(*nvidiaReader)
	t.Cleanup(r.close)
	b := p.m.board
	await := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(90 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			c := conditionOf(r.read(p.ctx))
			b.mu.Lock()
			done := ok()
			b.mu.Unlock()
			if done {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: too late; %v %q", what, c.state, c.text)
			}
		}
	}
	await("an inventory and readings", func() bool {
		inv := b.inventory
		return len(inv.Gpus) == 2 && len(inv.GpuLinks) == 18 && inv.GpuLinks[17].Remote == "switch" && len(inv.GpuParts) == 1 && b.state.Get(telemetry.GPULinksUp, 0) == 18 &&
			b.state.Get(telemetry.PartMemTotalBytes, 0) == 16<<30 && len(b.heldAccelerators()) == 1
	})
	b.mu.Lock()
	inv := b.snapshot()
	if g := inv.Gpus[1]; g.Architecture != "Blackwell" || g.Driver != "580.105.08" || g.Chassis != "1821325190001" || g.Slot != 13 || g.FabricClique != 32766 || g.ModuleId != 2 || !g.Mig {
		t.Errorf("GPU %v", g)
	}
	if q := inv.GpuParts[0]; q.Gpu != 1 || q.Kind != "MIG" || q.Name != "1g.16gb" || q.Instance != 3 {
		t.Errorf("part %v", q)
	}
	if l := inv.GpuLinks[17]; l.Kind != "NVLink" || l.Version != 5 || l.Link != 17 || l.RemotePci == "" {
		t.Errorf("link %v", l)
	}
	if h := b.heldAccelerators()[0]; h.PID != 4242 || h.GPU != 1 || h.Part != 1 || h.Memory != 1<<20 {
		t.Errorf("holder %+v", h)
	}
	if v := b.state.Get(telemetry.LinkTXBytes, 0); v != telemetry.Absent {
		t.Errorf("%d bytes over a link while nobody looks", v)
	}
	b.mu.Unlock()
	b.detail.Store(true)
	fields := slices.IndexFunc(inv.Calls, func(c *facts.Call) bool { return c.Name == "nvmlDeviceGetFieldValues" })
	await("details", func() bool {
		return b.state.Get(telemetry.LinkTXBytes, 0) > 0 && b.state.Get(telemetry.CallCount, fields) > 0 && b.state.Get(telemetry.ReadMS, int(telemetry.GroupGPULinks)) > 0 &&
			b.state.Get(telemetry.ReadMS, int(telemetry.GroupCalls)) > 0
	})
	profiled("event 1 1 8 94 3 0\nevent 2 0 8 79\n")
	await("events", func() bool { return len(b.events) == 3 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.events[0]; e.Sequence != 1 || e.What != "listening" {
		t.Errorf("event %v", e)
	}
	if e := b.events[1]; e.Sequence != 2 || e.Gpu != 1 || e.What != "xid" || e.Code != 94 || e.Instance != 4 || e.MonoUs <= 0 {
		t.Errorf("event %v", e)
	}
	if e := b.events[2]; e.Sequence != 3 || e.Gpu != 0 || e.Code != 79 || e.Instance != 0 {
		t.Errorf("event %v", e)
	}
}

// Without a reader for NVML, nvidia-smi is streamed and the source says so; what it lists is the inventory, and processes hold what it says.
func TestNvidiaSMI(t *testing.T) {
	script(t, "nvidia-smi", `case "$*" in
*query-compute-apps*) echo "GPU-aaaa, $PPID, 512"; exit;;
esac
fields=$(echo "$1" | sed 's/--query-gpu=//; s/,/ /g')
while :; do
	for g in 0 1; do
		row=
		for f in $fields; do
			case $f in
			index) v=$g;;
			uuid) test $g = 0 && v=GPU-aaaa || v=GPU-bbbb;;
			name) v="NVIDIA H100 80GB HBM3";;
			pci.bus_id) v=00000000:1$g:00.0;;
			driver_version) v=550.90.07;;
			memory.total) v=81559;;
			memory.used) v=1024;;
			utilization.gpu) v=9$g;;
			temperature.gpu) v=40;;
			power.draw) v=350.50;;
			*) v="[N/A]";;
			esac
			row="$row${row:+, }$v"
		done
		echo "$row"
	done
	sleep 0.2
done`)
	f := startFront(t, Options{Every: quick, Sources: sourcesOf("nvidia", "process", "self")})
	f.await("two GPUs", func() bool {
		return f.inv != nil && len(f.inv.Gpus) == 2 && f.get(telemetry.GPUUtilPct, 1) == 91 && f.get(telemetry.ReadMS, int(telemetry.GroupGPU)) > 0
	})
	f.await("the process that holds one", func() bool {
		for _, p := range f.procs {
			if len(p.Held) == 1 && p.Held[0].Gpu == 0 && p.Held[0].MemoryBytes == 512<<20 {
				return true
			}
		}
		return false
	})
	f.await("its words", func() bool {
		n := f.note("nvidia")
		return n.GetState() == facts.SourceState_SOURCE_OK && n.GetText() != ""
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Log(f.note("nvidia").Text)
	if g := f.inv.Gpus[1]; g.Uuid != "GPU-bbbb" || g.Pci != "0000:11:00.0" || g.Vendor != "nvidia" || f.inv.GpuDriverVersion != "550.90.07" {
		t.Errorf("got %v, driver %s", g, f.inv.GpuDriverVersion)
	}
}
