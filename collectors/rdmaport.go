package collectors

import (
	"slices"
	"strconv"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	infiniBand = "InfiniBand" // link_layer
	maxGIDs    = 8            // looked at for one that is not empty

	permissiveLID = 0xffff // of a port that has none yet
)

// describe reads what a port is, save what it could do.
func (r *rdmaReader) describe(device string, port uint32) *facts.Port {
	root := r.m.root
	dir := rdmaClass + "/" + device
	at := portDir(device, port)
	word := func(name string) string { return telemetry.Clean(root.Word(name), 128) }
	p := &facts.Port{
		Device: telemetry.Clean(device, 64), Port: port, LinkLayer: word(at + "/link_layer"), Firmware: word(dir + "/fw_ver"), Guid: word(dir + "/node_guid"),
		Rate: word(at + "/rate"), Pci: telemetry.Clean(root.Target(dir+"/device"), 64), Driver: telemetry.Clean(root.Target(dir+"/device/driver"), 64),
		NumaNode: numaNode(root, dir+"/device/numa_node"), HcaType: word(dir + "/hca_type"), BoardId: word(dir + "/board_id"), SystemGuid: word(dir + "/sys_image_guid"),
		Gid: firstGID(root, at),
	}
	if p.LinkLayer == infiniBand {
		p.Lid, p.SmLid = r.readLID(at+"/lid"), r.readLID(at+"/sm_lid")
	}
	p.Netdev = netdevOf(root, dir, at, port)
	p.PciPath = pciPath(root, p.Pci)
	if slaves := slavesOf(root, p.Netdev); p.Netdev != "" && len(slaves) > 0 {
		r.describeBond(p, slaves)
	}
	return p
}

func portDir(device string, port uint32) string {
	return rdmaClass + "/" + device + "/ports/" + strconv.FormatUint(uint64(port), 10)
}

// describeBond places the one device of a bond of RoCE ports (mlx5_bond_0) where all its members are.
func (r *rdmaReader) describeBond(p *facts.Port, slaves []string) {
	var paths []string
	for _, s := range slaves {
		paths = append(paths, pciPath(r.m.root, r.m.root.Target(netClass+s+"/device")))
		if n := numaNode(r.m.root, netClass+s+"/device/numa_node"); n != p.NumaNode {
			p.NumaNode = noNUMANode
		}
	}
	p.PciPath = commonPath(paths)
}

// netdevOf finds the network interface of a port: the one of its first GID, else the device's interface of that port.
func netdevOf(root kernfs.Root, dir, at string, port uint32) string {
	if name := root.Word(at + "/gid_attrs/ndevs/0"); name != "" {
		return telemetry.Clean(name, 64)
	}
	names, _ := root.Names(dir + "/device/net")
	names = slices.DeleteFunc(names, func(n string) bool { return strings.Contains(n, ".") }) // child partitions
	for _, n := range names {
		if v, _, err := root.Number(dir+"/device/net/"+n+"/dev_port", nil); err == nil && v+1 == uint64(port) {
			return telemetry.Clean(n, 64)
		}
	}
	if len(names) == 1 {
		return telemetry.Clean(names[0], 64)
	}
	return ""
}

// firstGID is the port's first GID that is not empty; "" where all are.
func firstGID(root kernfs.Root, at string) string {
	for i := range maxGIDs {
		gid := root.Word(at + "/gids/" + strconv.Itoa(i))
		if gid == "" {
			return ""
		}
		if strings.Trim(gid, "0:") != "" && !strings.HasSuffix(gid, ":0000:0000:0000:0000") {
			return telemetry.Clean(gid, 64)
		}
	}
	return ""
}

// readLID reads a local identifier, "0x1f"; 0: none.
func (r *rdmaReader) readLID(name string) uint32 {
	var err error
	if r.buf, err = r.m.root.Read(name, r.buf); err != nil {
		return 0
	}
	return parseLID(r.buf)
}

func parseLID(b []byte) uint32 {
	v, err := strconv.ParseUint(string(kernfs.Trim(b)), 0, 32)
	if err != nil || v == permissiveLID {
		return 0
	}
	return uint32(v)
}

// checkLIDs looks whether the subnet manager has moved, or gave the port another address: nothing else tells.
func (r *rdmaReader) checkLIDs(p *rdmaPort) {
	if p.fact.LinkLayer == infiniBand && (r.readLID(p.dir+"/lid") != p.fact.Lid || r.readLID(p.dir+"/sm_lid") != p.fact.SmLid) {
		r.changed = true
	}
}

// retell describes the ports anew when one changed, at most as often as errors are read: a link that flaps does not make an inventory each second.
func (r *rdmaReader) retell(due bool) {
	if !r.changed || !due {
		return
	}
	r.changed = false
	ports := make([]*facts.Port, len(r.ports))
	for i, p := range r.ports {
		was := p.fact
		p.fact = r.describe(p.device, was.Port)
		ports[i] = p.fact
	}
	r.readCapabilities()
	b := r.m.board
	b.mu.Lock()
	b.inventory.Ports = ports
	b.generation++
	b.mu.Unlock()
}

// readCapabilities finds what each port could do at best, and says whence that is known: from the link modes that the driver of its interface supports, else
// from the kind of its device, of which there may be slower makes.
func (r *rdmaReader) readCapabilities() {
	call, done, err := r.m.options.ethtool()
	if err == nil {
		defer done()
	}
	buf := make([]byte, linkHeadBytes+12*maxLinkWords)
	for _, p := range r.ports {
		p.current.rateMax, p.fact.RateMax = telemetry.Absent, ""
		names := slavesOf(r.m.root, p.fact.Netdev)
		if len(names) == 0 && p.fact.Netdev != "" {
			names = []string{p.fact.Netdev}
		}
		for _, name := range names {
			if err != nil {
				break
			}
			a := newAdapter(name, p.fact.Driver)
			if a.readSpeed(call, buf); a.maxMbps > p.current.rateMax {
				p.current.rateMax, p.fact.RateMax = a.maxMbps, "ethtool"
			}
		}
		for _, k := range kindsOfDevice {
			if p.fact.RateMax == "" && k.hcaType == p.fact.HcaType {
				p.current.rateMax, p.fact.RateMax = k.mbps, "kind of device"
			}
		}
	}
}

// kindsOfDevice are the rates of the fastest ports of a kind, in Mbit/s, by hca_type: MT and the PCI device ID in decimal.
var kindsOfDevice = [...]struct {
	hcaType string
	mbps    int64
}{
	{"MT4115", 100_000},                                              // ConnectX-4
	{"MT4117", 50_000},                                               // ConnectX-4 Lx
	{"MT4119", 100_000},                                              // ConnectX-5
	{"MT4121", 100_000},                                              // ConnectX-5 Ex
	{"MT4123", 200_000},                                              // ConnectX-6
	{"MT4125", 200_000},                                              // ConnectX-6 Dx
	{"MT4127", 50_000},                                               // ConnectX-6 Lx
	{"MT4129", 400_000},                                              // ConnectX-7
	{"MT4131", 800_000},                                              // ConnectX-8
	{"MT41682", 100_000}, {"MT41686", 200_000}, {"MT41692", 400_000}, // BlueField 1, 2 and 3
}

// pcieLink is the PCIe link of a device: generation and width, now and at best; Absent where they are not told.
type pcieLink [4]int64

var pcieMetrics = [4]telemetry.Metric{telemetry.PortPCIeGen, telemetry.PortPCIeGenMax, telemetry.PortPCIeWidth, telemetry.PortPCIeWidthMax}

var noPCIeLink = pcieLink{telemetry.Absent, telemetry.Absent, telemetry.Absent, telemetry.Absent}

// readPCIeLink reads {current,max}_link_{speed,width} of a PCI device. At best is what both the device and the port above it can: a card in a slot of an
// older generation is not degraded.
func readPCIeLink(root kernfs.Root, device string, buf []byte) (l pcieLink, _ []byte) {
	var err error
	gen := func(name string) int64 {
		if buf, err = root.Read(device+name, buf); err != nil {
			return telemetry.Absent
		}
		return parseLinkSpeed(buf)
	}
	width := func(name string) int64 {
		var v uint64
		if v, buf, err = root.Number(device+name, buf); err == nil && v > 0 && v <= 32 {
			return int64(v)
		}
		return telemetry.Absent
	}
	l = pcieLink{gen("/current_link_speed"), gen("/max_link_speed"), width("/current_link_width"), width("/max_link_width")}
	if above := gen("/../max_link_speed"); above != telemetry.Absent && above < l[1] {
		l[1] = above
	}
	if above := width("/../max_link_width"); above != telemetry.Absent && above < l[3] {
		l[3] = above
	}
	return l, buf
}

// parseLinkSpeed gives the PCIe generation of "32.0 GT/s PCIe" or "8 GT/s"; Absent for anything else, such as "Unknown".
func parseLinkSpeed(b []byte) int64 {
	w, rest := kernfs.Field(b)
	unit, _ := kernfs.Field(rest)
	milli, ok := kernfs.ParseMilli(w)
	if !ok || string(unit) != "GT/s" {
		return telemetry.Absent
	}
	for gen, m := range [...]uint64{2500, 5000, 8000, 16_000, 32_000, 64_000} {
		if m == milli {
			return int64(gen) + 1
		}
	}
	return telemetry.Absent
}
