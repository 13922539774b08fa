//go:build !linux || portable

package collectors

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/net"
)

// elsewhere gives the readers of a system that has no /proc: gopsutil's knowledge of CPU, memory and network for one's own laptop. The other sources say that
// they are not read here. A fixture tree is read as on Linux.
func elsewhere(source string, m *machine) reader {
	if !m.root.Real() {
		return nil
	}
	switch source {
	case "cpu":
		return portable(func(ctx context.Context) error { return portableCPU(ctx, m) })
	case "memory":
		return portable(func(ctx context.Context) error { return portableMemory(ctx, m) })
	case "net":
		n := &portableNet{m: m}
		return portable(n.read)
	case "host":
		return portable(func(ctx context.Context) error { return portableHost(ctx, m) })
	case "self", "nvidia":
		return nil
	}
	return portable(func(context.Context) error { return unsupported("not read on " + runtime.GOOS) })
}

// portable is a reader that holds nothing open.
type portable func(context.Context) error

func (p portable) read(ctx context.Context) error { return p(ctx) }
func (p portable) close()                         {}

func portableCPU(ctx context.Context, m *machine) error {
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(times) == 0 {
		return unsupported("CPU times are not read on " + runtime.GOOS + " by this build")
	}
	avg, avgErr := load.AvgWithContext(ctx)
	m.board.mu.Lock()
	defer m.board.mu.Unlock()
	s, t := &m.board.state, times[0]
	m.board.read(telemetry.GroupHost, m.clock.MonoMS())
	for metric, seconds := range map[telemetry.Metric]float64{
		telemetry.CPUUserMS: t.User + t.Nice, telemetry.CPUSystemMS: t.System + t.Irq + t.Softirq, telemetry.CPUIdleMS: t.Idle, telemetry.CPUNiceMS: t.Nice,
	} {
		s.Set(metric, 0, milli(seconds))
	}
	if avgErr == nil {
		s.Set(telemetry.Load1Milli, 0, milli(avg.Load1))
		s.Set(telemetry.Load5Milli, 0, milli(avg.Load5))
		s.Set(telemetry.Load15Milli, 0, milli(avg.Load15))
	}
	return nil
}

// milli is thousandths; what is no number is absent.
func milli(v float64) int64 {
	if v = math.Round(v * 1000); v >= 0 && v < math.MaxInt64/2 {
		return int64(v)
	}
	return telemetry.Absent
}

func portableMemory(ctx context.Context, m *machine) error {
	v, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	swap, swapErr := mem.SwapMemoryWithContext(ctx)
	m.board.mu.Lock()
	defer m.board.mu.Unlock()
	s := &m.board.state
	s.SetUint(telemetry.MemTotalBytes, 0, v.Total)
	s.SetUint(telemetry.MemAvailableBytes, 0, v.Available)
	s.SetUint(telemetry.MemFreeBytes, 0, v.Free)
	if swapErr == nil {
		s.SetUint(telemetry.SwapTotalBytes, 0, swap.Total)
		s.SetUint(telemetry.SwapFreeBytes, 0, swap.Free)
	}
	if m.board.inventory.MemoryTotalBytes != v.Total {
		m.board.inventory.MemoryTotalBytes = v.Total
		m.board.generation++
	}
	return nil
}

// portableNetEvery is how often interfaces are read: gopsutil may start a program for it.
const portableNetEvery = 5 * time.Second

type portableNet struct {
	m     *machine
	names []string
	last  int64
}

func (n *portableNet) read(ctx context.Context) error {
	now := n.m.clock.MonoMS()
	if n.last != 0 && now-n.last < portableNetEvery.Milliseconds() {
		return nil
	}
	n.last = max(now, 1)
	counters, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return err
	}
	counters = slices.DeleteFunc(counters, func(c net.IOCountersStat) bool { return ephemeral(c.Name) || c.Name == "lo0" })
	counters = counters[:min(len(counters), maxNets)]
	names := make([]string, len(counters))
	nets := make([]*facts.Net, len(counters))
	for i, c := range counters {
		names[i], nets[i] = c.Name, &facts.Net{Name: telemetry.Clean(c.Name, 64)}
	}
	b := n.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(names, n.names) {
		n.names, b.inventory.Nets = names, nets
		b.resize(telemetry.ScopeNet, len(nets))
	}
	b.read(telemetry.GroupNet, now)
	for i, c := range counters {
		b.state.SetUint(telemetry.NetRxBytes, i, c.BytesRecv)
		b.state.SetUint(telemetry.NetTxBytes, i, c.BytesSent)
		b.state.SetUint(telemetry.NetRxPackets, i, c.PacketsRecv)
		b.state.SetUint(telemetry.NetTxPackets, i, c.PacketsSent)
		b.state.SetUint(telemetry.NetRxErrors, i, c.Errin)
		b.state.SetUint(telemetry.NetTxErrors, i, c.Errout)
	}
	return nil
}

func portableHost(ctx context.Context, m *machine) error {
	info, err := cpu.InfoWithContext(ctx)
	if err != nil {
		return err
	}
	threads, err := cpu.CountsWithContext(ctx, true)
	if err != nil {
		return err
	}
	cores, err := cpu.CountsWithContext(ctx, false)
	if err != nil {
		cores = threads
	}
	c := &facts.CPU{Sockets: 1, Cores: uint32(cores), Threads: uint32(threads)}
	if len(info) > 0 {
		c.Model = telemetry.Clean(info[0].ModelName, 128)
	}
	m.board.mu.Lock()
	defer m.board.mu.Unlock()
	if was := m.board.inventory.Cpu; was == nil || was.Model != c.Model || was.Threads != c.Threads {
		m.board.inventory.Cpu = c
		m.board.generation++
	}
	return nil
}
