package telemetry

// EnvKeys are the only environment variables of a process that ever leave its node: those that say which job and which rank it is, and how the ranks are laid
// out. None of them carries a secret. Sources: the launchers' documentation and code, named beside each group.
var EnvKeys = []string{
	// torchrun and torch elastic (torch/distributed/elastic/agent/server/local_elastic_agent.py)
	"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_NAME",
	"MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS",
	// Slurm (src/common/env.c, src/slurmd/slurmstepd/task.c)
	"SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_JOB_USER", "SLURM_JOB_ACCOUNT", "SLURM_JOB_PARTITION", "SLURM_CLUSTER_NAME",
	"SLURM_JOB_NUM_NODES", "SLURM_JOB_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID",
	"SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID",
	"SLURM_HET_SIZE", "SLURM_RESTART_COUNT", "SLURM_JOB_START_TIME", "SLURM_JOB_END_TIME", "SLURMD_NODENAME",
	"SLURM_STEP_NODELIST",
	// which devices the process sees
	"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "TPU_VISIBLE_CHIPS",
	// where an elastic agent's own settings come from, and what Kubeflow's Trainer gives a pod
	"PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT", "PET_RDZV_ID", "PET_RDZV_ENDPOINT",
	// Open MPI, PMI and PMIx
	"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "PMIX_NAMESPACE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE",
	"OMPI_COMM_WORLD_LOCAL_SIZE",
	// Hydra and Intel MPI, MVAPICH2, HPE's PALS, IBM's JSM
	"MPI_LOCALRANKID", "MPI_LOCALNRANKS", "PMI_LOCAL_RANK", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE",
	"PALS_RANKID", "PALS_LOCAL_RANKID", "PALS_APID", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_RANK",
	// DeepSpeed (deepspeed/launcher/launch.py)
	"CROSS_RANK", "CROSS_SIZE", "LOCAL_SIZE", "ELASTIC_RUN_ID",
	// TensorFlow (tensorflow/python/distribute/cluster_resolver/tfconfig_cluster_resolver.py)
	"TF_CONFIG",
	// JAX (jax/_src/distributed.py); JAX_PROCESS_ID and JAX_NUM_PROCESSES are what Kubeflow's Trainer and people give a script
	"JAX_COORDINATOR_ADDRESS", "JAX_COORDINATOR_PORT", "JAX_PROCESS_ID", "JAX_NUM_PROCESSES", "JAX_LOCAL_DEVICE_IDS",
	// Cloud TPU (jax/_src/clusters/cloud_tpu_cluster.py)
	"TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES", "CLOUD_TPU_TASK_ID", "MEGASCALE_COORDINATOR_ADDRESS", "MEGASCALE_NUM_SLICES", "MEGASCALE_SLICE_ID",
	// Ray (src/ray/raylet/worker_pool.cc) and KubeRay
	"RAY_JOB_ID", "RAY_RAYLET_PID", "RAY_CLUSTER_NAME", "RAY_ADDRESS",
	// accelerate (accelerate/utils/launch.py)
	"ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_DEEPSPEED_ZERO_STAGE", "ACCELERATE_USE_MEGATRON_LM",
	"MEGATRON_LM_TP_DEGREE", "MEGATRON_LM_PP_DEGREE", "MEGATRON_LM_CONTEXT_PARALLEL_SIZE", "MEGATRON_LM_EXPERT_MODEL_PARALLEL_SIZE",
	"ACCELERATE_USE_PARALLELISM_CONFIG", "PARALLELISM_CONFIG_DP_REPLICATE_SIZE", "PARALLELISM_CONFIG_DP_SHARD_SIZE", "PARALLELISM_CONFIG_TP_SIZE",
	"PARALLELISM_CONFIG_CP_SIZE", "PARALLELISM_CONFIG_SP_SIZE",
	"MEGATRON_LM_EXPERT_TENSOR_PARALLEL_SIZE", "FSDP_SHARDING_STRATEGY", "FSDP_VERSION",
	// Kubernetes: an indexed Job, LeaderWorkerSet, Volcano's env plugin
	"JOB_COMPLETION_INDEX", "LWS_LEADER_ADDRESS", "LWS_GROUP_SIZE", "LWS_WORKER_INDEX", "VC_TASK_INDEX",
	// NCCL's RAS: where it listens, and whether it does
	"NCCL_RAS_ADDR", "NCCL_RAS_ENABLE",
	// PBS, LSF, Flux (flux-environment(7))
	"PBS_JOBID", "PBS_JOBNAME", "PBS_QUEUE", "LSB_JOBID", "LSB_JOBINDEX", "LSB_JOBNAME", "LSB_QUEUE", "LSB_MCPU_HOSTS",
	"FLUX_JOB_ID", "FLUX_JOB_SIZE", "FLUX_JOB_NNODES", "FLUX_TASK_RANK", "FLUX_TASK_LOCAL_ID",
}

// Bounds of one environment variable's value, in bytes.
const (
	MaxEnvValueBytes = 4 << 10 // of any: what may travel
	usualValueBytes  = 1 << 10
)

// EnvValueBytes bounds the value of an environment variable: those that list every host of a job may be longer than the others.
func EnvValueBytes(key string) int {
	switch key {
	case "TF_CONFIG", "SLURM_JOB_NODELIST", "SLURM_STEP_NODELIST", "TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES", "LSB_MCPU_HOSTS":
		return MaxEnvValueBytes
	}
	return usualValueBytes
}
