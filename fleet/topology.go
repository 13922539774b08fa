package fleet

import (
	"strconv"
	"strings"

	"foretop/telemetry/facts"
)

// TieKind says by what two devices are connected. The words are those of nvidia-smi topo -m.
type TieKind uint8

const (
	TieUnknown TieKind = iota
	TieSelf
	TieNVLink // directly, or through switches of its own
	TieXGMI
	TiePIX  // at most one PCIe switch
	TiePXB  // several PCIe switches, no host bridge
	TiePHB  // a PCIe host bridge
	TieNode // host bridges of one NUMA node
	TieSys  // the interconnect between NUMA nodes
	numTies
)

// Tie is how two devices are connected.
type Tie struct {
	Kind  TieKind
	Links int // of NVLink or xGMI, together
}

// String is the tie in at most four letters: "NV18", "PIX", "X"; "?" where it is not known.
func (t Tie) String() string {
	switch t.Kind {
	case TieNVLink:
		return "NV" + strconv.Itoa(t.Links)
	case TieXGMI:
		return "XG" + strconv.Itoa(t.Links)
	}
	return [numTies]string{"?", "X", "", "", "PIX", "PXB", "PHB", "NODE", "SYS"}[min(t.Kind, TieSys)]
}

// Meaning is the tie in words.
func (k TieKind) Meaning() string {
	return [numTies]string{"not known", "itself", "NVLinks", "xGMI links", "at most one PCIe switch", "several PCIe switches", "a PCIe host bridge",
		"host bridges of one NUMA node", "the interconnect between NUMA nodes"}[min(k, TieSys)]
}

// TopologyRow is one accelerator and its ties to each column.
type TopologyRow struct {
	Name string
	Ties []Tie
	NUMA int    // -1 unknown
	CPUs string // near it, as the kernel writes lists; "" unknown
}

// TopologyMatrix says how a node's accelerators are connected with one another and with its RDMA ports.
type TopologyMatrix struct {
	Columns []string // accelerators, then ports
	GPUs    int      // how many of the columns are accelerators
	Rows    []TopologyRow
}

// Topology makes the matrix of an inventory.
func Topology(inv *facts.Inventory) *TopologyMatrix {
	if inv == nil {
		return &TopologyMatrix{}
	}
	m := &TopologyMatrix{GPUs: len(inv.Gpus)}
	for i := range inv.Gpus {
		m.Columns = append(m.Columns, "GPU"+strconv.Itoa(i))
	}
	for _, p := range inv.Ports {
		name := p.Device
		if p.Port > 1 {
			name += "/" + strconv.Itoa(int(p.Port))
		}
		m.Columns = append(m.Columns, name)
	}
	links := linkTies(inv)
	for i, g := range inv.Gpus {
		row := TopologyRow{Name: m.Columns[i], NUMA: int(g.NumaNode), CPUs: g.CpuAffinity, Ties: make([]Tie, 0, len(m.Columns))}
		for j, h := range inv.Gpus {
			switch {
			case i == j:
				row.Ties = append(row.Ties, Tie{Kind: TieSelf})
			case links.tie(i, j).Kind != TieUnknown:
				row.Ties = append(row.Ties, links.tie(i, j))
			default:
				row.Ties = append(row.Ties, Tie{Kind: pcieTie(g.PciPath, h.PciPath, g.NumaNode, h.NumaNode)})
			}
		}
		for _, p := range inv.Ports {
			row.Ties = append(row.Ties, Tie{Kind: pcieTie(g.PciPath, p.PciPath, g.NumaNode, p.NumaNode)})
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

// gpuTies are the links between a node's accelerators.
type gpuTies struct {
	direct   map[[2]int]Tie
	switched []int // by GPU: its links to switches
}

// linkTies counts the links. Those that lead to switches reach every other accelerator that has such links.
func linkTies(inv *facts.Inventory) gpuTies {
	t := gpuTies{direct: map[[2]int]Tie{}, switched: make([]int, len(inv.Gpus))}
	if len(inv.GpuLinks) == 0 {
		return t
	}
	at := map[string]int{}
	for i, g := range inv.Gpus {
		if g.Pci != "" {
			at[g.Pci] = i
		}
	}
	for _, l := range inv.GpuLinks {
		if int(l.Gpu) >= len(inv.Gpus) {
			continue
		}
		kind := TieNVLink
		if strings.EqualFold(l.Kind, "xGMI") {
			kind = TieXGMI
		}
		switch l.Remote {
		case "switch":
			t.switched[l.Gpu]++
		case "gpu":
			if j, ok := at[l.RemotePci]; ok && l.RemotePci != "" {
				pair := [2]int{int(l.Gpu), j}
				t.direct[pair] = Tie{kind, t.direct[pair].Links + 1}
			}
		}
	}
	return t
}

// tie is how two accelerators are linked; the lesser end counts where one has links down or does not tell them.
func (t *gpuTies) tie(i, j int) Tie {
	for _, pair := range [...][2]int{{i, j}, {j, i}} {
		if d, ok := t.direct[pair]; ok {
			return d
		}
	}
	if n := min(t.switched[i], t.switched[j]); n > 0 {
		return Tie{TieNVLink, n}
	}
	return Tie{}
}

// pcieTie compares where two devices hang: the bridges above them, and their NUMA nodes where they share none.
func pcieTie(a, b string, numaA, numaB int32) TieKind {
	shared := 0
	if a != "" && b != "" {
		shared = sharedDepth(a, b)
	}
	switch {
	case shared == 1: // the root complex
		return TiePHB
	case shared > 1:
		// The last element is the device; between it and what is shared there is one port for each switch below the shared one.
		if strings.Count(a, "/")-shared > 1 || strings.Count(b, "/")-shared > 1 {
			return TiePXB
		}
		return TiePIX
	case numaA < 0 || numaB < 0:
		return TieUnknown
	case numaA == numaB:
		return TieNode
	}
	return TieSys
}
