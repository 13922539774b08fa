package simfleet

import "time"

// pattern is how a job loads its nodes. Shares are of a step's time, powers of a GPU's limit; rates are of one node.
type pattern struct {
	step          time.Duration // one training step while all is well
	compute, comm float64       // shares of a step; in the rest the GPUs wait for data or the optimiser
	power         float64       // of the limit, while computing
	tensor        float64       // activity while computing
	sm, dram      float64
	memGiB        float64 // of one GPU
	netGBs        float64 // through one RDMA port each way while communicating; 0: a job of one node
	nvlinkGBs     float64 // of one GPU each way

	checkpointEvery, checkpointFor time.Duration
	dipEvery, dipFor               time.Duration // the data loader falls behind
	load                           time.Duration // from the start of its processes to the first step

	hostGiB, shmGiB float64
	cores           float64 // busy ones
	readMBs         float64 // data read while training
	writeMBs        float64 // written while checkpointing
}

// shares says what a GPU did in a window of time. They sum to 1; down is when no process of the job was there.
type shares struct {
	compute, comm, wait, data, load, checkpoint, stall, idle, down float64
}

func (s *shares) add(o shares, weight float64) {
	s.compute += o.compute * weight
	s.comm += o.comm * weight
	s.wait += o.wait * weight
	s.data += o.data * weight
	s.load += o.load * weight
	s.checkpoint += o.checkpoint * weight
	s.stall += o.stall * weight
	s.idle += o.idle * weight
	s.down += o.down * weight
}

// stepShares is what the phases of steps take of the work between two points. Steps are all alike: compute first, then communication.
func (p *pattern) stepShares(from, to time.Duration) (compute, comm float64) {
	a, b := float64(from)/float64(p.step), float64(to)/float64(p.step)
	if b <= a {
		return p.compute, p.comm
	}
	first := func(x, end float64) float64 { // how much of [0, x) lies in the first end of each step
		whole := float64(int64(x))
		return whole*end + min(x-whole, end)
	}
	c := first(b, p.compute) - first(a, p.compute)
	both := first(b, p.compute+p.comm) - first(a, p.compute+p.comm)
	return c / (b - a), (both - c) / (b - a)
}

// windows is the share of [from, to) that lies in windows of the given length, one in each period at a place that the key chooses.
func windows(key uint64, every, length, from, to time.Duration) float64 {
	if every <= 0 || to <= from {
		return 0
	}
	var inside time.Duration
	for k := from/every - 1; k <= to/every; k++ {
		start := k*every + time.Duration(hashUnit(key, uint64(k))*float64(max(0, every-length)))
		lo, hi := max(from, start), min(to, start+length)
		if hi > lo {
			inside += hi - lo
		}
	}
	return float64(inside) / float64(to-from)
}
