package findings

import "foretop/fleet"

// hostTable is what is said of the rest of a node, and what its scheduler says of it.
var hostTable = []Rule{
	{"hw.memory", notice, critical, "node", "memory errors of the machine", "drain the node; replace the memory module that the BMC's log names",
		"EDAC: an uncorrectable error critical for an hour, 100 corrected ones an hour a warning; kernel log: machine checks, EDAC, poisoned pages", func(n *fleet.Node) string {
			if why := hearsKernel(n); why != "" && !n.Host.MemUncorrected.Known() {
				return "EDAC: not told; " + why
			}
			return ""
		}, nil},
	{"hw.host-heat", notice, critical, "node", "the machine is too hot", "check fans, filters and the air that comes in", "kernel log: thermal throttling and critical temperatures", hearsKernel, nil},
	{"hw.iommu", notice, warning, "node", "the IOMMU refused a device's access", "check the driver of the device named; a job's RDMA may have failed", "kernel log", hearsKernel, nil},
	{"hw.disk", notice, critical, "node", "a disk or an array errs", "move data off it, and replace the disk", "kernel log: NVMe, block devices, md", hearsKernel, nil},
	{"hw.disk-full", warning, critical, "file system", "a file system is full", "delete what is not needed; find what fills it: du -x --max-depth=2",
		"95 % of its bytes or inodes used: warning; less than 1 MiB or no inode left: critical", every(readingsLive, func(n *fleet.Node) string {
			if len(n.FS) == 0 {
				return "no file system is told"
			}
			return ""
		}), nil},
	{"hw.filesystem", notice, critical, "file system", "a local file system errs, or is read-only now", doRemount, "kernel log: ext4, xfs, btrfs", hearsKernel, nil},
	{"hw.fs-hung", warning, critical, "file system", "a file system does not answer: what touches it hangs", doServers,
		"statfs that does not return; critical after a minute while processes are blocked in the kernel (state D)", sourceTells("filesystem", "file systems"), nil},
	{"hw.fs-server", notice, critical, "file system", "the kernel says that a file server does not answer", doServers, "kernel log: NFS, Lustre, GPFS; over when it says that it answers again", hearsKernel, nil},
	{"hw.clock-skew", warning, warning, "node", "its clock differs from the other nodes'", "check chrony or ntpd on it: chronyc tracking; timedatectl",
		"wall clock of its samples against the middle of at least 3 nodes, by more than half a second beyond what the way here can explain, for a minute", every(readingsLive, func(n *fleet.Node) string {
			if !n.ClockOffsetS.Known() {
				return "its collector does not tell its clock"
			}
			return ""
		}), nil},
	{"hw.differs", notice, warning, "node", "driver or firmware differs from its peers'", "bring it to its peers' version, or know why it differs",
		"driver, CUDA, GPU firmware and VBIOS, adapter firmware, kernel: against two thirds of at least 3 nodes of the same product and GPU; warning where nodes of one job differ in the GPU driver", func(n *fleet.Node) string {
			if n.Inventory == nil || n.Hello == nil {
				return "its inventory is not told"
			}
			return ""
		}, nil},
	{"node.oom", notice, warning, "node", "the kernel killed a process for want of memory", "give the job more memory, or let it use less", "kernel log; a warning for 5 min, then a notice for the rest of an hour", hearsKernel, nil},
	{"node.memory", warning, warning, "node", "its memory is nearly used up", "find what fills it: sort processes by memory; limit jobs to what they asked for", "97 % used",
		every(readingsLive, func(n *fleet.Node) string {
			if !n.Host.MemUsedBytes.Known() {
				return "memory: not told"
			}
			return ""
		}), nil},
	{"node.hung", notice, critical, "node", "tasks hang in the kernel, or a CPU is locked up", doStacks, "kernel log: hung tasks, lockups, RCU stalls", hearsKernel, nil},
	{"node.kernel", notice, critical, "node", "the kernel failed, or warns of itself", "keep the log; drain and reboot the node", "kernel log: panics, bugs, warnings", hearsKernel, nil},
	{"node.crash", notice, warning, "node", "a program crashed", doReportApp, "kernel log: segmentation faults and traps", hearsKernel, nil},
	{"node.source", notice, warning, "node", "something could not be looked at", "see the source's remedy on the node's screen", "state of the collector's sources", readingsLive, nil},
	{"scheduler.node", notice, warning, "node", "its scheduler has it drained, down or unreachable", "see the reason; resume the node when it is well",
		"the scheduler's word; down though it is live here for a minute: warning", scheduledNode, nil},
	{"scheduler.unjoined", notice, notice, "node", "it is not sure which node of a scheduler it is", "name nodes as the scheduler does, or make their host names the same", "host name, addresses, machine id", always, nil},
	{"waste.strangers", warning, warning, "node", "processes hold GPUs with no job of the scheduler there", "ask their owner; end them where nobody wants them",
		"for a minute; root's are the system's", scheduledNode, nil},
}
