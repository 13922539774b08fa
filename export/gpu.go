package export

import (
	"foretop/fleet"
	"foretop/telemetry"
)

type gpuDoc struct {
	Index             int           `json:"index"`
	Vendor            word          `json:"vendor"`
	UUID              word          `json:"uuid"`
	Name              word          `json:"name"`
	PCI               word          `json:"pci"`
	Serial            word          `json:"serial"`
	Architecture      word          `json:"architecture"`
	ComputeCapability word          `json:"compute_capability"`
	BoardPart         word          `json:"board_part"`
	Driver            word          `json:"driver_version"`
	VBIOS             word          `json:"vbios"`
	Firmware          word          `json:"firmware"`
	Inforom           word          `json:"inforom"`
	NUMANode          index         `json:"numa_node"`
	CPUAffinity       word          `json:"cpu_affinity"`
	ModuleID          index         `json:"module_id"`
	Chassis           word          `json:"chassis"`
	Slot              number        `json:"slot"`
	Tray              number        `json:"tray"`
	MIG               bool          `json:"mig_enabled"`
	Status            string        `json:"status"`
	StatusNote        word          `json:"status_note"`
	Severity          string        `json:"severity"`
	StaleS            number        `json:"readings_stale_seconds"`
	IdleSince         stamp         `json:"idle_since"`
	Recovery          word          `json:"recovery_action"`
	UtilPct           number        `json:"util_percent"`
	MemUtilPct        number        `json:"mem_util_percent"`
	SMActivityPct     number        `json:"sm_activity_percent"`
	TensorActivityPct number        `json:"tensor_activity_percent"`
	DRAMActivityPct   number        `json:"dram_activity_percent"`
	GraphicsPct       number        `json:"graphics_activity_percent"`
	OccupancyPct      number        `json:"sm_occupancy_percent"`
	FP64Pct           number        `json:"fp64_activity_percent"`
	FP32Pct           number        `json:"fp32_activity_percent"`
	FP16Pct           number        `json:"fp16_activity_percent"`
	EncoderPct        number        `json:"encoder_percent"`
	DecoderPct        number        `json:"decoder_percent"`
	QueueSize         number        `json:"queue_size"`
	MemUsedBytes      number        `json:"mem_used_bytes"`
	MemTotalBytes     number        `json:"mem_total_bytes"`
	MemReservedBytes  number        `json:"mem_reserved_bytes"`
	BAR1UsedBytes     number        `json:"bar1_used_bytes"`
	BAR1TotalBytes    number        `json:"bar1_total_bytes"`
	HostMemUsedBytes  number        `json:"host_mem_used_bytes"`
	HostMemTotalBytes number        `json:"host_mem_total_bytes"`
	PowerW            number        `json:"power_watts"`
	PowerLimitW       number        `json:"power_limit_watts"`
	PowerAvgW         number        `json:"power_average_watts"`
	PowerDefaultW     number        `json:"power_default_limit_watts"`
	PowerMinW         number        `json:"power_min_limit_watts"`
	PowerMaxW         number        `json:"power_max_limit_watts"`
	EnergyJ           number        `json:"energy_joules"`
	TempC             number        `json:"temp_celsius"`
	MemTempC          number        `json:"mem_temp_celsius"`
	VRTempC           number        `json:"voltage_regulator_temp_celsius"`
	TempMarginC       number        `json:"temp_margin_celsius"`
	SlowdownTLimitC   number        `json:"slowdown_temp_limit_celsius"`
	ShutdownTLimitC   number        `json:"shutdown_temp_limit_celsius"`
	MaxTLimitC        number        `json:"max_temp_limit_celsius"`
	MemMaxTLimitC     number        `json:"mem_max_temp_limit_celsius"`
	SlowdownTempC     number        `json:"slowdown_temp_celsius"`
	ShutdownTempC     number        `json:"shutdown_temp_celsius"`
	MemMaxTempC       number        `json:"mem_max_temp_celsius"`
	SMClockMHz        number        `json:"sm_clock_mhz"`
	SMClockMaxMHz     number        `json:"sm_clock_max_mhz"`
	MemClockMHz       number        `json:"mem_clock_mhz"`
	MemClockMaxMHz    number        `json:"mem_clock_max_mhz"`
	PState            index         `json:"pstate"`
	Persistence       yesNo         `json:"persistence_mode"`
	ComputeMode       word          `json:"compute_mode"`
	ThrottleBits      number        `json:"throttle_bits"`
	ThrottleReasons   []string      `json:"throttle_reasons"`
	ThrottleTimes     []throttleDoc `json:"throttle_times"`
	gpuHealth
	NVLinkTxBytesPerS number      `json:"nvlink_tx_bytes_per_second"`
	NVLinkRxBytesPerS number      `json:"nvlink_rx_bytes_per_second"`
	PCIeTxBytesPerS   number      `json:"pcie_tx_bytes_per_second"`
	PCIeRxBytesPerS   number      `json:"pcie_rx_bytes_per_second"`
	NetTxBytesPerS    number      `json:"net_tx_bytes_per_second"`
	NetRxBytesPerS    number      `json:"net_rx_bytes_per_second"`
	Processes         number      `json:"process_count"`
	Holders           []holderDoc `json:"holders"`
	Parts             []partDoc   `json:"parts"`
	Links             []linkDoc   `json:"links"`
}

// gpuHealth is what wears and breaks. Its fields are the GPU's own.
type gpuHealth struct {
	ECC                    yesNo         `json:"ecc_enabled"`
	ECCVolatileCorrected   number        `json:"ecc_volatile_corrected"`
	ECCVolatileUncorrected number        `json:"ecc_volatile_uncorrected"`
	ECCAggCorrected        number        `json:"ecc_aggregate_corrected"`
	ECCAggUncorrected      number        `json:"ecc_aggregate_uncorrected"`
	SRAMUncorrected        number        `json:"sram_uncorrected"`
	SRAMThreshold          yesNo         `json:"sram_threshold_exceeded"`
	RemappedCorrected      number        `json:"remapped_rows_corrected"`
	RemappedUncorrected    number        `json:"remapped_rows_uncorrected"`
	RemapPending           yesNo         `json:"remap_pending"`
	RemapFailure           yesNo         `json:"remap_failure"`
	RetiredCorrected       number        `json:"retired_pages_corrected"`
	RetiredUncorrected     number        `json:"retired_pages_uncorrected"`
	RetiredPending         yesNo         `json:"retired_pages_pending"`
	Resets                 number        `json:"resets"`
	ExecErrors             number        `json:"exec_errors"`
	PCIeGen                number        `json:"pcie_gen"`
	PCIeGenMax             number        `json:"pcie_gen_max"`
	PCIeWidth              number        `json:"pcie_width"`
	PCIeWidthMax           number        `json:"pcie_width_max"`
	PCIeReplays            number        `json:"pcie_replays"`
	PCIeErrors             pcieErrorsDoc `json:"pcie_errors"`
	LinksTotal             number        `json:"links_total"`
	LinksUp                number        `json:"links_up"`
	LinksDown              []int         `json:"links_down"`
	NVLinkReplays          number        `json:"nvlink_replays"`
	NVLinkRecoveries       number        `json:"nvlink_recoveries"`
	NVLinkCRCErrors        number        `json:"nvlink_crc_errors"`
	C2CLinks               number        `json:"c2c_links_total"`
	C2CLinksUp             number        `json:"c2c_links_up"`
	Fabric                 fabricDoc     `json:"fabric"`
}

type pcieErrorsDoc struct {
	ReplayRollovers number `json:"replay_rollovers"`
	L0ToRecovery    number `json:"l0_to_recovery"`
	Correctable     number `json:"correctable"`
	NonFatal        number `json:"non_fatal"`
	Fatal           number `json:"fatal"`
	NAKsReceived    number `json:"naks_received"`
	NAKsSent        number `json:"naks_sent"`
	BadTLPs         number `json:"bad_tlps"`
	BadDLLPs        number `json:"bad_dllps"`
	LCRC            number `json:"lcrc"`
}

type fabricDoc struct {
	State      word        `json:"state"`
	Status     number      `json:"status"`
	StatusText word        `json:"status_text"`
	Cluster    word        `json:"cluster"`
	Clique     number      `json:"clique"`
	Health     []healthDoc `json:"health"`
}

type healthDoc struct {
	What string `json:"what"`
	Says string `json:"says"`
	Bad  bool   `json:"bad"`
}

type throttleDoc struct {
	Reason  string `json:"reason"`
	Seconds number `json:"seconds"`
	Pct     number `json:"percent_of_interval"`
}

type holderDoc struct {
	PID      int32  `json:"pid"`
	Part     index  `json:"part"`
	MemBytes number `json:"mem_used_bytes"`
	Job      word   `json:"job"`
	Rank     index  `json:"rank"`
}

type partDoc struct {
	Kind              word        `json:"kind"`
	Name              word        `json:"name"`
	UUID              word        `json:"uuid"`
	Instance          uint32      `json:"instance"`
	ComputeInstance   uint32      `json:"compute_instance"`
	UtilPct           number      `json:"util_percent"`
	SMActivityPct     number      `json:"sm_activity_percent"`
	TensorActivityPct number      `json:"tensor_activity_percent"`
	DRAMActivityPct   number      `json:"dram_activity_percent"`
	MemUsedBytes      number      `json:"mem_used_bytes"`
	MemTotalBytes     number      `json:"mem_total_bytes"`
	ECCUncorrected    number      `json:"ecc_uncorrected"`
	Holders           []holderDoc `json:"holders"`
}

type linkDoc struct {
	Link             uint32 `json:"link"`
	Kind             word   `json:"kind"`
	Version          number `json:"version"`
	Remote           word   `json:"remote"`
	RemotePCI        word   `json:"remote_pci"`
	State            word   `json:"state"`
	SpeedBytesPerS   number `json:"speed_bytes_per_second"`
	TxBytesPerS      number `json:"tx_bytes_per_second"`
	RxBytesPerS      number `json:"rx_bytes_per_second"`
	Replays          number `json:"replays"`
	Recoveries       number `json:"recoveries"`
	RecoveryFailures number `json:"recovery_failures"`
	CRCErrors        number `json:"crc_errors"`
	ECCErrors        number `json:"ecc_errors"`
	RxErrors         number `json:"rx_errors"`
	TxDiscards       number `json:"tx_discards"`
	SymbolErrors     number `json:"symbol_errors"`
	EffectiveErrors  number `json:"effective_errors"`
}

type unseenDoc struct {
	PCI    word `json:"pci"`
	Vendor word `json:"vendor"`
	Why    word `json:"why"`
}

type callDoc struct {
	Source word   `json:"source"`
	Name   string `json:"name"`
	Count  number `json:"count"`
	PerS   number `json:"per_second"`
	MeanUS number `json:"mean_microseconds"`
	LastUS number `json:"last_microseconds"`
	MaxUS  number `json:"max_microseconds"`
}

// gpusOf are a node's GPUs, with their parts and links.
func gpusOf(n *fleet.Node) []gpuDoc {
	out := make([]gpuDoc, len(n.GPUs))
	for i := range n.GPUs {
		g := &n.GPUs[i]
		first := 0 // place of its first part in the node's list
		for first < len(n.Parts) && n.Parts[first].GPU < g.Index {
			first++
		}
		holder := func(h *fleet.Holder) holderDoc {
			part := index(-1)
			if h.Part >= first {
				part = index(h.Part - first)
			}
			return holderDoc{h.PID, part, number(h.MemBytes), word(h.Job), index(h.Rank)}
		}
		out[i] = gpuOf(g)
		out[i].Holders = listOf(g.Holders, holder)
		out[i].Parts = listOf(n.PartsOf(g.Index), func(p *fleet.Part) partDoc { return partOf(p, holder) })
		out[i].Links = listOf(n.LinksOf(g.Index), linkOf)
	}
	return out
}

func gpuOf(g *fleet.GPU) gpuDoc {
	i, d := g.Info, g.Detail
	if d == nil {
		d = fleet.NoDetail()
	}
	times := make([]throttleDoc, 0, len(d.Throttle))
	for c, t := range d.Throttle {
		if t.Total.Known() {
			times = append(times, throttleDoc{throttleCauses[c], number(t.Total), number(t.Pct)})
		}
	}
	return gpuDoc{
		Index: g.Index, Vendor: word(i.Vendor), UUID: word(i.Uuid), Name: word(i.Name), PCI: word(i.Pci), Serial: word(i.Serial), Architecture: word(i.Architecture),
		ComputeCapability: word(i.ComputeCapability), BoardPart: word(i.BoardPart), Driver: word(i.Driver), VBIOS: word(i.Vbios), Firmware: word(i.Firmware), Inforom: word(i.Inforom),
		NUMANode: index(i.NumaNode), CPUAffinity: word(i.CpuAffinity), ModuleID: index(i.ModuleId),
		Chassis: word(i.Chassis), Slot: known(float64(i.Slot), i.Chassis != ""), Tray: known(float64(i.Tray), i.Chassis != ""), MIG: i.Mig,
		Status: gpuStatus(g.Status), StatusNote: word(i.Note), Severity: g.Severity.String(), StaleS: number(g.Stale.Seconds()), IdleSince: stamp(g.IdleSince),
		Recovery: recoveryAction(g.Slow.RecoveryAction),
		UtilPct:  number(g.UtilPct), MemUtilPct: number(g.MemUtilPct), SMActivityPct: number(g.SMActivityPct), TensorActivityPct: number(g.TensorActivityPct),
		DRAMActivityPct: number(g.DRAMActivityPct), GraphicsPct: number(d.GraphicsActivityPct), OccupancyPct: number(d.SMOccupancyPct),
		FP64Pct: number(d.FP64ActivityPct), FP32Pct: number(d.FP32ActivityPct), FP16Pct: number(d.FP16ActivityPct),
		EncoderPct: number(d.EncoderPct), DecoderPct: number(d.DecoderPct), QueueSize: number(d.QueueSize),
		MemUsedBytes: number(g.MemUsedBytes), MemTotalBytes: number(g.MemTotalBytes), MemReservedBytes: number(d.MemReservedBytes),
		BAR1UsedBytes: number(d.BAR1UsedBytes), BAR1TotalBytes: number(d.BAR1TotalBytes),
		HostMemUsedBytes: number(d.HostMemUsedBytes), HostMemTotalBytes: number(d.HostMemTotalBytes),
		PowerW: number(g.PowerW), PowerLimitW: number(g.PowerLimitW), PowerAvgW: number(d.PowerAvgW), PowerDefaultW: number(d.PowerDefaultLimitW),
		PowerMinW: number(d.PowerMinLimitW), PowerMaxW: number(d.PowerMaxLimitW), EnergyJ: number(d.EnergyJ),
		TempC: number(g.TempC), MemTempC: number(g.MemTempC), VRTempC: number(d.VRTempC), TempMarginC: number(d.TempMarginC),
		SlowdownTLimitC: number(d.SlowdownTLimitC), ShutdownTLimitC: number(d.ShutdownTLimitC), MaxTLimitC: number(d.MaxTLimitC), MemMaxTLimitC: number(d.MemMaxTLimitC),
		SlowdownTempC: number(g.Slow.SlowdownTempC), ShutdownTempC: number(g.Slow.ShutdownTempC), MemMaxTempC: number(d.MemMaxTempC),
		SMClockMHz: number(g.SMClockMHz), SMClockMaxMHz: number(g.SMClockMaxMHz), MemClockMHz: number(g.MemClockMHz), MemClockMaxMHz: number(g.MemClockMaxMHz),
		PState: index(d.PState), Persistence: yesNo(d.Persistence), ComputeMode: computeMode(d.ComputeMode),
		ThrottleBits: known(float64(g.ThrottleBits), g.ThrottleBits >= 0), ThrottleReasons: throttleWords(g.ThrottleBits), ThrottleTimes: times,
		gpuHealth:         healthOf(g, d),
		NVLinkTxBytesPerS: number(g.NVLinkTXBytesPerS), NVLinkRxBytesPerS: number(g.NVLinkRXBytesPerS),
		PCIeTxBytesPerS: number(d.PCIeTXBytesPerS), PCIeRxBytesPerS: number(d.PCIeRXBytesPerS),
		NetTxBytesPerS: number(g.NetTxBytesPerS), NetRxBytesPerS: number(g.NetRxBytesPerS), Processes: number(g.Slow.Processes),
	}
}

func healthOf(g *fleet.GPU, d *fleet.GPUDetail) gpuHealth {
	s := g.Slow
	return gpuHealth{
		ECC: yesNo(s.ECCMode), ECCVolatileCorrected: number(s.ECCVolatileCorrected), ECCVolatileUncorrected: number(s.ECCVolatileUncorrected),
		ECCAggCorrected: number(s.ECCAggregateCorrected), ECCAggUncorrected: number(s.ECCAggregateUncorrected),
		SRAMUncorrected: number(s.SRAMUncorrected), SRAMThreshold: yesNo(s.SRAMThresholdExceeded),
		RemappedCorrected: number(s.RemappedCorrected), RemappedUncorrected: number(s.RemappedUncorrected), RemapPending: yesNo(s.RemapPending), RemapFailure: yesNo(s.RemapFailure),
		RetiredCorrected: number(s.RetiredPagesCorrected), RetiredUncorrected: number(s.RetiredPagesUncorrected), RetiredPending: yesNo(s.RetiredPending),
		Resets: number(s.Resets.Total), ExecErrors: number(s.ExecErrors.Total),
		PCIeGen: number(s.PCIeGen), PCIeGenMax: number(s.PCIeGenMax), PCIeWidth: number(s.PCIeWidth), PCIeWidthMax: number(s.PCIeWidthMax), PCIeReplays: number(s.PCIeReplays),
		PCIeErrors: pcieErrorsDoc{
			ReplayRollovers: number(d.PCIeReplayRollovers), L0ToRecovery: number(d.PCIeL0ToRecovery), Correctable: number(d.PCIeCorrectableErrors),
			NonFatal: number(d.PCIeNonFatalErrors), Fatal: number(d.PCIeFatalErrors), NAKsReceived: number(d.PCIeNAKsReceived), NAKsSent: number(d.PCIeNAKsSent),
			BadTLPs: number(d.PCIeBadTLPs), BadDLLPs: number(d.PCIeBadDLLPs), LCRC: number(d.PCIeLCRCErrors),
		},
		LinksTotal: number(s.Links), LinksUp: number(s.LinksUp), LinksDown: orEmpty(s.LinksDown),
		NVLinkReplays: number(s.NVLinkReplays.Total), NVLinkRecoveries: number(s.NVLinkRecoveries.Total), NVLinkCRCErrors: number(s.NVLinkCRCErrors.Total),
		C2CLinks: number(s.C2CLinks), C2CLinksUp: number(s.C2CLinksUp),
		Fabric: fabricOf(g),
	}
}

func fabricOf(g *fleet.GPU) fabricDoc {
	s := g.Slow
	d := fabricDoc{
		State: fabricState(s.FabricState), Status: known(float64(s.FabricStatus), s.FabricStatus >= 0), Cluster: word(g.Info.FabricCluster),
		Clique: known(float64(g.Info.FabricClique), g.Info.FabricCluster != ""),
		Health: []healthDoc{},
	}
	if s.FabricStatus > 0 {
		d.StatusText = word(fleet.NVMLWords(s.FabricStatus))
	}
	for _, h := range s.FabricHealth() {
		d.Health = append(d.Health, healthDoc(h))
	}
	return d
}

func partOf(p *fleet.Part, holder func(*fleet.Holder) holderDoc) partDoc {
	return partDoc{
		Kind: word(p.Info.Kind), Name: word(p.Info.Name), UUID: word(p.Info.Uuid), Instance: p.Info.Instance, ComputeInstance: p.Info.ComputeInstance,
		UtilPct: number(p.UtilPct), SMActivityPct: number(p.SMActivityPct), TensorActivityPct: number(p.TensorActivityPct), DRAMActivityPct: number(p.DRAMActivityPct),
		MemUsedBytes: number(p.MemUsedBytes), MemTotalBytes: number(p.MemTotalBytes), ECCUncorrected: number(p.ECCUncorrected), Holders: listOf(p.Holders, holder),
	}
}

func linkOf(l *fleet.Link) linkDoc {
	return linkDoc{
		Link: l.Info.Link, Kind: word(l.Info.Kind), Version: known(float64(l.Info.Version), l.Info.Version > 0), Remote: word(l.Info.Remote), RemotePCI: word(l.Info.RemotePci),
		State: linkState(l.State), SpeedBytesPerS: number(l.SpeedBytesPerS), TxBytesPerS: number(l.TXBytesPerS), RxBytesPerS: number(l.RXBytesPerS),
		Replays: number(l.Replays), Recoveries: number(l.Recoveries), RecoveryFailures: number(l.RecoveryFailures), CRCErrors: number(l.CRCErrors),
		ECCErrors: number(l.ECCErrors), RxErrors: number(l.RxErrors), TxDiscards: number(l.TxDiscards), SymbolErrors: number(l.SymbolErrors), EffectiveErrors: number(l.EffectiveErrors),
	}
}

func callsOf(n *fleet.Node) []callDoc {
	return listOf(n.Calls, func(c *fleet.Call) callDoc {
		source := word("")
		if c.Source < len(n.Sources) {
			source = word(n.Sources[c.Source].Name)
		}
		return callDoc{source, c.Name, number(c.Count), number(c.PerS), number(c.MeanUS), number(c.LastUS), number(c.MaxUS)}
	})
}

func unseenOf(n *fleet.Node) []unseenDoc {
	out := []unseenDoc{}
	if n.Inventory != nil {
		for _, u := range n.Inventory.UnseenGpus {
			out = append(out, unseenDoc{word(u.Pci), word(u.Vendor), word(u.Why)})
		}
	}
	return out
}

// throttleCauses name what drivers count the time of, as [throttleReasons] name what they say now.
var throttleCauses = [fleet.NumThrottleCauses]string{
	fleet.ThrottlePower: "sw_power_cap", fleet.ThrottleThermal: "thermal", fleet.ThrottleSyncBoost: "sync_boost", fleet.ThrottleBoard: "board_limit",
	fleet.ThrottleReliability: "reliability", fleet.ThrottleSWThermal: "sw_thermal", fleet.ThrottleHWThermal: "hw_thermal", fleet.ThrottlePowerBrake: "hw_power_brake",
}

// recoveryAction, fabricState, linkState and computeMode are NVML's words for its numbers.
func recoveryAction(a int) word {
	return pick(a, "none", "gpu_reset", "node_reboot", "drain_p2p", "drain_and_reset", "recover_imex", "bus_reset", "system_reboot")
}

func fabricState(s int) word {
	return pick(s, "not_supported", "not_started", "in_progress", "completed")
}

func computeMode(m int) word {
	return pick(m, "default", "exclusive_thread", "prohibited", "exclusive_process")
}

func linkState(s int) word {
	return map[int]word{telemetry.LinkDown: "down", telemetry.LinkUp: "up", telemetry.LinkSleep: "sleep"}[s]
}
