package findings

import "foretop/fleet"

// fabricTable is what is said of RDMA ports and network interfaces.
var fabricTable = []Rule{
	{"hw.port-down", notice, critical, "port", "an RDMA port is down or not yet active", "check cable, transceiver and the switch's port; on InfiniBand in INIT the subnet manager",
		"state of the port; one that was never up since we look may have no cable: notice", portsTell("state", func(p *fleet.Port) bool { return p.State >= 0 }), nil},
	{"hw.port-flap", notice, warning, "port", "an RDMA link went down and came back", "check cable, transceiver and the switch's port",
		"link_downed grew: a warning until it was quiet for 5 min, then a notice, over after an hour", portsTell("link_downed", func(p *fleet.Port) bool { return p.LinkDowned.Known() }), nil},
	{"hw.port-rate", notice, warning, "port", "an RDMA port is slower than it was, than its peers, or than it could be", "check cable and transceiver: damaged lanes let a link come up slower",
		"rate against the best of the last hour, most active ports of the same kind here, two thirds of at least 3 nodes of the same kind, and the adapter's own word", portsTell("rate", func(p *fleet.Port) bool { return p.RateMbps.Known() }), nil},
	{"hw.port-errors", notice, critical, "port", "counters of damage rise", "check cable, transceiver and the switch's port",
		"rates of the port's counters above limits for 12 s (symbol errors 10/s, or 120 an hour; retrains 5/min; drops 100/s …); single events for 5 min; counters that stand at their limit", portsTell("counters", portCounters), nil},
	{"hw.congestion", notice, notice, "port", "the fabric or a receiver is slower than what is sent", "look who else sends there; check routing, ECN and PFC of the switches",
		"waiting 20 % of the time, 5 % of packets marked, 1 % notified, no buffer for 100 packets/s, PFC pauses, for 30 s", portsTell("counters", portCounters), nil},
	{"hw.affinity", notice, warning, "port", "a GPU has no NIC beside it, though others have", "look for the missing NIC (lspci), or in which slot it sits; check NCCL_TOPO_FILE in virtual machines",
		"PCI paths: three quarters of the node's GPUs share a switch with a port and this one does not; warning where two thirds of at least 3 nodes of the same kind have more", every(readingsLive, hasGPUs, hasPorts), nil},
	{"hw.nic", notice, critical, "interface", "a network adapter, its link or its bond has trouble", "check cable, transceiver and the switch's port",
		"drivers' own counters for 12 s and more; a bond's member that is down; kernel log of mlx5, bnxt, ice, ena, efa", readingsLive, nil},
	{"hw.link", notice, critical, "interface", "the kernel says that a link went down", "check cable, transceiver and the switch's port",
		"kernel log of links, bonds and InfiniBand; over when it says that the link is up", hearsKernel, nil},
}
