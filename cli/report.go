package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foretop/actions"
	"foretop/config"
	"foretop/findings"
	"foretop/fleet"
	"foretop/recording"
	"foretop/report"

	"github.com/charmbracelet/x/term"
)

// reportFlags are those of `foretop report`.
type reportFlags struct {
	format, file, from, to string
	job                    string
	force                  bool
	wait, watch            time.Duration
}

// newReport is `foretop report`: a post-mortem for people who were not there.
func newReport(opts *options) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report JOB|FILE [NODE...]",
		Short: "Write a post-mortem of a job, or of a recording",
		Long: `Writes what was wrong and since when, a timeline, heat maps of power, use, memory and traffic over time, the kernel lines, and who did what (the audit file), as one HTML page or Markdown text. The page stands for itself: it loads nothing and runs nothing.

FILE is what foretop record, or foretop itself around a critical finding, has recorded: all of it, or one --job of it, and --from and --to of it.

JOB is a running job, by its id, key or name. Its nodes are those that a scheduler says; without one, name them after it. They are watched for --for: findings and kernel lines reach back before that, numbers do not.`,
		Args:              takes("which job, or which recording? Write foretop report JOB|FILE", 1),
		ValidArgsFunction: opts.completeNodes,
		Example: `foretop report night.foretop --job 8123 --from 03:10 --to 03:40 -o 8123.html
foretop report 8123 -o 8123.md
# without a scheduler: the job's nodes too
foretop report train 'gpu[001-004]' --for 5m --format markdown`,
		RunE: running(func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			cfg, err := opts.load()
			if err != nil {
				return err
			}
			if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() {
				if len(args) > 1 {
					return usage(fmt.Errorf("%s is a file: no nodes are watched for it", args[0]))
				}
				return f.ofFile(cmd, cfg, args[0])
			}
			if looksLikeFile(args[0]) {
				return fmt.Errorf("report %s: there is no such file", args[0])
			}
			if f.job != "" {
				return usage(fmt.Errorf("--job is of a recording, and %s is no file", args[0]))
			}
			names, err := expand(cfg, args[1:])
			if err != nil {
				return err
			}
			return f.ofJob(cmd, cfg, args[0], names)
		}),
	}
	f.add(cmd)
	opts.addSSH(cmd)
	return cmd
}

// looksLikeFile says that a word is meant as a file rather than a job: jobs' keys have slashes as well.
func looksLikeFile(word string) bool {
	return filepath.IsAbs(word) || strings.HasPrefix(word, "."+string(filepath.Separator)) || strings.HasPrefix(word, "..") || strings.HasSuffix(word, ".foretop")
}

func (f *reportFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "format", "", "html or markdown; without it as the file's name ends, html for others, markdown on a terminal")
	cmd.Flags().StringVarP(&f.file, "output", "o", "", "write to a `FILE` that only you can read, not to standard output")
	cmd.Flags().StringVar(&f.job, "job", "", "of a recording only this job, by its `ID`, key or name")
	cmd.Flags().BoolVar(&f.force, "force", false, "take the place of a file that is there")
	cmd.Flags().StringVar(&f.from, "from", "", "from when: a `TIME` such as 14:05, '2026-11-26 14:05:30' or -30m, before the end")
	cmd.Flags().StringVar(&f.to, "to", "", "until when: a `TIME`, as --from")
	cmd.Flags().DurationVar(&f.wait, "wait", 30*time.Second, "how long to wait for schedulers and nodes that have not answered")
	cmd.Flags().DurationVar(&f.watch, "for", 30*time.Second, "how long to watch a running job: its numbers over so long are told")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
}

// check says what is wrong with the flags, before anything is waited for, and settles the format.
func (f *reportFlags) check() error {
	terminal := f.file == "" && term.IsTerminal(os.Stdout.Fd())
	if f.format == "" {
		f.format = "html"
		if name := strings.ToLower(f.file); terminal || strings.HasSuffix(name, ".md") || strings.HasSuffix(name, ".markdown") {
			f.format = "markdown"
		}
	}
	switch {
	case !slices.Contains(report.Formats(), f.format):
		return usage(fmt.Errorf("unknown format %q: write one of %s", f.format, strings.Join(report.Formats(), ", ")))
	case f.wait < 0 || f.watch < 0 || f.watch > 24*time.Hour:
		return usage(errors.New("--wait and --for are not negative, and --for is at most 24h"))
	case f.force && f.file == "":
		return usage(errors.New("--force is about the file of -o"))
	}
	for flag, text := range map[string]string{"--from": f.from, "--to": f.to} {
		if _, err := parseMoment(text, time.Now()); err != nil {
			return usage(fmt.Errorf("%s: %w", flag, err))
		}
	}
	return mayWrite(f.file, f.force)
}

// historyReach is how far back the history of a recording is asked for; of longer times single readings are told.
const historyReach = time.Hour

// ofFile writes the report of a recording.
func (f *reportFlags) ofFile(cmd *cobra.Command, cfg config.Config, path string) error {
	file, err := recording.Open(path)
	if err != nil {
		return fmt.Errorf("open recording: %w", err)
	}
	defer file.Close()
	collect(replayGarbage, 0)
	past := file.Past(replayOf(cfg, 0))
	defer past.Close()
	from, to, kept, ok := past.Span()
	if !ok {
		return fmt.Errorf("%s: nothing was recorded", path)
	}
	if torn, gaps := file.Torn(); torn > 0 || gaps > 0 {
		kept += fmt.Sprintf("; damaged: %s at its end, %d gaps", sizeWords(torn), gaps)
	}
	src := report.Source{From: from, To: to, Kept: kept, Of: "the recording " + filepath.Base(path), Reach: historyReach, History: past.History, At: folding(past.At)}
	for _, m := range past.Marks() {
		src.Moments = append(src.Moments, report.Moment{At: m.At, Severity: m.Severity})
	}
	return f.write(cmd.Context(), cmd.OutOrStdout(), cfg, src, report.Options{Job: f.job})
}

// folding folds what was found in successive snapshots into incidents, which recordings do not have.
func folding(at func(context.Context, time.Time) (*fleet.Snapshot, error)) func(context.Context, time.Time) (*fleet.Snapshot, error) {
	var before []fleet.Incident
	return func(ctx context.Context, t time.Time) (*fleet.Snapshot, error) {
		s, err := at(ctx, t)
		if err != nil || s.Incidents != nil {
			return s, err
		}
		folded := *s
		before = findings.Incidents(s, before)
		folded.Incidents = before
		return &folded, nil
	}
}

// liveSteps is how many snapshots of a running job are looked at, at most: each holds all of the fleet.
const liveSteps = 30

// beforeLooking is how far back a report tells what rules and kernels say, of a job of which it is not known when it began.
const beforeLooking = time.Hour

// ofJob watches a job for a while and writes its report.
func (f *reportFlags) ofJob(cmd *cobra.Command, cfg config.Config, job string, names []string) error {
	what := choice{}
	if len(names) == 0 {
		what.jobs = []string{job}
	}
	c, err := openChosen(cmd.Context(), cfg, poolConfig(cfg), names, what)
	if errors.Is(err, errNoScheduler) {
		return fmt.Errorf("%w: name the job's nodes: foretop report %s NODE", err, job)
	} else if err != nil {
		return err
	}
	defer c.Close()
	c.found.keep(cfg)
	snap := c.settle(cmd.Context(), f.wait)
	if snap.Empty != "" {
		return errors.New(snap.Empty)
	}
	opt := report.Options{Job: job, From: snap.At.Add(-beforeLooking)}
	watch := time.Duration(0) // of one that is not there report says which are
	for _, j := range snap.Jobs {
		if j.Key != job && j.ID != job && j.Name != job {
			continue
		}
		watch = f.watch
		if !j.Start.IsZero() {
			opt.From = j.Start
		}
	}
	if watch > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "foretop: watching %s for %v\n", c.title, watch)
	}
	src := c.watched(cmd.Context(), snap, watch)
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	return f.write(cmd.Context(), cmd.OutOrStdout(), cfg, src, opt)
}

// watched watches a fleet for a time, and is what was seen.
func (s *station) watched(ctx context.Context, first *fleet.Snapshot, span time.Duration) report.Source {
	kept := []*fleet.Snapshot{first}
	step := max(time.Second, span/liveSteps)
	tick := time.NewTicker(min(step, max(span, time.Millisecond)))
	defer tick.Stop()
	for end := first.At.Add(span); kept[len(kept)-1].At.Before(end) && ctx.Err() == nil; {
		select {
		case <-tick.C:
			kept = append(kept, s.Publish())
		case <-ctx.Done():
		}
	}
	return report.Source{
		From: first.At, To: kept[len(kept)-1].At, Of: "the running fleet", History: func(_ time.Time, q fleet.Query) []float64 { return s.History(q) },
		At: func(_ context.Context, at time.Time) (*fleet.Snapshot, error) {
			i, exact := slices.BinarySearchFunc(kept, at, func(k *fleet.Snapshot, at time.Time) int { return k.At.Compare(at) })
			if !exact {
				i = max(0, i-1)
			}
			return kept[i], nil
		},
	}
}

// write writes the report of a source to where it is wanted.
func (f *reportFlags) write(ctx context.Context, stdout io.Writer, cfg config.Config, src report.Source, opt report.Options) error {
	for _, bound := range []struct {
		text string
		at   *time.Time
	}{{f.from, &opt.From}, {f.to, &opt.To}} {
		if bound.text != "" {
			*bound.at, _ = parseMoment(bound.text, src.To) // checked before
		}
	}
	if !opt.To.IsZero() && opt.To.Before(opt.From) {
		return usage(fmt.Errorf("--to %s is before %s", opt.To.Format(time.DateTime), opt.From.Format(time.DateTime)))
	}
	opt.Acts, opt.ActsNote = actsOf(cfg)
	opt.Written, opt.By, opt.Location, opt.Fold = time.Now(), "foretop "+version(), time.Local, fold
	if f.file == "" {
		return report.Write(ctx, stdout, f.format, src, opt)
	}
	var b bytes.Buffer
	if err := report.Write(ctx, &b, f.format, src, opt); err != nil {
		return err
	}
	if err := writeNew(f.file, b.Bytes(), f.force); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "foretop: wrote "+f.file)
	return nil
}

// actsOf are the audit file's lines as reports tell them, or why they are not known.
func actsOf(cfg config.Config) ([]report.Act, string) {
	path, err := auditPath(cfg)
	if err != nil {
		return nil, err.Error()
	}
	lines, err := readAudit(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "" // nothing was ever done from here
	} else if err != nil {
		return nil, "read the audit file: " + err.Error()
	}
	acts := make([]report.Act, len(lines))
	for i, l := range lines {
		words := l.Words
		if l.State == actions.Starts {
			words = strings.TrimSpace(l.Reason + "  " + strings.Join(l.Command, " "))
		}
		acts[i] = report.Act{At: l.Time, Who: l.User + " on " + l.From, What: string(l.Action), Target: l.Target, State: l.State, Where: l.Where, Words: words}
	}
	return acts, ""
}
