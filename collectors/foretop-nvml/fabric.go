//go:build linux && cgo

package main

import (
	"encoding/hex"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/telemetry"
)

// fabric is nvmlGpuFabricInfo, whatever its version: the GPU's place among NVSwitches.
type fabric struct {
	cluster [16]uint8
	status  uint32
	clique  uint32
	state   uint8
	health  int64 // telemetry.Absent: version 1 has none
}

// readFabric: a GPU behind NVSwitches that is not registered with the fabric manager cannot use NVLink, and any NCCL job on it fails.
func (r *reader) readFabric(s *slot) {
	f, ok := r.askFabric(s)
	if !ok {
		for _, m := range []telemetry.Metric{telemetry.GPUFabricState, telemetry.GPUFabricStatus, telemetry.GPUFabricHealthBits} {
			r.state.Clear(m, s.index)
		}
		return
	}
	r.state.Set(telemetry.GPUFabricState, s.index, int64(f.state))
	r.state.Set(telemetry.GPUFabricHealthBits, s.index, f.health)
	g := &r.inv.GPUs[s.index]
	g.FabricCluster, g.FabricClique = "", 0
	if f.state != nvml.GPU_FABRIC_STATE_COMPLETED { // the rest has no meaning before
		r.state.Clear(telemetry.GPUFabricStatus, s.index)
		return
	}
	r.state.Set(telemetry.GPUFabricStatus, s.index, int64(f.status))
	if f.cluster != [16]uint8{} {
		g.FabricCluster, g.FabricClique = uuid(f.cluster), f.clique
	}
}

// askFabric takes the newest version that the driver knows.
func (r *reader) askFabric(s *slot) (f fabric, ok bool) {
	if r.may(s, callFabricV) {
		if s.fabricVersion != 2 {
			v, ret := s.dev.GetGpuFabricInfoV().V3()
			if ret != nvml.ERROR_ARGUMENT_VERSION_MISMATCH {
				return fabric{v.ClusterUuid, v.Status, v.CliqueId, v.State, int64(v.HealthMask)}, r.took(s, callFabricV, ret)
			}
			s.fabricVersion = 2
			r.watch.enter(callFabricV, s.index)
		}
		v, ret := s.dev.GetGpuFabricInfoV().V2()
		if ret != nvml.ERROR_ARGUMENT_VERSION_MISMATCH {
			return fabric{v.ClusterUuid, v.Status, v.CliqueId, v.State, int64(v.HealthMask)}, r.took(s, callFabricV, ret)
		}
		r.took(s, callFabricV, ret)
	}
	if r.may(s, callFabric) {
		v, ret := s.dev.GetGpuFabricInfo()
		return fabric{v.ClusterUuid, v.Status, v.CliqueId, v.State, telemetry.Absent}, r.took(s, callFabric, ret)
	}
	return f, false
}

func uuid(b [16]uint8) string {
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
