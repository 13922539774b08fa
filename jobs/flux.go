package jobs

// flux reads what Flux gives a task (flux-environment(7)).
func flux(v *view) claim {
	id := v.env["FLUX_JOB_ID"]
	if !isJobName(id) {
		return claim{}
	}
	c := claim{ties: ties{strength: scheduledJob, scheduler: "flux", job: "flux/" + id, id: id, hostsN: v.size("FLUX_JOB_NNODES")}}
	rank, ok := v.number("FLUX_TASK_RANK")
	if !ok {
		return c
	}
	c.rankStrength, c.framework, c.agent, c.launched, c.run = slurmRank, "flux", -1, true, "flux"
	c.rank, c.local, c.world = rank, v.numberOr("FLUX_TASK_LOCAL_ID", -1), v.size("FLUX_JOB_SIZE")
	return c
}
