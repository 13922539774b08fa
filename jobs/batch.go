package jobs

import "strings"

// pbs reads what PBS Professional, OpenPBS and Torque give a job (pbs_job_attributes(7B), qsub(1B)). "123.server" and "123[4].server" name a job and a task of an
// array; the server is part of the key, for each counts by itself. PBS numbers no ranks: mpiexec does.
func pbs(v *view) claim {
	id := v.env["PBS_JOBID"]
	number, server, _ := strings.Cut(id, ".")
	if !isJobName(id) || number == "" {
		return claim{}
	}
	c := claim{strength: scheduledJob, scheduler: "pbs", job: "pbs/" + id, id: number, name: v.env["PBS_JOBNAME"], partition: v.env["PBS_QUEUE"], cluster: server}
	return c
}

// lsf reads what LSF gives a job (IBM Spectrum LSF, environment variables set for job execution). LSB_MCPU_HOSTS is "HOST SLOTS HOST SLOTS …".
func lsf(v *view) claim {
	id := v.env["LSB_JOBID"]
	if !allDigits(id) {
		return claim{}
	}
	if i := v.env["LSB_JOBINDEX"]; allDigits(i) && i != "0" {
		id += "[" + i + "]"
	}
	c := claim{strength: scheduledJob, scheduler: "lsf", job: "lsf/" + id, id: id, name: v.env["LSB_JOBNAME"], partition: v.env["LSB_QUEUE"]}
	var hosts []string
	for i, w := range strings.Fields(v.env["LSB_MCPU_HOSTS"]) {
		if i%2 == 0 {
			hosts = append(hosts, w)
		}
	}
	c.hosts = strings.Join(hosts, ",")
	return c
}

// flux reads what Flux gives a task (flux-environment(7)).
func flux(v *view) claim {
	id := v.env["FLUX_JOB_ID"]
	if !isJobName(id) {
		return claim{}
	}
	c := claim{strength: scheduledJob, scheduler: "flux", job: "flux/" + id, id: id, hostsN: v.size("FLUX_JOB_NNODES")}
	rank, ok := v.number("FLUX_TASK_RANK")
	if !ok {
		return c
	}
	c.rankStrength, c.framework, c.agent, c.launched, c.run = slurmRank, "flux", -1, true, "flux"
	c.rank, c.local, c.world = rank, v.numberOr("FLUX_TASK_LOCAL_ID", -1), v.size("FLUX_JOB_SIZE")
	return c
}

// isJobName says whether a scheduler's word for a job is one that may stand in a key.
func isJobName(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsAny(id, "/@ \t\n") && !strings.Contains(id, "…")
}
