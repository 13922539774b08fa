package simfleet

import (
	"time"

	"foretop/telemetry"
)

// portVitals is what lasts from one reading of an RDMA port to the next.
type portVitals struct {
	rcv, xmit float64 // bytes
	wait      float64
	outOfSeq  float64
	ackErr    float64
	cnp       float64
}

// States of a port, as /sys/class/infiniband says them.
const (
	portStateDown   = 1
	portStateActive = 4
	physPolling     = 2
	physLinkUp      = 5
)

// port reads all ports.
func (v *vitals) port(n *Node, l *load, local time.Duration) {
	st := &v.state
	for i := range numPorts {
		p := &v.ports[i]
		down := n.portDown(i, local)
		state, phys, rate := int64(portStateActive), int64(physLinkUp), portRate(i)
		if down {
			state, phys = portStateDown, physPolling
			if i != storagePort {
				rate = 10_000 // what the kernel says of a link that is down: 10 Gb/sec (4X SDR)
			}
		}
		for k := range n.strikes {
			if s := &n.strikes[k]; s.Kind == NICSlow && s.Port == i && s.on(local) && !down {
				rate /= 2
			}
		}
		st.Set(telemetry.PortState, i, state)
		st.Set(telemetry.PortPhysState, i, phys)
		st.Set(telemetry.PortRateMbps, i, rate)
		st.Set(telemetry.PortRateMaxMbps, i, portRate(i))
		for _, r := range [...]struct {
			m telemetry.Metric
			v int64
		}{{telemetry.PortPCIeGen, 5}, {telemetry.PortPCIeGenMax, 5}, {telemetry.PortPCIeWidth, 16}, {telemetry.PortPCIeWidthMax, 16}} {
			st.Set(r.m, i, r.v)
		}
		if !down {
			v.traffic(i, p, l)
		}
		st.Set(telemetry.PortRcvDataBytes, i, int64(p.rcv))
		st.Set(telemetry.PortXmitDataBytes, i, int64(p.xmit))
	}
}

// portRate is what a port can do, in Mb/s.
func portRate(i int) int64 {
	if i == storagePort {
		return 200_000
	}
	return 400_000
}

func (v *vitals) traffic(i int, p *portVitals, l *load) {
	if i == storagePort { // NFS over RDMA and Lustre
		p.rcv += (l.readMBs*0.7*1e6 + 2e4) * l.seconds * (1 + 0.05*v.noise.about())
		p.xmit += (l.saveMBs*0.8*1e6 + 2e4) * l.seconds * (1 + 0.05*v.noise.about())
		p.cnp += (l.saveMBs / 400) * l.seconds
		return
	}
	rate := l.netGBs[i] * 1e9
	if rate < 1e6 { // the subnet manager asks now and then
		if v.noise.unit() < 0.02 {
			p.rcv += 8192
			p.xmit += 8192
		}
		return
	}
	p.rcv += rate * l.seconds * (1 + 0.02*v.noise.about())
	p.xmit += rate * l.seconds * (1 + 0.02*v.noise.about())
	p.wait += rate / 5e6 * l.seconds * v.noise.unit()
}

// portErrors reads the counters that tell damage or congestion, every ten seconds.
func (v *vitals) portErrors(n *Node, at time.Duration) {
	st := &v.state
	for i := range numPorts {
		p := &v.ports[i]
		downs := n.count(LinkFlap, i, at) - n.count(LinkFlap, i, v.boot)
		key := n.id(word("port errors"), uint64(i))
		old := int64(0)
		if key%23 == 0 { // a few ports have a past
			old = int64(key >> 8 % 3)
		}
		for _, r := range []struct {
			m telemetry.Metric
			v int64
		}{
			{telemetry.PortXmitWait, int64(p.wait)}, {telemetry.PortSymbolError, old*4 + 17*downs}, {telemetry.PortLinkErrorRecovery, old + downs},
			{telemetry.PortLinkDowned, min(255, old+downs)}, {telemetry.PortRcvErrors, old + 3*downs}, {telemetry.PortRcvRemotePhysicalErrors, 0},
			{telemetry.PortRcvSwitchRelayErrors, 0}, {telemetry.PortXmitDiscards, 2 * downs}, {telemetry.PortXmitConstraintErrors, 0},
			{telemetry.PortRcvConstraintErrors, 0}, {telemetry.PortLocalLinkIntegrityErrors, min(15, downs/2)}, {telemetry.PortExcessiveBufferOverrunErrors, 0},
			{telemetry.PortVL15Dropped, int64(key >> 16 % 5)}, {telemetry.PortOutOfSequence, int64(p.outOfSeq) + 40*downs}, {telemetry.PortPacketSeqErr, 11 * downs},
			{telemetry.PortLocalAckTimeoutErr, int64(p.ackErr) + 8*downs}, {telemetry.PortRNRNakRetryErr, 0}, {telemetry.PortReqTransportRetriesExceeded, 0}, {telemetry.PortReqRNRRetriesExceeded, 0},
			{telemetry.PortOutOfBuffer, int64(key >> 20 % 700 / 690)}, {telemetry.PortRxICRCEncapsulated, 0},
		} {
			st.Set(r.m, i, r.v)
		}
		if i == storagePort { // congestion control is RoCE's
			st.Set(telemetry.PortRoCESlowRestart, i, 0)
			st.Set(telemetry.PortNPCNPSent, i, int64(p.cnp))
			st.Set(telemetry.PortRPCNPHandled, i, int64(p.cnp*0.9))
			st.Set(telemetry.PortNPECNMarked, i, int64(p.cnp*1.1))
		}
	}
	v.netErrors()
}

// netErrors reads ethtool's statistics, as far as the two drivers have them.
func (v *vitals) netErrors() {
	st, paused := &v.state, int64(v.ports[storagePort].cnp/3)
	for _, r := range [...]struct {
		m                   telemetry.Metric
		management, storage int64 // -1: the driver has no such counter
	}{
		{telemetry.NetRxPFCPause, -1, paused}, {telemetry.NetTxPFCPause, -1, paused / 5}, {telemetry.NetRxPause, 0, 0}, {telemetry.NetTxPause, 0, 0},
		{telemetry.NetRxDiscards, 0, 0}, {telemetry.NetTxDiscards, 0, 0}, {telemetry.NetRxCRCErrors, 0, 0}, {telemetry.NetSymbolErrors, -1, 0},
		{telemetry.NetFECUncorrected, -1, 0}, {telemetry.NetSpeedMaxMbps, 1000, 200_000},
	} {
		if r.management >= 0 {
			st.Set(r.m, netManagement, r.management)
		}
		st.Set(r.m, netStorage, r.storage)
	}
}
