package ui

import (
	"strconv"
	"strings"

	"foretop/fleet"
)

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
