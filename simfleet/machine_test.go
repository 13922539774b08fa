package simfleet

import (
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
)

// TestAcceleratorFaults: what a driver tells of a GPU that is not well, that it heals, and that what was counted stays counted.
func TestAcceleratorFaults(t *testing.T) {
	w := newWorld(t, `
  - {at: 60s, for: 60s, fault: recovery-action, job: fsdp, gpu: 4}
  - {at: 60s, for: 60s, fault: sram-threshold, job: fsdp, gpu: 2}
  - {at: 60s, for: 60s, fault: nvlink-down, job: fsdp, gpu: 1}
  - {at: 60s, for: 60s, fault: fabric-unregistered, job: fsdp, gpu: 7}
`)
	n := w.member(t, "fsdp", 0)
	down := 1*18 + downLink
	type readings struct{ recovery, threshold, sram, up, state, recoveries, fabric int64 }
	read := func() readings {
		return readings{get(n, telemetry.GPURecoveryAction, 4), get(n, telemetry.GPUSRAMThresholdExceeded, 2), get(n, telemetry.GPUSRAMUncorrected, 2),
			get(n, telemetry.GPULinksUp, 1), get(n, telemetry.LinkState, down), get(n, telemetry.LinkRecoveries, down), get(n, telemetry.GPUFabricStatus, 7)}
	}
	for _, c := range []struct {
		at   time.Duration
		want readings
	}{
		{59 * time.Second, readings{0, 0, 0, 18, telemetry.LinkUp, 0, 0}},
		{95 * time.Second, readings{telemetry.RecoveryDrainAndReset, 1, 3, 17, telemetry.LinkDown, 1, nvmlUnknownError}},
		{155 * time.Second, readings{0, 0, 3, 18, telemetry.LinkUp, 1, 0}},
	} {
		w.until(c.at, n)
		if got := read(); got != c.want {
			t.Errorf("after %v: %+v, want %+v", c.at, got, c.want)
		}
	}
	if log := w.log(n); !strings.Contains(log, ": 154, GPU recovery action changed") || !strings.Contains(log, ": 74, ") {
		t.Errorf("the kernel says\n%s", log)
	}
	w.works(t, n, 4)
}

// TestOtherMachines: a fleet has one machine of each kind; each tells what its kind tells, and no more.
func TestOtherMachines(t *testing.T) {
	w := newWorld(t, "  - {at: 0s, fault: gpus-hidden, node: 62}\n  - {at: 0s, fault: gpus-hidden, node: 0}\n")
	amd, cut, few, tpuNode := w.nodes[58], w.nodes[60], w.nodes[62], w.nodes[63]
	w.until(60*time.Second, amd, cut, few, tpuNode)
	known := func(n *Node, g int) (names []string) {
		for _, m := range gpuMetrics {
			if get(n, m, g) != telemetry.Absent {
				d, _ := telemetry.Lookup(m)
				names = append(names, d.Name)
			}
		}
		return names
	}
	if got := known(tpuNode, 3); len(got) != len(tpuGives) || len(tpuNode.Inventory().Ports) != 0 {
		t.Errorf("a TPU tells %v", got)
	}
	if got := known(amd, 7); len(got) != len(amdGives) {
		t.Errorf("an MI300X tells %d things, want %d: %v", len(got), len(amdGives), got)
	}
	between(t, "power of an MI300X at work", w.mean(amd, telemetry.GPUPowerMW, 0, 20)/1000, 350, 753)
	inv := cut.Inventory()
	if !inv.Gpus[1].Mig || inv.Gpus[2].Mig || len(inv.GpuParts) != 11 || get(cut, telemetry.GPUUtilPct, 1) != telemetry.Absent || get(cut, telemetry.GPUUtilPct, 2) == telemetry.Absent {
		t.Errorf("a cut GPU: %v, %d parts", inv.Gpus[1], len(inv.GpuParts))
	}
	_, list := cut.Processes(w.at)
	on := map[uint32]uint64{}
	for _, p := range list {
		on[p.Held[0].Part] = p.Held[0].MemoryBytes
		if part := inv.GpuParts[p.Held[0].Part-1]; part.Gpu != p.Held[0].Gpu || p.Env["CUDA_VISIBLE_DEVICES"] != part.Uuid {
			t.Errorf("%s holds part %d of GPU %d, which is %v", p.User, p.Held[0].Part, p.Held[0].Gpu, part)
		}
	}
	for i := range inv.GpuParts {
		if used, total := get(cut, telemetry.PartMemUsedBytes, i), get(cut, telemetry.PartMemTotalBytes, i); used > total || uint64(used) < on[uint32(i+1)] {
			t.Errorf("part %d uses %d of %d, its process %d", i, used, total, on[uint32(i+1)])
		}
	}
	if inv := few.Inventory(); len(inv.Gpus) != 4 || len(inv.UnseenGpus) != 4 || len(inv.GpuLinks) != 72 || get(few, telemetry.GPUUtilPct, 3) == telemetry.Absent {
		t.Errorf("a node of which half is hidden has %d GPUs and %d unseen", len(inv.Gpus), len(inv.UnseenGpus))
	}
	if inv := w.nodes[0].Inventory(); len(inv.Gpus) != 8 {
		t.Errorf("GPUs of a job are hidden: %d are left", len(inv.Gpus))
	}
}
