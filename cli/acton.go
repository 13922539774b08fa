package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/config"
	"foretop/fleet"
	"foretop/schedulers"
	"foretop/sshpool"
)

// actedOn is a station for nodes that are to be acted on. A name that a scheduler has for one of its nodes means that node, for whoever types it: such a node needs no
// connection, and is often past one. Names that no scheduler has are connected to, to find out whose they are.
type actedOn struct {
	*chosen
	dialled map[string]bool // those of the nodes that are connected to
	silent  []string        // schedulers that do not answer, and why
}

// openActedOn opens a station for what is to be done to nodes. Of several schedulers that have a node of one name it asks which. who is asked what nodes ask until it returns;
// nil: nobody. Close ends it.
func openActedOn(ctx context.Context, cfg config.Config, ssh sshpool.Config, names []string, scheduler string, wait time.Duration, who person) (*actedOn, error) {
	c, err := onlyScheduler(scheduler)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var login []sshpool.Target
	if cfg.Slurm.Login != "" && c.only != kubeWord {
		login = targetsOf([]string{cfg.Slurm.Login})
	}
	s := openStation(fleet.Options{Nodes: len(names), Layouts: layoutRules(cfg), NoRAS: true}, ssh, login)
	s.onClose = cancel
	a := &actedOn{chosen: &chosen{s, newFollower(s, c, false), fold(names)}, dialled: map[string]bool{}}
	s.asker = newAsker(ctx, s.pool, who)
	if login != nil {
		s.asker.awaitLogin(ctx, cfg.Slurm.Login)
	}
	begun := time.Now()
	list, err := findSchedulers(ctx, cfg, &c, s.runnerOn)
	if err == nil {
		a.follower.start(ctx, list)
		a.follower.heard(ctx, wait)
		err = a.enter(names, cfg.Slurm.Login)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.settleOf(ctx, max(wait-time.Since(begun), 0), func(n *fleet.Node) bool { return a.dialled[n.Name] })
	s.asker.Close() // the terminal is for the answer whether to do it
	return a, nil
}

// kubeWord and slurmWord are what --scheduler takes.
const (
	slurmWord = "slurm"
	kubeWord  = "kubernetes"
)

// onlyScheduler reads --scheduler: slurm, kubernetes or kubernetes/CONTEXT; "" all that are found.
func onlyScheduler(word string) (c choice, err error) {
	kind, context, named := strings.Cut(word, "/")
	switch {
	case word == "":
	case kind == slurmWord && !named:
		c.only = slurmWord
	case kind == kubeWord && (!named || context != ""):
		if c.only = kubeWord; named {
			c.kube = []string{context}
		}
	default:
		return c, usage(fmt.Errorf("--scheduler %s: write slurm, kubernetes or kubernetes/CONTEXT", word))
	}
	return c, nil
}

// enter takes up the nodes: those that a scheduler has by that name as they are, the others by a connection.
func (a *actedOn) enter(names []string, login string) error {
	a.follower.mu.Lock()
	pictures, list := slices.Clone(a.follower.pictures), a.follower.schedulers
	a.follower.mu.Unlock()
	has := map[string][]string{} // which schedulers have a node of that name
	mute := ""
	for i, p := range pictures {
		switch {
		case p == nil:
			mute = list[i].Kind() + " has not answered yet: --wait waits longer"
			continue
		case p.Problem != nil:
			a.silent = append(a.silent, silence(p))
			if p.At.IsZero() {
				mute = silence(p)
			}
		}
		for i := range p.Nodes {
			has[p.Nodes[i].Name] = append(has[p.Nodes[i].Name], schedulerName(p))
		}
	}
	var errs []error
	for _, name := range names {
		switch in := has[name]; {
		case len(in) > 1:
			slices.Sort(in)
			errs = append(errs, fmt.Errorf("%s is a node of %s: say which is meant with --scheduler slurm or --scheduler kubernetes", name, strings.Join(in, " and of ")))
		case len(in) == 0 && mute != "":
			errs = append(errs, fmt.Errorf("whose node %s is cannot be known: %s; --scheduler asks only the other, where there are two", name, mute))
		case name == login: // it is connected to anyway
			a.dialled[name] = true
		case len(in) == 1:
			a.AddListed(name)
		default:
			a.dialled[name] = true
			a.station.enter(sshpool.Target{Name: name})
		}
	}
	return errors.Join(errs...)
}

// silence says that a scheduler does not answer, and why.
func silence(p *schedulers.Picture) string {
	text := schedulerName(p) + " does not answer: " + p.Problem.Text
	if p.Problem.Remedy != "" {
		text += " (" + p.Problem.Remedy + ")"
	}
	return text
}
