package simfleet

import (
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Faults of hardware that nothing dies of at once, as scenario files name them.
const (
	PCIeNarrow   Kind = "pcie-narrow"   // a GPU's link to the bus has half of its lanes
	SlowClock    Kind = "slow-clock"    // a GPU's clock is lower than its peers', and nothing says why; its job slows with it
	OldDriver    Kind = "old-driver"    // the node has another driver than its peers
	PortSlow     Kind = "port-slow"     // a port runs at half of its rate
	WrongNIC     Kind = "wrong-nic"     // what a job's ranks say to one another goes over the storage adapter
	ClockSkew    Kind = "clock-skew"    // the node's wall clock is ahead
	MemoryErrors Kind = "memory-errors" // a memory module wears out
	FSHung       Kind = "fs-hung"       // a file system does not answer
	DiskFull     Kind = "disk-full"     // the root file system has no room left
)

const (
	skewAhead        = 4 * time.Second
	correctedPerS    = 2     // errors of a module that wears out
	tellsEvery       = 20    // seconds between the kernel's lines of them: it is asked not to tell all
	hungProcesses    = 9     // that wait for the file system
	wrongWayBytes    = 4.8e9 // bytes a second that TCP carries
	oldDriverVersion = "550.54.15"
)

// wearOut are the moments at which the kernel says something of memory errors.
func (s *strike) wearOut() {
	end := s.to
	if end == forever {
		end = s.from + time.Hour
	}
	for at := s.from + time.Second; at < end; at += tellsEvery * time.Second {
		s.moments = append(s.moments, at)
	}
}

// outdate gives a node with an older driver its words.
func (n *Node) outdate(inv *facts.Inventory) {
	for i := range n.strikes {
		if n.strikes[i].Kind == OldDriver && inv.GpuDriverVersion != "" {
			inv.GpuDriverVersion, inv.CudaVersion = oldDriverVersion, "12.4"
			for _, g := range inv.Gpus {
				g.Driver, g.Firmware = oldDriverVersion, "GSP "+oldDriverVersion
			}
		}
	}
}

// skew is by how much the node's wall clock is ahead.
func (n *Node) skew(at time.Duration) time.Duration {
	_, local := n.model.cycle(at)
	for i := range n.strikes {
		if s := &n.strikes[i]; s.Kind == ClockSkew && s.on(local) {
			return skewAhead
		}
	}
	return 0
}

// misroute sends what a job's ranks say to one another over the storage adapter's interface.
func (v *vitals) misroute(n *Node, l *load, local time.Duration) {
	for i := range n.strikes {
		s := &n.strikes[i]
		if s.Kind != WrongNIC || !s.on(local) {
			continue
		}
		moved := 0.0
		for g := range l.netGBs {
			moved += l.netGBs[g] * 1e9
			l.netGBs[g] = 0
		}
		moved = min(moved, wrongWayBytes)
		v.host.netRX[netStorage] += moved * l.seconds
		v.host.netTX[netStorage] += moved * l.seconds
	}
}

// wear reads what wears out: it goes over what the other readings have set.
func (v *vitals) wear(n *Node, at, local time.Duration) {
	st := &v.state
	st.Set(telemetry.WallOffsetMS, 0, (n.wall(at).Add(n.skew(at)).UnixMilli() - (at - v.boot).Milliseconds()))
	st.Set(telemetry.MemUncorrectedErrors, 0, 0)
	st.Set(telemetry.MemCorrectedErrors, 0, int64(n.id(word("edac"))%16/13)+n.corrected(at)-n.corrected(v.boot))
	for i := range numFS {
		files := [numFS]int64{113 << 20, 912 << 20, 4 << 30, 18 << 30}[i]
		st.Set(telemetry.FSFiles, i, files)
		st.Set(telemetry.FSFilesFree, i, files-files/int64(6+n.id(word("files"), uint64(i))%20))
	}
	for i := range n.strikes {
		s := &n.strikes[i]
		if !s.on(local) {
			continue
		}
		switch s.Kind {
		case PCIeNarrow:
			if st.Get(telemetry.GPUPCIeWidth, s.GPU) > 0 {
				st.Set(telemetry.GPUPCIeWidth, s.GPU, 8)
			}
		case SlowClock:
			if clock := st.Get(telemetry.GPUSMClockMHz, s.GPU); clock > 0 {
				st.Set(telemetry.GPUSMClockMHz, s.GPU, int64(float64(clock)/s.Factor)/15*15)
				st.Set(telemetry.GPUPowerMW, s.GPU, int64(float64(st.Get(telemetry.GPUPowerMW, s.GPU))*(0.4+0.6/s.Factor)))
				st.Set(telemetry.GPUThrottleBits, s.GPU, 0)
			}
		case PortSlow:
			if s.Port < n.machine.ports {
				st.Set(telemetry.PortRateMbps, s.Port, portRate(s.Port)/2)
			}
		case FSHung:
			st.Set(telemetry.SourceStateEnum, sourceFilesystem, int64(facts.SourceState_SOURCE_STUCK))
			st.Set(telemetry.SourceStuckMS, sourceFilesystem, (local - s.from).Milliseconds())
			st.Set(telemetry.ProcsBlocked, 0, hungProcesses)
			st.Clear(telemetry.FSSizeBytes, fsData)
			st.Clear(telemetry.FSAvailableBytes, fsData)
		case DiskFull:
			st.Set(telemetry.FSAvailableBytes, fsRoot, 0)
		}
	}
	if !n.hung(local) {
		st.Clear(telemetry.SourceStuckMS, sourceFilesystem)
	}
}

func (n *Node) hung(local time.Duration) bool {
	for i := range n.strikes {
		if s := &n.strikes[i]; s.Kind == FSHung && s.on(local) {
			return true
		}
	}
	return false
}

// corrected is how many memory errors were corrected up to a moment.
func (n *Node) corrected(at time.Duration) (c int64) {
	k, local := n.model.cycle(at)
	for i := range n.strikes {
		s := &n.strikes[i]
		if s.Kind != MemoryErrors {
			continue
		}
		if s.to != forever {
			c += int64(k) * correctedPerS * int64((s.to-s.from)/time.Second)
		}
		if local > s.from {
			c += correctedPerS * int64((min(local, s.to)-s.from)/time.Second)
		}
	}
	return c
}
