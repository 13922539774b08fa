package findings

import (
	"math"
	"slices"

	"foretop/fleet"
)

// A GPU that only waits in a collective says that it is fully used, for a kernel is there, but draws little power, computes nothing and moves nothing.
const (
	spinUtilPct  = 95   // used at least so much
	spinPowerPct = 35   // of its limit, at most; less where the job is known to need little when it works
	spinOfBusy   = 0.75 // of the power that it draws while it works
	spinTensor   = 2    // percent, at most, where it is known
	spinDRAM     = 8    // the same of its memory's
	spinBytes    = 1e6  // bytes a second over the network, at most, where known
	spinNVLink   = 1e7  // the same over NVLink
	stillUtilPct = 20   // below this, with as little power, it does nothing to speak of
	movedShare   = 1e-3 // of the memory of all GPUs: so much more or less held is work
	savingBytes  = 50e6 // bytes a second that a node writes, at least, where files are saved
	savingLooks  = 3    // in a row
	savingTimes  = 3    // so many times what it writes while it works
)

// seen is what a job's GPUs do at a moment. Those that never worked since it started do not count, once others did: a job may hold what it does not use.
type seen struct {
	n      int // GPUs that count
	told   int // of all, those with any reading of what they do
	read   int // of all, those with readings of use and power
	spin   int
	busy   int
	blind  int   // that count and tell nothing now
	odd    []int // of those that count, those that do nothing or are broken; indices in Job.GPUs
	works  []int // that work, where few do
	held   float64
	moved  bool // memory was taken or given back since the last look
	judged int  // of those that are read, those that tell what they compute or move
}

// hasPeers says that there is somebody to wait for: other GPUs that count, or other ranks, which share this one or are not seen.
func (s *seen) hasPeers(j *fleet.Job) bool { return s.n > 1 || s.n == 1 && j.World > 1 }

// few is how many of a job's GPUs may do otherwise than all the others, which all do the same.
func few(n int) int { return max(1, n/8) }

func look(j *fleet.Job, w *watch) seen {
	s := seen{odd: w.seen.odd[:0], works: w.seen.works[:0]}
	some := w.usesGPUs()
	limit := float64(spinPowerPct)
	if w.busyPower > 0 {
		limit = min(limit, spinOfBusy*w.busyPower)
	}
	for i := range j.GPUs {
		ref, t := &j.GPUs[i], &w.gpus[i]
		g := ref.GPU
		counts := t.worked || !some
		if isBroken(ref) || ref.State != fleet.Live {
			if counts {
				s.n++
				s.odd = append(s.odd, i)
			}
			continue
		}
		if g == nil || g.Stale > 0 {
			if counts {
				s.n++
				s.blind++
			}
			continue
		}
		if g.UtilPct.Known() || g.SMActivityPct.Known() || g.PowerW.Known() {
			s.told++
		}
		s.held += g.MemUsedBytes.Or(0)
		power := float64(g.PowerPct())
		if !g.UtilPct.Known() || math.IsNaN(power) {
			if counts {
				s.n++
				s.blind++
			}
			continue
		}
		s.read++
		if g.TensorActivityPct.Known() || g.DRAMActivityPct.Known() || g.NetRxBytesPerS.Known() || g.NVLinkRXBytesPerS.Known() {
			s.judged++
		}
		spins := g.UtilPct >= spinUtilPct && power < limit && doesNothing(g)
		stands := !spins && g.UtilPct < stillUtilPct && power < spinPowerPct
		if !spins && !stands && !t.worked {
			t.worked, counts = true, true
		}
		if !counts {
			continue
		}
		s.n++
		switch {
		case spins:
			s.spin++
		case stands:
			s.odd = append(s.odd, i)
		default:
			if s.busy++; len(s.works) < 8 {
				s.works = append(s.works, i)
			}
		}
	}
	s.moved = w.seen.held > 0 && math.Abs(s.held-w.seen.held) > movedShare*w.seen.held
	return s
}

// usesGPUs says that one of the job's GPUs was seen at work since it started.
func (w *watch) usesGPUs() bool {
	return slices.ContainsFunc(w.gpus, func(g gpuTrail) bool { return g.worked })
}

func doesNothing(g *fleet.GPU) bool {
	return g.TensorActivityPct.Or(0) <= spinTensor && g.DRAMActivityPct.Or(0) <= spinDRAM &&
		g.NetRxBytesPerS.Or(0)+g.NetTxBytesPerS.Or(0) < spinBytes && g.NVLinkBytesPerS().Or(0) < spinNVLink
}

// phaseOf says what the job as a whole does.
func (w *watch) phaseOf(j *fleet.Job) phase {
	s := &w.seen
	if s.n == 0 || s.read == 0 || s.blind > few(s.n) {
		return unread
	}
	p := working
	switch {
	case s.busy == 0 && s.spin == 0:
		p = resting
	case s.moved:
	case s.busy == 0 && s.hasPeers(j) && w.strangers(j):
		p = waiting
	case s.busy > 0 && s.busy <= few(s.n) && s.spin > 0 && s.spin+s.busy+len(s.odd) == s.n && len(s.odd) <= few(s.n):
		p = alone
	}
	most := 0.
	for _, n := range w.on {
		if n != nil && n.State == fleet.Live {
			most = max(most, written(n))
		}
	}
	if p == working {
		w.writing = 0
		w.writes = w.typical(w.writes, most, lookEvery)
		return p
	}
	if most <= max(savingBytes, savingTimes*w.writes) {
		w.writing = 0
		return p
	}
	if w.writing++; w.writing < savingLooks {
		return p // somebody else's, or a log
	}
	return saving
}

// strangers says that those that do nothing while the others wait are few, or all on one node of several, or cannot do anything.
func (w *watch) strangers(j *fleet.Job) bool {
	odd := w.seen.odd
	if len(odd) <= few(w.seen.n) {
		return true
	}
	broken, node, one := 0, "", true
	for _, i := range odd {
		ref := &j.GPUs[i]
		if isBroken(ref) || ref.State != fleet.Live {
			broken++
			continue
		}
		one = one && (node == "" || node == ref.Node)
		node = ref.Node
	}
	rest := len(odd) - broken
	return rest <= few(w.seen.n) || one && len(j.Nodes) > 1 && 2*rest <= w.seen.n
}

// written is how many bytes a second a node writes, to its disks and over networks that are not its GPUs'.
func written(n *fleet.Node) (bytes float64) {
	for i := range n.Disks {
		bytes += n.Disks[i].WriteBytesPerS.Or(0)
	}
	for i := range n.Ports {
		if p := &n.Ports[i]; p.GPU < 0 {
			bytes += p.XmitBytesPerS.Or(0)
		}
	}
	if len(n.Ports) == 0 {
		for i := range n.Nets {
			bytes += n.Nets[i].TxBytesPerS.Or(0)
		}
	}
	return bytes
}
