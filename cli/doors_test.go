package cli

import (
	"context"
	"io"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/sshpool"
)

// Which nodes that were named go through a cluster's door: those of the cluster to which SSH does not lead, once, and no others.
func TestThroughDoors(t *testing.T) {
	f := idle(t, choice{}, "kubernetes")
	f.follows = false
	tried := make(chan string, 16)
	f.schedulers[0].door.Run = func(_ context.Context, node, _ string, _ io.Reader, _, _ io.Writer) (int, error) {
		tried <- node
		return -1, &sshpool.DoorError{Cause: "shut", Refused: true}
	}
	nodes := []struct {
		fleet.Node
		door bool
	}{
		{fleet.Node{Name: "nameless", State: fleet.Lost, Cause: "name not found: nameless", Attempt: 1}, true},
		{fleet.Node{Name: "deaf", State: fleet.Lost, Cause: "no answer from deaf:22", Attempt: 1}, false},
		{fleet.Node{Name: "deaf2", State: fleet.Lost, Cause: "no answer from deaf2:22", Attempt: 2}, true},
		{fleet.Node{Name: "strict", State: fleet.Refused, Cause: "account closed", Attempt: 1}, true},
		{fleet.Node{Name: "keyless", State: fleet.NeedsAuth, Cause: "permission denied", Attempt: 1}, true},
		{fleet.Node{Name: "asking", State: fleet.NeedsAuth, Cause: "asks for a password", Attempt: 1}, false},
		{fleet.Node{Name: "changed", State: fleet.NeedsTrust, Attempt: 1}, false},
		{fleet.Node{Name: "stranger", State: fleet.Lost, Cause: "name not found: stranger", Attempt: 1}, false},
		{fleet.Node{Name: "begun", State: fleet.Connecting, Attempt: 3}, false},
	}
	snap := &fleet.Snapshot{Questions: []fleet.Question{{Nodes: []string{"asking"}}}}
	p := &schedulers.Picture{Kind: "kubernetes"}
	want := map[string]bool{}
	for i := range nodes {
		n := &nodes[i]
		f.station.Add(n.Name)
		snap.Nodes = append(snap.Nodes, &n.Node)
		if n.Name != "stranger" {
			p.Nodes = append(p.Nodes, schedulers.Node{Name: n.Name})
		}
		if n.door {
			want[n.Name] = true
		}
	}
	if f.throughDoors(snap) {
		t.Error("before the cluster has said which nodes it has")
	}
	f.told(0, p)
	if !f.throughDoors(snap) || f.throughDoors(snap) {
		t.Error("not once")
	}
	for range len(want) {
		select {
		case name := <-tried:
			if !want[name] {
				t.Errorf("%s went through the door, or twice", name)
			}
			delete(want, name)
		case <-time.After(30 * time.Second):
			t.Fatalf("not tried: %v", want)
		}
	}
	select {
	case name := <-tried:
		t.Errorf("%s too", name)
	case <-time.After(100 * time.Millisecond):
	}
}

// What doctor adds where the configuration has another way.
func TestDoctorOtherWay(t *testing.T) {
	found := []diagnosis{{name: "a", reached: true}, {name: "b", remedy: "check the spelling"}, {name: "c"}}
	otherWay(found)
	if found[0].remedy != "" || found[1].remedy[:len("check the spelling; or, kubernetes.exec")] != "check the spelling; or, kubernetes.exec" || found[2].remedy == "" {
		t.Errorf("%+v", found)
	}
}
