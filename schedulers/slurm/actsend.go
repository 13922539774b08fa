package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"foretop/schedulers"
)

// An order must not take effect long after it was sent: who sent it has looked by then, and was told that it was not carried out. A connection that stalls may
// deliver a command minutes later, and a program may wait for its controller. So an order starts only while the clock of its machine is within slack of what it can be,
// counted from the question before it, and timeout(1) ends it: all of that within settles. (What a controller that hangs was sent it does when it wakes: Look waits for that.)
const (
	settles   = 28 * time.Second // after an order is sent it has no effect any more
	patience  = 10 * time.Second // for the question before
	slack     = 4 * time.Second  // with a second for what date rounds off
	killAfter = 2 * time.Second
	longSend  = 15 * time.Second // that an order may run
)

// reading is when a question was asked.
type reading struct {
	clock int64     // of its machine, in seconds, when it was carried out
	at    time.Time // ours, when it was sent
}

// The scripts take all they are told as arguments.
const (
	withClock = `date +%s; exec "$@"`
	inTime    = `[ "$(date +%s)" -le "$1" ] || { echo "` + tooLate + `" >&2; exit 75; }; shift; exec "$@"`
	tooLate   = "the order came too late"
)

// read asks a question right before an order.
func (a *Actor) read(ctx context.Context, argv ...string) ([]byte, reading, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen := reading{at: time.Now()}
	out, err := a.slurm.runner.Run(ctx, a.slurm.options.Limit, append(append([]string{"sh", "-c", withClock, "sh"}, environment...), argv...)...)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("no answer within %s: %w", patience, context.DeadlineExceeded)
	}
	line, rest, _ := bytes.Cut(out, []byte("\n"))
	clock, badClock := strconv.ParseInt(strings.TrimSpace(string(line)), 10, 64)
	if err == nil && badClock != nil {
		err = fmt.Errorf("ask what time it is (%s): %s is no answer of date", a.slurm.runner.Where(), quoted(string(line)))
	}
	seen.clock = clock
	return rest, seen, err
}

// scancelEnv are settings of scancel that would change what it ends, or ask.
var scancelEnv = func() (out []string) {
	for name := range strings.FieldsSeq(`ACCOUNT BATCH CTLD FULL HURRY INTERACTIVE NAME PARTITION QOS RESERVATION SIBLING STATE USER VERBOSE WCKEY`) {
		out = append(out, "-uSCANCEL_"+name)
	}
	return out
}()

// send gives an order, once.
func (a *Actor) send(ctx context.Context, seen reading, program string, args ...string) error {
	elapsed := time.Since(seen.at)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", schedulers.ErrNotSent, ctx.Err())
	case elapsed > patience+time.Second:
		return fmt.Errorf("%w: %s went by since it was asked about", schedulers.ErrNotSent, elapsed.Round(time.Second))
	}
	latest := seen.clock + int64((elapsed+slack+time.Second-1)/time.Second)
	limit := min(longSend, settles-elapsed-slack-killAfter)
	argv := append([]string{"sh", "-c", inTime, "sh", strconv.FormatInt(latest, 10), "env"}, scancelEnv...)
	argv = append(append(argv, environment...), "timeout", "-k", seconds10(killAfter), seconds10(limit))
	if a.sudo && program == a.slurm.scontrol {
		argv = append(argv, "sudo", "-n")
	}
	argv = append(append(argv, program), args...)
	ctx, cancel := context.WithTimeout(ctx, settles)
	defer cancel()
	_, err := a.slurm.runner.Run(ctx, findLimit, argv...)
	return sent(name([]string{program}), err)
}

func seconds10(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// sent says what the end of a command means for the order that it gave: nil, *schedulers.ExitError for one that was turned down, or an error that wraps
// schedulers.ErrNotSent or schedulers.ErrUnsure.
func sent(program string, err error) error {
	var exit *schedulers.ExitError
	switch {
	case err == nil, errors.Is(err, schedulers.ErrNotSent), errors.Is(err, schedulers.ErrUnsure):
		return err
	case !errors.As(err, &exit):
		return fmt.Errorf("%w: %w", schedulers.ErrUnsure, err)
	}
	said := strings.ToLower(exit.Words)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has(tooLate):
		return fmt.Errorf("%w: %w", schedulers.ErrNotSent, err)
	case has("(connect failure)", "unable to establish controller machine"):
		return fmt.Errorf("%w: %w", schedulers.ErrNotSent, err)
	case has("socket timed out", "zero bytes were transmitted", "unexpected message received", "unable to contact slurm controller", "transport endpoint", "connection reset", "broken pipe",
		"communication connection failure", "message receive failure", "message send failure", "insane message length", "unexpected message recieved"):
		return fmt.Errorf("%w: %w", schedulers.ErrUnsure, err)
	}
	// Ended by timeout (124, 137), by a signal, or by a connection that was lost (-1). scontrol's own status is 0 or 1; scancel's is any, with words.
	if program != "scancel" || !has("error:") {
		switch exit.Status {
		case -1, 124, 129, 130, 137, 143, 255:
			return fmt.Errorf("%w: %w", schedulers.ErrUnsure, err)
		}
	}
	return err
}

// orderRemedies are what to do about Slurm's words to an order.
var orderRemedies = []struct{ words, node, job string }{
	{"a password is required", sudoRemedy, sudoRemedy},
	{"access/permission denied", operator, owner},
	{"invalid user id", operator, owner},
	{"not permitted", operator, owner},
	{"invalid node state", wrongState, ""},
	{"requested operation is presently disabled", "", "its script or the cluster does not let it be queued again (Requeue=0, JobRequeue)"},
	{"job/step already completing", "", "it ends already"},
	{"not allowed to execute", sudoRemedy, sudoRemedy},
	{"may not run sudo", sudoRemedy, sudoRemedy},
	{"not in the sudoers", sudoRemedy, sudoRemedy},
}

const (
	operator   = "needs a Slurm operator, or slurm.sudo in the configuration file"
	owner      = "needs who owns it, or a Slurm operator"
	wrongState = "Slurm resumes no such node, after a start of the controller none that it has not heard from: try again in a minute"
	sudoRemedy = "sudoers must let this user run scontrol without a password (NOPASSWD), or take slurm.sudo out of the configuration file"
)

// refusal words an order that was not carried out.
func refusal(err error, verb schedulers.Verb) error {
	var exit *schedulers.ExitError
	if err == nil || !errors.As(err, &exit) {
		return err
	}
	words, remedy := exit.Error(), ""
	switch {
	case errors.Is(err, schedulers.ErrUnsure):
		return err
	case errors.Is(err, schedulers.ErrNotSent):
		if remedy = remedyOf(words); remedy != "" {
			return fmt.Errorf("%w (%s)", err, remedy)
		}
		return err
	}
	for _, r := range orderRemedies {
		if strings.Contains(strings.ToLower(words), r.words) {
			if remedy = r.job; verb == schedulers.Drain || verb == schedulers.Resume {
				remedy = r.node
			}
			return &schedulers.RefusedError{Words: words, Remedy: remedy}
		}
	}
	return &schedulers.RefusedError{Words: words, Remedy: remedyOf(words)}
}

// notSent words a question that failed, before any order.
func notSent(err error) error {
	if err == nil || errors.Is(err, schedulers.ErrNotSent) {
		return err
	}
	p := problem(err)
	if p.Remedy == "" {
		return fmt.Errorf("%w: %w", schedulers.ErrNotSent, err)
	}
	return fmt.Errorf("%w: %w (%s)", schedulers.ErrNotSent, err, p.Remedy)
}
