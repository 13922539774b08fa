package simfleet

import (
	"foretop/telemetry"
)

// detail reads what is only sent while somebody looks: per core, per hardware counter, per process.
func (v *vitals) detail(n *Node) {
	st, h := &v.state, &v.host
	for _, r := range []struct {
		m telemetry.Metric
		v int64
	}{
		{telemetry.CPUNiceMS, int64(h.nice)}, {telemetry.CPUIRQMS, int64(h.irq)}, {telemetry.CPUSoftIRQMS, int64(h.softirq)},
		{telemetry.ProcsRunning, round(h.cores) + 1}, {telemetry.ContextSwitches, int64(h.switches)}, {telemetry.Forks, int64(h.forks)},
		{telemetry.MemFreeBytes, max(gib, n.machine.hostMemory-int64(h.memoryUsed)-220*gib)}, {telemetry.MemCachedBytes, min(210*gib, n.machine.hostMemory-int64(h.memoryUsed)-gib)},
		{telemetry.MemBuffersBytes, 3 * gib}, {telemetry.MemDirtyBytes, int64(h.dirty)}, {telemetry.MemSlabBytes, 9 * gib},
		{telemetry.ProcessCount, 2100 + 7*int64(len(n.slots)) + int64(h.cores)},
	} {
		st.Set(r.m, 0, r.v)
	}
	v.cores(n)
	v.gpuDetail(n)
	for i := range numPorts {
		p := &v.ports[i]
		st.Set(telemetry.PortRcvPackets, i, int64(p.rcv/4096))
		st.Set(telemetry.PortXmitPackets, i, int64(p.xmit/4096))
		v.hwCounters(n, i, p)
	}
	for i := range numDisks {
		st.Set(telemetry.DiskReads, i, int64(h.diskRead[i]/131072))
		st.Set(telemetry.DiskWrites, i, int64(h.diskWrite[i]/131072))
		st.Set(telemetry.DiskBusyMS, i, int64(h.diskBusy[i]))
	}
	for i := range numNets {
		st.Set(telemetry.NetRxPackets, i, int64(h.netRX[i]/1400))
		st.Set(telemetry.NetTxPackets, i, int64(h.netTX[i]/1400))
	}
	for i := range numSources {
		st.Set(telemetry.SourceCallUS, i, sourceTable[i].callUS+int64(v.noise.next()%32)*5)
	}
}

// cores spreads the busy ones: each rank's own threads run hot, its loaders warm, the rest idle.
func (v *vitals) cores(n *Node) {
	st, left, waiting := &v.state, v.host.cores*100, v.host.iowaiting*100
	shift := int(n.id(word("cores")) % numThreads)
	for k := range numThreads {
		// Ranks pin to their own NUMA node: neighbours of a GPU's first core are the busy ones.
		c := (k*24 + k/8 + shift) % numThreads
		busy := 0.0
		if left > 0 {
			busy = min(left, 55+45*v.noise.unit())
			left -= busy
		} else {
			busy = 0.6 * v.noise.unit()
		}
		wait := 0.0
		if busy < 5 && waiting > 0 {
			wait = min(waiting, 90)
			waiting -= wait
		}
		st.Set(telemetry.CoreBusyPct, c, clampPct(busy))
		st.Set(telemetry.CoreSystemPct, c, clampPct(busy*0.15))
		st.Set(telemetry.CoreIowaitPct, c, clampPct(wait))
	}
}

func (v *vitals) hwCounters(n *Node, port int, p *portVitals) {
	for k, name := range hwCounters {
		value := int64(0)
		switch name {
		case "rx_write_requests":
			value = int64(p.rcv / 524288)
		case "rx_read_requests":
			value = int64(p.rcv / 8e6)
		case "req_cqe_flush_error", "resp_cqe_flush_error":
			value = int64(n.id(word(name), uint64(port)) % 2048)
		case "duplicate_request":
			value = int64(p.wait / 4e6)
		}
		v.state.Set(telemetry.HWCounterValue, port*len(hwCounters)+k, value)
	}
}
