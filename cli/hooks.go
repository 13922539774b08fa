package cli

import (
	"context"
	"fmt"
	"io"

	"foretop/config"
	"foretop/fleet"
	"foretop/hooks"
)

// openHooks makes the configuration's hooks ready, for a command that runs without a screen; Close ends them. fleet is what is watched, in words; off: none is told anything.
func openHooks(ctx context.Context, cfg config.Config, watched string, off bool, say io.Writer) (*hooks.Set, error) {
	if off {
		cfg.Hooks = nil
	}
	opt := hooks.Options{
		Hooks: cfg.Hooks, Fleet: watched, Host: thisHost(), Incidents: true,
		Say: func(text string) { fmt.Fprintln(say, "foretop: "+text) },
	}
	if len(cfg.Hooks) > 0 {
		var err error
		if opt.State, err = statePath("hooks.json"); err != nil {
			return nil, fmt.Errorf("no place for what hooks were told: %w (set XDG_STATE_HOME)", err)
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
