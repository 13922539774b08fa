package slurm

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

func TestLiveActJobs(t *testing.T) {
	l := act(t, testbed.SlurmOptions{Nodes: 8})
	array := l.submit("ann", "-a", "1-6%3", "-t", "30", "--wrap", "exec sleep 600")
	het := l.submit("ann", "-N1", "-t", "10", ":", "-N1", "-t", "10", "--wrap", "exec sleep 600")
	waits := l.submit("ann", "-H", "-t", "10", ":", "-N1", "-t", "10", "--wrap", "exec sleep 600")
	bobs := l.submit("bob", "-t", "10", "--wrap", "exec sleep 600")
	never := l.submit("ann", "--no-requeue", "-t", "10", "--wrap", "exec sleep 600")
	over := l.submit("ann", "-t", "10", "--wrap", "true")
	p := l.until("they run", func(p *schedulers.Picture) bool {
		return job(p, array+"_3").Phase == schedulers.Running && job(p, het+"+1").Phase == schedulers.Running && job(p, bobs).Phase == schedulers.Running &&
			job(p, never).Phase == schedulers.Running && job(p, over).Phase == schedulers.Ended
	})
	order := func(verb schedulers.Verb, id string) schedulers.Order {
		return schedulers.Order{Verb: verb, Job: job(p, id).Key}
	}
	states := func() string {
		return l.run("root", "squeue", "-h", "-a", "-r", "-S", "i", "-t", "PENDING,RUNNING,COMPLETING", "-j", array, "-o", "%i %T")
	}
	l.refuses(l.ann, order(schedulers.Cancel, bobs), "denied", "who owns it")
	l.refuses(l.ann, order(schedulers.Requeue, bobs), "denied", "who owns it")
	l.looks(order(schedulers.Cancel, bobs), false)
	l.looks(order(schedulers.Requeue, bobs), false)
	l.refuses(l.ann, order(schedulers.Requeue, never), "disabled", "Requeue=0")
	l.must(order(schedulers.Cancel, over), "it had ended already (COMPLETED): nothing was sent")
	l.must(schedulers.Order{Verb: schedulers.Cancel, Job: "slurm/99999"}, "it had ended already: nothing was sent")
	l.refuses(l.root, schedulers.Order{Verb: schedulers.Requeue, Job: "slurm/99999"}, "does not know that job", "submit it")

	// One task of an array is that task, and what waits is what waits.
	l.must(order(schedulers.Cancel, array+"_2"), "it was RUNNING")
	l.until("the next task runs", func(p *schedulers.Picture) bool { return job(p, array+"_4").Phase == schedulers.Running })
	p = l.b.p
	l.must(order(schedulers.Cancel, array+"_[5-6%3]"), "it was PENDING")
	l.until("task 2 is gone", func(p *schedulers.Picture) bool { return job(p, array+"_2").Phase == schedulers.Ended })
	if got, want := states(), fmt.Sprintf("%[1]s_1 RUNNING\n%[1]s_3 RUNNING\n%[1]s_4 RUNNING", array); got != want {
		t.Errorf("what is left of the array:\n%s", got)
	}

	// The tasks that wait are more than squeue prints of its own.
	var tasks []string
	for i := 1; i < 1000; i += 1 + i%3 {
		tasks = append(tasks, strconv.Itoa(i))
	}
	many := l.submit("ann", "-a", strings.Join(tasks, ","), "-H", "-t", "5", "--wrap", "true")
	p = l.until("the many wait", func(p *schedulers.Picture) bool {
		return slices.ContainsFunc(p.Jobs, func(j schedulers.Job) bool { return j.Key == "slurm/"+many })
	})
	l.must(schedulers.Order{Verb: schedulers.Cancel, Job: "slurm/" + many}, "it was PENDING")
	if left := l.run("root", "squeue", "-h", "-a", "-r", "-t", "PENDING,RUNNING", "-j", many, "-o", "%i"); left != "" {
		t.Errorf("of %d tasks are left:\n%s", len(tasks), left)
	}

	// Queued again.
	l.must(order(schedulers.Requeue, array+"_1"), "queued again; it was RUNNING")
	l.until("task 1 waits", func(p *schedulers.Picture) bool {
		j := job(p, array+"_1")
		return j.Phase == schedulers.Pending && j.Restarts == 1
	})
	l.must(order(schedulers.Requeue, array+"_1"), "it waits already")

	// A heterogeneous job.
	l.must(order(schedulers.Requeue, het+"+1"), "queued again")
	l.must(order(schedulers.Cancel, het+"+0"), "cancelled")
	l.until("it is gone", func(p *schedulers.Picture) bool { return job(p, het+"+0").Phase == schedulers.Ended })
	l.must(order(schedulers.Cancel, waits+"+1"), "it was PENDING")
	l.until("the one that waited is gone", func(p *schedulers.Picture) bool { return job(p, waits+"+0").Phase == schedulers.Ended })

	// A cancel of which no answer comes.
	s, err := Find(t.Context(), between{beside{l.bed, "bob"}, func(run func() ([]byte, error)) ([]byte, error) {
		if _, err := run(); err != nil {
			t.Error(err)
		}
		return nil, errors.New("connection lost")
	}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := s.Actor(false)
	if err := l.do(a, order(schedulers.Requeue, bobs)); !errors.Is(err, schedulers.ErrUnsure) {
		t.Error(err)
	}
	if so, words, err := a.Look(t.Context(), order(schedulers.Requeue, bobs)); !so || err != nil {
		t.Errorf("%q, %v", words, err)
	}
	if err := l.do(a, order(schedulers.Cancel, bobs)); !errors.Is(err, schedulers.ErrUnsure) {
		t.Error(err)
	}
	l.looks(order(schedulers.Cancel, bobs), true)
	if len(a.restarts) != 1 { // the cancel's own, looked at by another
		t.Errorf("kept: %v", a.restarts)
	}
}
