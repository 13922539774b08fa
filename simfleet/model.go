package simfleet

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"foretop/telemetry"
)

// Model is the fleet as a function of virtual time, and of what was ordered: what every node is, runs, and reads. It has no clock, starts nothing and draws no chance but from its
// seed: the same questions get the same answers, on processors of one kind to the last digit. Virtual time is counted from the moment the fleet appeared; its jobs and nodes are older.
type Model struct {
	scenario *Scenario
	epoch    time.Time
	seed     uint64
	nodes    []*Node
	jobs     []*job
	machines [numKinds]*machine
	broken   *Node // the one that has long been drained; nil: the fleet is too small

	orders    sync.Mutex               // one changes what is ordered
	withdrawn map[string]time.Duration // jobs that waited, by key
}

// ModelOptions says which fleet.
type ModelOptions struct {
	Nodes    int // at least 1, at most MaxNodes
	Seed     uint64
	Scenario *Scenario // nil: nothing goes wrong
	Epoch    time.Time // the wall clock at virtual time 0
}

// MaxNodes bounds a fleet: addresses are 127.77.x.y.
const MaxNodes = 50_000

// NewModel plans a fleet.
func NewModel(o ModelOptions) (*Model, error) {
	if o.Nodes < 1 || o.Nodes > MaxNodes {
		return nil, fmt.Errorf("plan fleet: %d nodes: from 1 to %d are possible", o.Nodes, MaxNodes)
	}
	if o.Scenario == nil {
		o.Scenario = Healthy()
	}
	m := &Model{scenario: o.Scenario, epoch: o.Epoch, seed: o.Seed, machines: newMachines()}
	jobs, slots, kinds := plan(o.Nodes, o.Seed)
	m.jobs = jobs
	free := 0
	for i := range o.Nodes {
		n := &Node{model: m, index: i, name: nodeName(i, o.Nodes), seed: o.Seed, slots: slots[i], machine: m.machines[kinds[i]]}
		for k := range n.owner {
			n.owner[k].slot = -1
		}
		for k, s := range n.slots {
			for place, g := range s.job.device {
				n.owner[g] = owner{k, place}
			}
		}
		m.nodes = append(m.nodes, n)
		if n.free() && free < 2 {
			if free++; free == 2 {
				m.broken = n
			}
		}
	}
	if err := m.strike(); err != nil {
		return nil, err
	}
	return m, nil
}

// Nodes are the fleet's nodes, in order. The slice is the model's own.
func (m *Model) Nodes() []*Node { return m.nodes }

// cycle says in which repetition of the scenario a moment lies, and where in it.
func (m *Model) cycle(at time.Duration) (k int, local time.Duration) {
	if m.scenario.Repeat <= 0 || at < 0 {
		return 0, at
	}
	return int(at / m.scenario.Repeat), at % m.scenario.Repeat
}

// Node is one node of the model. Its methods may be called from several goroutines.
type Node struct {
	model *Model
	index int
	name  string
	seed  uint64
	slots []slot
	owner [gpusPerNode]owner

	machine *machine
	hidden  int // GPUs that the collector's user is not shown

	strikes []strike
	marked  atomic.Pointer[mark]

	mu     sync.Mutex
	vitals *vitals // made when first read
}

// owner says which slot has a GPU, and as which of its GPUs; slot -1: nobody.
type owner struct{ slot, place int }

// Name is the node's host name.
func (n *Node) Name() string { return n.name }

// wall is the wall clock at a moment of virtual time.
func (n *Node) wall(at time.Duration) time.Time { return n.model.epoch.Add(at) }

// bootLength is how long a node needs from power on to answering, rebootLength from the last word before a reboot.
const (
	bootLength   = 38 * time.Second
	rebootLength = 40 * time.Second
)

// booted says when the node last started before a moment, and how often it did since the fleet appeared.
func (n *Node) booted(at time.Duration) (when time.Duration, boots int) {
	when = -time.Duration((6 + hashUnit(n.seed, uint64(n.index), word("uptime"))*58) * float64(24*hour))
	k, local := n.model.cycle(at)
	for i := range n.strikes {
		s := &n.strikes[i]
		if !s.reboots() || s.to == forever {
			continue
		}
		if local >= s.to {
			boots += k + 1
			when = max(when, at-local+s.to-bootLength)
		} else if k > 0 {
			boots += k
			when = max(when, at-local-n.model.scenario.Repeat+s.to-bootLength)
		}
	}
	return when, boots
}

// mono is the node's monotonic clock.
func (n *Node) mono(at time.Duration) time.Duration {
	when, _ := n.booted(at)
	return at - when
}

// BootID is the node's boot_id: another after each reboot.
func (n *Node) BootID(at time.Duration) string {
	_, boots := n.booted(at)
	return uuid(n.id(word("boot"), uint64(boots)))
}

// Sample brings the node's readings up to a moment and shows them to use, with the monotonic clock of the sample. Time only goes on: a moment before the last one reads as
// the last one. Metrics above level may be left as they were. The State belongs to the node: use must not keep it, and may change only what it knows better.
func (n *Node) Sample(at time.Duration, level telemetry.Level, use func(st *telemetry.State, mono time.Duration)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	boot, boots := n.booted(at)
	if n.vitals == nil || n.vitals.boots != boots {
		n.vitals = newVitals(n, boot, boots, at)
	}
	v := n.vitals
	if at > v.last || !v.started {
		v.advance(n, at)
	}
	if level >= telemetry.Detail && v.detailed != v.last {
		v.detail(n)
		v.detailed = v.last
	}
	use(&v.state, v.last-boot)
}

// Condition says how a node can be reached at a moment.
type Condition struct {
	Dead           bool // its port refuses
	Frozen         bool // its collector says nothing
	HalfOpen       bool // nothing is read or written
	BytesPerSecond int  // more than 0: the way to it is slow
}

// Condition says how the node can be reached.
func (n *Node) Condition(at time.Duration) (c Condition) {
	_, local := n.model.cycle(at)
	for i := range n.strikes {
		s := &n.strikes[i]
		if !s.on(local) {
			continue
		}
		switch s.Kind {
		case NodeDies:
			c.Dead = true
		case GPULost:
			c.Dead = c.Dead || s.Reboot && local >= s.to-rebootLength
		case NodeFreezes:
			c.Frozen = true
		case HalfOpen:
			c.HalfOpen = true
		case SlowLink:
			c.BytesPerSecond = s.BytesPerSecond
		}
	}
	return c
}

// reboots says whether the node starts anew at the end of the fault.
func (s *strike) reboots() bool { return s.Kind == NodeDies || s.Kind == GPULost && s.Reboot }

// troubled says whether the node's condition ever changes.
func (n *Node) troubled() bool {
	return slices.ContainsFunc(n.strikes, func(s strike) bool {
		return s.reboots() || s.Kind == NodeFreezes || s.Kind == HalfOpen || s.Kind == SlowLink
	})
}
