package cli

import (
	"slices"
	"strings"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/sshpool"
)

// throughDoors takes another way to nodes that were named and that SSH does not lead to, where a cluster has a door into them (kubernetes.exec). It says whether it did for any.
func (f *follower) throughDoors(snap *fleet.Snapshot) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.follows { // the nodes come from the scheduler, with their way
		return false
	}
	moved := false
	for _, n := range snap.Nodes {
		if f.moved[n.Name] || !noWayIn(snap, n) {
			continue
		}
		door := f.doorTo(n.Name)
		if door == nil {
			continue
		}
		if f.moved == nil {
			f.moved = map[string]bool{}
		}
		f.moved[n.Name], moved = true, true
		f.station.SetStatus(n.Name, fleet.Status{State: fleet.Waiting, Cause: "not by SSH (" + n.Cause + "): through the door " + door.Name})
		f.station.pool.Remove(n.Name)
		f.station.pool.Add(sshpool.Target{Name: n.Name, Door: door})
	}
	return moved
}

// doorTo is the door of the cluster that has a node of that name; nil: none has. f.mu is held.
func (f *follower) doorTo(name string) *sshpool.Door {
	for i, p := range f.pictures {
		if p != nil && f.schedulers[i].door != nil && slices.ContainsFunc(p.Nodes, func(n schedulers.Node) bool { return n.Name == name }) {
			return f.schedulers[i].door
		}
	}
	return nil
}

// noWayIn says that a node has never been live, and that neither waiting nor a person's answer lets SSH in: it has no address, nobody listens, or nobody is let in. A host key
// that is not trusted is no reason: somebody may be listening in.
func noWayIn(snap *fleet.Snapshot, n *fleet.Node) bool {
	if n.Hello != nil {
		return false
	}
	switch n.State {
	case fleet.Lost:
		return n.Attempt > 1 || strings.HasPrefix(n.Cause, "name not found") || strings.HasPrefix(n.Cause, "no answer from the name server") || strings.HasPrefix(n.Cause, "connection refused")
	case fleet.Refused:
		return true
	case fleet.NeedsAuth:
		return !slices.ContainsFunc(snap.Questions, func(q fleet.Question) bool { return slices.Contains(q.Nodes, n.Name) })
	}
	return false
}
