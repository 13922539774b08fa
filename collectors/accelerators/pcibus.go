package accelerators

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// pciDevice is a device as /sys/bus/pci/devices lists it.
type pciDevice struct {
	address   string // dddd:bb:dd.f
	device    uint64
	subsystem uint64 // its device number; its vendor is not looked at
	driver    string // "" none
	gone      bool   // it is not listed any more: fallen off the bus, or taken out
}

// pciBus looks for the devices of one vendor.
type pciBus struct {
	root   kernfs.Root
	vendor uint64
	names  []string // as last listed
	found  []pciDevice
	buf    []byte
}

// goneNote is why a device that was there is not.
const goneNote = "gone from the PCI bus"

const maxDevices = 64 // accelerators of one kind that are listed

// scan lists the bus anew; changed says that found is another list than before. Devices that were there before are not read again, but for their driver.
// One that is not there any more stays in the list, for that it is gone is news for as long as somebody looks.
func (b *pciBus) scan() (changed bool, err error) {
	names, err := b.root.Names(pciDevices)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // no PCI at all
		}
		names = nil
	}
	var found []pciDevice
	for _, name := range names {
		i := slices.IndexFunc(b.found, func(d pciDevice) bool { return d.address == name })
		switch {
		case i >= 0:
			d := b.found[i]
			d.gone = false
			d.driver = b.root.Target(pciDevices + "/" + name + "/driver")
			found = append(found, d)
		case slices.Contains(b.names, name): // another vendor's
		default:
			if d, ok := b.read(name); ok {
				found = append(found, d)
			}
		}
	}
	for _, d := range b.found {
		if !slices.Contains(names, d.address) {
			d.gone = true
			at := len(found)
			for at > 0 && found[at-1].address > d.address {
				at--
			}
			found = append(found, d)
			copy(found[at+1:], found[at:])
			found[at] = d
		}
	}
	b.names = names
	found = found[:min(len(found), maxDevices)]
	changed = !slices.Equal(found, b.found)
	b.found = found
	return changed, err
}

func (b *pciBus) read(name string) (d pciDevice, ours bool) {
	folder := pciDevices + "/" + name + "/"
	if v, ok := b.hex(folder + "vendor"); !ok || v != b.vendor {
		return d, false
	}
	d = pciDevice{address: telemetry.Clean(strings.ToLower(name), 32), driver: b.root.Target(folder + "driver")}
	d.device, _ = b.hex(folder + "device")
	d.subsystem, _ = b.hex(folder + "subsystem_device")
	return d, true
}

// hex reads a file that holds a number such as 0x1ae0.
func (b *pciBus) hex(name string) (v uint64, ok bool) {
	var err error
	if b.buf, err = b.root.Read(name, b.buf); err != nil {
		return 0, false
	}
	return parseHex(kernfs.Trim(b.buf))
}

// pciPlace fills in where a device is: its path of bridges, its NUMA node, the CPUs near it.
func pciPlace(root kernfs.Root, address string, g *facts.GPU) {
	g.NumaNode = -1
	if address == "" || strings.Contains(address, "/") {
		return
	}
	g.Pci = address
	folder := pciDevices + "/" + address
	if link, err := os.Readlink(root.Path(folder)); err == nil {
		if _, path, ok := strings.Cut(link, "devices/"); ok {
			g.PciPath = telemetry.Clean(path, 512)
		}
	}
	if n, ok := kernfs.ParseUint([]byte(root.Word(folder + "/numa_node"))); ok && n < 1<<16 {
		g.NumaNode = int32(n)
	}
	g.CpuAffinity = telemetry.Clean(root.Word(folder+"/local_cpulist"), 256)
}

// pciLink sets the readings of a device's PCIe link.
func pciLink(root kernfs.Root, address string, s *telemetry.State, gpu int) {
	if address == "" {
		return
	}
	folder := pciDevices + "/" + address
	for _, f := range pcieFiles {
		if s.Clear(f.metric, gpu); root.Exists(folder + f.name) {
			if v := f.parse([]byte(root.Word(folder + f.name))); v != telemetry.Absent {
				s.Set(f.metric, gpu, v)
			}
		}
	}
}
