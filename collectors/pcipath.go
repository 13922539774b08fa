package collectors

import (
	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// pciPath is [kernfs.Root.PCIPath], fit to travel.
func pciPath(root kernfs.Root, address string) string {
	return telemetry.Clean(root.PCIPath(address), 512)
}
