package slurm

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"foretop/schedulers"
)

// jobNumber is the number in a job's key.
func jobNumber(key string) (string, bool) {
	id, ok := strings.CutPrefix(key, "slurm/")
	n, err := strconv.ParseUint(id, 10, 32)
	return id, ok && err == nil && n > 0 && strconv.FormatUint(n, 10) == id
}

// maxTasks bounds the list of an array's tasks, in bytes.
const maxTasks = 16 << 10

var taskList = regexp.MustCompile(`^[0-9]+([-,:][0-9]+)*$`)

// withoutLimit is an array's id without how many may run at once: "12_[4-9%2]" is "12_[4-9]".
func withoutLimit(id string) string {
	list, limit, ok := strings.Cut(id, "%")
	if ok && strings.HasSuffix(limit, "]") {
		return list + "]"
	}
	return id
}

// wholeOf is the id of a heterogeneous job where Slurm takes an order for no part of it: it waits as a whole, and is queued again as a whole.
func wholeOf(id string, verb schedulers.Verb, p schedulers.Phase) string {
	if whole, _, ok := strings.Cut(id, "+"); ok && (verb == schedulers.Requeue || p == schedulers.Pending) {
		return whole
	}
	return id
}

// orderID is what to call a job in an order. The number alone will not do: an array's own is the number of one of its tasks too, and names all of them.
func orderID(r *jobRecord) (string, error) {
	switch {
	case r.arrayID > 0 && r.task < 0 && nothing(r.tasks) != "":
		list, _, _ := strings.Cut(r.tasks, "%")
		if !taskList.MatchString(list) || len(list) > maxTasks {
			return "", &schedulers.RefusedError{Words: "its waiting tasks cannot be named one by one: " + quoted(clean(r.tasks)),
				Remedy: "scancel --state=PENDING " + strconv.FormatInt(r.arrayID, 10) + " ends all that wait"}
		}
		return strconv.FormatInt(r.arrayID, 10) + "_[" + list + "]", nil
	}
	return jobID(r), nil
}

// readJob asks how one job stands; nil: Slurm does not know it any more.
func (a *Actor) readJob(ctx context.Context, key string) (r *jobRecord, j schedulers.Job, seen reading, err error) {
	id, _ := jobNumber(key)
	mark, n := strings.ToLower(rand.Text()[:10]), fieldCount(a.slurm.version)
	out, seen, err := a.read(ctx, "env", "SLURM_BITSTR_LEN=0", a.slurm.squeue, "--local", "-a", "-h", "-t", "all", "-j", id, "-O", squeueFormat(n, mark))
	var exit *schedulers.ExitError
	if errors.As(err, &exit) && strings.Contains(strings.ToLower(exit.Words), "invalid job id") {
		return nil, j, seen, nil
	}
	if err == nil {
		// A job shares its question with the rest of its array.
		err = parseSqueue(out, n, mark, func(one *jobRecord) {
			if strconv.FormatInt(one.id, 10) == id {
				r = one
			}
		})
	}
	if err != nil || r == nil {
		return nil, j, seen, notSent(err)
	}
	b := newBuilder()
	b.add(r)
	return r, b.jobs[0], seen, nil
}

func (a *Actor) cancel(ctx context.Context, o schedulers.Order, say func(string)) error {
	r, j, seen, err := a.readJob(ctx, o.Job)
	if err != nil {
		return err
	}
	if r == nil || j.Phase == schedulers.Ended {
		say("it had ended already" + inState(j) + ": nothing was sent")
		return nil
	}
	id, err := orderID(r)
	if err != nil {
		return err
	}
	a.unsettled(o.Job, j.Restarts)
	err = refusal(a.send(ctx, seen, a.scancel(), wholeOf(id, o.Verb, j.Phase)), o.Verb)
	var refused *schedulers.RefusedError
	switch {
	case err == nil:
		say("cancelled; it was " + j.State)
	case errors.As(err, &refused) && ended.MatchString(refused.Words):
		say("it had ended already, says Slurm: " + refused.Words)
	case errors.Is(err, schedulers.ErrUnsure):
		return err
	default:
		a.settled(o.Job)
		return err
	}
	a.settled(o.Job)
	return nil
}

// ended is how Slurm says that there is nothing to cancel.
var ended = regexp.MustCompile(`(?i)already completing or completed|invalid job id`)

// scancel stands beside scontrol.
func (a *Actor) scancel() string { return strings.TrimSuffix(a.slurm.scontrol, "scontrol") + "scancel" }

func (a *Actor) requeue(ctx context.Context, o schedulers.Order, say func(string)) error {
	r, j, seen, err := a.readJob(ctx, o.Job)
	switch {
	case err != nil:
		return err
	case r == nil:
		return &schedulers.RefusedError{Words: "Slurm does not know that job any more", Remedy: "submit it again"}
	case j.Phase == schedulers.Pending:
		say("it waits already" + inState(j) + ": nothing was sent")
		return nil
	}
	id, err := orderID(r)
	if err != nil {
		return err
	}
	a.unsettled(o.Job, j.Restarts)
	err = refusal(a.send(ctx, seen, a.slurm.scontrol, "requeue", wholeOf(id, o.Verb, j.Phase)), o.Verb)
	if !errors.Is(err, schedulers.ErrUnsure) {
		a.settled(o.Job)
	}
	if err == nil {
		say("queued again; it was " + j.State)
	}
	return err
}

func inState(j schedulers.Job) string {
	if j.State == "" {
		return ""
	}
	return " (" + j.State + ")"
}

// unsettled keeps how often a job had been started before an order.
func (a *Actor) unsettled(key string, restarts int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.restarts[key] = restarts
}

func (a *Actor) settled(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.restarts, key)
}

func (a *Actor) lookJob(ctx context.Context, o schedulers.Order) (so bool, words string, err error) {
	r, j, _, err := a.readJob(ctx, o.Job)
	if err != nil {
		return false, "", err
	}
	a.mu.Lock()
	before, known := a.restarts[o.Job]
	a.mu.Unlock()
	again := known && j.Restarts > before
	switch {
	case r == nil:
		return o.Verb == schedulers.Cancel, "Slurm does not know it any more", nil
	case o.Verb == schedulers.Cancel:
		// The nodes of a cancelled job may take long to let it go; text says nothing but that.
		so = j.Phase == schedulers.Ended || j.Phase == schedulers.Completing && !again
	default:
		so = j.Phase == schedulers.Pending || again
	}
	return so, "it is " + j.State + ", started again " + strconv.Itoa(j.Restarts) + " times", nil
}
