package telemetry

// EnvKeys are the only environment variables of a process that ever leave its node: those that say which job and which rank it is.
// None of them carries a secret. Sources: the launchers' documentation and code, named beside each group.
var EnvKeys = []string{
	// torchrun and torch elastic (torch/distributed/elastic/agent/server/local_elastic_agent.py)
	"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_NAME",
	"MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS",
	// Slurm (src/common/env.c)
	"SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_JOB_USER", "SLURM_JOB_ACCOUNT", "SLURM_JOB_PARTITION", "SLURM_CLUSTER_NAME",
	"SLURM_JOB_NUM_NODES", "SLURM_JOB_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID",
	"SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID",
	"SLURM_HET_SIZE", "SLURM_RESTART_COUNT", "SLURM_JOB_START_TIME", "SLURM_JOB_END_TIME", "SLURMD_NODENAME",
	// which devices the process sees
	"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
	// where an elastic agent's own settings come from
	"PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT", "PET_RDZV_ID",
	// Open MPI, PMI and PMIx
	"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "PMIX_NAMESPACE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE",
	// DeepSpeed (deepspeed/launcher/launch.py)
	"CROSS_RANK", "CROSS_SIZE", "LOCAL_SIZE",
	// accelerate's parallel layout (accelerate/utils/launch.py)
	"PARALLELISM_CONFIG_DP_REPLICATE_SIZE", "PARALLELISM_CONFIG_DP_SHARD_SIZE", "PARALLELISM_CONFIG_TP_SIZE", "PARALLELISM_CONFIG_CP_SIZE", "PARALLELISM_CONFIG_SP_SIZE",
	"MEGATRON_LM_TP_DEGREE", "MEGATRON_LM_PP_DEGREE", "MEGATRON_LM_CONTEXT_PARALLEL_SIZE", "MEGATRON_LM_EXPERT_MODEL_PARALLEL_SIZE",
	"MEGATRON_LM_EXPERT_TENSOR_PARALLEL_SIZE", "FSDP_SHARDING_STRATEGY", "FSDP_VERSION", "ACCELERATE_USE_FSDP", "ACCELERATE_USE_MEGATRON_LM",
	"ACCELERATE_USE_PARALLELISM_CONFIG",
}

// MaxEnvValueBytes bounds one value of an environment variable.
const MaxEnvValueBytes = 1 << 10
