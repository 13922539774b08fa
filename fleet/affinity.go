package fleet

import (
	"slices"
	"strings"

	"foretop/telemetry/facts"
)

// Nearness says how it is known which GPU a port belongs to.
type Nearness uint8

const (
	NearUnknown Nearness = iota
	NearPCIe             // both hang below one PCIe switch or port
	NearNUMA             // it is the only GPU of the port's NUMA node
	NearOrder            // ports and GPUs of one NUMA node, paired by their order: a guess
)

func (n Nearness) String() string {
	return [...]string{"not known", "PCIe", "NUMA node", "a guess: same NUMA node, by order"}[min(n, NearOrder)]
}

// nearestGPUs pairs RDMA ports with GPUs by the PCI path that they share: a port belongs to the GPU behind the same switch. A pair that shares only the
// host bridge, or nothing, is none: -1. Each GPU takes the nearest free port first, so that one GPU a NIC comes out where the board is built so.
// Where no path decides anything, as in virtual machines and on boards where each device has a host bridge of its own, NUMA nodes may.
func nearestGPUs(inv *facts.Inventory) (gpus []int, by []Nearness) {
	gpus, by = make([]int, len(inv.Ports)), make([]Nearness, len(inv.Ports))
	taken := make([]bool, len(inv.Gpus))
	decided := false
	for i, p := range inv.Ports {
		best, depth := -1, 1
		for j, g := range inv.Gpus {
			d := sharedDepth(p.PciPath, g.PciPath)
			if d > depth || d == depth && best >= 0 && taken[best] && !taken[j] {
				best, depth = j, d
			}
		}
		gpus[i] = best
		if best >= 0 {
			taken[best], by[i], decided = true, NearPCIe, true
		}
	}
	if !decided {
		pairByNUMA(inv, gpus, by)
	}
	return gpus, by
}

// pairByNUMA pairs the ports of the most frequent kind, those that a board has for its GPUs, with the GPUs of their NUMA node, where they come out even.
func pairByNUMA(inv *facts.Inventory, gpus []int, by []Nearness) {
	kind := commonKind(inv.Ports)
	if kind == "" {
		return
	}
	nodes := map[int32][]int{} // NUMA node → its GPUs
	for j, g := range inv.Gpus {
		if g.NumaNode >= 0 {
			nodes[g.NumaNode] = append(nodes[g.NumaNode], j)
		}
	}
	for numa, near := range nodes {
		var ports []int
		for i, p := range inv.Ports {
			if p.NumaNode == numa && portKind(p) == kind {
				ports = append(ports, i)
			}
		}
		if len(ports) == 0 || len(ports)%len(near) != 0 {
			continue
		}
		slices.SortStableFunc(near, func(a, b int) int { return strings.Compare(inv.Gpus[a].Pci, inv.Gpus[b].Pci) })
		slices.SortStableFunc(ports, func(a, b int) int { return strings.Compare(inv.Ports[a].Pci, inv.Ports[b].Pci) })
		each := len(ports) / len(near)
		for k, i := range ports {
			gpus[i], by[i] = near[k/each], NearOrder
			if len(near) == 1 {
				by[i] = NearNUMA
			}
		}
	}
}

func portKind(p *facts.Port) string { return p.Driver + " " + p.HcaType + " " + p.LinkLayer }

// commonKind is the kind that most ports are of; "" where two kinds are as frequent, or there is none.
func commonKind(ports []*facts.Port) (kind string) {
	count := map[string]int{}
	for _, p := range ports {
		count[portKind(p)]++
	}
	most := 0
	for k, n := range count {
		switch {
		case n > most:
			kind, most = k, n
		case n == most:
			kind = ""
		}
	}
	return kind
}

// sharedDepth counts the leading elements that two device paths share.
func sharedDepth(a, b string) int {
	n := 0
	for a != "" && b != "" {
		x, restA, _ := strings.Cut(a, "/")
		y, restB, _ := strings.Cut(b, "/")
		if x != y {
			break
		}
		n++
		a, b = restA, restB
	}
	return n
}
