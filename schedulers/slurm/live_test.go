package slurm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

func TestLiveJobs(t *testing.T) {
	l := start(t, 8)
	home := l.run("ann", "sh", "-c", `echo "$HOME"`)
	array := l.submit("ann", "-J", "sweep", "-a", "1-6%2", "--gres=gpu:h100:2", "-t", "30", "-o", home+"/%x-%A_%a.out", "--wrap", "exec sleep 600")
	two := l.submit("ann", "-J", "two", "-N2", "-n4", "--gpus-per-node=4", "-t", "1:00:00", "-o", "log.%6j.txt", "--wrap", "srun -N2 -n4 sleep 600")
	het := l.submit("ann", "-J", "a, b | c", "--gres=gpu:1", "-N1", "-t", "10", ":", "-N1", "--gres=gpu:2", "-t", "10", "--wrap", "exec sleep 600")
	whole := l.submit("bob", "-J", "new\nline @x/ \x1b[31m", "-N1", "--gpus-per-node=8", "-w", "node008", "-t", "UNLIMITED", "--wrap", "exec sleep 600")
	big := l.submit("bob", "-J", "big", "-N8", "--gpus-per-node=8", "-t", "1:00:00", "--wrap", "exec sleep 600")
	after := l.submit("bob", "-J", "after", "--dependency=afterok:"+big, "-t", "5", "--wrap", "true")
	late := l.submit("bob", "-J", "late", "--begin=now+2hours", "-t", "5", "--comment=two\nJobId=1 UserId=root", "--wrap", "true")
	held := l.submit("bob", "-J", "held", "-H", "--gpus=3", "-t", "1-02:00:00", "--wrap", "true")
	failed := l.submit("bob", "-J", "failed", "-p", "debug", "-t", "5", "--wrap", "exit 3")
	l.until("the jobs run", func(p *schedulers.Picture) bool {
		return job(p, whole).Phase == schedulers.Running && job(p, two).Phase == schedulers.Running && job(p, het+"+1").Phase == schedulers.Running &&
			job(p, array+"_2").Phase == schedulers.Running && job(p, failed).Phase == schedulers.Ended && job(p, big).Reason != "" && job(p, after).Reason == "Dependency"
	})
	l.forms(func(asked form) {
		p := l.asSlurmSays()
		if p.Cluster != "bed" || !strings.Contains(l.run("root", "scontrol", "version"), p.Version) || p.Version == "" {
			t.Errorf("cluster %q, version %q", p.Cluster, p.Version)
		}
		type said struct {
			phase    schedulers.Phase
			reason   string
			gpus     int
			indices  string // of all nodes
			log      string
			limit    time.Duration
			exit     string
			restarts int
		}
		want := map[string]said{
			array + "_1":       {schedulers.Running, "", 2, "", home + "/sweep-" + array + "_1.out", 30 * time.Minute, "", 0},
			array + "_2":       {schedulers.Running, "", 2, "", home + "/sweep-" + array + "_2.out", 30 * time.Minute, "", 0},
			array + "_[3-6%2]": {schedulers.Pending, "JobArrayTaskLimit", 2, "", "", 0, "", 0},
			two:                {schedulers.Running, "", 8, "", home + "/log." + fmt.Sprintf("%06s", two) + ".txt", time.Hour, "", 0},
			het + "+0":         {schedulers.Running, "", 1, "", home + "/slurm-" + het + ".out", 10 * time.Minute, "", 0},
			het + "+1":         {schedulers.Running, "", 2, "", home + "/slurm-" + strconv.Itoa(1+atoi(t, het)) + ".out", 10 * time.Minute, "", 0},
			whole:              {schedulers.Running, "", 8, "node008:[0 1 2 3 4 5 6 7]", strings.Replace(home, "ann", "bob", 1) + "/slurm-" + whole + ".out", 0, "", 0},
			big:                {schedulers.Pending, "Resources", 64, "", "-", 0, "", 0},
			after:              {schedulers.Pending, "Dependency", 0, "", "-", 0, "", 0},
			late:               {schedulers.Pending, "BeginTime", 0, "", "-", 0, "", 0},
			held:               {schedulers.Pending, "JobHeldUser", 3, "", "-", 0, "", 0},
			failed:             {schedulers.Ended, "NonZeroExitCode", 0, "", "-", 0, "3:0", 0},
		}
		if len(p.Jobs) != len(want) {
			t.Errorf("%d jobs, not %d", len(p.Jobs), len(want))
		}
		for id, w := range want {
			j := job(p, id)
			reason, _, _ := strings.Cut(j.Reason, ":")
			// The text form has the description in its place, and who waits for whom changes.
			if strings.HasPrefix(reason, "Nodes required for job are") || id == big && reason == "Priority" {
				reason = "Resources"
			}
			if w.log == "-" {
				w.log = j.LogFile
			}
			if j.Phase != w.phase || reason != w.reason || j.GPUs != w.gpus || j.LogFile != w.log || j.ExitCode != w.exit || j.Restarts != w.restarts {
				t.Errorf("%s (form %d): %+v\nwant %+v", id, asked, j, w)
			}
			if limit := j.LimitAt.Sub(j.StartAt); w.limit > 0 && limit != w.limit || w.limit == 0 && !j.LimitAt.IsZero() {
				t.Errorf("%s (form %d): its time is up after %s, not %s", id, asked, limit, w.limit)
			}
			if w.indices != "" && strings.TrimPrefix(fmt.Sprint(j.GPUsOn), "map") != "["+w.indices+"]" {
				t.Errorf("%s (form %d): GPUs %v, not %s", id, asked, j.GPUsOn, w.indices)
			}
			// scontrol is the only one of Slurm's programs that tells indices in text; ours come from JSON.
			if asked == formJSON && j.Phase == schedulers.Running {
				l.equal("GPUs of "+id, l.indices(strings.TrimPrefix(j.Key, "slurm/")), ours(j))
			}
		}
		if d := job(p, after).Dependency; !strings.HasPrefix(d, "afterok:"+big) {
			t.Errorf("dependency %q", d)
		}
		if j := job(p, late); time.Until(j.StartAt) < time.Hour || time.Until(j.StartAt) > 3*time.Hour {
			t.Errorf("it is expected at %s", j.StartAt)
		}
		if j := job(p, whole); strings.ContainsAny(j.Name, "\n\x1b") || !strings.HasPrefix(j.Name, "new line @x/") {
			t.Errorf("name %q", j.Name)
		}
		if mine := p.JobsOf("ann"); len(mine) != 6 {
			t.Errorf("%d jobs of ann", len(mine))
		}
		if nodes := p.NodesOf("bob"); !slices.Equal(nodes, []string{"node008"}) {
			t.Errorf("bob holds %q", nodes)
		}
	})

	l.forms(func(asked form) {
		before := job(l.until("two runs", func(p *schedulers.Picture) bool { return job(p, two).Phase == schedulers.Running }), two)
		l.run("ann", "scontrol", "requeue", two)
		l.until("two waits", func(p *schedulers.Picture) bool { return job(p, two).Phase == schedulers.Pending })
		l.run("root", "scontrol", "update", "JobId="+two, "StartTime=now+2", "EligibleTime=now+2") // in the second in which it was requeued, its nodes revoke its credential
		again := job(l.until("two runs again", func(p *schedulers.Picture) bool { return job(p, two).Phase == schedulers.Running }), two)
		if again.Restarts != before.Restarts+1 || len(again.Nodes) != 2 {
			t.Errorf("form %d: %+v", asked, again)
		}
	})
	l.run("ann", "scancel", two)
	p := l.until("two ends", func(p *schedulers.Picture) bool { return job(p, two).Phase == schedulers.Ended })
	if j := job(p, two); j.State != "CANCELLED" || j.EndAt.IsZero() || !j.LimitAt.IsZero() {
		t.Errorf("%+v", j)
	}
	l.asSlurmSays()
}

func TestLiveNodes(t *testing.T) {
	l := start(t, 4)
	running := l.submit("ann", "-w", "node001", "--gpus=3", "-t", "30", "--wrap", "exec sleep 600")
	l.until("it runs", func(p *schedulers.Picture) bool { return job(p, running).Phase == schedulers.Running })
	before := time.Now().Add(-time.Second)
	l.run("root", "scontrol", "update", "nodename=node001,node002", "state=drain", "reason=bad link | ask bob = [x] 漢")
	l.run("root", "scontrol", "update", "nodename=node003", "state=down", "reason=power")
	if err := l.bed.KillNode("node004"); err != nil {
		t.Fatal(err)
	}
	l.until("node004 is down", func(p *schedulers.Picture) bool { return node(p, "node004").Condition == schedulers.Down })
	boot := l.run("root", "stat", "-c", "%Y", "/proc/1") // later than the machine's start
	l.forms(func(asked form) {
		p := l.asSlurmSays()
		for name, want := range map[string]schedulers.Node{
			"node001": {Condition: schedulers.Draining, State: "MIXED+DRAIN", Reason: "bad link | ask bob = [x] 漢", ReasonBy: "root", GPUsUsed: 3},
			"node002": {Condition: schedulers.Drained, State: "IDLE+DRAIN", Reason: "bad link | ask bob = [x] 漢", ReasonBy: "root"},
			"node003": {Condition: schedulers.Down, State: "DOWN", Reason: "power", ReasonBy: "root"},
			"node004": {Condition: schedulers.Down, State: "DOWN+NOT_RESPONDING", Reason: "Not responding", ReasonBy: "root"},
		} {
			n := node(p, name)
			if n.Condition != want.Condition || n.State != want.State || n.Reason != want.Reason || n.ReasonBy != want.ReasonBy || n.GPUsUsed != want.GPUsUsed || n.GPUs != 8 || n.GPUModel != "h100" {
				t.Errorf("form %d: %+v\nwant %+v", asked, n, want)
			}
			if n.ReasonAt.Before(before) || n.ReasonAt.After(time.Now().Add(time.Second)) {
				t.Errorf("form %d: %s drained at %s", asked, name, n.ReasonAt)
			}
			if n.Hostname != "localhost" || !slices.Equal(n.Addresses, []string{"localhost", "127.0.0.1"}) || !slices.Equal(n.Partitions, []string{"train", "debug"}) {
				t.Errorf("form %d: %+v", asked, n)
			}
			if n.BootAt.IsZero() || n.BootAt.Unix() > int64(atoi(t, boot)) {
				t.Errorf("form %d: booted at %s", asked, n.BootAt)
			}
		}
	})
	l.run("root", "scontrol", "update", "nodename=node001,node002,node003", "state=resume")
	if err := l.bed.StartNode("node004"); err != nil {
		t.Fatal(err)
	}
	p := l.until("all are well", func(p *schedulers.Picture) bool {
		return !slices.ContainsFunc(p.Nodes, func(n schedulers.Node) bool { return n.Condition != schedulers.Usable })
	})
	if n := node(p, "node002"); n.Reason != "" || n.ReasonBy != "" || !n.ReasonAt.IsZero() {
		t.Errorf("%+v", n)
	}
	l.asSlurmSays()
}

// The controller goes and comes back: what was known stays, with the reason.
func TestLiveController(t *testing.T) {
	l := start(t, 2)
	id := l.submit("ann", "-t", "30", "--wrap", "exec sleep 600")
	l.until("it runs", func(p *schedulers.Picture) bool { return job(p, id).Phase == schedulers.Running })
	for _, asked := range []form{formJSON, formText} {
		l.s.jobForm, l.s.nodeForm = asked, asked
		l.b.p = l.s.round(t.Context(), l.b.p)
		if err := l.bed.StopController(); err != nil {
			t.Fatal(err)
		}
		p := l.s.round(t.Context(), l.b.p)
		if p.Problem == nil || !strings.Contains(p.Problem.Remedy, "scontrol ping") || p.Problem.Since.IsZero() || len(p.Jobs) != 1 || len(p.Nodes) != 2 || p.At != l.b.p.At || l.s.jobForm != asked {
			t.Errorf("form %d: %+v, problem %+v", asked, p, p.Problem)
		}
		if err := l.bed.StartController(); err != nil {
			t.Fatal(err)
		}
		l.until("it is back", func(p *schedulers.Picture) bool { return job(p, id).Phase == schedulers.Running })
		l.asSlurmSays()
	}
}

// Local is the runner of this machine: it finds Slurm by its environment, and bounds what it runs.
func TestLiveLocal(t *testing.T) {
	bed := testbed.Slurm(t, testbed.SlurmOptions{})
	local := Local{Env: append(bed.Env, "PATH=/usr/bin:/bin")}
	s, err := Find(t.Context(), local, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got *schedulers.Picture
	s.Watch(ctx, func(p *schedulers.Picture) { got = p; cancel() })
	if got == nil || got.Problem != nil || len(got.Nodes) != 1 || got.Cluster != "bed" {
		t.Errorf("%+v", got)
	}
}

// A cluster that hides others' jobs says so, and nothing is concluded from a job that is not told; who may see all sees that it is all.
func TestLivePrivate(t *testing.T) {
	bed := testbed.Slurm(t, testbed.SlurmOptions{Conf: []string{"PrivateData=jobs,usage"}})
	as := func(user string) *live {
		s, err := Find(t.Context(), beside{bed, user}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return &live{t, bed, s, &newest{}}
	}
	ann := as("ann")
	for _, user := range []string{"ann", "bob"} {
		ann.submit(user, "-N1", "-n1", "-t", "10", "--wrap", "exec sleep 600")
	}
	operator := as("root").until("both jobs", func(p *schedulers.Picture) bool { return len(p.Jobs) == 2 })
	if !operator.Whole || len(operator.Unseen) != 0 {
		t.Errorf("root: whole %v, unseen %q", operator.Whole, operator.Unseen)
	}
	p := ann.until("ann's job", func(p *schedulers.Picture) bool { return len(p.Jobs) == 1 })
	if p.Whole || len(p.Unseen) != 1 || p.Jobs[0].User != "ann" {
		t.Errorf("ann: whole %v, unseen %q, %+v", p.Whole, p.Unseen, p.Jobs)
	}
}
