package ui

import (
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/telemetry"
)

// fabric is how the GPU is joined to NVSwitches, and to the CPU.
func (v *gpuView) fabric(w int) []lineDraw {
	s, info := v.slow, v.g.Info
	var list []fact
	if words := s.FabricWords(); words != "" {
		st := style{}
		if ready, known := s.FabricReady(); known && !ready {
			st = fg(colCrit)
		}
		list = append(list, fact{"NVSwitches", words, st})
	}
	var well []string
	for _, h := range s.FabricHealth() {
		if h.Bad {
			list = append(list, fact{h.What, h.Says, fg(colWarn).with(bold)})
		} else if h.Says != "no" {
			well = append(well, h.What+" "+h.Says)
		}
	}
	if len(well) > 0 {
		list = append(list, fact{"health", strings.Join(well, " · "), style{}})
	}
	if strings.Trim(info.FabricCluster, "0-") != "" { // all zeros: no more than its own node
		list = append(list, fact{"cluster", info.FabricCluster, style{}}, fact{"clique", strconv.Itoa(int(info.FabricClique)), style{}})
	}
	if s.C2CLinks.Known() {
		list = append(list, number("links to the CPU", formatNowMost(s.C2CLinksUp, s.C2CLinks, "")+" up", s.C2CLinksUp < s.C2CLinks))
	}
	if info.Chassis != "" {
		list = append(list, fact{"chassis", info.Chassis + ", slot " + strconv.Itoa(int(info.Slot)) + ", tray " + strconv.Itoa(int(info.Tray)), style{}})
	}
	if len(list) == 0 {
		return v.nothing("fabric")
	}
	return wordLines(w, list, v.m.opt.ASCII)
}

func (v *gpuView) linksTitle() string {
	s := v.slow
	name := "links"
	if links := v.n.LinksOf(v.g.Index); len(links) > 0 && links[0].Info.Kind != "" {
		name = links[0].Info.Kind
	}
	if !s.Links.Known() {
		return name
	}
	return name + ": " + formatNowMost(s.LinksUp, s.Links, "") + " up"
}

// linkColumns are the columns of a GPU's links.
func linkColumns() []column {
	return []column{
		{id: "link", title: "LINK", width: 4, right: true},
		{id: "state", title: "STATE", width: 7},
		{id: "speed", title: "SPEED", width: 7, right: true, drop: 5},
		{id: "tx", title: "▲", width: 8, right: true},
		{id: "rx", title: "▼", width: 8, right: true},
		{id: "replays", title: "REPLAY", width: 6, right: true, drop: 3},
		{id: "recoveries", title: "RECOV", width: 6, right: true, drop: 2},
		{id: "crc", title: "CRC", width: 5, right: true, drop: 1},
		{id: "other", title: "OTHER", width: 5, right: true, drop: 6},
		{id: "remote", title: "TO", width: 14, ideal: 20, drop: 4, rest: true},
	}
}

func (v *gpuView) links(w int) []lineDraw {
	s := v.slow
	links := v.n.LinksOf(v.g.Index)
	if v.g.Info.Mig && !(s.LinksUp > 0) {
		return []lineDraw{func(a area) { a.cut(tableIndent, 0, a.w-tableIndent, "off while the GPU is in MIG mode", fg(colDim)) }}
	}
	totals := []fact{
		number("out", formatRate(v.d.NVLinkTXBytesPerS), false), number("in", formatRate(v.d.NVLinkRXBytesPerS), false),
		rising("replays", s.NVLinkReplays), rising("recoveries", s.NVLinkRecoveries), rising("CRC errors", s.NVLinkCRCErrors),
	}
	if len(links) == 0 && !known(totals) && !s.Links.Known() {
		return v.nothing("links")
	}
	var lines []lineDraw
	if known(totals) {
		lines = factLines(w, totals)
	}
	if len(links) == 0 {
		return append(lines, v.nothing("single links")...)
	}
	columns := placeColumns(linkColumns(), w)
	lines = append(lines, func(a area) { drawHeader(a, 0, columns, "", false) })
	for i := range links {
		l := &links[i]
		lines = append(lines, func(a area) {
			for j := range columns {
				c := &columns[j]
				v.linkCell(a.sub(c.x, 0, c.cells, 1), c, l)
			}
		})
	}
	return lines
}

// rising is a counter that should stand still, and by how much it grew of late.
func rising(label string, r fleet.Rise) fact {
	words := formatCount(r.Total)
	if r.Grew > 0 {
		words += " (+" + formatCount(r.Grew) + ")"
	}
	return number(label, words, r.Grew > 0)
}

func (v *gpuView) linkCell(a area, c *placed, l *fleet.Link) {
	num := func(s string, bad bool) {
		st := style{}
		switch {
		case s == absent:
			st = fg(colDim)
		case bad:
			st = fg(colWarn)
		}
		a.right(0, 0, c.cells, s, st)
	}
	switch c.id {
	case "link":
		a.right(0, 0, c.cells, strconv.Itoa(int(l.Info.Link)), fg(colStrong))
	case "state":
		k, word := linkState(l.State)
		a.cut(0, 0, c.cells, string(k.r)+" "+word, k.st)
	case "speed":
		num(formatRate(l.SpeedBytesPerS), false)
	case "tx":
		num(formatRate(l.TXBytesPerS), false)
	case "rx":
		num(formatRate(l.RXBytesPerS), false)
	case "replays":
		num(formatCount(l.Replays), l.Replays > 0)
	case "recoveries":
		num(formatCount(sum(l.Recoveries, l.RecoveryFailures)), l.Recoveries > 0 || l.RecoveryFailures > 0)
	case "crc":
		num(formatCount(l.CRCErrors), l.CRCErrors > 0)
	case "other":
		other := sum(l.ECCErrors, l.RxErrors, l.TxDiscards, l.EffectiveErrors)
		num(formatCount(other), other > 0)
	case "remote":
		a.cut(0, 0, c.cells, v.remote(l), fg(colDim))
	}
}

func linkState(state int) (mark, string) {
	switch state {
	case telemetry.LinkUp:
		return mark{markFine, fg(colGood)}, "up"
	case telemetry.LinkDown:
		return mark{markCritical, fg(colCrit)}, "down"
	case telemetry.LinkSleep:
		return mark{markIdle, fg(colDim)}, "sleeps"
	}
	return mark{markUnknown, fg(colDim)}, absent
}

// remote is where a link leads: another GPU by its number, where it is one of this node's.
func (v *gpuView) remote(l *fleet.Link) string {
	words := l.Info.Remote
	if words == "" {
		words = absent
	}
	if l.Info.RemotePci == "" {
		return words
	}
	for i := range v.n.GPUs {
		if o := &v.n.GPUs[i]; o.Info.Pci == l.Info.RemotePci {
			return "GPU " + strconv.Itoa(o.Index) + " " + shortPCI(o.Info.Pci)
		}
	}
	return words + " " + shortPCI(l.Info.RemotePci)
}

// shortPCI leaves out the domain that nearly all devices are in.
func shortPCI(pci string) string { return strings.TrimPrefix(pci, "0000:") }

// callColumns are the columns of the calls into the driver's library.
func callColumns() []column {
	return []column{
		{id: "call", title: "CALL", width: 20, ideal: 44, rest: true},
		{id: "per", title: "A SECOND", width: 8, right: true},
		{id: "mean", title: "MEAN", width: 7, right: true},
		{id: "last", title: "LAST", width: 7, right: true, drop: 2},
		{id: "max", title: "LONGEST", width: 8, right: true, drop: 1},
		{id: "share", title: "BUSY", width: 6, right: true, drop: 3},
	}
}

func (v *gpuView) callsTitle() string {
	if len(v.n.Calls) == 0 {
		return "driver calls"
	}
	busy := fleet.None()
	for i := range v.n.Calls {
		busy = sum(busy, callBusy(&v.n.Calls[i]))
	}
	return "driver calls, all GPUs: " + formatShare(busy) + " of the time"
}

// callBusy is the share of wall time that a call takes, in percent.
func callBusy(c *fleet.Call) fleet.Reading { return c.PerS * c.MeanUS / 1e4 }

func (v *gpuView) calls(w int) []lineDraw {
	if len(v.n.Calls) == 0 {
		return v.nothing("driver calls")
	}
	columns := placeColumns(callColumns(), w)
	lines := []lineDraw{func(a area) { drawHeader(a, 0, columns, "", false) }}
	for i := range v.n.Calls {
		c := &v.n.Calls[i]
		lines = append(lines, func(a area) {
			for j := range columns {
				p := &columns[j]
				words, st := absent, style{}
				switch p.id {
				case "call":
					words = v.callName(c)
				case "per":
					words = formatFew(c.PerS)
				case "mean":
					words = formatMicros(c.MeanUS)
				case "last":
					words = formatMicros(c.LastUS)
				case "max":
					words = formatMicros(c.MaxUS)
				case "share":
					words = formatShare(callBusy(c))
				}
				if words == absent {
					st = fg(colDim)
				}
				drawField(a.sub(p.x, 0, p.cells, 1), p, words, st)
			}
		})
	}
	return lines
}

// callName is a call, with the source that makes it where there are several that make any.
func (v *gpuView) callName(c *fleet.Call) string {
	for i := range v.n.Calls {
		if v.n.Calls[i].Source != c.Source && c.Source < len(v.n.Sources) {
			return v.n.Sources[c.Source].Name + ": " + c.Name
		}
	}
	return c.Name
}

// formatFew is a small number with a digit after the point.
func formatFew(r fleet.Reading) string {
	if !r.Known() {
		return absent
	}
	return format3(float64(r))
}

// formatMicros is a time of microseconds in the unit that leaves three digits.
func formatMicros(r fleet.Reading) string {
	if !r.Known() {
		return absent
	}
	v, unit := scale(float64(r), 1000, "µs", "ms", "s")
	return format3(v) + " " + unit
}

// parts are the parts of the GPU, with who is on each.
func (v *gpuView) parts(w int) []lineDraw {
	parts := v.n.PartsOf(v.g.Index)
	if len(parts) == 0 && !v.g.Info.Mig {
		return nil // it is used as a whole
	}
	if len(parts) == 0 {
		return v.nothing("parts")
	}
	columns := placeColumns([]column{
		{id: "part", title: "PART", width: 11, ideal: 14},
		{id: "util", title: "ACTIVE", width: 6, ideal: 18, right: true},
		{id: "tensor", title: "TENSOR", width: 6, right: true, drop: 3},
		{id: "dram", title: "DRAM", width: 5, right: true, drop: 4},
		{id: "mem", title: "MEM", width: 9, ideal: 20, right: true},
		{id: "ecc", title: "ECC", width: 4, right: true, drop: 5},
		{id: "who", title: "WHO", width: 8, rest: true, drop: 1},
		{id: "uuid", title: "UUID", width: 12, ideal: 40, drop: 6},
	}, w)
	lines := []lineDraw{func(a area) { drawHeader(a, 0, columns, "", false) }}
	for i := range parts {
		p := &parts[i]
		lines = append(lines, func(a area) {
			for j := range columns {
				c := &columns[j]
				v.partField(a.sub(c.x, 0, c.cells, 1), c, p)
			}
		})
	}
	return lines
}

func (v *gpuView) partField(a area, c *placed, p *fleet.Part) {
	num := func(s string) {
		st := style{}
		if s == absent {
			st = fg(colDim)
		}
		a.right(0, 0, c.cells, s, st)
	}
	switch c.id {
	case "part":
		a.cut(0, 0, c.cells, partName(p), fg(colStrong))
	case "util":
		drawMeter(a, c.cells, partUtil(p), formatPct(partUtil(p)), 5, fg(colBar))
	case "tensor":
		num(formatPct(p.TensorActivityPct))
	case "dram":
		num(formatPct(p.DRAMActivityPct))
	case "mem":
		drawMeter(a, c.cells, p.MemUsedBytes.Share(p.MemTotalBytes), formatUsed(p.MemUsedBytes, p.MemTotalBytes), 8, fg(colBar))
	case "ecc":
		num(formatCount(p.ECCUncorrected))
	case "who":
		holderWords(a, c.cells, v.n, p.Holders)
	case "uuid":
		a.cut(0, 0, c.cells, p.Info.Uuid, fg(colDim))
	}
}

// processes are those that hold the GPU.
func (v *gpuView) processes(w int) []lineDraw {
	holders := v.g.Holders
	unseen := v.slow.Processes - fleet.Reading(len(holders))
	note := func() []lineDraw {
		if !(unseen >= 1) {
			return nil
		}
		words := formatWhole(float64(unseen)) + " more, which the driver counts and we may not see: not checked"
		return []lineDraw{func(a area) { a.cut(tableIndent, 0, a.w-tableIndent, words, fg(colStale)) }}
	}
	if len(holders) == 0 {
		words := "no process that we see holds it"
		if !v.n.ProcessesTold && v.n.State == fleet.Live && len(v.n.Processes) == 0 {
			words = "not told yet"
		}
		return append([]lineDraw{func(a area) { a.cut(tableIndent, 0, a.w-tableIndent, words, fg(colDim)) }}, note()...)
	}
	columns := placeColumns(processColumns(), w)
	lines := []lineDraw{func(a area) { drawHeader(a, 0, columns, "", false) }}
	for i := range holders {
		h := &holders[i]
		lines = append(lines, func(a area) {
			for j := range columns {
				c := &columns[j]
				v.processField(a.sub(c.x, 0, c.cells, 1), c, h)
			}
		})
	}
	return append(lines, note()...)
}

// processField is that of the node's processes, but for what the process holds of this GPU alone.
func (v *gpuView) processField(a area, c *placed, h *fleet.Holder) {
	switch c.id {
	case "vram":
		drawField(a, c, formatBytes(h.MemBytes), style{})
		return
	case "gpu":
		words := strconv.Itoa(v.g.Index)
		if h.Part >= 0 && h.Part < len(v.n.Parts) {
			words = strconv.Itoa(int(v.n.Parts[h.Part].Info.Instance))
		}
		drawField(a, c, words, style{})
		return
	}
	for _, p := range v.n.Processes {
		if p.GetPid() == h.PID {
			processCell(a, c, p)
			return
		}
	}
	if c.id == "pid" {
		drawField(a, c, strconv.Itoa(int(h.PID)), fg(colStrong))
	}
}

// identity is who the GPU is, and how it is set up.
func (v *gpuView) identity(w int) []lineDraw {
	i, d := v.g.Info, v.d
	id := func(n int32) string {
		if n < 0 {
			return absent
		}
		return strconv.Itoa(int(n))
	}
	driver := i.Driver
	if driver == "" && v.n.Inventory != nil && i.Vendor == "nvidia" {
		driver = v.n.Inventory.GpuDriverVersion
	}
	if v.n.Inventory != nil && v.n.Inventory.CudaVersion != "" && driver != "" && i.Vendor == "nvidia" {
		driver += ", CUDA " + v.n.Inventory.CudaVersion
	}
	words := []fact{
		{"UUID", i.Uuid, style{}}, {"PCI", i.Pci, style{}}, {"serial", i.Serial, style{}}, {"board part", i.BoardPart, style{}}, {"driver", driver, style{}},
		{"firmware", strings.Trim(i.Vbios+" · "+i.Firmware, " ·"), style{}}, {"inforom", i.Inforom, style{}}, {"CPUs near it", i.CpuAffinity, style{}},
	}
	compute := absent
	if m := d.ComputeMode; m >= 0 {
		compute = "mode " + strconv.Itoa(m)
		if names := [...]string{"default", "one thread", "prohibited", "one process"}; m < len(names) {
			compute = names[m]
		}
	}
	mig := "no"
	if i.Mig {
		mig = "on"
	}
	list := []fact{
		number("architecture", strings.TrimSpace(i.Architecture+" "+i.ComputeCapability), false), number("NUMA node", id(i.NumaNode), false),
		number("module", id(i.ModuleId), false), number("compute mode", compute, false), yes("persistence", d.Persistence, never),
	}
	if i.Vendor == "nvidia" {
		list = append(list, fact{"MIG", mig, style{}})
	}
	return append(wordLines(w, words, v.m.opt.ASCII), factLines(w, list)...)
}
