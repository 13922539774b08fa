package jobs

import (
	"strings"
	"testing"

	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// proc makes a process from "KEY=VALUE" words of environment.
func proc(pid, ppid int32, command, env string) *facts.Process {
	p := &facts.Process{Pid: pid, Ppid: ppid, StartTicks: uint64(pid) * 10, StartWallMs: int64(pid) * 1000, User: "ann", Uid: 1000, Command: command, EnvState: facts.EnvState_ENV_READ, Env: map[string]string{}}
	p.Comm, _, _ = strings.Cut(command, " ")
	for _, kv := range strings.Fields(env) {
		k, v, _ := strings.Cut(kv, "=")
		p.Env[k] = v
	}
	return p
}

func in(p *facts.Process, cgroup string) *facts.Process { p.Cgroup = cgroup; return p }

func holding(p *facts.Process, gpus ...uint32) *facts.Process {
	for _, g := range gpus {
		p.Held = append(p.Held, &facts.Held{Gpu: g})
	}
	return p
}

func unread(p *facts.Process, s facts.EnvState) *facts.Process {
	p.Env, p.EnvState = nil, s
	return p
}

const (
	torchEnv = "RANK=5 LOCAL_RANK=1 WORLD_SIZE=8 LOCAL_WORLD_SIZE=4 GROUP_RANK=1 MASTER_ADDR=gpu001 MASTER_PORT=29500 TORCHELASTIC_RUN_ID=none TORCHELASTIC_RESTART_COUNT=0"
	v2cgroup = "/system.slice/slurmstepd.scope/job_8123/step_0/user/task_0"
	podPath  = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0c5a6b0e_1f2a_4b3c_8d9e_00112233aabb.slice/cri-containerd-" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope"
)

// what one process says, in few words: role, job, rank/world, run, framework.
type said struct {
	Role            Role
	Job             string
	Rank, World     int
	Framework, Sche string
}

func TestIdentify(t *testing.T) {
	torchKey := "torchrun/" + digest("1000", "gpu001", "29500")
	for _, tt := range []struct {
		name string
		p    *facts.Process
		more []*facts.Process
		want said
	}{
		{"torchrun worker", proc(10, 9, "python train.py", torchEnv), nil, said{RoleRank, torchKey, 5, 8, "torchrun", ""}},
		{"run id wins over the master", proc(10, 9, "python train.py", torchEnv+" TORCHELASTIC_RUN_ID=exp7"), nil, said{RoleRank, "torchrun/" + digest("1000", "exp7"), 5, 8, "torchrun", ""}},
		{"loopback master stays on its node", proc(10, 9, "python train.py", torchEnv+" MASTER_ADDR=127.0.0.1"), nil, said{RoleRank, "torchrun/" + digest("1000", "", "29500"), 5, 8, "torchrun", ""}},
		{"pod-level RANK is not a process's", holding(proc(10, 1, "python train.py", "RANK=1 WORLD_SIZE=4 MASTER_ADDR=job-master-0 MASTER_PORT=23456"), 0), nil, said{RoleWorker, "process/" + digest("1000", "ann", "", "train.py"), 0, 0, "", ""}},
		{"agent with a pod-level RANK", in(proc(10, 1, "/usr/bin/python3 /usr/local/bin/torchrun --nproc-per-node 8 train.py", "RANK=1 WORLD_SIZE=4 MASTER_ADDR=job-master-0"), podPath), nil, said{RoleLauncher, "pod/0c5a6b0e-1f2a-4b3c-8d9e-00112233aabb", 0, 0, "", "kubernetes"}},
		{"torchrun in a pod: the run joins pods", in(proc(10, 9, "python train.py", torchEnv), podPath), nil, said{RoleRank, torchKey, 5, 8, "torchrun", "kubernetes"}},
		{"standalone in a pod: the pod", in(proc(10, 9, "python train.py", torchEnv+" MASTER_ADDR=localhost"), podPath), nil, said{RoleRank, "pod/0c5a6b0e-1f2a-4b3c-8d9e-00112233aabb", 5, 8, "torchrun", "kubernetes"}},
		{"srun one task a node, torchrun inside", in(proc(10, 9, "python train.py", torchEnv+" SLURM_JOB_ID=8123 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2"), v2cgroup), nil, said{RoleRank, "slurm/8123", 5, 8, "torchrun", "slurm"}},
		{"the agent under srun is no rank", in(proc(9, 8, "python -m torch.distributed.run train.py", "SLURM_JOB_ID=8123 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2"), v2cgroup), nil, said{RoleLauncher, "slurm/8123", 0, 2, "srun", "slurm"}},
		{"srun task", in(proc(9, 8, "python train.py", "SLURM_JOB_ID=8123 SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_LOCALID=3 SLURM_NTASKS=16"), v2cgroup), nil, said{RoleRank, "slurm/8123", 3, 16, "srun", "slurm"}},
		{"a batch script's program is no rank", holding(in(proc(9, 8, "python train.py", "SLURM_JOB_ID=8123 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NTASKS=16"), "/system.slice/slurmstepd.scope/job_8123/step_batch/user/task_0"), 0), nil, said{RoleWorker, "slurm/8123", 0, 0, "", "slurm"}},
		{"cgroup before environment", in(proc(9, 8, "python x.py", "SLURM_JOB_ID=999"), v2cgroup), nil, said{RoleHelper, "slurm/8123", 0, 0, "", "slurm"}},
		{"cgroup v1, foreign user", holding(in(unread(proc(9, 8, "python x.py", ""), facts.EnvState_ENV_DENIED), "/slurm_gpu01/uid_1001/job_77/step_extern/task_0"), 2), nil, said{RoleWorker, "slurm/77", 0, 0, "", "slurm"}},
		{"private cgroup namespace", in(unread(proc(9, 8, "python x.py", ""), facts.EnvState_ENV_DENIED), "/../../gpu01_slurmstepd.scope/job_77/step_3/user/task_0"), nil, said{RoleHelper, "slurm/77", 0, 0, "", "slurm"}},
		{"SLUID alone", in(unread(proc(9, 8, "python x.py", ""), facts.EnvState_ENV_DENIED), "/system.slice/slurmstepd.scope/sEKNKTV3WPV500/step_0/user/task_0"), nil, said{RoleHelper, "slurm/sEKNKTV3WPV500", 0, 0, "", "slurm"}},
		{"a shell is no rank", in(proc(9, 8, "bash run.sh", "SLURM_JOB_ID=8123 SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_NTASKS=16"), v2cgroup), nil, said{RoleHelper, "slurm/8123", 3, 16, "srun", "slurm"}},
		{"mpirun", proc(9, 8, "./a.out", "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=0 PMIX_NAMESPACE=prterun-a-1@1"), nil, said{RoleRank, "mpi/" + digest("1000", "prterun-a-1@1"), 2, 4, "mpi", ""}},
		{"deepspeed", proc(9, 8, "python train.py", "RANK=2 LOCAL_RANK=2 WORLD_SIZE=4 CROSS_RANK=0 CROSS_SIZE=1 LOCAL_SIZE=4 MASTER_ADDR=gpu001 MASTER_PORT=29500"), nil, said{RoleRank, torchKey, 2, 4, "deepspeed", ""}},
		{"setproctitle: the parent's job", unread(proc(11, 10, "trainer: step 3", ""), facts.EnvState_ENV_CLOBBERED), []*facts.Process{proc(10, 1, "python train.py", torchEnv)}, said{RoleHelper, torchKey, 0, 0, "torchrun", ""}},
		{"cleaned environment: the grandparent's job", holding(proc(12, 11, "python x.py", ""), 1), []*facts.Process{proc(11, 10, "bash x", ""), proc(10, 1, "python train.py", torchEnv)}, said{RoleWorker, torchKey, 0, 0, "torchrun", ""}},
		{"a ring of parents", holding(proc(12, 11, "python x.py", ""), 1), []*facts.Process{proc(11, 12, "bash x", "")}, said{RoleWorker, "process/" + digest("1000", "ann", "", "x.py"), 0, 0, "", ""}},
		{"absurd world", proc(10, 9, "python train.py", torchEnv+" WORLD_SIZE=2147483648"), nil, said{RoleRank, torchKey, 5, 0, "torchrun", ""}},
		{"negative rank", proc(10, 9, "python train.py", torchEnv+" RANK=-1"), nil, said{RoleNone, "", 0, 0, "", ""}},
		{"rank beyond the world", holding(proc(10, 9, "python train.py", torchEnv+" RANK=8"), 3), nil, said{RoleWorker, torchKey, 0, 8, "torchrun", ""}},
		{"nothing at all", proc(10, 9, "vi", ""), nil, said{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := append(tt.more, tt.p)
			id := IdentifyAll(all)[len(all)-1]
			c := id.said
			got := said{id.role, c.job, int(id.rank), c.world, c.framework, c.scheduler}
			if tt.want.Role != RoleRank { // who is no rank has no number that counts
				got.Rank, tt.want.Rank = 0, 0
				got.World, tt.want.World = 0, 0
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestPodUID(t *testing.T) {
	const uid = "0c5a6b0e-1f2a-4b3c-8d9e-00112233aabb"
	for path, want := range map[string]string{
		podPath:                                  uid,
		"/kubepods/burstable/pod" + uid + "/abc": uid,
		"/kubepods.slice/kubepods-pod0c5a6b0e_1f2a_4b3c_8d9e_00112233aabb.slice/crio-1.scope":                                               uid,
		"/system.slice/containerd.service/kubepods-burstable-pod0c5a6b0e_1f2a_4b3c_8d9e_00112233aabb.slice:cri-containerd:0123456789abcdef": uid,
		"/kubepods/pod0123456789abcdef0123456789abcdef/x":                                                                                   "0123456789abcdef0123456789abcdef",
		"/user.slice/user-1000.slice/podman-1.scope":                                                                                        "",
		"/kubepods/podabc": "",
		"/kubepods/pod-------------------------------------": "",
		"": "",
	} {
		if got := podUID(path); got != want {
			t.Errorf("podUID(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestProgram(t *testing.T) {
	for command, want := range map[string]string{
		"python -u /x/train.py --lr 3":         "train.py",
		"/usr/bin/python3.11 -m torch.foo --x": "torch.foo",
		"python -c import":                     "python -c",
		"./a.out 3":                            "a.out",
		"ray::train":                           "ray::train",
		"":                                     "comm",
		"python":                               "python",
		"bash /home/ann/run.sh":                "run.sh",
		"/opt/conda/bin/python -W ignore train.py": "train.py",
	} {
		if got := program(&facts.Process{Command: command, Comm: "comm"}); got != want {
			t.Errorf("program(%q) = %q, want %q", command, got, want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.1.2.3": true, "::1": true, "[::1]": true, "0.0.0.0": true,
		"": false, "127.example.org": false, "gpu001": false, "10.0.0.1": false, "fe80::1": false, "localhost.example.org": false,
	} {
		if got := isLoopback(addr); got != want {
			t.Errorf("isLoopback(%q) = %t", addr, got)
		}
	}
}
