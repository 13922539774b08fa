package telemetry

// CounterClass says what a counter of an RDMA device tells.
type CounterClass uint8

const (
	CounterOther      CounterClass = iota // not in the table
	CounterTraffic                        // what went through
	CounterCongestion                     // the fabric, or the receiver, was not fast enough: slow, not broken
	CounterDamage                         // something was lost, corrupted or given up
	CounterInfo                           // neither: objects, commands, what the end of a job brings
	NumCounterClasses
)

// CounterWidth says how wide a counter is and what it does at its end.
type CounterWidth uint8

const (
	WidthUnknown CounterWidth = iota
	Stops4                    // IBTA's management counters stop at all ones, and say nothing from then on until they are reset
	Stops8
	Stops16
	Stops32
	Wraps32 // begins anew at 0
	Wide64
)

// CounterUnit says what a counter counts.
type CounterUnit uint8

const (
	UnitEvents CounterUnit = iota
	UnitPackets
	UnitOctets
	UnitFourOctets // octets divided by four
	UnitTicks      // of the port's own clock
	UnitRequests   // work requests, messages
	UnitObjects    // a level, not a count: queue pairs, memory regions that there are
)

// CounterDef is what a file of counters/ or hw_counters/ means.
type CounterDef struct {
	Class  CounterClass
	Width  CounterWidth
	Unit   CounterUnit
	Metric Metric // that it is told as; 0: none of its own
}

// Stops says whether the counter stops at its limit, and gives it.
func (d CounterDef) Stops() (limit int64, ok bool) {
	switch d.Width {
	case Stops4:
		return 1<<4 - 1, true
	case Stops8:
		return 1<<8 - 1, true
	case Stops16:
		return 1<<16 - 1, true
	case Stops32:
		return 1<<32 - 1, true
	}
	return 0, false
}

// Full says whether a value is the one at which the counter stopped. A greater one says that this driver's counter is wider than the standard's.
func (d CounterDef) Full(v int64) bool {
	limit, ok := d.Stops()
	return ok && v == limit
}

// counterFamily is whose names a file bears.
type counterFamily uint8

const (
	familyIBTA counterFamily = iota // the standard's, and of any driver
	familyMlx5
	familyEFA
	familyBnxt
	familyIrdma
	familyHNS
	familyIonic
)

// counterFamilies are the drivers of each, as the link device/driver names them.
var counterFamilies = [...]struct {
	driver string
	family counterFamily
}{
	{"mlx5_core", familyMlx5}, {"efa", familyEFA}, {"bnxt_en", familyBnxt}, {"bnxt_re", familyBnxt}, {"ice", familyIrdma}, {"irdma", familyIrdma}, {"i40e", familyIrdma},
	{"i40iw", familyIrdma}, {"idpf", familyIrdma}, {"hns3", familyHNS}, {"hns_roce", familyHNS}, {"hns_roce_hw_v2", familyHNS}, {"ionic", familyIonic},
}

type counterRow struct {
	family counterFamily
	name   string
	def    CounterDef
}

const (
	traffic    = CounterTraffic
	congestion = CounterCongestion
	damage     = CounterDamage
	info       = CounterInfo
)

// counterTable is the one place that says what a file means. Sources: IBTA's PortCounters as drivers/infiniband/core/sysfs.c cuts them, and the
// drivers' own lists: mlx5/counters.c, efa/efa_verbs.c, bnxt_re/hw_counters.c, irdma/verbs.c, hns/hns_roce_main.c.
var counterTable = []counterRow{
	{familyIBTA, "port_rcv_data", CounterDef{traffic, Wide64, UnitFourOctets, 0}},
	{familyIBTA, "port_xmit_data", CounterDef{traffic, Wide64, UnitFourOctets, 0}},
	{familyIBTA, "port_rcv_packets", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIBTA, "port_xmit_packets", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIBTA, "unicast_rcv_packets", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIBTA, "unicast_xmit_packets", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIBTA, "multicast_rcv_packets", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIBTA, "multicast_xmit_packets", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIBTA, "port_xmit_wait", CounterDef{congestion, Stops32, UnitTicks, PortXmitWait}},
	{familyIBTA, "symbol_error", CounterDef{damage, Stops16, UnitEvents, PortSymbolError}},
	{familyIBTA, "link_error_recovery", CounterDef{damage, Stops8, UnitEvents, PortLinkErrorRecovery}},
	{familyIBTA, "link_downed", CounterDef{damage, Stops8, UnitEvents, PortLinkDowned}},
	{familyIBTA, "port_rcv_errors", CounterDef{damage, Stops16, UnitPackets, PortRcvErrors}},
	{familyIBTA, "port_rcv_remote_physical_errors", CounterDef{damage, Stops16, UnitPackets, PortRcvRemotePhysicalErrors}},
	{familyIBTA, "port_rcv_switch_relay_errors", CounterDef{info, Stops16, UnitPackets, PortRcvSwitchRelayErrors}},
	{familyIBTA, "port_xmit_discards", CounterDef{damage, Stops16, UnitPackets, PortXmitDiscards}},
	{familyIBTA, "port_xmit_constraint_errors", CounterDef{info, Stops8, UnitPackets, PortXmitConstraintErrors}},
	{familyIBTA, "port_rcv_constraint_errors", CounterDef{info, Stops8, UnitPackets, PortRcvConstraintErrors}},
	{familyIBTA, "local_link_integrity_errors", CounterDef{damage, Stops4, UnitEvents, PortLocalLinkIntegrityErrors}},
	{familyIBTA, "excessive_buffer_overrun_errors", CounterDef{damage, Stops4, UnitEvents, PortExcessiveBufferOverrunErrors}},
	{familyIBTA, "VL15_dropped", CounterDef{info, Stops16, UnitPackets, PortVL15Dropped}},

	// The counters of a Q counter set are 32 bits wide in the answer of the firmware; those of congestion and of the physical port are 64.
	{familyMlx5, "rx_write_requests", CounterDef{traffic, Wraps32, UnitRequests, 0}},
	{familyMlx5, "rx_read_requests", CounterDef{traffic, Wraps32, UnitRequests, 0}},
	{familyMlx5, "rx_atomic_requests", CounterDef{traffic, Wraps32, UnitRequests, 0}},
	{familyMlx5, "rx_dct_connect", CounterDef{info, Wraps32, UnitRequests, 0}},
	{familyMlx5, "out_of_buffer", CounterDef{congestion, Wraps32, UnitPackets, PortOutOfBuffer}},
	{familyMlx5, "out_of_sequence", CounterDef{damage, Wraps32, UnitPackets, PortOutOfSequence}},
	{familyMlx5, "duplicate_request", CounterDef{damage, Wraps32, UnitRequests, 0}},
	{familyMlx5, "rnr_nak_retry_err", CounterDef{damage, Wraps32, UnitEvents, PortRNRNakRetryErr}},
	{familyMlx5, "packet_seq_err", CounterDef{damage, Wraps32, UnitEvents, PortPacketSeqErr}},
	{familyMlx5, "implied_nak_seq_err", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "local_ack_timeout_err", CounterDef{damage, Wraps32, UnitEvents, PortLocalAckTimeoutErr}},
	{familyMlx5, "resp_local_length_error", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "resp_cqe_error", CounterDef{info, Wraps32, UnitEvents, 0}}, // the flushed ones are among them: each end of a job
	{familyMlx5, "req_cqe_error", CounterDef{info, Wraps32, UnitEvents, 0}},
	{familyMlx5, "resp_cqe_flush_error", CounterDef{info, Wraps32, UnitEvents, 0}},
	{familyMlx5, "req_cqe_flush_error", CounterDef{info, Wraps32, UnitEvents, 0}},
	{familyMlx5, "req_remote_invalid_request", CounterDef{damage, Wraps32, UnitRequests, 0}},
	{familyMlx5, "req_remote_access_errors", CounterDef{damage, Wraps32, UnitRequests, 0}},
	{familyMlx5, "resp_remote_access_errors", CounterDef{damage, Wraps32, UnitRequests, 0}},
	{familyMlx5, "req_transport_retries_exceeded", CounterDef{damage, Wraps32, UnitEvents, PortReqTransportRetriesExceeded}},
	{familyMlx5, "req_rnr_retries_exceeded", CounterDef{damage, Wraps32, UnitEvents, PortReqRNRRetriesExceeded}},
	{familyMlx5, "roce_adp_retrans", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "roce_adp_retrans_to", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "roce_slow_restart", CounterDef{damage, Wraps32, UnitEvents, PortRoCESlowRestart}},
	{familyMlx5, "roce_slow_restart_cnps", CounterDef{congestion, Wraps32, UnitPackets, 0}},
	{familyMlx5, "roce_slow_restart_trans", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "rp_cnp_ignored", CounterDef{congestion, Wide64, UnitPackets, 0}},
	{familyMlx5, "rp_cnp_handled", CounterDef{congestion, Wide64, UnitPackets, PortRPCNPHandled}},
	{familyMlx5, "np_ecn_marked_roce_packets", CounterDef{congestion, Wide64, UnitPackets, PortNPECNMarked}},
	{familyMlx5, "np_cnp_sent", CounterDef{congestion, Wide64, UnitPackets, PortNPCNPSent}},
	{familyMlx5, "rx_icrc_encapsulated", CounterDef{damage, Wide64, UnitPackets, PortRxICRCEncapsulated}},
	{familyMlx5, "cc_rx_ce_pkts", CounterDef{congestion, Wide64, UnitPackets, 0}}, // these and rdma_*: counted only once somebody turned them on
	{familyMlx5, "cc_rx_cnp_pkts", CounterDef{congestion, Wide64, UnitPackets, 0}},
	{familyMlx5, "cc_tx_cnp_pkts", CounterDef{congestion, Wide64, UnitPackets, 0}},
	{familyMlx5, "rdma_tx_packets", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyMlx5, "rdma_tx_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyMlx5, "rdma_rx_packets", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyMlx5, "rdma_rx_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyMlx5, "vport_rx_write_requests", CounterDef{traffic, Wraps32, UnitRequests, 0}},
	{familyMlx5, "vport_rx_read_requests", CounterDef{traffic, Wraps32, UnitRequests, 0}},
	{familyMlx5, "vport_rx_atomic_requests", CounterDef{traffic, Wraps32, UnitRequests, 0}},
	{familyMlx5, "vport_rx_dct_connect", CounterDef{info, Wraps32, UnitRequests, 0}},
	{familyMlx5, "vport_out_of_buffer", CounterDef{congestion, Wraps32, UnitPackets, 0}},
	{familyMlx5, "vport_out_of_sequence", CounterDef{damage, Wraps32, UnitPackets, 0}},
	{familyMlx5, "vport_duplicate_request", CounterDef{damage, Wraps32, UnitRequests, 0}},
	{familyMlx5, "vport_rnr_nak_retry_err", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_packet_seq_err", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_implied_nak_seq_err", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_local_ack_timeout_err", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_resp_local_length_error", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_resp_cqe_error", CounterDef{info, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_req_cqe_error", CounterDef{info, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_resp_cqe_flush_error", CounterDef{info, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_req_cqe_flush_error", CounterDef{info, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_req_remote_invalid_request", CounterDef{damage, Wraps32, UnitRequests, 0}},
	{familyMlx5, "vport_req_remote_access_errors", CounterDef{damage, Wraps32, UnitRequests, 0}},
	{familyMlx5, "vport_resp_remote_access_errors", CounterDef{damage, Wraps32, UnitRequests, 0}},
	{familyMlx5, "vport_req_transport_retries_exceeded", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_req_rnr_retries_exceeded", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_roce_adp_retrans", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_roce_adp_retrans_to", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_roce_slow_restart", CounterDef{damage, Wraps32, UnitEvents, 0}},
	{familyMlx5, "vport_roce_slow_restart_cnps", CounterDef{congestion, Wraps32, UnitPackets, 0}},
	{familyMlx5, "vport_roce_slow_restart_trans", CounterDef{damage, Wraps32, UnitEvents, 0}},

	{familyEFA, "tx_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyEFA, "tx_pkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyEFA, "rx_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyEFA, "rx_pkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyEFA, "rx_drops", CounterDef{damage, Wide64, UnitPackets, PortRxDrops}},
	{familyEFA, "send_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyEFA, "send_wrs", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyEFA, "recv_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyEFA, "recv_wrs", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyEFA, "rdma_read_wrs", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyEFA, "rdma_read_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyEFA, "rdma_read_wr_err", CounterDef{damage, Wide64, UnitRequests, 0}},
	{familyEFA, "rdma_read_resp_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyEFA, "rdma_write_wrs", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyEFA, "rdma_write_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyEFA, "rdma_write_wr_err", CounterDef{damage, Wide64, UnitRequests, 0}},
	{familyEFA, "rdma_write_recv_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyEFA, "retrans_bytes", CounterDef{damage, Wide64, UnitOctets, 0}},
	{familyEFA, "retrans_pkts", CounterDef{damage, Wide64, UnitPackets, PortRetransPackets}},
	{familyEFA, "retrans_timeout_events", CounterDef{damage, Wide64, UnitEvents, PortRetransTimeouts}},
	{familyEFA, "unresponsive_remote_events", CounterDef{damage, Wide64, UnitEvents, PortUnresponsiveRemotes}},
	{familyEFA, "impaired_remote_conn_events", CounterDef{damage, Wide64, UnitEvents, PortImpairedRemotes}},
	{familyEFA, "submitted_cmds", CounterDef{info, Wide64, UnitRequests, 0}},
	{familyEFA, "completed_cmds", CounterDef{info, Wide64, UnitRequests, 0}},
	{familyEFA, "cmds_err", CounterDef{info, Wide64, UnitRequests, 0}},
	{familyEFA, "no_completion_cmds", CounterDef{damage, Wide64, UnitRequests, PortNoCompletionCmds}},
	{familyEFA, "keep_alive_rcvd", CounterDef{info, Wide64, UnitEvents, 0}},
	{familyEFA, "alloc_pd_err", CounterDef{info, Wide64, UnitEvents, 0}},
	{familyEFA, "create_qp_err", CounterDef{info, Wide64, UnitEvents, 0}},
	{familyEFA, "create_cq_err", CounterDef{info, Wide64, UnitEvents, 0}},
	{familyEFA, "reg_mr_err", CounterDef{info, Wide64, UnitEvents, 0}},
	{familyEFA, "alloc_ucontext_err", CounterDef{info, Wide64, UnitEvents, 0}},
	{familyEFA, "create_ah_err", CounterDef{info, Wide64, UnitEvents, 0}},
	{familyEFA, "mmap_err", CounterDef{info, Wide64, UnitEvents, 0}},

	{familyBnxt, "rx_pkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyBnxt, "rx_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyBnxt, "tx_pkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyBnxt, "tx_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyBnxt, "rx_roce_good_pkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyBnxt, "rx_roce_good_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyBnxt, "tx_atomic_req", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "tx_read_req", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "tx_read_resp", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "tx_write_req", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "tx_send_req", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "rx_atomic_req", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "rx_read_req", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "rx_read_resp", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "rx_write_req", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "rx_send_req", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyBnxt, "rx_out_of_buffer", CounterDef{congestion, Wide64, UnitPackets, PortOutOfBuffer}},
	{familyBnxt, "np_cnp_pkts", CounterDef{congestion, Wide64, UnitPackets, PortNPCNPSent}}, // as newer drivers name tx_cnp_pkts
	{familyBnxt, "tx_cnp_pkts", CounterDef{congestion, Wide64, UnitPackets, PortNPCNPSent}},
	{familyBnxt, "rx_cnp_pkts", CounterDef{congestion, Wide64, UnitPackets, PortRPCNPHandled}},
	{familyBnxt, "rx_ecn_marked_pkts", CounterDef{congestion, Wide64, UnitPackets, PortNPECNMarked}},
	{familyBnxt, "recoverable_errors", CounterDef{info, Wide64, UnitEvents, 0}}, // the driver puts sent broadcasts here
	{familyBnxt, "rx_roce_errors", CounterDef{damage, Wide64, UnitPackets, PortRcvErrors}},
	{familyBnxt, "rx_roce_discards", CounterDef{damage, Wide64, UnitPackets, PortRxDrops}},
	{familyBnxt, "tx_roce_errors", CounterDef{damage, Wide64, UnitPackets, 0}},
	{familyBnxt, "tx_roce_discards", CounterDef{damage, Wide64, UnitPackets, PortXmitDiscards}},
	{familyBnxt, "to_retransmits", CounterDef{damage, Wide64, UnitEvents, PortLocalAckTimeoutErr}},
	{familyBnxt, "seq_err_naks_rcvd", CounterDef{damage, Wide64, UnitEvents, PortPacketSeqErr}},
	{familyBnxt, "max_retry_exceeded", CounterDef{damage, Wide64, UnitEvents, PortReqTransportRetriesExceeded}},
	{familyBnxt, "rnr_naks_rcvd", CounterDef{damage, Wide64, UnitEvents, PortRNRNakRetryErr}},
	{familyBnxt, "missing_resp", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "oos_drop_count", CounterDef{damage, Wide64, UnitPackets, PortOutOfSequence}},
	{familyBnxt, "dup_req", CounterDef{damage, Wide64, UnitRequests, 0}},
	{familyBnxt, "unrecoverable_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "bad_resp_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "local_qp_op_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "local_protection_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "mem_mgmt_op_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "remote_invalid_req_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "remote_access_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "remote_op_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "res_tx_pci_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "res_rx_pci_err", CounterDef{damage, Wide64, UnitEvents, 0}},
	{familyBnxt, "active_pds", CounterDef{info, WidthUnknown, UnitObjects, 0}},
	{familyBnxt, "active_ahs", CounterDef{info, WidthUnknown, UnitObjects, 0}},
	{familyBnxt, "active_qps", CounterDef{info, WidthUnknown, UnitObjects, 0}},
	{familyBnxt, "active_srqs", CounterDef{info, WidthUnknown, UnitObjects, 0}},
	{familyBnxt, "active_cqs", CounterDef{info, WidthUnknown, UnitObjects, 0}},
	{familyBnxt, "active_mrs", CounterDef{info, WidthUnknown, UnitObjects, 0}},
	{familyBnxt, "active_mws", CounterDef{info, WidthUnknown, UnitObjects, 0}},

	// The adapter's are 24 to 56 bits wide; the driver adds them up in 64.
	{familyIrdma, "ip4InOctets", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIrdma, "ip4OutOctets", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIrdma, "ip6InOctets", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIrdma, "ip6OutOctets", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIrdma, "ip4InPkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip4OutPkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip6InPkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip6OutPkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip4InMcastOctets", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIrdma, "ip4OutMcastOctets", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIrdma, "ip6InMcastOctets", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIrdma, "ip6OutMcastOctets", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIrdma, "ip4InMcastPkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip4OutMcastPkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip6InMcastPkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip6OutMcastPkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "tcpInSegs", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "tcpOutSegs", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "RxUDP", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "TxUDP", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIrdma, "iwInRdmaReads", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyIrdma, "iwInRdmaSends", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyIrdma, "iwInRdmaWrites", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyIrdma, "iwOutRdmaReads", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyIrdma, "iwOutRdmaSends", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyIrdma, "iwOutRdmaWrites", CounterDef{traffic, Wide64, UnitRequests, 0}},
	{familyIrdma, "iwRdmaBnd", CounterDef{info, Wide64, UnitRequests, 0}},
	{familyIrdma, "iwRdmaInv", CounterDef{info, Wide64, UnitRequests, 0}},
	{familyIrdma, "ip4InReasmRqd", CounterDef{info, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip4OutSegRqd", CounterDef{info, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip6InReasmRqd", CounterDef{info, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip6OutSegRqd", CounterDef{info, Wide64, UnitPackets, 0}},
	{familyIrdma, "cnpSent", CounterDef{congestion, Wide64, UnitPackets, PortNPCNPSent}},
	{familyIrdma, "cnpHandled", CounterDef{congestion, Wide64, UnitPackets, PortRPCNPHandled}},
	{familyIrdma, "cnpIgnored", CounterDef{congestion, Wide64, UnitPackets, 0}},
	{familyIrdma, "RxECNMrkd", CounterDef{congestion, Wide64, UnitPackets, PortNPECNMarked}},
	{familyIrdma, "ip4InDiscards", CounterDef{damage, Wide64, UnitPackets, PortRxDrops}},
	{familyIrdma, "ip6InDiscards", CounterDef{damage, Wide64, UnitPackets, PortRxDrops}},
	{familyIrdma, "ip4InTruncatedPkts", CounterDef{damage, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip6InTruncatedPkts", CounterDef{damage, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip4OutNoRoutes", CounterDef{damage, Wide64, UnitPackets, 0}},
	{familyIrdma, "ip6OutNoRoutes", CounterDef{damage, Wide64, UnitPackets, 0}},
	{familyIrdma, "tcpRetransSegs", CounterDef{damage, Wide64, UnitPackets, PortRetransPackets}},
	{familyIrdma, "tcpInOptErrors", CounterDef{damage, Wide64, UnitPackets, 0}},
	{familyIrdma, "tcpInProtoErrors", CounterDef{damage, Wide64, UnitPackets, 0}},
	{familyIrdma, "rxVlanErrors", CounterDef{info, Wide64, UnitPackets, 0}},

	{familyHNS, "rx_rc_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "rx_uc_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "rx_ud_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "rx_xrc_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "rx_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "tx_rc_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "tx_uc_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "tx_ud_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "tx_xrc_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "tx_pkt", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyHNS, "rx_cnp_pkt", CounterDef{congestion, Wide64, UnitPackets, PortRPCNPHandled}},
	{familyHNS, "tx_cnp_pkt", CounterDef{congestion, Wide64, UnitPackets, PortNPCNPSent}},
	{familyHNS, "rx_err_pkt", CounterDef{damage, Wide64, UnitPackets, PortRcvErrors}},
	{familyHNS, "tx_err_pkt", CounterDef{damage, Wide64, UnitPackets, 0}},
	{familyHNS, "aeqe", CounterDef{info, Wide64, UnitEvents, 0}},
	{familyHNS, "ceqe", CounterDef{info, Wide64, UnitEvents, 0}},
	{familyHNS, "cmds", CounterDef{info, Wide64, UnitRequests, 0}},
	{familyHNS, "cmds_err", CounterDef{info, Wide64, UnitRequests, 0}},
	{familyHNS, "mbx_posted", CounterDef{info, Wide64, UnitRequests, 0}},
	{familyHNS, "mbx_polled", CounterDef{info, Wide64, UnitRequests, 0}},
	{familyHNS, "mbx_event", CounterDef{info, Wide64, UnitEvents, 0}},

	{familyIonic, "rx_rdma_ucast_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIonic, "tx_rdma_ucast_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIonic, "rx_rdma_ucast_pkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIonic, "tx_rdma_ucast_pkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIonic, "rx_rdma_mcast_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIonic, "tx_rdma_mcast_bytes", CounterDef{traffic, Wide64, UnitOctets, 0}},
	{familyIonic, "rx_rdma_mcast_pkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIonic, "tx_rdma_mcast_pkts", CounterDef{traffic, Wide64, UnitPackets, 0}},
	{familyIonic, "rx_rdma_cnp_pkts", CounterDef{congestion, Wide64, UnitPackets, PortRPCNPHandled}},
	{familyIonic, "tx_rdma_cnp_pkts", CounterDef{congestion, Wide64, UnitPackets, PortNPCNPSent}},
	{familyIonic, "rx_rdma_ecn_pkts", CounterDef{congestion, Wide64, UnitPackets, PortNPECNMarked}},
}

// LookupCounter says what a file of counters/ or hw_counters/ means, by the driver of its device (the name that device/driver links to) and its own
// name. Drivers take over each other's names: what is in another's list only means the same, though how wide it is there is not known. What is in no
// list is of class CounterOther. It searches the whole table: it is for when devices are listed.
func LookupCounter(driver, file string) (d CounterDef) {
	own := familyIBTA
	for _, f := range counterFamilies {
		if f.driver == driver {
			own = f.family
		}
	}
	for i := range counterTable {
		switch r := &counterTable[i]; {
		case r.name != file:
		case r.family == familyIBTA || r.family == own:
			return r.def
		case d == CounterDef{}:
			d = r.def
			d.Width = WidthUnknown
		}
	}
	return d
}

// PortErrors are the metrics of a port that are counters of damage or congestion, in the order of the metric table. It is shared: do not change it.
func PortErrors() []Metric { return portErrors[:] }

// NumPortErrors is how many there are.
const NumPortErrors = 31

var portErrors, portErrorAt = func() (list [NumPortErrors]Metric, at [1 << scopeShift]uint8) {
	n := 0
	for _, d := range defs {
		if d.Group == GroupPortErrors && d.ID.Scope() == ScopePort {
			list[n] = d.ID
			n++
			at[d.ID.local()] = uint8(n)
		}
	}
	if n != NumPortErrors {
		panic("NumPortErrors is not their number")
	}
	return list, at
}()

// PortErrorAt is a metric's place among the PortErrors; -1: it is none.
func PortErrorAt(m Metric) int {
	if m.Scope() != ScopePort {
		return -1
	}
	return int(portErrorAt[m.local()]) - 1
}
