package jobs

import "strings"

// jax reads JAX_COORDINATOR_ADDRESS (jax/_src/distributed.py), which names the run, and JAX_PROCESS_ID with JAX_NUM_PROCESSES, which JAX itself does not read:
// Kubeflow's Trainer and many scripts give them. An indexed Job's pods count by JOB_COMPLETION_INDEX (jax/_src/clusters/k8s_cluster.py). Under Slurm and Open MPI
// JAX takes their numbers, as this package does.
func jax(v *view) claim {
	at := v.env["JAX_COORDINATOR_ADDRESS"]
	rank, ranked := v.number("JAX_PROCESS_ID")
	if at == "" && !ranked {
		return claim{}
	}
	if port := v.env["JAX_COORDINATOR_PORT"]; port != "" && at != "" && hostOf(at) == at {
		at += ":" + port
	}
	at = strings.ToLower(at)
	c := claim{ties: ties{strength: sharedRun, framework: "jax", job: "jax/" + digest(v.uid(), at), id: at, agent: -1, run: "jax " + at}}
	if at == "" || isLoopback(hostOf(at)) {
		c.strength, c.nodeLocal, c.runHere = localRun, true, true
	}
	if !ranked {
		rank, ranked = v.number("JOB_COMPLETION_INDEX")
	}
	if ranked {
		c.rankStrength, c.rank, c.local, c.world = jaxRank, rank, -1, v.size("JAX_NUM_PROCESSES")
	}
	return c
}
