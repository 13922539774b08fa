package export

import (
	"foretop/fleet"
	"foretop/telemetry/facts"
)

type gpuDoc struct {
	Index                  int         `json:"index"`
	UUID                   word        `json:"uuid"`
	Name                   word        `json:"name"`
	PCI                    word        `json:"pci"`
	Serial                 word        `json:"serial"`
	VBIOS                  word        `json:"vbios"`
	MIG                    bool        `json:"mig_enabled"`
	Status                 string      `json:"status"`
	Severity               string      `json:"severity"`
	StaleS                 number      `json:"readings_stale_seconds"`
	IdleSince              stamp       `json:"idle_since"`
	UtilPct                number      `json:"util_percent"`
	MemUtilPct             number      `json:"mem_util_percent"`
	SMActivityPct          number      `json:"sm_activity_percent"`
	TensorActivityPct      number      `json:"tensor_activity_percent"`
	DRAMActivityPct        number      `json:"dram_activity_percent"`
	EncoderPct             number      `json:"encoder_percent"`
	DecoderPct             number      `json:"decoder_percent"`
	MemUsedBytes           number      `json:"mem_used_bytes"`
	MemTotalBytes          number      `json:"mem_total_bytes"`
	PowerW                 number      `json:"power_watts"`
	PowerLimitW            number      `json:"power_limit_watts"`
	PowerAvgW              number      `json:"power_average_watts"`
	TempC                  number      `json:"temp_celsius"`
	MemTempC               number      `json:"mem_temp_celsius"`
	SlowdownTempC          number      `json:"slowdown_temp_celsius"`
	ShutdownTempC          number      `json:"shutdown_temp_celsius"`
	SMClockMHz             number      `json:"sm_clock_mhz"`
	SMClockMaxMHz          number      `json:"sm_clock_max_mhz"`
	MemClockMHz            number      `json:"mem_clock_mhz"`
	MemClockMaxMHz         number      `json:"mem_clock_max_mhz"`
	ThrottleBits           number      `json:"throttle_bits"`
	ThrottleReasons        []string    `json:"throttle_reasons"`
	ECCVolatileCorrected   number      `json:"ecc_volatile_corrected"`
	ECCVolatileUncorrected number      `json:"ecc_volatile_uncorrected"`
	ECCAggCorrected        number      `json:"ecc_aggregate_corrected"`
	ECCAggUncorrected      number      `json:"ecc_aggregate_uncorrected"`
	RemappedCorrected      number      `json:"remapped_rows_corrected"`
	RemappedUncorrected    number      `json:"remapped_rows_uncorrected"`
	RemapPending           yesNo       `json:"remap_pending"`
	RemapFailure           yesNo       `json:"remap_failure"`
	PCIeGen                number      `json:"pcie_gen"`
	PCIeGenMax             number      `json:"pcie_gen_max"`
	PCIeWidth              number      `json:"pcie_width"`
	PCIeWidthMax           number      `json:"pcie_width_max"`
	PCIeReplays            number      `json:"pcie_replays"`
	NVLinkTxBytesPerS      number      `json:"nvlink_tx_bytes_per_second"`
	NVLinkRxBytesPerS      number      `json:"nvlink_rx_bytes_per_second"`
	NetTxBytesPerS         number      `json:"net_tx_bytes_per_second"`
	NetRxBytesPerS         number      `json:"net_rx_bytes_per_second"`
	Holders                []holderDoc `json:"holders"`
}

type holderDoc struct {
	PID      int32  `json:"pid"`
	MemBytes number `json:"mem_used_bytes"`
	Job      word   `json:"job"`
	Rank     index  `json:"rank"`
}

type portDoc struct {
	Name                     string       `json:"name"`
	LinkLayer                word         `json:"link_layer"`
	Netdev                   word         `json:"netdev"`
	State                    word         `json:"state"`
	PhysState                word         `json:"phys_state"`
	Severity                 string       `json:"severity"`
	Rate                     word         `json:"rate"`
	RateMbps                 number       `json:"rate_megabits_per_second"`
	GPU                      index        `json:"gpu"`
	RcvBytesPerS             number       `json:"rcv_bytes_per_second"`
	XmitBytesPerS            number       `json:"xmit_bytes_per_second"`
	XmitWaitPerS             number       `json:"xmit_wait_per_second"`
	SymbolError              number       `json:"symbol_error"`
	LinkErrorRecovery        number       `json:"link_error_recovery"`
	LinkDowned               number       `json:"link_downed"`
	RcvErrors                number       `json:"rcv_errors"`
	XmitDiscards             number       `json:"xmit_discards"`
	OutOfSequence            number       `json:"out_of_sequence"`
	PacketSeqErr             number       `json:"packet_seq_err"`
	LocalAckTimeoutErr       number       `json:"local_ack_timeout_err"`
	OutOfBuffer              number       `json:"out_of_buffer"`
	RoCESlowRestart          number       `json:"roce_slow_restart"`
	LocalLinkIntegrityErrors number       `json:"local_link_integrity_errors"`
	ExcessiveBufferOverrun   number       `json:"excessive_buffer_overrun_errors"`
	Counters                 []counterDoc `json:"counters"`
}

type counterDoc struct {
	Name  string `json:"name"`
	Value number `json:"value"`
	PerS  number `json:"per_second"`
}

func gpuOf(g *fleet.GPU) gpuDoc {
	return gpuDoc{
		Index: g.Index, UUID: word(g.UUID), Name: word(g.Name), PCI: word(g.PCI), Status: gpuStatus(g.Status), Severity: g.Severity.String(),
		StaleS: number(g.Stale.Seconds()), IdleSince: stamp(g.IdleSince),
		UtilPct: number(g.UtilPct), MemUtilPct: number(g.MemUtilPct), SMActivityPct: number(g.SMActivityPct), TensorActivityPct: number(g.TensorActivityPct),
		DRAMActivityPct: number(g.DRAMActivityPct), EncoderPct: number(g.EncoderPct), DecoderPct: number(g.DecoderPct),
		MemUsedBytes: number(g.MemUsedBytes), MemTotalBytes: number(g.MemTotalBytes),
		PowerW: number(g.PowerW), PowerLimitW: number(g.PowerLimitW), PowerAvgW: number(g.PowerAvgW),
		TempC: number(g.TempC), MemTempC: number(g.MemTempC), SlowdownTempC: number(g.SlowdownTempC), ShutdownTempC: number(g.ShutdownTempC),
		SMClockMHz: number(g.SMClockMHz), SMClockMaxMHz: number(g.SMClockMaxMHz), MemClockMHz: number(g.MemClockMHz), MemClockMaxMHz: number(g.MemClockMaxMHz),
		ThrottleBits: known(float64(g.ThrottleBits), g.ThrottleBits >= 0), ThrottleReasons: throttleWords(g.ThrottleBits),
		ECCVolatileCorrected: number(g.ECCVolatileCorrected), ECCVolatileUncorrected: number(g.ECCVolatileUncorrected),
		ECCAggCorrected: number(g.ECCAggregateCorrected), ECCAggUncorrected: number(g.ECCAggregateUncorrected),
		RemappedCorrected: number(g.RemappedCorrected), RemappedUncorrected: number(g.RemappedUncorrected), RemapPending: yesNo(g.RemapPending), RemapFailure: yesNo(g.RemapFailure),
		PCIeGen: number(g.PCIeGen), PCIeGenMax: number(g.PCIeGenMax), PCIeWidth: number(g.PCIeWidth), PCIeWidthMax: number(g.PCIeWidthMax), PCIeReplays: number(g.PCIeReplays),
		NVLinkTxBytesPerS: number(g.NVLinkTXBytesPerS), NVLinkRxBytesPerS: number(g.NVLinkRXBytesPerS), NetTxBytesPerS: number(g.NetTxBytesPerS), NetRxBytesPerS: number(g.NetRxBytesPerS),
		Holders: listOf(g.Holders, func(h *fleet.Holder) holderDoc {
			return holderDoc{h.PID, number(h.MemBytes), word(h.Job), index(h.Rank)}
		}),
	}
}

// fillInventory adds what of a GPU never changes and is only in the inventory.
func fillInventory(d *gpuDoc, inv *facts.Inventory, i int) {
	if inv == nil || i >= len(inv.Gpus) {
		return
	}
	g := inv.Gpus[i]
	d.Serial, d.VBIOS, d.MIG = word(g.Serial), word(g.Vbios), g.Mig
}

func portOf(p *fleet.Port) portDoc {
	return portDoc{
		Name: p.Name, LinkLayer: word(p.LinkLayer), Netdev: word(p.Netdev), State: portState(p.State), PhysState: portPhysState(p.PhysState), Severity: p.Severity.String(),
		Rate: word(p.Rate), RateMbps: number(p.RateMbps), GPU: index(p.GPU),
		RcvBytesPerS: number(p.RcvBytesPerS), XmitBytesPerS: number(p.XmitBytesPerS), XmitWaitPerS: number(p.XmitWaitPerS),
		SymbolError: number(p.SymbolError), LinkErrorRecovery: number(p.LinkErrorRecovery), LinkDowned: number(p.LinkDowned), RcvErrors: number(p.RcvErrors), XmitDiscards: number(p.XmitDiscards),
		OutOfSequence: number(p.OutOfSequence), PacketSeqErr: number(p.PacketSeqErr), LocalAckTimeoutErr: number(p.LocalAckTimeoutErr), OutOfBuffer: number(p.OutOfBuffer),
		RoCESlowRestart: number(p.RoCESlowRestart), LocalLinkIntegrityErrors: number(p.LocalLinkIntegrityErrors), ExcessiveBufferOverrun: number(p.ExcessiveBufferOverrunErrors),
		Counters: listOf(p.Counters, func(c *fleet.Counter) counterDoc { return counterDoc{c.Name, number(c.Value), number(c.PerS)} }),
	}
}
