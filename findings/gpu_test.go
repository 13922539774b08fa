package findings

import (
	"fmt"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// twoGPUs is a node with nothing wrong and two GPUs alike.
func twoGPUs() *fleet.Node {
	n := fineNode()
	n.GPUs = append(n.GPUs, fineGPU(1))
	return n
}

func TestGPUHealth(t *testing.T) {
	grew := func(by fleet.Reading, ago time.Duration) fleet.Rise {
		return fleet.Rise{Total: 100 + by, Grew: by, At: noon.Add(-ago)}
	}
	for _, tt := range []struct {
		name   string
		change func(n *fleet.Node, g *fleet.GPU, s *fleet.GPUSlow)
		want   []string
	}{
		{"well", func(*fleet.Node, *fleet.GPU, *fleet.GPUSlow) {}, nil},
		{"the driver gives no verdict: ours stands", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.RecoveryAction, s.RemapPending = -1, 1 },
			[]string{"warning gpu0 port-1 GPU0 row remap pending: needs a reset"}},
		{"the driver asks for a reset", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			s.RecoveryAction, s.RemapPending = telemetry.RecoveryGPUReset, 1
		}, []string{"critical gpu0 port-1 GPU0 driver asks: reset it", "notice gpu0 port-1 GPU0 row remap pending: done by the next reset"}},
		{"the driver can wait", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			s.RecoveryAction = telemetry.RecoveryDrainAndReset
		},
			[]string{"warning gpu0 port-1 GPU0 driver asks: drain it, then reset it"}},
		{"a verdict of a newer driver", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.RecoveryAction = 99 },
			[]string{"warning gpu0 port-1 GPU0 driver asks: an action that this version does not know"}},
		{"SRAM", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.SRAMThresholdExceeded = 1 },
			[]string{"critical gpu0 port-1 GPU0 SRAM errors beyond the maker's limit: replace it"}},
		{"pages to be retired, before Ampere", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.RecoveryAction, s.RetiredPending = -1, 1 },
			[]string{"warning gpu0 port-1 GPU0 page retirement pending: needs a reset"}},
		{"ECC off", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.ECCMode = 0 }, []string{"warning gpu0 port-1 GPU0 ECC is off, unlike its peers"}},
		{"ECC off on all", func(n *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.ECCMode, n.GPUs[1].Slow.ECCMode = 0, 0 }, nil},
		{"ECC off, and another kind of GPU beside it", func(n *fleet.Node, g *fleet.GPU, s *fleet.GPUSlow) { s.ECCMode, g.Info = 0, &facts.GPU{Name: "RTX"} }, nil},
		{"errors that parts count", func(n *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			s.ECCVolatileUncorrected = fleet.None()
			n.Parts = []fleet.Part{{GPU: 0, ECCUncorrected: 2}, {GPU: 0, ECCUncorrected: fleet.None()}, {GPU: 1, ECCUncorrected: 5}}
		}, []string{"warning gpu0 port-1 GPU0 ECC: 2 uncorrected"}},
		{"fabric never started", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.FabricState = telemetry.FabricNotStarted },
			[]string{"critical gpu0 port-1 GPU0 cannot use NVLink: registering not started"}},
		{"fabric in its first minute", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			s.FabricState, s.FabricSince = telemetry.FabricInProgress, noon.Add(-20*time.Second)
		}, nil},
		{"fabric refused, and why", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			s.FabricStatus, s.FabricHealthBits = 10, 0x55AA&^0xF00|0x200
		},
			[]string{"critical gpu0 port-1 GPU0 cannot use NVLink: not registered: timeout, configuration wrong system GUID"}},
		{"fabric degraded", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.FabricHealthBits = 0x51A9 },
			[]string{"warning gpu0 port-1 GPU0 NVLink fabric: bandwidth degraded"}},
		{"no switches", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.FabricState = telemetry.FabricUnsupported }, nil},
		{"used in parts", func(n *fleet.Node, g *fleet.GPU, s *fleet.GPUSlow) {
			g.Info = &facts.GPU{Mig: true}
			s.FabricState, s.LinksUp = telemetry.FabricNotStarted, 0
		}, nil},
		{"links down, unlike a peer", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			s.LinksUp, s.LinksMost, s.LinksDown = 16, 16, []int{7, 12}
		},
			[]string{"warning gpu0 port-1 GPU0 NVLink: 2 of 18 links down: 7 12"}},
		{"links went down on all", func(n *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.LinksUp, n.GPUs[1].Slow.LinksUp = 0, 0 },
			[]string{"warning gpu0 port-1 GPU0 NVLink: 18 of 18 links down", "warning gpu1 port-1 GPU1 NVLink: 18 of 18 links down"}},
		{"links that nobody wired", func(n *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			for _, s := range []*fleet.GPUSlow{s, n.GPUs[1].Slow} {
				s.LinksUp, s.LinksMost = 12, 12
			}
		}, nil},
		{"a link recovered", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			s.NVLinkRecoveries, s.NVLinkCRCErrors = grew(1, time.Minute), grew(4, 2*time.Minute)
		},
			[]string{"warning gpu0 port-1 GPU0 NVLink: 1 recovery, 4 CRC errors"}},
		{"a few replays", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.NVLinkReplays = grew(4, time.Minute) },
			[]string{"notice gpu0 port-1 GPU0 NVLink: 4 replays"}},
		{"many errors", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.NVLinkCRCErrors = grew(4000, time.Minute) },
			[]string{"warning gpu0 port-1 GPU0 NVLink: 4000 CRC errors"}},
		{"many errors, past", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.NVLinkCRCErrors = grew(4000, 12*time.Minute) },
			[]string{"notice gpu0 port-1 GPU0 NVLink: 4000 CRC errors, 12 min ago"}},
		{"PCIe slow under load", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			s.PCIeGen, s.PCIeLowSince = 1, noon.Add(-2*time.Minute)
		},
			[]string{"warning gpu0 port-1 GPU0 PCIe generation 1 of 5 under load"}},
		{"PCIe slow, read once", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) {
			s.PCIeGen, s.PCIeLowSince = 1, noon.Add(-50*time.Second)
		}, nil},
		{"PCIe slow, and idle", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.PCIeGen = 1 }, nil},
		{"the way to the CPU", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.C2CLinks, s.C2CLinksUp = 5, 4 },
			[]string{"warning gpu0 port-1 GPU0 link to the CPU: 1 of 5 down"}},
		{"reset behind our back", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.Resets = grew(2, 0) }, []string{"warning gpu0 port-1 GPU0 was reset ×2"}},
		{"runs failed a while ago", func(_ *fleet.Node, _ *fleet.GPU, s *fleet.GPUSlow) { s.ExecErrors = grew(3, 8*time.Minute) },
			[]string{"notice gpu0 port-1 GPU0 runs failed ×3, 8 min ago"}},
		{"in the driver's words", func(_ *fleet.Node, g *fleet.GPU, _ *fleet.GPUSlow) {
			g.Status, g.Info = telemetry.GPUFailing, &facts.GPU{Note: "Unknown Error"}
		}, []string{"critical gpu0 port-1 GPU0 failing: Unknown Error"}},
		{"held back between readings", func(_ *fleet.Node, g *fleet.GPU, _ *fleet.GPUSlow) {
			g.Detail = &fleet.GPUDetail{}
			g.Detail.Throttle[fleet.ThrottlePower].Pct, g.Detail.Throttle[fleet.ThrottleHWThermal].Pct = 80, 12
		}, []string{"notice gpu0 port-1 GPU0 slowed 12 % of the time: heat (hardware)"}},
		{"not ours to see", func(n *fleet.Node, _ *fleet.GPU, _ *fleet.GPUSlow) {
			n.Inventory = &facts.Inventory{UnseenGpus: []*facts.UnseenGPU{{Why: "not visible to this user"}, {Why: "no driver"}, {Why: "not visible to this user"}}}
		}, []string{"notice gpu-1 port-1 1 more GPU on the bus: not checked, no driver", "notice gpu-1 port-1 2 more GPUs on the bus: not checked, not visible to this user"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := twoGPUs()
			tt.change(n, &n.GPUs[0], n.GPUs[0].Slow)
			if diff := cmp.Diff(fmt.Sprint(tt.want), fmt.Sprint(say1(Node(n, noon, new(fleet.Memory))))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
