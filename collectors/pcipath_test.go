package collectors

import (
	"os"
	"path/filepath"
	"testing"

	"foretop/collectors/kernfs"
)

func TestPCIPath(t *testing.T) {
	dir := t.TempDir()
	devices := filepath.Join(dir, "sys/bus/pci/devices")
	if err := os.MkdirAll(devices, 0o755); err != nil {
		t.Fatal(err)
	}
	for address, link := range map[string]string{
		"0000:18:00.0": "../../../devices/pci0000:15/0000:15:01.0/0000:16:00.0/0000:18:00.0",
		"0000:99:00.0": "elsewhere",
	} {
		if err := os.Symlink(link, filepath.Join(devices, address)); err != nil {
			t.Fatal(err)
		}
	}
	for address, want := range map[string]string{
		"0000:18:00.0": "pci0000:15/0000:15:01.0/0000:16:00.0/0000:18:00.0",
		"0000:99:00.0": "", "0000:aa:00.0": "", "": "", "../../x": "",
	} {
		if got := pciPath(kernfs.Root(dir), address); got != want {
			t.Errorf("pciPath(%q) = %q, want %q", address, got, want)
		}
	}
}
