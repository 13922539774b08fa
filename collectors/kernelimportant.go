package collectors

import "bytes"

// importantLines are the beginnings of lines that mean trouble, and what they hold besides. They have an allowance of their own, so that no noise
// keeps one back: a device or the node itself is lost, memory is, a process was killed, or something stands still. What they mean is the front end's to say.
var importantLines = []struct{ start, has string }{
	{"NVRM: Xid (", ""}, {"NVRM: ", "allen off the bus"}, {"NVRM: ", "failed"}, {"NVRM: The NVIDIA GPU ", ""}, {"NVRM: Rate limiting", ""},
	{"nvidia-nvswitch", "SXid ("}, {"nvidia-peermem ", " ERROR "},
	{"Out of memory", "Killed process "}, {"Memory cgroup out of memory", ""}, {"oom-kill:constraint=", ""}, {"", " invoked oom-killer: "},
	{"oom_reaper: ", ""}, {"Tasks in ", "memory.oom.group"},
	{"Kernel panic - ", ""}, {"kernel BUG at ", ""}, {"BUG: ", ""}, {"Oops: ", ""}, {"general protection fault", ""}, {"Unable to handle kernel ", ""},
	{"Internal error: ", ""}, {"INFO: task ", " blocked "}, {"watchdog: ", ""}, {"NMI watchdog: ", ""}, {"rcu: INFO: ", " stall"}, {"INFO: rcu", " stall"},
	{"mce: ", "ardware "}, {"[Hardware Error]: ", ""}, {"{", "[Hardware Error]: "}, {"Memory failure: ", ""}, {"EDAC MC", " UE "},
	{"", "Bus Error: severity=Uncorrect"}, {"", ": AER: "}, {"", ": DPC: "}, {"", "device inaccessible"}, {"", "; giving up"}, {"pcieport ", "pciehp: "},
	{"nvme ", "timeout, "}, {"nvme ", "Disabling device"}, {"nvme ", "Removing after"}, {"nvme ", "not ready"}, {"nvme ", "controller is down"}, {"block nvme", "no available path"},
	{"EXT4-fs", "ead-only"}, {"EXT4-fs error", ""}, {"Aborting journal", ""}, {"XFS (", "hut"}, {"XFS (", "orruption"}, {"BTRFS critical", ""},
	{"BTRFS info", "forced readonly"}, {"md/", "Disk failure"}, {"md/", "not enough"},
	{"nfs: server ", ""}, {"Lustre", "onnection "}, {"Lustre", "evicted by"}, {"GPFS ", ""}, {"mmfs", "["},
	{"mlx5_core ", "health"}, {"mlx5_core ", "Health"}, {"mlx5_core ", "hardware error"}, {"mlx5_core ", "Port module event"}, {"mlx5_core ", "cause a leak"},
	{"mlx5_core ", "bad device"}, {"mlx5_core ", "High temperature"}, {"mlx5_core ", "insufficient power"}, {"mlx5_core ", "atal error"},
	{"amdgpu ", "reset"}, {"amdgpu ", " lost "}, {"amdgpu ", "ncorrectable"}, {"amdgpu ", "CTF"}, {"amdgpu ", " timeout"}, {"amdgpu ", "unrecoverable"}, {"[drm:amdgpu", "*ERROR*"},
	{"i915 ", "HANG"}, {"i915 ", "reset"}, {"xe ", "wedged"}, {"xe ", "reset"}, {"xe ", "Timedout"},
	{"habanalabs ", "eset"}, {"habanalabs ", "eartbeat"}, {"accel ", "eset"}, {"accel ", "eartbeat"},
	{"bond", "definitely"}, {"bond", "without any active"}, {"", ": Link down"}, {"", ": Link up"}, {"", "ink is Down"}, {"", "ink is Up"}, {"", "ink is down"},
	{"", "NETDEV WATCHDOG: "}, {"thermal ", "critical temperature"}, {"bnxt_en ", "irmware "}, {"ice ", "ailed"}, {"ice ", "ecovery mode"}, {"ena ", "eset"}, {"efa ", "eset"},
}

const urgentLevel = 2 // emergency, alert, critical

// important says whether a line is one of them.
func important(level uint32, text []byte) bool {
	if level <= urgentLevel {
		return true
	}
	for i := range importantLines {
		l := &importantLines[i]
		if len(text) >= len(l.start) && string(text[:len(l.start)]) == l.start && (l.has == "" || bytes.Contains(text, []byte(l.has))) {
			return true
		}
	}
	return false
}
