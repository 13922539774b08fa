package collectors

import (
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

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
