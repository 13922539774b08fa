package findings

import "foretop/fleet"

// gpuTable is what is said of accelerators.
var gpuTable = []Rule{
	{"hw.xid", notice, critical, "GPU", "the NVIDIA driver reported an Xid", "look the code up in NVIDIA's Xid catalogue",
		"kernel log or NVML events, by the table of Xids: critical for a day, a warning for an hour and past after 5 min, a notice for 10 min", hearsXids, nil},
	{"hw.sxid", notice, critical, "node", "an NVSwitch reported an error", "drain the node; reset its GPUs and NVSwitches together, or reboot it",
		"kernel log, by the class of the Fabric Manager guide; as long as an Xid", hearsKernel, nil},
	{"hw.gpu-driver", notice, critical, "GPU", "an accelerator's driver reports trouble without an Xid", "drain the node and load the driver anew; reboot where that does not help",
		"kernel log: initialisation that failed, resets, RAS errors, of NVIDIA, AMD, Intel, Habana, AWS, Google and Huawei", hearsKernel, nil},
	{"hw.gpu-lost", critical, critical, "GPU", "a GPU is lost, fails or does not answer", "drain and reboot the node; if it comes again, check power, seating and riser, then replace it",
		"the driver's word, or a call that does not return", every(readingsLive, hasGPUs), nil},
	{"hw.gpu-missing", notice, critical, "node", "fewer GPUs than it had, than its scheduler counts, or than its peers have", "look for the missing one on the PCI bus (lspci) and in the kernel log; drain and reboot the node",
		"against the most that were seen here, the scheduler's count, and two thirds of at least 3 nodes of the same kind; GPUs that are on the bus but not ours to see are not missing", every(readingsLive, hasGPUs), nil},
	{"hw.gpu-unseen", notice, notice, "node", "GPUs on the bus that the collector's user is not shown", "none, where they are others'; else give the user the device files, or load the driver",
		"sysfs against the driver's list", readingsLive, nil},
	{"hw.ecc", warning, critical, "GPU", "uncorrectable memory errors", "restart the job; reset the GPU, and replace it when they come again",
		"volatile ECC counters above 0: warning; SRAM errors beyond the maker's limit: critical", gpusTell("ECC counters", func(g *fleet.GPU) bool { return g.Slow.ECCVolatileUncorrected.Known() }), nil},
	{"hw.ecc-mode", warning, warning, "GPU", "ECC is off, unlike its peers", "switch it on: nvidia-smi -i N -e 1, then reset the GPU",
		"against GPUs of the same name on the node", gpusTell("ECC mode", func(g *fleet.GPU) bool { return g.Slow.ECCMode.Known() }), nil},
	{"hw.remap", notice, critical, "GPU", "memory rows or pages wait to be replaced, or could not be", "drain the node and reset the GPU; replace it where the remap failed",
		"row remap failure: critical; pending: a warning, or a notice where the driver gives a verdict of its own (hw.recovery)", gpusTell("row remapping", func(g *fleet.GPU) bool { return g.Slow.RemapPending.Known() || g.Slow.RetiredPending.Known() }), nil},
	{"hw.recovery", warning, critical, "GPU", "the driver asks for a reset, a reboot or a drain", "drain the node, then do as the driver asks",
		"NVML's recovery action", gpusTell("recovery action", func(g *fleet.GPU) bool { return g.Slow.RecoveryAction >= 0 }), nil},
	{"hw.throttle", notice, warning, "GPU", "slowed by heat or power brake", "check fans, airflow, coolant and power supplies",
		"NVML clock event reasons 0x8, 0x20, 0x40, 0x80 for 3 s: warning; so for 5 % of the time (counters, at detail): notice. Its own power limit is no fault", gpusTell("clock event reasons", func(g *fleet.GPU) bool { return g.ThrottleBits >= 0 }), nil},
	{"hw.clock", warning, warning, "GPU", "clocks below peers at equal load", "check application clocks, power limit, cooling and power supplies of the node",
		"SM clock below 85 % of the middle of its job's GPUs of the same name, all busy, for 20 s, while nothing says that it is throttled", gpusTell("SM clock", func(g *fleet.GPU) bool { return g.SMClockMHz.Known() }), nil},
	{"hw.power-limit", notice, notice, "GPU", "its power limit is below its peers'", "set it: nvidia-smi -i N -pl WATTS, or find who lowered it",
		"more than 3 % below the middle of its node's GPUs of the same name, or of two thirds of at least 3 nodes of the same kind", gpusTell("power limit", func(g *fleet.GPU) bool { return g.PowerLimitW.Known() }), nil},
	{"hw.nvlink", notice, warning, "GPU", "NVLink or xGMI links down, or erring", "drain the node and reset its GPUs; check the baseboard if it comes again",
		"fewer up than there were, or than on a peer of the node; recoveries, and 100 CRC errors or replays an hour: warning for 5 min, fewer: notice", gpusTell("links", func(g *fleet.GPU) bool { return g.Slow.LinksUp.Known() || g.Info.Mig }), nil},
	{"hw.fabric", warning, critical, "GPU", "not registered with the NVSwitches, or their fabric is degraded", "see the Fabric Manager's log on the node; restart it, then reset the GPUs",
		"NVML's fabric state for a minute or its error at once: critical; its health mask: warning", every(readingsLive, hasGPUs), nil},
	{"hw.c2c", warning, warning, "GPU", "links between GPU and CPU are down", "drain and reboot the node; replace the module if it comes again",
		"C2C links up against all", every(readingsLive, hasGPUs), nil},
	{"hw.gpu-reset", notice, warning, "GPU", "a GPU was reset, or runs on it failed", "look into the driver's log for why",
		"counters of the driver (Gaudi, Neuron): a warning for 5 min, then a notice for an hour", every(readingsLive, hasGPUs), nil},
	{"hw.pcie", warning, warning, "GPU", "PCIe width or generation below what it can be, or below peers'", "drain the node; reseat the card or its riser, clean the contacts, check BIOS settings of the slot",
		"width below its maximum or its peers'; generation below its maximum for 90 s under load; maximum below that of two thirds of at least 3 nodes of the same kind. Of GPUs and RDMA adapters", every(readingsLive, func(n *fleet.Node) string {
			if len(n.GPUs)+len(n.Ports) == 0 {
				return "it has neither GPU nor RDMA port"
			}
			return ""
		}), nil},
	{"hw.pcie-errors", notice, critical, "node", "errors on the PCI bus", "drain the node; check cable, seating and slot",
		"kernel log: AER, containment, hot plug, power", hearsKernel, nil},
}
