// Package jobs says who a process belongs to: from what processes say of themselves (environment, cgroup, command line, parents) to jobs with
// their ranks and devices. Pure functions over process facts: it reads no system, asks no scheduler, keeps no state. The fleet calls it whenever
// process facts changed; a scheduler's own words enrich the result later.
//
// [Identify] looks at one process, [Assemble] joins the processes of all nodes. Identities depend on a node's own processes alone, so a caller
// that keeps them ([IdentifyAll]) pays only for the nodes that changed.
//
// # Precedence
//
// Which job, strongest first (see strength):
//
//  1. A scheduler's job id. Slurm: the cgroup before the environment, for a process can write only the latter. Everything in the job is one job,
//     whatever launched its ranks.
//  2. A run that several nodes share: torch elastic's run id, unless it is the default word "none", else (MASTER_ADDR, MASTER_PORT), with the
//     user; MPI's namespace with the user. Equal ports on other masters are other jobs.
//  3. A Kubernetes pod, by its uid in the cgroup.
//  4. A run on one node: its master is a loopback address. It never joins anything on another node.
//  5. An accelerator held by a process that says nothing: one job for each node, user, session or container, and program, so that nothing
//     that holds a GPU is invisible.
//
// A process whose own claim is weaker than 3 belongs to the job of its nearest ancestor that has a stronger one. That serves processes which
// overwrote their environment (setproctitle), cleaned it, or belong to another user.
//
// Which rank, strongest first: RANK, only where LOCAL_RANK or TORCHELASTIC_RUN_ID says that it counts processes (an operator's pod-level RANK counts pods);
// then MPI's; then SLURM_PROCID, only in a step that srun started (in a batch script it is always 0). Under `srun --ntasks-per-node=1 torchrun`
// the workers' RANK wins and the job is Slurm's.
//
// Launchers, agents, shells and other wrappers are never ranks, though they carry a rank's variables. Several processes that claim one rank: a parent and its
// children (loaders, wrappers) are told apart by who holds a GPU, then by age; strangers by requeue count, restart count, GPU, and
// the later start, so that a rank left over from an older generation does not stand for the new one. torch elastic counts restarts for each agent, so the
// counts are compared only under one agent.
//
// Devices of a rank: those that the driver says it holds; else CUDA_VISIBLE_DEVICES with the local rank, read through the list of
// physical devices that Slurm or the container runtime gives, where there is one.
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
	Processes              []*facts.Process
	// Identities of Processes, one each, as IdentifyAll gave them; nil: Assemble finds them itself.
	Identities []Identity
}

// Job is what runs under one name on any number of nodes.
type Job struct {
	Key        string // unique, and the same from one assembly to the next: "slurm/8123", "torchrun/HASH", "process/HASH@NODE"
	ID         string // as the person knows it: "8123", "8123_4", "gpu001:29500"
	Name       string
	User       string
	Framework  string // torchrun, deepspeed, torch, mpi, srun; "" unknown
	Scheduler  string // slurm, kubernetes, ""
	Partition  string
	Restarts   int
	StartMS    int64 // of its oldest rank, or process where it has none; Unix time by the node's clock; 0 unknown
	EndLimitMS int64 // when its time limit ends, Unix time; 0 unknown
	World      int   // ranks there should be; 0 unknown
	Ranks      []Rank
	Missing    []int     // ranks that should be there and are not seen: the first MaxMissing of them
	MissingN   int       // how many
	Others     []ProcRef // launchers, helpers and the like, by node and as it told them
}

// MaxMissing bounds Job.Missing.
const MaxMissing = 64

// MaxWorld is the largest number of ranks that is believed.
const MaxWorld = 1 << 20

// Rank is one rank as seen on a node. Job.Ranks holds each number once, in order.
type Rank struct {
	Rank, LocalRank int // LocalRank -1: unknown
	Node            string
	PID             int32
	StartTicks      uint64
	GPUs            []int // indices on its node, ascending
	Inferred        bool  // its number was found by elimination among its siblings, it does not say it itself
}

// ProcRef is a process of a job that is no rank of it.
type ProcRef struct {
	Node       string
	PID        int32
	StartTicks uint64
	Role       Role
	GPUs       []int // that it holds
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
)

var roleWords = [...]string{"none", "rank", "launcher", "worker", "helper", "stale"}

func (r Role) String() string {
	if int(r) < len(roleWords) {
		return roleWords[r]
	}
	return "unknown"
}
