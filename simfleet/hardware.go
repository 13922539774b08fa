package simfleet

import (
	"fmt"

	"foretop/telemetry/facts"
)

// Every node is the same machine, of the shape of an 8-GPU H100 server: eight NDR ports beside the GPUs, one Ethernet port for storage,
// one for people.
const (
	gpusPerNode = 8
	numPorts    = 9 // eight of InfiniBand, in the order of the GPUs, then storage
	storagePort = 8
	numThreads  = 192

	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30

	memoryBytes    = 2015 * gib // 2 TiB less what firmware and kernel keep
	gpuMemoryBytes = 81559 * mib
	powerLimitW    = 700.0
	maxSMClock     = 1980
	maxMemClock    = 2619
	idleSMClock    = 345
	slowdownTempC  = 87
	shutdownTempC  = 92
	portLimitGBs   = 48.5 // what 400 Gb/s carry
	driverVersion  = "570.86.15"
)

var (
	gpuPCI    = [gpusPerNode]string{"0000:1b:00.0", "0000:43:00.0", "0000:52:00.0", "0000:61:00.0", "0000:9d:00.0", "0000:c3:00.0", "0000:d1:00.0", "0000:df:00.0"}
	portPCI   = [numPorts]string{"0000:18:00.0", "0000:40:00.0", "0000:4f:00.0", "0000:5e:00.0", "0000:9a:00.0", "0000:c0:00.0", "0000:ce:00.0", "0000:dc:00.0", "0000:29:00.0"}
	portNames = [numPorts]string{"mlx5_0", "mlx5_3", "mlx5_4", "mlx5_5", "mlx5_6", "mlx5_9", "mlx5_10", "mlx5_11", "mlx5_1"}
	portNet   = [numPorts]string{"ibp24s0", "ibp64s0", "ibp79s0", "ibp94s0", "ibp154s0", "ibp192s0", "ibp206s0", "ibp220s0", "ens6f0np0"}
)

// Network interfaces: the management port, the storage port, then the IPoIB ones.
const (
	netManagement = 0
	netStorage    = 1
	netIPoIB      = 2
	numNets       = netIPoIB + gpusPerNode
)

// Disks and file systems, by their place in the inventory.
const (
	diskSystem  = 0
	diskScratch = 1 // the first of four
	numDisks    = 5

	fsRoot    = 0
	fsScratch = 1
	fsHome    = 2
	fsData    = 3
	numFS     = 4
)

var fsSizes = [numFS]int64{1700 * gib, 13900 * gib, 200 << 40, 4800 << 40}

// hwCounters are the counters of an mlx5 port that have no metric of their own.
var hwCounters = []string{
	"duplicate_request", "implied_nak_seq_err", "req_cqe_error", "req_cqe_flush_error", "req_remote_access_errors",
	"req_remote_invalid_request", "req_rnr_retries_exceeded", "resp_cqe_error", "resp_cqe_flush_error", "resp_local_length_error",
	"resp_remote_access_errors", "roce_adp_retrans", "roce_adp_retrans_to", "roce_slow_restart_cnps", "roce_slow_restart_trans",
	"rp_cnp_ignored", "rx_atomic_requests", "rx_dct_connect", "rx_read_requests", "rx_write_requests",
}

// Sources of the collector, in the order of the inventory: the real collector's table.
const (
	sourceCPU = iota
	sourceMemory
	sourceNet
	sourceDisk
	sourceFilesystem
	sourceRDMA
	sourceNVIDIA
	sourceKernelLog
	sourceProcess
	sourceUsage
	sourceHost
	sourceSelf
	numSources
)

var sourceTable = [numSources]struct {
	name   string
	every  int64 // ms
	callUS int64 // what a read costs
}{
	{"cpu", 1000, 45}, {"memory", 1000, 60}, {"net", 1000, 40}, {"disk", 1000, 40}, {"filesystem", 30_000, 140}, {"rdma", 1000, 310}, {"nvidia", 1000, 5200},
	{"kernel_log", 1000, 20}, {"process", 5000, 900}, {"usage", 2000, 400}, {"host", 60_000, 90}, {"self", 1000, 20},
}

// Inventory is what the node has. Much of it is shared between nodes: it must not be changed.
func (n *Node) Inventory() *facts.Inventory {
	same := n.model.same
	inv := &facts.Inventory{
		Cpu: same.Cpu, MemoryTotalBytes: same.MemoryTotalBytes, GpuDriverVersion: same.GpuDriverVersion, CudaVersion: same.CudaVersion, Product: same.Product,
		Sources: same.Sources, HwCounters: same.HwCounters, Nets: same.Nets, Disks: same.Disks, Filesystems: same.Filesystems,
	}
	for i := range gpusPerNode {
		inv.Gpus = append(inv.Gpus, &facts.GPU{
			Uuid: n.gpuUUID(i), Name: "NVIDIA H100 80GB HBM3", Pci: gpuPCI[i], Minor: int32(i), MemoryTotalBytes: uint64(gpuMemoryBytes),
			Serial: n.gpuSerial(i), Vbios: "96.00.99.00.01", ComputeCapability: "9.0", NumaNode: int32(i / 4), Vendor: "nvidia",
			PciPath: behindSwitch(i, 2) + gpuPCI[i],
		})
	}
	for i := range numPorts {
		p := &facts.Port{
			Device: portNames[i], Port: 1, LinkLayer: "InfiniBand", Netdev: portNet[i], Pci: portPCI[i], Firmware: "28.39.2048",
			Guid: guid(n.id(word("port"), uint64(i))), NumaNode: int32(i / 4), Rate: "400 Gb/sec (4X NDR)", Driver: "mlx5_core",
		}
		if i == storagePort {
			p.LinkLayer, p.Rate, p.NumaNode, p.PciPath = "Ethernet", "200 Gb/sec (4X HDR)", 0, "pci0000:26/0000:26:01.0/"+portPCI[i]
		} else {
			p.PciPath = behindSwitch(i, 0) + portPCI[i]
		}
		inv.Ports = append(inv.Ports, p)
	}
	return inv
}

// behindSwitch is the way to the i-th of the eight PCIe switches, behind each of which sit a port and a GPU.
func behindSwitch(i, slot int) string {
	root := [gpusPerNode]int{0x15, 0x3d, 0x4c, 0x5b, 0x97, 0xbd, 0xcb, 0xd9}[i]
	return fmt.Sprintf("pci0000:%02x/0000:%02x:01.0/0000:%02x:00.0/0000:%02x:%02x.0/", root, root, root+1, root+2, slot)
}

// sameInventory is what all nodes have alike.
func sameInventory() *facts.Inventory {
	inv := &facts.Inventory{
		Cpu:              &facts.CPU{Model: "AMD EPYC 9474F 48-Core Processor", Sockets: 2, Cores: numThreads / 2, Threads: numThreads, NumaNodes: 2},
		MemoryTotalBytes: uint64(memoryBytes), GpuDriverVersion: driverVersion, CudaVersion: "12.8", Product: "Sail Systems S8-H100",
	}
	for _, s := range sourceTable {
		inv.Sources = append(inv.Sources, &facts.Source{Name: s.name, EveryMs: s.every})
	}
	for i := range numPorts {
		for _, name := range hwCounters {
			inv.HwCounters = append(inv.HwCounters, &facts.HWCounter{Port: uint32(i), Name: name})
		}
	}
	inv.Nets = append(inv.Nets, &facts.Net{Name: "eno3", Driver: "ixgbe", Physical: true}, &facts.Net{Name: portNet[storagePort], Driver: "mlx5_core", Physical: true})
	for i := range gpusPerNode {
		inv.Nets = append(inv.Nets, &facts.Net{Name: portNet[i], Driver: "mlx5_core", Physical: true})
	}
	inv.Disks = append(inv.Disks, &facts.Disk{Name: "nvme0n1", Model: "SAMSUNG MZ1L21T9HCLS-00A07", SizeBytes: 1920383410176})
	for i := range numDisks - 1 {
		inv.Disks = append(inv.Disks, &facts.Disk{Name: fmt.Sprintf("nvme%dn1", i+1), Model: "SAMSUNG MZQL23T8HCLS-00A07", SizeBytes: 3840755982336})
	}
	inv.Filesystems = []*facts.Filesystem{
		{Mount: "/", Device: "/dev/nvme0n1p2", Type: "ext4"},
		{Mount: "/scratch", Device: "/dev/md0", Type: "xfs"},
		{Mount: "/home", Device: "10.9.0.5:/home", Type: "nfs4"},
		{Mount: "/data", Device: "10.9.0.20@tcp:10.9.0.21@tcp:/data", Type: "lustre"},
	}
	return inv
}

func (n *Node) gpuUUID(i int) string { return "GPU-" + uuid(n.id(word("gpu"), uint64(i))) }

func (n *Node) gpuSerial(i int) string {
	return fmt.Sprintf("165%010d", n.id(word("serial"), uint64(i))%1e10)
}

// id makes a number that belongs to this node of this fleet.
func (n *Node) id(parts ...uint64) uint64 {
	h := hash(n.seed, uint64(n.index))
	for _, p := range parts {
		h = hash(h, p)
	}
	return h
}

func uuid(h uint64) string {
	lo := scramble(h)
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", uint32(h>>32), uint16(h>>16), h&0xfff, 0x8000|lo>>48&0x3fff, lo&0xffffffffffff)
}

func guid(h uint64) string {
	return fmt.Sprintf("b83f:d203:00%02x:%04x", h>>16&0xff, h&0xffff)
}
