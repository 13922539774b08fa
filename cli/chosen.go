package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"foretop/config"
	"foretop/fleet"
	"foretop/schedulers"
	"foretop/sshpool"
)

// How many nodes there may be where schedulers say it: the past is kept in a shape that suits so many.
const (
	mineNodes = 1000
	allNodes  = 5000
)

// chosen is a station, and the follower that keeps its nodes those that are chosen; nil where there is no scheduler.
type chosen struct {
	*station
	follower *follower
	title    string
}

// openChosen opens a station for what the command line says: the nodes that it names, else those that it chooses of the schedulers that there are, else this
// machine. Close ends it.
func openChosen(ctx context.Context, cfg config.Config, ssh sshpool.Config, names []string, c choice) (*chosen, error) {
	if err := c.check(names); err != nil {
		return nil, err
	}
	if c.user == "" {
		c.user = whoAmI()
	}
	if c.prometheus != "" {
		return openOverview(ctx, cfg, ssh, c)
	}
	ctx, cancel := context.WithCancel(ctx)
	if len(names) > 0 {
		if login := cfg.Slurm.Login; c.acts && login != "" && !slices.Contains(names, login) {
			names = append(names[:len(names):len(names)], login)
		}
		s := openRecorded(cfg, c.box, fleet.Options{Layouts: layoutRules(cfg)}, ssh, targetsOf(names))
		s.onClose = cancel
		f := newFollower(s, c, false)
		// Whoever named nodes wants to see them at once; what a scheduler knows of them comes when it comes, and is not missed where there is none.
		s.tasks.Add(1)
		go func() {
			defer s.tasks.Done()
			if list, err := findSchedulers(ctx, cfg, &c, s.runnerOn); err == nil {
				f.start(ctx, list)
			}
		}()
		return &chosen{s, f, fold(names)}, nil
	}
	expected := mineNodes
	if c.all || len(c.slurm)+len(c.kube) > 0 {
		expected = allNodes
	}
	var targets []sshpool.Target
	if cfg.Slurm.Login != "" {
		targets = targetsOf([]string{cfg.Slurm.Login})
	}
	// The station comes first: a scheduler may be asked through its pool.
	s := openRecorded(cfg, c.box, fleet.Options{Nodes: expected, Layouts: layoutRules(cfg)}, ssh, targets)
	s.onClose = cancel
	list, err := findSchedulers(ctx, cfg, &c, s.runnerOn)
	if err == nil && len(list) == 0 && c.given() {
		err = errNoScheduler
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	if len(list) == 0 {
		local := targetsOf(nil)
		s.enter(local[0])
		return &chosen{s, nil, local[0].Name}, nil
	}
	s.SetEmpty("asking " + list[0].Kind() + " which nodes are " + map[bool]string{true: "chosen", false: "yours"}[c.given()])
	f := newFollower(s, c, true)
	f.start(ctx, list)
	return &chosen{s, f, c.words()}, nil
}

// settle waits for the schedulers' word, then for the nodes; see [station.settle].
func (c *chosen) settle(ctx context.Context, wait time.Duration) *fleet.Snapshot {
	begun := time.Now()
	if c.asked != nil {
		select {
		case <-c.asked:
		case <-time.After(wait):
		case <-ctx.Done():
		}
		return c.Publish()
	}
	if c.follower != nil && c.follower.follows {
		c.follower.heard(ctx, wait)
	}
	c.look(c.Publish())
	return c.station.settle(ctx, max(wait-time.Since(begun), 0))
}

// look asks for detail where a script wants all there is, and the nodes are few.
func (c *chosen) look(snap *fleet.Snapshot) {
	if len(snap.Nodes) > detailNodes {
		return
	}
	names := make([]string, len(snap.Nodes))
	for i, n := range snap.Nodes {
		names[i] = n.Name
	}
	c.Watch(names)
}

// fold writes names as a node set.
func fold(names []string) string { return strings.Join(config.Fold(slices.Clone(names)), ",") }

// runnerOn runs commands on a node of the pool.
func (s *station) runnerOn(node string) schedulers.Runner { return onLogin{s.pool, node} }
