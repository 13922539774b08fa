package cli

import (
	"context"
	"errors"
	"time"

	"foretop/config"
	"foretop/schedulers"
)

// loginAgain is the longest wait before schedulers are looked for once more.
const loginAgain = 30 * time.Second

// seek looks for the schedulers until it has them, beside a screen that is open already: the login node through which one is asked may wait for the person there (a host key, a
// passphrase, a code). What keeps it from them is told as the scheduler's problem.
func (f *follower) seek(ctx context.Context, cfg config.Config) {
	began := time.Now()
	for wait := time.Second; ; wait = min(2*wait, loginAgain) {
		list, err := findSchedulers(ctx, cfg, &f.choice, f.station.runnerOn)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			f.start(ctx, list)
			return
		}
		words := err.Error()
		if errors.Is(err, schedulers.ErrNotSent) {
			words = "its login node " + cfg.Slurm.Login + " is not connected"
			wait = time.Second // to wait for its connection was a wait
		}
		f.station.Scheduled(&schedulers.Picture{Kind: slurmWord, Problem: &schedulers.Problem{Text: safe(words), Since: began}})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}
