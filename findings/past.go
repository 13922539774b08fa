package findings

import (
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// pastOf is what is remembered of a subject from one look to the next, in the form that its rules keep; it begins empty.
func pastOf[T any](m *fleet.Memory) *T {
	p, ok := m.Kept.(*T)
	if !ok {
		p = new(T)
		m.Kept = p
	}
	return p
}

// since is when something began that has held in every look from then on; zero: it does not hold.
type since struct{ time.Time }

// note takes in whether it holds now, and says for how long it has.
func (s *since) note(holds bool, at time.Time) time.Duration {
	switch {
	case !holds:
		if !s.IsZero() { // nearly never
			s.Time = time.Time{}
		}
		return 0
	case s.IsZero():
		s.Time = at
		return 0
	}
	return at.Sub(s.Time)
}

// growth is by how much a counter that should stand still grew since it was first seen, or since it last was quiet for fleet.RiseKept.
type growth struct {
	known    bool
	from, to int64
	at       time.Time // when it last grew; zero: not of late
}

// note takes in what the counter says now: by how much it grew, and when it last did. What is not told changes nothing, and grew by nothing.
func (g *growth) note(now fleet.Reading, at time.Time) (n int64, last time.Time) {
	if !now.Known() {
		return 0, last
	}
	v := int64(now)
	if !g.known || v < g.from { // first seen, or reset
		*g = growth{known: true, from: v, to: v}
		return 0, last
	}
	if v > g.to { // at its limit a counter does not rise any more
		g.to, g.at = v, at
	}
	if !g.at.IsZero() && at.Sub(g.at) >= fleet.RiseKept {
		g.from, g.at = v, time.Time{}
		return 0, last
	}
	return v - g.from, g.at
}

// nodePast is what is remembered of a node. Lists are by index, and only ever grow: what is not there for a while is known when it comes back.
type nodePast struct {
	gpus        []gpuPast
	ports       []portPast
	nets        []netPast
	looked      int  // GPUs at the last look
	sound       bool // nothing came of their slow readings, and nothing will while these are the same
	telling     tellingLines
	most        int // GPUs at once
	fewer       since
	strangers   since
	lives       []livePast // by scheduler
	uncorrected growth     // errors of the machine's memory
	corrected   growth
}

// tellingLines are which lines of a kernel log's tail tell something: nearly always none. Snapshots share a tail until it changes.
type tellingLines struct {
	first *fleet.KernelLine // of the tail that was read
	n     int               // and how many it had
	lines []tellingLine
}

type tellingLine struct {
	i     int // its place
	at    time.Time
	lasts time.Duration // for so long
}

// of are those lines.
func (t *tellingLines) of(tail []fleet.KernelLine) []tellingLine {
	if len(tail) == 0 {
		return nil
	}
	if t.first == &tail[0] && t.n == len(tail) {
		return t.lines
	}
	t.first, t.n, t.lines = &tail[0], len(tail), t.lines[:0]
	for i := range tail {
		if c := &tail[i].Class; c.Kind != "" && c.Text != "" {
			t.lines = append(t.lines, tellingLine{i, tail[i].At, lasting(c.Severity)})
		}
	}
	return t.lines
}

type gpuPast struct {
	slow   *fleet.GPUSlow // that were looked at last, and whose they were
	info   *facts.GPU
	out    since // it is lost, fails or does not answer
	slowed since
}

// portPast is what is remembered of an RDMA port.
type portPast struct {
	down   since // it is not active
	active bool  // it was, ever
	best   int64 // Mbit/s, the fastest that it ran at; 0: it was not seen active
	slow   since // it runs slower than that
	downed growth
	hour   struct { // in which symbol errors are counted
		began time.Time
		from  int64
	}
	calm  *fleet.PortErrors // the last reading of its counters above none of whose limits they rise; nil: none, or they do
	signs *portSignsPast    // nil: no counter of it ever said anything
}

// portSignsPast is what is remembered of a port some counter of which said something.
type portSignsPast struct {
	any        bool // something of the following is remembered
	signs      [len(portSigns)]since
	events     [len(portEvents)]time.Time // the last
	congestion [len(congestion{})]since
}

// netPast is what is remembered of a network interface.
type netPast struct {
	up    bool                  // it was, ever
	calm  *fleet.NetCounts      // the last reading of its counters none of which is above its limit; nil: none is, or they are
	signs *[len(netSigns)]since // nil: no counter of it says anything
}

// livePast is since when a node is live here though a scheduler does not use it.
type livePast struct {
	kind string // of scheduler
	here since
}

// livesTo is since when the node is live though a kind of scheduler does not use it.
func (p *nodePast) livesTo(kind string) *since {
	for i := range p.lives {
		if p.lives[i].kind == kind {
			return &p.lives[i].here
		}
	}
	p.lives = append(p.lives, livePast{kind: kind})
	return &p.lives[len(p.lives)-1].here
}

// fit makes room for what is remembered of a node's GPUs, ports and interfaces.
func (p *nodePast) fit(n *fleet.Node) {
	p.gpus = atLeast(p.gpus, len(n.GPUs))
	p.ports = atLeast(p.ports, len(n.Ports))
	p.nets = atLeast(p.nets, len(n.Nets))
}

func atLeast[T any](list []T, n int) []T {
	if len(list) >= n {
		return list
	}
	return append(make([]T, 0, n), list...)[:n]
}

// remembered is a node's past, and which rules are asked.
type remembered struct {
	Set
	*nodePast
}

// jobPast is what is remembered of a job beside what its [watch] learned: it is kept as long as the fleet knows the job.
type jobPast struct {
	leftover since // its scheduler says that it ended
	unseen   since // no process of it is seen, though it runs
	seen     bool  // processes of it were seen, ever
	complete bool  // all of its ranks were, ever
	orphans  since
	unequal  since // the memory of its GPUs
	wrongNIC since
	oneRail  since
}

// fleetPast is what the comparison of nodes remembers.
type fleetPast struct {
	slow map[gpuName]slowPast
	skew map[string]since // by node
}

type gpuName struct {
	node  string
	index int
}

// slowPast is since when a GPU's clock is below its peers', and when that was last seen.
type slowPast struct{ first, last time.Time }
