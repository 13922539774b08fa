package accelerators

import (
	"strings"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// integratedIntel is where a processor's own graphics are, on all of Intel's processors. They have no memory of their own, and are no accelerator.
const integratedIntel = "0000:00:02.0"

// newIntel reads Intel's accelerators from what xe and i915 say in sysfs: Data Center GPU Max and Flex, Arc. Both drivers' upstream files are read, and those of
// the i915 that Intel ships for Max and Flex (intel-gpu-i915-backports), which tells memory and processes by itself. What only Level Zero gives is absent:
// the temperatures of Max, Xe Link.
func newIntel(m Machine) Reader { return newIntelReader(m, newSysfs(m.Root)) }

func newIntelReader(m Machine, sys sysfs) *drmReader {
	return newDRMReader(m, sys, &intelMaker{sys: sys, walk: fdWalk{sys: sys}}, "no Intel accelerators here")
}

type intelMaker struct {
	sys   sysfs
	cards []*intelCard // that are open
	walk  fdWalk
}

func (a *intelMaker) name() string      { return "intel" }
func (a *intelMaker) pciVendor() uint64 { return vendorIntel }
func (a *intelMaker) drivers() []string { return []string{"xe", "i915"} }

func (a *intelMaker) accepts(c drmCard, _ bool) bool { return c.address != integratedIntel }

func (a *intelMaker) survey(placing) {}

// intelCard is a card that xe or i915 runs. Sources: Documentation/ABI/testing/sysfs-driver-intel-{xe,i915}-hwmon, xe_gt_freq.c, xe_gt_idle.c, i915's
// intel_gt_sysfs_pm.c.
type intelCard struct {
	drmCard
	sys    sysfs
	shaped shape
	port   string
	hwmon  string
	closed bool

	energy     meter
	pkg, vram  gauge // temperatures
	free       gauge // bytes of memory, of Intel's own i915
	memory     int64 // bytes
	used       int64 // bytes, as its clients say; absent: not known
	gts        []*intelGT
	tiles      int
	tileMemory [maxTiles]int64 // bytes; 0: not told
	clients    *intelClients   // nil: the driver does not tell
	files      []string        // under /dev/dri: card0, renderD128
	health     string          // of the memory, in the driver's word
}

func (a *intelMaker) open(c drmCard) gpuCard {
	card := &intelCard{drmCard: c, sys: a.sys, memory: telemetry.Absent, used: telemetry.Absent, energy: newMeter(gauge{})}
	a.cards = append(a.cards, card)
	return card
}

func (c *intelCard) shape() *shape { return &c.shaped }

func (c *intelCard) close() {
	c.closed = true
	for _, g := range []*gauge{&c.energy.file, &c.pkg, &c.vram, &c.free} {
		g.drop()
	}
	for _, g := range c.gts {
		g.close()
	}
	if c.clients != nil {
		c.clients.close()
	}
}

// describe reads what does not change, and finds what the driver has.
func (c *intelCard) describe(f *facts.GPU) {
	c.files, _ = c.sys.root.Names(c.device + "/drm")
	c.findTiles()
	if c.hwmon = hwmonDir(c.sys, c.device, c.driver); c.hwmon != "" {
		// Channel 1 is the whole card, 2 the package.
		for _, channel := range [...]string{"1", "2"} {
			if name := c.hwmon + "/energy" + channel + "_input"; c.sys.root.Exists(name) {
				c.energy = newMeter(c.sys.gauge(name))
				break
			}
		}
		labels := listSensors(c.sys, c.hwmon)
		c.pkg, c.vram = labels.gauge(c.sys, "pkg"), labels.gauge(c.sys, "vram")
	}
	if total := c.sys.number(c.dir + "/lmem_total_bytes"); total > 0 {
		c.memory, c.free = total, c.sys.gauge(c.dir+"/lmem_avail_bytes")
	}
	if c.sys.root.Exists(c.dir + "/clients") {
		c.clients = &intelClients{sys: c.sys, dir: c.dir + "/clients"}
	}
	c.port = slotPort(c.sys, c.sys.root.PCIPath(c.address), c.address, "0x8086")
	if id := c.sys.word(c.dir + "/prelim_csc_unique_id"); id != "" && id != "0" {
		f.Uuid = "GPU-" + id
	}
	if c.memory > 0 {
		f.MemoryTotalBytes = uint64(c.memory)
	}
}

// findTiles finds the tiles and their graphics units (GTs): a tile each with i915, a tile with one or two with xe.
func (c *intelCard) findTiles() {
	if c.driver == "xe" {
		for t := range maxTiles {
			tile := c.device + "/tile" + string(rune('0'+t))
			if !c.sys.root.Exists(tile) {
				break
			}
			c.tiles++
			for _, name := range [...]string{"/physical_vram_size_bytes", "/memory/physical_vram_size_bytes"} {
				if v := c.sys.number(tile + name); v > 0 {
					c.tileMemory[t] = v
					c.memory = plusBytes(c.memory, v)
					break
				}
			}
			names, _ := c.sys.root.Names(tile)
			for _, n := range names {
				// Units of media sleep while the card computes: they would halve what is told as busy.
				if strings.HasPrefix(n, "gt") && !strings.HasSuffix(c.sys.word(tile+"/"+n+"/gtidle/name"), "-mc") {
					c.gts = append(c.gts, newXeGT(c.sys, tile+"/"+n, t))
				}
			}
		}
	} else {
		for t := range maxTiles {
			dir := c.dir + "/gt/gt" + string(rune('0'+t))
			if !c.sys.root.Exists(dir) {
				break
			}
			c.tiles++
			c.tileMemory[t] = int64(min(c.sys.hex(dir+"/addr_range"), 1<<62)) // of Intel's own i915
			c.gts = append(c.gts, newI915GT(c.sys, dir, t))
		}
	}
	if c.tiles > 1 {
		for t := range c.tiles {
			c.shaped.parts = append(c.shaped.parts, &facts.GPUPart{Kind: "tile", Name: "tile " + string(rune('0'+t)), Instance: uint32(t)})
		}
		c.shaped.revision++
	}
}

const maxTiles = 8

// fast reads what is read each second.
func (c *intelCard) fast(s *sheet, now int64, detail bool) error {
	// Power is the stated exception to "rates are not computed here", as per-core CPU is: these drivers count energy and tell no power.
	uj, err := c.energy.read(now)
	s.put(telemetry.GPUEnergyMJ, scaled(uj, 1000))
	s.put(telemetry.GPUPowerMW, c.energy.perMS(1))
	err = firstError(err, c.temperature(s, telemetry.GPUTempC, &c.pkg), c.temperature(s, telemetry.GPUMemTempC, &c.vram), c.putMemory(s))
	busy, clock, bits, failed := c.units(s, now)
	if c.clients != nil {
		// With this driver a GT never idles while somebody has the card open (a workaround for Max), so the engines' own time is taken.
		busy = c.clients.busy(now, c.tiles)
	}
	s.put(telemetry.GPUUtilPct, busy)
	s.put(telemetry.GPUSMClockMHz, clock)
	s.put(telemetry.GPUThrottleBits, bits)
	return firstError(err, failed)
}

func (c *intelCard) temperature(s *sheet, metric telemetry.Metric, g *gauge) error {
	v, err := g.number()
	s.put(metric, sensed(scaled(v, 1000)))
	return err
}

func (c *intelCard) putMemory(s *sheet) error {
	s.put(telemetry.GPUMemTotalBytes, c.memory)
	free, err := c.free.number()
	used := c.used
	if free >= 0 && free <= c.memory {
		used = c.memory - free
	}
	s.put(telemetry.GPUMemUsedBytes, used)
	return err
}

// units reads the GTs: the mean of how busy they were, and the highest of their clocks.
func (c *intelCard) units(s *sheet, now int64) (busy, clock, bits int64, err error) {
	var each [maxTiles * 2]int64
	n := 0
	clock, bits = telemetry.Absent, telemetry.Absent
	for _, g := range c.gts[:min(len(c.gts), len(each))] {
		failed := g.read(now)
		err = firstError(err, failed)
		each[n] = g.busy
		n++
		clock, bits = max(clock, g.clock), orBits(bits, g.bits)
		if len(c.shaped.parts) > 0 && c.clients == nil {
			s.putAt(telemetry.PartUtilPct, g.tile, g.busy)
		}
	}
	return mean(each[:n]), clock, bits, err
}

func orBits(a, b int64) int64 {
	switch {
	case a == telemetry.Absent:
		return b
	case b == telemetry.Absent:
		return a
	}
	return a | b
}

// slow reads limits, the link in the slot, and errors.
func (c *intelCard) slow(s *sheet) {
	if c.hwmon != "" {
		for _, l := range [...]struct {
			name   string
			metric telemetry.Metric
		}{
			{"/power1_max", telemetry.GPUPowerLimitMW}, {"/power1_rated_max", telemetry.GPUPowerDefaultLimitMW},
		} {
			s.put(l.metric, sensed(scaled(c.sys.number(c.hwmon+l.name), 1000))) // 0: the limit is off
		}
	}
	for _, g := range c.gts[:min(len(c.gts), 1)] {
		s.put(telemetry.GPUSMClockMaxMHz, c.sys.number(g.most))
		s.put(telemetry.GPUMemClockMaxMHz, c.sys.number(g.mostMemory))
	}
	for i := range c.shaped.parts {
		s.putAt(telemetry.PartMemTotalBytes, i, sensed(c.tileMemory[i]))
	}
	putPCIe(c.sys, c.port, s)
	c.putErrors(s)
	c.putHealth(s)
}

// errorCounters are the folders' files that count errors of memories, registers and caches, by how their names begin. Source: gt/gtN/error_counter/ of Intel's
// own i915; there are some 150 files, and these matter.
var errorCounters = [...]struct {
	prefix    string
	corrected bool
}{
	{"correctable_", true}, {"gsc_correctable_", true}, {"fatal_", false}, {"soc_fatal_hbm_", false},
}

const maxErrorCounters = 96 // of a GT

func (c *intelCard) putErrors(s *sheet) {
	corrected, uncorrected := telemetry.Absent, telemetry.Absent
	for _, g := range c.gts {
		names, _ := c.sys.root.Names(g.dir + "/error_counter")
		read := 0
		for _, n := range names {
			for _, e := range errorCounters {
				if !strings.HasPrefix(n, e.prefix) || read >= maxErrorCounters {
					continue
				}
				read++
				if v := c.sys.number(g.dir + "/error_counter/" + n); e.corrected {
					corrected = plus(corrected, v)
				} else {
					uncorrected = plus(uncorrected, v)
				}
			}
		}
	}
	s.put(telemetry.GPUECCVolatileCorrected, corrected)
	s.put(telemetry.GPUECCVolatileUncorrected, uncorrected)
}

// putHealth tells what the card says of its HBM. A repair that waits for a restart, and memory that is to be replaced, have the words that NVIDIA's remapping
// of rows has. Source: device_memory_health.
func (c *intelCard) putHealth(s *sheet) {
	c.health = c.sys.word(c.dir + "/device_memory_health")
	switch c.health {
	case "OK", "MEMORY_HEALTH_ALARM", "DEGRADED":
		s.put(telemetry.GPURemapPending, 0)
		s.put(telemetry.GPURemapFailure, 0)
	case "EC_PENDING":
		s.put(telemetry.GPURemapPending, 1)
		s.put(telemetry.GPURemapFailure, 0)
	case "REPLACE":
		s.put(telemetry.GPURemapPending, 0)
		s.put(telemetry.GPURemapFailure, 1)
	}
}

func (c *intelCard) remark() string {
	if c.health == "" || c.health == "OK" {
		return ""
	}
	return "memory health: " + strings.ToLower(c.health)
}
