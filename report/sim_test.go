package report

import (
	"context"
	"testing"
	"time"

	"foretop/findings"
	"foretop/fleet"
	"foretop/simfleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sim is a simulated fleet told to a real one, second by second of virtual time, with a snapshot of each kept.
type sim struct {
	t     testing.TB
	fleet *fleet.Fleet
	at    time.Duration
	nodes []*simNode
	kept  []*fleet.Snapshot
}

type simNode struct {
	*simfleet.Node
	phase    time.Duration
	boot     string
	up       bool
	enc      telemetry.Encoder
	version  uint64
	sequence uint64
}

// played is a fleet of a scenario after a time.
func played(t testing.TB, nodes int, scenario string, last time.Duration) *sim {
	t.Helper()
	sc, err := simfleet.Parse("test", []byte(scenario))
	if err != nil {
		t.Fatal(err)
	}
	m, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: nodes, Seed: 1, Scenario: sc, Epoch: noon})
	if err != nil {
		t.Fatal(err)
	}
	s := &sim{t: t}
	s.fleet = fleet.New(fleet.Options{Now: func() time.Time { return noon.Add(s.at) }, Rules: findings.Rules(), Nodes: nodes})
	for i, n := range m.Nodes() {
		s.nodes = append(s.nodes, &simNode{Node: n, phase: time.Duration(i*617%1000) * time.Millisecond})
		s.fleet.Add(n.Name())
	}
	for s.at < last {
		for _, n := range s.nodes {
			s.tell(n, s.at+n.phase)
		}
		s.at += time.Second
		s.kept = append(s.kept, s.fleet.Publish())
	}
	return s
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
	if !n.up || n.boot != n.BootID(at) {
		if n.boot != n.BootID(at) {
			n.sequence = 0
		}
		n.up, n.boot, n.version, n.enc = true, n.BootID(at), 0, telemetry.Encoder{}
		s.fleet.SetStatus(n.Name(), fleet.Status{State: fleet.Live})
		s.say(n, telemetry.KindHello, n.Hello(at), at)
		s.say(n, telemetry.KindInventory, n.Inventory(), at)
	}
	n.Sample(at, telemetry.Base, func(st *telemetry.State, mono time.Duration) {
		s.apply(n, telemetry.KindSample, n.enc.Encode(nil, st, 1, mono.Milliseconds(), telemetry.Base, false), at)
	})
	if n.version == 0 || n.version != n.ProcessVersion(at) {
		version, list := n.Processes(at)
		n.version = version
		s.say(n, telemetry.KindProcesses, &facts.Processes{Whole: true, Set: list}, at)
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

// source is what a recording of it would give.
func (s *sim) source() Source {
	return Source{
		From: s.kept[0].At, To: s.kept[len(s.kept)-1].At, Kept: "at full rate", Of: "a simulation",
		At: func(_ context.Context, at time.Time) (*fleet.Snapshot, error) {
			i := 0
			for i+1 < len(s.kept) && !s.kept[i+1].At.After(at) {
				i++
			}
			return s.kept[i], nil
		},
		History: func(at time.Time, q fleet.Query) []float64 { return s.fleet.History(q) },
	}
}
