package fleet

import (
	"fmt"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// tells replaces what a node says of its processes.
func tells(t testing.TB, f *Fleet, c *clock, node string, processes ...*facts.Process) *Snapshot {
	t.Helper()
	c.tick(2 * time.Second)
	apply(t, f, node, telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: processes}), c.now())
	return f.Publish()
}

func TestAJobThatEndedIsShownForAWhile(t *testing.T) {
	var seen *Job
	c := newClock()
	f := New(Options{Now: c.now, Rules: Rules{Job: func(j *Job, _ func(string) *Node, _ time.Time, m *Memory) Verdict {
		m.Kept = "a rule may write"
		seen = j
		return Verdict{State: j.State, Severity: Critical, Text: "judged"}
	}}})
	join(t, f, "a", newFakeNode(2), c.now())
	s := tells(t, f, c, "a", rankOf(100, "0", "2", 0), rankOf(101, "1", "2", 1))
	if len(s.Jobs) != 1 || !s.Jobs[0].Ended.IsZero() || len(s.Jobs[0].GPUs) != 2 || s.Totals.Jobs != 1 {
		t.Fatalf("%+v", s.Jobs)
	}
	key := s.Jobs[0].Key
	s = tells(t, f, c, "a")
	end := c.now()
	if len(s.Jobs) != 1 || s.Jobs[0].Key != key || s.Jobs[0].State != JobEnded || !s.Jobs[0].Ended.Equal(end) {
		t.Fatalf("%+v", s.Jobs)
	}
	if j := s.Jobs[0]; len(j.GPUs) != 0 || len(j.Ranks) != 2 || len(j.Nodes) != 1 || j.StateText != "judged" || seen != j || s.Totals.Jobs != 0 || len(s.Node("a").Jobs) != 0 {
		t.Fatalf("%+v, totals %+v", j, s.Totals)
	}
	c.tick(endedFor - 2*time.Second)
	if s = f.Publish(); len(s.Jobs) != 1 {
		t.Fatalf("gone after %s", c.now().Sub(end))
	}
	c.tick(2 * time.Second)
	if s = f.Publish(); len(s.Jobs) != 0 {
		t.Fatalf("still there after %s", c.now().Sub(end))
	}
}

func TestAJobThatStartsAgainHasNotEnded(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	join(t, f, "a", newFakeNode(1), c.now())
	tells(t, f, c, "a", rankOf(100, "0", "1", 0))
	tells(t, f, c, "a")
	s := tells(t, f, c, "a", rankOf(200, "0", "1", 0))
	if len(s.Jobs) != 1 || !s.Jobs[0].Ended.IsZero() {
		t.Fatalf("%d jobs: %+v", len(s.Jobs), s.Jobs[0])
	}
	s = tells(t, f, c, "a")
	if len(s.Jobs) != 1 || s.Jobs[0].Ranks[0].PID != 200 {
		t.Fatalf("%d jobs: %+v", len(s.Jobs), s.Jobs[0])
	}
}

func TestAJobOutOfSightHasNotEnded(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	join(t, f, "a", newFakeNode(1), c.now())
	tells(t, f, c, "a", rankOf(100, "0", "1", 0))
	f.SetStatus("a", Status{State: Lost})
	c.tick(time.Minute)
	if s := f.Publish(); len(s.Jobs) != 1 || !s.Jobs[0].Ended.IsZero() {
		t.Fatalf("its node lost: %+v", s.Jobs)
	}
	f.Remove("a")
	c.tick(time.Minute)
	if s := f.Publish(); len(s.Jobs) != 0 {
		t.Fatalf("its node no longer looked at: %+v", s.Jobs[0])
	}
}

func TestAJobThatGoesOnUnderAnotherNameHasNotEnded(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	join(t, f, "a", newFakeNode(1), c.now())
	p := rankOf(100, "0", "1", 0)
	before := tells(t, f, c, "a", p)
	p = rankOf(100, "0", "1", 0)
	p.Env["SLURM_JOB_ID"] = "8123"
	s := tells(t, f, c, "a", p)
	if len(s.Jobs) != 1 || !s.Jobs[0].Ended.IsZero() || s.Jobs[0].Key == before.Jobs[0].Key {
		t.Fatalf("%d jobs: %+v", len(s.Jobs), s.Jobs[0])
	}
}

func TestEndedJobsAreBounded(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	const nodes = 5
	set := func(node int, jobs int) []*facts.Process {
		var all []*facts.Process
		for i := range jobs {
			p := rankOf(int32(100+i), "0", "1", 0)
			p.Env["SLURM_JOB_ID"] = fmt.Sprint(1000*node + i + 1)
			all = append(all, p)
		}
		return all
	}
	var s *Snapshot
	for n := range nodes {
		join(t, f, fmt.Sprint("n", n), newFakeNode(1), c.now())
		s = tells(t, f, c, fmt.Sprint("n", n), set(n, maxEnded/nodes+10)...)
	}
	if len(s.Jobs) != maxEnded+10*nodes {
		t.Fatalf("%d jobs", len(s.Jobs))
	}
	for n := range nodes {
		s = tells(t, f, c, fmt.Sprint("n", n))
	}
	if len(s.Jobs) != maxEnded {
		t.Fatalf("%d jobs that ended are kept", len(s.Jobs))
	}
}

func TestWhereAnEndBeganIsRemembered(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	join(t, f, "a", newFakeNode(1), c.now())
	join(t, f, "b", newFakeNode(1), c.now())
	tells(t, f, c, "a", rankOf(100, "0", "2", 0))
	tells(t, f, c, "b", rankOf(100, "1", "2", 0))
	tells(t, f, c, "b")
	s := tells(t, f, c, "a")
	if len(s.Jobs) != 1 || s.Jobs[0].State != JobEnded || len(s.Jobs[0].Nodes) != 2 || len(s.Jobs[0].Ranks) != 2 {
		t.Fatalf("soon after one another: %+v", s.Jobs[0])
	}
	tells(t, f, c, "a", rankOf(200, "0", "2", 0))
	tells(t, f, c, "b", rankOf(200, "1", "2", 0))
	tells(t, f, c, "b")
	c.tick(2 * endingFor)
	s = tells(t, f, c, "a")
	if len(s.Jobs) != 1 || len(s.Jobs[0].Nodes) != 1 {
		t.Fatalf("long after one another: %+v", s.Jobs[0])
	}
}
