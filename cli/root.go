package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"foretop/config"
)

const rootLong = `foretop is htop for an AI training fleet: every job, rank and GPU of many nodes, live over SSH, in one terminal. Nothing needs to be installed on a node.

Nodes are named as ssh names them (host names, aliases of ~/.ssh/config, user@host:port), by node sets (gpu[001-064,070]) and by @groups of the configuration file. Without any, foretop watches what is yours: the nodes of your running jobs, as they change, where a scheduler is found, else this machine.

Exit codes: 0 done, 1 an error, 2 the command line was wrong, 3 some node is not live (snapshot, doctor) or something was not done (drain, resume), 4 some finding is critical (snapshot --findings); those of run are in its own help.`

// newRoot builds the whole command tree. It holds no state of its own, so tests may build many.
func newRoot() *cobra.Command {
	opts := &options{}
	var screen screenFlags
	var what choice
	var readOnly bool
	root := &cobra.Command{
		Use:   "foretop [NODE...]",
		Short: "htop for an AI training fleet",
		Long:  rootLong,
		Example: `# a simulated fleet, to look around
foretop demo
# nodes over SSH
foretop 'gpu[001-064]' login1
# the nodes of my running jobs, or this machine
foretop
# everything that Slurm has, a partition, one job
foretop --all
foretop --slurm h100
foretop --job 8123
# 20,000 nodes, as their Prometheus server knows them
foretop --prometheus http://prometheus:9090`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: opts.completeNodes,
	}
	root.RunE = running(func(cmd *cobra.Command, args []string) error {
		cfg, names, err := opts.loadFor(args)
		if err != nil {
			return err
		}
		if err := mistaken(root, cfg, args, opts.aliases(cfg)); err != nil {
			return err
		}
		if err := screen.over(cmd, &cfg); err != nil {
			return err
		}
		cfg.ReadOnly = cfg.ReadOnly || readOnly
		if what.prometheus != "" && cfg.Metric == config.Default().Metric {
			cfg.Metric = "util" // dcgm-exporter does not tell power limits by default
		}
		if err := needTerminal(); err != nil {
			return err
		}
		what.acts, what.screen = true, true
		if what.prometheus == "" { // that server has the past of its nodes
			what.box = newBlackBox(cfg, nil, false, titleOf(names, what), nil)
			defer what.box.Close()
		}
		ssh := poolConfig(cfg)
		ssh.Ask = !opts.batch // the screen does
		c, err := openChosen(cmd.Context(), cfg, ssh, names, what)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.show(cmd.Context(), cfg)
	})
	opts.addConfig(root)
	opts.addSSH(root)
	screen.add(root)
	what.add(root, "watch")
	what.addPrometheus(root)
	root.Flags().BoolVar(&readOnly, "readonly", false, "only look: nothing can be done to nodes, jobs or processes")
	root.AddCommand(newDemo(opts), newSnapshot(opts), newExport(opts), newRecord(opts), newReplay(opts), newReport(opts), newFindings(opts), newNodes(opts), newRun(opts), newDoctor(opts), newDrain(opts), newResume(opts), newAudit(opts), newCollect(), newKubeManifest(), newVersion())
	root.SetHelpCommand(newHelp(root))
	root.SetFlagErrorFunc(flagError)
	return root
}

// mistaken catches a single word that names no host but nearly a command: `foretop snapshto` is not a node to wait for.
func mistaken(root *cobra.Command, cfg config.Config, args, aliases []string) error {
	if len(args) != 1 || strings.ContainsAny(args[0], "[]@.,:0123456789") {
		return nil
	}
	for _, alias := range aliases {
		if alias == args[0] {
			return nil
		}
	}
	if hint := didYouMean(args[0], commandNames(root)); hint != "" && !resolves(args[0]) {
		return usage(fmt.Errorf("no command and no host is called %q%s", args[0], hint))
	}
	return nil
}

// newHelp is cobra's help command, but for an unknown topic being an error that names the nearest.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			topic, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usage(fmt.Errorf("no help on %q%s", strings.Join(args, " "), didYouMean(args[0], commandNames(root))))
			}
			topic.InitDefaultHelpFlag()
			topic.InitDefaultVersionFlag()
			return topic.Help()
		},
	}
}
