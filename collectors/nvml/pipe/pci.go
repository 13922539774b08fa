package pipe

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// PCIGPUs are the addresses of NVIDIA's display and 3D controllers, whether a driver has them or not: a GPU that the driver does not show is
// found with no log at all (sysfs: bus/pci/devices/*/{vendor,class}).
func PCIGPUs(root string) []string {
	var found []string
	devices, _ := os.ReadDir(root + "/sys/bus/pci/devices")
	for _, d := range devices {
		dir := root + "/sys/bus/pci/devices/" + d.Name()
		if vendor := word(dir + "/vendor"); vendor != "0x10de" {
			continue
		}
		if class := word(dir + "/class"); strings.HasPrefix(class, "0x0300") || strings.HasPrefix(class, "0x0302") {
			found = append(found, d.Name())
		}
	}
	return found
}

// BoundGPUs are the addresses that the kernel's nvidia driver has, in one read of a folder; nil where it is not loaded (sysfs: bus/pci/drivers/nvidia).
func BoundGPUs(root string) []string {
	var found []string
	devices, _ := os.ReadDir(root + "/sys/bus/pci/drivers/nvidia")
	for _, d := range devices {
		if strings.Contains(d.Name(), ":") {
			found = append(found, d.Name())
		}
	}
	return found
}

// NUMANode is that of a PCI device (dddd:bb:dd.f); -1 unknown (sysfs: bus/pci/devices/PCI/numa_node).
func NUMANode(root, pci string) int {
	n, err := strconv.Atoi(ofDevice(root, pci, "numa_node"))
	if err != nil {
		return -1
	}
	return n
}

// CPUs are those near a PCI device, as the kernel lists them; "" unknown (sysfs: bus/pci/devices/PCI/local_cpulist).
func CPUs(root, pci string) string { return ofDevice(root, pci, "local_cpulist") }

func ofDevice(root, pci, file string) string {
	if pci == "" || strings.Contains(pci, "/") {
		return ""
	}
	return word(root + "/sys/bus/pci/devices/" + pci + "/" + file)
}

// How reasons begin: of a GPU that works, but not for this user, and of one that does not work for anybody.
const (
	NotVisible = "not visible to this user"
	NotStarted = "not started by the driver"
)

// WhyUnseen says why the driver does not show a GPU of the PCI bus to this user, as far as it can be told without opening its device, which would
// start the GPU: whose it is (sysfs), its number (/proc/driver/nvidia/gpus/PCI/information), and whether this user, in this cgroup, may open it.
func WhyUnseen(root, pci string) string {
	driver, err := os.Readlink(root + "/sys/bus/pci/devices/" + pci + "/driver")
	name := driver[strings.LastIndexByte(driver, '/')+1:]
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no driver bound"
	case err == nil && name != "nvidia":
		return "bound to the driver " + name
	}
	minor := minorOf(root, pci)
	if minor == "" {
		return NotVisible
	}
	file := "/dev/nvidia" + minor
	switch err := mayOpen(root + file); {
	case err == nil:
		return NotStarted + ": this user may open " + file + ", so the kernel log may say why"
	case errors.Is(err, fs.ErrNotExist):
		return NotVisible + ": there is no " + file
	case isNotPermitted(err):
		return NotVisible + ": the cgroup does not allow " + file
	default:
		return NotVisible + ": no permission for " + file
	}
}

// minorOf is N of /dev/nvidiaN, "" unknown.
func minorOf(root, pci string) string {
	b, _ := os.ReadFile(root + "/proc/driver/nvidia/gpus/" + pci + "/information")
	for line := range strings.Lines(string(b)) {
		if key, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "Device Minor" {
			v = strings.TrimSpace(v)
			if _, err := strconv.ParseUint(v, 10, 16); err == nil {
				return v
			}
		}
	}
	return ""
}

func word(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}
