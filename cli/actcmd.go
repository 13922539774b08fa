package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foretop/actions"
	"foretop/telemetry"
)

// actFlags are those of commands that act.
type actFlags struct {
	yes, dry  bool
	wait      time.Duration
	scheduler string
	intent    actions.Intent
}

func (f *actFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do it without asking")
	cmd.Flags().BoolVar(&f.dry, "dry-run", false, "say what would be done, and do nothing")
	cmd.Flags().DurationVar(&f.wait, "wait", 30*time.Second, "how long to wait for schedulers, and for nodes that none of them lists, to say who they are")
	cmd.Flags().StringVar(&f.scheduler, "scheduler", "", "whose nodes are meant, where several have one of that name: slurm, kubernetes or kubernetes/CONTEXT")
}

// newDrain is `foretop drain`.
func newDrain(opts *options) *cobra.Command {
	f := actFlags{intent: actions.Intent{Kind: actions.Drain}}
	cmd := &cobra.Command{
		Use:   "drain NODE...",
		Short: "Take nodes out: their scheduler gives them nothing new",
		Long: `Says what is to be done and whose work is there, asks, and does it. A name that a scheduler has for a node means that node: it is not connected to, so a dead one can be drained. Names that no scheduler has, as your own aliases, are connected to, to be sure which node they are. Of Kubernetes' nodes pods are evicted as well, unless --when-idle. Each step is written down in the audit file before it starts and after it ended.

It exits with 0 when all was done, 3 when some was not, each named with the reason.`,
		Args:              takes("which nodes? Write their names, node sets such as gpu[001-004], or @groups", 1),
		ValidArgsFunction: opts.completeNodes,
		Example:           `foretop drain 'gpu[017-018]' --reason 'Xid 79 GPU3'`,
		RunE:              f.run(opts),
	}
	f.add(cmd)
	opts.addSSH(cmd)
	cmd.Flags().StringVar(&f.intent.Reason, "reason", "", "why, for whoever finds them drained (required)")
	cmd.Flags().BoolVar(&f.intent.WhenIdle, "when-idle", false, "let what runs there end by itself: cordon only, and evict nothing (Slurm always drains so)")
	cmd.Flags().BoolVar(&f.intent.Append, "append", false, "add the reason to one that is there; else that stays")
	cmd.Flags().BoolVar(&f.intent.EmptyDir, "delete-emptydir-data", false, "evict pods whose emptyDir is lost with them")
	cmd.Flags().BoolVar(&f.intent.Force, "force", false, "evict pods that no controller makes anew")
	cmd.Flags().DurationVar(&f.intent.Grace, "grace", 0, "how long pods get to end; 0: their own")
	cmd.Flags().DurationVar(&f.intent.Timeout, "timeout", 0, "how long all evictions may take; 0: 5m")
	return cmd
}

// newResume is `foretop resume`.
func newResume(opts *options) *cobra.Command {
	f := actFlags{intent: actions.Intent{Kind: actions.Resume}}
	cmd := &cobra.Command{
		Use:               "resume NODE...",
		Short:             "Let nodes take work again",
		Long:              "Says what is to be done, asks, and does it; names are taken as drain takes them.",
		Args:              takes("which nodes? Write their names, node sets such as gpu[001-004], or @groups", 1),
		ValidArgsFunction: opts.completeNodes,
		RunE:              f.run(opts),
	}
	f.add(cmd)
	opts.addSSH(cmd)
	return cmd
}

// run is a command that acts on nodes.
func (f *actFlags) run(opts *options) func(*cobra.Command, []string) error {
	return running(func(cmd *cobra.Command, args []string) error {
		cfg, err := opts.load()
		if err != nil {
			return err
		}
		if f.intent.Kind == actions.Drain && strings.TrimSpace(f.intent.Reason) == "" {
			return usage(errors.New("a drain needs --reason"))
		}
		names, err := expand(cfg, args)
		if err != nil {
			return err
		}
		who := opts.openTerminal()
		c, err := openActedOn(cmd.Context(), cfg, askingPool(cfg, who), names, f.scheduler, f.wait, who)
		if err != nil {
			return err
		}
		defer c.Close()
		h := newHands(cmd.Context(), cfg, c.chosen)
		defer h.Close()
		if h.refusal != "" && !f.dry {
			return errors.New(h.refusal)
		}
		f.intent.Nodes = names
		p := h.Preview(c.Publish(), f.intent)
		p.Warnings = append(p.Warnings, c.silent...)
		tell(cmd.OutOrStdout(), p)
		if f.dry {
			return nil
		}
		answer := p.Answer()
		if !f.yes {
			now := func() *actions.Preview { return h.Preview(c.Publish(), f.intent) }
			if p, answer, err = confirm(cmd.InOrStdin(), cmd.OutOrStdout(), p, now); err != nil {
				return err
			}
		}
		return carryOut(cmd.Context(), cmd.OutOrStdout(), h, p, answer)
	})
}

// tell prints what is to be done.
func tell(w io.Writer, p *actions.Preview) {
	fmt.Fprintln(w, safe(p.Title))
	if p.Intent.Reason != "" {
		fmt.Fprintln(w, "reason: "+safe(p.Intent.Reason))
	}
	fmt.Fprintln(w, "affected: "+safe(p.Affected.String()))
	if len(p.Affected.Others) > 0 {
		fmt.Fprintln(w, "work of others: "+safe(strings.Join(p.Affected.Theirs, "; ")))
	}
	for _, words := range p.Means {
		fmt.Fprintln(w, safe(words))
	}
	for _, warning := range p.Warnings {
		fmt.Fprintln(w, "! "+safe(warning))
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Refused != "" {
			fmt.Fprintln(w, safe(s.Target+" not: "+s.Refused))
			continue
		}
		fmt.Fprintln(w, safe(s.Target+"  "+s.Where))
		for _, line := range append(s.Commands[:len(s.Commands):len(s.Commands)], s.Notes...) {
			fmt.Fprintln(w, "    "+safe(line))
		}
	}
}

func safe(s string) string { return telemetry.Clean(s, 4<<10) }

// ask asks for the answer on a terminal.
func ask(in *bufio.Reader, out io.Writer, p *actions.Preview) (string, error) {
	if p.Trouble != "" {
		return "", errors.New(p.Trouble)
	}
	if p.Count > 0 {
		fmt.Fprintf(out, "do it? type %d, the number of targets: ", p.Count)
	} else {
		fmt.Fprint(out, "do it? y: ")
	}
	line, err := in.ReadString('\n')
	if err != nil && line == "" {
		return "", errors.New("nobody answered: --yes does it without asking")
	}
	return strings.TrimSpace(line), nil
}

// carryOut has it done, and prints each result as it comes.
func carryOut(ctx context.Context, w io.Writer, h *hands, p *actions.Preview, answer string) error {
	job, err := h.Start(p, answer)
	if err != nil {
		return err
	}
	told := make([]actions.State, len(p.Steps))
	for over := false; !over; {
		results, changed := job.Results()
		for i, r := range results {
			if (r.State.Final() || r.State == actions.Unknown) && told[i] != r.State {
				told[i] = r.State
				words := r.Target + ": " + r.State.String()
				if r.Words != "" {
					words += ": " + r.Words
				}
				fmt.Fprintln(w, safe(words))
			}
		}
		select {
		case <-job.Done():
			again, _ := job.Results()
			over = len(again) == len(results) && same(again, told)
		case <-changed:
		case <-ctx.Done():
			job.Cancel()
		}
	}
	done := 0
	for _, s := range told {
		if s == actions.Done {
			done++
		}
	}
	if done < len(told) {
		return &failure{codeNotLive, fmt.Errorf("%d of %d done", done, len(told))}
	}
	return nil
}

func same(results []actions.Result, told []actions.State) bool {
	for i := range results {
		if results[i].State != told[i] {
			return false
		}
	}
	return true
}

// newAudit is `foretop audit`.
func newAudit(opts *options) *cobra.Command {
	var (
		asJSON bool
		last   int
	)
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Print what was done, by whom, and how it ended",
		Long: `Prints a line for each step before it starts, and one for how it ended: the time, who, what, on what, how it stands, where; then the reason and the exact commands, or what came of it. Two spaces stand between.

The file is what actions.audit in the configuration file names, else foretop/audit.jsonl in $XDG_STATE_HOME or ~/.local/state.`,
		Example: `foretop audit | grep gpu017
# what failed
foretop audit --json | jq 'select(.state == "failed")'`,
		Args: cobra.NoArgs,
		RunE: running(func(cmd *cobra.Command, _ []string) error {
			cfg, err := opts.load()
			if err != nil {
				return err
			}
			path, err := auditPath(cfg)
			if err != nil {
				return err
			}
			lines, err := readAudit(path)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("nothing was done so far: there is no %s", path)
			} else if err != nil {
				return fmt.Errorf("read the audit file: %w", err)
			}
			if last > 0 {
				lines = lines[max(0, len(lines)-last):]
			}
			return printAudit(cmd.OutOrStdout(), lines, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, a line each")
	cmd.Flags().IntVar(&last, "last", 0, "only so many lines; 0: all")
	return cmd
}

// auditText is a line for people and for grep: the time with its zone, who, what, on what, how it stands; then where it is asked, and why and by which commands, or what came of it.
func auditText(l *actions.Line) string {
	words := []string{l.Time.Local().Format("2006-01-02 15:04:05 -0700"), l.User, string(l.Action), l.Target, l.State}
	if l.Where != "" && l.Where != l.Target {
		words = append(words, l.Where)
	}
	if l.State == actions.Starts {
		if l.Reason != "" {
			words = append(words, strconv.Quote(l.Reason))
		}
		words = append(words, l.Command...)
	} else if l.Words != "" {
		words = append(words, l.Words)
	}
	return safe(strings.Join(words, "  "))
}

func printAudit(w io.Writer, lines []actions.Line, asJSON bool) error {
	for _, l := range lines {
		var text string
		if asJSON {
			b, err := l.JSON()
			if err != nil {
				return err
			}
			text = string(b)
		} else {
			text = auditText(&l)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
