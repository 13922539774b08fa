package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"foretop/config"
	"foretop/findings"
	"foretop/fleet"
	"foretop/hooks"
)

// openHooks makes the configuration's hooks ready, for a command that runs without a screen; Close ends them. fleet is what is watched, in words; off: none is told anything.
func openHooks(ctx context.Context, cfg config.Config, watched string, off bool, say io.Writer) (*hooks.Set, error) {
	if off {
		cfg.Hooks = nil
	}
	opt := hooks.Options{
		Hooks: cfg.Hooks, Fleet: watched, Host: thisHost(), Incidents: findings.Rules().Incidents != nil,
		Say: func(text string) { fmt.Fprintln(say, "foretop: "+text) },
	}
	if len(cfg.Hooks) > 0 {
		var err error
		if opt.State, err = stateFile("hooks.json"); err != nil {
			return nil, err
		}
	}
	return hooks.Open(ctx, opt)
}

// telling has hooks look at each snapshot, after another looked.
func telling(looked func(*fleet.Snapshot), h *hooks.Set) func(*fleet.Snapshot) {
	return func(s *fleet.Snapshot) {
		looked(s)
		h.Look(s)
	}
}

// watchedWords is what is watched, in words, before it is.
func watchedWords(names []string, what *choice) string {
	if len(names) > 0 {
		return fold(names)
	}
	return what.words()
}

// stateFile is a file in foretop's folder of $XDG_STATE_HOME.
func stateFile(name string) (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for %s: %w (set XDG_STATE_HOME)", name, err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "foretop", name), nil
}
