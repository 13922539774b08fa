package findings

import (
	"strings"

	"foretop/fleet"
)

// nvrm reads the NVIDIA driver's lines beside Xids, and amdgpu's.
func nvrm(line string) (fleet.KernelClass, bool) {
	switch {
	case strings.HasPrefix(line, "NVRM: "):
		switch {
		case strings.Contains(line, "allen off the bus"):
			return sayAt(fleet.Critical, "gpu", "GPU: fell off the bus", line)
		case strings.Contains(line, "RmInitAdapter failed"), strings.Contains(line, "rm_init_adapter failed"):
			return sayAt(fleet.Critical, "gpu", "GPU: did not initialise", line)
		case strings.Contains(line, "probe routine failed"):
			return say(fleet.Critical, "gpu", "GPU: the driver could not take it")
		case strings.Contains(line, "Rate limiting GSP RPC error prints"):
			return sayAt(fleet.Warning, "gpu", "GPU: GSP errors no longer printed, silence says nothing", line)
		}
	case strings.HasPrefix(line, "amdgpu "), strings.HasPrefix(line, "[drm:amdgpu"):
		switch {
		case strings.Contains(line, "*ERROR* ring "):
			return sayAt(fleet.Warning, "gpu", "amdgpu: ring timeout", line)
		case strings.Contains(line, "GPU reset begin"):
			return sayAt(fleet.Warning, "gpu", "amdgpu: GPU reset", line)
		case strings.Contains(line, "VRAM is lost"):
			return sayAt(fleet.Critical, "gpu", "amdgpu: memory lost in a reset", line)
		}
	case strings.HasPrefix(line, "nvidia-peermem ") && strings.Contains(line, " ERROR "):
		return say(fleet.Warning, "gpu", "nvidia-peermem: invalid context")
	}
	return no()
}

// pcie reads AER reports: "pcieport 0000:80:01.1: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction Layer, (Requester ID)".
func pcie(line string) (fleet.KernelClass, bool) {
	_, what, ok := strings.Cut(line, "PCIe Bus Error: severity=")
	if !ok {
		return no()
	}
	switch {
	case strings.HasPrefix(what, "Correct"):
		return sayAt(fleet.Notice, "aer", "PCIe: correctable error", line)
	case strings.Contains(what, "(Non-Fatal)"):
		return sayAt(fleet.Warning, "aer", "PCIe: uncorrectable error", line)
	case strings.Contains(what, "(Fatal)"):
		return sayAt(fleet.Critical, "aer", "PCIe: fatal error", line)
	}
	return no()
}
