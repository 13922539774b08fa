package collectors

import (
	"os"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// pciPath says where a PCI device hangs, as a path of bridges under /sys/devices ("pci0000:15/0000:15:01.0/…"): two devices behind one switch share the
// beginning. Empty where sysfs does not tell. Source: the link /sys/bus/pci/devices/ADDRESS.
func pciPath(root kernfs.Root, address string) string {
	if address == "" || strings.Contains(address, "/") {
		return ""
	}
	link, err := os.Readlink(root.Path("sys/bus/pci/devices/" + address))
	if err != nil {
		return ""
	}
	_, path, ok := strings.Cut(link, "devices/")
	if !ok {
		return ""
	}
	return telemetry.Clean(path, 512)
}
