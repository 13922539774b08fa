package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"foretop/config"
	"foretop/fleet"
	"foretop/sshpool"
	"foretop/ui"
)

// screenFlags are the flags of commands that open the screen.
type screenFlags struct {
	theme string
	ascii bool
	mouse bool
}

func (f *screenFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.theme, "theme", "", "colours: "+strings.Join(config.Themes(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("theme", cobra.FixedCompletions(config.Themes(), cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
	cmd.Flags().BoolVar(&f.ascii, "ascii", false, "draw with ASCII characters only")
	cmd.Flags().BoolVar(&f.mouse, "mouse", false, "take the mouse: clicks and the wheel")
}

// over lays the flags over the configuration.
func (f *screenFlags) over(cmd *cobra.Command, cfg *config.Config) error {
	if cmd.Flags().Changed("theme") {
		if !slices.Contains(config.Themes(), f.theme) {
			return usage(fmt.Errorf("unknown theme %q: write one of %s", f.theme, strings.Join(config.Themes(), ", ")))
		}
		cfg.Theme = f.theme
	}
	cfg.ASCII = cfg.ASCII || f.ascii || !utf8Locale(os.Getenv)
	cfg.Mouse = cfg.Mouse || f.mouse
	return nil
}

// utf8Locale says whether the terminal is to be expected to show more than ASCII, by the same variables and order as setlocale(3).
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// targetsOf names what to watch: the nodes of the command line, or this machine.
func targetsOf(names []string) []sshpool.Target {
	if len(names) == 0 {
		name, err := os.Hostname()
		if err != nil || name == "" {
			name = "localhost"
		}
		return []sshpool.Target{{Name: name, Local: true}}
	}
	targets := make([]sshpool.Target, len(names))
	for i, name := range names {
		targets[i] = sshpool.Target{Name: name}
	}
	return targets
}

// errNoTerminal is what the screen needs and does not have.
var errNoTerminal = errors.New("the screen needs a terminal: for a script, `foretop snapshot` prints the fleet once")

func needTerminal() error {
	if !term.IsTerminal(os.Stdin.Fd()) || !term.IsTerminal(os.Stdout.Fd()) {
		return errNoTerminal
	}
	return nil
}

// show opens the screen on what is chosen until the user leaves it.
func (c *chosen) show(ctx context.Context, cfg config.Config) error {
	looked := func(*fleet.Snapshot) {}
	if c.follower != nil {
		looked = c.follower.looked
	}
	c.found.keep(cfg)
	hands := newHands(ctx, cfg, c)
	defer hands.Close()
	return show(ctx, c.station, cfg, c.title, looked, hands)
}

// show opens the screen on a station until the user leaves it; looked sees each snapshot.
func show(ctx context.Context, s *station, cfg config.Config, name string, looked func(*fleet.Snapshot), actor ui.Actor) error {
	out := newLine(os.Stdout)
	model := ui.New(ui.Options{
		Source: s, Past: s.past, Seen: s.pool.See, Actor: actor, Asker: s, Keeper: s.found, Custom: cfg.Actions.Custom, Name: name, ASCII: cfg.ASCII, Theme: cfg.Theme, Metric: cfg.Metric, Mouse: cfg.Mouse, Profile: profileOf(cfg.Theme),
	})
	program := tea.NewProgram(model, tea.WithContext(ctx), tea.WithOutput(out), tea.WithFilter(out.filter))
	if s.logs != nil {
		s.logs.look(cfg.LogPatterns)
	}
	failed := make(chan error, 1)
	s.publish(ctx, cfg.Refresh, func(snap *fleet.Snapshot) {
		looked(snap)
		out.picture(program, ui.SnapshotMsg{Snapshot: snap})
	}, func(err error) {
		failed <- err
		program.Kill()
	})
	_, err := program.Run()
	select {
	case err = <-failed:
		return err
	default:
	}
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil {
		return nil // Ctrl-C and SIGTERM are ways to leave
	}
	return err
}

// profileOf forces the number of colours where the theme does.
func profileOf(theme string) colorprofile.Profile {
	switch theme {
	case "8":
		return colorprofile.ANSI
	case "none":
		return colorprofile.ASCII
	}
	return colorprofile.Unknown
}
