package jobs

import (
	"strconv"
	"strings"
)

// slurm reads SLURM_* (src/common/env.c) and the cgroup of a step. cgroup/v1: …/slurm[_NODE]/uid_U/job_J/step_S; cgroup/v2:
// …/[NODE_]slurmstepd.scope/job_J/step_S/user/task_T, and from 26.05 the job's SLUID in place of job_J.
func slurm(v *view) claim {
	job, sluid, step := slurmCgroup(v.p.GetCgroup())
	fromEnv := v.env["SLURM_JOB_ID"]
	if !allDigits(fromEnv) {
		fromEnv = ""
	}
	if job == "" {
		job = fromEnv
	}
	if job == "" && sluid == "" {
		return claim{}
	}
	part := ""
	if size := v.size("SLURM_HET_SIZE"); size > 0 && fromEnv != "" {
		job, part = hetJob(fromEnv, job, size)
	}
	c := claim{ties: ties{
		strength:   scheduledJob,
		scheduler:  "slurm",
		sluid:      sluid,
		job:        "slurm/" + job,
		id:         job,
		name:       v.env["SLURM_JOB_NAME"],
		user:       v.env["SLURM_JOB_USER"],
		partition:  v.env["SLURM_JOB_PARTITION"],
		cluster:    v.env["SLURM_CLUSTER_NAME"],
		requeue:    v.numberOr("SLURM_RESTART_COUNT", 0),
		endLimitMS: v.unixMS("SLURM_JOB_END_TIME"),
		step:       step,
		nodeName:   v.env["SLURMD_NODENAME"],
		hosts:      v.env["SLURM_JOB_NODELIST"],
		hostsN:     v.size("SLURM_JOB_NUM_NODES"),
	}}
	if part != "" {
		c.also = "slurm/" + part
	}
	if job == "" {
		c.job, c.id = "slurm/"+sluid, sluid
	}
	if a, t := v.env["SLURM_ARRAY_JOB_ID"], v.env["SLURM_ARRAY_TASK_ID"]; job == fromEnv && part == "" && allDigits(a) && allDigits(t) {
		c.id = a + "_" + t
	}
	if s := v.env["SLURM_STEP_ID"]; c.step == "" && allDigits(s) {
		c.step = s
	}
	rank, ok := v.number("SLURM_PROCID")
	if !ok || !allDigits(c.step) { // batch, extern and interactive steps have a task 0 that is not a rank
		return c
	}
	c.rankStrength, c.framework, c.launched = slurmRank, "srun", true
	c.rank, c.local = rank, v.numberOr("SLURM_LOCALID", -1)
	if part == "" { // a part's tasks are not all of them
		c.world = v.size("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
	}
	c.agent = v.numberOr("SLURM_NODEID", -1)
	c.run = "step " + c.step
	return c
}

// hetJob tells a heterogeneous job from its parts. Each part is a job of its own to the controller, and has its own cgroup; the numbers count up from the first
// one's, which is what the tasks of all parts are given in SLURM_JOB_ID, as they are one run (src/slurmd/slurmstepd/task.c).
func hetJob(first, job string, size int) (leader, part string) {
	f, err := strconv.ParseUint(first, 10, 32)
	j, err2 := strconv.ParseUint(job, 10, 32)
	if err != nil || err2 != nil || j < f || j-f >= uint64(size) {
		return job, ""
	}
	return first, job
}

// slurmCgroup finds the job in a cgroup path, anywhere in it: in a private namespace the path begins with "/../..".
func slurmCgroup(path string) (job, sluid, step string) {
	i := strings.Index(path, "slurm")
	if i < 0 {
		return "", "", ""
	}
	for name := range strings.SplitSeq(path[i:], "/") { // begins with slurm, slurm_NODE or [NODE_]slurmstepd.scope
		found := job != "" || sluid != ""
		switch {
		case !found && strings.HasPrefix(name, "job_") && allDigits(name[len("job_"):]):
			job = name[len("job_"):]
		case !found && isSLUID(name) && strings.Contains(path[i:], "slurmstepd.scope/"+name):
			sluid = name
		case found && strings.HasPrefix(name, "step_"):
			return job, sluid, name[len("step_"):]
		}
	}
	return job, sluid, ""
}

// isSLUID: "s" and 13 digits of Crockford's base 32.
func isSLUID(s string) bool {
	return len(s) == 14 && s[0] == 's' && strings.Trim(s[1:], "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ""
}
