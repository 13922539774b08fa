package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"foretop/config"
	"foretop/schedulers"
	"foretop/schedulers/kubernetes"
	"foretop/schedulers/slurm"
	"foretop/sshpool"
)

// errNoScheduler is what a choice of a scheduler's nodes needs and does not find.
var errNoScheduler = errors.New("no scheduler is found here: --all, --slurm and --job need squeue in PATH (or slurm.login in the configuration file), --kube a kubeconfig; or name nodes")

// loginPatience is how long a login node may take to be reached before its scheduler is asked.
const loginPatience = 20 * time.Second

// findSchedulers looks for the schedulers that the configuration and the command line name, and for those of this machine. Whoever is named and not found is
// an error; whoever merely might have been there is left out.
func findSchedulers(ctx context.Context, cfg config.Config, c *choice, pool func(string) schedulers.Runner) ([]asked, error) {
	var list []asked
	runner := schedulers.Runner(slurm.Local{})
	if cfg.Slurm.Login != "" {
		runner = pool(cfg.Slurm.Login)
	}
	if c.only == kubeWord {
		return findKube(cfg, c)
	}
	s, err := slurm.Find(ctx, runner, slurm.Options{Every: cfg.Slurm.Every})
	switch {
	case err == nil:
		list = append(list, asked{Scheduler: s, actor: s.Actor(cfg.Slurm.Sudo)})
	case (len(c.slurm) > 0 || c.only == slurmWord) && errors.Is(err, slurm.ErrNone):
		return nil, fmt.Errorf("no Slurm %s: it needs squeue in PATH, or a login node that has it (slurm.login in the configuration file)", runner.Where())
	case len(c.slurm) > 0 || cfg.Slurm.Login != "":
		return nil, err
	}
	if c.only == slurmWord {
		return list, nil
	}
	clusters, err := findKube(cfg, c)
	return append(list, clusters...), err
}

// findKube are the clusters of Kubernetes that are named, else the one that is there.
func findKube(cfg config.Config, c *choice) (list []asked, err error) {
	kubernetes.Silence()
	clusters, err := kubeOptions(c)
	if err != nil {
		return nil, err
	}
	if len(clusters) == 0 && c.only == kubeWord {
		return nil, errors.New("no Kubernetes here: it needs a kubeconfig, or a pod's service account")
	}
	for _, o := range clusters {
		cluster := kubernetes.New(o)
		a := asked{Scheduler: cluster, actor: cluster.Actor(whoAmI())}
		if cfg.Kube.Exec {
			a.door = kubeDoor(o, cfg.Kube.Namespace)
		}
		list = append(list, a)
	}
	return list, nil
}

// asked is a scheduler that is asked, the way into its nodes, and how it is given orders.
type asked struct {
	schedulers.Scheduler
	door  *sshpool.Door    // nil: SSH
	actor schedulers.Actor // nil: it takes none
}

// kubeOptions are the clusters that are named, else the one that a kubeconfig or this pod's service account leads to.
func kubeOptions(c *choice) (list []kubernetes.Options, err error) {
	for _, word := range c.kube {
		// A context's name may have slashes itself (arn:aws:eks:…:cluster/NAME), and so may a selector: the first cut that names a context is it.
		o := kubernetes.Options{Context: word}
		for at := 0; !kubernetes.HasConfig(o); {
			slash := strings.IndexByte(word[at:], '/')
			if slash < 0 {
				return nil, fmt.Errorf("--kube %s: no kubeconfig has such a context: see `kubectl config get-contexts`", word)
			}
			at += slash
			o.Context, o.Selector = word[:at], word[at+1:]
			at++
		}
		list = append(list, o)
	}
	if len(c.kube) == 0 && len(c.slurm) == 0 && kubernetes.HasConfig(kubernetes.Options{}) {
		list = append(list, kubernetes.Options{})
	}
	return list, nil
}

// onLogin runs a scheduler's programs on a node of the pool.
type onLogin struct {
	pool *sshpool.Pool
	node string
}

func (r onLogin) Where() string { return r.node }

func (r onLogin) Run(ctx context.Context, limit int, argv ...string) ([]byte, error) {
	if !r.pool.AwaitLive(ctx, r.node, loginPatience) {
		return nil, fmt.Errorf("the login node %s is not connected: %w", r.node, schedulers.ErrNotSent)
	}
	out, err := r.pool.Run(ctx, r.node, sshpool.Quote(argv...), limit)
	var failed *sshpool.ExitError
	switch {
	case errors.As(err, &failed):
		return out, &schedulers.ExitError{Status: failed.Code, Words: failed.Words}
	case errors.Is(err, sshpool.ErrTooLong):
		return out, fmt.Errorf("%s: %w", r.node, schedulers.ErrTooMuch)
	case errors.Is(err, sshpool.ErrNotConnected):
		return out, fmt.Errorf("%w: %w", schedulers.ErrNotSent, err)
	}
	return out, err
}
