package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"foretop/fleet"
	"foretop/recording"
)

// newRecord is `foretop record`: the fleet into a file, for `foretop replay` and reports.
func newRecord(opts *options) *cobra.Command {
	var (
		file string
		span time.Duration
		full bool
		what choice
		mute bool
	)
	cmd := &cobra.Command{
		Use:   "record -o FILE [NODE...]",
		Short: "Record the fleet into a file",
		Long: `Watches the fleet as the screen does, and writes all of it into a file that foretop replay shows: every sample, every kernel line, what schedulers said, and what was found. It needs no terminal, and runs until it is ended, by Ctrl-C or SIGTERM, or until --for is over.

A day of 64 nodes of 8 GPUs takes less than 2 GB: rates are kept to within 1 %, everything else as it was. The file is yours alone (mode 0600), and is never written over. What was recorded until a crash can be replayed, but for the last ten seconds.

The ten minutes around each critical finding are saved by themselves as well, in foretop/incidents of $XDG_STATE_HOME or ~/.local/state (recording: in the configuration file says where, and how many). The configuration file's hooks are told what begins to be wrong: hooks/EVENTS.md.`,
		ValidArgsFunction: opts.completeNodes,
		Example: `foretop record -o night.foretop --all
foretop record -o run.foretop --for 2h 'gpu[001-064]'
foretop replay night.foretop`,
		RunE: running(func(cmd *cobra.Command, args []string) error {
			switch {
			case file == "":
				return usage(errors.New("which file? Write -o FILE"))
			case span < 0:
				return usage(fmt.Errorf("--for %v: no time runs backward", span))
			}
			cfg, names, err := opts.loadFor(args)
			if err != nil {
				return err
			}
			if err := what.check(names); err != nil {
				return err
			}
			ctx, stop := context.WithCancelCause(cmd.Context())
			defer stop(nil)
			title := titleOf(names, what)
			told, err := openHooks(ctx, cfg, title, mute, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer told.Close()
			w, err := recording.Create(file, recording.About{Title: title, Version: version()}, func(err error) { stop(err) })
			if err != nil {
				return err
			}
			said := &lines{w: cmd.ErrOrStderr()}
			box := newBlackBox(cfg, w, true, title, func(path string, err error) {
				if err != nil {
					said.say("a critical finding was not saved: %v", err)
					return
				}
				said.say("a critical finding: its minutes are in %s", path)
			})
			what.box = box
			c, err := openChosen(ctx, cfg, poolConfig(cfg), names, what)
			if err != nil {
				_ = box.Close()
				_ = os.Remove(file) // nothing is in it
				return err
			}
			c.found.keep(cfg)
			said.say("recording %s into %s", c.title, file)
			err = c.record(ctx, span, full, told.Look)
			c.Close()
			if e := box.Close(); err == nil {
				err = e
			}
			if err != nil {
				return fmt.Errorf("record into %s: %w", file, err)
			}
			said.say("recorded %s into %s", sizeWords(w.Bytes()), file)
			return nil
		}),
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "the `FILE` to record into; it must not be there yet")
	cmd.Flags().DurationVar(&span, "for", 0, "how long to record; without it until it is ended")
	cmd.Flags().BoolVar(&full, "full", false, "record what is only read while somebody looks, too: single cores, links, all counters (of up to 64 nodes; files grow several times larger)")
	cmd.Flags().BoolVar(&mute, "no-hooks", false, "tell the configuration's hooks nothing: another foretop does")
	opts.addSSH(cmd)
	what.add(cmd, "record")
	return cmd
}

// recordEvery is how often the fleet is judged while it is recorded.
const recordEvery = time.Second

// record watches until ctx ends, or span is over; 0: it never is.
func (c *chosen) record(ctx context.Context, span time.Duration, full bool, look func(*fleet.Snapshot)) error {
	if span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, span)
		defer cancel()
	}
	failed := make(chan error, 1)
	c.publish(ctx, recordEvery, func(s *fleet.Snapshot) {
		if c.follower != nil {
			c.follower.looked(s)
		}
		if full {
			c.look(s)
		}
		look(s)
	}, func(err error) { failed <- err })
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// titleOf says what is recorded.
func titleOf(names []string, c choice) string {
	if len(names) > 0 {
		return fold(names)
	}
	return c.words()
}

// lines writes messages, a line each, from several goroutines.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.w, "foretop: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// sizeWords is a number of bytes as a person would say it.
func sizeWords(n int64) string {
	switch {
	case n < 1_000_000:
		return fmt.Sprintf("%d kB", (n+999)/1000)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}
