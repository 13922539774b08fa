package collectors

import "foretop/telemetry"

// Places in netStatMetrics.
const (
	rxPFC = iota
	txPFC
	rxPause
	txPause
	rxDiscards
	txDiscards
	rxCRC
	symbolErrors
	fecErrors
	allowance
	numNetStats
)

// netStatMetrics are the metrics that drivers' own statistics are added up in.
var netStatMetrics = [numNetStats]telemetry.Metric{
	rxPFC: telemetry.NetRxPFCPause, txPFC: telemetry.NetTxPFCPause, rxPause: telemetry.NetRxPause, txPause: telemetry.NetTxPause,
	rxDiscards: telemetry.NetRxDiscards, txDiscards: telemetry.NetTxDiscards, rxCRC: telemetry.NetRxCRCErrors, symbolErrors: telemetry.NetSymbolErrors,
	fecErrors: telemetry.NetFECUncorrected, allowance: telemetry.NetAllowanceExceeded,
}

// driverStats are the drivers' names for what is told; # stands for a number: a priority or a queue. A row without a driver holds for all, for names
// that mean the same everywhere. Of pairs that count "stop" and "go on" the former is taken.
var driverStats = [...]struct {
	driver, name string
	metric       int
}{
	// mlx5: https://docs.kernel.org/networking/device_drivers/ethernet/mellanox/mlx5/counters.html
	{"mlx5_core", "rx_prio#_pause", rxPFC}, {"mlx5_core", "tx_prio#_pause", txPFC},
	{"mlx5_core", "rx_pause_ctrl_phy", rxPause}, {"mlx5_core", "tx_pause_ctrl_phy", txPause},
	{"mlx5_core", "rx_discards_phy", rxDiscards}, {"mlx5_core", "tx_discards_phy", txDiscards},
	{"mlx5_core", "rx_crc_errors_phy", rxCRC}, {"mlx5_core", "rx_symbol_err_phy", symbolErrors},
	{"mlx5_core", "rx_pcs_symbol_err_phy", fecErrors}, // symbols that the error correction did not mend
	// bnxt: bnxt_ethtool.c; qede has the same names for some
	{"", "rx_pfc_frames", rxPFC}, {"", "tx_pfc_frames", txPFC}, {"", "rx_pause_frames", rxPause}, {"", "tx_pause_frames", txPause},
	{"bnxt_en", "rx_stat_discard", rxDiscards}, {"bnxt_en", "tx_stat_discard", txDiscards}, {"bnxt_en", "rx_fcs_err_frames", rxCRC},
	{"bnxt_en", "rx_pcs_symbol_err", symbolErrors}, {"bnxt_en", "rx_fec_uncorrectable_blocks", fecErrors},
	{"qede", "rx_crc_errors", rxCRC}, {"qede", "no_buff_discards", rxDiscards},
	// ice: ice_ethtool.c
	{"ice", "rx_priority_#_xoff.nic", rxPFC}, {"ice", "tx_priority_#_xoff.nic", txPFC}, {"ice", "link_xoff_rx.nic", rxPause}, {"ice", "link_xoff_tx.nic", txPause},
	{"ice", "rx_dropped.nic", rxDiscards}, {"ice", "tx_dropped_link_down.nic", txDiscards}, {"ice", "rx_crc_errors.nic", rxCRC},
	// i40e: i40e_ethtool.c
	{"i40e", "port.rx_priority_#_xoff", rxPFC}, {"i40e", "port.tx_priority_#_xoff", txPFC}, {"i40e", "port.link_xoff_rx", rxPause}, {"i40e", "port.link_xoff_tx", txPause},
	{"i40e", "port.rx_dropped", rxDiscards}, {"i40e", "port.tx_dropped_link_down", txDiscards}, {"i40e", "port.rx_crc_errors", rxCRC},
	// ixgbe, igb, igc, e1000e
	{"ixgbe", "rx_pb_#_pxoff", rxPFC}, {"ixgbe", "tx_pb_#_pxoff", txPFC},
	{"", "rx_flow_control_xoff", rxPause}, {"", "tx_flow_control_xoff", txPause}, {"", "rx_missed_errors", rxDiscards}, {"", "rx_no_dma_resources", rxDiscards},
	{"ixgbe", "rx_crc_errors", rxCRC}, {"igb", "rx_crc_errors", rxCRC}, {"igc", "rx_crc_errors", rxCRC}, {"e1000e", "rx_crc_errors", rxCRC},
	// ena: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-network-performance-ena.html
	{"ena", "rx_drops", rxDiscards}, {"ena", "tx_drops", txDiscards}, {"ena", "bw_in_allowance_exceeded", allowance}, {"ena", "bw_out_allowance_exceeded", allowance},
	{"ena", "pps_allowance_exceeded", allowance}, {"ena", "conntrack_allowance_exceeded", allowance}, {"ena", "linklocal_allowance_exceeded", allowance},
	// virtio_net, gve: gve_ethtool.c
	{"virtio_net", "rx_drops", rxDiscards},
	{"gve", "rx_queue_drop_cnt[#]", rxDiscards}, {"gve", "rx_no_buffers_posted[#]", rxDiscards},
	// hns3: hclge_main.c
	{"hns3", "mac_rx_pfc_pri#_pkt_num", rxPFC}, {"hns3", "mac_tx_pfc_pri#_pkt_num", txPFC}, {"hns3", "mac_rx_mac_pause_num", rxPause}, {"hns3", "mac_tx_mac_pause_num", txPause},
	{"hns3", "mac_rx_fcs_err_pkt_num", rxCRC},
	// ionic: ionic_stats.c
	{"ionic", "frames_rx_pripause", rxPFC}, {"ionic", "frames_tx_pripause", txPFC}, {"ionic", "frames_rx_pause", rxPause}, {"ionic", "frames_tx_pause", txPause},
	{"ionic", "frames_rx_dropped", rxDiscards}, {"ionic", "frames_rx_bad_fcs", rxCRC},
}
