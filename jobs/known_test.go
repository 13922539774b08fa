package jobs

import (
	"fmt"
	"strings"
	"testing"

	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

const (
	uidA = "0c5a6b0e-1f2a-4b3c-8d9e-00000000000a"
	uidB = "0c5a6b0e-1f2a-4b3c-8d9e-00000000000b"
)

func inPod(p *facts.Process, uid string) *facts.Process {
	p.Cgroup = "/kubepods.slice/kubepods-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice/cri-containerd-" + strings.Repeat(uid[len(uid)-1:], 64) + ".scope"
	p.User, p.Uid = "root", 0
	p.NsPids = []int32{p.Pid, 7}
	return p
}

// row writes a job with all that a scheduler may add to it.
func row(j *Job) string {
	s := fmt.Sprintf("%s id=%s name=%s user=%s world=%d hosts=%d%v unwatched=%v", j.Key, j.ID, j.Name, j.User, j.World, j.HostsN, j.Hosts, j.Unwatched)
	for _, r := range j.Ranks {
		s += fmt.Sprintf(" | %d:%s/%d pod=%s inside=%d %s", r.Rank, r.Node, r.PID, r.Pod, r.InnerPID, r.Orphan)
	}
	for _, o := range j.Others {
		s += fmt.Sprintf(" | %s %s/%d pod=%s %s", o.Role, o.Node, o.PID, o.Pod, o.Orphan)
	}
	return s
}

func rows(jobs []Job) []string {
	var s []string
	for i := range jobs {
		s = append(s, strings.TrimRight(strings.ReplaceAll(row(&jobs[i]), "  ", " "), " "))
	}
	return s
}

func TestKnown(t *testing.T) {
	kube := &Known{
		Pods: map[string]KnownPod{
			uidA: {Job: "kubernetes/team/JobSet/llama", Name: "llama-node-0-0", User: "ann"},
			uidB: {Job: "kubernetes/team/JobSet/llama", Name: "llama-node-0-1"},
		},
		Jobs: map[string]KnownJob{"kubernetes/team/JobSet/llama": {ID: "team/llama", Name: "llama", User: "ann", Partition: "team"}},
	}
	bare := func(pid int32, gpu uint32) *facts.Process {
		return holding(proc(pid, 1, "python serve.py", ""), gpu)
	}
	const slurmStep = "SLURM_JOB_ID=8123 SLURM_STEP_ID=0 SLURM_NTASKS=2 SLURM_JOB_NODELIST=gpu[001-003] SLURM_JOB_NUM_NODES=3 "
	for _, tt := range []struct {
		name  string
		known *Known
		nodes []NodeFacts
		want  []string
	}{
		{
			"pods of one JobSet, which nothing else joins", kube,
			[]NodeFacts{on("a", inPod(bare(10, 0), uidA)), on("b", inPod(bare(11, 1), uidB))},
			[]string{"kubernetes/team/JobSet/llama id=team/llama name=llama user=ann world=0 hosts=0[] unwatched=[] | worker a/10 pod=llama-node-0-0 | worker b/11 pod=llama-node-0-1"},
		},
		{
			"torchrun in them: the JobSet's job, torch's ranks", kube,
			[]NodeFacts{on("a", inPod(worker(0, 0, 1, 2, ""), uidA)), on("b", inPod(worker(1, 0, 1, 2, ""), uidB))},
			[]string{"kubernetes/team/JobSet/llama id=team/llama name=llama user=ann world=2 hosts=0[] unwatched=[] | 0:a/101 pod=llama-node-0-0 inside=7 | 1:b/101 pod=llama-node-0-1 inside=7"},
		},
		{
			"no API: the pods of a run by the run, containers by their ids", nil,
			[]NodeFacts{on("a", inPod(worker(0, 0, 1, 2, ""), uidA)), on("b", inPod(worker(1, 0, 1, 2, ""), uidB))},
			[]string{"torchrun/# id=gpu001:29500 name=train.py user=root world=2 hosts=0[] unwatched=[] | 0:a/101 pod=aaaaaaaaaaaa inside=7 | 1:b/101 pod=bbbbbbbbbbbb inside=7"},
		},
		{
			"a job that its scheduler says is over, and one that it does not know", &Known{Jobs: map[string]KnownJob{"slurm/8123": {Ended: true}}, Whole: map[string]int64{"slurm": 1 << 50}},
			[]NodeFacts{on("n", holding(in(proc(5, 1, "python x.py", "SLURM_JOB_ID=8123"), v2cgroup), 0), holding(in(proc(6, 1, "python x.py", ""), "/slurm/uid_1/job_9/step_0/task_0"), 1), bare(7, 2))},
			[]string{
				"process/#@n id=pid 7 name=serve.py user=ann world=0 hosts=0[] unwatched=[] | worker n/7 pod=",
				"slurm/8123 id=8123 name=x.py user=ann world=0 hosts=0[] unwatched=[] | worker n/5 pod= job ended",
				"slurm/9 id=9 name=x.py user=ann world=0 hosts=0[] unwatched=[] | worker n/6 pod= job ended",
			},
		},
		{
			"a SLUID that the controller knows", &Known{SLUIDs: map[string]string{"sEKNKTV3WPV500": "slurm/8123"}, Jobs: map[string]KnownJob{"slurm/8123": {ID: "8120_4", User: "ann", Name: "llama", Hosts: []string{"n", "m"}}}},
			[]NodeFacts{on("n", holding(in(unread(proc(9, 8, "python x.py", ""), facts.EnvState_ENV_DENIED), "/system.slice/slurmstepd.scope/sEKNKTV3WPV500/step_0/user/task_0"), 1))},
			[]string{"slurm/8123 id=8120_4 name=llama user=ann world=0 hosts=2[n m] unwatched=[m] | worker n/9 pod="},
		},
		{
			"a heterogeneous job: one environment tells of both parts", nil,
			[]NodeFacts{
				on("n", in(proc(9, 1, "./a", "SLURM_JOB_ID=8123 SLURM_HET_SIZE=2 SLURM_STEP_ID=0 SLURM_PROCID=0"), v2cgroup)),
				on("m", in(proc(9, 1, "./a", "SLURM_JOB_ID=8123 SLURM_HET_SIZE=2 SLURM_STEP_ID=0 SLURM_PROCID=1"), "/x/slurmstepd.scope/job_8124/step_0/user/task_0"),
					holding(in(unread(proc(10, 9, "b", ""), facts.EnvState_ENV_DENIED), "/x/slurmstepd.scope/job_8124/step_0/user/task_0"), 1)),
			},
			[]string{"slurm/8123 id=8123 name=a user=ann world=0 hosts=0[] unwatched=[] | 0:n/9 pod= inside=0 launcher gone | 1:m/9 pod= inside=0 launcher gone | worker m/10 pod="},
		},
		{
			"a part that only the controller knows", &Known{Jobs: map[string]KnownJob{"slurm/8124": {ID: "8123+1", PartOf: "slurm/8123"}, "slurm/8123": {ID: "8123+0"}}},
			[]NodeFacts{on("m", holding(in(unread(proc(10, 9, "b", ""), facts.EnvState_ENV_DENIED), "/x/slurmstepd.scope/job_8124/step_0/user/task_0"), 1))},
			[]string{"slurm/8123 id=8123+0 name=b user=ann world=0 hosts=0[] unwatched=[] | worker m/10 pod="},
		},
		{
			"hosts that nobody watches, by Slurm's names of nodes", nil,
			[]NodeFacts{
				{Node: "alias1", Hostname: "gpu001.example.org", GPUs: gpus(8), Processes: []*facts.Process{in(proc(9, 8, "./a", slurmStep+"SLURM_PROCID=0"), v2cgroup)}},
				{Node: "10.0.0.3", Names: []string{"gpu003"}},
			},
			[]string{"slurm/8123 id=8123 name=a user=ann world=2 hosts=3[gpu001 gpu002 gpu003] unwatched=[gpu002] | 0:alias1/9 pod= inside=0"},
		},
		{
			"names that are no nodes' say nothing of who is watched", nil,
			[]NodeFacts{on("x", env(proc(9, 8, "python t.py", ""), `TF_CONFIG={"cluster":{"worker":["w0.svc:1","w1.svc:1"]},"task":{"type":"worker","index":0}}`))},
			[]string{"tensorflow/# id=w0.svc:1 name=t.py user=ann world=2 hosts=2[w0.svc w1.svc] unwatched=[] | 0:x/9 pod= inside=0"},
		},
		{
			"DeepSpeed's launcher alone: where its ranks should be", nil,
			[]NodeFacts{on("gpu001", proc(9, 8, "/usr/bin/python3 -u -m deepspeed.launcher.launch --world_info=eyJncHUwMDEiOlswLDFdLCJncHUwMDIiOlswLDFdfQ== --master_addr=gpu001 t.py", ""))},
			[]string{"torchrun/# id=gpu001:29500 name=deepspeed.launcher.launch user=ann world=4 hosts=2[gpu001 gpu002] unwatched=[gpu002] | launcher gpu001/9 pod="},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := rows(AssembleWith(tt.nodes, tt.known))
			for i, g := range got {
				for _, w := range strings.FieldsFunc(g, func(r rune) bool { return r == '/' || r == '@' || r == ' ' }) {
					if len(w) == 16 && strings.Trim(w, "0123456789abcdef") == "" {
						g = strings.Replace(g, w, "#", 1)
					}
				}
				got[i] = g
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestOrphans(t *testing.T) {
	elastic := func(pid, ppid int32, rank int, more string) *facts.Process {
		return holding(proc(pid, ppid, "python train.py", fmt.Sprintf("RANK=%d LOCAL_RANK=%d WORLD_SIZE=4 LOCAL_WORLD_SIZE=4 GROUP_RANK=0 MASTER_ADDR=a MASTER_PORT=1 TORCHELASTIC_RUN_ID=x %s", rank, rank, more)), uint32(rank))
	}
	under := func(p *facts.Process, parent string, first bool) *facts.Process {
		p.Parent, p.ParentInit = parent, first
		return p
	}
	jax := func(pid int32, rank int) *facts.Process {
		return proc(pid, 1, "python t.py", fmt.Sprintf("JAX_COORDINATOR_ADDRESS=localhost:1 JAX_NUM_PROCESSES=4 JAX_PROCESS_ID=%d", rank))
	}
	for _, tt := range []struct {
		name  string
		procs []*facts.Process
		want  string // "PID reason" of those that are orphans
	}{
		{"the agent lives", []*facts.Process{agent(), elastic(101, 100, 0, "")}, ""},
		{"the agent is gone: process 1 is the parent", []*facts.Process{elastic(101, 1, 0, ""), elastic(102, 1, 1, "")}, "101 launcher gone, 102 launcher gone"},
		{"a session's manager adopted it", []*facts.Process{under(elastic(101, 900, 0, ""), "systemd", false)}, "101 launcher gone"},
		{"a container's first process adopted it", []*facts.Process{under(elastic(101, 900, 0, ""), "tini", true)}, "101 launcher gone"},
		{"a shell stands between, which lives", []*facts.Process{under(elastic(101, 900, 0, ""), "bash", false)}, ""},
		{"a shell that is a container's first process", []*facts.Process{under(elastic(101, 900, 0, ""), "bash", true)}, "101 launcher gone"},
		{"the agent is process 1 of what the collector sees", []*facts.Process{proc(1, 0, "torchrun t.py", ""), elastic(101, 1, 0, "")}, ""},
		{"started from outside of the collector's namespace", []*facts.Process{elastic(101, 0, 0, "")}, ""},
		{"started by hand and left alone: no launcher would end it", []*facts.Process{holding(proc(5, 1, "python t.py", "RANK=0 LOCAL_RANK=0 WORLD_SIZE=1 MASTER_ADDR=a MASTER_PORT=1"), 0)}, ""},
		{"nohup: a plain process", []*facts.Process{holding(proc(5, 1, "python t.py", ""), 0)}, ""},
		{"multiprocessing's parent is gone", []*facts.Process{holding(proc(5, 1, spawnCommand, ""), 0)}, "5 launcher gone"},
		{"an older generation", []*facts.Process{agent(), elastic(50, 1, 0, ""), elastic(101, 100, 0, "TORCHELASTIC_RESTART_COUNT=1")}, "50 superseded"},
		{"one of four left, on the job's only node", []*facts.Process{jax(5, 2)}, "5 other ranks gone"},
		{"two of four left", []*facts.Process{jax(5, 2), jax(6, 1)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, j := range Assemble([]NodeFacts{on("n", tt.procs...)}) {
				for _, r := range j.Ranks {
					if r.Orphan != NotOrphan {
						got = append(got, fmt.Sprint(r.PID, " ", r.Orphan))
					}
				}
				for _, o := range j.Others {
					if o.Orphan != NotOrphan {
						got = append(got, fmt.Sprint(o.PID, " ", o.Orphan))
					}
				}
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}

const spawnCommand = "/usr/bin/python3 -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7) --multiprocessing-fork"

// Ranks that no process says: only where the way they were started leaves no doubt.
func TestPromoted(t *testing.T) {
	child := func(pid int32, gpus ...uint32) *facts.Process {
		return holding(proc(pid, 10, spawnCommand, ""), gpus...)
	}
	parent := proc(10, 9, "python /home/ann/spawned.py", "")
	pod := func(pid int32, rank int, gpus ...uint32) *facts.Process {
		return holding(proc(pid, 9, "python t.py", fmt.Sprintf("RANK=%d WORLD_SIZE=2 MASTER_ADDR=llama-master-0 MASTER_PORT=23456", rank)), gpus...)
	}
	known := &Known{Pods: map[string]KnownPod{uidA: {Job: "kubernetes/t/PyTorchJob/llama"}, uidB: {Job: "kubernetes/t/PyTorchJob/llama"}}}
	train := func(pid int32, gpu uint32) *facts.Process {
		return holding(unread(proc(pid, 9, "ray::RayTrainWorker", ""), facts.EnvState_ENV_CLOBBERED), gpu)
	}
	raylet := proc(9, 1, "/opt/raylet --gcs-address=10.0.0.1:6379", "")
	raylet.Comm = "raylet"
	for _, tt := range []struct {
		name  string
		nodes []NodeFacts
		want  string // ranks as "RANK/LOCAL:NODE/PID", all inferred, then world, name and framework
	}{
		{"mp.spawn", []NodeFacts{on("n", parent, child(11, 0), child(12, 1), child(13, 2))}, "0/0:n/11 1/1:n/12 2/2:n/13 of 0 spawned.py multiprocessing"},
		{"the order of starts and of GPUs differ", []NodeFacts{on("n", parent, child(11, 1), child(12, 0))}, "of 0 spawned.py multiprocessing"},
		{"two children on one GPU", []NodeFacts{on("n", parent, child(11, 0), child(12, 0))}, "of 0 spawned.py multiprocessing"},
		{"a child on two GPUs", []NodeFacts{on("n", parent, child(11, 0, 1), child(12, 2))}, "of 0 spawned.py multiprocessing"},
		{"one child", []NodeFacts{on("n", parent, child(11, 0))}, "of 0 spawned.py multiprocessing"},
		{"an operator's pods with one worker each", []NodeFacts{on("a", inPod(pod(11, 0, 3), uidA)), on("b", inPod(pod(11, 1, 4), uidB))}, "0/-1:a/11 1/-1:b/11 of 2 t.py "},
		{"a pod with two workers", []NodeFacts{on("a", inPod(pod(11, 0, 3), uidA), inPod(pod(12, 0, 4), uidA)), on("b", inPod(pod(11, 1, 4), uidB))}, "of 0 t.py "},
		{"Ray Train on one node", []NodeFacts{on("n", raylet, train(13, 0), train(12, 1))}, "0/0:n/13 1/1:n/12 of 0 ray::RayTrainWorker ray"},
		{"Ray Train on two", []NodeFacts{on("n", raylet, train(13, 0)), on("m", raylet, train(12, 1))}, "of 0 raylet ray"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			jobs := AssembleWith(tt.nodes, known)
			if len(jobs) != 1 {
				t.Fatalf("%d jobs: %q", len(jobs), rows(jobs))
			}
			var s strings.Builder
			for _, r := range jobs[0].Ranks {
				if !r.Inferred {
					t.Errorf("rank %d is not said to be inferred", r.Rank)
				}
				fmt.Fprintf(&s, "%d/%d:%s/%d ", r.Rank, r.LocalRank, r.Node, r.PID)
			}
			fmt.Fprintf(&s, "of %d %s %s", jobs[0].World, jobs[0].Name, jobs[0].Framework)
			if s.String() != tt.want {
				t.Errorf("got %q, want %q", s.String(), tt.want)
			}
		})
	}
}

// What must not become one job, or one rank.
func TestToldApart(t *testing.T) {
	tf := func(pid int32, hosts string, index int) *facts.Process {
		return env(proc(pid, 9, "python t.py", ""), fmt.Sprintf(`TF_CONFIG={"cluster":{"worker":[%s]},"task":{"type":"worker","index":%d}}`, hosts, index))
	}
	jax := func(pid int32, at string, rank int) *facts.Process {
		return proc(pid, 9, "python t.py", fmt.Sprintf("JAX_COORDINATOR_ADDRESS=%s JAX_NUM_PROCESSES=2 JAX_PROCESS_ID=%d", at, rank))
	}
	hydra := func(port int) *facts.Process {
		p := proc(9, 8, fmt.Sprintf("/usr/bin/hydra_pmi_proxy --control-port node1:%d --proxy-id 0", port), "")
		p.Comm = "hydra_pmi_proxy"
		return p
	}
	pmi := func(pid int32, rank int) *facts.Process {
		return proc(pid, 9, "./a.out", fmt.Sprintf("PMI_RANK=%d PMI_SIZE=2", rank))
	}
	for _, tt := range []struct {
		name  string
		nodes []NodeFacts
		want  []int // ranks seen, by job
	}{
		{"TensorFlow: equal clusters in another order are not one", []NodeFacts{on("a", tf(10, `"x:1","y:1"`, 0)), on("b", tf(10, `"y:1","x:1"`, 0))}, []int{1, 1}},
		{"TensorFlow: two nodes, one cluster", []NodeFacts{on("a", tf(10, `"x:1","y:1"`, 0)), on("b", tf(10, `"x:1","y:1"`, 1))}, []int{2}},
		{"JAX: one port, two coordinators", []NodeFacts{on("a", jax(10, "a:1234", 0), jax(11, "b:1234", 1)), on("b", jax(10, "b:1234", 0), jax(11, "a:1234", 1))}, []int{2, 2}},
		{"JAX: a loopback on each of two nodes", []NodeFacts{on("a", jax(10, "localhost:1", 0), jax(11, "localhost:1", 1)), on("b", jax(10, "localhost:1", 0))}, []int{2, 1}},
		{"Hydra: proxies of one mpiexec", []NodeFacts{on("a", hydra(1), pmi(10, 0)), on("b", hydra(1), pmi(10, 1))}, []int{2}},
		{"Hydra: two mpiexec of one program", []NodeFacts{on("a", hydra(1), pmi(10, 0)), on("b", hydra(2), pmi(10, 0))}, []int{1, 1}},
		{"two jobs share a GPU", []NodeFacts{on("a", holding(jax(10, "a:1", 0), 3), holding(jax(11, "a:2", 0), 3))}, []int{1, 1}},
		{"two Slurm jobs on a node", []NodeFacts{on("a",
			in(proc(10, 9, "./x", "SLURM_JOB_ID=1 SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=1"), "/slurm/uid_1/job_1/step_0/task_0"),
			in(proc(11, 9, "./x", "SLURM_JOB_ID=2 SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=1"), "/slurm/uid_1/job_2/step_0/task_0"))}, []int{1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			for _, j := range Assemble(tt.nodes) {
				got = append(got, len(j.Ranks))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
