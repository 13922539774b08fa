package cli

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/sshpool"
)

// follower keeps a station's nodes those that schedulers' pictures and a choice say: what is chosen comes, what is not any more is left. Nodes that were named by
// the user stay whatever happens.
type follower struct {
	station *station
	choice  choice
	follows bool // the nodes come from the schedulers; else these only tell more of what is watched

	mu         sync.Mutex
	schedulers []asked
	pictures   []*schedulers.Picture // the last of each, nil before the first
	watched    map[string]reason     // by the fleet's name
	running    []string              // keys of the scheduler's jobs that run here, at the last look
	moved      map[string]bool       // nodes that were named, and are reached through a door by now
	sought     chan struct{}         // closed when the schedulers were looked for; nil: they are there from the start
}

// reason is why a node is watched: when it changes, a node that refused us may let us in.
type reason string

func newFollower(s *station, c choice, follows bool) *follower {
	return &follower{station: s, choice: c, follows: follows, watched: map[string]reason{}}
}

// start watches schedulers until ctx ends. Their first pictures come later.
func (f *follower) start(ctx context.Context, list []asked) {
	f.mu.Lock()
	f.schedulers = list
	f.pictures = make([]*schedulers.Picture, len(list))
	f.mu.Unlock()
	for i, s := range list {
		f.station.tasks.Add(1)
		go func() {
			defer f.station.tasks.Done()
			s.Watch(ctx, func(p *schedulers.Picture) { f.told(i, p) })
		}()
	}
}

// actor gives orders to one of the schedulers, by the names that its pictures have; nil where none takes orders, or it has told nothing yet.
func (f *follower) actor(kind, cluster string) schedulers.Actor {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, p := range f.pictures {
		if p != nil && p.Kind == kind && p.Cluster == cluster {
			return f.schedulers[i].actor
		}
	}
	return nil
}

// told takes one scheduler's picture.
func (f *follower) told(i int, p *schedulers.Picture) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.station.Scheduled(p)
	f.pictures[i] = p
	if f.follows {
		f.follow()
	}
}

// follow brings the watched nodes in line with the pictures. A scheduler that does not answer changes nothing: its last picture holds on.
func (f *follower) follow() {
	wanted := map[string]reason{}
	targets := map[string]sshpool.Target{}
	var known []*schedulers.Picture
	var unknown []string
	for i, p := range f.pictures {
		if p == nil {
			continue
		}
		known = append(known, p)
		names, missing := f.choice.nodes(p)
		if i == 0 {
			unknown = missing
		}
		unknown = slices.DeleteFunc(unknown, func(w string) bool { return !slices.Contains(missing, w) }) // one that knows it is enough
		at := targetsAt(p, names, f.schedulers[i].door)
		why := reasons(p)
		for _, name := range names {
			targets[name], wanted[name] = at[name], why[name]
		}
	}
	if len(wanted) == 0 && !f.choice.given() && unanswered(f.pictures) {
		t := targetsOf(nil)[0]
		targets[t.Name], wanted[t.Name] = t, ""
	}
	for name := range f.watched {
		if _, stays := wanted[name]; !stays {
			f.station.leave(name)
			delete(f.watched, name)
		}
	}
	for name, why := range wanted {
		before, here := f.watched[name]
		f.watched[name] = why
		switch {
		case !here:
			f.station.enterListed(targets[name])
		case before != why:
			f.station.retryRefused(name)
		}
	}
	words := ""
	if len(wanted) == 0 {
		words = f.choice.why(known, unknown)
	}
	f.station.SetEmpty(words)
}

// unanswered says that every scheduler was asked, and none ever answered: programs without a configuration, a kubeconfig of a cluster that is long gone. Then
// it is as if there were none, until one answers.
func unanswered(pictures []*schedulers.Picture) bool {
	return !slices.ContainsFunc(pictures, func(p *schedulers.Picture) bool { return p == nil || !p.At.IsZero() || p.Problem == nil })
}

// targetsAt are how a scheduler's nodes are reached: through its door where it has one, else as ssh knows their names, but for this machine.
func targetsAt(p *schedulers.Picture, names []string, door *sshpool.Door) map[string]sshpool.Target {
	targets := make(map[string]sshpool.Target, len(names))
	for _, name := range names {
		targets[name] = sshpool.Target{Name: name, Door: door}
	}
	if door != nil {
		return targets
	}
	host, _ := os.Hostname()
	short, _, _ := strings.Cut(host, ".")
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if _, chosen := targets[n.Name]; chosen && n.Name == n.Hostname && (n.Name == host || n.Name == short) {
			targets[n.Name] = sshpool.Target{Name: n.Name, Local: true}
		}
	}
	return targets
}

// reasons are the jobs on each node.
func reasons(p *schedulers.Picture) map[string]reason {
	keys := map[string][]string{}
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Phase == schedulers.Running {
			for _, node := range j.Nodes {
				keys[node] = append(keys[node], j.Key)
			}
		}
	}
	why := make(map[string]reason, len(keys))
	for node, list := range keys {
		slices.Sort(list)
		why[node] = reason(strings.Join(list, " "))
	}
	return why
}

// heard waits until every scheduler has told something, at most for a time.
func (f *follower) heard(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		f.mu.Lock()
		silent := slices.Contains(f.pictures, nil)
		f.mu.Unlock()
		if !silent {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// looked sees which of the schedulers' jobs run on the watched nodes. When one is gone its scheduler is asked soon: it knows why, and which nodes are free.
func (f *follower) looked(snap *fleet.Snapshot) {
	f.throughDoors(snap)
	var running []string
	for _, j := range snap.Jobs {
		if j.Scheduler != "" && j.Ended.IsZero() {
			running = append(running, j.Key)
		}
	}
	slices.Sort(running)
	f.mu.Lock()
	before := f.running
	f.running = running
	list := f.schedulers
	f.mu.Unlock()
	for _, key := range before {
		if _, still := slices.BinarySearch(running, key); still {
			continue
		}
		for _, s := range list {
			if strings.HasPrefix(key, s.Kind()+"/") {
				s.Hurry()
			}
		}
	}
}
