package fleet

import (
	"testing"
	"time"

	"foretop/telemetry/facts"
)

func overviewOf(at time.Time, names ...string) *Overview {
	o := &Overview{From: "prometheus", Every: 15 * time.Second}
	who := &facts.GPU{Uuid: "GPU-0", Vendor: "nvidia", Minor: -1}
	for _, name := range names {
		g := AbsentGPU(0, who, AbsentSlow())
		g.UtilPct = 97
		o.Nodes = append(o.Nodes, Overseen{Name: name, At: at, Host: AbsentHost(), GPUs: []GPU{g}, Inventory: &facts.Inventory{Gpus: []*facts.GPU{who}}})
		o.Nodes[len(o.Nodes)-1].State = Live
	}
	return o
}

// TestOverlook: a node that a metrics server knows is shown by its word, with its age, until it says nothing new; what a problem is marked on is not the server's own.
func TestOverlook(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rules := Rules{Node: func(n *Node, _ time.Time, _ *Memory) []Problem {
		return []Problem{{Severity: Warning, Text: "hot", GPU: 0, Port: -1}}
	}}
	f := New(Options{Now: func() time.Time { return now }, Rules: rules})
	o := overviewOf(now.Add(-12*time.Second), "a", "b")
	o.Nodes[1].State, o.Nodes[1].GPUs = Lost, nil
	f.Overlook(o)
	s := f.Publish()
	a, b := s.Node("a"), s.Node("b")
	if a.State != Live || a.Via != "prometheus" || a.Age(now) != 12*time.Second || a.GPUs[0].UtilPct != 97 || a.GPUs[0].Severity != Warning || a.Self.CPUPct.Known() {
		t.Errorf("a: %+v", a)
	}
	if o.Nodes[0].GPUs[0].Severity != Fine {
		t.Error("the overview was changed")
	}
	if b.State != Lost || b.Cause == "" || s.Totals.GPUs != 1 || s.Totals.ByState[Live] != 1 {
		t.Errorf("b: %+v; %+v", b, s.Totals)
	}
	if f.Publish().Node("a") != a {
		t.Error("a view is made again though nothing happened")
	}
	now = now.Add(time.Minute)
	f.Overlook(overviewOf(now, "b"))
	if s = f.Publish(); s.Node("a").State != Live || s.Node("b").State != Live || s.Node("b").Cause != "" {
		t.Errorf("a minute later: %+v %+v", s.Node("a"), s.Node("b"))
	}
	now = now.Add(time.Minute)
	if s = f.Publish(); s.Node("a").State != Stale || s.Node("a").Cause != "prometheus has had nothing new of it for 2m12s" || s.Node("a").GPUs[0].UtilPct != 97 || s.Node("b").State != Live {
		t.Errorf("two minutes later: %+v %+v", s.Node("a"), s.Node("b"))
	}
	now = now.Add(time.Hour)
	f.Overlook(overviewOf(now, "b"))
	if s = f.Publish(); s.Node("a") != nil || len(s.Nodes) != 1 {
		t.Errorf("an hour later: %+v", s.Node("a"))
	}
}

// TestOverseenNodeIsConnected: its own word goes before the server's once there is one, how it cannot be reached is said, and after it is left the server's holds again, with nothing of its own.
func TestOverseenNodeIsConnected(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := New(Options{Now: func() time.Time { return now }})
	f.Overlook(overviewOf(now, "a"))
	via := func() *Node { return f.Publish().Node("a") }
	f.SetStatus("a", Status{State: Connecting, Attempt: 1})
	if n := via(); n.Via != "prometheus" || n.State != Live || n.Attempt != 1 {
		t.Errorf("connecting: %+v", n)
	}
	f.SetStatus("a", Status{State: NeedsTrust, Cause: "its key is not known"})
	if n := via(); n.Via != "" || n.State != NeedsTrust || n.Cause == "" {
		t.Errorf("not let in: %+v", n)
	}
	f.SetStatus("a", Status{State: Lost, Cause: "name not found"})
	if n := via(); n.Via != "prometheus" || n.State != Live || len(n.Problems) != 1 || n.Problems[0].Text != "not connected, lost: name not found" {
		t.Errorf("lost, and the server hears of it: %+v", n)
	}
	now = now.Add(5 * time.Minute)
	if n := via(); n.Via != "" || n.State != Lost {
		t.Errorf("lost, and the server does not hear of it either: %+v", n)
	}
	f.Overlook(overviewOf(now, "a"))
	f.Leave("a")
	if n := via(); n.Via != "prometheus" || n.State != Live || n.Cause != "" {
		t.Errorf("left: %+v", n)
	}
	f.SetStatus("a", Status{State: Live})
	if n := via(); n.Via != "prometheus" || n.State != Live {
		t.Errorf("connected, before its first sample: %+v", n)
	}
	f.Leave("nobody")
	f.Remove("a")
	f.Overlook(overviewOf(now, "a"))
	if n := via(); n.Via != "prometheus" {
		t.Errorf("come back: %+v", n)
	}
}
