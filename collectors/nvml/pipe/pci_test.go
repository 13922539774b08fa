package pipe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree writes files under a new root: a path that ends in → is a symbolic link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, v := range files {
		link := strings.HasSuffix(name, "→")
		path := filepath.Join(root, strings.TrimSuffix(name, "→"))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if link {
			err = os.Symlink(v, path)
		} else {
			err = os.WriteFile(path, []byte(v), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestPCIGPUs(t *testing.T) {
	const devices = "sys/bus/pci/devices/"
	root := tree(t, map[string]string{
		devices + "0000:19:00.0/vendor": "0x10de\n", devices + "0000:19:00.0/class": "0x030200\n", devices + "0000:19:00.0/numa_node": "1\n",
		devices + "0000:19:00.0/local_cpulist": "0-55,112-167\n",
		devices + "0000:01:00.0/vendor":        "0x10de\n", devices + "0000:01:00.0/class": "0x030000\n",
		devices + "0000:01:00.1/vendor": "0x10de\n", devices + "0000:01:00.1/class": "0x040300\n", // its sound
		devices + "0000:05:00.0/vendor": "0x10de\n", devices + "0000:05:00.0/class": "0x068000\n", // an NVSwitch
		devices + "0000:87:00.0/vendor": "0x1002\n", devices + "0000:87:00.0/class": "0x038000\n", // AMD's
		devices + "0000:88:00.0/vendor":   "",
		"sys/bus/pci/drivers/nvidia/bind": "", "sys/bus/pci/drivers/nvidia/0000:19:00.0→": "../../../../devices/pci0000:15/0000:19:00.0",
	})
	if got := PCIGPUs(root); !slices.Equal(got, []string{"0000:01:00.0", "0000:19:00.0"}) {
		t.Errorf("GPUs %v", got)
	}
	if got := BoundGPUs(root); !slices.Equal(got, []string{"0000:19:00.0"}) {
		t.Errorf("bound %v", got)
	}
	if n, none, bad := NUMANode(root, "0000:19:00.0"), NUMANode(root, "0000:01:00.0"), NUMANode(root, "../../etc"); n != 1 || none != -1 || bad != -1 {
		t.Errorf("NUMA nodes %d, %d, %d", n, none, bad)
	}
	if got := CPUs(root, "0000:19:00.0"); got != "0-55,112-167" {
		t.Errorf("CPUs %q", got)
	}
	if PCIGPUs(t.TempDir()) != nil || BoundGPUs(t.TempDir()) != nil {
		t.Error("GPUs of nothing")
	}
}

func TestWhyUnseen(t *testing.T) {
	const device, proc = "sys/bus/pci/devices/0000:19:00.0/", "proc/driver/nvidia/gpus/0000:19:00.0/information"
	information := "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 331\nBus Location: \t 0000:19:00.0\nDevice Minor: \t 3\nGPU Excluded:\t No\n"
	for why, files := range map[string]map[string]string{
		"no driver bound":                                    {device + "vendor": "0x10de\n"},
		"bound to the driver vfio-pci":                       {device + "driver→": "../../../../bus/pci/drivers/vfio-pci"},
		"not visible to this user":                           {device + "driver→": "../../../../bus/pci/drivers/nvidia"},
		"not visible to this user: there is no /dev/nvidia3": {device + "driver→": "../../../../bus/pci/drivers/nvidia", proc: information},
		"not started by the driver: this user may open /dev/nvidia3, so the kernel log may say why": {device + "driver→": "../../../../bus/pci/drivers/nvidia",
			proc: information, "dev/nvidia3": ""},
	} {
		if got := WhyUnseen(tree(t, files), "0000:19:00.0"); got != why {
			t.Errorf("%q, want %q", got, why)
		}
	}
	for _, broken := range []string{"", "Device Minor", "Device Minor:", "Device Minor: ../../etc", "Device Minor: -1", "Device Minor: 99999999999"} {
		root := tree(t, map[string]string{device + "driver→": "../nvidia", proc: broken})
		if got := WhyUnseen(root, "0000:19:00.0"); got != NotVisible {
			t.Errorf("%q: %q", broken, got)
		}
	}
}
