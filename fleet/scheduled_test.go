package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"foretop/jobs"
	"foretop/schedulers"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// slurmRank is a rank of a Slurm job.
func slurmRank(job string, pid int32, rank, world string, gpu uint32) *facts.Process {
	p := rankOf(pid, rank, world, gpu)
	p.Env["SLURM_JOB_ID"] = job
	return p
}

// named makes a live node that says which host it is.
func named(t testing.TB, f *Fleet, name, host string, gpus int, at time.Time) *fakeNode {
	n := newFakeNode(gpus)
	join(t, f, name, n, at)
	h := n.hello()
	h.Hostname, h.MachineId = host, "machine of "+host
	apply(t, f, name, telemetry.KindHello, encode(t, h), at)
	apply(t, f, name, telemetry.KindInventory, encode(t, n.inv), at)
	n.enc = telemetry.Encoder{}
	apply(t, f, name, telemetry.KindSample, n.sample(), at)
	return n
}

func picture(c *clock, jobs ...schedulers.Job) *schedulers.Picture {
	p := &schedulers.Picture{Kind: "slurm", Cluster: "bay", At: c.now(), Every: 15 * time.Second, Jobs: jobs, Whole: true}
	for i := range 4 {
		p.Nodes = append(p.Nodes, schedulers.Node{Name: fmt.Sprintf("gpu%03d", i+1), Condition: schedulers.Usable, State: "MIXED", GPUs: 8})
	}
	return p
}

func TestAJobIsWhatProcessesAndItsSchedulerSay(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour, Fold: func(names []string) string { return "folded " + strings.Join(names, "+") }})
	named(t, f, "a", "gpu001.bay", 4, c.now())
	named(t, f, "b", "gpu002.bay", 4, c.now())
	tells(t, f, c, "a", slurmRank("8123", 100, "0", "4", 0), slurmRank("8123", 101, "1", "4", 1))
	limit := c.now().Add(5 * time.Hour)
	f.Scheduled(picture(c, schedulers.Job{Key: "slurm/8123", ID: "8123", Name: "llama", User: "ann", Account: "research", Partition: "h100", Phase: schedulers.Running, State: "RUNNING",
		StartAt: c.now().Add(-time.Hour), LimitAt: limit, Nodes: []string{"gpu001", "gpu002", "gpu003", "gpu004"}, GPUsOn: map[string][]int{"gpu001": {0, 1, 2}, "gpu003": {0}}, Restarts: 2}))
	c.tick(2 * countEvery)
	s := f.Publish()
	if len(s.Jobs) != 1 {
		t.Fatalf("%d jobs", len(s.Jobs))
	}
	j := s.Jobs[0]
	if j.Name != "llama" || j.User != "ann" || j.Account != "research" || j.Restarts != 2 || !j.EndLimit.Equal(limit) || j.Asked != AskedKnown || j.Scheduler != "slurm" {
		t.Fatalf("job %+v", j)
	}
	if got := strings.Join(j.Told.Watched, ","); got != "a,b" || j.Told.ElsewhereText != "folded gpu003+gpu004" {
		t.Fatalf("watched %s, elsewhere %s", got, j.Told.ElsewhereText)
	}
	if len(j.GPUs) != 3 || j.GPUs[2].Index != 2 || j.GPUs[2].Node != "a" || !j.GPUs[2].Empty || j.IdleGPUs != 1 {
		t.Fatalf("GPUs %+v, %d idle", j.GPUs, j.IdleGPUs)
	}
	n := s.Node("a")
	if len(n.Scheduled) != 1 || n.Scheduled[0].Node.Name != "gpu001" || n.Scheduled[0].Proof != ProofShort || n.Condition() != schedulers.Usable || n.Processes[0].Scheduler != "slurm" {
		t.Fatalf("node %+v", n.Scheduled)
	}
	if u := s.Users; len(u) != 1 || u[0].Name != "ann" || u[0].GPUs != 3 || u[0].Idle != 1 || u[0].Empty != 1 || u[0].Jobs != 1 {
		t.Fatalf("users %+v", u[0])
	}
	if sc := s.Schedulers; len(sc) != 1 || sc[0].Joined != 2 || sc[0].Proven != 2 || sc[0].Nodes != 4 || sc[0].Running != 1 {
		t.Fatalf("schedulers %+v", sc)
	}
	// A new picture that says the same leaves the nodes as they are; one that says something else does not.
	c.tick(time.Second)
	f.Scheduled(picture(c, *j.Told.Job))
	if again := f.Publish(); again.Node("b") != s.Node("b") {
		t.Fatal("a node of which nothing new was said was cloned")
	}
	p := picture(c, *j.Told.Job)
	p.Nodes[1].Condition, p.Nodes[1].State, p.Nodes[1].Reason = schedulers.Drained, "IDLE+DRAIN", "fan"
	f.Scheduled(p)
	if s = f.Publish(); s.Node("b").Condition() != schedulers.Drained || s.Totals.Drained != 1 || len(s.Schedulers) != 1 {
		t.Fatalf("b: %+v, totals %+v", s.Node("b").Scheduled, s.Totals)
	}
}

func TestAJobWithoutProcessesHasARow(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour})
	named(t, f, "a", "gpu001", 4, c.now())
	tells(t, f, c, "a")
	run := schedulers.Job{Key: "slurm/7", ID: "7", Name: "quiet", User: "bob", Phase: schedulers.Running, StartAt: c.now().Add(-time.Hour), Nodes: []string{"gpu001"}, GPUsOn: map[string][]int{"gpu001": {2, 3}}}
	wait := schedulers.Job{Key: "slurm/9", ID: "9", User: "bob", Phase: schedulers.Pending, Reason: "Priority", GPUs: 16, SubmitAt: c.now()}
	soon := schedulers.Job{Key: "slurm/10", ID: "10", User: "cy", Phase: schedulers.Pending, Reason: "Resources", StartAt: c.now().Add(time.Hour), GPUs: 8}
	else_ := schedulers.Job{Key: "slurm/8", ID: "8", Phase: schedulers.Running, Nodes: []string{"gpu004"}}
	f.Scheduled(picture(c, run, else_, wait, soon))
	c.tick(2 * countEvery)
	s := f.Publish()
	if len(s.Jobs) != 1 || s.Jobs[0].Key != "slurm/7" || len(s.Jobs[0].Ranks) != 0 || len(s.Jobs[0].GPUs) != 2 || s.Jobs[0].IdleGPUs != 2 || s.Jobs[0].State != JobUnseen {
		t.Fatalf("jobs %+v", s.Jobs)
	}
	if len(s.Pending) != 2 || s.Pending[0].ID != "10" || s.Pending[1].StateText != "waits: Priority" || s.Totals.Pending != 2 || s.Schedulers[0].Elsewhere != 1 {
		t.Fatalf("pending %+v", s.Pending)
	}
	if u := s.Users[0]; u.Name != "bob" || u.Pending != 1 || u.Wanted != 16 || u.GPUs != 2 || u.Empty != 2 {
		t.Fatalf("user %+v", u)
	}
	if s.Job("slurm/9") == nil || s.Job("slurm/8") != nil {
		t.Fatal("jobs by key")
	}
	// Its processes appear: one row still. They go, and it is queued again: it has ended here, and waits.
	s = tells(t, f, c, "a", slurmRank("7", 100, "0", "2", 2))
	if len(s.Jobs) != 1 || len(s.Jobs[0].Ranks) != 1 || len(s.Jobs[0].GPUs) != 2 {
		t.Fatalf("jobs %+v", s.Jobs)
	}
	s = tells(t, f, c, "a")
	if len(s.Jobs) != 1 || s.Jobs[0].State != JobUnseen || !s.Jobs[0].Ended.IsZero() {
		t.Fatalf("its scheduler still says that it runs: %+v", s.Jobs)
	}
	run.Phase, run.Nodes, run.GPUsOn = schedulers.Pending, nil, nil
	f.Scheduled(picture(c, run))
	if s = f.Publish(); len(s.Jobs) != 1 || s.Jobs[0].Ended.IsZero() || s.Jobs[0].Told.Phase != schedulers.Pending {
		t.Fatalf("queued again: %+v", s.Jobs)
	}
	run.Phase, run.State, run.ExitCode, run.EndAt = schedulers.Ended, "FAILED", "1:0", c.now()
	f.Scheduled(picture(c, run))
	f.Publish()
	c.tick(time.Minute)
	f.Scheduled(picture(c)) // Slurm forgets
	if s = f.Publish(); len(s.Jobs) != 1 || s.Jobs[0].Told == nil || s.Jobs[0].Told.ExitCode != "1:0" {
		t.Fatalf("how it ended is forgotten: %+v", s.Jobs)
	}
	c.tick(endedFor)
	if s = f.Publish(); len(s.Jobs) != 0 {
		t.Fatalf("after an hour: %+v", s.Jobs)
	}
}

func TestAJobThatItsSchedulerDoesNotKnow(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour})
	named(t, f, "a", "gpu001", 4, c.now())
	p := slurmRank("66", 100, "0", "1", 0)
	p.StartWallMs = c.now().UnixMilli()
	s := tells(t, f, c, "a", p)
	if s.Jobs[0].Asked != NotAsked {
		t.Fatal("nobody was asked")
	}
	f.Scheduled(picture(c))
	if s = f.Publish(); s.Jobs[0].Asked != NotAsked {
		t.Fatal("the picture is too fresh for a job that young")
	}
	c.tick(2 * askedSince)
	f.Scheduled(picture(c))
	if s = f.Publish(); s.Jobs[0].Asked != AskedNone {
		t.Fatalf("%v", s.Jobs[0].Asked)
	}
	bad := picture(c)
	bad.Problem = &schedulers.Problem{Text: "timeout"}
	f.Scheduled(bad)
	if s = f.Publish(); s.Jobs[0].Asked != NotAsked || s.Schedulers[0].Problem == nil {
		t.Fatal("it does not answer")
	}
}

func TestPodsOfAJobAreOneJob(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour})
	uid := func(i int) string { return fmt.Sprintf("0000000%d-1111-2222-3333-444444444444", i) }
	pod := func(i int, pid int32) *facts.Process {
		return &facts.Process{Pid: pid, StartTicks: 7, User: "root", Comm: "python", StartWallMs: c.now().UnixMilli(),
			Cgroup: "/kubepods.slice/kubepods-pod" + strings.ReplaceAll(uid(i), "-", "_") + ".slice/cri-containerd-" + strings.Repeat("ab", 32) + ".scope",
			Held:   []*facts.Held{{Gpu: 0}}}
	}
	job := schedulers.Job{Key: "kubernetes/team/PyTorchJob/rlhf", ID: "team/rlhf", Name: "rlhf", User: "ann", Partition: "team", Phase: schedulers.Running, Nodes: []string{"gpu001", "gpu002"}}
	kube := func(from int) *schedulers.Picture {
		p := picture(c)
		p.Kind, p.Cluster = "kubernetes", "prod"
		j := job
		j.Pods = []schedulers.Pod{{UID: uid(from), Node: "gpu001"}, {UID: uid(from + 1), Node: "gpu002"}}
		p.Jobs = []schedulers.Job{j}
		return p
	}
	named(t, f, "a", "gpu001", 1, c.now())
	named(t, f, "b", "gpu002", 1, c.now())
	tells(t, f, c, "a", pod(1, 100))
	if s := tells(t, f, c, "b", pod(2, 100)); len(s.Jobs) != 2 {
		t.Fatalf("before the API is asked: %d jobs", len(s.Jobs))
	}
	f.Scheduled(kube(1))
	c.tick(2 * time.Second)
	s := f.Publish()
	if len(s.Jobs) != 1 || s.Jobs[0].Key != job.Key || len(s.Jobs[0].Nodes) != 2 || s.Jobs[0].User != "ann" || s.Jobs[0].ID != "team/rlhf" {
		t.Fatalf("jobs %+v", s.Jobs)
	}
	if n := s.Node("b"); len(n.Jobs) != 1 || n.Jobs[0] != job.Key || n.Processes[0].Job != job.Key {
		t.Fatalf("node b: %+v", n.Jobs)
	}
	// Its pods are made anew: it stays the same row.
	f.Scheduled(kube(5))
	tells(t, f, c, "a", pod(5, 200))
	s = tells(t, f, c, "b", pod(6, 200))
	if len(s.Jobs) != 1 || s.Jobs[0].Key != job.Key || !s.Jobs[0].Ended.IsZero() || len(s.Jobs[0].GPUs) != 2 {
		t.Fatalf("after a restart: %+v", s.Jobs)
	}
}

// The parts of a heterogeneous job are jobs of their own to the controller, and one here, though no environment says so.
func TestPartsOfAHeterogeneousJobAreOneJob(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour})
	named(t, f, "a", "gpu001", 2, c.now())
	named(t, f, "b", "gpu002", 2, c.now())
	step := func(job string, pid int32) *facts.Process {
		return &facts.Process{Pid: pid, StartTicks: 7, User: "ann", Comm: "python", StartWallMs: c.now().UnixMilli(), EnvState: facts.EnvState_ENV_DENIED,
			Cgroup: "/system.slice/slurmstepd.scope/job_" + job + "/step_0/user/task_0", Held: []*facts.Held{{Gpu: 0}}}
	}
	part := func(key, id, node string) schedulers.Job {
		return schedulers.Job{Key: "slurm/" + key, ID: id, Name: "het", User: "ann", Phase: schedulers.Running, StartAt: c.now(), Nodes: []string{node}, GPUsOn: map[string][]int{node: {0}}}
	}
	f.Scheduled(picture(c, part("105", "105+0", "gpu001"), part("106", "105+1", "gpu002")))
	tells(t, f, c, "a", step("105", 100))
	s := tells(t, f, c, "b", step("106", 100))
	if len(s.Jobs) != 1 || s.Jobs[0].Key != "slurm/105" || strings.Join(s.Jobs[0].Nodes, ",") != "a,b" || len(s.Jobs[0].GPUs) != 2 || len(s.Jobs[0].Unwatched) != 0 {
		t.Fatalf("%+v", s.Jobs[0])
	}
}

// What package jobs finds out about ranks reaches the snapshot: their pods, and those that are left over once their job is over.
func TestRanksAreDescribed(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour, Fold: func(names []string) string { return strings.Join(names, "+") }})
	named(t, f, "a", "gpu001", 2, c.now())
	container := strings.Repeat("ab", 32)
	p := rankOf(100, "0", "2", 0)
	p.Cgroup, p.NsPids, p.StartWallMs = "/system.slice/cri-containerd-"+container+".scope", []int32{100, 7}, c.now().UnixMilli()
	p.EnvState, p.Held = facts.EnvState_ENV_READ, []*facts.Held{{Gpu: 0}}
	kube := picture(c)
	kube.Kind, kube.Whole = "kubernetes", false
	kube.Jobs = []schedulers.Job{{Key: "kubernetes/team/PyTorchJob/rlhf", ID: "team/rlhf", User: "ann", Phase: schedulers.Running, Nodes: []string{"gpu001", "gpu009"},
		Pods: []schedulers.Pod{{UID: "0", Name: "rlhf-worker-0", Containers: []string{container}}}}}
	f.Scheduled(kube)
	s := tells(t, f, c, "a", p)
	if len(s.Jobs) != 1 || s.Jobs[0].Key != "kubernetes/team/PyTorchJob/rlhf" || s.Jobs[0].UnwatchedText != "gpu009" {
		t.Fatalf("%+v", s.Jobs[0])
	}
	if r := s.Jobs[0].Ranks[0]; r.Pod != "rlhf-worker-0" || r.InnerPID != 7 || r.Orphan != jobs.NotOrphan {
		t.Fatalf("rank %+v", r)
	}
	// A job that its scheduler, which tells of all jobs, does not have any more.
	left := slurmRank("66", 200, "0", "1", 1)
	left.StartWallMs, left.Held = c.now().UnixMilli(), []*facts.Held{{Gpu: 1}}
	tells(t, f, c, "a", left)
	c.tick(2 * askedSince)
	f.Scheduled(picture(c))
	c.tick(time.Second)
	s = f.Publish()
	j := s.Job("slurm/66")
	if j == nil || j.Ranks[0].Orphan != jobs.JobEnded || len(j.Leftovers) != 1 || j.Leftovers[0].PID != 200 || j.Leftovers[0].GPUs != 1 {
		t.Fatalf("%+v", j)
	}
	some := picture(c)
	some.Whole = false
	f.Scheduled(some)
	c.tick(time.Second)
	if j = f.Publish().Job("slurm/66"); j.Ranks[0].Orphan != jobs.NotOrphan || j.Asked != NotAsked {
		t.Fatalf("a scheduler that may have more: %+v", j)
	}
}

func TestIdleHoursAreCounted(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, IdleAfter: time.Minute})
	n := named(t, f, "a", "gpu001", 2, c.now())
	n.state.Set(telemetry.GPUUtilPct, 1, 0)
	tells(t, f, c, "a", slurmRank("1", 100, "0", "2", 0), slurmRank("1", 101, "1", "2", 1))
	var s *Snapshot
	for range 3600 {
		c.tick(time.Second)
		apply(t, f, "a", telemetry.KindSample, n.sample(), c.now())
		if c.now().Unix()%10 == 0 {
			s = f.Publish()
		}
	}
	u := s.Users[0]
	if u.GPUs != 2 || u.Idle != 1 || u.HeldHours < 1.9 || u.HeldHours > 2.01 || u.IdleHours < 0.9 || u.IdleHours > 1.01 || u.IdleNowHours < 0.9 {
		t.Fatalf("user %+v", u)
	}
	if len(u.IdleGPUs) != 1 || u.IdleGPUs[0].Index != 1 || u.IdleGPUs[0].ID != "1" {
		t.Fatalf("idle %+v", u.IdleGPUs)
	}
}

func TestPicturesReplaceOneAnother(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour})
	f.Scheduled(nil)
	f.Scheduled(&schedulers.Picture{Kind: "slurm", Problem: &schedulers.Problem{Text: "no such program"}})
	if s := f.Publish(); len(s.Schedulers) != 1 || s.Schedulers[0].Problem == nil {
		t.Fatalf("%+v", s.Schedulers)
	}
	f.Scheduled(picture(c))
	if s := f.Publish(); len(s.Schedulers) != 1 || s.Schedulers[0].Cluster != "bay" {
		t.Fatalf("%+v", s.Schedulers)
	}
	other := picture(c)
	other.Cluster = "sea"
	f.Scheduled(other)
	kube := picture(c)
	kube.Kind, kube.Cluster = "kubernetes", "prod"
	f.Scheduled(kube)
	if s := f.Publish(); len(s.Schedulers) != 3 || s.Schedulers[0].Kind != "slurm" || s.Schedulers[2].Kind != "kubernetes" {
		t.Fatalf("%+v", s.Schedulers)
	}
}

// TestTwoClustersOfOneNumber shows that a job's number names no job where two clusters have it.
func TestTwoClustersOfOneNumber(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour})
	named(t, f, "a", "gpu001", 1, c.now())
	tells(t, f, c, "a", slurmRank("5", 100, "0", "1", 0))
	one, two := picture(c, schedulers.Job{Key: "slurm/5", Phase: schedulers.Running, User: "ann"}), picture(c, schedulers.Job{Key: "slurm/5", Phase: schedulers.Running, User: "bob"})
	two.Cluster = "sea"
	f.Scheduled(one)
	if s := f.Publish(); s.Jobs[0].Told == nil {
		t.Fatal("one cluster")
	}
	f.Scheduled(two)
	if s := f.Publish(); s.Jobs[0].Told != nil {
		t.Fatalf("it is said to be %s's", s.Jobs[0].User)
	}
}
