package simfleet

import (
	"time"

	"foretop/telemetry"
)

// fabricHealthy is the health mask of a GPU behind NVSwitches with which all is well: fields of two bits, of which 1 is yes and 2 no, and the configuration.
const (
	fabricHealthy      = 2 | 2<<2 | 2<<4 | 2<<6 | 1<<8 | 1<<12 | 1<<14
	fabricTooFewLinks  = fabricHealthy&^(15<<8) | 5<<8
	nvmlUnknownError   = 999
	downLink           = 7 // the link that goes down
	recoveryDrainReset = telemetry.RecoveryDrainAndReset
)

// gpuSlow reads what is read of the GPUs twice a minute.
func (v *vitals) gpuSlow(n *Node, at, local time.Duration) {
	st, k := &v.state, n.machine
	for g := range gpusPerNode {
		if n.struck(GPULost, g, local) {
			v.linkStates(n, g, -1)
			continue
		}
		key := n.id(word("ecc"), uint64(g))
		ecc := n.count(ECC, g, at)
		remaps := ecc + n.count(RowRemap, g, at)
		for _, r := range []struct {
			m telemetry.Metric
			v int64
		}{
			{telemetry.GPUECCMode, 1}, {telemetry.GPUECCVolatileCorrected, int64(key>>8%16) / 12 * 3}, {telemetry.GPUECCVolatileUncorrected, ecc - n.count(ECC, g, v.boot)},
			{telemetry.GPUECCAggregateCorrected, int64(key >> 16 % 40)}, {telemetry.GPUECCAggregateUncorrected, ecc},
			{telemetry.GPUSRAMUncorrected, 3 * n.count(SRAMThreshold, g, at)}, {telemetry.GPUSRAMThresholdExceeded, oneIf(n.struck(SRAMThreshold, g, local))},
			{telemetry.GPURemappedCorrected, int64(key>>24%32) / 31}, {telemetry.GPURemappedUncorrected, remaps},
			{telemetry.GPURemapPending, oneIf(n.remapPending(g, local))}, {telemetry.GPURemapFailure, 0},
			{telemetry.GPURecoveryAction, recoveryDrainReset * oneIf(n.struck(RecoveryAction, g, local))},
			{telemetry.GPUPCIeGen, 5}, {telemetry.GPUPCIeGenMax, 5}, {telemetry.GPUPCIeWidth, 16}, {telemetry.GPUPCIeWidthMax, 16},
			{telemetry.GPUPCIeReplays, int64(key >> 32 % 64 / 61)}, {telemetry.GPUSlowdownTempC, k.slowdown}, {telemetry.GPUShutdownTempC, k.shutAt},
			{telemetry.GPUProcesses, int64(v.processesOn(n, g, at))},
		} {
			st.Set(r.m, g, r.v)
		}
		v.fabric(n, g, at, local)
		k.withhold(st, g)
	}
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// fabric reads links and what they are joined to.
func (v *vitals) fabric(n *Node, g int, at, local time.Duration) {
	st, k := &v.state, n.machine
	up := k.links
	if k.isCut(g) {
		up = 0
	}
	if n.struck(NVLinkDown, g, local) {
		up--
		v.linkStates(n, g, downLink)
	} else {
		v.linkStates(n, g, k.links)
	}
	downs := n.count(NVLinkDown, g, at) - n.count(NVLinkDown, g, v.boot)
	state, status, health := int64(telemetry.FabricCompleted), int64(0), int64(fabricHealthy)
	if n.struck(FabricUnregistered, g, local) {
		status, health = nvmlUnknownError, fabricTooFewLinks
	}
	for _, r := range []struct {
		m telemetry.Metric
		v int64
	}{
		{telemetry.GPULinks, int64(k.links)}, {telemetry.GPULinksUp, int64(up)}, {telemetry.GPUNVLinkReplays, 4 * downs}, {telemetry.GPUNVLinkRecoveries, downs},
		{telemetry.GPUNVLinkCRCErrors, 31 * downs}, {telemetry.GPUFabricState, state}, {telemetry.GPUFabricStatus, status}, {telemetry.GPUFabricHealthBits, health},
	} {
		st.Set(r.m, g, r.v)
	}
}

// linkStates says which links of a GPU are up: all but one; with down beyond the last, all; with -1 that is not known.
func (v *vitals) linkStates(n *Node, g, down int) {
	k := n.machine
	for i := range k.links {
		at := g*k.links + i
		switch {
		case down < 0:
			v.state.Clear(telemetry.LinkState, at)
		case i == down || k.isCut(g):
			v.state.Set(telemetry.LinkState, at, telemetry.LinkDown)
		default:
			v.state.Set(telemetry.LinkState, at, telemetry.LinkUp)
		}
	}
}

func (v *vitals) processesOn(n *Node, g int, at time.Duration) int {
	o := n.owner[g]
	if o.slot < 0 {
		tenants := 0
		for i := range n.machine.parts {
			if p := &n.machine.parts[i]; p.gpu == g && p.tenant != nil {
				tenants++
			}
		}
		return tenants
	}
	if _, _, up := n.slots[o.slot].job.run(at); !up || n.killed(n.slots[o.slot], at) {
		return 0
	}
	return 1
}

// gpuDetail reads what is only read of GPUs while somebody looks.
func (v *vitals) gpuDetail(n *Node) {
	st, k := &v.state, n.machine
	for g := range n.gpuCount() {
		if st.Get(telemetry.GPUStatus, g) != telemetry.GPUOK {
			continue
		}
		self := &v.gpus[g]
		sm, tensor := max(0, st.Get(telemetry.GPUSMActivityPermille, g)), max(0, st.Get(telemetry.GPUTensorActivityPermille, g))
		temp, watts := st.Get(telemetry.GPUTempC, g), st.Get(telemetry.GPUPowerMW, g)
		for _, r := range []struct {
			m telemetry.Metric
			v int64
		}{
			{telemetry.GPUMemReservedBytes, 611 * mib}, {telemetry.GPUPowerAvgMW, watts}, {telemetry.GPUEnergyMJ, int64(self.energyMJ)},
			{telemetry.GPUEncoderPct, 0}, {telemetry.GPUDecoderPct, 0},
			{telemetry.GPUBAR1UsedBytes, 5 * mib}, {telemetry.GPUBAR1TotalBytes, 128 * gib}, {telemetry.GPUTempMarginC, max(0, k.slowdown-temp)},
			{telemetry.GPUSlowdownTLimitC, -2}, {telemetry.GPUShutdownTLimitC, -8}, {telemetry.GPUMaxTLimitC, 0}, {telemetry.GPUMemMaxTLimitC, 0},
			{telemetry.GPUMemMaxTempC, 95}, {telemetry.GPUPowerDefaultLimitMW, int64(k.limitW * 1000)},
			{telemetry.GPUPowerMinLimitMW, 200_000}, {telemetry.GPUPowerMaxLimitMW, int64(k.limitW * 1000)}, {telemetry.GPUPState, 0}, {telemetry.GPUPersistence, 1},
			{telemetry.GPUComputeMode, 0}, {telemetry.GPUPCIeTXBytesPerS, int64(self.pcie)}, {telemetry.GPUPCIeRXBytesPerS, int64(self.pcie * 1.1)},
			{telemetry.GPUPCIeReplayRollovers, 0}, {telemetry.GPUPCIeCorrectableErrors, int64(n.id(word("pcie"), uint64(g)) % 64 / 62)}, {telemetry.GPUPCIeNonFatalErrors, 0},
			{telemetry.GPUPCIeFatalErrors, 0}, {telemetry.GPUPCIeL0ToRecovery, int64(n.id(word("l0"), uint64(g)) % 9)}, {telemetry.GPUPCIeNAKsReceived, 0},
			{telemetry.GPUPCIeNAKsSent, 0}, {telemetry.GPUPCIeBadTLPs, 0}, {telemetry.GPUPCIeBadDLLPs, 0}, {telemetry.GPUPCIeLCRCErrors, 0},
			{telemetry.GPUThrottlePowerMS, int64(self.heldBack[heldPower])}, {telemetry.GPUThrottleThermalMS, int64(self.heldBack[heldSWHeat])},
			{telemetry.GPUThrottleSyncBoostMS, 0}, {telemetry.GPUThrottleBoardMS, 0}, {telemetry.GPUThrottleReliabilityMS, 0},
			{telemetry.GPUThrottleSWThermalMS, int64(self.heldBack[heldSWHeat])}, {telemetry.GPUThrottleHWThermalMS, int64(self.heldBack[heldHWHeat])},
			{telemetry.GPUThrottlePowerBrakeMS, 0}, {telemetry.GPUSMOccupancyPermille, sm * 2 / 5}, {telemetry.GPUGraphicsActivityPermille, min(1000, sm*11/10)},
			{telemetry.GPUFP64ActivityPermille, 0}, {telemetry.GPUFP32ActivityPermille, max(0, sm-tensor/2) / 8}, {telemetry.GPUFP16ActivityPermille, tensor / 9},
		} {
			st.Set(r.m, g, r.v)
		}
		switch k.kind {
		case mi300x:
			st.Set(telemetry.GPUVRTempC, g, temp+6)
			st.Set(telemetry.GPUHostMemUsedBytes, g, 18*mib)
			st.Set(telemetry.GPUHostMemTotalBytes, g, k.hostMemory/2)
		case tpu:
			st.Set(telemetry.GPUQueueSize, g, int64(v.noise.next()%3))
		}
		k.withhold(st, g)
	}
	v.links(n)
	v.calls()
}

// links reads single links: each carries its share.
func (v *vitals) links(n *Node) {
	st, k := &v.state, n.machine
	for g := range n.gpuCount() {
		downs := st.Get(telemetry.GPUNVLinkRecoveries, g)
		for i := range k.links {
			at := g*k.links + i
			if k.isCut(g) || st.Get(telemetry.LinkState, at) == telemetry.Absent {
				continue
			}
			st.Set(telemetry.LinkSpeedMBps, at, k.linkMBps)
			st.Set(telemetry.LinkTXBytes, at, int64(v.gpus[g].nvTX/float64(k.links)))
			st.Set(telemetry.LinkRXBytes, at, int64(v.gpus[g].nvRX/float64(k.links)))
			if k.kind == mi300x { // the kernel counts no errors of single links
				continue
			}
			recovered := int64(0)
			if i == downLink {
				recovered = max(0, downs)
			}
			for _, r := range []struct {
				m telemetry.Metric
				v int64
			}{
				{telemetry.LinkReplays, 4 * recovered}, {telemetry.LinkRecoveries, recovered}, {telemetry.LinkRecoveryFailures, 0}, {telemetry.LinkCRCErrors, 31 * recovered},
				{telemetry.LinkECCErrors, 0}, {telemetry.LinkRxErrors, 0}, {telemetry.LinkTxDiscards, 0}, {telemetry.LinkSymbolErrors, 0}, {telemetry.LinkEffectiveErrors, 0},
			} {
				st.Set(r.m, at, r.v)
			}
		}
	}
}

// calls are what the reader's calls into NVML have cost since it started.
func (v *vitals) calls() {
	st, up := &v.state, (v.last - v.boot).Seconds()
	for i, c := range driverCalls {
		n := int64(c.perS * up)
		st.Set(telemetry.CallCount, i, n)
		st.Set(telemetry.CallTotalUS, i, int64(float64(n)*c.us))
		st.Set(telemetry.CallLastUS, i, int64(c.us+c.up*0.3*v.noise.about()))
		st.Set(telemetry.CallMaxUS, i, int64(c.us+9*c.up))
	}
}

// parts reads the parts of GPUs.
func (v *vitals) parts(n *Node) {
	st := &v.state
	for i := range n.machine.parts {
		p := &n.machine.parts[i]
		busy, used := 0.0, 13*mib
		if t := p.tenant; t != nil {
			busy, used = max(0, min(1, t.busy*(1+0.2*v.noise.about()))), t.memory
		}
		st.Set(telemetry.PartMemUsedBytes, i, used)
		st.Set(telemetry.PartMemTotalBytes, i, p.memory)
		st.Set(telemetry.PartSMActivityPermille, i, round(900*busy))
		st.Set(telemetry.PartTensorActivityPermille, i, round(300*busy))
		st.Set(telemetry.PartDRAMActivityPermille, i, round(550*busy))
	}
}

// tenantWatts and tenantBytes are what those who have parts of a GPU draw and hold.
func (k *machine) tenantWatts(g int) (w float64) {
	for i := range k.parts {
		if p := &k.parts[i]; p.gpu == g && p.tenant != nil {
			w += p.share * p.tenant.busy * 0.7 * k.limitW
		}
	}
	return w
}

func (k *machine) tenantBytes(g int) (b int64) {
	for i := range k.parts {
		if p := &k.parts[i]; p.gpu == g && p.tenant != nil {
			b += p.tenant.memory
		}
	}
	return b
}
