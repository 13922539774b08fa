package simfleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"foretop/telemetry/facts"
)

// bootSequence is the number of the first record after the boot messages: the ring keeps a dozen of those.
const bootSequence = 2210

// line is one record of a node's kernel log.
type line struct {
	at    time.Duration // of virtual time
	level uint32
	text  string
}

// KernelLog are the records after a sequence number, oldest first, as the ring holds them at a moment. A node whose collector may not read its kernel log has none.
func (n *Node) KernelLog(at time.Duration, after uint64) []*facts.KernelRecord {
	_, local := n.model.cycle(at)
	if n.kernelDenied(local) {
		return nil
	}
	if len(n.strikes) == 0 && after+1 >= bootSequence { // nearly all nodes, nearly always
		return nil
	}
	boot, _ := n.booted(at)
	faults, skipped := n.faultLines(boot, at)
	lines := append(n.bootLines(boot), faults...)
	first := uint64(bootSequence - bootLineCount)
	var out []*facts.KernelRecord
	for i, l := range lines {
		sequence := first + uint64(i)
		if i >= bootLineCount {
			sequence += uint64(skipped)
		}
		if sequence > after {
			out = append(out, &facts.KernelRecord{Sequence: sequence, Level: l.level, MonoUs: (l.at - boot).Microseconds(), Text: l.text})
		}
	}
	return out
}

func (n *Node) kernelDenied(local time.Duration) bool {
	return slices.ContainsFunc(n.strikes, func(s strike) bool { return s.Kind == KernelLogDenied && s.on(local) })
}

// bootLineCount is the length of bootLines.
const bootLineCount = 14

func (n *Node) bootLines(boot time.Duration) []line {
	s := func(seconds float64) time.Duration { return boot + time.Duration(seconds*float64(time.Second)) }
	lines := []line{
		{s(0), 5, "Linux version 6.8.0-57-generic (buildd@lcy02-amd64-041) (gcc 13.3.0) #59-Ubuntu SMP PREEMPT_DYNAMIC"},
		{s(2.11), 6, "smp: Brought up 2 nodes, 192 CPUs"},
		{s(6.02), 6, "nvme nvme0: 64/0/0 default/read/poll queues"},
		{s(8.4), 6, "EXT4-fs (nvme0n1p2): mounted filesystem with ordered data mode. Quota mode: none."},
		{s(11.9), 6, "nvidia-nvlink: Nvlink Core is being initialized, major device number 234"},
		{s(12.6), 6, "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  " + driverVersion + "  Release Build"},
		{s(14.2), 6, "mlx5_core 0000:18:00.0: firmware version: 28.39.2048"},
		{s(14.3), 6, "mlx5_core 0000:18:00.0: 252.048 Gb/s available PCIe bandwidth (32.0 GT/s PCIe x16 link)"},
		{s(16.8), 6, "mlx5_core 0000:29:00.0 ens6f0np0: Link up"},
		{s(18.1), 6, "mlx5_core 0000:18:00.0 ibp24s0: Link up"},
		{s(18.9), 6, "XFS (md0): Mounting V5 Filesystem"},
		{s(24.5), 6, "Lustre: Mounted data-client"},
		{s(27.3), 6, "nvidia-uvm: Loaded the UVM driver, major device number 511."},
		{s(31), 6, "ixgbe 0000:21:00.0 eno3: NIC Link is Up 1 Gbps, Flow Control: None"},
	}
	return lines[:bootLineCount]
}

// ringCycles is how many repetitions of a scenario the ring holds.
const ringCycles = 3

// faultLines are what the kernel said since it booted, as far as the ring still holds it, and how many lines it has lost.
func (n *Node) faultLines(boot, at time.Duration) (out []line, skipped int) {
	k, _ := n.model.cycle(at)
	oldest := max(0, k-ringCycles+1)
	perCycle := 0
	for i := range n.strikes {
		s := &n.strikes[i]
		for _, moment := range s.moments {
			perCycle += len(s.says(n, 0, moment))
			for cycle := oldest; cycle <= k; cycle++ {
				start := time.Duration(cycle) * n.model.scenario.Repeat
				if start+moment > at {
					break
				}
				for _, l := range s.says(n, start, moment) {
					if l.at >= boot && l.at <= at {
						out = append(out, l)
					}
				}
			}
		}
	}
	if boot <= 0 { // a node that reboots in each cycle has lost nothing
		skipped = oldest * perCycle
	}
	slices.SortStableFunc(out, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	return out, skipped
}

// says is what the kernel prints at one moment of a fault, in the words of the real drivers (osinit.c, kernel_rc.c and gpu.c of NVIDIA's open
// kernel modules, en_main.c of mlx5, mm/oom_kill.c).
func (s *strike) says(n *Node, start, moment time.Duration) []line {
	at := start + moment
	switch s.Kind {
	case GPULost:
		pci, uuid := gpuPCI[s.GPU], n.gpuUUID(s.GPU)
		return []line{
			{at, 3, fmt.Sprintf("NVRM: GPU at PCI:%s: %s", pci[:10], uuid)},
			{at, 3, "NVRM: GPU Board Serial Number: " + n.gpuSerial(s.GPU)},
			{at, 3, fmt.Sprintf("NVRM: Xid (PCI:%s): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.", pci[:10])},
			{at, 3, fmt.Sprintf("NVRM: GPU %s: GPU has fallen off the bus.", pci)},
			{at + 60*time.Millisecond, 3, fmt.Sprintf("NVRM: Xid (PCI:%s): 154, pid='<unknown>', name=<unknown>, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)", pci[:10])},
		}
	case ECC:
		pci, pid := gpuPCI[s.GPU], s.pid(n, start+moment)
		return []line{
			{at, 3, fmt.Sprintf("NVRM: GPU at PCI:%s: %s", pci[:10], n.gpuUUID(s.GPU))},
			{at, 3, fmt.Sprintf("NVRM: Xid (PCI:%s): 94, pid=%d, name=python3, Contained: CE User Channel (0x9). RST: No, D-RST: No", pci[:10], pid)},
			{at + 40*time.Millisecond, 3, fmt.Sprintf("NVRM: Xid (PCI:%s): 63, pid=%d, name=python3, Row Remapper: New row marked for remapping, reset gpu to activate.", pci[:10], pid)},
		}
	case MemoryErrors:
		return []line{{at, 3, "EDAC MC3: 1 CE memory read error on CPU_SrcID#1_MC#1_Chan#0_DIMM#0 (channel:0 slot:0 page:0x3a5 offset:0x0 grain:32 syndrome:0x0 - err_code:0x0101:0x0090)"}}
	case RowRemap:
		return []line{{at, 3, fmt.Sprintf("NVRM: Xid (PCI:%s): 63, pid='<unknown>', name=<unknown>, Row Remapper: New row marked for remapping, reset gpu to activate.", gpuPCI[s.GPU][:10])}}
	case RecoveryAction:
		return []line{{at, 3, fmt.Sprintf("NVRM: Xid (PCI:%s): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)", gpuPCI[s.GPU][:10])}}
	case NVLinkDown:
		return []line{{at, 3, fmt.Sprintf("NVRM: Xid (PCI:%s): 74, pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link %d(0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)", gpuPCI[s.GPU][:10], downLink)}}
	case LinkFlap:
		return []line{
			{at, 6, fmt.Sprintf("mlx5_core %s %s: Link down", portPCI[s.Port], portNet[s.Port])},
			{at + flapFor, 6, fmt.Sprintf("mlx5_core %s %s: Link up", portPCI[s.Port], portNet[s.Port])},
		}
	case OOMKill:
		return s.oomLines(n, start, moment)
	}
	return nil
}

// pid is a rank of the struck job here.
func (s *strike) pid(n *Node, at time.Duration) int32 {
	_, list := n.Processes(at)
	for _, p := range list {
		for _, h := range p.Held {
			if s.job != nil && (s.Kind == OOMKill && p.Uid == s.job.uid() || int(h.Gpu) == s.GPU) {
				return p.Pid
			}
		}
	}
	return 1
}

func (s *strike) oomLines(n *Node, start, moment time.Duration) []line {
	at := start + moment
	pid, uid := s.pid(n, at-time.Millisecond), s.job.uid()
	kb := memoryBytes / kib / int64(max(1, s.job.ranks))
	group := fmt.Sprintf("/system.slice/slurmstepd.scope/job_%d", s.job.id)
	if l := (launch{node: n, job: s.job}); s.job.launcher != torchrunSlurm && s.job.launcher != srunRanks && s.job.launcher != jaxSlurm {
		group = l.cgroup()
	}
	return []line{
		{at, 4, "python3 invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0"},
		{at, 6, fmt.Sprintf("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0-1,global_oom,task_memcg=%s,task=python3,pid=%d,uid=%d", group, pid, uid)},
		{at, 3, fmt.Sprintf("Out of memory: Killed process %d (python3) total-vm:%dkB, anon-rss:%dkB, file-rss:91244kB, shmem-rss:8388608kB, UID:%d pgtables:%dkB oom_score_adj:0", pid, kb*2, kb, uid, kb/450)},
		{at + 900*time.Millisecond, 6, fmt.Sprintf("oom_reaper: reaped process %d (python3), now anon-rss:0kB, file-rss:0kB, shmem-rss:8388608kB", pid)},
	}
}
