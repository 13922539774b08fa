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
	c := claim{ties: ties{strength: scheduledJob, scheduler: "pbs", job: "pbs/" + id, id: number, name: v.env["PBS_JOBNAME"], partition: v.env["PBS_QUEUE"], cluster: server}}
	return c
}

// isJobName says whether a scheduler's word for a job is one that may stand in a key.
func isJobName(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsAny(id, "/@ \t\n") && !strings.Contains(id, "…")
}
