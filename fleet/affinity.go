package fleet

import (
	"strings"

	"foretop/telemetry/facts"
)

// nearestGPUs pairs RDMA ports with GPUs by the PCI path that they share: a port belongs to the GPU behind the same switch. A pair that shares only the
// host bridge, or nothing, is none: -1. Each GPU takes the nearest free port first, so that one GPU a NIC comes out where the board is built so.
func nearestGPUs(inv *facts.Inventory) []int {
	out := make([]int, len(inv.Ports))
	taken := make([]bool, len(inv.Gpus))
	for i, p := range inv.Ports {
		best, depth := -1, 1
		for j, g := range inv.Gpus {
			d := sharedDepth(p.PciPath, g.PciPath)
			if d > depth || d == depth && best >= 0 && taken[best] && !taken[j] {
				best, depth = j, d
			}
		}
		out[i] = best
		if best >= 0 {
			taken[best] = true
		}
	}
	return out
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
