package findings

import (
	"strings"

	"foretop/fleet"
)

// storage reads disks and local file systems.
func storage(line string) (fleet.KernelClass, bool) {
	switch {
	case strings.HasPrefix(line, "nvme nvme"):
		device, what, _ := strings.Cut(line[len("nvme "):], ": ")
		switch {
		case strings.Contains(what, "Disabling device after reset failure"):
			return say(fleet.Critical, "nvme", short(device, 16)+": given up after a failed reset")
		case strings.Contains(what, " timeout, "):
			return say(fleet.Warning, "nvme", short(device, 16)+": I/O timeout")
		}
	case strings.HasPrefix(line, "block nvme") && strings.Contains(line, "no available path - failing I/O"):
		return say(fleet.Critical, "nvme", between(line, "block ", ":")+": no path to it")
	case strings.Contains(line, "critical medium error, dev "), strings.Contains(line, "I/O error, dev "):
		return say(fleet.Warning, "block", "disk "+between(line, "error, dev ", ",")+": I/O error")
	case strings.HasPrefix(line, "Buffer I/O error on dev"):
		return say(fleet.Warning, "block", "disk "+between(strings.TrimPrefix(line, "Buffer I/O error on dev"), " ", ",")+": I/O error")
	case strings.HasPrefix(line, "EXT4-fs"):
		device := between(line, "device ", ")")
		if device == "" {
			device = between(line, "(", ")")
		}
		switch {
		case strings.Contains(line, "Remounting filesystem read-only"):
			return say(fleet.Critical, "fs", "ext4 "+device+": now read-only")
		case strings.HasPrefix(line, "EXT4-fs error"), strings.Contains(line, "I/O error while writing superblock"):
			return say(fleet.Warning, "fs", "ext4 "+device+": error")
		}
	case strings.HasPrefix(line, "Aborting journal on device "):
		return say(fleet.Critical, "fs", "ext4 "+short(strings.TrimRight(line[len("Aborting journal on device "):], "."), 24)+": journal aborted")
	case strings.HasPrefix(line, "XFS ("):
		device := "xfs " + between(line, "XFS (", ")")
		switch {
		case strings.Contains(line, "hutting down filesystem"), strings.Contains(line, "has been shut down"):
			return say(fleet.Critical, "fs", device+": shut down")
		case strings.Contains(line, "I/O Error"), strings.Contains(line, "orruption"), strings.Contains(line, "unmount the filesystem and rectify"):
			return say(fleet.Warning, "fs", device+": error")
		}
	case strings.HasPrefix(line, "md/") && strings.Contains(line, "Disk failure on "):
		return say(fleet.Critical, "md", "md: disk "+between(line, "Disk failure on ", " ")+" failed")
	}
	return no()
}

// remote reads network file systems. They say when they are well again.
func remote(line string) (fleet.KernelClass, bool) {
	switch {
	case strings.HasPrefix(line, "nfs: server "):
		server, what, _ := strings.Cut(line[len("nfs: server "):], " ")
		subject := "NFS server " + short(server, 48)
		switch {
		case strings.HasPrefix(what, "not responding"):
			return say(fleet.Warning, "nfs", subject+": does not answer")
		case strings.HasPrefix(what, "OK"):
			return say(fleet.Fine, "nfs", subject+": answers again")
		}
	case strings.HasPrefix(line, "nfs4_reclaim_open_state: Lock reclaim failed"), strings.HasPrefix(line, "NFS: nfs4_reclaim_open_state: Lock reclaim failed"):
		return say(fleet.Warning, "nfs", "NFS: a lock was lost")
	case strings.HasPrefix(line, "Lustre: "), strings.HasPrefix(line, "LustreError: "):
		switch {
		case strings.Contains(line, "Connection to ") && strings.Contains(line, " was lost"):
			return say(fleet.Warning, "lustre", "Lustre "+lustreTarget(line, "Connection to ")+": connection lost")
		case strings.Contains(line, "Connection restored to "):
			return say(fleet.Fine, "lustre", "Lustre "+lustreTarget(line, "Connection restored to ")+": connection restored")
		case strings.Contains(line, "was evicted by"):
			return say(fleet.Warning, "lustre", "Lustre: this client was evicted")
		}
	}
	return no()
}

func lustreTarget(line, after string) string {
	_, s, _ := strings.Cut(line, after)
	s, _, _ = strings.Cut(s, " ")
	return short(s, 40)
}

// network reads Mellanox adapters and interfaces. A pure InfiniBand port that goes down prints nothing: its state tells.
func network(line string) (fleet.KernelClass, bool) {
	if strings.HasPrefix(line, "mlx5_core ") {
		switch {
		case strings.Contains(line, "health compromised"), strings.Contains(line, "unrecoverable hardware error"):
			return sayAt(fleet.Critical, "mlx5", "mlx5: device health compromised", line)
		case strings.Contains(line, "Will cause a leak of a command resource"):
			return sayAt(fleet.Critical, "mlx5", "mlx5: firmware command timed out", line)
		case strings.Contains(line, "Port module event") && strings.Contains(line, "Cable unplugged"):
			return sayAt(fleet.Warning, "mlx5", "mlx5: cable unplugged", line)
		case strings.Contains(line, "Port module event[error]"):
			return sayAt(fleet.Warning, "mlx5", "mlx5: cable or module error", line)
		case strings.Contains(line, "insufficient power on the PCIe slot"):
			return sayAt(fleet.Warning, "mlx5", "mlx5: too little power from its slot", line)
		case strings.Contains(line, "High temperature on sensors"):
			return sayAt(fleet.Warning, "mlx5", "mlx5: too hot", line)
		}
	}
	switch {
	case strings.HasSuffix(line, ": Link down"), strings.HasSuffix(line, ": Link up"):
		before := line[:strings.LastIndex(line, ": Link ")]
		name := before[strings.LastIndexByte(before, ' ')+1:]
		if strings.HasSuffix(line, "down") {
			return sayAt(fleet.Warning, "link", "link "+short(name, 24)+": down", line)
		}
		return sayAt(fleet.Fine, "link", "link "+short(name, 24)+": up", line)
	case strings.Contains(line, "NETDEV WATCHDOG: ") && strings.Contains(line, "transmit queue "):
		return say(fleet.Warning, "link", "network: transmit queue timed out")
	}
	return no()
}
