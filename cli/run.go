package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"foretop/config"
	"foretop/schedulers/kubernetes"
	"foretop/sshpool"
)

// newRun is `foretop run`: a command on many nodes, for scripts and for people.
func newRun(opts *options) *cobra.Command {
	r := runner{}
	var what choice
	through := ""
	cmd := &cobra.Command{
		Use:   "run NODES... -- COMMAND...",
		Short: "Run a command on many nodes",
		Long: `Connects to the nodes, runs a command on each and prints what they print: line by line as it comes, each behind its node's name; with -b, when all have ended, equal outputs once, under the nodes that they are from. What went wrong is said on standard error, at the end.

The nodes are named, or read from standard input where NODES is -, or chosen of a scheduler's by --job, --slurm, --kube, --all or --user.

A command of one word is a line for the shell of the node's user: 'dmesg | tail'. Of several words each reaches the program as it is, whatever is in it. Commands read nothing: their standard input is at its end.

Exit codes: 0 all ran and gave 0; 1 some command failed; 3 some node was not reached, or its end is not known; 130 interrupted. With --worst (-S) it is the largest exit code of all commands instead, 255 where a node was not reached, timed out or was cut off.`,
		Example: `foretop run 'gpu[001-064]' -- uptime
# equal outputs once
foretop run -b @train -- 'nvidia-smi --query-gpu=driver_version --format=csv,noheader | sort -u'
# the nodes of a job
foretop run --job 8123 -- nvidia-smi -L
# those that another command names
sinfo -hN -t drain -o %N | foretop run - -- uptime
# a line of JSON a node
foretop run --json 'gpu[001-064]' -- cat /proc/sys/kernel/random/boot_id`,
		ValidArgsFunction: opts.completeNodes,
		RunE: running(func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			switch {
			case dash < 0:
				return usage(fmt.Errorf("write -- between the nodes and the command: foretop run 'gpu[001-004]' -- uptime"))
			case dash == 0 && !what.given() && what.user == "":
				return usage(fmt.Errorf("no node is named: foretop run 'gpu[001-004]' -- uptime, or choose with --job, --slurm, --kube, --all or --user"))
			case dash > 0 && what.user != "":
				return usage(fmt.Errorf("nodes are named, and chosen by --user as well: leave out either"))
			case dash == len(args):
				return usage(fmt.Errorf("no command behind --"))
			case r.width < 1 || r.limit < 0 || r.timeout < 0 || r.connect <= 0:
				return usage(fmt.Errorf("--fanout and --connect are more than 0, --limit and --timeout not less"))
			case r.merge && r.json:
				return usage(fmt.Errorf("--merge and --json are two ways to print: choose one"))
			}
			cfg, err := opts.load()
			if err != nil {
				return err
			}
			if err := what.check(args[:dash]); err != nil {
				return err
			}
			named, err := withInput(args[:dash], cmd.InOrStdin())
			if err != nil {
				return err
			}
			if r.names, err = expand(cfg, named); err != nil {
				return err
			}
			r.line = commandLine(args[dash:])
			if cfg.ReadOnly {
				return errors.New(readOnlyWords)
			}
			targets, err := runTargets(cfg, r.names, through)
			if err != nil {
				return err
			}
			if dash > 0 && len(r.names) == 0 {
				return usage(fmt.Errorf("no node is in %s", strings.Join(named, " ")))
			}
			defer r.open(cmd.Context(), cfg, opts.openTerminal())()
			if dash == 0 {
				if targets, err = r.chosenNow(cmd.Context(), cfg, what, r.connect); err != nil {
					return err
				}
				for _, t := range targets {
					r.names = append(r.names, t.Name)
				}
			}
			if r.audit, err = openAudit(cfg); err != nil {
				return err
			}
			defer r.audit.Close()
			r.id, r.user, r.from = rand.Text()[:12], whoAmI(), thisHost()
			r.out, r.errs = cmd.OutOrStdout(), cmd.ErrOrStderr()
			r.text, r.errText = textFor(r.out), textFor(r.errs)
			return r.dial(cmd.Context(), targets)
		}),
	}
	f := cmd.Flags()
	f.BoolVarP(&r.merge, "merge", "b", false, "print equal outputs once, under their nodes, when all have ended")
	f.BoolVar(&r.json, "json", false, "print a line of JSON for each node when it has ended: node, exit_code, signal, output, truncated, error, seconds")
	f.BoolVarP(&r.worst, "worst", "S", false, "end with the largest exit code of the commands")
	f.DurationVarP(&r.timeout, "timeout", "u", 0, "how long a command may run; 0: any time")
	f.DurationVar(&r.connect, "connect", 30*time.Second, "how long a node may take to be reached")
	f.IntVarP(&r.width, "fanout", "f", 128, "how many commands run at once")
	f.IntVar(&r.limit, "limit", 1<<20, "how many bytes of a node's output are kept; the command goes on")
	f.StringVar(&through, "exec", "", "reach the nodes through the pods of `foretop kube-manifest` in this Kubernetes `CONTEXT`, not by SSH")
	opts.addSSH(cmd)
	what.add(cmd, "run on")
	return cmd
}

// commandLine is a command as a node's login shell gets it.
func commandLine(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return sshpool.Quote(words...)
}

// textFor makes output fit for a terminal, where it goes to one.
func textFor(w io.Writer) func(string) string {
	if f, ok := w.(*os.File); ok && term.IsTerminal(f.Fd()) {
		return forTerminal
	}
	return asItIs
}

// runTargets are how the nodes of a run are reached: by SSH, or through the pods of a cluster, where the command line or the configuration says so.
func runTargets(cfg config.Config, names []string, kube string) ([]sshpool.Target, error) {
	targets := targetsOf(names)
	o := kubernetes.Options{Context: kube}
	if kube == "" && !cfg.Kube.Exec {
		return targets, nil
	}
	if !kubernetes.HasConfig(o) {
		return nil, fmt.Errorf("no kubeconfig has the context %q, through which nodes are to be reached (--exec, or kubernetes.exec in the configuration file): see `kubectl config get-contexts`", kube)
	}
	kubernetes.Silence()
	door := kubeDoor(o, cfg.Kube.Namespace)
	for i := range targets {
		targets[i] = sshpool.Target{Name: targets[i].Name, Door: door}
	}
	return targets, nil
}

// open opens the pool of a run; who is asked what nodes ask, nil: nobody. close ends it.
func (r *runner) open(ctx context.Context, cfg config.Config, who person) (close func()) {
	r.reach = newReach(nil)
	r.pool = sshpool.New(askingPool(cfg, who), r.reach)
	r.reach.asker = newAsker(ctx, r.pool, who)
	return func() {
		r.reach.asker.Close()
		r.pool.Close()
	}
}

// dial reaches the nodes and runs the command on them.
func (r *runner) dial(ctx context.Context, targets []sshpool.Target) error {
	r.reach.expect(r.names...)
	for _, t := range targets {
		r.pool.Add(t)
	}
	return r.run(ctx, r.pool, r.reach.await)
}
