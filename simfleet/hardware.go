package simfleet

import (
	"fmt"

	"foretop/telemetry/facts"
)

// Every node is of the shape of an 8-GPU server: eight NDR ports beside the GPUs, one Ethernet port for storage, one for people. What kinds there are
// is in machine.go.
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
	sourceEDAC
	sourceRDMA
	sourceNVIDIA
	sourceAMD
	sourceIntel
	sourceGoogle
	sourceAWS
	sourceHabana
	sourceHuawei
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
	{"cpu", 1000, 45}, {"memory", 1000, 60}, {"net", 1000, 40}, {"disk", 1000, 40}, {"filesystem", 30_000, 140}, {"edac", 30_000, 60}, {"rdma", 1000, 310}, {"nvidia", 1000, 5200},
	{"amd", 1000, 190}, {"intel", 1000, 3}, {"google", 1000, 900}, {"aws", 1000, 3}, {"habana", 1000, 3}, {"huawei", 1000, 3},
	{"kernel_log", 1000, 20}, {"process", 5000, 900}, {"usage", 2000, 400}, {"host", 60_000, 90}, {"self", 1000, 20},
}

// gpuCount is how many GPUs the collector's user is shown.
func (n *Node) gpuCount() int { return gpusPerNode - n.hidden }

// Inventory is what the node has. Much of it is shared between nodes: it must not be changed.
func (n *Node) Inventory() *facts.Inventory {
	k := n.machine
	same := k.inventory
	inv := &facts.Inventory{
		Cpu: same.Cpu, MemoryTotalBytes: same.MemoryTotalBytes, GpuDriverVersion: same.GpuDriverVersion, CudaVersion: same.CudaVersion, Product: same.Product,
		Sources: same.Sources, HwCounters: same.HwCounters, Nets: same.Nets, Disks: same.Disks, Filesystems: same.Filesystems, Calls: same.Calls,
		GpuLinks: same.GpuLinks[:len(same.GpuLinks)*n.gpuCount()/gpusPerNode],
	}
	for i := range n.gpuCount() {
		inv.Gpus = append(inv.Gpus, n.gpuFacts(i))
	}
	n.outdate(inv)
	for i := n.gpuCount(); i < gpusPerNode; i++ {
		inv.UnseenGpus = append(inv.UnseenGpus, &facts.UnseenGPU{Pci: gpuPCI[i], Vendor: k.gpu.Vendor, Why: "not visible to this user"})
	}
	for i := range k.parts {
		inv.GpuParts = append(inv.GpuParts, n.partFacts(i))
	}
	for i := range k.ports {
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

// gpuFacts is who one GPU is.
func (n *Node) gpuFacts(i int) *facts.GPU {
	k := n.machine
	g := &facts.GPU{
		Name: k.gpu.Name, Vendor: k.gpu.Vendor, Architecture: k.gpu.Architecture, ComputeCapability: k.gpu.ComputeCapability, Vbios: k.gpu.Vbios,
		BoardPart: k.gpu.BoardPart, Firmware: k.gpu.Firmware, Inforom: k.gpu.Inforom, Driver: k.gpu.Driver, FabricCluster: k.gpu.FabricCluster,
		Uuid: n.gpuUUID(i), Pci: gpuPCI[i], Minor: int32(i), MemoryTotalBytes: uint64(k.gpuMemory), NumaNode: int32(i / 4), ModuleId: int32(i + 1),
		CpuAffinity: [...]string{"0-47,96-143", "48-95,144-191"}[i/4], PciPath: behindSwitch(i, 2) + gpuPCI[i], Mig: k.isCut(i),
	}
	if k.kind == tpu {
		g.Uuid, g.ModuleId = "", -1
		return g
	}
	g.Serial = n.gpuSerial(i)
	return g
}

func (n *Node) partFacts(i int) *facts.GPUPart {
	p := &n.machine.parts[i]
	return &facts.GPUPart{Gpu: uint32(p.gpu), Kind: "MIG", Name: p.name, Instance: p.instance, Uuid: n.partUUID(i)}
}

func (n *Node) partUUID(i int) string { return "MIG-" + uuid(n.id(word("mig"), uint64(i))) }

// behindSwitch is the way to the i-th of the eight PCIe switches, behind each of which sit a port and a GPU.
func behindSwitch(i, slot int) string {
	root := [gpusPerNode]int{0x15, 0x3d, 0x4c, 0x5b, 0x97, 0xbd, 0xcb, 0xd9}[i]
	return fmt.Sprintf("pci0000:%02x/0000:%02x:01.0/0000:%02x:00.0/0000:%02x:%02x.0/", root, root, root+1, root+2, slot)
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
