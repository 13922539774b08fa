package fleet

import (
	"fmt"
	"strings"
	"testing"

	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// board builds inventories of machines: devices hang where the strings say.
type board struct{ inv facts.Inventory }

func (b *board) gpu(path string, numa int32) {
	b.inv.Gpus = append(b.inv.Gpus, &facts.GPU{PciPath: path, Pci: path[strings.LastIndex(path, "/")+1:], NumaNode: numa})
}

func (b *board) port(device, path string, numa int32, kind string) {
	b.inv.Ports = append(b.inv.Ports, &facts.Port{Device: device, Port: 1, PciPath: path, Pci: path[strings.LastIndex(path, "/")+1:], NumaNode: numa, HcaType: kind, Driver: "mlx5_core", LinkLayer: "InfiniBand"})
}

func (b *board) link(gpu, n int, remote, pci string) {
	for i := range n {
		b.inv.GpuLinks = append(b.inv.GpuLinks, &facts.GPULink{Gpu: uint32(gpu), Link: uint32(i), Kind: "NVLink", Remote: remote, RemotePci: pci})
	}
}

// table words a matrix as nvidia-smi topo -m would.
func (m *TopologyMatrix) table() string {
	var out strings.Builder
	for _, r := range m.Rows {
		fmt.Fprintf(&out, "%s:", r.Name)
		for i, t := range r.Ties {
			if i == m.GPUs {
				out.WriteString(" |")
			}
			out.WriteString(" " + t.String())
		}
		out.WriteString("\n")
	}
	return out.String()
}

// h100 is a board with eight GPUs behind four PCIe switches, two to a socket; at each switch two ports, and a ninth at a root port of socket 0.
func h100(nvlinks int) *facts.Inventory {
	b := &board{}
	at := func(i, slot int) string {
		root := [4]int{0x15, 0x3d, 0x97, 0xbd}[i/2]
		return fmt.Sprintf("pci0000:%02x/0000:%02x:01.0/0000:%02x:00.0/0000:%02x:%02x.0/0000:%02x:00.0", root, root, root+1, root+2, slot, root+3+slot)
	}
	for i := range 8 {
		b.gpu(at(i, i%2), int32(i/4))
		b.link(i, nvlinks, "switch", "")
	}
	for i := range 8 {
		b.port(fmt.Sprintf("mlx5_%d", i), at(i, 2+i%2), int32(i/4), "MT4129")
	}
	b.port("mlx5_8", "pci0000:26/0000:26:01.0/0000:29:00.0", 0, "MT4125")
	return &b.inv
}

// gb200 is a compute tray: four GPUs and four ports, each behind a host bridge of its own, two of each to a NUMA node.
func gb200() *facts.Inventory {
	b := &board{}
	for i, domain := range []string{"0008", "0009", "0018", "0019"} {
		b.gpu(fmt.Sprintf("pci%s:00/%s:00:00.0/%s:01:00.0", domain, domain, domain), int32(i/2))
		b.link(i, 18, "switch", "")
		b.link(i, 1, "cpu", "")
	}
	for i, domain := range []string{"0000", "0002", "0010", "0012"} {
		b.port(fmt.Sprintf("mlx5_%d", i), fmt.Sprintf("pci%s:00/%s:00:00.0/%s:03:00.0", domain, domain, domain), int32(i/2), "MT4129")
	}
	b.port("mlx5_4", "pci0006:00/0006:00:00.0/0006:01:00.0/0006:02:02.0/0006:03:00.0", 0, "MT41692")
	return &b.inv
}

// l40s is a server without NVLink: two GPUs at root ports of one host bridge, one behind a switch below another, one on the other socket; one port.
func l40s() *facts.Inventory {
	b := &board{}
	b.gpu("pci0000:20/0000:20:01.0/0000:21:00.0", 0)
	b.gpu("pci0000:20/0000:20:03.0/0000:22:00.0", 0)
	b.gpu("pci0000:40/0000:40:01.0/0000:41:00.0/0000:42:01.0/0000:43:00.0/0000:44:00.0/0000:45:00.0", 0)
	b.gpu("pci0000:a0/0000:a0:01.0/0000:a1:00.0", 1)
	b.port("mlx5_0", "pci0000:40/0000:40:01.0/0000:41:00.0/0000:42:00.0/0000:46:00.0", 0, "MT4125")
	return &b.inv
}

// nvl4 is four GPUs whose links go to one another, four to each; one has a link that leads to no GPU of the node.
func nvl4() *facts.Inventory {
	b := &board{}
	for i := range 4 {
		b.gpu(fmt.Sprintf("pci0000:%d0/0000:%d0:01.0/0000:%d1:00.0", i, i, i), int32(i/2))
	}
	for i := range 4 {
		for j := range 4 {
			if i != j {
				b.link(i, 4, "gpu", b.inv.Gpus[j].Pci)
			}
		}
	}
	b.link(0, 1, "gpu", "0000:99:00.0") // of no GPU of this node
	return &b.inv
}

func TestTopology(t *testing.T) {
	for _, c := range []struct {
		name string
		inv  *facts.Inventory
		want string
	}{
		{"eight H100 with NVSwitch", h100(18), `
GPU0: X NV18 NV18 NV18 NV18 NV18 NV18 NV18 | PIX PIX NODE NODE SYS SYS SYS SYS NODE
GPU1: NV18 X NV18 NV18 NV18 NV18 NV18 NV18 | PIX PIX NODE NODE SYS SYS SYS SYS NODE
GPU2: NV18 NV18 X NV18 NV18 NV18 NV18 NV18 | NODE NODE PIX PIX SYS SYS SYS SYS NODE
GPU3: NV18 NV18 NV18 X NV18 NV18 NV18 NV18 | NODE NODE PIX PIX SYS SYS SYS SYS NODE
GPU4: NV18 NV18 NV18 NV18 X NV18 NV18 NV18 | SYS SYS SYS SYS PIX PIX NODE NODE SYS
GPU5: NV18 NV18 NV18 NV18 NV18 X NV18 NV18 | SYS SYS SYS SYS PIX PIX NODE NODE SYS
GPU6: NV18 NV18 NV18 NV18 NV18 NV18 X NV18 | SYS SYS SYS SYS NODE NODE PIX PIX SYS
GPU7: NV18 NV18 NV18 NV18 NV18 NV18 NV18 X | SYS SYS SYS SYS NODE NODE PIX PIX SYS
`},
		{"the same without NVLink", h100(0), `
GPU0: X PIX NODE NODE SYS SYS SYS SYS | PIX PIX NODE NODE SYS SYS SYS SYS NODE
GPU1: PIX X NODE NODE SYS SYS SYS SYS | PIX PIX NODE NODE SYS SYS SYS SYS NODE
GPU2: NODE NODE X PIX SYS SYS SYS SYS | NODE NODE PIX PIX SYS SYS SYS SYS NODE
GPU3: NODE NODE PIX X SYS SYS SYS SYS | NODE NODE PIX PIX SYS SYS SYS SYS NODE
GPU4: SYS SYS SYS SYS X PIX NODE NODE | SYS SYS SYS SYS PIX PIX NODE NODE SYS
GPU5: SYS SYS SYS SYS PIX X NODE NODE | SYS SYS SYS SYS PIX PIX NODE NODE SYS
GPU6: SYS SYS SYS SYS NODE NODE X PIX | SYS SYS SYS SYS NODE NODE PIX PIX SYS
GPU7: SYS SYS SYS SYS NODE NODE PIX X | SYS SYS SYS SYS NODE NODE PIX PIX SYS
`},
		{"GB200", gb200(), `
GPU0: X NV18 NV18 NV18 | NODE NODE SYS SYS NODE
GPU1: NV18 X NV18 NV18 | NODE NODE SYS SYS NODE
GPU2: NV18 NV18 X NV18 | SYS SYS NODE NODE SYS
GPU3: NV18 NV18 NV18 X | SYS SYS NODE NODE SYS
`},
		{"L40S", l40s(), `
GPU0: X PHB NODE SYS | NODE
GPU1: PHB X NODE SYS | NODE
GPU2: NODE NODE X SYS | PXB
GPU3: SYS SYS SYS X | SYS
`},
		{"four GPUs linked to one another", nvl4(), `
GPU0: X NV4 NV4 NV4
GPU1: NV4 X NV4 NV4
GPU2: NV4 NV4 X NV4
GPU3: NV4 NV4 NV4 X
`},
		{"nothing is known", &facts.Inventory{Gpus: []*facts.GPU{{NumaNode: -1}, {NumaNode: 0}, {NumaNode: 0}}, Ports: []*facts.Port{{Device: "x", NumaNode: -1}}}, `
GPU0: X ? ? | ?
GPU1: ? X NODE | ?
GPU2: ? NODE X | ?
`},
		{"a hostile inventory", &facts.Inventory{Gpus: []*facts.GPU{{Pci: ""}}, GpuLinks: []*facts.GPULink{{Gpu: 9, Remote: "switch"}, {Gpu: 0, Remote: "gpu"}}}, "\nGPU0: X\n"},
		{"no GPUs", &facts.Inventory{Ports: []*facts.Port{{Device: "x"}}}, "\n"},
		{"no inventory", nil, "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, "\n"+Topology(c.inv).table()); d != "" {
				t.Error(d)
			}
		})
	}
	x := &facts.Inventory{Gpus: []*facts.GPU{{Pci: "a"}, {Pci: "b"}}, GpuLinks: []*facts.GPULink{{Gpu: 0, Kind: "xGMI", Remote: "gpu", RemotePci: "b"}}}
	if got := Topology(x).Rows[1].Ties[0].String(); got != "XG1" {
		t.Errorf("xGMI, told by one end: %s", got)
	}
}

func TestAffinity(t *testing.T) {
	pairs := func(inv *facts.Inventory) string {
		gpus, by := nearestGPUs(inv)
		var words []string
		for i, g := range gpus {
			words = append(words, fmt.Sprintf("%s→%d %s", inv.Ports[i].Device, g, by[i]))
		}
		return strings.Join(words, ", ")
	}
	vm := func(numa ...int32) *facts.Inventory { // all devices at one host bridge, as a hypervisor shows them
		b := &board{}
		for i := range 8 {
			b.gpu(fmt.Sprintf("pci0000:00/0000:%02x:00.0", 0x10+i), numa[i%len(numa)])
			b.port(fmt.Sprintf("rdmap%d", i), fmt.Sprintf("pci0000:00/0000:%02x:00.0", 0x50+i), numa[i%len(numa)], "")
		}
		return &b.inv
	}
	two := vm(0)
	two.Gpus, two.Ports = two.Gpus[:2], two.Ports[:4]
	two.Gpus[1].NumaNode, two.Ports[2].NumaNode, two.Ports[3].NumaNode = 1, 1, 1
	uneven := vm(0)
	uneven.Ports = uneven.Ports[:5]
	bond := h100(18)
	bond.Ports = []*facts.Port{{Device: "mlx5_bond_0", PciPath: "pci0000:3d/0000:3d:01.0/0000:3e:00.0/0000:3f:02.0/0000:42:00.0"}, {Device: "mlx5_bond_1", NumaNode: -1}}
	for _, c := range []struct {
		name string
		inv  *facts.Inventory
		want string
	}{
		{"H100: the switch decides, the ninth is nobody's", h100(18), "mlx5_0→0 PCIe, mlx5_1→1 PCIe, mlx5_2→2 PCIe, mlx5_3→3 PCIe, mlx5_4→4 PCIe, mlx5_5→5 PCIe, mlx5_6→6 PCIe, mlx5_7→7 PCIe, mlx5_8→-1 not known"},
		{"GB200: by NUMA node and order, the BlueField is nobody's", gb200(), "mlx5_0→0 a guess: same NUMA node, by order, mlx5_1→1 a guess: same NUMA node, by order, mlx5_2→2 a guess: same NUMA node, by order, mlx5_3→3 a guess: same NUMA node, by order, mlx5_4→-1 not known"},
		{"a machine of which two ports are each GPU's", two, "rdmap0→0 NUMA node, rdmap1→0 NUMA node, rdmap2→1 NUMA node, rdmap3→1 NUMA node"},
		{"five ports and eight GPUs", uneven, "rdmap0→-1 not known, rdmap1→-1 not known, rdmap2→-1 not known, rdmap3→-1 not known, rdmap4→-1 not known"},
		{"NUMA nodes unknown", func() *facts.Inventory { inv := vm(-1); inv.Ports = inv.Ports[:1]; return inv }(), "rdmap0→-1 not known"},
		{"a bond of one card, and one of two sockets", bond, "mlx5_bond_0→2 PCIe, mlx5_bond_1→-1 not known"},
		{"no ports", &facts.Inventory{Gpus: []*facts.GPU{{}}}, ""},
		{"no GPUs", &facts.Inventory{Ports: []*facts.Port{{Device: "x"}}}, "x→-1 not known"},
	} {
		if got := pairs(c.inv); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
