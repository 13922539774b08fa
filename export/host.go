package export

import "foretop/fleet"

type hostDoc struct {
	UptimeS          number    `json:"uptime_seconds"`
	CPUBusyPct       number    `json:"cpu_busy_percent"`
	CPUUserPct       number    `json:"cpu_user_percent"`
	CPUSystemPct     number    `json:"cpu_system_percent"`
	CPUIowaitPct     number    `json:"cpu_iowait_percent"`
	CPUStealPct      number    `json:"cpu_steal_percent"`
	Cores            []coreDoc `json:"cores"`
	Load1            number    `json:"load1"`
	Load5            number    `json:"load5"`
	Load15           number    `json:"load15"`
	PSICPUSomePct    number    `json:"psi_cpu_some_percent"`
	PSIMemorySomePct number    `json:"psi_memory_some_percent"`
	PSIMemoryFullPct number    `json:"psi_memory_full_percent"`
	PSIIOSomePct     number    `json:"psi_io_some_percent"`
	PSIIOFullPct     number    `json:"psi_io_full_percent"`
	ProcsRunning     number    `json:"procs_running"`
	ProcsBlocked     number    `json:"procs_blocked"`
	Processes        number    `json:"process_count"`
	MemTotalBytes    number    `json:"mem_total_bytes"`
	MemUsedBytes     number    `json:"mem_used_bytes"`
	MemAvailBytes    number    `json:"mem_available_bytes"`
	MemFreeBytes     number    `json:"mem_free_bytes"`
	MemCachedBytes   number    `json:"mem_cached_bytes"`
	MemBuffersBytes  number    `json:"mem_buffers_bytes"`
	MemShmemBytes    number    `json:"mem_shmem_bytes"`
	MemDirtyBytes    number    `json:"mem_dirty_bytes"`
	MemSlabBytes     number    `json:"mem_slab_bytes"`
	SwapTotalBytes   number    `json:"swap_total_bytes"`
	SwapUsedBytes    number    `json:"swap_used_bytes"`
	HugePagesTotal   number    `json:"huge_pages_total"`
	HugePagesFree    number    `json:"huge_pages_free"`
	HugePageBytes    number    `json:"huge_page_bytes"`
}

type coreDoc struct {
	BusyPct   number `json:"busy_percent"`
	SystemPct number `json:"system_percent"`
	IowaitPct number `json:"iowait_percent"`
}

type netDoc struct {
	Name           string `json:"name"`
	Driver         word   `json:"driver"`
	Physical       bool   `json:"physical"`
	Up             yesNo  `json:"up"`
	SpeedMbps      number `json:"speed_megabits_per_second"`
	RxBytesPerS    number `json:"rx_bytes_per_second"`
	TxBytesPerS    number `json:"tx_bytes_per_second"`
	RxPacketsPerS  number `json:"rx_packets_per_second"`
	TxPacketsPerS  number `json:"tx_packets_per_second"`
	RxErrors       number `json:"rx_errors"`
	TxErrors       number `json:"tx_errors"`
	RxDropped      number `json:"rx_dropped"`
	TxDropped      number `json:"tx_dropped"`
	CarrierChanges number `json:"carrier_changes"`
	Master         word   `json:"master"`
	BondMode       word   `json:"bond_mode"`
	SpeedMaxMbps   number `json:"speed_max_megabits_per_second"`
	RxPFCPause     number `json:"rx_pfc_pause"`
	TxPFCPause     number `json:"tx_pfc_pause"`
	RxPause        number `json:"rx_pause"`
	TxPause        number `json:"tx_pause"`
	RxDiscards     number `json:"rx_discards"`
	TxDiscards     number `json:"tx_discards"`
	RxCRCErrors    number `json:"rx_crc_errors"`
	SymbolErrors   number `json:"symbol_errors"`
	FECUncorrected number `json:"fec_uncorrected"`
	Allowance      number `json:"allowance_exceeded"`
}

type diskDoc struct {
	Name           string `json:"name"`
	Model          word   `json:"model"`
	SizeBytes      number `json:"size_bytes"`
	ReadBytesPerS  number `json:"read_bytes_per_second"`
	WriteBytesPerS number `json:"write_bytes_per_second"`
	ReadsPerS      number `json:"reads_per_second"`
	WritesPerS     number `json:"writes_per_second"`
	BusyPct        number `json:"busy_percent"`
}

type fsDoc struct {
	Mount          string `json:"mount"`
	Device         word   `json:"device"`
	Type           word   `json:"type"`
	SizeBytes      number `json:"size_bytes"`
	AvailableBytes number `json:"available_bytes"`
}

func hostOf(n *fleet.Node) hostDoc {
	h := &n.Host
	if n.Inventory == nil { // it has told nothing yet: its zero values are no readings
		none := fleet.None()
		h = &fleet.Host{
			CPUBusyPct: none, CPUUserPct: none, CPUSystemPct: none, CPUIowaitPct: none, CPUStealPct: none, Load1: none, Load5: none, Load15: none,
			PSICPUSomePct: none, PSIMemorySomePct: none, PSIMemoryFullPct: none, PSIIOSomePct: none, PSIIOFullPct: none, ProcsRunning: none, ProcsBlocked: none, Processes: none,
			MemTotalBytes: none, MemAvailableBytes: none, MemUsedBytes: none, MemFreeBytes: none, MemCachedBytes: none, MemBuffersBytes: none, MemShmemBytes: none,
			MemDirtyBytes: none, MemSlabBytes: none, SwapTotalBytes: none, SwapUsedBytes: none, HugePagesTotal: none, HugePagesFree: none, HugePageBytes: none, UptimeS: none,
		}
	}
	return hostDoc{
		UptimeS: number(h.UptimeS), CPUBusyPct: number(h.CPUBusyPct), CPUUserPct: number(h.CPUUserPct), CPUSystemPct: number(h.CPUSystemPct), CPUIowaitPct: number(h.CPUIowaitPct), CPUStealPct: number(h.CPUStealPct),
		Cores: listOf(n.Cores, func(c *fleet.Core) coreDoc {
			return coreDoc{number(c.BusyPct), number(c.SystemPct), number(c.IowaitPct)}
		}),
		Load1: number(h.Load1), Load5: number(h.Load5), Load15: number(h.Load15),
		PSICPUSomePct: number(h.PSICPUSomePct), PSIMemorySomePct: number(h.PSIMemorySomePct), PSIMemoryFullPct: number(h.PSIMemoryFullPct), PSIIOSomePct: number(h.PSIIOSomePct), PSIIOFullPct: number(h.PSIIOFullPct),
		ProcsRunning: number(h.ProcsRunning), ProcsBlocked: number(h.ProcsBlocked), Processes: number(h.Processes),
		MemTotalBytes: number(h.MemTotalBytes), MemUsedBytes: number(h.MemUsedBytes), MemAvailBytes: number(h.MemAvailableBytes), MemFreeBytes: number(h.MemFreeBytes),
		MemCachedBytes: number(h.MemCachedBytes), MemBuffersBytes: number(h.MemBuffersBytes), MemShmemBytes: number(h.MemShmemBytes), MemDirtyBytes: number(h.MemDirtyBytes), MemSlabBytes: number(h.MemSlabBytes),
		SwapTotalBytes: number(h.SwapTotalBytes), SwapUsedBytes: number(h.SwapUsedBytes), HugePagesTotal: number(h.HugePagesTotal), HugePagesFree: number(h.HugePagesFree), HugePageBytes: number(h.HugePageBytes),
	}
}

func netOf(n *fleet.Net) netDoc {
	return netDoc{
		Name: n.Name, Driver: word(n.Driver), Physical: n.Physical, Up: yesNo(n.Up), SpeedMbps: number(n.SpeedMbps), RxBytesPerS: number(n.RxBytesPerS), TxBytesPerS: number(n.TxBytesPerS),
		RxPacketsPerS: number(n.RxPacketsPerS), TxPacketsPerS: number(n.TxPacketsPerS), RxErrors: number(n.RxErrors), TxErrors: number(n.TxErrors),
		RxDropped: number(n.RxDropped), TxDropped: number(n.TxDropped), CarrierChanges: number(n.CarrierChanges),
		Master: word(n.Master), BondMode: word(n.BondMode), SpeedMaxMbps: number(n.SpeedMaxMbps), RxPFCPause: number(n.RxPFCPause), TxPFCPause: number(n.TxPFCPause),
		RxPause: number(n.RxPause), TxPause: number(n.TxPause), RxDiscards: number(n.RxDiscards), TxDiscards: number(n.TxDiscards), RxCRCErrors: number(n.RxCRCErrors),
		SymbolErrors: number(n.SymbolErrors), FECUncorrected: number(n.FECUncorrected), Allowance: number(n.AllowanceExceeded),
	}
}

func diskOf(d *fleet.Disk) diskDoc {
	return diskDoc{
		Name: d.Name, Model: word(d.Model), SizeBytes: number(d.SizeBytes), ReadBytesPerS: number(d.ReadBytesPerS), WriteBytesPerS: number(d.WriteBytesPerS),
		ReadsPerS: number(d.ReadsPerS), WritesPerS: number(d.WritesPerS), BusyPct: number(d.BusyPct),
	}
}

func fsOf(f *fleet.Filesystem) fsDoc {
	return fsDoc{Mount: f.Mount, Device: word(f.Device), Type: word(f.Type), SizeBytes: number(f.SizeBytes), AvailableBytes: number(f.AvailableBytes)}
}
