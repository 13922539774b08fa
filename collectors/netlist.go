package collectors

import (
	"slices"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	netClass      = "sys/class/net/"
	linkIPoIB     = "32" // ARPHRD_INFINIBAND
	maxSlaves     = 16
	noNUMANode    = -1
	maxNUMANodes  = 1 << 16
	maxDeviceName = 64
)

// choose decides which interfaces are told, physical ones first, and puts them into the inventory. Those that come and go with every
// container are not told: they would make a new inventory each time.
func (r *netReader) choose() {
	type candidate struct {
		line *netLine
		net  *facts.Net
	}
	var all []candidate
	for i := range r.lines {
		name := r.lines[i].name
		if ephemeral(name) {
			continue
		}
		all = append(all, candidate{&r.lines[i], describeNet(r.m.root, name)})
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		switch {
		case a.net.Physical && !b.net.Physical:
			return -1
		case b.net.Physical && !a.net.Physical:
			return 1
		}
		return strings.Compare(a.net.Name, b.net.Name)
	})
	all = all[:min(len(all), maxNets)]
	same := len(all) == len(r.devices) && len(all) > 0
	nets := make([]*facts.Net, len(all))
	for i, c := range all {
		nets[i] = c.net
		same = same && r.devices[i].name == c.line.name && r.devices[i].master == c.net.Master
	}
	if same {
		return
	}
	for _, d := range r.devices {
		d.close()
	}
	r.devices = make([]*netDevice, len(all))
	for i, c := range all {
		dir := netClass + c.line.name
		d := &netDevice{name: c.line.name, master: c.net.Master, operstate: r.m.root.Hold(dir + "/operstate"), carrier: r.m.root.Hold(dir + "/carrier"),
			carrierChanges: r.m.root.Hold(dir + "/carrier_changes"), counters: c.line.counters, seen: true, speed: telemetry.Absent, maxMbps: telemetry.Absent, pci: c.net.Pci}
		for k := range d.stats {
			d.stats[k] = telemetry.Absent
		}
		if c.net.Physical && r.m.root.Word(dir+"/type") != linkIPoIB { // IPoIB counts nothing that its RDMA port does not
			d.adapter = newAdapter(c.line.name, c.net.Driver)
		}
		r.devices[i] = d
	}
	r.roundMS, r.linksMS = 0, 0
	r.m.board.mu.Lock()
	r.m.board.inventory.Nets = nets
	r.m.board.resize(telemetry.ScopeNet, len(nets))
	r.m.board.mu.Unlock()
}

// describeNet reads what an interface is: /sys/class/net/NAME.
func describeNet(root kernfs.Root, name string) *facts.Net {
	dir := netClass + name
	n := &facts.Net{Name: telemetry.Clean(name, maxDeviceName), Physical: root.Exists(dir + "/device"), Driver: telemetry.Clean(root.Target(dir+"/device/driver"), maxDeviceName),
		Master: telemetry.Clean(root.Target(dir+"/master"), maxDeviceName), NumaNode: noNUMANode}
	if mode, err := root.Read(dir+"/bonding/mode", nil); err == nil {
		n.BondMode = parseBondMode(mode)
	}
	if pci := root.Target(dir + "/device"); isPCI(pci) {
		n.Pci = pci
	}
	n.NumaNode = numaNode(root, dir+"/device/numa_node")
	return n
}

// parseBondMode is the name in "802.3ad 4" (Documentation/networking/bonding.rst).
func parseBondMode(b []byte) string {
	w, _ := kernfs.Field(b)
	return telemetry.Clean(string(w), maxDeviceName)
}

// parseSlaves lists the interfaces of a bond: the words of bonding/slaves.
func parseSlaves(b []byte) (names []string) {
	for len(names) < maxSlaves {
		var w []byte
		if w, b = kernfs.Field(b); len(w) == 0 {
			break
		}
		if name := string(w); len(name) <= maxDeviceName && name != "." && name != ".." && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	return names
}

// slavesOf are the interfaces that a bond is made of; nil for any other interface.
func slavesOf(root kernfs.Root, bond string) []string {
	b, err := root.Read(netClass+bond+"/bonding/slaves", nil)
	if err != nil {
		return nil
	}
	return parseSlaves(b)
}

// numaNode reads a device's NUMA node; -1 where the kernel does not know it.
func numaNode(root kernfs.Root, name string) int32 {
	if n, _, err := root.Number(name, nil); err == nil && n < maxNUMANodes {
		return int32(n)
	}
	return noNUMANode
}

// ephemeral says whether an interface belongs to one container, or is the loopback.
func ephemeral(name string) bool {
	if name == "lo" {
		return true
	}
	for _, p := range []string{"veth", "cali", "lxc", "cilium_", "tap", "vnet", "ifb", "dummy", "kube-ipvs", "nodelocaldns", "gre", "sit", "ip6tnl", "tunl", "erspan", "ip_vti", "ip6_vti"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
