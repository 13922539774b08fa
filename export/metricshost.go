package export

import (
	"foretop/fleet"
)

// hostFamilies are of a node's processors and memory: node_exporter's names first. Its node_cpu_seconds_total counts each CPU by itself, which no snapshot
// has: what the CPUs do together is foretop_cpu_ratio.
var hostFamilies = []family[fleet.Node]{
	{head{"node_load1", gauge, "", "Load average over 1 minute."}, "", func(n *fleet.Node) fleet.Reading { return n.Host.Load1 }},
	{head{"node_load5", gauge, "", "Load average over 5 minutes."}, "", func(n *fleet.Node) fleet.Reading { return n.Host.Load5 }},
	{head{"node_load15", gauge, "", "Load average over 15 minutes."}, "", func(n *fleet.Node) fleet.Reading { return n.Host.Load15 }},
	{head{"node_procs_running", gauge, "", "Processes that run or wait for a CPU."}, "", func(n *fleet.Node) fleet.Reading { return n.Host.ProcsRunning }},
	{head{"node_procs_blocked", gauge, "", "Processes that wait for a disk or a network file system."}, "", func(n *fleet.Node) fleet.Reading { return n.Host.ProcsBlocked }},
	{head{"node_boot_time_seconds", gauge, "seconds", "When it was booted."}, "", func(n *fleet.Node) fleet.Reading { return moment(n.Boot) }},
	{memory("MemTotal"), "", func(n *fleet.Node) fleet.Reading { return n.Host.MemTotalBytes }},
	{memory("MemAvailable"), "", func(n *fleet.Node) fleet.Reading { return n.Host.MemAvailableBytes }},
	{memory("MemFree"), "", func(n *fleet.Node) fleet.Reading { return n.Host.MemFreeBytes }},
	{memory("Cached"), "", func(n *fleet.Node) fleet.Reading { return n.Host.MemCachedBytes }},
	{memory("Buffers"), "", func(n *fleet.Node) fleet.Reading { return n.Host.MemBuffersBytes }},
	{memory("Shmem"), "", func(n *fleet.Node) fleet.Reading { return n.Host.MemShmemBytes }},
	{memory("Dirty"), "", func(n *fleet.Node) fleet.Reading { return n.Host.MemDirtyBytes }},
	{memory("Slab"), "", func(n *fleet.Node) fleet.Reading { return n.Host.MemSlabBytes }},
	{memory("SwapTotal"), "", func(n *fleet.Node) fleet.Reading { return n.Host.SwapTotalBytes }},
	{memory("SwapFree"), "", func(n *fleet.Node) fleet.Reading { return n.Host.SwapTotalBytes - n.Host.SwapUsedBytes }},
	{head{"node_memory_HugePages_Total", gauge, "", "Memory information field HugePages_Total."}, "", func(n *fleet.Node) fleet.Reading { return n.Host.HugePagesTotal }},
	{head{"node_memory_HugePages_Free", gauge, "", "Memory information field HugePages_Free."}, "", func(n *fleet.Node) fleet.Reading { return n.Host.HugePagesFree }},
	{memory("Hugepagesize"), "", func(n *fleet.Node) fleet.Reading { return n.Host.HugePageBytes }},
	{cpuRatio, `mode="busy"`, func(n *fleet.Node) fleet.Reading { return n.Host.CPUBusyPct / 100 }},
	{cpuRatio, `mode="user"`, func(n *fleet.Node) fleet.Reading { return n.Host.CPUUserPct / 100 }},
	{cpuRatio, `mode="system"`, func(n *fleet.Node) fleet.Reading { return n.Host.CPUSystemPct / 100 }},
	{cpuRatio, `mode="iowait"`, func(n *fleet.Node) fleet.Reading { return n.Host.CPUIowaitPct / 100 }},
	{cpuRatio, `mode="steal"`, func(n *fleet.Node) fleet.Reading { return n.Host.CPUStealPct / 100 }},
	{pressure, `resource="cpu",tasks="some"`, func(n *fleet.Node) fleet.Reading { return n.Host.PSICPUSomePct / 100 }},
	{pressure, `resource="memory",tasks="some"`, func(n *fleet.Node) fleet.Reading { return n.Host.PSIMemorySomePct / 100 }},
	{pressure, `resource="memory",tasks="full"`, func(n *fleet.Node) fleet.Reading { return n.Host.PSIMemoryFullPct / 100 }},
	{pressure, `resource="io",tasks="some"`, func(n *fleet.Node) fleet.Reading { return n.Host.PSIIOSomePct / 100 }},
	{pressure, `resource="io",tasks="full"`, func(n *fleet.Node) fleet.Reading { return n.Host.PSIIOFullPct / 100 }},
}

var (
	cpuRatio = head{"foretop_cpu_ratio", gauge, "ratio", "Share of the time of all CPUs together, over the last interval; busy is user, system and steal."}
	pressure = head{"foretop_pressure_ratio", gauge, "ratio", "Share of time in which some, or all, tasks waited for a resource (PSI), over the last interval."}
)

// memory is a line of /proc/meminfo as node_exporter names it.
func memory(field string) head {
	return head{"node_memory_" + field + "_bytes", gauge, "bytes", "Memory information field " + field + "_bytes."}
}

var mountFamilies = []family[fleet.Filesystem]{
	{head{"node_filesystem_size_bytes", gauge, "bytes", "Size of a mounted file system."}, "", func(f *fleet.Filesystem) fleet.Reading { return f.SizeBytes }},
	{head{"node_filesystem_avail_bytes", gauge, "bytes", "Room that is left in it for ordinary users."}, "", func(f *fleet.Filesystem) fleet.Reading { return f.AvailableBytes }},
}

var netFamilies = []family[fleet.Net]{
	{head{"node_network_up", gauge, "", "1: the interface is up."}, "", func(n *fleet.Net) fleet.Reading { return n.Up }},
	{head{"node_network_speed_bytes", gauge, "bytes", "Speed of the interface, in bytes a second."}, "", func(n *fleet.Net) fleet.Reading { return n.SpeedMbps * 1e6 / 8 }},
	{head{"node_network_receive_errs_total", counter, "", "Packets received with errors."}, "", func(n *fleet.Net) fleet.Reading { return n.RxErrors }},
	{head{"node_network_receive_drop_total", counter, "", "Packets dropped on receipt."}, "", func(n *fleet.Net) fleet.Reading { return n.RxDropped }},
	{head{"node_network_transmit_errs_total", counter, "", "Packets that could not be sent."}, "", func(n *fleet.Net) fleet.Reading { return n.TxErrors }},
	{head{"node_network_transmit_drop_total", counter, "", "Packets dropped before they were sent."}, "", func(n *fleet.Net) fleet.Reading { return n.TxDropped }},
	{head{"node_network_carrier_changes_total", counter, "", "How often its link went up or down."}, "", func(n *fleet.Net) fleet.Reading { return n.CarrierChanges }},
	{head{"foretop_network_receive_bytes_per_second", gauge, "bytes_per_second", "Traffic into the interface, over the last interval."}, "", func(n *fleet.Net) fleet.Reading { return n.RxBytesPerS }},
	{head{"foretop_network_transmit_bytes_per_second", gauge, "bytes_per_second", "Traffic out of the interface, over the last interval."}, "", func(n *fleet.Net) fleet.Reading { return n.TxBytesPerS }},
}

var portFamilies = []family[fleet.Port]{
	{head{"node_infiniband_state_id", gauge, "", "State of the port: 1 down, 2 init, 3 armed, 4 active."}, "", func(p *fleet.Port) fleet.Reading { return notNegative(int64(p.State)) }},
	{head{"node_infiniband_physical_state_id", gauge, "", "Physical state of the port: 3 disabled, 4 training, 5 link up."}, "", func(p *fleet.Port) fleet.Reading { return notNegative(int64(p.PhysState)) }},
	{head{"node_infiniband_rate_bytes_per_second", gauge, "bytes_per_second", "What the port can transfer."}, "", func(p *fleet.Port) fleet.Reading { return p.RateMbps * 1e6 / 8 }},
	{head{"node_infiniband_link_downed_total", counter, "", "How often the link failed to recover from an error state, and went down."}, "", func(p *fleet.Port) fleet.Reading { return p.LinkDowned }},
	{head{"node_infiniband_link_error_recovery_total", counter, "", "How often the link recovered from an error state."}, "", func(p *fleet.Port) fleet.Reading { return p.LinkErrorRecovery }},
	{head{"node_infiniband_port_errors_received_total", counter, "", "Packets received with an error."}, "", func(p *fleet.Port) fleet.Reading { return p.RcvErrors }},
	{head{"node_infiniband_port_discards_transmitted_total", counter, "", "Packets discarded because the port is down or congested."}, "", func(p *fleet.Port) fleet.Reading { return p.XmitDiscards }},
	{head{"foretop_rdma_symbol_errors_total", counter, "", "Minor link errors (symbol_error)."}, "", func(p *fleet.Port) fleet.Reading { return p.SymbolError }},
	{head{"foretop_rdma_receive_bytes_per_second", gauge, "bytes_per_second", "Traffic into the port, over the last interval."}, "", func(p *fleet.Port) fleet.Reading { return p.RcvBytesPerS }},
	{head{"foretop_rdma_transmit_bytes_per_second", gauge, "bytes_per_second", "Traffic out of the port, over the last interval."}, "", func(p *fleet.Port) fleet.Reading { return p.XmitBytesPerS }},
}

var diskFamilies = []family[fleet.Disk]{
	{head{"foretop_disk_read_bytes_per_second", gauge, "bytes_per_second", "What is read from it, over the last interval."}, "", func(d *fleet.Disk) fleet.Reading { return d.ReadBytesPerS }},
	{head{"foretop_disk_write_bytes_per_second", gauge, "bytes_per_second", "What is written to it, over the last interval."}, "", func(d *fleet.Disk) fleet.Reading { return d.WriteBytesPerS }},
	{head{"foretop_disk_busy_ratio", gauge, "ratio", "Share of time in which it was at work."}, "", func(d *fleet.Disk) fleet.Reading { return d.BusyPct / 100 }},
}

// machines are the kernel's words for processors, by Go's.
var machines = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

func (p *page) writeHosts(e *exposition) {
	writeFamilies(e, hostFamilies, p.live)
	e.metric(head{"node_uname_info", info, "", "Its kernel and host name."})
	for _, n := range p.live {
		if h := n.of.Hello; h != nil {
			machine := machines[h.Arch]
			if machine == "" {
				machine = h.Arch
			}
			e.sampleWith(n.labels, labels("nodename", h.Hostname, "release", h.Kernel, "machine", machine), 1)
		}
	}
	writeFamilies(e, mountFamilies, parts(p, "filesystem", maxMounts, func(n *fleet.Node) []fleet.Filesystem { return n.FS }, nil,
		func(f *fleet.Filesystem) string {
			return labels("device", f.Device, "fstype", f.Type, "mountpoint", f.Mount)
		}))
	writeFamilies(e, netFamilies, parts(p, "network_interface", maxNets, func(n *fleet.Node) []fleet.Net { return n.Nets },
		func(n *fleet.Net) bool { return n.Physical || n.BondMode != "" }, func(n *fleet.Net) string { return labels("device", n.Name) }))
	writeFamilies(e, portFamilies, parts(p, "rdma_port", maxPorts, func(n *fleet.Node) []fleet.Port { return n.Ports }, nil, portLabels))
	writeFamilies(e, diskFamilies, parts(p, "disk", maxDisks, func(n *fleet.Node) []fleet.Disk { return n.Disks }, nil,
		func(d *fleet.Disk) string { return labels("device", d.Name) }))
}
