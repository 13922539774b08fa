package export

import "foretop/fleet"

type portDoc struct {
	Name                     string       `json:"name"`
	LinkLayer                word         `json:"link_layer"`
	Netdev                   word         `json:"netdev"`
	State                    word         `json:"state"`
	PhysState                word         `json:"phys_state"`
	Severity                 string       `json:"severity"`
	Rate                     word         `json:"rate"`
	RateMbps                 number       `json:"rate_megabits_per_second"`
	RateMaxMbps              number       `json:"rate_max_megabits_per_second"`
	RateMaxFrom              word         `json:"rate_max_from"`
	PCIeGen                  number       `json:"pcie_generation"`
	PCIeGenMax               number       `json:"pcie_generation_max"`
	PCIeWidth                number       `json:"pcie_width"`
	PCIeWidthMax             number       `json:"pcie_width_max"`
	LID                      number       `json:"lid"`
	SMLID                    number       `json:"sm_lid"`
	GUID                     word         `json:"guid"`
	Firmware                 word         `json:"firmware"`
	PCI                      word         `json:"pci"`
	GPU                      index        `json:"gpu"`
	GPUFrom                  string       `json:"gpu_from"`
	RcvBytesPerS             number       `json:"rcv_bytes_per_second"`
	XmitBytesPerS            number       `json:"xmit_bytes_per_second"`
	XmitWaitPerS             number       `json:"xmit_wait_per_second"`
	XmitWaitPct              number       `json:"xmit_wait_percent"`
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
	Name    string `json:"name"`
	Class   string `json:"class"`
	Value   number `json:"value"`
	PerS    number `json:"per_second"`
	Stopped bool   `json:"stopped"`
}

func portOf(p *fleet.Port) portDoc {
	f := p.Fact
	return portDoc{
		RateMaxMbps: number(p.RateMaxMbps), RateMaxFrom: word(p.RateMaxFrom()), PCIeGen: number(p.PCIeGen), PCIeGenMax: number(p.PCIeGenMax),
		PCIeWidth: number(p.PCIeWidth), PCIeWidthMax: number(p.PCIeWidthMax), LID: known(float64(p.LID()), p.LID() > 0), SMLID: known(float64(p.SMLID()), p.SMLID() > 0),
		GUID: word(f.GetGuid()), Firmware: word(f.GetFirmware()), PCI: word(f.GetPci()), GPUFrom: p.Near.String(), XmitWaitPct: number(p.XmitWaitPct()),
		Name: p.Name, LinkLayer: word(p.LinkLayer), Netdev: word(p.Netdev), State: portState(p.State), PhysState: portPhysState(p.PhysState), Severity: p.Severity.String(),
		Rate: word(p.Rate), RateMbps: number(p.RateMbps), GPU: index(p.GPU),
		RcvBytesPerS: number(p.RcvBytesPerS), XmitBytesPerS: number(p.XmitBytesPerS), XmitWaitPerS: number(p.XmitWaitPerS),
		SymbolError: number(p.SymbolError), LinkErrorRecovery: number(p.LinkErrorRecovery), LinkDowned: number(p.LinkDowned), RcvErrors: number(p.RcvErrors), XmitDiscards: number(p.XmitDiscards),
		OutOfSequence: number(p.OutOfSequence), PacketSeqErr: number(p.PacketSeqErr), LocalAckTimeoutErr: number(p.LocalAckTimeoutErr), OutOfBuffer: number(p.OutOfBuffer),
		RoCESlowRestart: number(p.RoCESlowRestart), LocalLinkIntegrityErrors: number(p.LocalLinkIntegrityErrors), ExcessiveBufferOverrun: number(p.ExcessiveBufferOverrunErrors),
		Counters: listOf(p.Counters, func(c *fleet.Counter) counterDoc {
			return counterDoc{c.Name, c.Def.Class.String(), number(c.Value), number(c.PerS), c.Full()}
		}),
	}
}
