package accelerators

import (
	"bytes"
	"fmt"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	xgmiLinks    = 8
	maxRASBlocks = 64
)

// slow reads what costs the firmware a question each, or changes seldom: errors, retired pages, limits, links.
func (c *amdCard) slow(s *sheet) {
	c.putErrors(s)
	c.putPages(s)
	c.putLimits(s)
	c.putLinks(s)
	c.putPCIe(s)
	c.throttle.put(s)
	for i, n := range c.nodes {
		if len(c.shaped.parts) > 0 {
			s.putAt(telemetry.PartMemTotalBytes, i, n.memory)
			s.putAt(telemetry.PartMemUsedBytes, i, c.sys.number(n.dir+"/mem_banks/0/used_memory"))
		}
	}
}

// putErrors sums the errors of all blocks of the chip since the driver was loaded. Those of the links (xgmi_wafl) and of the bus (pcie_bif) are no memory's, so
// they are left out. Source: ras/NAME_err_count, or ras/aca_NAME where the driver has the newer way.
func (c *amdCard) putErrors(s *sheet) {
	names, _ := c.sys.root.Names(c.device + "/ras")
	corrected, uncorrected := telemetry.Absent, telemetry.Absent
	for _, n := range names[:min(len(names), maxRASBlocks)] {
		block, ok := strings.CutSuffix(n, "_err_count")
		if !ok {
			if block, ok = strings.CutPrefix(n, "aca_"); !ok || c.sys.root.Exists(c.device+"/ras/"+block+"_err_count") {
				continue
			}
		}
		if block == "xgmi_wafl" || block == "pcie_bif" {
			continue
		}
		b, err := c.sys.read(c.device + "/ras/" + n)
		if err != nil {
			continue
		}
		ce, ue := parseErrorCount(b)
		corrected, uncorrected = plus(corrected, ce), plus(uncorrected, ue)
	}
	s.put(telemetry.GPUECCVolatileCorrected, corrected)
	s.put(telemetry.GPUECCVolatileUncorrected, uncorrected)
}

// plus adds a count to a sum; what is absent adds nothing.
func plus(sum, v int64) int64 {
	switch {
	case v == telemetry.Absent:
		return sum
	case sum == telemetry.Absent:
		return v
	}
	return sum + min(v, 1<<48)
}

// parseErrorCount reads "ue: N" and "ce: N", a line each. During a reset the file holds a sentence instead.
func parseErrorCount(b []byte) (ce, ue int64) {
	ce, ue = telemetry.Absent, telemetry.Absent
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		key, rest, _ := bytes.Cut(l, []byte{':'})
		v, ok := kernfs.ParseUint(kernfs.Trim(rest))
		if !ok || v > 1<<48 {
			continue
		}
		switch string(kernfs.Trim(key)) {
		case "ce":
			ce = int64(v)
		case "ue":
			ue = int64(v)
		}
	}
	return ce, ue
}

// putPages counts the pages of memory that are retired, each after an error that could not be corrected. Source: ras/gpu_vram_bad_pages.
func (c *amdCard) putPages(s *sheet) {
	b, err := c.sys.read(c.device + "/ras/gpu_vram_bad_pages")
	if err != nil {
		return
	}
	retired, pending := parseBadPages(b)
	s.put(telemetry.GPURetiredPagesUncorrected, retired)
	s.put(telemetry.GPURetiredPending, min(pending, 1))
}

// parseBadPages counts lines "0xPAGE : 0xSIZE : FLAG". R is reserved; P will be at the next chance; F could not be, and is known to be bad all the same.
func parseBadPages(b []byte) (retired, pending int64) {
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		at := bytes.LastIndexByte(l, ':')
		if at < 0 {
			continue
		}
		switch string(kernfs.Trim(l[at+1:])) {
		case "R", "F":
			retired++
		case "P":
			pending++
		}
	}
	return retired, pending
}

// putLimits reads limits of power and heat, and the highest clocks. Sources: hwmon (µW, m°C), pp_dpm_sclk, pp_dpm_mclk.
func (c *amdCard) putLimits(s *sheet) {
	if c.hwmon != "" {
		for _, l := range [...]struct {
			name   string
			metric telemetry.Metric
		}{
			{"/power1_cap", telemetry.GPUPowerLimitMW}, {"/power1_cap_default", telemetry.GPUPowerDefaultLimitMW},
			{"/power1_cap_min", telemetry.GPUPowerMinLimitMW}, {"/power1_cap_max", telemetry.GPUPowerMaxLimitMW},
		} {
			s.put(l.metric, scaled(c.sys.number(c.hwmon+l.name), 1000))
		}
	}
	if c.junctionLimits != "" {
		s.put(telemetry.GPUSlowdownTempC, sensed(scaled(c.sys.number(c.junctionLimits+"_crit"), 1000)))
		s.put(telemetry.GPUShutdownTempC, sensed(scaled(c.sys.number(c.junctionLimits+"_emergency"), 1000)))
	}
	if c.memLimits != "" {
		s.put(telemetry.GPUMemMaxTempC, sensed(scaled(c.sys.number(c.memLimits+"_crit"), 1000)))
	}
	if b, err := c.sys.read(c.device + "/pp_dpm_sclk"); err == nil {
		s.put(telemetry.GPUSMClockMaxMHz, parseLevels(b))
	}
	if b, err := c.sys.read(c.device + "/pp_dpm_mclk"); err == nil {
		s.put(telemetry.GPUMemClockMaxMHz, parseLevels(b))
	}
}

// putPCIe reads the link in the slot, and its troubles. What gpu_metrics says of the link is the firmware's own word, so it comes last and stands.
func (c *amdCard) putPCIe(s *sheet) {
	putPCIe(c.sys, c.port, s)
	m := &c.metrics
	if m[pcieLinkSpeed] != telemetry.Absent && m[pcieLinkWidth] > 0 {
		s.put(telemetry.GPUPCIeGen, pciGeneration(times(m[pcieLinkSpeed], 100)))
		s.put(telemetry.GPUPCIeWidth, m[pcieLinkWidth])
	}
	replays := m[pcieReplays]
	if replays == telemetry.Absent {
		replays = c.sys.number(c.device + "/pcie_replay_count")
	}
	s.put(telemetry.GPUPCIeReplays, replays)
	s.put(telemetry.GPUPCIeReplayRollovers, m[pcieReplayRollovers])
	s.put(telemetry.GPUPCIeL0ToRecovery, m[pcieL0ToRecovery])
	s.put(telemetry.GPUPCIeNAKsSent, m[pcieNAKsSent])
	s.put(telemetry.GPUPCIeNAKsReceived, m[pcieNAKsReceived])
}

// relink finds the xGMI links. Which of the eight are wired is told by their having a state; tables older than 1.7 give none, so there those count over which
// anything went, and whether they are up is not known.
func (c *amdCard) relink() {
	m := &c.metrics
	linked := c.linked
	for i := range xgmiLinks {
		status := m[int(xgmiLinkStatus)+i]
		if status == xgmiInactive || status == xgmiActive || m[contentRevision] < 7 && (m[int(xgmiReadData)+i] > 0 || m[int(xgmiWriteData)+i] > 0) {
			linked |= 1 << i
		}
	}
	if linked == c.linked {
		return
	}
	c.linked = linked
	c.shaped.links = nil
	for i := range xgmiLinks {
		if linked&(1<<i) != 0 {
			c.shaped.links = append(c.shaped.links, &facts.GPULink{Link: uint32(i), Kind: "xGMI", Remote: "gpu"})
		}
	}
	c.shaped.revision++
}

// putLinks tells the state of the links.
func (c *amdCard) putLinks(s *sheet) {
	m := &c.metrics
	up, known := int64(0), false
	for at, l := range c.shaped.links {
		switch m[int(xgmiLinkStatus)+int(l.Link)] {
		case xgmiActive:
			up, known = up+1, true
			s.putAt(telemetry.LinkState, at, telemetry.LinkUp)
		case xgmiInactive:
			known = true
			s.putAt(telemetry.LinkState, at, telemetry.LinkDown)
		}
		if m[xgmiLinkWidth] > 0 && m[xgmiLinkSpeed] > 0 {
			s.putAt(telemetry.LinkSpeedMBps, at, min(m[xgmiLinkWidth], 64)*min(m[xgmiLinkSpeed], 1<<16)*1000/8)
		}
	}
	if len(c.shaped.links) > 0 {
		s.put(telemetry.GPULinks, int64(len(c.shaped.links)))
		if known {
			s.put(telemetry.GPULinksUp, up)
		}
	}
}

// putTraffic tells what went over the links since the firmware was loaded: all together, and one by one where somebody looks. The GPU's own side counts:
// what it writes is sent, what it reads is received.
func (c *amdCard) putTraffic(s *sheet, detail bool) {
	sent, received := telemetry.Absent, telemetry.Absent
	for at, l := range c.shaped.links {
		w, r := kibibytes(c.metrics[int(xgmiWriteData)+int(l.Link)]), kibibytes(c.metrics[int(xgmiReadData)+int(l.Link)])
		sent, received = plusBytes(sent, w), plusBytes(received, r)
		if detail {
			s.putAt(telemetry.LinkTXBytes, at, w)
			s.putAt(telemetry.LinkRXBytes, at, r)
		}
	}
	if detail {
		s.put(telemetry.GPUNVLinkTXBytes, sent)
		s.put(telemetry.GPUNVLinkRXBytes, received)
	}
}

func kibibytes(v int64) int64 {
	if v == telemetry.Absent || v > 1<<50 {
		return telemetry.Absent
	}
	return v << 10
}

func plusBytes(sum, v int64) int64 {
	switch {
	case v == telemetry.Absent:
		return sum
	case sum == telemetry.Absent:
		return v
	}
	return sum + min(v, 1<<62-sum)
}

// reshape makes the card's parts: its partitions, where it has several. How it is cut is told by current_compute_partition and current_memory_partition.
func (c *amdCard) reshape() {
	c.recut = false
	var parts []*facts.GPUPart
	if len(c.nodes) > 1 {
		mode := strings.TrimRight(c.sys.word(c.device+"/current_compute_partition")+"/"+c.sys.word(c.device+"/current_memory_partition"), "/")
		for i := range c.nodes {
			parts = append(parts, &facts.GPUPart{Kind: "XCP", Name: telemetry.Clean(fmt.Sprintf("%s %d", mode, i), 64), Instance: uint32(i)})
		}
	}
	same := len(parts) == len(c.shaped.parts)
	for i := range parts {
		same = same && parts[i].Name == c.shaped.parts[i].Name
	}
	if !same {
		c.shaped.parts = parts
		c.shaped.revision++
	}
}
