package findings

import (
	"fmt"
	"slices"
	"strings"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// versionOf are the versions that nodes of one kind should have alike.
var versionOf = [...]struct {
	what string
	of   func(n *fleet.Node) string
}{
	{"GPU driver", gpuDriver},
	{"GPU firmware", func(n *fleet.Node) string { return ofGPUs(n, (*facts.GPU).GetFirmware) }},
	{"VBIOS", func(n *fleet.Node) string { return ofGPUs(n, (*facts.GPU).GetVbios) }},
	{"adapter firmware", adapterFirmware},
	{"kernel", func(n *fleet.Node) string {
		if n.Hello == nil {
			return ""
		}
		return n.Hello.Kernel
	}},
}

func gpuDriver(n *fleet.Node) string {
	if v := n.Inventory.GpuDriverVersion; v != "" {
		return v
	}
	return ofGPUs(n, (*facts.GPU).GetDriver)
}

// ofGPUs is a word that all GPUs of a node have; several where they differ.
func ofGPUs(n *fleet.Node, of func(*facts.GPU) string) string {
	first := ""
	for i, g := range n.Inventory.Gpus {
		switch w := of(g); {
		case i == 0:
			first = w
		case w != first:
			return strings.Join(differentWords(n.Inventory.Gpus, of), " and ")
		}
	}
	return first
}

func differentWords(gpus []*facts.GPU, of func(*facts.GPU) string) []string {
	var words []string
	for _, g := range gpus {
		if w := of(g); !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	slices.Sort(words)
	return words
}

// adapterFirmware is of the ports beside GPUs, else of the first port.
func adapterFirmware(n *fleet.Node) string {
	for i := range n.Ports {
		if p := &n.Ports[i]; p.GPU >= 0 && p.Fact != nil {
			return p.Fact.Firmware
		}
	}
	if len(n.Inventory.Ports) > 0 {
		return n.Inventory.Ports[0].Firmware
	}
	return ""
}

// versions tells nodes whose driver, firmware or kernel is not their peers'. All that differs of a node is told at once.
func (c *comparing) versions(nodes []*fleet.Node) {
	odd := map[*fleet.Node]*fleet.Problem{}
	var order []*fleet.Node
	for i := range versionOf {
		v := &versionOf[i]
		usual, alike, told, ok := most(nodes, func(n *fleet.Node) (string, bool) { w := v.of(n); return w, w != "" })
		if !ok || alike == told {
			continue
		}
		for _, n := range nodes {
			is := v.of(n)
			if is == "" || is == usual {
				continue
			}
			p := odd[n]
			if p == nil {
				first := problem("hw.differs", fleet.Notice, "differs from its peers:")
				p = &first
				odd[n] = p
				order = append(order, n)
			} else {
				p.Text += ","
			}
			p.Text += " " + v.what + " " + short(is, 60)
			p.Evidence = append(p.Evidence, fmt.Sprintf("%s %s, %d of %d peers have %s", v.what, short(is, 80), alike, told, short(usual, 80)))
			if i == 0 {
				if job := c.mixed(n, usual); job != "" {
					p.Severity = fleet.Warning
					p.Evidence = append(p.Evidence, "job "+job+" runs on both")
				}
			}
		}
	}
	for _, n := range order {
		p := odd[n]
		p.Text = short(p.Text, 160)
		c.add(n, *p)
	}
}

// mixed names a job of the node that runs on a node with the usual driver too; "" none.
func (c *comparing) mixed(n *fleet.Node, usual string) string {
	for _, key := range n.Jobs {
		j := c.snap.Job(key)
		if j == nil || len(j.Nodes) < 2 {
			continue
		}
		for _, name := range j.Nodes {
			if o := c.snap.Node(name); o != nil && o != n && o.Inventory != nil && gpuDriver(o) == usual {
				return j.ID
			}
		}
	}
	return ""
}
