package findings

// kernelRule is the rule under which a kind of kernel line is told: of each kind that the tables know. "" for what is no problem of its own.
func kernelRule(kind string) string {
	switch kind {
	case "xid":
		return "hw.xid"
	case "sxid":
		return "hw.sxid"
	case "gpu":
		return "hw.gpu-driver"
	case "aer", "pcie":
		return "hw.pcie-errors"
	case "iommu":
		return "hw.iommu"
	case "nvme", "block", "md":
		return "hw.disk"
	case "fs":
		return "hw.filesystem"
	case "nfs", "lustre", "gpfs":
		return "hw.fs-server"
	case "link", "bond", "ib":
		return "hw.link"
	case "mlx5", "mlx5_cmd", "nic":
		return "hw.nic"
	case "mce", "edac":
		return "hw.memory"
	case "cpu_heat", "thermal":
		return "hw.host-heat"
	case "oom":
		return "node.oom"
	case "hung_task", "lockup":
		return "node.hung"
	case "panic", "kernel_warning":
		return "node.kernel"
	case "crash", "nccl":
		return "node.crash"
	}
	return ""
}
