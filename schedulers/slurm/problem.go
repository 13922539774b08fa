package slurm

import (
	"context"
	"errors"
	"strings"

	"foretop/schedulers"
)

// remedies are what to do about words of Slurm's programs (src/common/slurm_errno.c, and their own messages), the more telling ones first.
var remedies = []struct{ words, remedy string }{
	{"incompatible versions", "the programs here are of another release than the controller: ask through a login node that has the cluster's"},
	{"munge", "munge does not run here, or has another key than the controller's: start it, or ask through a login node"},
	{"invalid authentication credential", "munge has another key than the controller's, or the clocks differ: ask through a login node"},
	{"protocol authentication error", "munge has another key than the controller's, or the clocks differ: ask through a login node"},
	{"unable to contact slurm controller", "the controller is down, or cannot be reached from here: see `scontrol ping`, or ask through a login node"},
	{" is down", "the controller is down, or cannot be reached from here: see `scontrol ping`, or ask through a login node"},
	{"could not establish a configuration source", "there is no slurm.conf here: set SLURM_CONF, or ask through a login node"},
	{"cannot stat file", "there is no slurm.conf where SLURM_CONF points: correct it, or ask through a login node"},
	{"unable to process configuration file", "slurm.conf cannot be read here: see `scontrol show config`, or ask through a login node"},
	{"socket timed out", "the controller is busy or slow: it is asked less often now; see `sdiag`"},
	{"zero bytes were transmitted", "the controller refused: its munge key or version may be another; ask through a login node"},
	{"transport endpoint is not connected", "the controller is down, or cannot be reached from here: see `scontrol ping`"},
	{"connection refused", "the controller is down: see `scontrol ping`"},
	{"access/permission denied", "this user may not see it (PrivateData in slurm.conf): ask the cluster's administrators"},
	{"not permitted", "this user may not see it (PrivateData in slurm.conf): ask the cluster's administrators"},
}

// remedyOf is what to do about Slurm's words; "" where nothing is known.
func remedyOf(said string) string {
	said = strings.ToLower(said)
	for _, r := range remedies {
		if strings.Contains(said, r.words) {
			return r.remedy
		}
	}
	return ""
}

// problem words an error.
func problem(err error) *schedulers.Problem {
	p := &schedulers.Problem{Text: clean(err.Error())}
	var exit *schedulers.ExitError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		p.Remedy = "the controller is busy or cannot be reached: see `scontrol ping` and `sdiag`"
	case errors.Is(err, schedulers.ErrTooMuch):
		p.Remedy = "watch one partition, or your own jobs"
	case errors.As(err, &exit):
		p.Remedy = remedyOf(exit.Words)
		if exit.Status == 127 && p.Remedy == "" {
			p.Remedy = "Slurm's programs are gone from where they were: see `command -v squeue`"
		}
	}
	return p
}
