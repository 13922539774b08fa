package simfleet

import (
	"math"
	"time"

	"foretop/telemetry"
)

// hostVitals is what lasts from one reading of the host to the next. Times are milliseconds, or microseconds where the name says so.
type hostVitals struct {
	user, nice, system, irq, softirq, idle, iowait float64
	steal                                          float64
	load                                           [3]float64
	psiCPU, psiMemory, psiMemoryFull, psiIO        float64 // µs
	psiIOFull                                      float64
	switches, forks                                float64
	cores                                          float64 // busy now
	iowaiting                                      float64 // cores waiting now

	netRX, netTX     [numNets]float64
	diskRead         [numDisks]float64
	diskWrite        [numDisks]float64
	diskBusy         [numDisks]float64
	selfCPU, selfOut float64
	saved            float64 // bytes that jobs wrote to the scratch disks
	dirty            float64
	memoryUsed       float64
}

// backdate fills the counters with a past, so that a node up for weeks looks like one.
func (v *vitals) backdate(n *Node, up time.Duration) {
	s := up.Seconds()
	h := &v.host
	busy := 22.0
	if len(n.slots) == 0 {
		busy = 1
	}
	h.user, h.system, h.idle = s*busy*850, s*busy*140, s*(numThreads-busy)*1000
	h.iowait, h.irq, h.softirq, h.nice = s*40, s*9, s*60, s*3
	h.switches, h.forks = s*90_000, s*11
	h.psiCPU, h.psiIO, h.psiIOFull, h.psiMemory, h.psiMemoryFull = s*900, s*3000, s*1200, s*20, s*4
	for i := range numNets {
		h.netRX[i], h.netTX[i] = s*3e3, s*2e3
	}
	h.netRX[netStorage], h.netTX[netStorage] = s*2.1e8, s*6e7
	for i := range numDisks {
		h.diskRead[i], h.diskWrite[i], h.diskBusy[i] = s*9e4, s*2e6, s*4
	}
	for i := range gpusPerNode {
		if o := n.owner[i]; o.slot >= 0 && len(n.slots[o.slot].job.member) > 1 {
			rate := n.slots[o.slot].job.pattern.netGBs * 1e9 * 0.5
			v.ports[i].rcv, v.ports[i].xmit, v.ports[i].wait = s*rate, s*rate*1.0003, s*rate/1.1e7
		}
		v.gpus[i].energyMJ, v.gpus[i].nvTX, v.gpus[i].nvRX = s*3.1e5, s*4e9, s*4e9
	}
	v.ports[storagePort].rcv, v.ports[storagePort].xmit, v.ports[storagePort].cnp = s*1.4e8, s*4e7, s*0.02
}

// hostReadings reads CPU, memory, pressure, disks and networks.
func (v *vitals) hostReadings(n *Node, l *load, at, local time.Duration) {
	v.cpu(n, l, local)
	v.hostMemory(n, l, local)
	v.pressure(n, l, n.strikeOOM(local), local)
	v.io(n, l, at, local)
	st := &v.state
	h := &v.host
	h.selfCPU += l.seconds * (2600 + 500*v.noise.unit())
	h.selfOut += l.seconds * 480
	st.Set(telemetry.SelfCPUUS, 0, int64(h.selfCPU))
	st.Set(telemetry.SelfSentBytes, 0, int64(h.selfOut))
	st.Set(telemetry.SelfRSSBytes, 0, 13*mib+int64(n.id(word("rss"))%uint64(mib)))
	st.Set(telemetry.UptimeMS, 0, (at - v.boot).Milliseconds())
}

func (v *vitals) cpu(n *Node, l *load, local time.Duration) {
	h, st := &v.host, &v.state
	base := 0.7 + 0.3*v.noise.unit()
	h.cores = min(numThreads-1, (l.cores*(1+0.06*v.noise.about()))+base)
	h.iowaiting = min(numThreads-h.cores, 0.05+6*l.saving+2.5*l.reading)
	ms := l.seconds * 1000
	h.user += h.cores * 0.84 * ms
	h.nice += 0.004 * ms
	h.system += h.cores * 0.14 * ms
	h.irq += 0.009 * ms
	h.softirq += h.cores * 0.02 * ms
	h.iowait += h.iowaiting * ms
	stolen := 0.0
	if n.struckAny(CPUSteal, local) {
		stolen = (numThreads - h.cores - h.iowaiting) * 0.3 * (1 + 0.1*v.noise.about())
		h.steal += stolen * ms
	}
	h.idle += (numThreads - h.cores - h.iowaiting - stolen) * ms
	h.switches += (6000 + 3100*h.cores) * l.seconds
	h.forks += (2 + 9*l.reading) * l.seconds
	runnable := h.cores + 4*h.iowaiting
	for i, minutes := range [3]float64{1, 5, 15} {
		if !v.started {
			h.load[i] = runnable
		}
		h.load[i] += (runnable - h.load[i]) * (1 - math.Exp(-l.seconds/(60*minutes)))
	}
	st.Set(telemetry.CPUUserMS, 0, int64(h.user+h.nice))
	st.Set(telemetry.CPUSystemMS, 0, int64(h.system+h.irq+h.softirq))
	st.Set(telemetry.CPUIdleMS, 0, int64(h.idle))
	st.Set(telemetry.CPUIowaitMS, 0, int64(h.iowait))
	st.Set(telemetry.CPUStealMS, 0, int64(h.steal))
	st.Set(telemetry.Load1Milli, 0, round(h.load[0]*1000))
	st.Set(telemetry.Load5Milli, 0, round(h.load[1]*1000))
	st.Set(telemetry.Load15Milli, 0, round(h.load[2]*1000))
	st.Set(telemetry.ProcsBlocked, 0, round(h.iowaiting*0.8))
}

func (v *vitals) hostMemory(n *Node, l *load, local time.Duration) {
	h, st := &v.host, &v.state
	used := 19*float64(gib) + l.memory + float64(n.id(word("kept"))%uint64(2*gib))
	if s := n.strikeOOM(local); s != nil && local < s.moments[0] { // a leak fills the host
		climb := float64(local-s.from) / float64(oomClimb)
		used += (float64(n.machine.hostMemory) - used - 1.2*float64(gib)) * climb
	}
	if s := n.strikeOn(MemoryCreep, -1, local); s != nil {
		used += s.filled(local) * (float64(n.machine.hostMemory) - used)
	}
	h.dirty += (l.saveMBs*1e6*0.5 - h.dirty*0.2) * min(l.seconds, 2)
	h.memoryUsed = used
	st.Set(telemetry.MemTotalBytes, 0, n.machine.hostMemory)
	st.Set(telemetry.MemAvailableBytes, 0, n.machine.hostMemory-int64(used))
	st.Set(telemetry.MemShmemBytes, 0, int64(l.shm)+90*mib)
	st.Set(telemetry.SwapTotalBytes, 0, 0)
	st.Set(telemetry.SwapFreeBytes, 0, 0)
	st.Set(telemetry.HugePagesTotal, 0, 0)
	st.Set(telemetry.HugePagesFree, 0, 0)
	st.Set(telemetry.HugePageBytes, 0, 2*mib)
}

func (v *vitals) pressure(n *Node, l *load, oom *strike, local time.Duration) {
	h, st := &v.host, &v.state
	us := l.seconds * 1e6
	h.psiCPU += us * 0.0006 * (1 + h.cores/numThreads)
	h.psiIO += us * (0.001 + 0.22*l.saving + 0.04*l.reading)
	h.psiIOFull += us * (0.0004 + 0.06*l.saving + 0.01*l.reading)
	if n.struckAny(CheckpointStall, local) {
		h.psiIO += us * (0.86 + 0.05*v.noise.about())
		h.psiIOFull += us * (0.71 + 0.05*v.noise.about())
	}
	if l.starving > 0 {
		h.psiIO += us * l.starving * (0.55 + 0.1*v.noise.about())
		h.psiIOFull += us * l.starving * 0.08
	}
	if oom != nil && local < oom.moments[0] {
		share := float64(local-oom.from) / float64(oomClimb)
		h.psiMemory += us * 0.7 * share
		h.psiMemoryFull += us * 0.45 * share
	}
	st.Set(telemetry.PSICPUSomeUS, 0, int64(h.psiCPU))
	st.Set(telemetry.PSIMemorySomeUS, 0, int64(h.psiMemory))
	st.Set(telemetry.PSIMemoryFullUS, 0, int64(h.psiMemoryFull))
	st.Set(telemetry.PSIIOSomeUS, 0, int64(h.psiIO))
	st.Set(telemetry.PSIIOFullUS, 0, int64(h.psiIOFull))
}

// io reads disks and network interfaces.
func (v *vitals) io(n *Node, l *load, at, local time.Duration) {
	h, st := &v.host, &v.state
	h.netRX[netManagement] += (4200 + 900*v.noise.unit()) * l.seconds
	h.netTX[netManagement] += (2600 + 900*v.noise.unit()) * l.seconds
	h.netRX[netStorage] += (l.readMBs*0.3e6 + 3e3) * l.seconds * (1 + 0.05*v.noise.about())
	h.netTX[netStorage] += (l.saveMBs*0.2e6 + 2e3) * l.seconds * (1 + 0.05*v.noise.about())
	if v.noise.unit() < 0.2 { // the journal is flushed
		h.diskWrite[diskSystem] += 700e3 * (0.5 + v.noise.unit())
	}
	scratch := l.readMBs * 0.25e6 * l.seconds / (numDisks - 1)
	saved := l.saveMBs * 0.15e6 * l.seconds / (numDisks - 1)
	h.saved += saved * (numDisks - 1)
	for i := diskScratch; i < numDisks; i++ {
		h.diskRead[i] += scratch
		h.diskWrite[i] += saved
		h.diskBusy[i] += min(1000*l.seconds, (scratch+saved)/3e6)
	}
	for i := range numDisks {
		st.Set(telemetry.DiskReadBytes, i, int64(h.diskRead[i])&^511)
		st.Set(telemetry.DiskWriteBytes, i, int64(h.diskWrite[i])&^511)
	}
	for i := range numNets {
		up, speed, changes := int64(1), int64(200_000), int64(2)
		if i == netManagement {
			speed = 1000
		}
		if port := n.netPort(i); port >= 0 {
			changes += 2 * (n.count(LinkFlap, port, at) - n.count(LinkFlap, port, v.boot))
			if port != storagePort {
				speed = 400_000
			}
			if n.portDown(port, local) {
				up, changes = 0, changes-1
			}
		}
		st.Set(telemetry.NetUp, i, up)
		st.Set(telemetry.NetSpeedMbps, i, speed)
		st.Set(telemetry.NetCarrierChanges, i, changes)
		st.Set(telemetry.NetRxBytes, i, int64(h.netRX[i]))
		st.Set(telemetry.NetTxBytes, i, int64(h.netTX[i]))
		st.Set(telemetry.NetRxErrors, i, 0)
		st.Set(telemetry.NetTxErrors, i, 0)
		st.Set(telemetry.NetRxDropped, i, 0)
		st.Set(telemetry.NetTxDropped, i, 0)
	}
}

// netPort is the RDMA port behind a network interface, -1 for none.
func (n *Node) netPort(i int) int {
	switch {
	case i == netStorage:
		return storagePort
	case i >= netIPoIB:
		return i - netIPoIB
	}
	return -1
}

func (v *vitals) filesystems(n *Node, at time.Duration) {
	for i := range numFS {
		size := fsSizes[i]
		var used float64
		switch i {
		case fsRoot:
			used = 0.06 + 0.04*hashUnit(n.id(word("root")))
		case fsScratch:
			used = 0.1 + 0.5*hashUnit(n.id(word("scratch")))
		default: // shared: the same from every node
			used = 0.71 + 0.1*hashUnit(n.seed, uint64(i)) + at.Hours()*1e-5
		}
		v.state.Set(telemetry.FSSizeBytes, i, size)
		v.state.Set(telemetry.FSAvailableBytes, i, int64(float64(size)*(1-used)))
	}
}

func (n *Node) strikeOOM(local time.Duration) *strike {
	for i := range n.strikes {
		if s := &n.strikes[i]; s.Kind == OOMKill && s.on(local) {
			return s
		}
	}
	return nil
}
