package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"foretop/config"
	"foretop/schedulers"
	"foretop/sshpool"
)

// withInput puts the sets that standard input holds in the place of "-".
func withInput(args []string, in io.Reader) ([]string, error) {
	at := slices.Index(args, "-")
	if at < 0 {
		return args, nil
	}
	sets, err := readSets(in)
	if err != nil {
		return nil, err
	}
	return slices.Concat(args[:at], sets, slices.DeleteFunc(slices.Clone(args[at+1:]), func(a string) bool { return a == "-" })), nil
}

// chosenNow are the nodes that a choice comes to now, as schedulers say once. A login node through which one is asked is reached by the run's own pool.
func (r *runner) chosenNow(ctx context.Context, cfg config.Config, c choice, wait time.Duration) ([]sshpool.Target, error) {
	if c.user == "" {
		c.user = whoAmI()
	}
	if login := cfg.Slurm.Login; login != "" {
		r.reach.expect(login)
		r.pool.Add(sshpool.Target{Name: login})
		r.reach.asker.awaitLogin(ctx, login)
		return askOnce(ctx, cfg, c, wait, func(node string) schedulers.Runner { return onLogin{r.pool, node} })
	}
	return askOnce(ctx, cfg, c, wait, nil)
}

func askOnce(ctx context.Context, cfg config.Config, c choice, wait time.Duration, runner func(string) schedulers.Runner) ([]sshpool.Target, error) {
	list, err := findSchedulers(ctx, cfg, &c, runner)
	if err == nil && len(list) == 0 {
		err = errNoScheduler
	}
	if err != nil {
		return nil, err
	}
	return c.targets(list, firstPictures(ctx, list, wait))
}

// firstPictures are what schedulers say first; nil of one that said nothing in time.
func firstPictures(ctx context.Context, list []asked, wait time.Duration) []*schedulers.Picture {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	pictures := make([]*schedulers.Picture, len(list))
	var all sync.WaitGroup
	for i, s := range list {
		all.Go(func() {
			one, enough := context.WithCancel(ctx)
			defer enough()
			s.Watch(one, func(p *schedulers.Picture) {
				if pictures[i] == nil {
					pictures[i] = p
				}
				enough()
			})
		})
	}
	all.Wait()
	return pictures
}

// targets are the nodes that are chosen, and how they are reached. A scheduler that says nothing matters where the others do not have all that was asked for.
func (c *choice) targets(list []asked, pictures []*schedulers.Picture) (targets []sshpool.Target, err error) {
	var known []*schedulers.Picture
	var unknown, silent []string
	seen := map[string]bool{}
	for i, p := range pictures {
		switch {
		case p == nil:
			silent = append(silent, list[i].Kind()+" has not answered in time (--connect waits longer)")
			continue
		case p.Problem != nil && p.At.IsZero():
			silent = append(silent, silence(p))
			continue
		}
		names, missing := c.nodes(p)
		if len(known) == 0 {
			unknown = missing
		}
		unknown = slices.DeleteFunc(unknown, func(w string) bool { return !slices.Contains(missing, w) })
		known = append(known, p)
		at := targetsAt(p, names, list[i].door)
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				targets = append(targets, at[name])
			}
		}
	}
	switch {
	case len(silent) > 0 && (c.all || len(unknown) > 0 || len(targets) == 0):
		return nil, errors.New(silent[0])
	case len(unknown) > 0 || len(targets) == 0:
		return nil, fmt.Errorf("nothing to run on: %s", c.why(known, unknown))
	}
	return targets, nil
}
