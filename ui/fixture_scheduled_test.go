package ui

import (
	"fmt"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
)

// scheduled is the night as hang is, with what a scheduler knows of it: a drained node, one that is down, jobs that wait, jobs that ended, one of which no process is
// seen, one that is watched in part, and logs.
func scheduled() *fleet.Snapshot {
	s := hang()
	for i, n := range s.Nodes {
		n.Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Cluster: "bay", Proof: fleet.ProofHost,
			Node: &schedulers.Node{Name: n.Name, Partitions: []string{"h100"}, Condition: schedulers.Usable, State: "ALLOCATED", Flags: []string{"ALLOCATED"}, GPUs: 8, GPUsUsed: 8}}}
		set := func(c schedulers.Condition, state, reason, by string) {
			node := n.Scheduled[0].Node
			node.Condition, node.State, node.Flags, node.Reason, node.ReasonBy, node.ReasonAt = c, state, []string{state}, reason, by, noon.Add(-26*time.Minute)
		}
		switch i + 1 {
		case 17:
			set(schedulers.Draining, "ALLOCATED+DRAIN", "healthcheck: GPU 3 lost (Xid 79)", "root")
		case 52:
			set(schedulers.Unreachable, "ALLOCATED*", "Not responding", "slurm")
		case 60:
			set(schedulers.Drained, "IDLE+DRAIN", "fan 3 failed, RMA 4711", "ann")
			n.Problems = []fleet.Problem{{Severity: fleet.Notice, Text: `slurm: drained: "fan 3 failed, RMA 4711", ann 26 min ago`, GPU: -1, Port: -1}}
		case 61:
			n.Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Cluster: "bay", Why: "2 nodes here say that they are slurm's gpu061: gpu061 and old061, for example"}}
			n.Problems = []fleet.Problem{{Severity: fleet.Notice, Text: "slurm: not checked, " + n.Scheduled[0].Why, GPU: -1, Port: -1}}
		case 62:
			n.Problems = []fleet.Problem{{Severity: fleet.Warning, Text: "2 GPUs held by eve with no job of slurm", GPU: -1, Port: -1, Since: noon.Add(-9 * time.Minute)}}
		}
	}
	tell := func(j *fleet.Job, change func(*schedulers.Job, *fleet.Told)) {
		sj := &schedulers.Job{Key: j.Key, ID: j.ID, Name: j.Name, User: j.User, Account: "research", Partition: "h100", QOS: "normal", Phase: schedulers.Running, State: "RUNNING",
			StartAt: j.Start, LimitAt: j.EndLimit, SubmitAt: j.Start.Add(-time.Hour), Nodes: j.Nodes, NodesN: len(j.Nodes), GPUs: len(j.GPUs), LogFile: "/home/" + j.User + "/logs/" + j.ID + ".out"}
		j.Told = &fleet.Told{Job: sj, Kind: "slurm", Cluster: "bay", Watched: j.Nodes}
		j.Asked, j.Account = fleet.AskedKnown, "research"
		if change != nil {
			change(sj, j.Told)
		}
	}
	for _, j := range s.Jobs {
		tell(j, nil)
	}
	big := s.Jobs[0]
	big.Restarts = 1
	big.Libraries = []fleet.Library{{Name: "torch", Version: "2.7.1+cu126", Ranks: 256, Node: "gpu001"}, {Name: "nccl", Version: "2.26.2", Ranks: 248, Node: "gpu001"}, {Name: "nccl", Version: "2.21.5", Ranks: 8, Node: "gpu003"}}
	big.Findings = []fleet.Verdict{{State: fleet.JobSuspect, Severity: fleet.Critical, Text: big.StateText}, {State: fleet.JobSuspect, Severity: fleet.Critical, Text: "gpu017 GPU3 lost (rank 131)"}}
	big.Log = &fleet.LogTail{Path: big.Told.LogFile, Node: "gpu001", At: noon.Add(-time.Second), ModTime: noon.Add(-45 * time.Second), Size: 48 << 20,
		Numbers: []fleet.LogNumber{{Name: "step", Text: "41233"}, {Name: "loss", Text: "1.8012"}, {Name: "step time", Text: "11.42 s"}, {Name: "tokens/s", Text: "183761"}}}
	for i := range 40 {
		big.Log.Lines = append(big.Log.Lines, fmt.Sprintf("12:02:%02d [rank0] step %d | loss: 1.80%02d | step time: 11.42 s | tokens/s: 183761", i, 41194+i, 51-i))
	}
	big.Log.Lines = append(big.Log.Lines, "[rank131]: RuntimeError: CUDA error: unspecified launch failure")
	part := s.Jobs[3]
	part.StateText, part.Severity = "24 of 32 ranks seen: gpu[065-066] not watched", fleet.Notice
	part.Told.Elsewhere, part.Told.ElsewhereText, part.Told.NodesN = []string{"gpu065", "gpu066"}, "gpu[065-066]", 6
	part.Log = &fleet.LogTail{Path: part.Told.LogFile, Node: "gpu051", At: noon, Size: -1, Error: "no permission to read it", Remedy: "ask its owner, or watch as one who may"}
	for i, id := range []string{"8123", "8130", "8131", "8140", "8127"} {
		if j := s.Job("slurm/" + id); j.Log == nil {
			j.Log = &fleet.LogTail{Path: j.Told.LogFile, Node: j.Nodes[0], At: noon.Add(-5 * time.Second), ModTime: noon.Add(-time.Duration(6+i*i) * time.Second)}
		}
	}
	none := fleet.None()
	bare := func(id, name, user string) *fleet.Job {
		return &fleet.Job{Key: "slurm/" + id, ID: id, Name: name, User: user, Scheduler: "slurm", Partition: "h100", PowerPct: none, UtilPct: none, TensorPct: none, SMPct: none, MemPct: none, TempC: none, ClockPct: none,
			MemUsedBytes: none, MemTotalBytes: none, NetBytesPerS: none}
	}
	unseen := bare("8155", "stuck-in-container", "dana")
	unseen.Nodes, unseen.Start, unseen.EndLimit = []string{"gpu063"}, noon.Add(-19*time.Minute), noon.Add(3*time.Hour)
	unseen.State, unseen.Severity, unseen.StateText = fleet.JobUnseen, fleet.Warning, "slurm says running for 19 min, no process of it holds a GPU on gpu063"
	for g := range 2 {
		unseen.GPUs = append(unseen.GPUs, fleet.GPURef{Node: "gpu063", Index: g, Rank: -1, GPU: &s.Nodes[62].GPUs[g], State: fleet.Live, Empty: true})
	}
	unseen.IdleGPUs = 2
	tell(unseen, nil)
	failed := bare("8099", "whisper-eval", "dana")
	failed.Nodes, failed.Start, failed.Ended, failed.State = []string{"gpu055"}, noon.Add(-21*time.Minute), noon.Add(-19*time.Minute), fleet.JobEnded
	failed.Severity, failed.StateText = fleet.Notice, "ended 19 min ago: failed, exit code 1 (NonZeroExitCode)"
	tell(failed, func(j *schedulers.Job, _ *fleet.Told) {
		j.Phase, j.State, j.ExitCode, j.GPUs = schedulers.Ended, "FAILED", "1:0", 2
	})
	well := bare("8071", "lora-sweep", "eve")
	well.Nodes, well.Start, well.Ended, well.State, well.StateText = []string{"gpu056"}, noon.Add(-time.Hour), noon.Add(-40*time.Minute), fleet.JobEnded, "ended 40 min ago: completed"
	tell(well, func(j *schedulers.Job, _ *fleet.Told) { j.Phase, j.State, j.GPUs = schedulers.Ended, "COMPLETED", 8 })
	s.Jobs = append(s.Jobs, unseen, failed, well)
	for i, w := range []struct{ name, user, why string }{{"mistral-8x22b", "ann", "Resources"}, {"gemma-27b-sft", "cy", "Priority"}, {"eval-nightly", "bob", "Dependency"}} {
		j := bare(fmt.Sprint(9400+i), w.name, w.user)
		j.State, j.StateText = fleet.JobPending, "waits: "+w.why
		tell(j, func(j *schedulers.Job, t *fleet.Told) {
			j.Phase, j.State, j.Reason, j.NodesN, j.GPUs, j.SubmitAt = schedulers.Pending, "PENDING", w.why, 16>>i, 128>>i, noon.Add(-time.Duration(i+1)*50*time.Minute)
			j.StartAt = time.Time{}
			if i == 0 {
				j.StartAt = noon.Add(70 * time.Minute)
			}
			t.Watched = nil
		})
		s.Pending = append(s.Pending, j)
	}
	s.Users = []*fleet.User{
		{Name: "ann", Jobs: 1, Pending: 1, Wanted: 128, GPUs: 256, Nodes: 32, UtilPct: 100, PowerPct: 22, HeldHours: 3021, Since: noon.Add(-12 * time.Hour), Worst: fleet.Critical},
		{Name: "cy", Jobs: 1, Pending: 1, Wanted: 64, GPUs: 64, Nodes: 8, UtilPct: 98, PowerPct: 93, HeldHours: 768, Since: noon.Add(-12 * time.Hour)},
		{Name: "bob", Jobs: 2, Pending: 1, Wanted: 32, GPUs: 24, Idle: 7, Nodes: 3, UtilPct: 65, PowerPct: 62, HeldHours: 130, IdleHours: 41.3, IdleNowHours: 2.3, Since: noon.Add(-12 * time.Hour), Worst: fleet.Warning},
		{Name: "dana", Jobs: 2, GPUs: 34, Idle: 2, Empty: 2, Nodes: 5, UtilPct: 80, PowerPct: 64, HeldHours: 90, IdleHours: 0.6, Since: noon.Add(-3 * time.Hour), Worst: fleet.Warning},
		{Name: "", Jobs: 1, GPUs: 1, Nodes: 1, UtilPct: none, PowerPct: none, Since: noon.Add(-time.Hour)},
	}
	for i := 1; i < 8; i++ {
		s.Users[2].IdleGPUs = append(s.Users[2].IdleGPUs, fleet.IdleGPU{Node: "gpu050", Index: i, Job: "slurm/8127", ID: "8127", Since: noon.Add(-20 * time.Minute), MemBytes: 2 * gib})
	}
	for i := range 2 {
		s.Users[3].IdleGPUs = append(s.Users[3].IdleGPUs, fleet.IdleGPU{Node: "gpu063", Index: i, Job: "slurm/8155", ID: "8155", MemBytes: gib})
	}
	s.Schedulers = []fleet.Scheduler{{Kind: "slurm", Cluster: "bay", Version: "24.11.5", At: noon.Add(-8 * time.Second), Every: 15 * time.Second, Nodes: 66, Joined: 63, Proven: 63, Running: 6, Pending: 3}}
	s.Totals.Pending, s.Totals.Drained, s.Totals.Down = 3, 2, 1
	return s
}
