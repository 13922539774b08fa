package telemetry

// Scope is the kind of thing that a metric is read of. A node has entities of each scope, numbered from 0 in the order of the inventory.
type Scope uint8

// Scopes. The numbers are on the wire: never reuse one.
const (
	ScopeNode      Scope = iota // the node itself: one entity
	ScopeGroup                  // a group of readings taken together: the time it was last read
	ScopeSource                 // a source: its state and cost
	ScopeGPU                    // Inventory.gpus
	ScopePort                   // Inventory.ports
	ScopeHWCounter              // Inventory.hw_counters
	ScopeNet                    // Inventory.nets
	ScopeDisk                   // Inventory.disks
	ScopeFS                     // Inventory.filesystems
	ScopeCore                   // logical CPUs
	ScopeGPULink                // Inventory.gpu_links
	ScopeGPUPart                // Inventory.gpu_parts
	ScopeCall                   // Inventory.calls
	NumScopes
)

// Group says which readings are taken at the same moment, so that a counter's rate can be had from the time between two reads.
type Group uint8

// Groups: the entities of ScopeGroup. The numbers are on the wire.
const (
	GroupHost       Group = iota // CPU, memory, load, pressure
	GroupGPU                     // the fast readings of all accelerators
	GroupGPUSlow                 // ECC, remapped rows, PCIe link
	GroupPort                    // RDMA traffic
	GroupPortErrors              // RDMA errors and hw_counters
	GroupNet
	GroupDisk
	GroupFS
	GroupSelf
	GroupGPULinks  // traffic of single NVLink or xGMI links
	GroupNetErrors // ethtool's statistics
	GroupCalls     // calls into a driver's library
	NumGroups
)

// MetricKind says how a metric's values are to be read.
type MetricKind uint8

const (
	Gauge   MetricKind = iota // a level
	Counter                   // only grows (until it is reset); rates are computed at the front
	Enum                      // one of a list of states
	Bits                      // a set of flags
)

// Level says when a metric is sent.
type Level uint8

const (
	Base   Level = iota // always
	Detail              // only while the front end asks for it
	numLevels
)

// Metric identifies one metric: its scope and its number in the scope.
type Metric uint16

const scopeShift = 8

// Scope is the scope of the metric.
func (m Metric) Scope() Scope { return Scope(m >> scopeShift) }

func (m Metric) local() uint64 { return uint64(m & (1<<scopeShift - 1)) }

// Def says what a metric is. Values in a [State] are in Unit; on the wire they are rounded down to a multiple of Quantum.
type Def struct {
	ID      Metric
	Name    string // snake_case, the unit last
	Kind    MetricKind
	Group   Group
	Level   Level
	Quantum int64
}

const (
	node   = Metric(ScopeNode) << scopeShift
	group  = Metric(ScopeGroup) << scopeShift
	source = Metric(ScopeSource) << scopeShift
	gpu    = Metric(ScopeGPU) << scopeShift
	port   = Metric(ScopePort) << scopeShift
	hw     = Metric(ScopeHWCounter) << scopeShift
	net    = Metric(ScopeNet) << scopeShift
	disk   = Metric(ScopeDisk) << scopeShift
	fs     = Metric(ScopeFS) << scopeShift
	core   = Metric(ScopeCore) << scopeShift
	link   = Metric(ScopeGPULink) << scopeShift
	part   = Metric(ScopeGPUPart) << scopeShift
	call   = Metric(ScopeCall) << scopeShift
)

// Metric identifiers. They are on the wire: append, never renumber.
const (
	// /proc/stat, all CPUs together; user includes nice, system includes irq and softirq.
	CPUUserMS Metric = node + iota
	CPUSystemMS
	CPUIdleMS
	CPUIowaitMS
	CPUStealMS
	CPUNiceMS
	CPUIRQMS
	CPUSoftIRQMS
	// /proc/loadavg, thousandths
	Load1Milli
	Load5Milli
	Load15Milli
	// /proc/pressure/*: "total=" of the some and full lines
	PSICPUSomeUS
	PSIMemorySomeUS
	PSIMemoryFullUS
	PSIIOSomeUS
	PSIIOFullUS
	ProcsRunning
	ProcsBlocked
	ContextSwitches
	Forks
	// /proc/meminfo
	MemTotalBytes
	MemAvailableBytes
	MemFreeBytes
	MemCachedBytes
	MemBuffersBytes
	MemShmemBytes
	MemDirtyBytes
	MemSlabBytes
	SwapTotalBytes
	SwapFreeBytes
	HugePagesTotal
	HugePagesFree
	HugePageBytes
	// the collector itself, its NVML reader included
	SelfCPUUS
	SelfRSSBytes
	SelfSentBytes
	UptimeMS
	ProcessCount
	WallOffsetMS // by how much the wall clock is ahead of the monotonic one
	// /sys/devices/system/edac/mc: memory errors that the controllers counted since the machine started
	MemCorrectedErrors
	MemUncorrectedErrors
)

const (
	// ReadMS is when a group was last read: the node's monotonic clock.
	ReadMS Metric = group + iota
)

const (
	// SourceStateEnum is a facts.SourceState. SourceCallUS is what the last read cost in wall time.
	SourceStateEnum Metric = source + iota
	SourceCallUS
	// SourceStuckMS is how long the present call has not returned; absent while none is late.
	SourceStuckMS
)

// Values of GPUStatus.
const (
	GPUOK         = 0
	GPULost       = 1 // fallen off the bus: the driver says GPU_IS_LOST
	GPUFailing    = 2 // its calls return errors
	GPUUnanswered = 3 // a call on it does not return
)

const (
	GPUStatus Metric = gpu + iota
	GPUUtilPct
	GPUMemUtilPct // memory controller
	GPUMemUsedBytes
	GPUMemTotalBytes
	GPUMemReservedBytes
	GPUTempC
	GPUMemTempC
	GPUPowerMW
	GPUPowerLimitMW
	GPUPowerAvgMW
	GPUEnergyMJ
	GPUSMClockMHz
	GPUMemClockMHz
	GPUSMClockMaxMHz
	GPUMemClockMaxMHz
	GPUThrottleBits // NVML clock event reasons
	GPUECCVolatileCorrected
	GPUECCVolatileUncorrected
	GPUECCAggregateCorrected
	GPUECCAggregateUncorrected
	GPURemappedCorrected
	GPURemappedUncorrected
	GPURemapPending
	GPURemapFailure
	GPUSMActivityPermille // GPM or DCP
	GPUTensorActivityPermille
	GPUDRAMActivityPermille
	GPUEncoderPct
	GPUDecoderPct
	GPUPCIeGen
	GPUPCIeGenMax
	GPUPCIeWidth
	GPUPCIeWidthMax
	GPUPCIeReplays
	GPUNVLinkTXBytes
	GPUNVLinkRXBytes
	GPUSlowdownTempC
	GPUShutdownTempC
	GPUProcesses
	GPUBAR1UsedBytes
	GPUBAR1TotalBytes
	GPUTempMarginC // how far below the limit at which it slows down; NVML's margin temperature
	GPUMemMaxTempC // the memory's highest operating temperature
	GPUVRTempC     // voltage regulators
	GPUPowerDefaultLimitMW
	GPUPowerMinLimitMW
	GPUPowerMaxLimitMW
	GPUPState
	GPUPersistence              // 1 on
	GPUComputeMode              // nvmlComputeMode_t
	GPUECCMode                  // 1 on
	GPURetiredPagesCorrected    // before Ampere: pages retired for repeated single-bit errors
	GPURetiredPagesUncorrected  // and for double-bit ones
	GPURetiredPending           // 1: pages wait for a reset to be retired
	GPUSRAMUncorrected          // SRAM ECC errors, since the board was made
	GPUSRAMThresholdExceeded    // 1: so many that the maker replaces the board
	GPURecoveryAction           // the driver's own verdict: one of the RecoveryActions
	GPUFabricState              // one of the FabricStates
	GPUFabricStatus             // nvmlReturn_t with which registering ended; 0 fine
	GPUFabricHealthBits         // nvmlGpuFabricInfo healthMask: fields of two bits and more
	GPULinks                    // NVLink or xGMI links that it has
	GPULinksUp                  // and that are up
	GPUNVLinkReplays            // of all its links
	GPUNVLinkRecoveries         //
	GPUNVLinkCRCErrors          //
	GPUPCIeTXBytesPerS          // the driver's own mean over the last second (GPM), not a counter
	GPUPCIeRXBytesPerS          //
	GPUPCIeReplayRollovers      //
	GPUPCIeCorrectableErrors    //
	GPUPCIeNonFatalErrors       //
	GPUPCIeFatalErrors          //
	GPUPCIeL0ToRecovery         //
	GPUPCIeNAKsReceived         //
	GPUPCIeNAKsSent             //
	GPUPCIeBadTLPs              //
	GPUPCIeBadDLLPs             //
	GPUPCIeLCRCErrors           //
	GPUThrottlePowerMS          // for how long it was held back, by cause, since the driver was loaded
	GPUThrottleThermalMS        //
	GPUThrottleSyncBoostMS      //
	GPUThrottleBoardMS          //
	GPUThrottleReliabilityMS    //
	GPUThrottleSWThermalMS      //
	GPUThrottleHWThermalMS      //
	GPUThrottlePowerBrakeMS     //
	GPUSMOccupancyPermille      // GPM
	GPUGraphicsActivityPermille //
	GPUFP64ActivityPermille     //
	GPUFP32ActivityPermille     //
	GPUFP16ActivityPermille     //
	GPUC2CLinks                 // to the CPU: Grace
	GPUC2CLinksUp               //
	GPUResets                   // resets that the driver counts (Gaudi)
	GPUExecErrors               // runs on it that failed (Neuron's execution_stats)
	GPUQueueSize                // programs waiting to run (the TPU runtime's hlo.queue.size)
	GPUHostMemUsedBytes         // of the machine's memory, for it: GTT, Neuron's host memory
	GPUHostMemTotalBytes        //
	GPUIdleMS                   // for how long it has run nothing (the TPU runtime's idle duration)
	GPUPowerPermille            // of its limit, where the driver tells no watts (Neuron)
	GPUSlowdownTLimitC          // limits of GPUTempMarginC (Ada and later, in place of absolute ones): at or below this margin clocks are halved
	GPUShutdownTLimitC          // the GPU may shut down
	GPUMaxTLimitC               // it may fall below its base clock
	GPUMemMaxTLimitC            // it is slowed down for its memory's heat
)

// RecoveryActions are the values of GPURecoveryAction (nvml.h, NVML_FI_DEV_GET_GPU_RECOVERY_ACTION).
const (
	RecoveryNone          = 0
	RecoveryGPUReset      = 1
	RecoveryNodeReboot    = 2
	RecoveryDrainP2P      = 3
	RecoveryDrainAndReset = 4
	RecoveryIMEX          = 5
	RecoveryBusReset      = 6
	RecoverySystemReboot  = 7
)

// FabricStates are the values of GPUFabricState (nvml.h, nvmlGpuFabricState_t): a GPU behind NVSwitches that is not completed cannot use NVLink.
const (
	FabricUnsupported = 0
	FabricNotStarted  = 1
	FabricInProgress  = 2
	FabricCompleted   = 3
)

const (
	// /sys/class/infiniband/DEV/ports/N; data counters are already in bytes here (the files count octets / 4).
	PortState Metric = port + iota
	PortPhysState
	PortRateMbps
	PortRcvDataBytes
	PortXmitDataBytes
	PortRcvPackets
	PortXmitPackets
	PortXmitWait
	PortSymbolError
	PortLinkErrorRecovery
	PortLinkDowned
	PortRcvErrors
	PortRcvRemotePhysicalErrors
	PortRcvSwitchRelayErrors
	PortXmitDiscards
	PortXmitConstraintErrors
	PortRcvConstraintErrors
	PortLocalLinkIntegrityErrors
	PortExcessiveBufferOverrunErrors
	PortVL15Dropped
	// hw_counters that tell damage or congestion, whatever the driver
	PortOutOfSequence
	PortPacketSeqErr
	PortLocalAckTimeoutErr
	PortRNRNakRetryErr
	PortReqTransportRetriesExceeded
	PortOutOfBuffer
	PortRoCESlowRestart
	PortRxICRCEncapsulated
	PortNPCNPSent
	PortRPCNPHandled
	PortNPECNMarked
	PortRateMaxMbps // what the port could do, where the driver or the kind of device tells
	PortPCIeGen
	PortPCIeGenMax
	PortPCIeWidth
	PortPCIeWidthMax
	PortReqRNRRetriesExceeded
	PortRetransPackets
	PortRetransTimeouts
	PortUnresponsiveRemotes
	PortImpairedRemotes
	PortNoCompletionCmds // commands to the adapter that it never answered
	PortRxDrops
)

const (
	// HWCounterValue is any numeric file of counters/ or hw_counters/; which one is told by the inventory.
	HWCounterValue Metric = hw + iota
)

const (
	// /proc/net/dev and /sys/class/net
	NetUp Metric = net + iota
	NetSpeedMbps
	NetRxBytes
	NetTxBytes
	NetRxPackets
	NetTxPackets
	NetRxErrors
	NetTxErrors
	NetRxDropped
	NetTxDropped
	NetCarrierChanges
	// ethtool's own statistics, where the driver has them: sums over priorities and queues
	NetRxPFCPause
	NetTxPFCPause
	NetRxPause
	NetTxPause
	NetRxDiscards // dropped by the adapter for want of room
	NetTxDiscards
	NetRxCRCErrors
	NetSymbolErrors
	NetFECUncorrected    // blocks beyond repair
	NetSpeedMaxMbps      // of the link modes that the adapter supports
	NetAllowanceExceeded // packets that a cloud's limits held back or dropped
)

const (
	// /proc/diskstats
	DiskReadBytes Metric = disk + iota
	DiskWriteBytes
	DiskReads
	DiskWrites
	DiskBusyMS
)

const (
	// statfs
	FSSizeBytes Metric = fs + iota
	FSAvailableBytes
	FSFiles // inodes
	FSFilesFree
)

const (
	// Shares of one core over the last interval. The stated exception to "rates are not computed on the node": one byte a core.
	CoreBusyPct Metric = core + iota
	CoreSystemPct
	CoreIowaitPct
)

// LinkStates are the values of LinkState.
const (
	LinkDown  = 0
	LinkUp    = 1
	LinkSleep = 2 // low power, by its own choice
)

const (
	// One NVLink or xGMI link of a GPU.
	LinkState Metric = link + iota
	LinkSpeedMBps
	LinkTXBytes
	LinkRXBytes
	LinkReplays
	LinkRecoveries
	LinkRecoveryFailures
	LinkCRCErrors
	LinkECCErrors
	LinkRxErrors // malformed, overrun, remote, general: what NVLink 5 counts one by one
	LinkTxDiscards
	LinkSymbolErrors
	LinkEffectiveErrors // left over by the forward error correction
)

const (
	// A part of an accelerator that is used by itself: a MIG instance, an MI300 partition, a NeuronCore, a TPU core.
	PartUtilPct Metric = part + iota
	PartMemUsedBytes
	PartMemTotalBytes
	PartSMActivityPermille
	PartTensorActivityPermille
	PartDRAMActivityPermille
	PartECCUncorrected
)

const (
	// Calls into a driver's library, by name: how often, and what they cost in wall time.
	CallCount Metric = call + iota
	CallTotalUS
	CallLastUS
	CallMaxUS
)

// slots maps a Metric to its place in defs, by scope and number; 0 is none, place+1 otherwise. Built once from the table.
var slots = func() (t [NumScopes][1 << scopeShift]uint16) {
	for i, d := range defs {
		if t[d.ID.Scope()][d.ID.local()] != 0 || d.Quantum < 1 {
			panic("metric table: " + d.Name)
		}
		t[d.ID.Scope()][d.ID.local()] = uint16(i + 1)
	}
	return t
}()

// slot is the place of m in the table; it panics for a Metric that is not one of the constants above, which is a programming error.
func slot(m Metric) int { return int(slots[m.Scope()][m.local()]) - 1 }

// GroupOf is the group of a metric of the table, in which its readings are taken together.
func GroupOf(m Metric) Group { return defs[slot(m)].Group }

// Lookup gives the definition of a metric, by identifier.
func Lookup(m Metric) (Def, bool) {
	if m.Scope() >= NumScopes {
		return Def{}, false
	}
	if i := slot(m); i >= 0 {
		return defs[i], true
	}
	return Def{}, false
}
