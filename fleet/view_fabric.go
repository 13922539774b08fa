package fleet

import (
	"strconv"
	"time"

	"foretop/telemetry"
)

func (n *node) viewPorts(st *telemetry.State, now time.Time) []Port {
	out := make([]Port, len(n.inventory.Ports))
	for i, inv := range n.inventory.Ports {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		rate := func(m telemetry.Metric) Reading { return Reading(n.rate(m, i, now)) }
		name := inv.Device
		if inv.Port > 1 {
			name += "/" + strconv.Itoa(int(inv.Port))
		}
		out[i] = Port{
			Name: name, LinkLayer: inv.LinkLayer, Netdev: inv.Netdev, Rate: inv.Rate, GPU: n.nearest[i],
			State: small(st.Get(telemetry.PortState, i)), PhysState: small(st.Get(telemetry.PortPhysState, i)), RateMbps: get(telemetry.PortRateMbps),
			RcvBytesPerS: rate(telemetry.PortRcvDataBytes), XmitBytesPerS: rate(telemetry.PortXmitDataBytes), XmitWaitPerS: rate(telemetry.PortXmitWait),
			SymbolError: get(telemetry.PortSymbolError), LinkErrorRecovery: get(telemetry.PortLinkErrorRecovery), LinkDowned: get(telemetry.PortLinkDowned),
			RcvErrors: get(telemetry.PortRcvErrors), XmitDiscards: get(telemetry.PortXmitDiscards),
			OutOfSequence: get(telemetry.PortOutOfSequence), PacketSeqErr: get(telemetry.PortPacketSeqErr),
			LocalAckTimeoutErr: get(telemetry.PortLocalAckTimeoutErr), OutOfBuffer: get(telemetry.PortOutOfBuffer), RoCESlowRestart: get(telemetry.PortRoCESlowRestart),
			LocalLinkIntegrityErrors: get(telemetry.PortLocalLinkIntegrityErrors), ExcessiveBufferOverrunErrors: get(telemetry.PortExcessiveBufferOverrunErrors),
		}
	}
	for i, c := range n.inventory.HwCounters {
		if v := gauge(st, telemetry.HWCounterValue, i); v == v && int(c.Port) < len(out) {
			p := &out[c.Port]
			p.Counters = append(p.Counters, Counter{Name: c.Name, Value: Reading(v), PerS: Reading(n.rate(telemetry.HWCounterValue, i, now))})
		}
	}
	return out
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
	for i, inv := range n.inventory.Nets {
		get := func(m telemetry.Metric) Reading { return Reading(gauge(st, m, i)) }
		rate := func(m telemetry.Metric) Reading { return Reading(n.rate(m, i, now)) }
		out[i] = Net{
			Name: inv.Name, Driver: inv.Driver, Physical: inv.Physical,
			Up: get(telemetry.NetUp), SpeedMbps: get(telemetry.NetSpeedMbps),
			RxBytesPerS: rate(telemetry.NetRxBytes), TxBytesPerS: rate(telemetry.NetTxBytes),
			RxPacketsPerS: rate(telemetry.NetRxPackets), TxPacketsPerS: rate(telemetry.NetTxPackets),
			RxErrors: get(telemetry.NetRxErrors), TxErrors: get(telemetry.NetTxErrors),
			RxDropped: get(telemetry.NetRxDropped), TxDropped: get(telemetry.NetTxDropped), CarrierChanges: get(telemetry.NetCarrierChanges),
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
			SizeBytes: Reading(gauge(st, telemetry.FSSizeBytes, i)), AvailableBytes: Reading(gauge(st, telemetry.FSAvailableBytes, i))}
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
