package ui

import (
	"slices"
	"strconv"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// partsView says of which GPUs the parts are shown, where somebody chose.
type partsView map[int]bool

// partsShown is how many parts of all GPUs of a node are shown without being asked for.
const partsShown = 16

// open says whether a GPU's parts are shown.
func (v partsView) open(n *fleet.Node, gpu int) bool {
	if shown, chosen := v[gpu]; chosen {
		return shown
	}
	return len(n.Parts) <= partsShown
}

// unfoldParts shows, or hides, the parts of the selected GPU.
func (m *Model) unfoldParts(show bool) {
	n := m.index.node(m.node.name)
	g := m.node.gpu(n)
	if g == nil || !m.node.onGPUs() {
		return
	}
	if len(n.PartsOf(g.Index)) == 0 {
		m.notice = "GPU " + strconv.Itoa(g.Index) + " is not used in parts"
		return
	}
	if m.node.parts == nil {
		m.node.parts = partsView{}
	}
	m.node.parts[g.Index] = show
	m.node.reveal = true
}

// partKind is what a part is called.
func partKind(p *fleet.Part) string {
	if p.Info.Kind == "" {
		return "part"
	}
	return p.Info.Kind
}

// manyParts says how many parts a GPU has: "7×MIG".
func manyParts(parts []fleet.Part) string {
	return strconv.Itoa(len(parts)) + "×" + partKind(&parts[0])
}

// partName names a part among those of its GPU: "1g.10gb 7", "NeuronCore 3".
func partName(p *fleet.Part) string {
	name := p.Info.Name
	if name == "" {
		name = partKind(p)
	}
	return name + " " + strconv.Itoa(int(p.Info.Instance))
}

// partCell draws a part of a GPU: what of it is the GPU's alone stays blank.
func (m *Model) partCell(a area, p *placed, n *fleet.Node, l *gpuLine) {
	part := l.part
	num := func(s string) {
		st := style{}
		if s == absent {
			st = fg(colDim)
		}
		a.right(0, 0, p.cells, s, st)
	}
	var h *fleet.Holder
	if len(part.Holders) > 0 {
		h = &part.Holders[0]
	}
	switch p.id {
	case "gpu":
		branch := "├"
		if l.last {
			branch = "└"
		}
		a.right(0, 0, p.cells, branch, fg(colDim))
	case "name":
		a.cut(0, 0, p.cells, partName(part), style{})
	case "util":
		drawMeter(a, p.cells, partUtil(part), formatPct(partUtil(part)), 5, fg(colBar))
	case "tensor":
		num(formatPct(part.TensorActivityPct))
	case "dram":
		num(formatPct(part.DRAMActivityPct))
	case "mem":
		drawMeter(a, p.cells, part.MemUsedBytes.Share(part.MemTotalBytes), formatUsed(part.MemUsedBytes, part.MemTotalBytes), 8, fg(colBar))
	case "ecc":
		if part.ECCUncorrected > 0 {
			a.right(0, 0, p.cells, formatUnit(part.ECCUncorrected, "u"), fg(colCrit))
		} else {
			num(formatUnit(part.ECCUncorrected, ""))
		}
	case "rank":
		if h != nil && h.Rank >= 0 {
			num(strconv.Itoa(h.Rank))
		}
	case "pid":
		if h != nil {
			num(strconv.Itoa(int(h.PID)))
		}
	case "command":
		holderWords(a, p.cells, n, part.Holders)
	}
}

// partUtil is how busy a part is: as it says itself, else its SMs.
func partUtil(p *fleet.Part) fleet.Reading {
	if p.UtilPct.Known() {
		return p.UtilPct
	}
	return p.SMActivityPct
}

// unseenLines say which accelerators on the bus nobody lets us look at: they are not lost.
func unseenLines(n *fleet.Node) []string {
	if n.Inventory == nil {
		return nil
	}
	var lines []string
	unseen := n.Inventory.UnseenGpus
	for i, u := range unseen {
		same := func(o *facts.UnseenGPU) bool { return o.Why == u.Why && o.Vendor == u.Vendor }
		if slices.ContainsFunc(unseen[:i], same) {
			continue
		}
		count := 0
		for _, o := range unseen {
			if same(o) {
				count++
			}
		}
		what := strconv.Itoa(count)
		if len(n.GPUs) > 0 {
			what += " more"
		}
		if name := vendorName(u.Vendor); name != "" {
			what += " " + name
		}
		what += " GPU"
		if count != 1 {
			what += "s"
		}
		why := u.Why
		if why == "" {
			why = "not visible to you"
		}
		lines = append(lines, what+" on the PCI bus, "+why+": not checked")
	}
	return lines
}

// vendorName is a maker as people write it.
func vendorName(vendor string) string {
	names := map[string]string{"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "google": "Google", "aws": "AWS", "habana": "Habana", "huawei": "Huawei"}
	if name := names[vendor]; name != "" {
		return name
	}
	return vendor
}
