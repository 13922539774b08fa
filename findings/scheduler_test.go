package findings

import (
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/jobs"
	"foretop/schedulers"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// told gives the world's job what a scheduler says of it.
func (w *world) told(change func(*schedulers.Job, *fleet.Told)) {
	sj := &schedulers.Job{Key: "job", ID: "8123", Phase: schedulers.Running, State: "RUNNING", StartAt: noon.Add(-time.Hour), Nodes: w.job.Nodes, GPUs: 16}
	t := &fleet.Told{Job: sj, Kind: "slurm", Watched: []string{"a", "b"}}
	change(sj, t)
	w.job.Told, w.job.Asked, w.job.Scheduler = t, fleet.AskedKnown, "slurm"
}

// noProcess takes the job's processes away; what its scheduler gave it stays.
func (w *world) noProcess() {
	w.job.Ranks, w.job.World, w.job.GPUs = nil, 0, nil
	for _, n := range w.nodes {
		n.ProcessesTold = true
	}
}

func (w *world) processes() {
	for i := range w.job.GPUs {
		w.job.GPUs[i].GPU.Holders = []fleet.Holder{{PID: 1, Job: "job"}}
	}
}

func TestJobAgainstItsScheduler(t *testing.T) {
	ok := func(*schedulers.Job, *fleet.Told) {}
	for _, tt := range []struct {
		name   string
		after  time.Duration
		change func(*world)
		want   fleet.Verdict
	}{
		{"both say that it runs", time.Hour, func(w *world) { w.told(ok) }, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"no process of it", time.Hour, func(w *world) { w.told(ok); w.noProcess() },
			fleet.Verdict{State: fleet.JobUnseen, Severity: fleet.Warning, Text: "slurm says running for 2 h, no process of it holds a GPU on a, b"}},
		{"no process of it any more", 3 * time.Minute, func(w *world) { w.told(ok); w.noProcess(); w.was = true },
			fleet.Verdict{State: fleet.JobUnseen, Severity: fleet.Warning, Text: "its processes are gone for 3 min, slurm says that it runs on a, b"}},
		{"no process of it for a moment", time.Minute, func(w *world) { w.told(ok); w.noProcess(); w.was = true },
			fleet.Verdict{State: fleet.JobStarting, Text: "its processes are gone for 60 s, slurm says that it runs"}},
		{"no process of it so far", time.Second, func(w *world) { w.told(ok); w.noProcess() }, fleet.Verdict{State: fleet.JobUnseen, Text: "no process of it seen so far"}},
		{"no process of it yet", 0, func(w *world) {
			w.told(func(j *schedulers.Job, _ *fleet.Told) { j.StartAt = noon.Add(-time.Minute) })
			w.noProcess()
		}, fleet.Verdict{State: fleet.JobStarting, Text: "starting: no process seen yet"}},
		{"no process, for a while", time.Minute, func(w *world) {
			w.told(func(j *schedulers.Job, _ *fleet.Told) { j.StartAt = noon.Add(-3 * time.Minute) })
			w.noProcess()
		}, fleet.Verdict{State: fleet.JobUnseen, Severity: fleet.Notice, Text: "slurm says running for 4 min, no process of it holds a GPU on a, b"}},
		{"no process, and nobody looked", 0, func(w *world) {
			w.told(ok)
			w.noProcess()
			w.nodes["a"].ProcessesTold, w.nodes["b"].ProcessesTold = false, false
		}, fleet.Verdict{State: fleet.JobUnchecked, Severity: fleet.Notice, Text: "not checked: none of its nodes is live"}},
		{"no process, not all were asked", time.Minute, func(w *world) { w.told(ok); w.noProcess(); w.nodes["b"].ProcessesTold = false },
			fleet.Verdict{State: fleet.JobUnseen, Severity: fleet.Notice, Text: "slurm says running for 61 min, no process of it holds a GPU on a, b"}},
		{"no process, it has no GPU", 0, func(w *world) { w.told(func(j *schedulers.Job, _ *fleet.Told) { j.GPUs = 0 }); w.noProcess() },
			fleet.Verdict{State: fleet.JobUnseen, Text: "running · it has no GPU, processes not checked"}},
		{"ended, its processes did not", 2 * time.Minute, func(w *world) {
			w.told(func(j *schedulers.Job, _ *fleet.Told) {
				j.Phase, j.State, j.ExitCode = schedulers.Ended, "TIMEOUT", "0:0"
			})
			w.processes()
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "left over: slurm says that it ended (timeout), its processes hold 16 GPUs"}},
		{"ended a moment ago", 10 * time.Second, func(w *world) { w.told(func(j *schedulers.Job, _ *fleet.Told) { j.Phase = schedulers.Ended }) }, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"not known to it", 2 * time.Minute, func(w *world) { w.job.Asked, w.job.Scheduler = fleet.AskedNone, "slurm" },
			fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "left over: slurm knows of no such job, its processes hold 16 GPUs"}},
		{"nobody was asked", 2 * time.Minute, func(w *world) { w.job.Scheduler = "slurm" }, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"suspended", 0, func(w *world) {
			w.told(func(j *schedulers.Job, _ *fleet.Told) { j.Phase, j.Reason = schedulers.Suspended, "None" })
		},
			fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Notice, Text: "suspended by slurm"}},
		{"completing without end", 0, func(w *world) {
			w.told(func(j *schedulers.Job, _ *fleet.Told) {
				j.Phase, j.EndAt = schedulers.Completing, noon.Add(-20*time.Minute)
			})
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "completing for 20 min: an epilog that does not end, or a process that cannot be killed?"}},
		{"a node down in it", 0, func(w *world) {
			w.told(ok)
			w.nodes["b"].Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Node: &schedulers.Node{Condition: schedulers.Unreachable}}}
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "b down in slurm"}},
		{"ranks where nobody looks", time.Hour, func(w *world) {
			w.told(func(_ *schedulers.Job, t *fleet.Told) {
				t.Elsewhere, t.ElsewhereText = []string{"gpu9", "gpu10"}, "gpu[9-10]"
			})
			w.job.World, w.job.MissingN = 32, 16
		}, fleet.Verdict{State: fleet.JobPartial, Severity: fleet.Notice, Text: "16 of 32 ranks seen: gpu[9-10] not watched"}},
		{"ranks where nobody looks, as their launcher says", time.Hour, func(w *world) {
			w.job.Unwatched, w.job.UnwatchedText = []string{"gpu9", "gpu10"}, "gpu[9-10]"
			w.job.World, w.job.MissingN = 32, 16
		}, fleet.Verdict{State: fleet.JobPartial, Severity: fleet.Notice, Text: "16 of 32 ranks seen: gpu[9-10] not watched"}},
		{"processes left over", 2 * time.Minute, func(w *world) {
			w.job.Leftovers = []fleet.Leftover{{Node: "a", PID: 4, GPUs: 1, Why: jobs.JobEnded}, {Node: "a", PID: 5, GPUs: 1, Why: jobs.LauncherGone}, {Node: "b", PID: 6, GPUs: 2, Why: jobs.LauncherGone}}
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "left over: 2 processes hold 3 GPUs on a, b, launcher gone"}},
		{"a process left over", 2 * time.Minute, func(w *world) {
			w.job.Leftovers = []fleet.Leftover{{Node: "b", PID: 6, GPUs: 1, Why: jobs.Superseded}}
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "left over: pid 6 holds 1 GPU on b, superseded"}},
		{"ranks with another NCCL", 0, func(w *world) {
			w.job.Libraries = []fleet.Library{{Name: "torch", Version: "2.7.1", Ranks: 16}, {Name: "nccl", Version: "2.26.2", Ranks: 15}, {Name: "nccl", Version: "2.21.5", Ranks: 1, Node: "b"}}
		}, fleet.Verdict{State: fleet.JobRunning, Severity: fleet.Notice, Text: "nccl differs: 2.26.2 on 15 ranks, 2.21.5 on 1 (b)"}},
		{"left over for a moment", 10 * time.Second, func(w *world) {
			w.job.Leftovers = []fleet.Leftover{{Node: "b", PID: 6, GPUs: 1, Why: jobs.OthersGone}}
		}, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"nodes where nobody looks", 0, func(w *world) {
			w.told(func(_ *schedulers.Job, t *fleet.Told) { t.Elsewhere, t.ElsewhereText = []string{"gpu9"}, "gpu9" })
			w.job.World = 0
		}, fleet.Verdict{State: fleet.JobPartial, Severity: fleet.Notice, Text: "1 of 3 nodes not watched: gpu9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, m := newWorld(), new(fleet.Memory)
			tt.change(w)
			pastOf[jobPast](m).seen = w.was
			nodes := func(name string) *fleet.Node { return w.nodes[name] }
			newWatches(Set{}).job(w.job, nodes, noon, m)
			got := newWatches(Set{}).job(w.job, nodes, noon.Add(tt.after), m)
			if d := cmp.Diff(tt.want, got, said); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if got.Severity > fleet.Fine && !slices.ContainsFunc(w.job.Findings, func(v fleet.Verdict) bool { return cmp.Equal(v, got) }) {
				t.Errorf("it is not among its findings: %v", w.job.Findings)
			}
		})
	}
}

func TestHowAJobEnded(t *testing.T) {
	for _, c := range []struct {
		name   string
		job    schedulers.Job
		want   string
		severe fleet.Severity
	}{
		{"well", schedulers.Job{Phase: schedulers.Ended, State: "COMPLETED", ExitCode: "0:0", Reason: "None"}, "ended 1 min ago: completed", fleet.Fine},
		{"an exit code", schedulers.Job{Phase: schedulers.Ended, State: "FAILED", ExitCode: "1:0", Reason: "NonZeroExitCode"}, "ended 1 min ago: failed, exit code 1 (NonZeroExitCode)", fleet.Warning},
		{"a signal", schedulers.Job{Phase: schedulers.Ended, State: "FAILED", ExitCode: "0:9"}, "ended 1 min ago: failed, signal 9", fleet.Warning},
		{"its time", schedulers.Job{Phase: schedulers.Ended, State: "TIMEOUT", ExitCode: "0:0", Reason: "TimeLimit"}, "ended 1 min ago: timeout (TimeLimit)", fleet.Warning},
		{"a node", schedulers.Job{Phase: schedulers.Ended, State: "NODE_FAIL"}, "ended 1 min ago: node fail", fleet.Warning},
		{"its owner", schedulers.Job{Phase: schedulers.Ended, State: "CANCELLED by 1000"}, "ended 1 min ago: cancelled by 1000", fleet.Fine},
		{"a pod", schedulers.Job{Phase: schedulers.Ended, State: "Failed", ExitCode: "OOMKilled"}, "ended 1 min ago: failed, OOMKilled", fleet.Warning},
		{"queued again", schedulers.Job{Phase: schedulers.Pending, Reason: "BeginTime"}, "queued again 1 min ago, waits (BeginTime)", fleet.Fine},
		{"nothing known", schedulers.Job{Phase: schedulers.Running}, "ended 1 min ago", fleet.Fine},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := &fleet.Job{Ended: noon, Told: &fleet.Told{Job: &c.job, Kind: "slurm"}}
			v := newWatches(Set{}).job(j, func(string) *fleet.Node { return nil }, noon.Add(time.Minute), nil)
			if v.Text != c.want || v.Severity != c.severe {
				t.Errorf("%s, %q; want %s, %q", v.Severity, v.Text, c.severe, c.want)
			}
			if v = newWatches(Set{}).job(j, func(string) *fleet.Node { return nil }, noon.Add(30*time.Minute), nil); v.Severity > fleet.Notice {
				t.Errorf("half an hour later it is still %s", v.Severity)
			}
		})
	}
}

func TestNodeAgainstItsScheduler(t *testing.T) {
	node := func(c schedulers.Condition) *schedulers.Node {
		return &schedulers.Node{Name: "gpu001", Condition: c, Reason: "fan", ReasonBy: "ann", ReasonAt: noon.Add(-3 * time.Hour)}
	}
	process := func(user, scheduler string, gpus ...uint32) *fleet.Process {
		p := &fleet.Process{Process: &facts.Process{Pid: 1, User: user}, Scheduler: scheduler}
		for _, g := range gpus {
			p.Held = append(p.Held, &facts.Held{Gpu: g})
		}
		return p
	}
	for _, c := range []struct {
		name      string
		scheduled fleet.ScheduledNode
		processes []*fleet.Process
		want      string // "" nothing of it
		severe    fleet.Severity
	}{
		{"usable", fleet.ScheduledNode{Kind: "slurm", Node: node(schedulers.Usable), Proof: fleet.ProofHost}, nil, "", 0},
		{"drained", fleet.ScheduledNode{Kind: "slurm", Node: node(schedulers.Drained)}, nil, `slurm: drained: "fan", ann 3 h ago`, fleet.Notice},
		{"down but live", fleet.ScheduledNode{Kind: "slurm", Node: node(schedulers.Down)}, nil, `slurm: down, though it is live here: "fan", ann 3 h ago`, fleet.Warning},
		{"not joined", fleet.ScheduledNode{Kind: "slurm", Why: "2 nodes here say that they are gpu001"}, nil, "slurm: not checked, 2 nodes here say that they are gpu001", fleet.Notice},
		{"a stranger", fleet.ScheduledNode{Kind: "slurm", Node: node(schedulers.Usable), Proof: fleet.ProofHost}, []*fleet.Process{process("eve", "", 0, 1), process("bob", "slurm", 2)},
			"2 GPUs held by eve with no job of slurm", fleet.Warning},
		{"the system", fleet.ScheduledNode{Kind: "slurm", Node: node(schedulers.Usable), Proof: fleet.ProofHost}, []*fleet.Process{process("root", "", 0)}, "", 0},
		{"not proven to be that node", fleet.ScheduledNode{Kind: "slurm", Node: node(schedulers.Usable), Proof: fleet.ProofName}, []*fleet.Process{process("eve", "", 0)}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &fleet.Node{Name: "a", State: fleet.Live, Scheduled: []fleet.ScheduledNode{c.scheduled}, Processes: c.processes}
			m := new(fleet.Memory)
			if early := Node(n, noon, m); len(early) > 0 && early[0].Severity > fleet.Notice {
				t.Errorf("at once: %v", early)
			}
			got := Node(n, noon.Add(2*time.Minute), m)
			switch {
			case c.want == "" && len(got) == 0:
			case len(got) != 1 || !strings.Contains(got[0].Text, strings.TrimSuffix(c.want, "3 h ago")) || got[0].Severity != c.severe:
				t.Errorf("%+v, want %q", got, c.want)
			}
		})
	}
}
