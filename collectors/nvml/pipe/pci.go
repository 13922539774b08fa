package pipe

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PCIGPUs counts NVIDIA's display and 3D controllers, whether a driver has them or not: a GPU that the driver does not show is
// found with no log at all (sysfs: bus/pci/devices/*/{vendor,class}).
func PCIGPUs(sys string) int {
	n := 0
	devices, _ := filepath.Glob(filepath.Join(sys, "bus/pci/devices/*"))
	for _, d := range devices {
		vendor, _ := os.ReadFile(filepath.Join(d, "vendor"))
		if strings.TrimSpace(string(vendor)) != "0x10de" {
			continue
		}
		class, _ := os.ReadFile(filepath.Join(d, "class"))
		if strings.HasPrefix(string(class), "0x0300") || strings.HasPrefix(string(class), "0x0302") {
			n++
		}
	}
	return n
}

// NUMANode is that of a PCI device (dddd:bb:dd.f); -1 unknown (sysfs: bus/pci/devices/PCI/numa_node).
func NUMANode(sys, pci string) int {
	if pci == "" || strings.ContainsAny(pci, "/") {
		return -1
	}
	b, err := os.ReadFile(filepath.Join(sys, "bus/pci/devices", pci, "numa_node"))
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return -1
	}
	return n
}
