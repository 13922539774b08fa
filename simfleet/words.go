package simfleet

import (
	"slices"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// The collector's own user on each node, and its pid.
const (
	collectorUser = "foretop"
	collectorUID  = 990
	collectorPID  = 19820
)

// Hello is the first frame of a stream that starts at a moment.
func (n *Node) Hello(at time.Duration) *facts.Hello {
	return &facts.Hello{
		ProtocolMajor: telemetry.ProtocolMajor, ProtocolMinor: telemetry.ProtocolMinor, Build: "simulated",
		BootId: n.BootID(at), MachineId: machineID(n.id(word("machine"))), Hostname: n.name, Os: "Ubuntu 24.04.2 LTS", Kernel: "6.8.0-57-generic", Arch: "amd64",
		Uid: collectorUID, User: collectorUser, MonoMs: n.mono(at).Milliseconds(), WallMs: n.wall(at).Add(n.skew(at)).UnixMilli(), Pid: collectorPID, PidNamespace: 4026531836,
	}
}

// Notes are the words of the sources at a moment: only those that are not well have any. The version changes with them.
func (n *Node) Notes(at time.Duration) (version uint64, notes []*facts.SourceNote) {
	_, local := n.model.cycle(at)
	for i := range n.strikes {
		s := &n.strikes[i]
		if !s.on(local) {
			continue
		}
		since := n.mono(max(0, at-local+s.from)).Milliseconds()
		switch s.Kind {
		case KernelLogDenied:
			version |= 1
			notes = append(notes, &facts.SourceNote{
				Source: sourceKernelLog, State: facts.SourceState_SOURCE_DENIED, Text: "the kernel log may not be read",
				Remedy: "needs CAP_SYSLOG, or group adm or systemd-journal", SinceMonoMs: since,
			})
		case FSHung:
			version |= 2
			notes = append(notes, &facts.SourceNote{
				Source: sourceFilesystem, State: facts.SourceState_SOURCE_STUCK, Text: "statfs does not return: /data",
				Remedy: "the file server may be gone: see the kernel log for its name", SinceMonoMs: since,
			})
		}
	}
	return version, notes
}

// Usage is what the told processes, and the busiest others, use at a moment.
func (n *Node) Usage(at time.Duration) *facts.Usage {
	u := n.ToldUsage(at)
	for i, other := range [...]struct {
		comm, user, command string
		permille            uint32
		rss                 int64
	}{
		{"dcgm-exporter", "root", "/usr/bin/dcgm-exporter -f /etc/dcgm-exporter/default-counters.csv", 60, 210 * mib},
		{"systemd-journal", "root", "/usr/lib/systemd/systemd-journald", 9, 48 * mib},
		{"slurmd", "root", "/usr/sbin/slurmd -D -s", 2, 14 * mib},
		{"containerd", "root", "/usr/bin/containerd", 12, 96 * mib},
		{"foretop-collect", collectorUser, "foretop-collector", 3, 13 * mib},
	} {
		u.Top = append(u.Top, &facts.ProcessUsage{
			Pid: 1800 + 13*int32(i), StartTicks: 3100 + uint64(i), Comm: other.comm, User: other.user, Command: other.command, State: "S", Threads: 9,
			CpuMs: uint64(n.mono(at).Milliseconds()) * uint64(other.permille) / 1000, RssBytes: uint64(other.rss),
			CpuPermille: other.permille + uint32(n.id(uint64(i), uint64(at/time.Second))%3),
		})
	}
	return u
}

// ToldUsage is what the told processes use: what a collector tells at every level.
func (n *Node) ToldUsage(at time.Duration) *facts.Usage {
	_, list := n.Processes(at)
	_, local := n.model.cycle(at)
	u := &facts.Usage{}
	for i, p := range list {
		cores := uint32(4)
		state := "S"
		if len(p.Held) > 0 {
			cores, state = 900+uint32(n.id(uint64(p.Pid), uint64(at/time.Second))%200), "R"
			if n.stops(p, local) {
				cores, state = 0, "T"
			}
		}
		u.Told = append(u.Told, &facts.ProcessUsage{
			Pid: p.Pid, StartTicks: p.StartTicks, CpuMs: p.CpuMs, RssBytes: p.RssBytes, Threads: 24 + 40*uint32(len(p.Held)) + uint32(i), State: state, CpuPermille: cores,
		})
	}
	return u
}

// stops says whether a process is stopped.
func (n *Node) stops(p *facts.Process, local time.Duration) bool {
	return slices.ContainsFunc(p.Held, func(h *facts.Held) bool { return n.struck(RankStopped, int(h.Gpu), local) })
}

func machineID(h uint64) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 32)
	for i := range b {
		if i == 16 {
			h = scramble(h)
		}
		b[i] = digits[h>>(4*(i%16))&15]
	}
	return string(b)
}
