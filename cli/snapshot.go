package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foretop/config"
	"foretop/export"
	"foretop/fleet"
	"foretop/sshpool"
	"foretop/telemetry/facts"

	"github.com/charmbracelet/x/term"
)

// newSnapshot is `foretop snapshot`: the fleet once, for people in a pipe and for programs.
func newSnapshot(opts *options) *cobra.Command {
	var (
		format string
		wait   time.Duration
		what   choice
		found  findingsFlags
	)
	cmd := &cobra.Command{
		Use:   "snapshot [NODE...]",
		Short: "Print the fleet once and exit",
		Long: `Connects, waits until every node is live or has given its answer (at most --wait), prints what is known and exits: 0 when all nodes are live, 3 when some are not, each named with its cause on standard error. Without nodes it is the nodes of your running jobs where a scheduler is found, else this machine.

With --findings it prints only what is wrong, with its evidence and what to do, and exits with 4 when some of it is critical and its node is not out of service, whatever else holds: for cron and health gates. What could not be checked is named.

The JSON is described in export/SNAPSHOT.md: snake_case, units in names, null for what is not known. For prometheus it is OpenMetrics, what ` + "`foretop export`" + ` serves: export/METRICS.md. Findings are in export/FINDINGS.md.`,
		ValidArgsFunction: opts.completeNodes,
		Example: `foretop snapshot 'gpu[001-064]'
foretop snapshot --format json gpu017 | jq '.nodes[0].devices[].power_watts'
# a health gate: 4 where something is critical
foretop snapshot --findings --min-severity warning --for 1m --job 8123`,
		RunE: running(func(cmd *cobra.Command, args []string) error {
			if err := found.check(cmd, &format); err != nil {
				return err
			}
			if !found.on && !slices.Contains(formats, format) {
				return usage(fmt.Errorf("unknown format %q: write one of %s", format, strings.Join(formats, ", ")))
			}
			if wait < 0 {
				return usage(fmt.Errorf("--wait %v: no time runs backward", wait))
			}
			cfg, names, err := opts.loadFor(args)
			if err != nil {
				return err
			}
			what.who = opts.openTerminal()
			c, err := openChosen(cmd.Context(), cfg, askingPool(cfg, what.who), names, what)
			if err != nil {
				return err
			}
			defer c.Close()
			if found.on {
				c.found.keep(cfg) // what people said of it
			}
			begun := time.Now()
			snap := c.settle(cmd.Context(), wait)
			if found.on {
				snap = found.look(cmd.Context(), c.station, snap)
				err = found.print(cmd.OutOrStdout(), snap, format, time.Since(begun))
			} else {
				err = printSnapshot(cmd.OutOrStdout(), snap, format)
			}
			if err != nil {
				return err
			}
			return found.alarmed(snap, notLive(cmd.ErrOrStderr(), snap, wait, opts.aliases(cfg)))
		}),
	}
	cmd.Flags().StringVar(&format, "format", "table", "table, json or prometheus; of --findings text or json")
	cmd.Flags().DurationVar(&wait, "wait", 5*time.Second, "how long to wait for nodes that have not answered")
	opts.addSSH(cmd)
	found.add(cmd)
	what.add(cmd, "print")
	what.addPrometheus(cmd)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(append(formats[:len(formats):len(formats)], findingsFormats[0]), cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
	return cmd
}

var formats = []string{"table", "json", "prometheus"}

// detailNodes is up to how many nodes are asked for all they have.
const detailNodes = 64

// settle waits until every node is live and has said everything, or has given an answer that will not change by itself.
func (s *station) settle(ctx context.Context, wait time.Duration) *fleet.Snapshot {
	return s.settleOf(ctx, wait, func(*fleet.Node) bool { return true })
}

// settleOf is settle of those nodes that are asked for.
func (s *station) settleOf(ctx context.Context, wait time.Duration, of func(*fleet.Node) bool) *fleet.Snapshot {
	var snap *fleet.Snapshot
	if s.asker.await(ctx, wait, func() bool {
		snap = s.Publish()
		return (s.moved == nil || !s.moved(snap)) && settled(snap, s.asker, of)
	}) {
		return snap
	}
	return s.Publish()
}

func settled(snap *fleet.Snapshot, asker *asker, of func(*fleet.Node) bool) bool {
	for _, n := range snap.Nodes {
		switch {
		case !of(n):
		case n.State.Pending():
			return false
		case n.State == fleet.NeedsTrust || n.State == fleet.NeedsAuth:
			if asker.waits(n.Name) {
				return false
			}
		case n.State == fleet.Live && !complete(n):
			return false
		}
	}
	return true
}

// complete says that a live node has told all of its first picture: rates need two readings, jobs the first walk over its processes, and each source its
// first answer.
func complete(n *fleet.Node) bool {
	asked := slices.ContainsFunc(n.Sources, func(s fleet.Source) bool { return s.State == facts.SourceState_SOURCE_UNKNOWN })
	return n.Host.CPUBusyPct.Known() && n.ProcessesTold && !asked
}

func printSnapshot(w io.Writer, snap *fleet.Snapshot, format string) error {
	switch format {
	case "json":
		return export.JSON(w, snap)
	case "prometheus":
		return export.Metrics(w, snap, export.OpenMetrics)
	}
	return export.Table(w, snap, terminalWidth())
}

// terminalWidth is the width of the terminal that is written to, 0 for none: then nothing is cut.
func terminalWidth() int {
	if w, _, err := term.GetSize(os.Stdout.Fd()); err == nil {
		return w
	}
	return 0
}

// notLive names the nodes that are not live and why; nil when all are.
func notLive(w io.Writer, snap *fleet.Snapshot, wait time.Duration, aliases []string) error {
	missing := 0
	for _, n := range snap.Nodes {
		if n.State == fleet.Live {
			continue
		}
		missing++
		text := fmt.Sprintf("foretop: %s is %s", n.Name, n.State)
		switch {
		case n.Cause != "":
			text += ": " + n.Cause
		case n.State.Pending():
			text += fmt.Sprintf(": no answer within %v (--wait waits longer)", wait)
		}
		if n.Remedy != "" {
			text += " (" + n.Remedy + ")"
		}
		if unresolved(n) {
			text += didYouMean(n.Name, slices.DeleteFunc(slices.Clone(aliases), func(a string) bool { return a == n.Name }))
		}
		fmt.Fprintln(w, text)
	}
	if snap.Empty != "" {
		missing++
		fmt.Fprintln(w, "foretop: "+snap.Empty)
	}
	if missing > 0 {
		return &failure{code: codeNotLive}
	}
	return nil
}

// askingPool is poolConfig for a command that asks somebody; nil: it asks nobody.
func askingPool(cfg config.Config, who person) sshpool.Config {
	ssh := poolConfig(cfg)
	ssh.Ask = who != nil
	return ssh
}

// poolConfig is how the configuration says that nodes are reached.
func poolConfig(cfg config.Config) sshpool.Config {
	return sshpool.Config{ConfigFile: cfg.SSH.Config}
}
