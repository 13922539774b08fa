package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"foretop/telemetry/facts"
)

// families is the table of ways to launch and to schedule. Order does not matter: claims carry their strength.
var families = [...]struct {
	name string
	find func(*view) claim
}{
	{"slurm", slurm},
	{"kubernetes", kubernetes},
	{"torchrun", torchrun},
	{"mpi", mpi},
}

// strength of what a claim says of the job.
type strength uint8

const (
	saysNothing  strength = iota
	holdsGPU              // nothing but an accelerator in its hands
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
	mpiRank
	torchRank
)

// claim is what one family says of a process.
type claim struct {
	strength  strength
	job       string // key of the job; nodeLocal: on this node
	nodeLocal bool

	id, name, user, partition, cluster string
	scheduler, framework               string

	sluid   string // Slurm's other name of the job, where the cgroup has it
	step    string // of the scheduler's job
	run     string // which run in the job: ranks are counted for each
	runHere bool   // the run is on this node only

	rankStrength      rankStrength
	rank, local       int
	world, localWorld int
	agent             int // which agent started it; -1
	restart, requeue  int
	endLimitMS        int64
}

// view is one process as the families see it.
type view struct {
	p   *facts.Process
	env map[string]string // nil when it could not be read
}

func viewOf(p *facts.Process) view {
	if p.GetEnvState() == facts.EnvState_ENV_DENIED || p.GetEnvState() == facts.EnvState_ENV_CLOBBERED {
		return view{p: p}
	}
	return view{p: p, env: p.GetEnv()}
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
