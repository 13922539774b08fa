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
)

const (
	// Shares of one core over the last interval. The stated exception to "rates are not computed on the node": one byte a core.
	CoreBusyPct Metric = core + iota
	CoreSystemPct
	CoreIowaitPct
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// Defs returns the metric table, in the order of wire numbers. It is shared: do not change it.
func Defs() []Def { return defs }

// defs is the metric table: the one place that says how each metric travels.
var defs = []Def{
	{CPUUserMS, "cpu_user_ms", Counter, GroupHost, Base, 10},
	{CPUSystemMS, "cpu_system_ms", Counter, GroupHost, Base, 10},
	{CPUIdleMS, "cpu_idle_ms", Counter, GroupHost, Base, 10},
	{CPUIowaitMS, "cpu_iowait_ms", Counter, GroupHost, Base, 10},
	{CPUStealMS, "cpu_steal_ms", Counter, GroupHost, Base, 10},
	{CPUNiceMS, "cpu_nice_ms", Counter, GroupHost, Detail, 10},
	{CPUIRQMS, "cpu_irq_ms", Counter, GroupHost, Detail, 10},
	{CPUSoftIRQMS, "cpu_softirq_ms", Counter, GroupHost, Detail, 10},
	{Load1Milli, "load1_milli", Gauge, GroupHost, Base, 100},
	{Load5Milli, "load5_milli", Gauge, GroupHost, Base, 100},
	{Load15Milli, "load15_milli", Gauge, GroupHost, Base, 100},
	{PSICPUSomeUS, "psi_cpu_some_us", Counter, GroupHost, Base, 1000},
	{PSIMemorySomeUS, "psi_memory_some_us", Counter, GroupHost, Base, 1000},
	{PSIMemoryFullUS, "psi_memory_full_us", Counter, GroupHost, Base, 1000},
	{PSIIOSomeUS, "psi_io_some_us", Counter, GroupHost, Base, 1000},
	{PSIIOFullUS, "psi_io_full_us", Counter, GroupHost, Base, 1000},
	{ProcsRunning, "procs_running", Gauge, GroupHost, Detail, 1},
	{ProcsBlocked, "procs_blocked", Gauge, GroupHost, Base, 1},
	{ContextSwitches, "context_switches", Counter, GroupHost, Detail, 1},
	{Forks, "forks", Counter, GroupHost, Detail, 1},
	{MemTotalBytes, "mem_total_bytes", Gauge, GroupHost, Base, kib},
	{MemAvailableBytes, "mem_available_bytes", Gauge, GroupHost, Base, 4 * mib},
	{MemFreeBytes, "mem_free_bytes", Gauge, GroupHost, Detail, 4 * mib},
	{MemCachedBytes, "mem_cached_bytes", Gauge, GroupHost, Detail, 4 * mib},
	{MemBuffersBytes, "mem_buffers_bytes", Gauge, GroupHost, Detail, 4 * mib},
	{MemShmemBytes, "mem_shmem_bytes", Gauge, GroupHost, Base, 4 * mib},
	{MemDirtyBytes, "mem_dirty_bytes", Gauge, GroupHost, Detail, 4 * mib},
	{MemSlabBytes, "mem_slab_bytes", Gauge, GroupHost, Detail, 4 * mib},
	{SwapTotalBytes, "swap_total_bytes", Gauge, GroupHost, Base, kib},
	{SwapFreeBytes, "swap_free_bytes", Gauge, GroupHost, Base, mib},
	{HugePagesTotal, "huge_pages_total", Gauge, GroupHost, Base, 1},
	{HugePagesFree, "huge_pages_free", Gauge, GroupHost, Base, 1},
	{HugePageBytes, "huge_page_bytes", Gauge, GroupHost, Base, 1},
	{SelfCPUUS, "self_cpu_us", Counter, GroupSelf, Base, 1000},
	{SelfRSSBytes, "self_rss_bytes", Gauge, GroupSelf, Base, mib / 4},
	{SelfSentBytes, "self_sent_bytes", Counter, GroupSelf, Base, 16},
	{UptimeMS, "uptime_ms", Gauge, GroupHost, Base, 60_000},
	{ProcessCount, "process_count", Gauge, GroupHost, Detail, 1},

	{ReadMS, "read_ms", Gauge, GroupSelf, Base, 1},

	{SourceStateEnum, "source_state", Enum, GroupSelf, Base, 1},
	{SourceCallUS, "source_call_us", Gauge, GroupSelf, Detail, 10},
	{SourceStuckMS, "source_stuck_ms", Gauge, GroupSelf, Base, 1000},

	{GPUStatus, "gpu_status", Enum, GroupGPU, Base, 1},
	{GPUUtilPct, "gpu_util_pct", Gauge, GroupGPU, Base, 1},
	{GPUMemUtilPct, "gpu_mem_util_pct", Gauge, GroupGPU, Base, 1},
	{GPUMemUsedBytes, "gpu_mem_used_bytes", Gauge, GroupGPU, Base, mib},
	{GPUMemTotalBytes, "gpu_mem_total_bytes", Gauge, GroupGPU, Base, mib},
	{GPUMemReservedBytes, "gpu_mem_reserved_bytes", Gauge, GroupGPU, Detail, mib},
	{GPUTempC, "gpu_temp_c", Gauge, GroupGPU, Base, 1},
	{GPUMemTempC, "gpu_mem_temp_c", Gauge, GroupGPU, Base, 1},
	{GPUPowerMW, "gpu_power_mw", Gauge, GroupGPU, Base, 1000},
	{GPUPowerLimitMW, "gpu_power_limit_mw", Gauge, GroupGPU, Base, 1000},
	{GPUPowerAvgMW, "gpu_power_avg_mw", Gauge, GroupGPU, Detail, 1000},
	{GPUEnergyMJ, "gpu_energy_mj", Counter, GroupGPU, Detail, 1000},
	{GPUSMClockMHz, "gpu_sm_clock_mhz", Gauge, GroupGPU, Base, 15},
	{GPUMemClockMHz, "gpu_mem_clock_mhz", Gauge, GroupGPU, Base, 1},
	{GPUSMClockMaxMHz, "gpu_sm_clock_max_mhz", Gauge, GroupGPU, Base, 1},
	{GPUMemClockMaxMHz, "gpu_mem_clock_max_mhz", Gauge, GroupGPU, Base, 1},
	{GPUThrottleBits, "gpu_throttle_bits", Bits, GroupGPU, Base, 1},
	{GPUECCVolatileCorrected, "gpu_ecc_volatile_corrected", Counter, GroupGPUSlow, Base, 1},
	{GPUECCVolatileUncorrected, "gpu_ecc_volatile_uncorrected", Counter, GroupGPUSlow, Base, 1},
	{GPUECCAggregateCorrected, "gpu_ecc_aggregate_corrected", Counter, GroupGPUSlow, Base, 1},
	{GPUECCAggregateUncorrected, "gpu_ecc_aggregate_uncorrected", Counter, GroupGPUSlow, Base, 1},
	{GPURemappedCorrected, "gpu_remapped_rows_corrected", Counter, GroupGPUSlow, Base, 1},
	{GPURemappedUncorrected, "gpu_remapped_rows_uncorrected", Counter, GroupGPUSlow, Base, 1},
	{GPURemapPending, "gpu_remap_pending", Enum, GroupGPUSlow, Base, 1},
	{GPURemapFailure, "gpu_remap_failure", Enum, GroupGPUSlow, Base, 1},
	{GPUSMActivityPermille, "gpu_sm_activity_permille", Gauge, GroupGPU, Base, 10},
	{GPUTensorActivityPermille, "gpu_tensor_activity_permille", Gauge, GroupGPU, Base, 10},
	{GPUDRAMActivityPermille, "gpu_dram_activity_permille", Gauge, GroupGPU, Base, 10},
	{GPUEncoderPct, "gpu_encoder_pct", Gauge, GroupGPU, Detail, 1},
	{GPUDecoderPct, "gpu_decoder_pct", Gauge, GroupGPU, Detail, 1},
	{GPUPCIeGen, "gpu_pcie_gen", Gauge, GroupGPUSlow, Base, 1},
	{GPUPCIeGenMax, "gpu_pcie_gen_max", Gauge, GroupGPUSlow, Base, 1},
	{GPUPCIeWidth, "gpu_pcie_width", Gauge, GroupGPUSlow, Base, 1},
	{GPUPCIeWidthMax, "gpu_pcie_width_max", Gauge, GroupGPUSlow, Base, 1},
	{GPUPCIeReplays, "gpu_pcie_replays", Counter, GroupGPUSlow, Base, 1},
	{GPUNVLinkTXBytes, "gpu_nvlink_tx_bytes", Counter, GroupGPU, Detail, mib},
	{GPUNVLinkRXBytes, "gpu_nvlink_rx_bytes", Counter, GroupGPU, Detail, mib},
	{GPUSlowdownTempC, "gpu_slowdown_temp_c", Gauge, GroupGPUSlow, Base, 1},
	{GPUShutdownTempC, "gpu_shutdown_temp_c", Gauge, GroupGPUSlow, Base, 1},
	{GPUProcesses, "gpu_processes", Gauge, GroupGPUSlow, Base, 1},

	{PortState, "port_state", Enum, GroupPort, Base, 1},
	{PortPhysState, "port_phys_state", Enum, GroupPort, Base, 1},
	{PortRateMbps, "port_rate_mbps", Gauge, GroupPort, Base, 1},
	{PortRcvDataBytes, "port_rcv_data_bytes", Counter, GroupPort, Base, 64 * kib},
	{PortXmitDataBytes, "port_xmit_data_bytes", Counter, GroupPort, Base, 64 * kib},
	{PortRcvPackets, "port_rcv_packets", Counter, GroupPort, Detail, 64},
	{PortXmitPackets, "port_xmit_packets", Counter, GroupPort, Detail, 64},
	{PortXmitWait, "port_xmit_wait", Counter, GroupPortErrors, Base, 1},
	{PortSymbolError, "symbol_error", Counter, GroupPortErrors, Base, 1},
	{PortLinkErrorRecovery, "link_error_recovery", Counter, GroupPortErrors, Base, 1},
	{PortLinkDowned, "link_downed", Counter, GroupPortErrors, Base, 1},
	{PortRcvErrors, "port_rcv_errors", Counter, GroupPortErrors, Base, 1},
	{PortRcvRemotePhysicalErrors, "port_rcv_remote_physical_errors", Counter, GroupPortErrors, Base, 1},
	{PortRcvSwitchRelayErrors, "port_rcv_switch_relay_errors", Counter, GroupPortErrors, Base, 1},
	{PortXmitDiscards, "port_xmit_discards", Counter, GroupPortErrors, Base, 1},
	{PortXmitConstraintErrors, "port_xmit_constraint_errors", Counter, GroupPortErrors, Base, 1},
	{PortRcvConstraintErrors, "port_rcv_constraint_errors", Counter, GroupPortErrors, Base, 1},
	{PortLocalLinkIntegrityErrors, "local_link_integrity_errors", Counter, GroupPortErrors, Base, 1},
	{PortExcessiveBufferOverrunErrors, "excessive_buffer_overrun_errors", Counter, GroupPortErrors, Base, 1},
	{PortVL15Dropped, "VL15_dropped", Counter, GroupPortErrors, Base, 1},
	{PortOutOfSequence, "out_of_sequence", Counter, GroupPortErrors, Base, 1},
	{PortPacketSeqErr, "packet_seq_err", Counter, GroupPortErrors, Base, 1},
	{PortLocalAckTimeoutErr, "local_ack_timeout_err", Counter, GroupPortErrors, Base, 1},
	{PortRNRNakRetryErr, "rnr_nak_retry_err", Counter, GroupPortErrors, Base, 1},
	{PortReqTransportRetriesExceeded, "req_transport_retries_exceeded", Counter, GroupPortErrors, Base, 1},
	{PortOutOfBuffer, "out_of_buffer", Counter, GroupPortErrors, Base, 1},
	{PortRoCESlowRestart, "roce_slow_restart", Counter, GroupPortErrors, Base, 1},
	{PortRxICRCEncapsulated, "rx_icrc_encapsulated", Counter, GroupPortErrors, Base, 1},
	{PortNPCNPSent, "np_cnp_sent", Counter, GroupPortErrors, Base, 1},
	{PortRPCNPHandled, "rp_cnp_handled", Counter, GroupPortErrors, Base, 1},
	{PortNPECNMarked, "np_ecn_marked_roce_packets", Counter, GroupPortErrors, Base, 1},

	{HWCounterValue, "hw_counter", Counter, GroupPortErrors, Detail, 1},

	{NetUp, "net_up", Enum, GroupNet, Base, 1},
	{NetSpeedMbps, "net_speed_mbps", Gauge, GroupNet, Base, 1},
	{NetRxBytes, "net_rx_bytes", Counter, GroupNet, Base, 4 * kib},
	{NetTxBytes, "net_tx_bytes", Counter, GroupNet, Base, 4 * kib},
	{NetRxPackets, "net_rx_packets", Counter, GroupNet, Detail, 1},
	{NetTxPackets, "net_tx_packets", Counter, GroupNet, Detail, 1},
	{NetRxErrors, "net_rx_errors", Counter, GroupNet, Base, 1},
	{NetTxErrors, "net_tx_errors", Counter, GroupNet, Base, 1},
	{NetRxDropped, "net_rx_dropped", Counter, GroupNet, Base, 1},
	{NetTxDropped, "net_tx_dropped", Counter, GroupNet, Base, 1},
	{NetCarrierChanges, "net_carrier_changes", Counter, GroupNet, Base, 1},

	{DiskReadBytes, "disk_read_bytes", Counter, GroupDisk, Base, 64 * kib},
	{DiskWriteBytes, "disk_write_bytes", Counter, GroupDisk, Base, 64 * kib},
	{DiskReads, "disk_reads", Counter, GroupDisk, Detail, 1},
	{DiskWrites, "disk_writes", Counter, GroupDisk, Detail, 1},
	{DiskBusyMS, "disk_busy_ms", Counter, GroupDisk, Detail, 1},

	{FSSizeBytes, "fs_size_bytes", Gauge, GroupFS, Base, 16 * mib},
	{FSAvailableBytes, "fs_available_bytes", Gauge, GroupFS, Base, 16 * mib},

	{CoreBusyPct, "core_busy_pct", Gauge, GroupHost, Detail, 1},
	{CoreSystemPct, "core_system_pct", Gauge, GroupHost, Detail, 1},
	{CoreIowaitPct, "core_iowait_pct", Gauge, GroupHost, Detail, 1},
}

// slots maps a Metric to its place in defs, by scope and number; 0 is none, place+1 otherwise. Built once from the table.
var slots = func() (t [NumScopes][1 << scopeShift]uint8) {
	for i, d := range defs {
		if t[d.ID.Scope()][d.ID.local()] != 0 || d.Quantum < 1 || i >= 255 {
			panic("metric table: " + d.Name)
		}
		t[d.ID.Scope()][d.ID.local()] = uint8(i + 1)
	}
	return t
}()

// slot is the place of m in the table; it panics for a Metric that is not one of the constants above, which is a programming error.
func slot(m Metric) int { return int(slots[m.Scope()][m.local()]) - 1 }

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
