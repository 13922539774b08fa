package overview

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// Bounds on what a server says of jobs.
const (
	maxJobs  = 1 << 13
	maxRanks = 1 << 20 // that a job may have
	maxName  = 256     // bytes of a job's key or name
)

// jobStates are the words of foretop_job_state.
var jobStates = map[string]fleet.JobState{
	"running": fleet.JobRunning, "starting": fleet.JobStarting, "partial": fleet.JobPartial, "idle": fleet.JobIdle, "suspect": fleet.JobSuspect,
	"unchecked": fleet.JobUnchecked, "pending": fleet.JobPending, "unseen": fleet.JobUnseen,
}

// jobReadings are numbers of jobs.
var jobReadings = []struct {
	name string
	most float64
	set  func(*fleet.OverseenJob, float64)
}{
	{"foretop_job_world_size", maxRanks, func(j *fleet.OverseenJob, v float64) { j.World = int(v) }},
	{"foretop_job_ranks_missing", maxRanks, func(j *fleet.OverseenJob, v float64) { j.MissingN = int(v) }},
	{"foretop_job_restarts", maxRanks, func(j *fleet.OverseenJob, v float64) { j.Restarts = int(v) }},
	{"foretop_job_severity", float64(fleet.Critical), func(j *fleet.OverseenJob, v float64) { j.Severity = fleet.Severity(v) }},
	{"foretop_job_start_timestamp_seconds", 1e11, func(j *fleet.OverseenJob, v float64) { j.Start = time.UnixMilli(int64(v * 1000)) }},
}

// askJobs asks what another foretop, which the server scrapes, says of jobs, and which GPUs they hold.
func (r *round) askJobs() {
	text := func(labels []label, name string) string { return telemetry.Clean(string(get(labels, name)), maxName) }
	r.ask("foretop_job_info", "max by (job_key,job_id,name,user,framework,scheduler,partition,account) (foretop_job_info)", func(labels []label, _, _ float64) {
		key := text(labels, "job_key")
		if key == "" || r.jobs[key] != nil || len(r.jobs) >= maxJobs {
			return
		}
		r.jobs[key] = &fleet.OverseenJob{
			Key: key, ID: text(labels, "job_id"), Name: text(labels, "name"), User: text(labels, "user"), Framework: text(labels, "framework"),
			Scheduler: text(labels, "scheduler"), Partition: text(labels, "partition"), Account: text(labels, "account"),
		}
	})
	if len(r.jobs) == 0 {
		return
	}
	job := func(labels []label) *fleet.OverseenJob { return r.jobs[text(labels, "job_key")] }
	queries := []func(){
		func() {
			r.ask("foretop_job_state", "max by (job_key,state) (foretop_job_state)", func(labels []label, _, _ float64) {
				state, known := jobStates[string(get(labels, "state"))]
				if j := job(labels); j != nil && known {
					j.State = state
				}
			})
		},
		func() {
			r.ask("foretop_gpu_job_info", r.by("foretop_gpu_job_info", "gpu", "job_key", "rank"), func(labels []label, _, _ float64) {
				index, ok := gpuIndex(get(labels, "gpu"))
				j, n := job(labels), r.node(labels)
				if !ok || j == nil || n == nil || len(j.GPUs) >= maxRanks {
					return
				}
				rank, err := strconv.Atoi(string(get(labels, "rank")))
				if err != nil || rank < 0 || rank >= maxRanks {
					rank = -1
				}
				j.GPUs = append(j.GPUs, fleet.OverseenGPU{Node: n.Name, GPU: index, Rank: rank})
			})
		},
	}
	for _, reading := range jobReadings {
		queries = append(queries, func() {
			r.ask(reading.name, "max by (job_key) ("+reading.name+")", func(labels []label, _, value float64) {
				if j := job(labels); j != nil && value >= 0 && value <= reading.most {
					reading.set(j, value)
				}
			})
		})
	}
	r.together(queries)
}

// jobsOf are the jobs of the round, in order, their GPUs by rank.
func (r *round) jobsOf() []fleet.OverseenJob {
	out := make([]fleet.OverseenJob, 0, len(r.jobs))
	for _, j := range r.jobs {
		slices.SortFunc(j.GPUs, func(a, b fleet.OverseenGPU) int {
			return cmp.Or(cmp.Compare(uint(a.Rank), uint(b.Rank)), cmp.Compare(a.Node, b.Node), cmp.Compare(a.GPU, b.GPU)) // -1 last
		})
		out = append(out, *j)
	}
	slices.SortFunc(out, func(a, b fleet.OverseenJob) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// xidErrors is the number of the last Xid that a GPU had, 0 for none.
const xidErrors = "DCGM_FI_DEV_XID_ERRORS"

// askXids asks for GPUs that had one; once in staticEvery rounds which nodes would tell.
func (r *round) askXids() {
	r.askRare(xidErrors+" > 0", r.by(xidErrors+" > 0", "gpu"), func(labels []label, _, value float64) {
		index, ok := gpuIndex(get(labels, "gpu"))
		if n := r.node(labels); n != nil && ok && value < 1e4 {
			n.Xids = append(n.Xids, fleet.OverseenXid{GPU: index, Code: int(value)})
		}
	})
	if !r.static {
		return
	}
	hears := map[string]bool{}
	r.ask(xidErrors, r.by(xidErrors), func(labels []label, _, _ float64) {
		if n := r.node(labels); n != nil {
			hears[n.Name] = true
		}
	})
	r.Source.hears = hears
}
