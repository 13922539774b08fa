package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foretop/export"
	"foretop/fleet"
)

// findingsFlags are those of `foretop snapshot --findings`.
type findingsFlags struct {
	on    bool
	least string
	watch time.Duration

	severity fleet.Severity
}

func (f *findingsFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.on, "findings", false, "print only what is wrong, as text or JSON; exit code 4 when some of it is critical")
	cmd.Flags().StringVar(&f.least, "min-severity", "notice", "with --findings: leave out what is milder than notice, warning or critical")
	cmd.Flags().DurationVar(&f.watch, "for", 0, "with --findings: look for so long before judging: that a job hangs takes a minute to see")
	_ = cmd.RegisterFlagCompletionFunc("min-severity", cobra.FixedCompletions(fleet.SeverityWords(), cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
}

// findingsFormats are what findings are written as; the first where nothing is said.
var findingsFormats = []string{"text", "json"}

// check says what does not go together, and takes the format that holds where none was given.
func (f *findingsFlags) check(cmd *cobra.Command, format *string) error {
	if !f.on {
		for _, name := range []string{"min-severity", "for"} {
			if cmd.Flags().Changed(name) {
				return usage(fmt.Errorf("--%s is about findings: add --findings", name))
			}
		}
		return nil
	}
	if !cmd.Flags().Changed("format") {
		*format = findingsFormats[0]
	}
	var err error
	f.severity, err = fleet.ParseSeverity(f.least)
	switch {
	case !slices.Contains(findingsFormats, *format):
		return usage(fmt.Errorf("--findings are not written as %q: write one of %s", *format, strings.Join(findingsFormats, ", ")))
	case err != nil:
		return usage(fmt.Errorf("--min-severity: %w", err))
	case f.watch < 0 || f.watch > 24*time.Hour:
		return usage(fmt.Errorf("--for %v: it is between 0s and 24h", f.watch))
	case f.watch > 0 && cmd.Flags().Changed("prometheus"):
		return usage(fmt.Errorf("--for: a Prometheus server is asked once; leave one of the two out"))
	}
	return nil
}

// watchEvery is how often rules are asked while they look: as often as nodes tell something new.
const watchEvery = time.Second

// look publishes until the time is over that rules were given, counted from when the fleet was first complete.
func (f *findingsFlags) look(ctx context.Context, s *station, snap *fleet.Snapshot) *fleet.Snapshot {
	end := time.Now().Add(f.watch)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for time.Now().Before(end) {
		select {
		case <-tick.C:
			snap = s.Publish()
		case <-ctx.Done():
			return snap
		}
	}
	return snap
}

// print writes the findings.
func (f *findingsFlags) print(w io.Writer, snap *fleet.Snapshot, format string, watched time.Duration) error {
	opt := export.FindingsOptions{Least: f.severity, Watched: watched}
	if format == "json" {
		return export.FindingsJSON(w, snap, opt)
	}
	return export.FindingsText(w, snap, opt, terminalWidth())
}

// alarmed is the failure of a snapshot in which something is critical that nobody knows of; it outranks that a node is not live.
func (f *findingsFlags) alarmed(snap *fleet.Snapshot, other error) error {
	if f.on && snap.Alarms() {
		return &failure{code: codeCritical}
	}
	return other
}
