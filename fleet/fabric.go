package fleet

import (
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Port is one RDMA port. Error counters are totals since they were last reset.
type Port struct {
	Name                                         string // mlx5_0, or mlx5_0/2 for a second port
	LinkLayer, Netdev, Rate                      string
	State, PhysState                             int // as in sysfs; -1 unknown
	RateMbps                                     Reading
	RateMaxMbps                                  Reading // what it could do; Fact.RateMax says whence that is known
	PCIeGen, PCIeGenMax, PCIeWidth, PCIeWidthMax Reading
	RcvBytesPerS, XmitBytesPerS                  Reading
	XmitWaitPerS                                 Reading
	*PortTotals
	Errors   *PortErrors // how they change; nil unknown
	Counters []Counter   // all files of counters/ and hw_counters/, detail level
	GPU      int         // index of the GPU that it belongs to, -1 unknown
	Near     Nearness    // how that is known
	Severity Severity
	Fact     *facts.Port // what the inventory says of it; nil unknown
}

// PortTotals is what a port counted of damage and congestion since its counters were cleared. Views share it until it is read anew; never nil in a view.
type PortTotals struct {
	SymbolError, LinkErrorRecovery, LinkDowned, RcvErrors, XmitDiscards           Reading
	OutOfSequence, PacketSeqErr, LocalAckTimeoutErr, OutOfBuffer, RoCESlowRestart Reading
	LocalLinkIntegrityErrors, ExcessiveBufferOverrunErrors                        Reading
}

// What is of the inventory, in words and numbers; nothing where it is not known.
func (p *Port) fact() *facts.Port {
	if p.Fact == nil {
		return &noPort
	}
	return p.Fact
}

var noPort = facts.Port{NumaNode: -1}

// Kind is what ports have in common that may be compared with one another: the driver, the kind of device, the maker's part and the link layer.
func (p *Port) Kind() string {
	f := p.fact()
	return f.Driver + " " + f.HcaType + " " + f.BoardId + " " + p.LinkLayer
}

// Like says that two ports are of one Kind.
func (p *Port) Like(q *Port) bool {
	f, g := p.fact(), q.fact()
	return p.LinkLayer == q.LinkLayer && f.BoardId == g.BoardId && f.HcaType == g.HcaType && f.Driver == g.Driver
}

// RateMaxFrom says whence RateMaxMbps is known: "ethtool" for the adapter's own word, "kind of device" for that of its fastest make.
func (p *Port) RateMaxFrom() string { return p.fact().RateMax }

// LID and SMLID are local identifiers of InfiniBand, the port's own and the subnet manager's; 0: none.
func (p *Port) LID() uint32   { return p.fact().Lid }
func (p *Port) SMLID() uint32 { return p.fact().SmLid }

// PortErrors is how a port's counters of damage and congestion change, as they were last read, by their place in telemetry.PortErrors.
type PortErrors struct {
	PerS    [telemetry.NumPortErrors]float32 // NaN: not known
	Stopped uint64                           // a bit for each that stands at its limit and counts no more
}

// ErrorPerS is the change a second of a counter of damage or congestion: one of telemetry.PortErrors.
func (p *Port) ErrorPerS(m telemetry.Metric) Reading {
	if i := telemetry.PortErrorAt(m); p.Errors != nil && i >= 0 {
		return Reading(p.Errors.PerS[i])
	}
	return None()
}

// Stopped says whether such a counter stands at its limit: it counts no more until somebody resets it, so that nothing new shows.
func (p *Port) Stopped(m telemetry.Metric) bool {
	i := telemetry.PortErrorAt(m)
	return p.Errors != nil && i >= 0 && p.Errors.Stopped>>i&1 != 0
}

// xmitWaitTickBytes is how many bytes a link could have sent in one tick of port_xmit_wait. It is the maker's choice; NVIDIA's is eight bytes
// (ibdiagnet user manual, "Congestion assessment on InfiniBand links").
const xmitWaitTickBytes = 8

// XmitWaitPct is about which share of time the port had data to send and was not let, in percent of what its link could send.
func (p *Port) XmitWaitPct() Reading {
	if p.Stopped(telemetry.PortXmitWait) {
		return None()
	}
	return min(100, (p.XmitWaitPerS * xmitWaitTickBytes).Share(p.RateMbps*1e6/8))
}

// Counter is one named counter with its rate.
type Counter struct {
	Name  string
	Value Reading
	PerS  Reading
	Def   telemetry.CounterDef // what it means
}

// Full says that the counter stands at its limit and counts no more.
func (c *Counter) Full() bool { return c.Value.Known() && c.Def.Full(int64(c.Value)) }

// Net is one network interface.
type Net struct {
	Name, Driver                                             string
	Physical                                                 bool
	Master, BondMode                                         string // the bond or bridge that it is part of; the mode of a bond
	Up                                                       Reading
	SpeedMbps                                                Reading
	RxBytesPerS, TxBytesPerS                                 Reading
	RxPacketsPerS, TxPacketsPerS                             Reading
	RxErrors, TxErrors, RxDropped, TxDropped, CarrierChanges Reading
	*NetCounts
}

// NetCounts is what an interface's driver says and counts itself (ethtool), totals and changes. Views share it until it is read anew; never nil in a view.
type NetCounts struct {
	SpeedMaxMbps                                                 Reading
	RxPFCPause, TxPFCPause, RxPause, TxPause                     Reading
	RxDiscards, TxDiscards                                       Reading // by the adapter, for want of room
	RxCRCErrors, SymbolErrors, FECUncorrected, AllowanceExceeded Reading
	RxPFCPausePerS, TxPFCPausePerS, RxPausePerS, TxPausePerS     Reading
	RxDiscardsPerS, TxDiscardsPerS                               Reading
	RxCRCErrorsPerS, SymbolErrorsPerS, FECUncorrectedPerS        Reading
	AllowanceExceededPerS                                        Reading
}
