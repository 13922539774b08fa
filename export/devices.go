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
