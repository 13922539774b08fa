package simfleet

import (
	"fmt"
	"slices"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// kind says what a node is.
type kind uint8

const (
	h100   kind = iota // nearly all are
	mig                // the same, two of its GPUs in MIG instances
	mi300x             // AMD's
	tpu                // Google's: no RDMA ports, and few readings
	numKinds
)

// machine is what nodes of one kind have alike. It must not be changed.
type machine struct {
	kind             kind
	gpu              *facts.GPU // what its accelerators have alike
	product          string
	cpu              string
	source           int // that reads its accelerators
	ports, nets      int
	hostMemory       int64
	gpuMemory        int64
	limitW, idleW    float64
	smClock          int64 // the most
	memClock         int64
	idleClock        int64
	links            int   // of a GPU
	linkMBps         int64 // of each, either way
	parts            []partPlan
	gives            []telemetry.Metric // of GPUs; nil: all that an NVIDIA GPU does
	inventory        *facts.Inventory   // but for the GPUs
	slowdown, shutAt int64              // °C; 0: it does not tell
}

// partPlan is a part of a GPU and who is on it.
type partPlan struct {
	gpu      int
	name     string
	instance uint32
	memory   int64
	share    float64 // of the GPU
	tenant   *tenant // nil: nobody
}

// tenant is somebody who has a part of a GPU all to himself.
type tenant struct {
	user    string
	comm    string
	command string
	memory  int64
	busy    float64
}

func newMachines() (m [numKinds]*machine) {
	m[h100] = &machine{
		kind: h100, product: "Sail Systems S8-H100", cpu: "AMD EPYC 9474F 48-Core Processor", source: sourceNVIDIA, ports: numPorts, nets: numNets,
		gpu:        &facts.GPU{Name: "NVIDIA H100 80GB HBM3", Vendor: "nvidia", Architecture: "Hopper", ComputeCapability: "9.0", Vbios: "96.00.99.00.01", BoardPart: "692-2G520-0200-000", Firmware: "GSP " + driverVersion, Inforom: "G520.0200.00.05", Driver: driverVersion, FabricCluster: "00000000-0000-0000-0000-000000000000"},
		hostMemory: memoryBytes, gpuMemory: gpuMemoryBytes, limitW: powerLimitW, idleW: 71, smClock: maxSMClock, memClock: maxMemClock, idleClock: idleSMClock,
		links: 18, linkMBps: 26562, slowdown: slowdownTempC, shutAt: shutdownTempC,
	}
	cut := *m[h100]
	cut.kind, cut.parts = mig, migParts()
	m[mig] = &cut
	m[mi300x] = &machine{
		kind: mi300x, product: "Sail Systems S8-MI300X", cpu: "AMD EPYC 9654 96-Core Processor", source: sourceAMD, ports: numPorts, nets: numNets,
		gpu:        &facts.GPU{Name: "AMD Instinct MI300X", Vendor: "amd", Architecture: "CDNA3", ComputeCapability: "gfx942", Vbios: "113-M3000100-102", Firmware: "SMC 85.119.0", Driver: "6.12.12"},
		hostMemory: memoryBytes, gpuMemory: 191 * gib, limitW: 750, idleW: 142, smClock: 2100, memClock: 1300, idleClock: 132,
		links: 7, linkMBps: 64_000, gives: amdGives, slowdown: 100,
	}
	m[tpu] = &machine{
		kind: tpu, product: "Google Compute Engine", cpu: "AMD EPYC 7B13", source: sourceGoogle, ports: 0, nets: netIPoIB,
		gpu:        &facts.GPU{Name: "TPU v5e", Vendor: "google", Architecture: "v5e"},
		hostMemory: 377 * gib, gpuMemory: 16 * gib, limitW: 200, idleW: 60, gives: tpuGives,
	}
	for _, k := range m {
		k.inventory = k.sameInventory()
	}
	return m
}

// amdGives is what the kernel's files tell of an MI300X, tpuGives what the TPU runtime's metric service does.
var (
	amdGives = []telemetry.Metric{
		telemetry.GPUStatus, telemetry.GPUUtilPct, telemetry.GPUMemUtilPct, telemetry.GPUMemUsedBytes, telemetry.GPUMemTotalBytes, telemetry.GPUTempC, telemetry.GPUMemTempC,
		telemetry.GPUVRTempC, telemetry.GPUPowerMW, telemetry.GPUPowerLimitMW, telemetry.GPUEnergyMJ, telemetry.GPUSMClockMHz, telemetry.GPUSMClockMaxMHz,
		telemetry.GPUMemClockMHz, telemetry.GPUMemClockMaxMHz, telemetry.GPUThrottleBits, telemetry.GPUECCVolatileCorrected, telemetry.GPUECCVolatileUncorrected,
		telemetry.GPUPCIeGen, telemetry.GPUPCIeGenMax, telemetry.GPUPCIeWidth, telemetry.GPUPCIeWidthMax, telemetry.GPUPCIeReplays, telemetry.GPUPCIeReplayRollovers,
		telemetry.GPUPCIeL0ToRecovery, telemetry.GPUPCIeNAKsReceived, telemetry.GPUPCIeNAKsSent, telemetry.GPUNVLinkTXBytes, telemetry.GPUNVLinkRXBytes,
		telemetry.GPULinks, telemetry.GPULinksUp, telemetry.GPUSlowdownTempC, telemetry.GPUThrottlePowerMS, telemetry.GPUThrottleThermalMS,
		telemetry.GPUThrottleSWThermalMS, telemetry.GPUThrottleHWThermalMS, telemetry.GPUHostMemUsedBytes, telemetry.GPUHostMemTotalBytes, telemetry.GPUProcesses,
	}
	tpuGives = []telemetry.Metric{telemetry.GPUStatus, telemetry.GPUUtilPct, telemetry.GPUMemUsedBytes, telemetry.GPUMemTotalBytes, telemetry.GPUQueueSize}
)

// migLacks is what NVML does not tell of a GPU in MIG mode: its parts do, or nobody.
var migLacks = []telemetry.Metric{
	telemetry.GPUUtilPct, telemetry.GPUMemUtilPct, telemetry.GPUSMActivityPermille, telemetry.GPUTensorActivityPermille, telemetry.GPUDRAMActivityPermille,
	telemetry.GPUEncoderPct, telemetry.GPUDecoderPct, telemetry.GPUSMOccupancyPermille, telemetry.GPUGraphicsActivityPermille, telemetry.GPUFP64ActivityPermille,
	telemetry.GPUFP32ActivityPermille, telemetry.GPUFP16ActivityPermille, telemetry.GPUNVLinkTXBytes, telemetry.GPUNVLinkRXBytes,
	telemetry.GPUPCIeTXBytesPerS, telemetry.GPUPCIeRXBytesPerS,
}

// gpuMetrics are all metrics of GPUs.
var gpuMetrics = slices.DeleteFunc(slices.Collect(func(yield func(telemetry.Metric) bool) {
	for _, d := range telemetry.Defs() {
		if !yield(d.ID) {
			return
		}
	}
}), func(m telemetry.Metric) bool { return m.Scope() != telemetry.ScopeGPU })

// withhold takes back what a GPU of this kind does not tell.
func (k *machine) withhold(st *telemetry.State, g int) {
	if k.gives != nil {
		for _, m := range gpuMetrics {
			if !slices.Contains(k.gives, m) {
				st.Clear(m, g)
			}
		}
	}
	if k.isCut(g) {
		for _, m := range migLacks {
			st.Clear(m, g)
		}
	}
}

// isCut says whether a GPU is in MIG mode.
func (k *machine) isCut(g int) bool {
	return slices.ContainsFunc(k.parts, func(p partPlan) bool { return p.gpu == g })
}

// migParts cut the first GPU into large and small instances, the second into seven small ones.
func migParts() []partPlan {
	notebook := func(user string, gb int64, busy float64) *tenant {
		return &tenant{user, "python", "/home/" + user + "/miniforge3/bin/python -m ipykernel_launcher -f kernel.json", gb * gib, busy}
	}
	serve := &tenant{"finn", "python", "python -m vllm.entrypoints.openai.api_server --model qwen2.5-7b --gpu-memory-utilization 0.9", 35 * gib, 0.62}
	small := func(gpu int, instance uint32, t *tenant) partPlan {
		return partPlan{gpu, "1g.10gb", instance, 9984 * mib, 1. / 7, t}
	}
	list := []partPlan{
		{0, "3g.40gb", 1, 40448 * mib, 3. / 7, serve},
		{0, "2g.20gb", 3, 20096 * mib, 2. / 7, notebook("dana", 12, 0.4)},
		small(0, 9, nil), small(0, 10, nil),
	}
	for i := range uint32(7) {
		var t *tenant
		switch i {
		case 0:
			t = notebook("ann", 2, 0.06)
		case 3:
			t = notebook("eve", 5, 0.41)
		}
		list = append(list, small(1, 7+i, t))
	}
	return list
}

// switchPCI are the NVSwitches of a board, and how many links of each GPU go to each.
var switchPCI = [...]struct {
	pci   string
	links int
}{{"0000:05:00.0", 5}, {"0000:06:00.0", 4}, {"0000:07:00.0", 4}, {"0000:08:00.0", 5}}

// gpuLinks are the links of all GPUs: to switches, or each GPU to each other one.
func (k *machine) gpuLinks() (list []*facts.GPULink) {
	for g := range uint32(gpusPerNode) {
		link := uint32(0)
		add := func(kind, remote, pci string, version uint32) {
			list = append(list, &facts.GPULink{Gpu: g, Link: link, Kind: kind, Remote: remote, RemotePci: pci, Version: version})
			link++
		}
		switch k.kind {
		case h100, mig:
			for _, s := range switchPCI {
				for range s.links {
					add("NVLink", "switch", s.pci, 4)
				}
			}
		case mi300x:
			for other := range gpusPerNode {
				if other != int(g) {
					add("xGMI", "gpu", gpuPCI[other], 0)
				}
			}
		}
	}
	return list
}

// driverCalls are what the NVML reader calls, how often a second, and what each costs.
var driverCalls = [...]struct {
	name   string
	perS   float64
	us, up float64 // µs on average, and beyond
}{
	{"nvmlDeviceGetFieldValues", 8, 410, 260}, {"nvmlDeviceGetUtilizationRates", 8, 24, 9}, {"nvmlDeviceGetMemoryInfo_v2", 8, 12, 5}, {"nvmlDeviceGetTemperature", 8, 31, 12},
	{"nvmlDeviceGetClockInfo", 16, 19, 8}, {"nvmlDeviceGetCurrentClocksEventReasons", 8, 17, 8}, {"nvmlGpmSampleGet", 8, 64, 30}, {"nvmlGpmMetricsGet", 8, 22, 7},
	{"nvmlDeviceGetComputeRunningProcesses_v3", 1.6, 880, 1400}, {"nvmlDeviceGetSramEccErrorStatus", 0.27, 150, 80}, {"nvmlDeviceGetRemappedRows", 0.27, 95, 40},
	{"nvmlDeviceGetGpuFabricInfoV", 0.27, 70, 40}, {"nvmlDeviceGetBAR1MemoryInfo", 0.27, 28, 10},
}

// sameInventory is what all nodes of a kind have alike.
func (k *machine) sameInventory() *facts.Inventory {
	inv := &facts.Inventory{
		Cpu:              &facts.CPU{Model: k.cpu, Sockets: 2, Cores: numThreads / 2, Threads: numThreads, NumaNodes: 2},
		MemoryTotalBytes: uint64(k.hostMemory), Product: k.product, GpuLinks: k.gpuLinks(),
	}
	if k.source == sourceNVIDIA {
		inv.GpuDriverVersion, inv.CudaVersion = driverVersion, "12.8"
		for _, c := range driverCalls {
			inv.Calls = append(inv.Calls, &facts.Call{Source: sourceNVIDIA, Name: c.name})
		}
	}
	for _, s := range sourceTable {
		inv.Sources = append(inv.Sources, &facts.Source{Name: s.name, EveryMs: s.every})
	}
	for i := range k.ports {
		for _, name := range hwCounters {
			inv.HwCounters = append(inv.HwCounters, &facts.HWCounter{Port: uint32(i), Name: name})
		}
	}
	inv.Nets = append(inv.Nets, &facts.Net{Name: "eno3", Driver: "ixgbe", Physical: true}, &facts.Net{Name: portNet[storagePort], Driver: "mlx5_core", Physical: true})
	if k.kind == tpu {
		inv.Nets = []*facts.Net{{Name: "ens8", Driver: "gve", Physical: true}, {Name: "ens9", Driver: "gve", Physical: true}}
	}
	for i := range max(0, k.nets-netIPoIB) {
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
