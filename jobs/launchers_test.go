package jobs

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// env makes an environment of "KEY=VALUE" lines, for values with blanks.
func env(p *facts.Process, lines ...string) *facts.Process {
	for _, l := range lines {
		k, v, _ := strings.Cut(l, "=")
		p.Env[k] = v
	}
	return p
}

// what a launcher's process says, in full: role, job, rank/local/world, run and node, words.
type heard struct {
	Role               Role
	Job                string
	Here               bool // the job cannot reach beyond the node
	Rank, Local, World int
	Framework, ID      string
	Task               string
}

const noNumber = -9

// TestLaunchers holds each launcher's environment and command line as that version of it makes them, and what is to be made of them.
func TestLaunchers(t *testing.T) {
	const u = "1000"
	spaces := func(p *facts.Process, comm string) *facts.Process { p.Comm = comm; return p }
	world := base64.URLEncoding.EncodeToString([]byte(`{"gpu001": [0, 1, 2, 3], "gpu002": [0, 1, 2, 3]}`))
	tf := func(role string, index int) string {
		return fmt.Sprintf(`TF_CONFIG={"cluster": {"worker": ["w0.ns.svc:2222", "w1.ns.svc:2222"], "chief": ["c0.ns.svc:2222"], "ps": ["p0.ns.svc:2222"]}, "task": {"type": %q, "index": %d}, "environment": "cloud"}`, role, index)
	}
	tfKey := "tensorflow/" + digest(u, "chief", "c0.ns.svc:2222", "ps", "p0.ns.svc:2222", "worker", "w0.ns.svc:2222", "w1.ns.svc:2222")
	for _, tt := range []struct {
		name, source string
		p            *facts.Process
		more         []*facts.Process
		want         heard
	}{
		{"torchrun 1.13 and 2.x: worker", "torch/distributed/elastic/agent/server/local_elastic_agent.py",
			proc(10, 9, "/usr/bin/python3 -u train.py", "LOCAL_RANK=1 RANK=5 GROUP_RANK=1 ROLE_RANK=5 ROLE_NAME=default LOCAL_WORLD_SIZE=4 WORLD_SIZE=8 GROUP_WORLD_SIZE=2 ROLE_WORLD_SIZE=8 MASTER_ADDR=gpu001 MASTER_PORT=29400 TORCHELASTIC_RESTART_COUNT=0 TORCHELASTIC_MAX_RESTARTS=3 TORCHELASTIC_RUN_ID=exp7"), nil,
			heard{RoleRank, "torchrun/" + digest(u, "exp7"), false, 5, 1, 8, "torchrun", "exp7", ""}},
		{"torch.distributed.launch 1.8: no elastic words", "torch/distributed/launch.py of 1.8",
			proc(10, 9, "/usr/bin/python3 -u train.py --local_rank=1", "MASTER_ADDR=10.0.0.1 MASTER_PORT=29500 WORLD_SIZE=8 RANK=5 LOCAL_RANK=1"), nil,
			heard{RoleRank, "torchrun/" + digest(u, "10.0.0.1", "29500"), false, 5, 1, 8, "torch", "10.0.0.1:29500", ""}},
		{"torchrun's agent, fixed master", "torch/distributed/run.py",
			proc(9, 8, "/usr/bin/python3 /usr/local/bin/torchrun --nnodes=2 --nproc_per_node 4 --node-rank 1 --master_addr gpu001 --master_port 29511 train.py --nnodes 7", ""), nil,
			heard{RoleLauncher, "torchrun/" + digest(u, "gpu001", "29511"), false, noNumber, 0, 0, "torchrun", "gpu001:29511", ""}},
		{"torchrun's agent, c10d rendezvous with an id", "torch/distributed/run.py",
			proc(9, 8, "/usr/bin/python3 -m torch.distributed.run --nnodes 1:4 --rdzv-backend=c10d --rdzv-endpoint=gpu001:29400 --rdzv-id exp7 train.py", ""), nil,
			heard{RoleLauncher, "torchrun/" + digest(u, "exp7"), false, noNumber, 0, 0, "torchrun", "exp7", ""}},
		{"torchrun's agent of a copied id on its own node: nothing shared", "torch/distributed/run.py",
			proc(9, 8, "/usr/bin/python3 -m torch.distributed.run --rdzv-backend=c10d --rdzv-endpoint=localhost:29400 --rdzv-id exp7 train.py", ""), nil,
			heard{RoleLauncher, "", false, noNumber, 0, 0, "", "", ""}},
		{"Kubeflow Trainer v2's agent: PET_*", "kubeflow/trainer pkg/runtime/framework/plugins/torch",
			in(proc(9, 8, "/usr/bin/python3 /opt/conda/bin/torchrun /workspace/train.py", "PET_NNODES=2 PET_NPROC_PER_NODE=4 PET_NODE_RANK=1 PET_MASTER_ADDR=llama-node-0-0.llama PET_MASTER_PORT=29500"), podPath), nil,
			heard{RoleLauncher, "torchrun/" + digest(u, "llama-node-0-0.llama", "29500"), false, noNumber, 0, 0, "torchrun", "llama-node-0-0.llama:29500", ""}},
		{"PyTorchJob's agent with the pod's RANK", "kubeflow/training-operator v1 pkg/controller.v1/pytorch/envvar.go",
			in(proc(9, 8, "/usr/bin/python3 /opt/conda/bin/torchrun --nproc_per_node=8 train.py", "RANK=1 WORLD_SIZE=2 MASTER_ADDR=llama-master-0 MASTER_PORT=23456 PET_RDZV_ENDPOINT=llama-worker-0:23456 PET_NNODES=1:4"), podPath), nil,
			heard{RoleLauncher, "pod/0c5a6b0e-1f2a-4b3c-8d9e-00112233aabb", false, noNumber, 0, 0, "", "0c5a6b0e", ""}},
		{"accelerate 0.2x to 1.x: torchrun's words and its own", "accelerate/utils/launch.py",
			proc(10, 9, "/usr/bin/python3 train.py", torchEnv+" ACCELERATE_MIXED_PRECISION=bf16 ACCELERATE_USE_FSDP=true"), nil,
			heard{RoleRank, "torchrun/" + digest(u, "gpu001", "29500"), false, 5, 1, 8, "accelerate", "gpu001:29500", ""}},
		{"DeepSpeed's launcher on a node", "deepspeed/launcher/launch.py, runner.py 0.9 to 0.17",
			proc(9, 8, "/usr/bin/python3 -u -m deepspeed.launcher.launch --world_info="+world+" --node_rank=1 --master_addr=gpu001 --master_port=29500 train.py --deepspeed ds.json", ""), nil,
			heard{RoleLauncher, "torchrun/" + digest(u, "gpu001", "29500"), false, noNumber, 0, 0, "deepspeed", "gpu001:29500", ""}},
		{"Open MPI 4.1: numeric namespace", "mpirun env, Debian 12's 4.1.4",
			proc(10, 9, "./a.out", "OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_SIZE=2 OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_NODE_RANK=1 PMIX_NAMESPACE=3172335617 PMIX_RANK=3"), nil,
			heard{RoleRank, "mpi/" + digest(u, "3172335617"), false, 3, 1, 4, "mpi", "3172335617", ""}},
		{"Open MPI 5: PRRTE's namespace", "docs.open-mpi.org v5.0",
			proc(10, 9, "./a.out", "OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_LOCAL_RANK=1 PMIX_NAMESPACE=prterun-node1-4242@1 PMIX_RANK=3"), nil,
			heard{RoleRank, "mpi/" + digest(u, "prterun-node1-4242@1"), false, 3, 1, 4, "mpi", "prterun-node1-4242@1", ""}},
		{"MPICH 4 under Hydra, its proxy seen", "mpiexec.hydra env, Debian 12's 4.0.2",
			proc(10, 9, "./a.out", "PMI_RANK=3 PMI_SIZE=4 PMI_FD=9 MPI_LOCALNRANKS=2 MPI_LOCALRANKID=1"),
			[]*facts.Process{spaces(proc(9, 8, "/usr/bin/hydra_pmi_proxy --control-port node1:41513 --rmk user --launcher ssh --demux poll --pgid 0 --retries 10 --usize -2 --proxy-id 0", ""), "hydra_pmi_proxy")},
			heard{RoleRank, "mpi/" + digest(u, "node1:41513"), false, 3, 1, 4, "mpi", "node1:41513", ""}},
		{"Intel MPI 2021: PMI_RANK beside MPI_LOCALRANKID, no proxy seen", "Intel MPI developer reference",
			proc(10, 9, "./a.out", "PMI_RANK=3 PMI_SIZE=4 MPI_LOCALNRANKS=2 MPI_LOCALRANKID=1 I_MPI_INFO_NP=4"), nil,
			heard{RoleRank, "mpi/" + digest(u, "a.out"), true, 3, 1, 4, "mpi", "", ""}},
		{"MVAPICH2's mpirun_rsh", "MVAPICH2 2.3 user guide",
			proc(10, 9, "./a.out", "MV2_COMM_WORLD_SIZE=4 MV2_COMM_WORLD_RANK=3 MV2_COMM_WORLD_LOCAL_RANK=1 MV2_COMM_WORLD_LOCAL_SIZE=2"), nil,
			heard{RoleRank, "mpi/" + digest(u, "a.out"), true, 3, 1, 4, "mpi", "", ""}},
		{"HPE's PALS under PBS", "PALS mpiexec(1)",
			proc(10, 9, "./a.out", "PALS_APID=0d3e8f9a-1111 PALS_RANKID=3 PALS_LOCAL_RANKID=1 PMI_RANK=3 PMI_SIZE=4 PBS_JOBID=1234.polaris-pbs-01.hsn.example PBS_JOBNAME=llama PBS_QUEUE=prod"), nil,
			heard{RoleRank, "pbs/1234.polaris-pbs-01.hsn.example", false, 3, 1, 4, "mpi", "1234", ""}},
		{"jsrun under LSF", "IBM Job Step Manager",
			proc(10, 9, "./a.out", "LSB_JOBID=77 LSB_JOBINDEX=0 LSB_QUEUE=batch JSM_NAMESPACE_RANK=3 JSM_NAMESPACE_SIZE=4 JSM_NAMESPACE_LOCAL_RANK=1 PMIX_RANK=3 OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1"), nil,
			heard{RoleRank, "lsf/77", false, 3, 1, 4, "mpi", "77", ""}},
		{"LSF: a task of an array", "LSF, environment variables set for job execution",
			holding(env(proc(10, 9, "python x.py", "LSB_JOBID=77 LSB_JOBINDEX=4"), "LSB_JOBNAME=sweep[1-8]"), 0), nil,
			heard{RoleWorker, "lsf/77[4]", false, noNumber, 0, 0, "", "77[4]", ""}},
		{"PBS: a task of an array", "qsub(1B) of OpenPBS 23",
			holding(proc(10, 9, "python x.py", "PBS_JOBID=1234[7].pbs01 PBS_ARRAY_INDEX=7"), 0), nil,
			heard{RoleWorker, "pbs/1234[7].pbs01", false, noNumber, 0, 0, "", "1234[7]", ""}},
		{"Flux's task, with PMI", "flux-environment(7)",
			proc(10, 9, "./a.out", "FLUX_JOB_ID=ƒ2uAKcQ8s9 FLUX_JOB_SIZE=4 FLUX_JOB_NNODES=2 FLUX_TASK_RANK=3 FLUX_TASK_LOCAL_ID=1 PMI_RANK=3 PMI_SIZE=4 PMI_FD=20"), nil,
			heard{RoleRank, "flux/ƒ2uAKcQ8s9", false, 3, 1, 4, "mpi", "ƒ2uAKcQ8s9", ""}},
		{"srun --mpi=pmi2: the step's tasks", "Slurm src/plugins/mpi/pmi2",
			in(proc(10, 9, "./a.out", "SLURM_JOB_ID=8123 SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_LOCALID=1 SLURM_STEP_NUM_TASKS=4 PMI_RANK=3 PMI_SIZE=4 PMI_FD=12"), v2cgroup), nil,
			heard{RoleRank, "slurm/8123", false, 3, 1, 4, "mpi", "8123", ""}},
		{"srun --mpi=pmix", "Slurm src/plugins/mpi/pmix",
			in(proc(10, 9, "./a.out", "SLURM_JOB_ID=8123 SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_LOCALID=1 SLURM_STEP_NUM_TASKS=4 PMIX_RANK=3 PMIX_NAMESPACE=slurm.pmix.8123.0"), v2cgroup), nil,
			heard{RoleRank, "slurm/8123", false, 3, 1, 4, "mpi", "8123", ""}},
		{"Slurm: a heterogeneous job's second part", "src/slurmd/slurmstepd/task.c, env.c",
			in(proc(10, 9, "./a.out", "SLURM_JOB_ID=8123 SLURM_HET_SIZE=2 SLURM_STEP_ID=0 SLURM_PROCID=5 SLURM_LOCALID=1 SLURM_NTASKS=4"), "/system.slice/slurmstepd.scope/job_8124/step_0/user/task_1"), nil,
			heard{RoleRank, "slurm/8123", false, 5, 1, 0, "srun", "8123", ""}},
		{"Slurm: another job's id in the environment is no part", "src/common/env.c",
			in(proc(10, 9, "./a.out", "SLURM_JOB_ID=8123 SLURM_HET_SIZE=2 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=4"), "/system.slice/slurmstepd.scope/job_8125/step_0/user/task_1"), nil,
			heard{RoleRank, "slurm/8125", false, 1, -1, 4, "srun", "8125", ""}},
		{"Slurm: a task of an array, requeued", "sbatch(1)",
			in(proc(10, 9, "python x.py", "SLURM_JOB_ID=8123 SLURM_ARRAY_JOB_ID=8120 SLURM_ARRAY_TASK_ID=4 SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_RESTART_COUNT=2"), v2cgroup), nil,
			heard{RoleRank, "slurm/8123", false, 0, -1, 1, "srun", "8120_4", ""}},
		{"TensorFlow: the chief", "tfconfig_cluster_resolver.py; kubeflow TFJob's tf_config", env(proc(10, 9, "python t.py", ""), tf("chief", 0)), nil,
			heard{RoleRank, tfKey, false, 0, -1, 3, "tensorflow", "c0.ns.svc:2222", "chief 0"}},
		{"TensorFlow: a worker", "tfconfig_cluster_resolver.py", env(proc(10, 9, "python t.py", ""), tf("worker", 1)), nil,
			heard{RoleRank, tfKey, false, 2, -1, 3, "tensorflow", "c0.ns.svc:2222", "worker 1"}},
		{"TensorFlow: a parameter server", "tfconfig_cluster_resolver.py", env(proc(10, 9, "python t.py", ""), tf("ps", 0)), nil,
			heard{RoleServer, tfKey, false, noNumber, 0, 0, "tensorflow", "c0.ns.svc:2222", "ps 0"}},
		{"TensorFlow: the evaluator, in no cluster", "tfconfig_cluster_resolver.py", holding(env(proc(10, 9, "python t.py", ""), tf("evaluator", 0)), 0), nil,
			heard{RoleServer, tfKey, false, noNumber, 0, 0, "tensorflow", "c0.ns.svc:2222", "evaluator 0"}},
		{"TensorFlow: on one machine", "tensorflow.org, multi-worker training with Keras",
			env(proc(10, 9, "python t.py", ""), `TF_CONFIG={"cluster": {"worker": ["localhost:12345", "localhost:23456"]}, "task": {"type": "worker", "index": 1}}`), nil,
			heard{RoleRank, "tensorflow/" + digest(u, "worker", "localhost:12345", "localhost:23456"), true, 1, -1, 2, "tensorflow", "localhost:12345", "worker 1"}},
		{"TensorFlow: an index beyond the cluster", "tfconfig_cluster_resolver.py", holding(env(proc(10, 9, "python t.py", ""), tf("worker", 9)), 0), nil,
			heard{RoleWorker, tfKey, false, noNumber, 0, 0, "tensorflow", "c0.ns.svc:2222", "worker 9"}},
		{"JAX: Kubeflow Trainer's words", "kubeflow/trainer plugins/jax",
			proc(10, 9, "python t.py", "JAX_COORDINATOR_ADDRESS=llama-node-0-0.llama:6666 JAX_NUM_PROCESSES=4 JAX_PROCESS_ID=3"), nil,
			heard{RoleRank, "jax/" + digest(u, "llama-node-0-0.llama:6666"), false, 3, -1, 4, "jax", "llama-node-0-0.llama:6666", ""}},
		{"JAX: an indexed Job", "jax/_src/clusters/k8s_cluster.py",
			in(proc(10, 9, "python t.py", "JAX_COORDINATOR_ADDRESS=10.1.2.3 JAX_COORDINATOR_PORT=55527 JOB_COMPLETION_INDEX=2"), podPath), nil,
			heard{RoleRank, "jax/" + digest(u, "10.1.2.3:55527"), false, 2, -1, 0, "jax", "10.1.2.3:55527", ""}},
		{"JAX: by hand on one machine", "jax/_src/distributed.py",
			proc(10, 9, "python t.py", "JAX_COORDINATOR_ADDRESS=localhost:1234 JAX_NUM_PROCESSES=2 JAX_PROCESS_ID=1"), nil,
			heard{RoleRank, "jax/" + digest(u, "localhost:1234"), true, 1, -1, 2, "jax", "localhost:1234", ""}},
		{"JAX under Slurm: Slurm's numbers", "jax/_src/clusters/slurm_cluster.py",
			in(proc(10, 9, "python t.py", "SLURM_JOB_ID=8123 SLURM_STEP_ID=0 SLURM_STEP_NODELIST=gpu[001-002] SLURM_NTASKS=8 SLURM_PROCID=5 SLURM_LOCALID=1"), v2cgroup), nil,
			heard{RoleRank, "slurm/8123", false, 5, 1, 8, "srun", "8123", ""}},
		{"Cloud TPU: a slice of four hosts", "jax/_src/clusters/cloud_tpu_cluster.py",
			proc(10, 9, "python t.py", "TPU_WORKER_ID=2 TPU_WORKER_HOSTNAMES=t-w0,t-w1,t-w2,t-w3"), nil,
			heard{RoleRank, "tpu/" + digest(u, "t-w0", "t-w1", "t-w2", "t-w3"), false, 2, -1, 4, "tpu", "t-w0", ""}},
		{"Cloud TPU: two slices", "jax/_src/clusters/cloud_tpu_cluster.py",
			proc(10, 9, "python t.py", "TPU_WORKER_ID=1 TPU_WORKER_HOSTNAMES=t1-w0,t1-w1 MEGASCALE_COORDINATOR_ADDRESS=t0-w0:8081 MEGASCALE_NUM_SLICES=2 MEGASCALE_SLICE_ID=1"), nil,
			heard{RoleRank, "tpu/" + digest(u, "megascale", "t0-w0:8081"), false, 3, -1, 4, "tpu", "t0-w0:8081", ""}},
		{"Ray 2.x: a worker with its title, under its raylet", "src/ray/raylet/worker_pool.cc, python/ray/_private/workers/default_worker.py",
			holding(unread(spaces(proc(10, 9, "ray::RayTrainWorker.run", ""), "ray::RayTrainWo"), facts.EnvState_ENV_CLOBBERED), 0),
			[]*facts.Process{spaces(proc(9, 1, "/opt/ray/core/src/ray/raylet/raylet --raylet_socket_name=/tmp/ray/s/raylet --node_manager_port=0 --gcs-address=10.0.0.1:6379 --session-name=session_2026", ""), "raylet")},
			heard{RoleWorker, "ray/" + digest(u, "10.0.0.1:6379"), false, noNumber, 0, 0, "ray", "10.0.0.1:6379", "RayTrainWorker"}},
		{"Ray 2.60: an actor under srun has its raylet's numbers, not its own", "ray start under Slurm, Ray 2.60.0",
			holding(in(spaces(proc(10, 9, "ray::Actor.run", "RAY_RAYLET_PID=9 RAY_JOB_ID=ffffffff SLURM_JOB_ID=8123 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2"), "ray::Actor"), v2cgroup), 0), nil,
			heard{RoleWorker, "slurm/8123", false, noNumber, 0, 0, "ray", "8123", "Actor"}},
		{"Ray: an actor whose program gave it a rank", "verl single_controller/ray/base.py: runtime_env with RANK and WORLD_SIZE",
			holding(spaces(proc(10, 9, "ray::WorkerDict", "RAY_RAYLET_PID=9 RANK=3 WORLD_SIZE=8 MASTER_ADDR=10.0.0.1 MASTER_PORT=41000"), "ray::WorkerDict"), 3),
			[]*facts.Process{spaces(proc(9, 1, "/opt/raylet --gcs-address=10.0.0.1:6379", ""), "raylet")},
			heard{RoleRank, "torchrun/" + digest(u, "10.0.0.1", "41000"), false, 3, -1, 8, "torch", "10.0.0.1:41000", "WorkerDict"}},
		{"Ray 2.x: a worker before its title", "src/ray/raylet/worker_pool.cc",
			holding(proc(10, 9, "/usr/bin/python3 /opt/ray/_private/workers/default_worker.py --node-ip-address=10.0.0.2 --node-manager-port=4 --gcs-address=10.0.0.1:6379 --session-name=s", "RAY_JOB_ID=01000000 RAY_RAYLET_PID=9"), 0), nil,
			heard{RoleWorker, "ray/" + digest(u, "10.0.0.1:6379"), false, noNumber, 0, 0, "ray", "10.0.0.1:6379", ""}},
		{"KubeRay's raylet: the cluster's name", "ray-project/kuberay ray-operator/controllers/ray/common/pod.go",
			in(spaces(proc(9, 1, "/home/ray/anaconda3/lib/python3.10/site-packages/ray/core/src/ray/raylet/raylet --gcs-address=llama-head-svc.team.svc.cluster.local:6379", "RAY_CLUSTER_NAME=llama RAY_ADDRESS=llama-head-svc.team.svc.cluster.local:6379"), "raylet"), podPath), nil,
			heard{RoleLauncher, "ray/" + digest(u, "cluster", "llama"), false, noNumber, 0, 0, "ray", "llama", ""}},
		{"multiprocessing: a spawned child with a GPU", "CPython 3.8 to 3.13 Lib/multiprocessing/spawn.py",
			holding(proc(11, 10, "/usr/bin/python3 -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7) --multiprocessing-fork", ""), 0), nil,
			heard{RoleWorker, "spawn/" + digest(u, "", "10"), true, noNumber, 0, 0, "multiprocessing", "", ""}},
		{"multiprocessing: a loader that a rank spawned belongs to the rank", "torch/utils/data/dataloader.py",
			holding(proc(11, 10, "/usr/bin/python3 -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7) --multiprocessing-fork", ""), 0),
			[]*facts.Process{proc(10, 9, "python train.py", torchEnv)},
			heard{RoleWorker, "torchrun/" + digest(u, "gpu001", "29500"), false, noNumber, 0, 0, "torchrun", "gpu001:29500", ""}},
		{"LeaderWorkerSet: a group", "kubernetes-sigs/lws pkg/utils/pod",
			holding(in(proc(10, 9, "python -m vllm.entrypoints", "LWS_LEADER_ADDRESS=vllm-0.vllm.team LWS_GROUP_SIZE=2 LWS_WORKER_INDEX=1"), podPath), 0), nil,
			heard{RoleWorker, "lws/" + digest("vllm-0.vllm.team"), false, noNumber, 0, 0, "", "vllm-0", "pod 1"}},
		{"HyperPod on EKS: an operator's pod", "sagemaker.amazonaws.com/v1 HyperPodPyTorchJob: PyTorchJob's words",
			in(proc(10, 9, "python train.py", torchEnv+" MASTER_ADDR=hp-pod-0.hp"), podPath), nil,
			heard{RoleRank, "torchrun/" + digest(u, "hp-pod-0.hp", "29500"), false, 5, 1, 8, "torchrun", "hp-pod-0.hp:29500", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := append(tt.more, tt.p)
			id := IdentifyAll(all)[len(all)-1]
			c := id.said
			got := heard{id.role, c.job, c.nodeLocal, int(id.rank), int(id.local), c.world, c.framework, c.id, c.task}
			if tt.want.Rank == noNumber {
				if id.role == RoleRank {
					t.Errorf("it is rank %d", id.rank)
				}
				got.Rank, got.Local, got.World = noNumber, 0, 0
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("%s\n-want +got:\n%s", tt.source, d)
			}
		})
	}
}

// What a launcher says of hosts and ranks, though no rank is seen.
func TestExpectations(t *testing.T) {
	world := base64.URLEncoding.EncodeToString([]byte(`{"gpu001": [0, 1, 2, 3], "gpu002": [0, 1]}`))
	for _, tt := range []struct {
		command string
		expect  int
		hosts   string
		hostsN  int
	}{
		{"torchrun --nnodes=2 --nproc-per-node=8 --rdzv-backend c10d --rdzv-endpoint a:1 --rdzv-id x t.py", 16, "", 2},
		{"torchrun --nnodes=2:2 --nproc_per_node=8 t.py", 16, "", 2},
		{"torchrun --nnodes=1:4 --nproc-per-node=8 t.py", 0, "", 0},
		{"torchrun --nnodes=2 --nproc-per-node=gpu t.py", 0, "", 2},
		{"torchrun --nnodes=1048576 --nproc-per-node=1048576 t.py", 0, "", 1048576},
		{"python -m deepspeed.launcher.launch --world_info=" + world + " --node_rank 0 t.py", 6, "gpu001,gpu002", 2},
		{"python -m deepspeed.launcher.launch --world_info=" + world[:40] + " --node_rank 0 t.py", 0, "gpu001", 1},
		{"python -m deepspeed.launcher.launch --world_info=!!! t.py", 0, "", 0},
	} {
		v := viewOf(proc(1, 0, tt.command, ""))
		c := claims(&v)
		if c.expect != tt.expect || c.hosts != tt.hosts || c.hostsN != tt.hostsN {
			t.Errorf("%s: %d ranks on %q (%d)", tt.command, c.expect, c.hosts, c.hostsN)
		}
	}
}
