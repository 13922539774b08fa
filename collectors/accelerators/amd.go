package accelerators

import (
	"errors"
	"math"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// leastMemory is how much memory of its own a card that is not known needs to be an accelerator: what a processor's own graphics set aside is less.
const leastMemory = 4 << 30

// newAMD reads AMD's accelerators from what amdgpu and amdkfd say in sysfs. Other graphics count from 4 GiB of memory of their own on, and when they are awake.
func newAMD(m Machine) Reader { return newAMDReader(m, newSysfs(m.Root)) }

func newAMDReader(m Machine, sys sysfs) *drmReader {
	return newDRMReader(m, sys, &amdMaker{sys: sys, kfd: kfd{sys: sys}}, "no AMD accelerators here")
}

type amdMaker struct {
	sys sysfs
	kfd kfd
}

func (a *amdMaker) name() string      { return "amd" }
func (a *amdMaker) pciVendor() uint64 { return vendorAMD }
func (a *amdMaker) drivers() []string { return []string{"amdgpu"} }
func (a *amdMaker) machinePIDs() bool { return true }

func (a *amdMaker) accepts(c drmCard, asleep bool) bool {
	return c.computes() || !asleep && a.sys.number(c.device+"/mem_info_vram_total") >= leastMemory
}

// amdCard is a card that amdgpu runs. Source: Documentation/gpu/amdgpu, drivers/gpu/drm/amd/pm/amdgpu_pm.c. The file pcie_bw is never read: it sleeps for a second.
type amdCard struct {
	drmCard
	sys          sysfs
	shaped       shape
	port         string // where its PCIe link ends
	architecture string

	metricsFile gauge
	metrics     gpuMetrics
	why         string // gpu_metrics is not used
	throttle    residencies
	// What gpu_metrics does not give is read from a file each.
	busy, memBusy, vramUsed, gttUsed gauge
	power, sclk, mclk                gauge
	edge, junction, mem              gauge
	vramTotal, gttTotal              int64
	hwmon, junctionLimits, memLimits string
	nodes                            []kfdNode
	recut                            bool  // nodes may be others than before
	linked                           uint8 // xGMI links that were seen, a bit each
}

func (a *amdMaker) open(c drmCard) gpuCard {
	file := func(name string) gauge { return a.sys.gauge(c.device + "/" + name) }
	card := &amdCard{drmCard: c, sys: a.sys, throttle: newResidencies(), metricsFile: file("gpu_metrics"),
		busy: file("gpu_busy_percent"), memBusy: file("mem_busy_percent"), vramUsed: file("mem_info_vram_used"), gttUsed: file("mem_info_gtt_used"),
		vramTotal: telemetry.Absent, gttTotal: telemetry.Absent}
	_, card.architecture = modelOf(c.pciIdentity)
	return card
}

func (c *amdCard) close() {
	for _, g := range c.gauges() {
		g.drop()
	}
}

func (c *amdCard) gauges() []*gauge {
	return []*gauge{&c.metricsFile, &c.busy, &c.memBusy, &c.vramUsed, &c.gttUsed, &c.power, &c.sclk, &c.mclk, &c.edge, &c.junction, &c.mem}
}

func (c *amdCard) shape() *shape  { return &c.shaped }
func (c *amdCard) remark() string { return c.why }

// describe reads what does not change, and finds the sensors. Source of unique_id as an UUID: the runtime's own word for it, "GPU-" and the number, by which
// ROCR_VISIBLE_DEVICES names a card.
func (c *amdCard) describe(f *facts.GPU) {
	word := func(name string) string { return c.sys.word(c.device + "/" + name) }
	f.Vbios, f.Serial, f.BoardPart = word("vbios_version"), word("serial_number"), word("product_number")
	if name := word("product_name"); name != "" {
		f.Name = name
	}
	if id := word("unique_id"); strings.Trim(id, "0x") != "" {
		f.Uuid = "GPU-" + strings.TrimPrefix(id, "0x")
	}
	if v := word("fw_version/smc_fw_version"); v != "" {
		f.Firmware = "SMC " + v
	}
	c.vramTotal = c.sys.number(c.device + "/mem_info_vram_total")
	c.gttTotal = c.sys.number(c.device + "/mem_info_gtt_total")
	if c.vramTotal > 0 {
		f.MemoryTotalBytes = uint64(c.vramTotal)
	}
	c.port = slotPort(c.sys, c.sys.root.PCIPath(c.address), c.address, "0x1002")
	c.findSensors()
}

func (c *amdCard) findSensors() {
	c.hwmon = hwmonDir(c.sys, c.device, "amdgpu")
	if c.hwmon == "" {
		return
	}
	labels := listSensors(c.sys, c.hwmon)
	c.edge, c.junction, c.mem = labels.gauge(c.sys, "edge"), labels.gauge(c.sys, "junction"), labels.gauge(c.sys, "mem")
	c.junctionLimits, c.memLimits = labels.find("junction"), labels.find("mem")
	c.sclk, c.mclk = c.sys.gauge(c.hwmon+"/freq1_input"), c.sys.gauge(c.hwmon+"/freq2_input")
	// Which of the two there is depends on the chip; where both are, the mean is what the driver always called power.
	c.power = c.sys.gauge(c.hwmon + "/power1_average")
	if !c.sys.root.Exists(c.hwmon + "/power1_average") {
		c.power = c.sys.gauge(c.hwmon + "/power1_input")
	}
}

// fast reads gpu_metrics and the memory's use, and of the rest what gpu_metrics does not have.
func (c *amdCard) fast(s *sheet, now int64, detail bool) error {
	for i := range c.metrics {
		c.metrics[i] = telemetry.Absent
	}
	b, err := c.metricsFile.read()
	if err != nil {
		return err
	}
	if b != nil {
		c.takeMetrics(b)
	}
	c.throttle.add(&c.metrics, now)
	if c.recut {
		c.reshape()
	}
	c.relink()
	m := &c.metrics
	err = firstError(
		c.either(s, telemetry.GPUUtilPct, percent(m[gfxActivity]), &c.busy, 1),
		c.either(s, telemetry.GPUMemUtilPct, percent(m[umcActivity]), &c.memBusy, 1),
		c.either(s, telemetry.GPUMemUsedBytes, telemetry.Absent, &c.vramUsed, 1),
		c.either(s, telemetry.GPUMemTempC, sensed(m[temperatureMem]), &c.mem, 1000),
		c.either(s, telemetry.GPUPowerMW, times(sensed(m[socketPower]), 1000), &c.power, 1000),
		c.either(s, telemetry.GPUSMClockMHz, mean(m[currentGfxClk:currentGfxClk+8]), &c.sclk, 1_000_000),
		c.either(s, telemetry.GPUMemClockMHz, m[currentUClk], &c.mclk, 1_000_000),
		c.temperature(s),
	)
	if err == nil && detail {
		err = c.either(s, telemetry.GPUHostMemUsedBytes, telemetry.Absent, &c.gttUsed, 1)
	}
	s.put(telemetry.GPUMemTotalBytes, c.vramTotal)
	s.put(telemetry.GPUHostMemTotalBytes, c.gttTotal)
	s.put(telemetry.GPUVRTempC, sensed(m[temperatureVRSoC]))
	s.put(telemetry.GPUEnergyMJ, c.energy())
	s.put(telemetry.GPUThrottleBits, max(c.throttle.bits, throttleOfIndep(m[indepThrottleStatus])))
	if m[contentRevision] >= 4 { // from then on it is a share of the bandwidth
		s.put(telemetry.GPUDRAMActivityPermille, times(percent(m[umcActivity]), 10))
	}
	c.putParts(s)
	c.putTraffic(s, detail)
	return err
}

// takeMetrics parses gpu_metrics. A version that is not known is not asked for again; a table that was cut short is only skipped.
func (c *amdCard) takeMetrics(b []byte) {
	err := parseGPUMetrics(b, &c.metrics)
	if err == nil {
		c.why = ""
		return
	}
	c.why = err.Error() + ": its plain files are read instead"
	var unknown *metricsVersionError
	if errors.As(err, &unknown) {
		c.metricsFile.drop()
	}
}

// either tells a reading of gpu_metrics, else what a file gives, in units of which by make one.
func (c *amdCard) either(s *sheet, metric telemetry.Metric, v int64, g *gauge, by int64) error {
	var err error
	if v == telemetry.Absent {
		v, err = g.number()
		v = scaled(v, by)
	}
	s.put(metric, v)
	return err
}

// temperature is that of the hottest place where the card tells it, else of the edge.
func (c *amdCard) temperature(s *sheet) error {
	v, err := sensed(c.metrics[temperatureHotspot]), error(nil)
	if v == telemetry.Absent {
		v, err = c.junction.number()
		v = scaled(v, 1000)
	}
	if v == telemetry.Absent && err == nil {
		v = sensed(c.metrics[temperatureEdge])
	}
	if v == telemetry.Absent && err == nil {
		v, err = c.edge.number()
		v = scaled(v, 1000)
	}
	s.put(telemetry.GPUTempC, v)
	return err
}

// energy is the accumulator in mJ. Before MI200 its unit is not the same on all chips.
func (c *amdCard) energy() int64 {
	v := c.metrics[energyAccumulator]
	if v <= 0 || c.metrics[contentRevision] < 4 && c.architecture != "CDNA2" {
		return telemetry.Absent
	}
	return (v>>16)*1000 + ((v&0xffff)*1000)>>16
}

func (c *amdCard) putParts(s *sheet) {
	for i := range c.shaped.parts {
		if i < 8 {
			s.putAt(telemetry.PartUtilPct, i, percent(c.metrics[int(partitionBusy)+i]))
		}
	}
}

// sensed takes a reading that cannot be 0 on a card at work: 0 is what a sensor gives that is not there. (The second die of an MI250 has no power of its own.)
func sensed(v int64) int64 {
	if v <= 0 {
		return telemetry.Absent
	}
	return v
}

func percent(v int64) int64 { return min(v, 100) }

func times(v, by int64) int64 {
	if v == telemetry.Absent || v > math.MaxInt64/by {
		return telemetry.Absent
	}
	return v * by
}

func firstError(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// parseLevels gives the highest clock of a list such as "0: 132Mhz *" a line (pp_dpm_sclk), in MHz. Levels of deep sleep have a letter for their number.
func parseLevels(b []byte) int64 {
	most := telemetry.Absent
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		_, rest := kernfs.Field(l)
		w, _ := kernfs.Field(rest)
		if n := len(w) - len("Mhz"); n > 0 && strings.EqualFold(string(w[n:]), "mhz") {
			if v, ok := kernfs.ParseUint(w[:n]); ok && v < 1<<20 {
				most = max(most, int64(v))
			}
		}
	}
	return most
}
