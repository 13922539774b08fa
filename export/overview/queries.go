package overview

import (
	"strings"

	"foretop/fleet"
)

// A reading is asked for in one query, which gives one series a GPU or node and strips all labels but those that tell which: a server of 160,000 GPUs answers
// with about 16 MB. Names are dcgm-exporter's; where a server has none of them, those that foretop publishes of other makers' GPUs.
type gpuReading struct {
	names []metric
	set   func(*fleet.GPU, fleet.Reading)
}

// metric is a metric's name and what its value is to be multiplied with.
type metric struct {
	name  string
	scale float64
}

const mib = 1 << 20

var gpuReadings = []gpuReading{
	{[]metric{{"DCGM_FI_DEV_GPU_UTIL", 1}, {"foretop_gpu_utilization_ratio", 100}}, func(g *fleet.GPU, v fleet.Reading) { g.UtilPct = v }},
	{[]metric{{"DCGM_FI_DEV_POWER_USAGE", 1}, {"foretop_gpu_power_watts", 1}}, func(g *fleet.GPU, v fleet.Reading) { g.PowerW = v }},
	{[]metric{{"DCGM_FI_DEV_FB_USED", mib}, {"foretop_gpu_memory_used_bytes", 1}}, func(g *fleet.GPU, v fleet.Reading) { g.MemUsedBytes = v }},
	{[]metric{{"DCGM_FI_DEV_GPU_TEMP", 1}, {"foretop_gpu_temperature_celsius", 1}}, func(g *fleet.GPU, v fleet.Reading) { g.TempC = v }},
	{[]metric{{"DCGM_FI_DEV_SM_CLOCK", 1}, {"foretop_gpu_clock_hertz", 1e-6}}, func(g *fleet.GPU, v fleet.Reading) { g.SMClockMHz = v }},
	{[]metric{{"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 100}}, func(g *fleet.GPU, v fleet.Reading) { g.TensorActivityPct = v }},
}

// gpuFixed are readings that hardly ever change: they are asked for once in staticEvery rounds.
var gpuFixed = []gpuReading{
	{[]metric{{"DCGM_FI_DEV_POWER_MGMT_LIMIT", 1}, {"foretop_gpu_power_limit_watts", 1}}, func(g *fleet.GPU, v fleet.Reading) { g.PowerLimitW = v }},
	{[]metric{{memoryTotal, mib}, {"foretop_gpu_memory_size_bytes", 1}}, func(g *fleet.GPU, v fleet.Reading) { g.MemTotalBytes = v }},
}

const memoryTotal = "DCGM_FI_DEV_FB_TOTAL"

// memoryFree is asked for where the server does not know the whole: dcgm-exporter does not publish that by default.
const memoryFree = "DCGM_FI_DEV_FB_FREE"

// gpuTrouble are counters and states that are nothing on nearly every GPU: only those that are something are asked for.
var gpuTrouble = []struct {
	name string
	set  func(*fleet.GPUSlow, fleet.Reading)
}{
	{"DCGM_FI_DEV_ROW_REMAP_FAILURE", func(s *fleet.GPUSlow, v fleet.Reading) { s.RemapFailure = v }},
	{"DCGM_FI_DEV_ROW_REMAP_PENDING", func(s *fleet.GPUSlow, v fleet.Reading) { s.RemapPending = v }},
	{"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", func(s *fleet.GPUSlow, v fleet.Reading) { s.ECCVolatileUncorrected = v }},
}

// hostFixed are host readings that hardly ever change.
var hostFixed = []hostReading{
	{"node_memory_MemTotal_bytes", "node_memory_MemTotal_bytes", func(h *fleet.Host, v fleet.Reading) { h.MemTotalBytes = v }},
}

// hostReading is a reading of a node.
type hostReading struct {
	name, expression string
	set              func(*fleet.Host, fleet.Reading)
}

// hostReadings are of nodes. The expression is the whole of what stands under max by.
var hostReadings = []hostReading{
	{"node_memory_MemAvailable_bytes", "node_memory_MemAvailable_bytes", func(h *fleet.Host, v fleet.Reading) { h.MemAvailableBytes = v }},
	{"node_load1", "node_load1", func(h *fleet.Host, v fleet.Reading) { h.Load1 = v }},
	{"foretop_cpu_ratio", `100 * foretop_cpu_ratio{mode="busy"}`, func(h *fleet.Host, v fleet.Reading) { h.CPUBusyPct = v }},
}

// cpuIdle is asked for where the server has no foretop_cpu_ratio. It costs the server a series a CPU.
const cpuIdle = `rate(node_cpu_seconds_total{mode="idle"}[2m])`

// moments are what tells when a node was last heard of: of one GPU, for all of a node come in one scrape.
var moments = []struct{ name, series string }{
	{"DCGM_FI_DEV_GPU_UTIL", `DCGM_FI_DEV_GPU_UTIL{gpu="0"}`}, {"foretop_gpu_utilization_ratio", `foretop_gpu_utilization_ratio{gpu="0"}`}, {"node_load1", "node_load1"},
}

// by writes which labels a query keeps: those that may name the node, and more.
func (s *Source) by(expression string, more ...string) string {
	return s.aggregate("max", expression, more...)
}

func (s *Source) aggregate(how, expression string, more ...string) string {
	return how + " by (" + strings.Join(append(append([]string(nil), s.cfg.Hosts...), more...), ",") + ") (" + expression + ")"
}
