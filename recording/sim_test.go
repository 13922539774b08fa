package recording

import (
	"testing"
	"time"

	"foretop/findings"
	"foretop/fleet"
	"foretop/simfleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// sim is a simulated fleet told to a real one that is recorded, second by second of virtual time.
type sim struct {
	t     testing.TB
	model *simfleet.Model
	fleet *fleet.Fleet
	rec   *Recorder
	at    time.Duration
	nodes []*simNode
	level telemetry.Level
}

func (s *sim) options(tap fleet.Tap) fleet.Options {
	return fleet.Options{Now: func() time.Time { return noon.Add(s.at) }, Rules: findings.Rules(), Nodes: len(s.model.Nodes()), Tap: tap, IdleAfter: 20 * time.Second}
}

// simNode is one node's collector.
type simNode struct {
	*simfleet.Node
	phase    time.Duration // when in a second it reads
	boot     string
	up       bool
	enc      telemetry.Encoder
	version  uint64 // of processes and notes that it told last, one more than they count
	notes    uint64
	sequence uint64
}

func newSim(t testing.TB, nodes int, seed uint64, scenario *simfleet.Scenario, opt Options) *sim {
	t.Helper()
	m, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: nodes, Seed: seed, Scenario: scenario, Epoch: noon})
	if err != nil {
		t.Fatal(err)
	}
	s := &sim{t: t, model: m, rec: New(opt)}
	s.fleet = fleet.New(s.options(s.rec))
	for i, n := range m.Nodes() {
		s.nodes = append(s.nodes, &simNode{Node: n, phase: time.Duration(1+i*617%998) * time.Millisecond})
		s.fleet.Add(n.Name())
	}
	t.Cleanup(s.fleet.Close)
	return s
}

// step lets a second pass and publishes at its end.
func (s *sim) step() *fleet.Snapshot {
	for _, n := range s.nodes {
		s.tell(n, s.at+n.phase)
	}
	s.at += time.Second
	if s.at%(5*time.Second) == 0 {
		for _, p := range s.model.Pictures(s.at) {
			s.fleet.Scheduled(p)
		}
	}
	return s.fleet.Publish()
}

func (s *sim) tell(n *simNode, at time.Duration) {
	switch c := n.Condition(at); {
	case c.Dead:
		if n.up {
			n.up = false
			s.fleet.SetStatus(n.Name(), fleet.Status{State: fleet.Lost, Cause: "connection refused"})
		}
		return
	case c.Frozen, c.HalfOpen:
		return
	}
	whole := s.at%time.Minute == time.Duration(len(n.Name()))*time.Second
	if !n.up || n.boot != n.BootID(at) {
		if n.boot != n.BootID(at) {
			n.sequence = 0
		}
		n.up, n.boot, n.version, n.enc, n.notes = true, n.BootID(at), 0, telemetry.Encoder{}, 0
		s.fleet.SetStatus(n.Name(), fleet.Status{State: fleet.Live})
		s.say(n, telemetry.KindHello, n.Hello(at), at)
		s.say(n, telemetry.KindInventory, n.Inventory(), at)
	}
	n.Sample(at, s.level, func(st *telemetry.State, mono time.Duration) {
		s.apply(n, telemetry.KindSample, n.enc.Encode(nil, st, 1, mono.Milliseconds(), s.level, whole), at)
	})
	if version, notes := n.Notes(at); version+1 != n.notes {
		n.notes = version + 1
		s.say(n, telemetry.KindSourceNotes, &facts.SourceNotes{Notes: notes}, at)
	}
	if n.version != n.ProcessVersion(at)+1 {
		version, list := n.Processes(at)
		n.version = version + 1
		s.say(n, telemetry.KindProcesses, &facts.Processes{Whole: true, Set: list}, at)
	}
	if s.level == telemetry.Detail && s.at%(2*time.Second) == 0 {
		s.say(n, telemetry.KindUsage, n.Usage(at), at)
	}
	if lines := n.KernelLog(at, n.sequence); len(lines) > 0 {
		n.sequence = lines[len(lines)-1].Sequence
		s.say(n, telemetry.KindKernelLog, &facts.KernelLog{Records: lines, Via: "kmsg"}, at)
	}
}

func (s *sim) say(n *simNode, k telemetry.Kind, m facts.Message, at time.Duration) {
	b, err := facts.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.apply(n, k, b, at)
}

func (s *sim) apply(n *simNode, k telemetry.Kind, payload []byte, at time.Duration) {
	if r, err := s.fleet.Apply(n.Name(), k, payload, noon.Add(at)); err != nil || r.Whole {
		s.t.Fatalf("%s at %s, frame of kind %d: %v, whole %t", n.Name(), at, k, err, r.Whole)
	}
}

func replay() Replay { return Replay{Rules: findings.Rules(), Idle: 20 * time.Second} }
