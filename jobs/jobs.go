// Package jobs says who a process belongs to: from what processes say of themselves (environment, cgroup, command line, parents) to jobs with
// their ranks and devices. Pure functions over process facts: it reads no system, asks no scheduler, keeps no state. The fleet calls it whenever
// process facts changed; a scheduler's own words enrich the result later.
//
// [IdentifyAll] looks at the processes of one node, [Assemble] joins those of all nodes. Identities depend on a node's own processes alone, so a caller
// that keeps them pays only for the nodes that changed.
//
// # Precedence
//
// Which job, strongest first (type strength). Equal keys on several nodes are one job, unless the key holds for its node alone.
//
//	| strength     | who says it                                     | key                                     | joins nodes        |
//	|--------------|-------------------------------------------------|-----------------------------------------|--------------------|
//	| scheduledJob | Slurm: cgroup, else SLURM_JOB_ID                | slurm/8123, slurm/CLUSTER/8123          | yes                |
//	|              | PBS_JOBID; LSB_JOBID; FLUX_JOB_ID               | pbs/12.server, lsf/12[3], flux/ƒ2a      | yes                |
//	| (Known)      | the Kubernetes API, of the pod in the cgroup    | kubernetes/NAMESPACE/KIND/NAME          | yes                |
//	| sharedRun    | LWS_LEADER_ADDRESS in a pod                     | lws/HASH                                | yes                |
//	|              | torch elastic's run id, unless it is "none"     | torchrun/HASH of user, id               | yes                |
//	|              | MASTER_ADDR and MASTER_PORT                     | torchrun/HASH of user, address, port    | yes                |
//	|              | PMIX_NAMESPACE, PALS_APID, Hydra's control port | mpi/HASH of user, name                  | yes                |
//	|              | TF_CONFIG: its cluster, sorted by role          | tensorflow/HASH of user, cluster        | yes                |
//	|              | JAX_COORDINATOR_ADDRESS                         | jax/HASH of user, address               | yes                |
//	|              | TPU_WORKER_HOSTNAMES, Megascale's coordinator   | tpu/HASH of user, hosts                 | yes                |
//	|              | KubeRay's cluster name, Ray's --gcs-address     | ray/HASH of user, cluster               | yes                |
//	| onePod       | a pod's uid in the cgroup                       | pod/UID                                 | no: it is on one   |
//	| localRun     | any run whose address is a loopback's; MPI      | as above, @NODE                         | no                 |
//	|              | without a name                                  | mpi/HASH of user, program @NODE         | no                 |
//	| spawnedRun   | children of one multiprocessing parent          | spawn/HASH of user, cgroup, parent @NODE| no                 |
//	| holdsGPU     | nothing but an accelerator in its hands         | process/HASH of user, cgroup, program   | no                 |
//
// Slurm's cgroup goes before the environment, for a process can write only the latter. Everything in a scheduler's job is one job, whatever launched its ranks. Of
// two schedulers the first in the table of families counts: the one that gave the nodes. A SLUID, and the number of a heterogeneous job's part, are other names of
// the job that a process or a scheduler (Known) names beside them.
//
// A process whose own claim is weaker than sharedRun belongs to the job of its nearest ancestor that has a stronger one. That serves processes which
// overwrote their environment (setproctitle), cleaned it, or belong to another user. A launcher belongs to what it launched.
//
// Which rank, strongest first (type rankStrength):
//
//	| strength       | who says it                                                                                                          |
//	|----------------|----------------------------------------------------------------------------------------------------------------------|
//	| torchRank      | RANK, only where LOCAL_RANK or TORCHELASTIC_RUN_ID says that it counts processes: an operator's RANK counts pods     |
//	| mpiRank        | OMPI_COMM_WORLD_RANK, JSM_NAMESPACE_RANK, PALS_RANKID, PMIX_RANK, MV2_COMM_WORLD_RANK, PMI_RANK                      |
//	| tensorflowRank | TF_CONFIG: chief, then workers; parameter servers and evaluators are none                                            |
//	| jaxRank        | JAX_PROCESS_ID, or JOB_COMPLETION_INDEX beside a coordinator                                                         |
//	| tpuRank        | slice and TPU_WORKER_ID, or CLOUD_TPU_TASK_ID                                                                        |
//	| slurmRank      | SLURM_PROCID, only in a step that srun started (in a batch script it is always 0); FLUX_TASK_RANK                    |
//	| inferred       | elimination among an agent's children; an operator's RANK where each pod has one worker; order of multiprocessing's  |
//	|                | children and accelerators, where both agree; order of accelerators of Ray Train's workers on one node                |
//
// Under `srun --ntasks-per-node=1 torchrun` the workers' RANK wins and the job is Slurm's.
//
// Launchers, agents, shells and other wrappers are never ranks, though they carry a rank's variables. Several processes that claim one rank: a parent and its
// children (loaders, wrappers) are told apart by who holds a GPU, then by age; strangers by requeue count, restart count, GPU, and
// the later start, so that a rank left over from an older generation does not stand for the new one. torch elastic counts restarts for each agent, so the
// counts are compared only under one agent.
//
// Devices of a rank: those that the driver says it holds; else CUDA_VISIBLE_DEVICES with the local rank, read through the list of
// physical devices that Slurm or the container runtime gives, where there is one.
//
// # Hosts
//
// A job's hosts are those that its scheduler names, else those of SLURM_JOB_NODELIST, --world_info, TF_CONFIG, TPU_WORKER_HOSTNAMES or LSB_MCPU_HOSTS. Which of them
// nobody watches is told only if some of the names are those of nodes where the job is seen: a pod's name is none.
//
// # Families
//
// A family is one way of launching or scheduling: one file, one line in the table of family.go.
package jobs

import "foretop/telemetry/facts"

// NodeFacts is what one node says of its processes. Assemble changes none of it.
type NodeFacts struct {
	Node, BootID, Hostname string // Node is its name in the fleet, the key everywhere
	GPUs                   []*facts.GPU
	Names                  []string // other names that it goes by: addresses, what a scheduler calls it
	Processes              []*facts.Process
	// Identities of Processes, one each, as IdentifyAll gave them; nil: Assemble finds them itself.
	Identities []Identity
}

// Job is what runs under one name on any number of nodes.
type Job struct {
	Key        string // unique, and the same from one assembly to the next: "slurm/8123", "torchrun/HASH", "process/HASH@NODE"
	ID         string // as the person knows it: "8123", "8123_4", "8123+1", "gpu001:29500"
	Name       string
	User       string
	Framework  string // torchrun, deepspeed, accelerate, torch, mpi, tensorflow, jax, tpu, ray, multiprocessing, srun, flux; "" unknown
	Scheduler  string // slurm, kubernetes, pbs, lsf, flux, ""
	Partition  string
	Restarts   int
	StartMS    int64 // of its oldest rank, or process where it has none; Unix time by the node's clock; 0 unknown
	EndLimitMS int64 // when its time limit ends, Unix time; 0 unknown
	World      int   // ranks there should be; 0 unknown
	Ranks      []Rank
	Missing    []int     // ranks that should be there and are not seen: the first MaxMissing of them
	MissingN   int       // how many
	Others     []ProcRef // launchers, helpers and the like, by node and as it told them
	Hosts      []string  // where it should be, as its scheduler or launcher calls them: the first MaxHosts of them
	HostsN     int       // how many; 0 unknown. It may be known without any name
	Unwatched  []string  // those of Hosts that no node of the fleet is; nil also where the names are not nodes'
}

// MaxMissing bounds Job.Missing.
const MaxMissing = 64

// MaxHosts bounds Job.Hosts.
const MaxHosts = 4096

// MaxWorld is the largest number of ranks that is believed.
const MaxWorld = 1 << 20

// Rank is one rank as seen on a node. Job.Ranks holds each number once, in order.
type Rank struct {
	Rank, LocalRank int // LocalRank -1: unknown
	Node            string
	PID             int32
	StartTicks      uint64
	GPUs            []int  // indices on its node, ascending
	Inferred        bool   // its number was found by how it was started, it does not say it itself
	Task            string // in the framework's words: "chief 0", "worker 3", "RayTrainWorker"; "" none
	Pod             string // name of its pod, or the beginning of its container's id; "" in none
	InnerPID        int32  // its number in its container; 0: the same
	Orphan          Orphan // why it should not be there any more
}

// ProcRef is a process of a job that is no rank of it.
type ProcRef struct {
	Node       string
	PID        int32
	StartTicks uint64
	Role       Role
	GPUs       []int  // that it holds
	Task       string // as of a Rank
	Pod        string
	InnerPID   int32
	Orphan     Orphan // of those that hold an accelerator
}

// Role says what a process is to its job.
type Role uint8

// Roles.
const (
	RoleNone     Role = iota // belongs to no job
	RoleRank                 // one of the numbered processes of a parallel run
	RoleLauncher             // starts ranks and watches them
	RoleWorker               // holds an accelerator, but has no number that we know
	RoleHelper               // the rest: loaders, wrappers, monitors
	RoleStale                // a rank of an older generation, left over
	RoleServer               // serves the ranks and is none of them: a parameter server, an evaluator
)

var roleWords = [...]string{"none", "rank", "launcher", "worker", "helper", "stale", "server"}

func (r Role) String() string {
	if int(r) < len(roleWords) {
		return roleWords[r]
	}
	return "unknown"
}
