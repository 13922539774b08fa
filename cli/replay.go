package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"foretop/config"
	"foretop/fleet"
	"foretop/recording"
	"foretop/ui"
)

// newReplay is `foretop replay`: the screens on a recording.
func newReplay(opts *options) *cobra.Command {
	var screen screenFlags
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Show a recording",
		Long:  `Opens the screen on what foretop record, or foretop itself around a critical finding, has recorded: the same screens, at any moment of it. Findings are shown as they were worded then. Nothing is connected, and nothing can be done: what is shown is over.`,
		Args:  takes("which recording? Write foretop replay and one FILE", 1, 1),
		RunE: running(func(cmd *cobra.Command, args []string) error {
			cfg, err := opts.load()
			if err != nil {
				return err
			}
			if err := screen.over(cmd, &cfg); err != nil {
				return err
			}
			f, err := recording.Open(args[0])
			if err != nil {
				return fmt.Errorf("open recording: %w", err)
			}
			defer f.Close()
			if err := needTerminal(); err != nil {
				return err
			}
			collect(replayGarbage, 0)
			return showRecording(cmd.Context(), f, cfg, filepath.Base(args[0]))
		}),
	}
	screen.add(cmd)
	return cmd
}

// replaySource is a recording as the screens' source: nothing of it changes, and nothing is asked of anybody.
type replaySource struct {
	past  *recording.Past
	first *fleet.Snapshot
}

// Snapshot is the recording's last moment.
func (s *replaySource) Snapshot() *fleet.Snapshot { return s.first }

// History is the past of one quantity at that moment.
func (s *replaySource) History(q fleet.Query) []float64 { return s.past.History(s.first.At, q) }

func (*replaySource) Watch([]string) {}
func (*replaySource) Follow(string)  {}
func (*replaySource) Retry(string)   {}

// showRecording opens the screen on a recording until the user leaves it.
func showRecording(ctx context.Context, f *recording.File, cfg config.Config, name string) error {
	past := f.Past(replayOf(cfg, 0))
	defer past.Close()
	first, err := lastMoment(ctx, past)
	if err != nil {
		return err
	}
	out := newLine(os.Stdout)
	model := ui.New(ui.Options{
		Source: &replaySource{past, first}, Past: screenPast{past}, Replay: true, Name: name, ASCII: cfg.ASCII, Theme: cfg.Theme, Metric: cfg.Metric, Mouse: cfg.Mouse, Profile: profileOf(cfg.Theme),
	})
	program := tea.NewProgram(model, tea.WithContext(ctx), tea.WithOutput(out), tea.WithFilter(out.filter))
	_, err = program.Run()
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil {
		return nil // Ctrl-C and SIGTERM are ways to leave
	}
	return err
}

// lastMoment is the fleet at the end of a recording; where its last part is damaged, the latest moment before that can be shown.
func lastMoment(ctx context.Context, past *recording.Past) (*fleet.Snapshot, error) {
	from, to, _, _ := past.Span()
	for back := time.Duration(0); ; back = 2*back + time.Minute {
		s, err := past.At(ctx, to.Add(-back))
		if err == nil || ctx.Err() != nil || to.Add(-back).Before(from) {
			return s, err
		}
	}
}
