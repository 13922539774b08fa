package fleet

import (
	"cmp"
	"slices"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// rasJoin joins what RAS says to a job's ranks. It knows processes by the address of their host, the number that they have in their own PID namespace, and their place
// in a communicator; of hosts we do not know by which address NCCL reaches them. The numbers of a host's processes say which node it is; in containers those are the same
// everywhere, and then it is the ranks in the communicator of all, which are the job's own.
type rasJoin struct {
	job   *Job
	byPID map[int32][]int32 // ranks by the number that they have for themselves
	nodes map[string]string // by host
	world int               // size of the communicator of all ranks; 0 there is none
	met   bool              // some process is one of the job's
	own   bool              // the ranks in the communicator of all are the job's own, as far as processes are seen
}

// innerPID is the number that a rank has for itself.
func (r *Rank) innerPID() int32 {
	if r.InnerPID != 0 {
		return r.InnerPID
	}
	return r.PID
}

func newRASJoin(a *facts.RAS, j *Job) *rasJoin {
	x := &rasJoin{job: j, byPID: make(map[int32][]int32, len(j.Ranks)), nodes: map[string]string{}}
	for i := range j.Ranks {
		pid := j.Ranks[i].innerPID()
		x.byPID[pid] = append(x.byPID[pid], int32(i))
	}
	for _, c := range a.Comms {
		if size := int(c.Size); size > 0 && size == max(j.World, len(j.Ranks)) {
			x.world = size
		}
	}
	score := map[string]int{}
	agree, differ := 0, 0
	for _, h := range a.Hosts {
		clear(score)
		for k, pid := range h.Pids {
			for _, i := range x.byPID[pid] {
				r := &j.Ranks[i]
				x.met = true
				if k < len(h.Ranks) && len(x.byPID[pid]) == 1 && h.Ranks[k] == int32(r.Rank) {
					agree++
				} else {
					differ++
				}
				if score[r.Node]++; x.world > 0 && k < len(h.Ranks) && h.Ranks[k] == int32(r.Rank) {
					score[r.Node] += 2
				}
			}
		}
		best, most, tie := "", 0, false
		for node, n := range score {
			if n > most {
				best, most, tie = node, n, false
			} else if n == most {
				tie = true
			}
		}
		if !tie && most > 0 {
			x.nodes[h.Host] = best
		}
	}
	x.own = x.world > 0 && agree > 0 && differ == 0
	return x
}

// missing is the job's rank that a process was which is gone; -1: it is not known.
func (x *rasJoin) missing(m *facts.RASRank, size int) int {
	if !x.own || size != x.world || m.Rank < 0 || len(x.byPID[m.Pid]) > 0 || !slices.Contains(x.job.Missing, int(m.Rank)) {
		return -1
	}
	return int(m.Rank)
}

// rank finds who is meant; nil: nobody that is seen, or nobody for certain.
func (x *rasJoin) rank(m *facts.RASRank, size int) *Rank {
	if node := x.nodes[m.Host]; node != "" {
		for _, i := range x.byPID[m.Pid] {
			if r := &x.job.Ranks[i]; r.Node == node {
				return r
			}
		}
	}
	same := x.byPID[m.Pid]
	if len(same) == 1 && x.nodes[m.Host] == "" {
		return &x.job.Ranks[same[0]]
	}
	if m.Rank < 0 || size == 0 || size != x.world {
		return nil
	}
	// Ranks are in their order.
	i, ok := slices.BinarySearchFunc(x.job.Ranks, int(m.Rank), func(r Rank, n int) int { return cmp.Compare(r.Rank, n) })
	if !ok || m.Pid != 0 && x.job.Ranks[i].innerPID() != m.Pid {
		return nil
	}
	return &x.job.Ranks[i]
}

// told is a rank as RAS tells it, with what is known of it.
func (x *rasJoin) told(m *facts.RASRank, c *RASComm, now time.Time) RASRank {
	t := RASRank{Rank: -1, CommRank: int(m.Rank), Host: m.Host, PID: m.Pid, GPU: -1, State: m.State, Since: now}
	size := 0
	if c != nil {
		t.Comm, t.Size, size = c.label(), c.Size, c.Size
	}
	if t.Node = x.nodes[m.Host]; t.Node != "" {
		t.GPU = int(m.Gpu)
	}
	r := x.rank(m, size)
	if r == nil {
		t.Rank = x.missing(m, size)
		return t
	}
	t.Rank, t.Node, t.PID, t.Seen = r.Rank, r.Node, r.PID, true
	if len(r.GPUs) > 0 {
		t.GPU = r.GPUs[0]
	}
	return t
}

// label is the name by which a communicator is spoken of.
func (c *RASComm) label() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Hash
}

// manyHosts is from how many hosts on a report may have left some out.
const manyHosts = 512

// maxRASRanks bounds the ranks of one report that are kept.
const maxRASRanks = 64

// joinRAS makes of an answer what is kept of it. before is the job's last report, nil for none.
func joinRAS(a *facts.RAS, node string, at time.Time, j *Job, before *RAS) *RAS {
	out := &RAS{Node: node, At: at, Took: time.Duration(max(0, min(a.TookMs, 600_000))) * time.Millisecond, Error: a.Trouble, Remedy: a.Remedy, Absent: a.Absent}
	if out.Error != "" {
		return out
	}
	x := newRASJoin(a, j)
	if a.Form == "json" && len(a.Hosts) > 0 && len(a.Hosts) < manyHosts && !x.met { // the process that was asked is in there itself
		out.Error, out.Remedy = "it told of another job's processes: jobs of one user share the port of a node", "give each job its own NCCL_RAS_ADDR"
		return out
	}
	out.NCCL, out.Form, out.Repaired = telemetry.Clean(a.Nccl, 32), a.Form, a.Repaired
	out.Timeouts, out.CommsTotal, out.counts = int(min(a.Timeouts, 1<<20)), int(min(a.CommsTotal, 1<<30)), a.Form == "json"
	lagging := map[int]bool{}
	for _, c := range a.Comms {
		comm := RASComm{Name: c.Name, Hash: c.Hash, Alike: int(c.Alike), Size: int(c.Size), Nodes: int(c.Nodes), Status: c.Status, Errors: c.Errors, Missing: int(c.Missing), First: -1}
		if c.First != nil {
			if r := x.rank(c.First, comm.Size); r != nil {
				comm.First = r.Rank
			}
		}
		for _, m := range c.Members {
			if m.State == "" || len(out.Gone) >= maxRASRanks || len(m.State) > 7 && m.State[:7] == "status " {
				continue
			}
			out.gone(x.told(m, &comm, at))
		}
		for _, op := range c.Operations {
			comm.Operations = append(comm.Operations, RASOperation{op.Name, op.Most, int(op.Behind), int(op.Ranks)})
			out.launched += op.Most
			for _, m := range op.Lagging {
				t := x.told(m, &comm, at)
				if t.Rank >= 0 && lagging[t.Rank] || len(out.Lagging) >= maxRASRanks {
					continue
				}
				t.Operation, t.Launched, t.Most, t.Behind, t.Of = op.Name, m.Count, op.Most, int(op.Behind), int(op.Ranks)
				lagging[t.Rank] = true
				out.Lagging = append(out.Lagging, t)
			}
			out.LaggingN = max(out.LaggingN, int(op.Behind))
		}
		out.Comms = append(out.Comms, comm)
	}
	for _, g := range a.Gone {
		if len(out.Gone) < maxRASRanks {
			out.gone(x.told(g, nil, at))
		}
	}
	slices.SortStableFunc(out.Lagging, func(a, b RASRank) int {
		switch {
		case a.Few() != b.Few() && a.Few():
			return -1
		case a.Few() != b.Few():
			return 1
		}
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(b.Most-b.Launched, a.Most-a.Launched), cmp.Compare(a.Rank, b.Rank))
	})
	out.follow(before)
	return out
}

// gone adds a rank, once: that it is dead says more than that it does not answer.
func (r *RAS) gone(g RASRank) {
	for i := range r.Gone {
		o := &r.Gone[i]
		if g.Rank >= 0 && o.Rank == g.Rank || (g.Rank < 0 || o.Rank < 0) && o.Host == g.Host && o.PID == g.PID && g.Host != "" {
			if g.State == "dead" {
				o.State = g.State
			}
			if o.Rank < 0 {
				o.Rank, o.Node, o.GPU = g.Rank, g.Node, g.GPU
			}
			return
		}
	}
	r.Gone = append(r.Gone, g)
}

// launchedIn is how many collectives those in front of a communicator have launched; 0: that is not told.
func (r *RAS) launchedIn(comm string) (n uint64) {
	for i := range r.Comms {
		if c := &r.Comms[i]; c.label() == comm {
			for _, op := range c.Operations {
				n += op.Most
			}
		}
	}
	return n
}

// follow takes over since when the report before said the same.
func (r *RAS) follow(before *RAS) {
	if !before.Told() {
		return
	}
	since := func(list, was []RASRank, same func(a, b *RASRank) bool) {
		for i := range list {
			for k := range was {
				a, b := &list[i], &was[k]
				if a.Rank == b.Rank && (a.Rank >= 0 || a.Host == b.Host && a.PID == b.PID && a.CommRank == b.CommRank) && same(a, b) {
					a.Since = b.Since
					break
				}
			}
		}
	}
	since(r.Lagging, before.Lagging, func(a, b *RASRank) bool {
		return a.Comm == b.Comm && a.Operation == b.Operation && a.Launched == b.Launched
	})
	since(r.Gone, before.Gone, func(a, b *RASRank) bool {
		a.GoesOn = a.Seen && a.Comm != "" && r.launchedIn(a.Comm) > before.launchedIn(a.Comm)
		return true
	})
	if r.counts && before.counts && r.launched > 0 && r.launched == before.launched && len(r.Comms) == len(before.Comms) {
		if r.StillSince = before.StillSince; r.StillSince.IsZero() {
			r.StillSince = before.At
		}
	}
}
