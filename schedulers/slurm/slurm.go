// Package slurm asks Slurm for its nodes and jobs, and gives it orders, with Slurm's own programs: on this machine, or wherever its runner runs them.
//
// The controller of a large cluster has better things to do than to answer: one question for the jobs and one for the nodes, one after the other, never sooner
// than 15 s after the last ones (30 s on a large cluster), later where it answers slowly or not at all. Everything else is worked out from the two answers.
//
// Releases differ: 23.02 and later (data_parser v0.0.39 to 46) and 21.08 to 22.05 (openapi v0.0.37 and 38) are asked for JSON; where the installation has none,
// or more than may be read, text is asked for, which tells all but which GPUs of a shared node a job has.
//
// An [Actor] reads how a node or a job stands right before it gives an order, sends each order once, and says of one that failed whether it was turned down, was
// never sent, or may have been carried out.
//
// It knows neither the fleet nor SSH. Called by cli.
package slurm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"foretop/schedulers"
)

// Slurm is one cluster's scheduler. Watch is for one goroutine; Hurry is for any.
type Slurm struct {
	runner                  schedulers.Runner
	options                 Options
	squeue, scontrol, sinfo string // paths
	version                 version
	release                 string
	hurry                   chan struct{}
	last                    atomic.Pointer[schedulers.Picture] // that was told

	// Of the goroutine that watches.
	jobForm, nodeForm form
	cluster           string
	configured        bool          // the configuration was read
	private           bool          // PrivateData hides others' jobs from all but operators
	aside             time.Duration // that reading the configuration took in the last round
}

// Options are what a user may set; zero is the default.
type Options struct {
	Every   time.Duration // between questions; not below the bound
	Timeout time.Duration // of one question: 60 s
	Limit   int           // bytes of one answer: 16 MiB; more JSON is asked for as text
}

const (
	defaultTimeout = time.Minute
	defaultLimit   = 16 << 20 // of JSON some 3,000 jobs, of text 20,000
	findTimeout    = 30 * time.Second
	findLimit      = 64 << 10
)

// ErrNone is a machine without Slurm.
var ErrNone = errors.New("no Slurm here")

// places is where Slurm's programs are where PATH does not lead to them.
const places = "/opt/slurm/bin:/opt/slurm/current/bin:/usr/local/slurm/bin:/usr/local/bin:/usr/bin:/cm/shared/apps/slurm/current/bin"

// find prints the paths of the programs, a line each, and their version. It is one line itself: a csh takes no other.
const find = `PATH=$PATH:` + places + `; p=$(command -v squeue) && q=$(command -v scontrol) && r=$(command -v sinfo) || exit 127; ` +
	`printf '%s\n%s\n%s\n' "$p" "$q" "$r"; exec "$p" --version`

// Find looks for Slurm where runner runs commands: in PATH and the usual places. It does not ask the controller. Without Slurm it is ErrNone.
func Find(ctx context.Context, runner schedulers.Runner, options Options) (*Slurm, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	out, err := runner.Run(ctx, findLimit, "sh", "-c", find)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var exit *schedulers.ExitError
	switch {
	case errors.As(err, &exit) && exit.Status == 127 && len(lines) < 3:
		return nil, ErrNone
	case err != nil:
		return nil, fmt.Errorf("find Slurm (%s): %w", runner.Where(), err)
	case len(lines) < 4:
		return nil, fmt.Errorf("find Slurm (%s): squeue tells no version: %s", runner.Where(), quoted(string(out)))
	}
	// A login shell's greeting may stand before.
	lines = lines[len(lines)-4:]
	for _, path := range lines[:3] {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("find Slurm (%s): %s is no path of a program", runner.Where(), quoted(path))
		}
	}
	v, release, ok := parseVersion(lines[3])
	if !ok {
		return nil, fmt.Errorf("find Slurm (%s): %s is no version of Slurm", runner.Where(), quoted(lines[3]))
	}
	if options.Timeout <= 0 {
		options.Timeout = defaultTimeout
	}
	if options.Limit <= 0 {
		options.Limit = defaultLimit
	}
	return &Slurm{
		runner: runner, options: options, squeue: lines[0], scontrol: lines[1], sinfo: lines[2], version: v, release: release,
		hurry: make(chan struct{}, 1), private: true, jobForm: formOf(v), nodeForm: formOf(v),
	}, nil
}

// Kind is "slurm".
func (s *Slurm) Kind() string { return "slurm" }

// Version is the release of Slurm's programs, as "24.05.1".
func (s *Slurm) Version() string { return s.release }

// Hurry asks for a new picture as soon as the bound allows.
func (s *Slurm) Hurry() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}
