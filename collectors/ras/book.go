package ras

import (
	"cmp"
	"slices"
	"strings"

	"foretop/telemetry/facts"
)

// What is told of a report at most: the frame that it travels in has room for so much.
const (
	maxComms     = 64  // told
	maxTroubled  = 512 // kept until it is known which are told
	maxMembers   = 32  // of a communicator that are missing or in error
	maxLagging   = 16  // of an operation
	maxRanks     = 600 // told of all communicators together
	maxGone      = 64
	maxHosts     = 512
	maxHostPIDs  = 64
	maxOperation = 8
)

// Words for what a communicator or a rank is.
const (
	Dead         = "dead"         // for RAS, for good
	Unresponsive = "unresponsive" // no data came from it
	Incomplete   = "INCOMPLETE"
	Mismatch     = "MISMATCH"
	Error        = "ERROR"
)

// book takes up what a report says, and brings it down to what is told.
type book struct {
	out      facts.RAS
	troubled []*facts.RASComm
	alike    map[likeness]*facts.RASComm
	order    []*facts.RASComm // of alike
	hosts    map[string]*host
	names    []*host
	largest  uint32 // communicator
}

// likeness is in what communicators with nothing wrong are alike.
type likeness struct {
	size, nodes uint32
	status      string
}

// host is an address that processes have.
type host struct {
	name  string
	procs []hostProc
	mark  int // number of the communicator that was last seen to have a rank here
}

// hostProc is a process, with its rank in the largest communicator that it was seen in.
type hostProc struct {
	pid, rank int32
	size      uint32
}

func newBook() *book {
	return &book{alike: map[likeness]*facts.RASComm{}, hosts: map[string]*host{}}
}

// process notes that a process of a host has a rank in a communicator of that size; it gives the host, nil where it is not kept.
func (b *book) process(name string, pid, rank int32, size uint32) *host {
	if name == "" || pid <= 0 {
		return nil
	}
	h := b.hosts[name]
	if h == nil {
		if len(b.hosts) >= 8*maxHosts {
			return nil
		}
		h = &host{name: name}
		b.hosts[name] = h
		b.names = append(b.names, h)
	}
	b.largest = max(b.largest, size)
	for i := range h.procs {
		if p := &h.procs[i]; p.pid == pid {
			if size > p.size {
				p.rank, p.size = rank, size
			}
			return h
		}
	}
	if len(h.procs) < maxHostPIDs {
		h.procs = append(h.procs, hostProc{pid, rank, size})
	}
	return h
}

// comm takes up a communicator.
func (b *book) comm(c *facts.RASComm) {
	b.out.CommsTotal += c.Alike
	if c.Errors != "" {
		if len(b.troubled) < maxTroubled {
			b.troubled = append(b.troubled, c)
		}
		return
	}
	key := likeness{c.Size, c.Nodes, c.Status}
	first := b.alike[key]
	if first == nil {
		if len(b.alike) < maxTroubled {
			b.alike[key] = c
			b.order = append(b.order, c)
		}
		return
	}
	first.Alike += c.Alike
	first.Name, first.Hash, first.First = "", "", nil
	for _, op := range c.Operations {
		i := slices.IndexFunc(first.Operations, func(o *facts.RASOperation) bool { return o.Name == op.Name })
		if i >= 0 {
			first.Operations[i].Most = max(first.Operations[i].Most, op.Most)
		} else if len(first.Operations) < maxOperation {
			first.Operations = append(first.Operations, op)
		}
	}
}

// gone takes up a process that is dead or does not answer.
func (b *book) gone(r *facts.RASRank) {
	for _, g := range b.out.Gone {
		if g.Host == r.Host && g.Pid == r.Pid {
			if r.State == Dead {
				g.State = Dead
			}
			return
		}
	}
	b.out.GoneTotal++
	if len(b.out.Gone) < maxGone {
		b.out.Gone = append(b.out.Gone, r)
	}
}

// gravity puts communicators in the order of how bad it is.
func gravity(c *facts.RASComm) int {
	switch {
	case strings.Contains(c.Errors, Incomplete), strings.Contains(c.Errors, Error):
		return 0
	case c.Errors != "":
		return 1
	}
	return 2
}

// report is what is told.
func (b *book) report() *facts.RAS {
	all := append(b.troubled, b.order...)
	slices.SortStableFunc(all, func(x, y *facts.RASComm) int {
		return cmp.Or(cmp.Compare(gravity(x), gravity(y)), cmp.Compare(y.Size, x.Size))
	})
	b.out.Comms = all[:min(len(all), maxComms)]
	left := maxRanks
	take := func(ranks []*facts.RASRank, most int) []*facts.RASRank {
		ranks = ranks[:min(len(ranks), most, left)]
		left -= len(ranks)
		return ranks
	}
	for _, c := range b.out.Comms {
		c.Members = take(c.Members, maxMembers)
		for _, op := range c.Operations {
			op.Lagging = take(op.Lagging, maxLagging)
		}
	}
	for _, h := range b.names[:min(len(b.names), maxHosts)] {
		told := &facts.RASHost{Host: h.name}
		for _, p := range h.procs {
			if p.size < b.largest {
				p.rank = -1
			}
			told.Pids, told.Ranks = append(told.Pids, p.pid), append(told.Ranks, p.rank)
		}
		b.out.Hosts = append(b.out.Hosts, told)
	}
	return &b.out
}
