package findings

import (
	"fmt"
	"strconv"

	"foretop/fleet"
)

// counts tells nodes with fewer GPUs than their peers. Where a quarter or more are missing the board may be made so.
func (c *comparing) counts(nodes []*fleet.Node) {
	of := func(n *fleet.Node) (int, bool) {
		all := len(n.GPUs) + len(n.Inventory.UnseenGpus)
		return all, all > 0
	}
	usual, alike, told, ok := most(nodes, of)
	if !ok || alike == told {
		return
	}
	for _, n := range nodes {
		here, has := of(n)
		if !has || here >= usual {
			continue
		}
		p := problem("hw.gpu-missing", fleet.Notice, fmt.Sprintf("%d GPUs, its peers have %d", here, usual))
		if 4*(usual-here) <= usual {
			p.Severity = fleet.Warning
		}
		p.Evidence = []string{"there: " + addresses(n), fmt.Sprintf("%d of %d nodes of its kind have %d", alike, told, usual)}
		c.add(n, p)
	}
}

// pcieCan is what a GPU's link to the bus is, and could be at most.
type pcieCan struct{ width, most float64 }

// leastPCIe is that of the node's worst GPU. The generation that a link has now changes with its load: what counts is the most that it can have.
func leastPCIe(n *fleet.Node) (least pcieCan, told bool) {
	for i := range n.GPUs {
		s := n.GPUs[i].Slow
		if !(s.PCIeWidth > 0) || !(s.PCIeGenMax > 0) {
			continue
		}
		if !told {
			least = pcieCan{float64(s.PCIeWidth), float64(s.PCIeGenMax)}
		}
		told = true
		least.width, least.most = min(least.width, float64(s.PCIeWidth)), min(least.most, float64(s.PCIeGenMax))
	}
	return least, told
}

// pcie tells GPUs whose link is less than their peers' on other nodes: a riser, a setting of the BIOS.
func (c *comparing) pcie(nodes []*fleet.Node) {
	usual, alike, told, ok := most(nodes, leastPCIe)
	if !ok || alike == told {
		return
	}
	for _, n := range nodes {
		if least, has := leastPCIe(n); !has || least.width >= usual.width && least.most >= usual.most {
			continue
		}
		for i := range n.GPUs {
			g := &n.GPUs[i]
			text := ""
			switch s := g.Slow; {
			case s.PCIeWidth > 0 && float64(s.PCIeWidth) < usual.width:
				text = fmt.Sprintf("PCIe ×%.0f, on its peers ×%.0f", float64(s.PCIeWidth), usual.width)
			case s.PCIeGenMax > 0 && float64(s.PCIeGenMax) < usual.most:
				text = fmt.Sprintf("PCIe at most generation %.0f, on its peers %.0f", float64(s.PCIeGenMax), usual.most)
			default:
				continue
			}
			p := problem("hw.pcie", fleet.Warning, "GPU"+strconv.Itoa(g.Index)+" "+text)
			p.GPU, p.Evidence = g.Index, []string{fmt.Sprintf("%d of %d nodes of its kind have ×%.0f, generation %.0f", alike, told, usual.width, usual.most)}
			c.add(n, p)
		}
	}
}

// slowestPort is the least rate of the active ports beside GPUs, in Mbit/s.
func slowestPort(n *fleet.Node) (least float64, told bool) {
	for i := range n.Ports {
		if p := &n.Ports[i]; p.GPU >= 0 && p.State == portActive && p.RateMbps > 0 {
			if !told || float64(p.RateMbps) < least {
				least = float64(p.RateMbps)
			}
			told = true
		}
	}
	return least, told
}

// rates tells ports that are slower than those of other nodes: all of a node may be, behind a switch that is.
func (c *comparing) rates(nodes []*fleet.Node) {
	usual, alike, told, ok := most(nodes, slowestPort)
	if !ok || alike == told {
		return
	}
	for _, n := range nodes {
		if least, has := slowestPort(n); !has || least >= usual {
			continue
		}
		for i := range n.Ports {
			q := &n.Ports[i]
			if q.GPU < 0 || q.State != portActive || !(float64(q.RateMbps) < usual) || !(q.RateMbps > 0) {
				continue
			}
			p := problem("hw.port-rate", fleet.Warning, q.Name+" runs at "+gbps(q.RateMbps)+" Gb/s, on its peers at "+gbps(fleet.Reading(usual)))
			p.Port, p.Evidence = i, append(portEvidence(q), fmt.Sprintf("%d of %d nodes of its kind run at %s Gb/s", alike, told, gbps(fleet.Reading(usual))))
			c.add(n, p)
		}
	}
}

// served is how many of a node's GPUs have an RDMA port below the same PCIe switch, and the first that has none.
func served(n *fleet.Node) (with, first int) {
	has := [maxSubjects]bool{}
	for i := range n.Ports {
		if p := &n.Ports[i]; p.GPU >= 0 && p.GPU < maxSubjects && p.Near == fleet.NearPCIe {
			has[p.GPU] = true
		}
	}
	first = -1
	for i := range min(len(n.GPUs), maxSubjects) {
		if has[i] {
			with++
		} else if first < 0 {
			first = i
		}
	}
	return with, first
}

// affinity tells nodes on which fewer GPUs have a port beside them than on their peers: an adapter is missing, or sits in another slot.
func (c *comparing) affinity(nodes []*fleet.Node) {
	of := func(n *fleet.Node) (int, bool) {
		with, _ := served(n)
		return with, len(n.GPUs) > 0
	}
	usual, alike, told, ok := most(nodes, of)
	if !ok || alike == told {
		return
	}
	for _, n := range nodes {
		with, first := served(n)
		if with >= usual || first < 0 || len(n.GPUs) < usual { // a GPU that is missing is told as such
			continue
		}
		p := problem("hw.affinity", fleet.Warning, fmt.Sprintf("%d of %d GPUs have a NIC beside them, on its peers %d", with, len(n.GPUs), usual))
		p.Evidence = []string{"GPU" + strconv.Itoa(first) + " has none: " + addressOf(n, first), fmt.Sprintf("%d of %d nodes of its kind have %d", alike, told, usual)}
		c.add(n, p)
	}
}

// oddAffinity tells a node that is unlike itself: nearly all of its GPUs have a port beside them.
func (c *comparing) oddAffinity(n *fleet.Node) {
	if n.State != fleet.Live || n.Inventory == nil || len(n.GPUs) < manyGPUs || len(n.Ports) == 0 {
		return
	}
	with, first := served(n)
	if with == len(n.GPUs) || 4*with < 3*len(n.GPUs) {
		return
	}
	for _, p := range c.found[n.Name] {
		if p.Rule == "hw.affinity" {
			return
		}
	}
	p := problem("hw.affinity", fleet.Notice, fmt.Sprintf("GPU%d has no NIC beside it, %d others have", first, with))
	p.Evidence = []string{"GPU" + strconv.Itoa(first) + ": " + addressOf(n, first)}
	c.add(n, p)
}

// manyGPUs is how many GPUs a node must have to be told that one of them is unlike the others.
const manyGPUs = 4

func addressOf(n *fleet.Node, gpu int) string {
	if gpu < len(n.GPUs) && n.GPUs[gpu].Info.Pci != "" {
		return "PCI " + n.GPUs[gpu].Info.Pci
	}
	return "PCI address not told"
}

// limits tells nodes whose GPUs may all draw less than their peers'.
func (c *comparing) limits(nodes []*fleet.Node) {
	of := func(n *fleet.Node) (float64, bool) {
		highest := 0.0
		for i := range n.GPUs {
			highest = max(highest, n.GPUs[i].PowerLimitW.Or(0))
		}
		return highest, highest > 0
	}
	usual, alike, told, ok := most(nodes, of)
	if !ok || alike == told {
		return
	}
	for _, n := range nodes {
		if highest, has := of(n); has && highest < usual*(1-lowerBy/100.0) {
			p := problem("hw.power-limit", fleet.Notice, fmt.Sprintf("power limit of its GPUs %.0f W, of its peers' %.0f W", highest, usual))
			p.Evidence = []string{fmt.Sprintf("%d of %d nodes of its kind have %.0f W", alike, told, usual)}
			c.add(n, p)
		}
	}
}
