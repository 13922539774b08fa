package nvml

import (
	"testing"

	"foretop/telemetry"
)

// Links go down and come up, their errors are summed up for the GPU, and what is at the other end is asked for again.
func TestLinksComeAndGo(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "machine h100", "gpus 2", "wobble 0", "gpu 1 nvlinks_down 18", "gpu 0 link 4 replay 3", "gpu 0 link 5 replay 4", "gpu 0 link 6 crc 9")
	r := p.slow()
	p.want(telemetry.GPULinksUp, 0, 18)
	p.want(telemetry.GPUNVLinkReplays, 0, 7)
	p.want(telemetry.GPUNVLinkCRCErrors, 0, 9)
	p.want(telemetry.GPULinks, 1, 18)
	p.want(telemetry.GPULinksUp, 1, 0)
	p.want(telemetry.LinkState, 18, telemetry.LinkDown)
	if l := r.Inventory.Links[18]; l.GPU != 1 || l.Remote != "" || l.Version != 0 {
		t.Errorf("a link that is down: %+v", l)
	}
	p.change("machine h100", "gpus 2", "wobble 0", "gpu 1 nvlinks_down 17", "gpu 1 link 17 recovery 2", "gpu 0 link 4 state 2")
	r = p.until("one that came up", func(r Report) bool { return r.Inventory.Links[35].Remote == "switch" })
	r = p.slow()
	p.want(telemetry.GPULinksUp, 1, 1)
	p.want(telemetry.GPUNVLinkRecoveries, 1, 2) // its counters were not given up for lost while all links were down
	p.want(telemetry.LinkState, 4, telemetry.LinkSleep)
	p.want(telemetry.GPULinksUp, 0, 17)
	if l := r.Inventory.Links[35]; l.Version != 4 || l.RemotePCI != "0000:06:00.0" {
		t.Errorf("%+v", l)
	}
}

// What a driver does not know is asked for once, not each round; initialised again, it is asked again.
func TestUnknownFieldsAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "machine h200", "gpus 2", "wobble 0", "field 230 3", "field 161 3", "field 3 999")
	p.slow()
	p.want(telemetry.GPURecoveryAction, 0, telemetry.Absent)
	p.want(telemetry.LinkReplays, 0, telemetry.Absent)
	p.want(telemetry.GPUECCVolatileCorrected, 0, telemetry.Absent)
	p.want(telemetry.GPUECCVolatileUncorrected, 0, 0) // one that fails costs none of the others
	p.change("machine h200", "gpus 2", "wobble 0")
	p.until("what failed is asked for again", func(Report) bool { return p.state.Get(telemetry.GPUECCVolatileCorrected, 0) == 0 })
	p.slow()
	p.want(telemetry.GPURecoveryAction, 0, telemetry.Absent)
	p.want(telemetry.LinkReplays, 0, telemetry.Absent)
	p.change("machine h200", "gpus 2", "wobble 0", "gpu 1 lost")
	p.until("a new start of the library", func(Report) bool {
		return p.state.Get(telemetry.GPURecoveryAction, 0) == 0 && p.state.Get(telemetry.LinkReplays, 0) == 0
	})
}

// Each version of the fabric's words, and the driver that has only the first call.
func TestFabricVersions(t *testing.T) {
	for name, c := range map[string]struct {
		line   string
		health int64
	}{
		"v3": {"fabric_version 3", 0x51aa},
		"v2": {"fabric_version 2", 0x51aa},
		"v1": {"fabric_version 1", telemetry.Absent},
		"no": {"call nvmlDeviceGetGpuFabricInfoV 3", telemetry.Absent}, // the older call remains
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := play(t, programs(t).driver, "machine gb200", "gpus 3", c.line, "gpu 1 fabric_state 2", "gpu 2 fabric_status 999")
			r := p.slow()
			p.want(telemetry.GPUFabricState, 0, telemetry.FabricCompleted)
			p.want(telemetry.GPUFabricStatus, 0, 0)
			p.want(telemetry.GPUFabricHealthBits, 0, c.health)
			p.want(telemetry.GPUFabricState, 1, telemetry.FabricInProgress)
			p.want(telemetry.GPUFabricStatus, 1, telemetry.Absent) // it has no meaning yet
			p.want(telemetry.GPUFabricStatus, 2, 999)
			if g := r.Inventory.GPUs; g[0].FabricCluster != "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf" || g[0].FabricClique != 32766 || g[1].FabricCluster != "" {
				t.Errorf("%+v", g)
			}
		})
	}
}
