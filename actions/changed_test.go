package actions

import (
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry/facts"
)

// What changed between the question and its answer is told, whatever it is; where nothing did that matters, nothing is.
func TestChanged(t *testing.T) {
	read := func() *Preview {
		return &Preview{
			Steps:    []Step{{Target: "gpu1", Where: "slurm bay", Commands: []string{"drain gpu1"}}, {Target: "gpu2", Where: "slurm bay", Refused: "not proven"}, {Target: "gpu1", Where: "kubernetes prod"}},
			Affected: Affected{Jobs: []string{"8123"}, Users: []string{"ann"}, GPUs: 8},
			Warnings: []string{"gpu1 is not well: GPU3 not answering for 12 s"},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Preview)
		want   []string
	}{
		{"nothing", func(*Preview) {}, nil},
		{"more GPUs in use", func(p *Preview) { p.Affected.GPUs = 9 }, nil},
		{"a number went on", func(p *Preview) { p.Warnings[0] = "gpu1 is not well: GPU3 not answering for 1.5 s" }, nil},
		{"a warning is gone", func(p *Preview) { p.Warnings = nil }, nil},
		{"another warning", func(p *Preview) { p.Warnings[0] = "gpu1 was drained by bob: fan" }, []string{"gpu1 was drained by bob: fan"}},
		{"a step more", func(p *Preview) { p.Steps = append(p.Steps, Step{Target: "gpu3"}) }, []string{"gpu3 was not asked about before"}},
		{"a step less", func(p *Preview) { p.Steps = p.Steps[:2] }, []string{"gpu1 is not there any more"}},
		{"another command", func(p *Preview) { p.Steps[0].Commands = []string{"drain gpu9"} }, []string{"gpu1: other commands, see below"}},
		{"must not any more", func(p *Preview) { p.Steps[0].Refused = "not proven" }, []string{"gpu1: not proven"}},
		{"may by now", func(p *Preview) { p.Steps[1].Refused = "" }, []string{"gpu2 can be done now"}},
		{"a note", func(p *Preview) { p.Steps[0].Notes = []string{"it has a reason already: fan"} }, []string{"gpu1: it has a reason already: fan, see below"}},
		{"no note", func(p *Preview) { p.Steps[0].Notes = []string{} }, nil},
		{"somebody came", func(p *Preview) { p.Affected = Affected{Jobs: []string{"8123", "9"}, Users: []string{"ann", "bob"}} }, []string{"work of bob is there now", "came: job 9"}},
		{"somebody went", func(p *Preview) { p.Affected = Affected{} }, []string{"not there any more: job 8123", "no work of ann is there any more"}},
		{"nothing can be done", func(p *Preview) { p.Trouble = "too late" }, []string{"too late"}},
		{"another number is to be typed", func(p *Preview) { p.Count = 3 }, []string{"the answer is 3 now"}},
	} {
		now := read()
		c.change(now)
		if got := read().Changed(now); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Several jobs are ended in one action, a step each; the number is typed, whose they are is named, and what is over or gone is not asked for.
func TestCancelSeveral(t *testing.T) {
	s := fleetOf(t, 1)
	told := func(id, user string) *fleet.Job {
		return &fleet.Job{Key: "slurm/" + id, ID: id, Name: "train", User: user, Told: &fleet.Told{Job: &schedulers.Job{Key: "slurm/" + id}, Kind: "slurm", Cluster: "bay"}}
	}
	over := told("4", "ann")
	over.Ended, over.Told.Phase = time.Now(), schedulers.Ended
	again := told("3", "") // its processes have ended, and it waits in the queue
	again.Ended, again.Told.Phase = time.Now(), schedulers.Pending
	s.Jobs = []*fleet.Job{told("1", "ann"), told("2", "bob"), again, over, {Key: "process/x", ID: "x", User: "ann"}}
	c := newCluster(1)
	p := planner(c).Preview(s, Intent{Kind: Cancel, Jobs: []string{"slurm/1", "slurm/2", "slurm/3", "slurm/4", "process/x", "slurm/9"}, Hidden: []string{"slurm/2"}})
	var refused []string
	for _, step := range p.Steps {
		refused = append(refused, step.Target+": "+step.Refused)
	}
	want := []string{"job 1: ", "job 2: ", "job 3: ", "job 4: it has ended", "job x: no scheduler knows it: signal its processes instead (K)", "job 9: it is not seen any more"}
	if !slices.Equal(refused, want) {
		t.Errorf("steps %q", refused)
	}
	if p.Count != 3 || p.Trouble != "" || p.Title != "cancel 6 jobs: 1, 2, 3, 4, x, 9" {
		t.Errorf("count %d, %q, %q", p.Count, p.Trouble, p.Title)
	}
	if !slices.Equal(p.Affected.Theirs, []string{"bob: 2", "not known: 3"}) || !slices.Equal(p.Warnings, []string{"1 target not on screen: job 2"}) {
		t.Errorf("%q, %q", p.Affected.Theirs, p.Warnings)
	}
	if one := planner(c).Preview(s, Intent{Kind: Cancel, Job: "slurm/1"}); one.Count != 0 || one.Title != "cancel job 1" {
		t.Errorf("%+v", one)
	}
	if gone := planner(c).Preview(s, Intent{Kind: Requeue, Jobs: []string{"slurm/9"}}); gone.Trouble != "that job is not seen any more" {
		t.Error(gone.Trouble)
	}
}

// A signal to a process of which it is not known whose it is, is one to somebody else's.
func TestSignalToWhoKnows(t *testing.T) {
	s := fleetOf(t, 1)
	at := s.Nodes[0]
	at.Processes = []*fleet.Process{{Process: &facts.Process{Pid: 7, StartTicks: 70}, Rank: -1}, {Process: &facts.Process{Pid: 8, StartTicks: 80, User: "ann"}, Rank: -1}}
	l := planner(newCluster(1))
	l.Door = stackDoor(func(string, string) string { return "" })
	one := func(pid int32, ticks uint64, says string) *Preview {
		return l.Preview(s, Intent{Kind: Signal, Signal: "TERM", Processes: []Process{{Node: at.Name, PID: pid, StartTicks: ticks, Rank: -1, User: says}}})
	}
	if p := one(7, 70, "ann"); p.Count != 1 || !slices.Equal(p.Affected.Others, []string{NotKnown}) {
		t.Errorf("count %d, %q", p.Count, p.Affected.Others)
	}
	if p := one(8, 80, "bob"); p.Count != 0 || p.Trouble != "" { // the snapshot says whose it is
		t.Errorf("count %d, %q", p.Count, p.Trouble)
	}
	if p := one(8, 81, "ann"); !strings.Contains(p.Trouble, "it is not seen any more") {
		t.Error(p.Trouble)
	}
}

// What a drain does is told of each scheduler, and options only where pods are evicted.
func TestDrainWords(t *testing.T) {
	s := fleetOf(t, 3)
	for i, kind := range []string{"slurm", "kubernetes"} {
		s.Nodes[i].Scheduled[0].Kind, s.Nodes[i].Scheduled[0].Cluster = kind, "bay"
	}
	s.Nodes[2].Scheduled = nil
	in := Intent{Kind: Drain, Nodes: names(3), Reason: "fan"}
	now := strings.Join(planner(newCluster(1)).Preview(s, in).Means, "\n")
	for _, want := range []string{"slurm bay (1 node): no new job starts there; jobs that run go on", "kubernetes bay (1 node): cordoned, then its pods are evicted", "no scheduler (1 node)", "emptyDir data: kept", "bare pods: kept", "time: 5m"} {
		if !strings.Contains(now, want) {
			t.Errorf("no %q in\n%s", want, now)
		}
	}
	in.WhenIdle = true
	if idle := strings.Join(planner(newCluster(1)).Preview(s, in).Means, "\n"); strings.Contains(idle, "bare") || !strings.Contains(idle, "pods that run stay") {
		t.Error(idle)
	}
	for d, want := range map[time.Duration]string{5 * time.Minute: "5m", 90 * time.Minute: "1h30m", time.Hour: "1h", 90 * time.Second: "1m30s", 10 * time.Second: "10s"} {
		if got := shortTime(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

// Again is about what was not done, and nothing else: not while it goes on, not of what must not be done.
func TestAgain(t *testing.T) {
	done := make(chan struct{})
	j := &Job{done: done, changed: make(chan struct{}), Preview: &Preview{Intent: Intent{Kind: Drain, Nodes: []string{"a", "b", "c", "d", "e"}, Hidden: []string{"b", "a"}, Reason: "fan", Force: true},
		Steps: []Step{{node: "a"}, {node: "b"}, {node: "c"}, {node: "d"}, {Target: "e"}, {node: "b"}}},
		results: []Result{{State: Done}, {State: Failed}, {State: Unknown}, {State: NotStarted}, {State: Refused}, {State: Failed}}}
	if j.Again() != nil {
		t.Error("while it goes on")
	}
	close(done)
	in := j.Again()
	if in == nil || !slices.Equal(in.Nodes, []string{"b", "c", "d"}) || !slices.Equal(in.Hidden, []string{"b"}) || in.Reason != "fan" || !in.Force {
		t.Errorf("%+v", in)
	}
	j.Preview.Intent.Kind = Resume
	if j.Again() != nil {
		t.Error("a resume has no other options")
	}
}
