package fleet

import (
	"strconv"
	"time"

	"foretop/telemetry"
)

func (n *node) viewPorts(st *telemetry.State, now time.Time) []Port {
	out := make([]Port, len(n.inventory.Ports))
	slow := n.portSlow.of(&n.groupAt[telemetry.GroupPortErrors], now, func(stale bool) []portSlow { return n.portSlowOf(st, stale) })
	for i, inv := range n.inventory.Ports {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		rate := func(m telemetry.Metric) Reading { return Reading(n.rate(m, i, now)) }
		p := &out[i]
		*p = Port{
			Name: slow[i].name, LinkLayer: inv.LinkLayer, Netdev: inv.Netdev, Rate: inv.Rate, Fact: inv, GPU: n.nearest[i], Near: n.nearBy[i],
			State: small(st.Get(telemetry.PortState, i)), PhysState: small(st.Get(telemetry.PortPhysState, i)),
			RateMbps: get(telemetry.PortRateMbps), RateMaxMbps: get(telemetry.PortRateMaxMbps),
			PCIeGen: get(telemetry.PortPCIeGen), PCIeGenMax: get(telemetry.PortPCIeGenMax), PCIeWidth: get(telemetry.PortPCIeWidth), PCIeWidthMax: get(telemetry.PortPCIeWidthMax),
			RcvBytesPerS: rate(telemetry.PortRcvDataBytes), XmitBytesPerS: rate(telemetry.PortXmitDataBytes), XmitWaitPerS: None(),
			PortTotals: &slow[i].totals,
		}
		if slow[i].known {
			p.Errors = &slow[i].errors
			p.XmitWaitPerS = p.ErrorPerS(telemetry.PortXmitWait)
		}
	}
	n.viewCounters(st, out, now)
	return out
}

// shelf keeps what was made of a group of slow readings: all views share it until the group is read anew, or is stale, or is so no more.
type shelf[T any] struct {
	list   []T // nil: nothing yet
	readMS int64
	stale  bool
}

func (s *shelf[T]) of(g *groupTime, now time.Time, make func(stale bool) []T) []T {
	if stale := g.stale(now); s.list == nil || s.readMS != g.readMS || s.stale != stale {
		*s = shelf[T]{list: make(stale), readMS: g.readMS, stale: stale}
	}
	return s.list
}

// portSlow is of one port what is read every ten seconds, and its name.
type portSlow struct {
	name   string
	totals PortTotals
	errors PortErrors
	known  bool // the errors are
}

func (n *node) portSlowOf(st *telemetry.State, stale bool) []portSlow {
	out := make([]portSlow, len(n.inventory.Ports))
	for i, inv := range n.inventory.Ports {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		p := &out[i]
		p.name, p.known = inv.Device, !stale && n.groupAt[telemetry.GroupPortErrors].readMS != 0
		if inv.Port > 1 {
			p.name += "/" + strconv.Itoa(int(inv.Port))
		}
		p.totals = PortTotals{
			SymbolError: get(telemetry.PortSymbolError), LinkErrorRecovery: get(telemetry.PortLinkErrorRecovery), LinkDowned: get(telemetry.PortLinkDowned),
			RcvErrors: get(telemetry.PortRcvErrors), XmitDiscards: get(telemetry.PortXmitDiscards),
			OutOfSequence: get(telemetry.PortOutOfSequence), PacketSeqErr: get(telemetry.PortPacketSeqErr),
			LocalAckTimeoutErr: get(telemetry.PortLocalAckTimeoutErr), OutOfBuffer: get(telemetry.PortOutOfBuffer), RoCESlowRestart: get(telemetry.PortRoCESlowRestart),
			LocalLinkIntegrityErrors: get(telemetry.PortLocalLinkIntegrityErrors), ExcessiveBufferOverrunErrors: get(telemetry.PortExcessiveBufferOverrunErrors),
		}
	}
	for k, m := range telemetry.PortErrors() {
		def, _ := telemetry.Lookup(m)
		meaning := telemetry.LookupCounter("", def.Name)
		for i := range out {
			e := &out[i].errors
			if e.PerS[k] = float32(n.rates.Rate(m, i)); meaning.Full(st.Get(m, i)) {
				e.PerS[k] = float32(None())
				e.Stopped |= 1 << k
			}
		}
	}
	return out
}

// viewCounters adds all files of counters/ and hw_counters/ to their ports: nodes tell them at detail level.
func (n *node) viewCounters(st *telemetry.State, out []Port, now time.Time) {
	if !st.Has(telemetry.HWCounterValue) {
		return
	}
	if n.counterDefs == nil {
		n.counterDefs = make([]telemetry.CounterDef, len(n.inventory.HwCounters))
		for i, c := range n.inventory.HwCounters {
			n.counterDefs[i] = telemetry.LookupCounter(n.inventory.Ports[c.Port].Driver, c.Name)
		}
	}
	for i, c := range n.inventory.HwCounters {
		v := Reading(gauge(st, telemetry.HWCounterValue, i))
		if !v.Known() {
			continue
		}
		counter := Counter{Name: c.Name, Value: v, PerS: Reading(n.rate(telemetry.HWCounterValue, i, now)), Def: n.counterDefs[i]}
		if counter.Full() {
			counter.PerS = None()
		}
		p := &out[c.Port]
		p.Counters = append(p.Counters, counter)
	}
}

// small is an enumeration's value, -1 for absent or absurd.
func small(v int64) int {
	if v < 0 || v > 255 {
		return -1
	}
	return int(v)
}

func (n *node) viewNets(st *telemetry.State, now time.Time) []Net {
	out := make([]Net, len(n.inventory.Nets))
	counts := n.netCounts.of(&n.groupAt[telemetry.GroupNetErrors], now, func(bool) []NetCounts { return n.netCountsOf(st, now) })
	for i, inv := range n.inventory.Nets {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		rate := func(m telemetry.Metric) Reading { return Reading(n.rate(m, i, now)) }
		out[i] = Net{
			Name: inv.Name, Driver: inv.Driver, Physical: inv.Physical, Master: inv.Master, BondMode: inv.BondMode,
			Up: get(telemetry.NetUp), SpeedMbps: get(telemetry.NetSpeedMbps),
			RxBytesPerS: rate(telemetry.NetRxBytes), TxBytesPerS: rate(telemetry.NetTxBytes),
			RxPacketsPerS: rate(telemetry.NetRxPackets), TxPacketsPerS: rate(telemetry.NetTxPackets),
			RxErrors: get(telemetry.NetRxErrors), TxErrors: get(telemetry.NetTxErrors),
			RxDropped: get(telemetry.NetRxDropped), TxDropped: get(telemetry.NetTxDropped), CarrierChanges: get(telemetry.NetCarrierChanges),
			NetCounts: &counts[i],
		}
	}
	return out
}

func (n *node) netCountsOf(st *telemetry.State, now time.Time) []NetCounts {
	out := make([]NetCounts, len(n.inventory.Nets))
	for i := range out {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		rate := func(m telemetry.Metric) Reading { return Reading(n.rate(m, i, now)) }
		out[i] = NetCounts{
			SpeedMaxMbps: get(telemetry.NetSpeedMaxMbps),
			RxPFCPause:   get(telemetry.NetRxPFCPause), TxPFCPause: get(telemetry.NetTxPFCPause), RxPause: get(telemetry.NetRxPause), TxPause: get(telemetry.NetTxPause),
			RxDiscards: get(telemetry.NetRxDiscards), TxDiscards: get(telemetry.NetTxDiscards), RxCRCErrors: get(telemetry.NetRxCRCErrors),
			SymbolErrors: get(telemetry.NetSymbolErrors), FECUncorrected: get(telemetry.NetFECUncorrected), AllowanceExceeded: get(telemetry.NetAllowanceExceeded),
			RxPFCPausePerS: rate(telemetry.NetRxPFCPause), TxPFCPausePerS: rate(telemetry.NetTxPFCPause), RxPausePerS: rate(telemetry.NetRxPause), TxPausePerS: rate(telemetry.NetTxPause),
			RxDiscardsPerS: rate(telemetry.NetRxDiscards), TxDiscardsPerS: rate(telemetry.NetTxDiscards), RxCRCErrorsPerS: rate(telemetry.NetRxCRCErrors),
			SymbolErrorsPerS: rate(telemetry.NetSymbolErrors), FECUncorrectedPerS: rate(telemetry.NetFECUncorrected), AllowanceExceededPerS: rate(telemetry.NetAllowanceExceeded),
		}
	}
	return out
}

func (n *node) viewDisks(st *telemetry.State, now time.Time) []Disk {
	out := make([]Disk, len(n.inventory.Disks))
	for i, inv := range n.inventory.Disks {
		rate := func(m telemetry.Metric) Reading { return Reading(n.rate(m, i, now)) }
		out[i] = Disk{
			Name: inv.Name, Model: inv.Model, SizeBytes: Reading(inv.SizeBytes),
			ReadBytesPerS: rate(telemetry.DiskReadBytes), WriteBytesPerS: rate(telemetry.DiskWriteBytes),
			ReadsPerS: rate(telemetry.DiskReads), WritesPerS: rate(telemetry.DiskWrites), BusyPct: rate(telemetry.DiskBusyMS) / 10,
		}
	}
	return out
}

func (n *node) viewFS(st *telemetry.State) []Filesystem {
	out := make([]Filesystem, len(n.inventory.Filesystems))
	for i, inv := range n.inventory.Filesystems {
		out[i] = Filesystem{Mount: inv.Mount, Device: inv.Device, Type: inv.Type,
			SizeBytes: Reading(gauge(st, telemetry.FSSizeBytes, i)), AvailableBytes: Reading(gauge(st, telemetry.FSAvailableBytes, i)),
			Files: Reading(gauge(st, telemetry.FSFiles, i)), FilesFree: Reading(gauge(st, telemetry.FSFilesFree, i))}
	}
	return out
}

func (n *node) viewCores(st *telemetry.State) []Core {
	if !n.detail || !st.Has(telemetry.CoreBusyPct) {
		return nil
	}
	out := make([]Core, st.Count(telemetry.ScopeCore))
	for i := range out {
		out[i] = Core{Reading(gauge(st, telemetry.CoreBusyPct, i)), Reading(gauge(st, telemetry.CoreSystemPct, i)), Reading(gauge(st, telemetry.CoreIowaitPct, i))}
	}
	return out
}
