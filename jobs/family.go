package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"foretop/telemetry/facts"
)

// families is the table of ways to launch and to schedule. Claims carry their strength; of two that are equally strong the first counts: the scheduler that
// gave the nodes before one that runs within its job.
var families = [...]struct {
	name string
	find func(*view) claim
}{
	{"slurm", slurm},
	{"pbs", pbs},
	{"lsf", lsf},
	{"flux", flux},
	{"kubernetes", kubernetes},
	{"torchrun", torchrun},
	{"torchrun's agent", agentOfTorchrun},
	{"deepspeed's launcher", deepspeed},
	{"mpi", mpi},
	{"hydra", hydra},
	{"tensorflow", tensorflow},
	{"jax", jax},
	{"tpu", tpu},
	{"ray", ray},
	{"spawn", spawn},
}

// strength of what a claim says of the job.
type strength uint8

const (
	saysNothing  strength = iota
	holdsGPU              // nothing but an accelerator in its hands
	spawnedRun            // children of one parent
	localRun              // a run that cannot reach beyond its node
	onePod                // a pod, which may be one of several of its job
	sharedRun             // a run that several nodes share
	scheduledJob          // a scheduler's own number
)

// rankStrength of what a claim says of the rank.
type rankStrength uint8

const (
	noRank rankStrength = iota
	slurmRank
	tpuRank
	jaxRank
	tensorflowRank
	mpiRank
	torchRank
)

// claim is what one family says of a process.
type claim struct {
	ties
	rank, local int  // local -1: unknown
	server      bool // serves the ranks and is none of them
}

// ties is what binds a process to its job. Processes of one job on a node mostly say the same: they share one, so that it is looked at once and not for each of them. It
// never changes once it is shared.
type ties struct {
	strength     strength
	rankStrength rankStrength
	nodeLocal    bool // job is on this node only
	runHere      bool // and run
	launched     bool // what started it stays its parent for as long as it runs
	spawned      bool // a child of multiprocessing

	job       string // key of the job
	run       string // which run in the job: ranks are counted for each
	pod       string // uid of the pod that it is in
	container string // id of the container
	task      string // its place in the framework's own words
	hosts     string // the job's hosts, as Slurm writes lists
	hostsN    int    // how many there should be; 0 unknown

	world, localWorld int
	agent             int // which agent started it; -1
	restart, requeue  int
	expect            int // how many ranks a launcher starts, on all nodes; 0 unknown
	podRank           int // one more than a number that may be a pod's or a process's; 0 none
	podWorld          int
	endLimitMS        int64

	id, name, user, partition string
	scheduler, framework      string
	cluster                   string
	also                      string // another key of the same job, as other processes may know it
	sluid                     string // Slurm's other name of the job, where the cgroup has it
	step                      string // of the scheduler's job
	nodeName                  string // what the scheduler calls the node
	login                     string // whose process it is
}

// view is one process as the families see it.
type view struct {
	p     *facts.Process
	env   map[string]string          // nil when it could not be read
	byPID func(int32) *facts.Process // the node's other processes; may be nil
}

func viewOf(p *facts.Process) view {
	if isUnread(p) {
		return view{p: p}
	}
	return view{p: p, env: p.GetEnv()}
}

// isUnread says whether a process's environment is hidden or destroyed.
func isUnread(p *facts.Process) bool {
	return p.GetEnvState() == facts.EnvState_ENV_DENIED || p.GetEnvState() == facts.EnvState_ENV_CLOBBERED
}

// number reads a count or an index. Everything that is not one from 0 to MaxWorld is as good as not there.
func (v *view) number(key string) (int, bool) { return parseIndex(v.env[key]) }

// numberOr is number, or other where there is none.
func (v *view) numberOr(key string, other int) int {
	if n, ok := v.number(key); ok {
		return n
	}
	return other
}

// size reads a number of ranks; 0 is unknown.
func (v *view) size(keys ...string) int {
	for _, k := range keys {
		if n, ok := v.number(k); ok && n > 0 {
			return n
		}
	}
	return 0
}

func parseIndex(s string) (int, bool) {
	if len(s) == 0 || len(s) > 7 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > MaxWorld {
		return 0, false
	}
	return int(n), true
}

// unixMS reads a time in seconds, 0 where it is none or past the year 2300.
func (v *view) unixMS(key string) int64 {
	n, err := strconv.ParseInt(v.env[key], 10, 64)
	if err != nil || n <= 0 || n > 1<<33 {
		return 0
	}
	return n * 1000
}

// digest makes a short key of parts of any length. It is a cryptographic one: nobody can craft a run that falls into another's job.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p))))
		h.Write([]byte{':'})
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(make([]byte, 0, sha256.Size))[:8])
}

func (v *view) uid() string { return strconv.FormatUint(uint64(v.p.GetUid()), 10) }

// allDigits says whether s is a decimal number of a sane length.
func allDigits(s string) bool {
	return len(s) > 0 && len(s) <= 18 && strings.Trim(s, "0123456789") == ""
}
