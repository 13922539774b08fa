package ui

import (
	"slices"

	"foretop/fleet"
)

// gpuColumn is a column of a node's GPUs.
type gpuColumn struct {
	column
	// known says that a GPU has something to show in it; nil: it is never left out.
	known func(n *fleet.Node, g *fleet.GPU) bool
}

// gpuColumns are the columns of a node's GPUs, in the words of their maker.
func gpuColumns(vendor string, parts bool) []gpuColumn {
	clock, links, name := "MHz", "LINKS", 10
	if parts { // they have no other name
		name = 0
	}
	switch vendor {
	case "nvidia":
		clock, links = "SM MHz", "NVLINK"
	case "amd":
		clock, links = "GFX MHz", "XGMI"
	case "intel":
		clock, links = "GT MHz", "XELINK"
	}
	any := func(of func(g *fleet.GPU) fleet.Reading, part func(p *fleet.Part) fleet.Reading) func(*fleet.Node, *fleet.GPU) bool {
		return func(n *fleet.Node, g *fleet.GPU) bool {
			if of(g).Known() {
				return true
			}
			parts := n.PartsOf(g.Index)
			return part != nil && slices.ContainsFunc(parts, func(p fleet.Part) bool { return part(&p).Known() })
		}
	}
	return []gpuColumn{
		{column{id: "gpu", title: "GPU", width: 3, right: true}, nil},
		{column{id: "name", title: "NAME", width: 10, ideal: 12, drop: name}, nil},
		{column{id: "util", title: "UTIL", width: 11, ideal: 24}, nil},
		{column{id: "tensor", title: "TENSOR", width: 6, right: true, drop: 6},
			any(func(g *fleet.GPU) fleet.Reading { return g.TensorActivityPct }, func(p *fleet.Part) fleet.Reading { return p.TensorActivityPct })},
		{column{id: "dram", title: "DRAM", width: 5, right: true, drop: 11},
			any(func(g *fleet.GPU) fleet.Reading { return g.DRAMActivityPct }, func(p *fleet.Part) fleet.Reading { return p.DRAMActivityPct })},
		{column{id: "mem", title: "MEM", width: 8, ideal: 20, drop: 1}, nil},
		{column{id: "power", title: "POWER", width: 9, right: true, drop: 2}, any(func(g *fleet.GPU) fleet.Reading { return g.PowerW }, nil)},
		{column{id: "temp", title: "TEMP", width: 4, right: true, drop: 1}, any(func(g *fleet.GPU) fleet.Reading { return g.TempC }, nil)},
		{column{id: "clock", title: clock, width: max(6, len(clock)), right: true, drop: 9}, any(func(g *fleet.GPU) fleet.Reading { return g.SMClockMHz }, nil)},
		{column{id: "throttle", title: "THROTTLE", width: 9, drop: 8}, func(_ *fleet.Node, g *fleet.GPU) bool { return g.ThrottleBits >= 0 }},
		{column{id: "ecc", title: "ECC", width: 4, right: true, drop: 7}, any(func(g *fleet.GPU) fleet.Reading { return g.Slow.ECCVolatileUncorrected }, nil)},
		{column{id: "nvlink", title: links, width: 9, right: true, drop: 13}, func(_ *fleet.Node, g *fleet.GPU) bool { return g.Slow.Links > 0 || g.NVLinkBytesPerS().Known() }},
		{column{id: "pcie", title: "PCIe", width: 5, right: true, drop: 12}, any(func(g *fleet.GPU) fleet.Reading { return g.Slow.PCIeGen }, nil)},
		{column{id: "past", title: "15 MIN", width: 15, ideal: 20, drop: 14}, nil},
		{column{id: "rank", title: "RANK", width: 5, right: true, drop: 4}, nil},
		{column{id: "pid", title: "PID", width: 7, right: true, drop: 5}, nil},
		{column{id: "command", title: "COMMAND", width: 8, ideal: 24, rest: true, drop: 3}, nil},
	}
}

// gpuColumnsSeen are the columns that had something to show since the node was opened: they stay, so that nothing moves when a reading is gone.
type gpuColumnsSeen map[string]bool

// toldColumn is no column: it says that something was told at all.
const toldColumn = ""

// placeGPUs gives a node's columns their room. One that no GPU there has anything to show in is left out; of GPUs that tell nothing at all, none is.
func (m *Model) placeGPUs(n *fleet.Node, w int) []placed {
	s := &m.node
	vendor := ""
	if len(n.GPUs) > 0 {
		vendor = n.GPUs[0].Info.Vendor
	}
	all := gpuColumns(vendor, len(n.Parts) > 0)
	if s.columns == nil {
		s.columns = gpuColumnsSeen{}
	}
	for _, c := range all {
		if c.known == nil || s.columns[c.id] {
			continue
		}
		for i := range n.GPUs {
			if c.known(n, &n.GPUs[i]) {
				s.columns[c.id] = true
				break
			}
		}
	}
	s.columns[toldColumn] = s.columns[toldColumn] || len(s.columns) > 0 ||
		slices.ContainsFunc(n.GPUs, func(g fleet.GPU) bool { return g.UtilPct.Known() || g.MemUsedBytes.Known() })
	columns := make([]column, 0, len(all))
	for _, c := range all {
		if c.known == nil || s.columns[c.id] || !s.columns[toldColumn] {
			columns = append(columns, c.column)
		}
	}
	return placeColumns(columns, w)
}
