package accelerators

import (
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

const pciDevices = "sys/bus/pci/devices"

// isPCIAddress says whether a name is a PCI address as sysfs writes it: dddd:bb:dd.f.
func isPCIAddress(s string) bool {
	if len(s) != len("0000:00:00.0") || s[4] != ':' || s[7] != ':' || s[10] != '.' {
		return false
	}
	for i := range len(s) {
		if i != 4 && i != 7 && i != 10 && hexDigit(s[i]) < 0 {
			return false
		}
	}
	return true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// parseHex reads a number such as 0x74a1, with or without its 0x.
func parseHex(b []byte) (uint64, bool) {
	if len(b) > 2 && b[0] == '0' && b[1] == 'x' {
		b = b[2:]
	}
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		d := hexDigit(c)
		if d < 0 {
			return 0, false
		}
		v = v<<4 | uint64(d)
	}
	return v, true
}

// pciGenerations are the signalling rates in thousandths of GT/s, by PCIe generation less one.
var pciGenerations = [...]int64{2500, 5000, 8000, 16000, 32000, 64000}

// pciGeneration is the PCIe generation of a signalling rate, absent for one that is none's.
func pciGeneration(milliGT int64) int64 {
	for i, rate := range pciGenerations {
		if rate == milliGT {
			return int64(i + 1)
		}
	}
	return telemetry.Absent
}

// parseLinkSpeed reads "16.0 GT/s PCIe" as a PCIe generation; "Unknown" is absent.
func parseLinkSpeed(b []byte) int64 {
	w, rest := kernfs.Field(b)
	unit, _ := kernfs.Field(rest)
	v, ok := kernfs.ParseMilli(w)
	if !ok || string(unit) != "GT/s" {
		return telemetry.Absent
	}
	return pciGeneration(int64(v))
}

// slotPort is the folder of the device at which a card's own PCIe link ends. Cards hold a switch of their own: the GPU itself sits behind two bridges of the
// same maker, and its link to them says nothing of the slot. A bridge that the root complex has is never the card's, though a processor's maker may be the same.
func slotPort(sys sysfs, path, address, vendor string) string {
	port := pciDevices + "/" + address
	hops := strings.Split(path, "/")
	for i := len(hops) - 2; i > 1 && sys.word(pciDevices+"/"+hops[i]+"/vendor") == vendor; i-- {
		port = pciDevices + "/" + hops[i]
	}
	return port
}

// pcieFiles are the files of a PCI device that tell its link.
var pcieFiles = [...]struct {
	name   string
	metric telemetry.Metric
	parse  func([]byte) int64
}{
	{"/current_link_speed", telemetry.GPUPCIeGen, parseLinkSpeed},
	{"/max_link_speed", telemetry.GPUPCIeGenMax, parseLinkSpeed},
	{"/current_link_width", telemetry.GPUPCIeWidth, parseLanes},
	{"/max_link_width", telemetry.GPUPCIeWidthMax, parseLanes},
}

// putPCIe reads the state of a link. Width 0 is what the kernel writes of a link that it cannot ask.
func putPCIe(sys sysfs, port string, s *sheet) {
	for _, f := range pcieFiles {
		if b, err := sys.read(port + f.name); err == nil {
			s.put(f.metric, f.parse(b))
		}
	}
}

func parseLanes(b []byte) int64 {
	v, ok := kernfs.ParseUint(kernfs.Trim(b))
	if !ok || v == 0 || v > 32 {
		return telemetry.Absent
	}
	return int64(v)
}

// pciIdentity is what the PCI core itself says of a device. None of it touches the device, so it may be asked of one that sleeps.
type pciIdentity struct {
	address, driver       string
	vendor, device, class uint64
}

func readPCI(sys sysfs, address string) (p pciIdentity) {
	dir := pciDevices + "/" + address
	p.address, p.driver = address, sys.root.Target(dir+"/driver")
	p.vendor, p.device, p.class = sys.hex(dir+"/vendor"), sys.hex(dir+"/device"), sys.hex(dir+"/class")
	return p
}

// classAccelerator is the class of a processing accelerator (pci_ids.h, without the programming interface): MI300. Others call themselves display controllers.
const classAccelerator = 0x1200

// computes says whether a device is an accelerator by its numbers alone.
func (p pciIdentity) computes() bool {
	_, architecture := modelOf(p)
	return architecture != "" || p.class>>8 == classAccelerator
}
