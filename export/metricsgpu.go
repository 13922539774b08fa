package export

import (
	"strconv"
	"strings"

	"foretop/fleet"
)

// gpuFamily is a reading that DCGM has too: its name there, in DCGM's unit, for NVIDIA's GPUs; for all others a name of ours, in a base unit.
type gpuFamily struct {
	dcgm     string
	kind     kind
	help     string  // as of dcgm
	scale    float64 // from the reading to DCGM's unit
	own      string
	unit     string
	ownScale float64 // from the reading to that unit
	get      func(*fleet.GPU) fleet.Reading
}

const mib = 1 << 20

// gpuFamilies are the metrics that dcgm-exporter publishes (its default-counters.csv and dcp-metrics-included.csv; units are DCGM's field documentation's).
var gpuFamilies = []gpuFamily{
	{"DCGM_FI_DEV_GPU_UTIL", gauge, "GPU utilization, in percent.", 1, "foretop_gpu_utilization_ratio", "ratio", 0.01, func(g *fleet.GPU) fleet.Reading { return g.UtilPct }},
	{"DCGM_FI_DEV_MEM_COPY_UTIL", gauge, "Utilization of the memory controller, in percent.", 1, "foretop_gpu_memory_controller_ratio", "ratio", 0.01, func(g *fleet.GPU) fleet.Reading { return g.MemUtilPct }},
	{"DCGM_FI_DEV_FB_USED", gauge, "Framebuffer memory used, in MiB.", 1.0 / mib, "foretop_gpu_memory_used_bytes", "bytes", 1, func(g *fleet.GPU) fleet.Reading { return g.MemUsedBytes }},
	{"DCGM_FI_DEV_FB_TOTAL", gauge, "Framebuffer memory, in MiB.", 1.0 / mib, "foretop_gpu_memory_size_bytes", "bytes", 1, func(g *fleet.GPU) fleet.Reading { return g.MemTotalBytes }},
	{"DCGM_FI_DEV_FB_FREE", gauge, "Framebuffer memory free, in MiB.", 1.0 / mib, "", "", 0, freeMemory},
	{"DCGM_FI_DEV_POWER_USAGE", gauge, "Power draw, in W.", 1, "foretop_gpu_power_watts", "watts", 1, func(g *fleet.GPU) fleet.Reading { return g.PowerW }},
	{"DCGM_FI_DEV_POWER_MGMT_LIMIT", gauge, "Power limit, in W.", 1, "foretop_gpu_power_limit_watts", "watts", 1, func(g *fleet.GPU) fleet.Reading { return g.PowerLimitW }},
	{"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", foreignCounter, "Energy used since the driver was loaded, in mJ.", 1000, "", "", 0, detailOf(func(d *fleet.GPUDetail) fleet.Reading { return d.EnergyJ })},
	{"DCGM_FI_DEV_GPU_TEMP", gauge, "GPU temperature, in C.", 1, "foretop_gpu_temperature_celsius", "celsius", 1, func(g *fleet.GPU) fleet.Reading { return g.TempC }},
	{"DCGM_FI_DEV_MEMORY_TEMP", gauge, "Memory temperature, in C.", 1, "foretop_gpu_memory_temperature_celsius", "celsius", 1, func(g *fleet.GPU) fleet.Reading { return g.MemTempC }},
	{"DCGM_FI_DEV_SM_CLOCK", gauge, "SM clock, in MHz.", 1, "foretop_gpu_clock_hertz", "hertz", 1e6, func(g *fleet.GPU) fleet.Reading { return g.SMClockMHz }},
	{"DCGM_FI_DEV_MAX_SM_CLOCK", gauge, "Highest SM clock, in MHz.", 1, "foretop_gpu_clock_max_hertz", "hertz", 1e6, func(g *fleet.GPU) fleet.Reading { return g.SMClockMaxMHz }},
	{"DCGM_FI_DEV_MEM_CLOCK", gauge, "Memory clock, in MHz.", 1, "foretop_gpu_memory_clock_hertz", "hertz", 1e6, func(g *fleet.GPU) fleet.Reading { return g.MemClockMHz }},
	{"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", gauge, "Why clocks are held back: NVML's bits.", 1, "", "", 0, func(g *fleet.GPU) fleet.Reading { return notNegative(g.ThrottleBits) }},
	{"DCGM_FI_PROF_SM_ACTIVE", gauge, "Share of time in which an SM had a warp, 0 to 1.", 0.01, "", "", 0, func(g *fleet.GPU) fleet.Reading { return g.SMActivityPct }},
	{"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", gauge, "Share of time in which the tensor pipe was active, 0 to 1.", 0.01, "", "", 0, func(g *fleet.GPU) fleet.Reading { return g.TensorActivityPct }},
	{"DCGM_FI_PROF_DRAM_ACTIVE", gauge, "Share of time in which device memory was busy, 0 to 1.", 0.01, "", "", 0, func(g *fleet.GPU) fleet.Reading { return g.DRAMActivityPct }},
	{"DCGM_FI_PROF_GR_ENGINE_ACTIVE", gauge, "Share of time in which the graphics or compute engine was active, 0 to 1.", 0.01, "", "", 0, detailOf(func(d *fleet.GPUDetail) fleet.Reading { return d.GraphicsActivityPct })},
	{"DCGM_FI_PROF_SM_OCCUPANCY", gauge, "Resident warps as a share of the most, 0 to 1.", 0.01, "", "", 0, detailOf(func(d *fleet.GPUDetail) fleet.Reading { return d.SMOccupancyPct })},
	{"DCGM_FI_DEV_PCIE_REPLAY_COUNTER", foreignCounter, "PCIe retries.", 1, "foretop_gpu_pcie_replays_total", "", 1, func(g *fleet.GPU) fleet.Reading { return g.Slow.PCIeReplays }},
	{"DCGM_FI_DEV_PCIE_LINK_GEN", gauge, "PCIe generation now.", 1, "foretop_gpu_pcie_generation", "", 1, func(g *fleet.GPU) fleet.Reading { return g.Slow.PCIeGen }},
	{"DCGM_FI_DEV_PCIE_LINK_WIDTH", gauge, "PCIe lanes now.", 1, "foretop_gpu_pcie_lanes", "", 1, func(g *fleet.GPU) fleet.Reading { return g.Slow.PCIeWidth }},
	{"DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", foreignCounter, "Single-bit ECC errors since the driver was loaded.", 1, "foretop_gpu_ecc_corrected_total", "", 1, func(g *fleet.GPU) fleet.Reading { return g.Slow.ECCVolatileCorrected }},
	{"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", foreignCounter, "Double-bit ECC errors since the driver was loaded.", 1, "foretop_gpu_ecc_uncorrected_total", "", 1, func(g *fleet.GPU) fleet.Reading { return g.Slow.ECCVolatileUncorrected }},
	{"DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", foreignCounter, "Memory rows remapped for correctable errors.", 1, "", "", 0, func(g *fleet.GPU) fleet.Reading { return g.Slow.RemappedCorrected }},
	{"DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", foreignCounter, "Memory rows remapped for uncorrectable errors.", 1, "", "", 0, func(g *fleet.GPU) fleet.Reading { return g.Slow.RemappedUncorrected }},
	{"DCGM_FI_DEV_ROW_REMAP_FAILURE", gauge, "1: remapping a row has failed.", 1, "", "", 0, func(g *fleet.GPU) fleet.Reading { return g.Slow.RemapFailure }},
	{"DCGM_FI_DEV_ROW_REMAP_PENDING", gauge, "1: rows wait for a reset to be remapped.", 1, "", "", 0, func(g *fleet.GPU) fleet.Reading { return g.Slow.RemapPending }},
}

// gpuOwn are what no other exporter publishes, for every vendor's GPUs.
var gpuOwn = []family[fleet.GPU]{
	{head{"foretop_gpu_nvlink_receive_bytes_per_second", gauge, "bytes_per_second", "Traffic into it over all its NVLink or xGMI links."}, "", func(g *fleet.GPU) fleet.Reading { return g.NVLinkRXBytesPerS }},
	{head{"foretop_gpu_nvlink_transmit_bytes_per_second", gauge, "bytes_per_second", "Traffic out of it over all its NVLink or xGMI links."}, "", func(g *fleet.GPU) fleet.Reading { return g.NVLinkTXBytesPerS }},
	{head{"foretop_gpu_rdma_receive_bytes_per_second", gauge, "bytes_per_second", "Traffic into the RDMA ports that belong to it."}, "", func(g *fleet.GPU) fleet.Reading { return g.NetRxBytesPerS }},
	{head{"foretop_gpu_rdma_transmit_bytes_per_second", gauge, "bytes_per_second", "Traffic out of the RDMA ports that belong to it."}, "", func(g *fleet.GPU) fleet.Reading { return g.NetTxBytesPerS }},
}

// gpuStates are told of a GPU whether or not its readings are fresh.
var gpuStates = []family[fleet.GPU]{
	{head{"foretop_gpu_ok", gauge, "", "0: lost, failing or not answering."}, "", func(g *fleet.GPU) fleet.Reading { return yes(g.Status == 0) }},
	{head{"foretop_gpu_stale_seconds", gauge, "seconds", "For how long its readings have not been renewed; 0 fresh."}, "", func(g *fleet.GPU) fleet.Reading { return fleet.Reading(g.Stale.Seconds()) }},
	{head{"foretop_gpu_held", gauge, "", "1: a process that is seen holds it."}, "", func(g *fleet.GPU) fleet.Reading { return yes(len(g.Holders) > 0) }},
	{head{"foretop_gpu_idle_start_timestamp_seconds", gauge, "seconds", "Since when it is held and does nothing; not there: it is not idle."}, "", func(g *fleet.GPU) fleet.Reading { return moment(g.IdleSince) }},
	{head{"foretop_gpu_severity", gauge, "", "Of its worst problem: 0 none, 1 notice, 2 warning, 3 critical."}, "", func(g *fleet.GPU) fleet.Reading { return fleet.Reading(g.Severity) }},
}

// ownHelp is a description without DCGM's unit.
func ownHelp(help string) string {
	if before, _, ok := strings.Cut(help, ", in "); ok {
		return before + "."
	}
	return help
}

func freeMemory(g *fleet.GPU) fleet.Reading {
	if g.Detail == nil { // what the driver keeps for itself is told at detail level only
		return fleet.None()
	}
	return g.MemTotalBytes - g.MemUsedBytes - g.Detail.MemReservedBytes
}

func detailOf(get func(*fleet.GPUDetail) fleet.Reading) func(*fleet.GPU) fleet.Reading {
	return func(g *fleet.GPU) fleet.Reading {
		if g.Detail == nil {
			return fleet.None()
		}
		return get(g.Detail)
	}
}

func notNegative(v int64) fleet.Reading {
	if v < 0 {
		return fleet.None()
	}
	return fleet.Reading(v)
}

// gpuList are the GPUs of live nodes with their labels: dcgm-exporter's, and fewer for our own metrics.
type gpuList struct {
	nvidia, others []subject[fleet.GPU] // with readings that are fresh; others by our labels
	all            []subject[fleet.GPU] // by our labels
	info           []string             // labels of all
	xids           []fleet.Reading      // the last Xid of all; absent where nobody would have heard of one
}

func (p *page) gpus() *gpuList {
	l := new(gpuList)
	for _, n := range p.live {
		host := n.of.Name
		if n.of.Hello != nil && n.of.Hello.Hostname != "" {
			host = n.of.Hello.Hostname
		}
		for i := range n.of.GPUs {
			g := &n.of.GPUs[i]
			at := strconv.Itoa(g.Index)
			own := joined(labels("gpu", at, "UUID", g.Info.Uuid), n.labels)
			l.all = append(l.all, subject[fleet.GPU]{g, own})
			l.info = append(l.info, labels("model", g.Info.Name, "vendor", g.Info.Vendor, "driver", g.Info.Driver, "pci_bus_id", g.Info.Pci))
			l.xids = append(l.xids, lastXid(n.of, g))
			switch {
			case g.Stale > 0:
			case g.Info.Vendor != "nvidia":
				l.others = append(l.others, subject[fleet.GPU]{g, own})
			default:
				device := ""
				if g.Info.Minor >= 0 {
					device = "nvidia" + strconv.Itoa(int(g.Info.Minor))
				}
				l.nvidia = append(l.nvidia, subject[fleet.GPU]{g, joined(labels("gpu", at, "UUID", g.Info.Uuid, "device", device, "modelName", g.Info.Name, "Hostname", host), n.labels)})
			}
		}
	}
	return l
}

// lastXid is what DCGM_FI_DEV_XID_ERRORS is: the number of the last Xid, 0 where none was heard; absent where none would have been.
func lastXid(n *fleet.Node, g *fleet.GPU) fleet.Reading {
	if g.Info.Vendor != "nvidia" {
		return fleet.None()
	}
	for i := len(n.Kernel) - 1; i >= 0; i-- {
		if k := &n.Kernel[i]; k.GPU == g.Index && k.Class.Xid > 0 {
			return fleet.Reading(k.Class.Xid)
		}
	}
	if n.HearsXids() {
		return 0
	}
	return fleet.None()
}

func (p *page) writeGPUs(e *exposition) {
	l := p.gpus()
	for i := range gpuFamilies {
		f := &gpuFamilies[i]
		e.metric(head{f.dcgm, f.kind, "", f.help})
		for _, g := range l.nvidia {
			e.sample(g.labels, f.get(g.of)*fleet.Reading(f.scale))
		}
	}
	e.metric(head{"DCGM_FI_DEV_XID_ERRORS", gauge, "", "The last Xid, 0 none."})
	for i, g := range l.all {
		if g.of.Info.Vendor == "nvidia" {
			e.sample(g.labels, l.xids[i])
		}
	}
	for i := range gpuFamilies {
		f := &gpuFamilies[i]
		if f.own == "" {
			continue
		}
		k := f.kind
		if k == foreignCounter {
			k = counter
		}
		e.metric(head{f.own, k, f.unit, ownHelp(f.help)})
		for _, g := range l.others {
			e.sample(g.labels, f.get(g.of)*fleet.Reading(f.ownScale))
		}
	}
	fresh := make([]subject[fleet.GPU], 0, len(l.all))
	for _, g := range l.all {
		if g.of.Stale == 0 {
			fresh = append(fresh, g)
		}
	}
	writeFamilies(e, gpuOwn, fresh)
	writeFamilies(e, gpuStates, l.all)
	e.metric(head{"foretop_gpu_info", info, "", "Who it is."})
	for i, g := range l.all {
		e.sampleWith(g.labels, l.info[i], 1)
	}
	e.metric(head{"foretop_gpu_job_info", info, "", "The job and rank whose process holds it: the first of them."})
	for _, g := range l.all {
		for i := range g.of.Holders {
			if h := &g.of.Holders[i]; h.Job != "" {
				rank := ""
				if h.Rank >= 0 {
					rank = strconv.Itoa(h.Rank)
				}
				e.sampleWith(g.labels, labels("job_key", h.Job, "rank", rank), 1)
				break
			}
		}
	}
}
