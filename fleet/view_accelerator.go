package fleet

import (
	"cmp"
	"slices"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

func (n *node) viewGPUs(f *Fleet, st *telemetry.State, holders [][]Holder, now time.Time) []GPU {
	out := make([]GPU, len(n.inventory.Gpus))
	stale := time.Duration(0)
	if g := &n.groupAt[telemetry.GroupGPU]; g.stale(now) {
		stale = g.age(now)
	}
	if told := n.slowAt; !told.IsZero() {
		n.readSlow(st, told)
	} else {
		n.readSlow(st, now)
	}
	details := n.viewDetails(st, now)
	for i, inv := range n.inventory.Gpus {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		g := &out[i]
		*g = GPU{
			Index: i, Info: inv, Stale: stale, Slow: &n.slow[i],
			UtilPct: get(telemetry.GPUUtilPct), MemUtilPct: get(telemetry.GPUMemUtilPct),
			MemUsedBytes: get(telemetry.GPUMemUsedBytes), MemTotalBytes: get(telemetry.GPUMemTotalBytes),
			TempC: get(telemetry.GPUTempC), MemTempC: get(telemetry.GPUMemTempC),
			PowerW: get(telemetry.GPUPowerMW) / 1000, PowerLimitW: get(telemetry.GPUPowerLimitMW) / 1000,
			SMClockMHz: get(telemetry.GPUSMClockMHz), SMClockMaxMHz: get(telemetry.GPUSMClockMaxMHz),
			MemClockMHz: get(telemetry.GPUMemClockMHz), MemClockMaxMHz: get(telemetry.GPUMemClockMaxMHz),
			SMActivityPct: get(telemetry.GPUSMActivityPermille) / 10, TensorActivityPct: get(telemetry.GPUTensorActivityPermille) / 10,
			DRAMActivityPct: get(telemetry.GPUDRAMActivityPermille) / 10,
			ThrottleBits:    whole(st.Get(telemetry.GPUThrottleBits, i)),
			NetRxBytesPerS:  None(), NetTxBytesPerS: None(),
			NVLinkTXBytesPerS: Reading(n.rate(telemetry.GPUNVLinkTXBytes, i, now)), NVLinkRXBytesPerS: Reading(n.rate(telemetry.GPUNVLinkRXBytes, i, now)),
		}
		if details != nil {
			g.Detail = &details[i]
		}
		if i < len(holders) {
			g.Holders = holders[i]
		}
		if s := st.Get(telemetry.GPUStatus, i); s != telemetry.Absent && s >= 0 && s <= telemetry.GPUUnanswered {
			g.Status = int(s)
		}
		if i < len(n.idleSince) && !n.idleSince[i].IsZero() && now.Sub(n.idleSince[i]) >= f.opt.IdleAfter {
			g.IdleSince = n.idleSince[i]
		}
	}
	n.giveTraffic(out, now)
	return out
}

// whole is a set of bits, or a number of a list, -1 for absent or absurd.
func whole(v int64) int64 {
	if v == telemetry.Absent || v < 0 {
		return -1
	}
	return v
}

func (n *node) giveTraffic(gpus []GPU, now time.Time) {
	for i, g := range n.nearest {
		if g >= 0 && g < len(gpus) {
			gpus[g].NetRxBytesPerS = Reading(add(float64(gpus[g].NetRxBytesPerS), n.rate(telemetry.PortRcvDataBytes, i, now)))
			gpus[g].NetTxBytesPerS = Reading(add(float64(gpus[g].NetTxBytesPerS), n.rate(telemetry.PortXmitDataBytes, i, now)))
		}
	}
}

// readSlow makes the GPUs' slow readings anew, if any of them was told since.
func (n *node) readSlow(st *telemetry.State, now time.Time) {
	if !n.slowTold && len(n.slow) == len(n.inventory.Gpus) {
		return
	}
	n.slowTold = false
	slow := make([]GPUSlow, len(n.inventory.Gpus))
	for i, inv := range n.inventory.Gpus {
		was := GPUSlow{}
		for k := range n.slow { // the same GPU may have another number now
			if p := &n.slow[(i+k)%len(n.slow)]; p.identity == identity(inv) {
				was = *p
				break
			}
		}
		slow[i] = slowOf(st, i, inv, &was, now)
		slow[i].remember(&was, Reading(gauge(st, telemetry.GPUUtilPct, i)), now)
	}
	for i, l := range n.inventory.GpuLinks {
		if g := int(l.Gpu); g < len(slow) && st.Get(telemetry.LinkState, i) == telemetry.LinkDown {
			slow[g].LinksDown = append(slow[g].LinksDown, int(l.Link))
		}
	}
	for i := range slow {
		slices.Sort(slow[i].LinksDown)
	}
	n.slow = slow
}

// loadedPct is the utilisation from which a GPU has no cause to lower its PCIe generation.
const loadedPct = 50

// remember takes over what was seen of the same GPU before.
func (s *GPUSlow) remember(was *GPUSlow, util Reading, now time.Time) {
	s.LinksMost, s.FabricSince = s.LinksUp, now
	if s.PCIeGen > 0 && s.PCIeGen < s.PCIeGenMax && util >= loadedPct {
		if s.PCIeLowSince = was.PCIeLowSince; s.PCIeLowSince.IsZero() {
			s.PCIeLowSince = now
		}
	}
	if was.identity == "" {
		return
	}
	if was.LinksMost > s.LinksUp || !s.LinksUp.Known() {
		s.LinksMost = was.LinksMost
	}
	if was.FabricState == s.FabricState {
		s.FabricSince = was.FabricSince
	}
}

// identity is what tells a GPU from others whatever its number; "" where it tells nothing.
func identity(inv *facts.GPU) string {
	if inv.Uuid != "" {
		return inv.Uuid
	}
	return inv.Pci
}

func slowOf(st *telemetry.State, i int, inv *facts.GPU, was *GPUSlow, now time.Time) GPUSlow {
	get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
	rise := func(last Rise, m telemetry.Metric) Rise {
		if was.identity == "" { // never seen before
			last.last = None()
		}
		return last.next(get(m), now)
	}
	return GPUSlow{
		identity: identity(inv), ECCMode: get(telemetry.GPUECCMode),
		ECCVolatileCorrected: get(telemetry.GPUECCVolatileCorrected), ECCVolatileUncorrected: get(telemetry.GPUECCVolatileUncorrected),
		ECCAggregateCorrected: get(telemetry.GPUECCAggregateCorrected), ECCAggregateUncorrected: get(telemetry.GPUECCAggregateUncorrected),
		SRAMUncorrected: get(telemetry.GPUSRAMUncorrected), SRAMThresholdExceeded: get(telemetry.GPUSRAMThresholdExceeded),
		RemappedCorrected: get(telemetry.GPURemappedCorrected), RemappedUncorrected: get(telemetry.GPURemappedUncorrected),
		RemapPending: get(telemetry.GPURemapPending), RemapFailure: get(telemetry.GPURemapFailure),
		RetiredPagesCorrected: get(telemetry.GPURetiredPagesCorrected), RetiredPagesUncorrected: get(telemetry.GPURetiredPagesUncorrected),
		RetiredPending: get(telemetry.GPURetiredPending),
		PCIeGen:        get(telemetry.GPUPCIeGen), PCIeGenMax: get(telemetry.GPUPCIeGenMax),
		PCIeWidth: get(telemetry.GPUPCIeWidth), PCIeWidthMax: get(telemetry.GPUPCIeWidthMax), PCIeReplays: get(telemetry.GPUPCIeReplays),
		SlowdownTempC: get(telemetry.GPUSlowdownTempC), ShutdownTempC: get(telemetry.GPUShutdownTempC), Processes: get(telemetry.GPUProcesses),
		RecoveryAction: small(st.Get(telemetry.GPURecoveryAction, i)), FabricState: small(st.Get(telemetry.GPUFabricState, i)),
		FabricStatus: whole(st.Get(telemetry.GPUFabricStatus, i)), FabricHealthBits: whole(st.Get(telemetry.GPUFabricHealthBits, i)),
		Links: get(telemetry.GPULinks), LinksUp: get(telemetry.GPULinksUp),
		NVLinkReplays: rise(was.NVLinkReplays, telemetry.GPUNVLinkReplays), NVLinkRecoveries: rise(was.NVLinkRecoveries, telemetry.GPUNVLinkRecoveries),
		NVLinkCRCErrors: rise(was.NVLinkCRCErrors, telemetry.GPUNVLinkCRCErrors),
		C2CLinks:        get(telemetry.GPUC2CLinks), C2CLinksUp: get(telemetry.GPUC2CLinksUp),
		Resets: rise(was.Resets, telemetry.GPUResets), ExecErrors: rise(was.ExecErrors, telemetry.GPUExecErrors),
	}
}

// detailTold says that detail was asked for and has arrived: that of single cores, which every node has, came with it.
func (n *node) detailTold(st *telemetry.State) bool { return n.detail && st.Has(telemetry.CoreBusyPct) }

func (n *node) viewDetails(st *telemetry.State, now time.Time) []GPUDetail {
	if !n.detailTold(st) {
		return nil
	}
	out := make([]GPUDetail, len(n.inventory.Gpus))
	for i := range out {
		out[i] = detailOf(st, i, func(m telemetry.Metric) Reading { return Reading(n.rate(m, i, now)) })
	}
	return out
}

// NoDetail is the detail of a GPU that nobody looks at: nothing of it is known.
func NoDetail() *GPUDetail {
	d := detailOf(new(telemetry.State), 0, func(telemetry.Metric) Reading { return None() })
	return &d
}

func detailOf(st *telemetry.State, i int, rate func(telemetry.Metric) Reading) GPUDetail {
	get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
	d := GPUDetail{
		GraphicsActivityPct: get(telemetry.GPUGraphicsActivityPermille) / 10, SMOccupancyPct: get(telemetry.GPUSMOccupancyPermille) / 10,
		FP64ActivityPct: get(telemetry.GPUFP64ActivityPermille) / 10, FP32ActivityPct: get(telemetry.GPUFP32ActivityPermille) / 10,
		FP16ActivityPct: get(telemetry.GPUFP16ActivityPermille) / 10, EncoderPct: get(telemetry.GPUEncoderPct), DecoderPct: get(telemetry.GPUDecoderPct),
		QueueSize: get(telemetry.GPUQueueSize), MemReservedBytes: get(telemetry.GPUMemReservedBytes),
		BAR1UsedBytes: get(telemetry.GPUBAR1UsedBytes), BAR1TotalBytes: get(telemetry.GPUBAR1TotalBytes),
		HostMemUsedBytes: get(telemetry.GPUHostMemUsedBytes), HostMemTotalBytes: get(telemetry.GPUHostMemTotalBytes),
		PowerAvgW: get(telemetry.GPUPowerAvgMW) / 1000, PowerDefaultLimitW: get(telemetry.GPUPowerDefaultLimitMW) / 1000,
		PowerMinLimitW: get(telemetry.GPUPowerMinLimitMW) / 1000, PowerMaxLimitW: get(telemetry.GPUPowerMaxLimitMW) / 1000,
		EnergyJ: get(telemetry.GPUEnergyMJ) / 1000, TempMarginC: get(telemetry.GPUTempMarginC),
		SlowdownTLimitC: get(telemetry.GPUSlowdownTLimitC), ShutdownTLimitC: get(telemetry.GPUShutdownTLimitC),
		MaxTLimitC: get(telemetry.GPUMaxTLimitC), MemMaxTLimitC: get(telemetry.GPUMemMaxTLimitC),
		MemMaxTempC: get(telemetry.GPUMemMaxTempC),
		VRTempC:     get(telemetry.GPUVRTempC), PState: small(st.Get(telemetry.GPUPState, i)), Persistence: get(telemetry.GPUPersistence),
		ComputeMode:     small(st.Get(telemetry.GPUComputeMode, i)),
		PCIeTXBytesPerS: get(telemetry.GPUPCIeTXBytesPerS), PCIeRXBytesPerS: get(telemetry.GPUPCIeRXBytesPerS),
		PCIeReplayRollovers: get(telemetry.GPUPCIeReplayRollovers), PCIeL0ToRecovery: get(telemetry.GPUPCIeL0ToRecovery),
		PCIeCorrectableErrors: get(telemetry.GPUPCIeCorrectableErrors), PCIeNonFatalErrors: get(telemetry.GPUPCIeNonFatalErrors),
		PCIeFatalErrors: get(telemetry.GPUPCIeFatalErrors), PCIeNAKsReceived: get(telemetry.GPUPCIeNAKsReceived), PCIeNAKsSent: get(telemetry.GPUPCIeNAKsSent),
		PCIeBadTLPs: get(telemetry.GPUPCIeBadTLPs), PCIeBadDLLPs: get(telemetry.GPUPCIeBadDLLPs), PCIeLCRCErrors: get(telemetry.GPUPCIeLCRCErrors),
	}
	for c := range d.Throttle {
		m := throttleMetrics[c]
		d.Throttle[c] = Throttle{Total: get(m) / 1000, Pct: min(100, rate(m)/10)}
	}
	return d
}

// throttleMetrics count the milliseconds for which a GPU was held back.
var throttleMetrics = [NumThrottleCauses]telemetry.Metric{
	ThrottlePower: telemetry.GPUThrottlePowerMS, ThrottleThermal: telemetry.GPUThrottleThermalMS, ThrottleSyncBoost: telemetry.GPUThrottleSyncBoostMS,
	ThrottleBoard: telemetry.GPUThrottleBoardMS, ThrottleReliability: telemetry.GPUThrottleReliabilityMS, ThrottleSWThermal: telemetry.GPUThrottleSWThermalMS,
	ThrottleHWThermal: telemetry.GPUThrottleHWThermalMS, ThrottlePowerBrake: telemetry.GPUThrottlePowerBrakeMS,
}

// places says where each of a list's elements stands when they are put in order; equal ones keep theirs.
func places(n int, compare func(i, j int) int) []int {
	order, at := make([]int, n), make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	for place, i := range order {
		at[i] = place
	}
	return at
}

// arrange puts parts and links in the order of their GPUs.
func (n *node) arrange(inv *facts.Inventory) {
	parts, links := inv.GpuParts, inv.GpuLinks
	n.partAt = places(len(parts), func(i, j int) int { return cmp.Compare(parts[i].Gpu, parts[j].Gpu) })
	n.linkAt = places(len(links), func(i, j int) int {
		return cmp.Or(cmp.Compare(links[i].Gpu, links[j].Gpu), cmp.Compare(links[i].Link, links[j].Link))
	})
}

func (n *node) viewParts(st *telemetry.State, holders [][]Holder) []Part {
	if len(n.inventory.GpuParts) == 0 {
		return nil
	}
	out := make([]Part, len(n.inventory.GpuParts))
	for i, inv := range n.inventory.GpuParts {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		p := &out[n.partAt[i]]
		*p = Part{
			Info: inv, GPU: int(inv.Gpu), UtilPct: get(telemetry.PartUtilPct),
			MemUsedBytes: get(telemetry.PartMemUsedBytes), MemTotalBytes: get(telemetry.PartMemTotalBytes),
			SMActivityPct: get(telemetry.PartSMActivityPermille) / 10, TensorActivityPct: get(telemetry.PartTensorActivityPermille) / 10,
			DRAMActivityPct: get(telemetry.PartDRAMActivityPermille) / 10, ECCUncorrected: get(telemetry.PartECCUncorrected),
		}
		if at := n.partAt[i]; at < len(holders) {
			p.Holders = holders[at]
		}
	}
	return out
}

func (n *node) viewLinks(st *telemetry.State, now time.Time) []Link {
	if len(n.inventory.GpuLinks) == 0 || !n.detailTold(st) {
		return nil
	}
	out := make([]Link, len(n.inventory.GpuLinks))
	for i, inv := range n.inventory.GpuLinks {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		out[n.linkAt[i]] = Link{
			Info: inv, GPU: int(inv.Gpu), State: small(st.Get(telemetry.LinkState, i)), SpeedBytesPerS: 1e6 * get(telemetry.LinkSpeedMBps),
			TXBytesPerS: Reading(n.rate(telemetry.LinkTXBytes, i, now)), RXBytesPerS: Reading(n.rate(telemetry.LinkRXBytes, i, now)),
			Replays: get(telemetry.LinkReplays), Recoveries: get(telemetry.LinkRecoveries), RecoveryFailures: get(telemetry.LinkRecoveryFailures),
			CRCErrors: get(telemetry.LinkCRCErrors), ECCErrors: get(telemetry.LinkECCErrors), SymbolErrors: get(telemetry.LinkSymbolErrors),
			RxErrors: get(telemetry.LinkRxErrors), TxDiscards: get(telemetry.LinkTxDiscards), EffectiveErrors: get(telemetry.LinkEffectiveErrors),
		}
	}
	return out
}

// viewCalls gives the calls that were made at all.
func (n *node) viewCalls(st *telemetry.State, now time.Time) []Call {
	if len(n.inventory.Calls) == 0 || !n.detailTold(st) {
		return nil
	}
	out := make([]Call, 0, len(n.inventory.Calls))
	for i, inv := range n.inventory.Calls {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		count := get(telemetry.CallCount)
		if !(count > 0) {
			continue
		}
		perS, us := Reading(n.rate(telemetry.CallCount, i, now)), Reading(n.rate(telemetry.CallTotalUS, i, now))
		c := Call{Name: inv.Name, Source: int(inv.Source), PerS: perS, MeanUS: None(), LastUS: get(telemetry.CallLastUS), MaxUS: get(telemetry.CallMaxUS), Count: count}
		switch total := get(telemetry.CallTotalUS); {
		case perS > 0:
			c.MeanUS = us / perS
		case count > 0: // not of late
			c.MeanUS = total / count
		}
		out = append(out, c)
	}
	return out
}
