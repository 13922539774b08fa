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
	c := claim{strength: sharedRun, framework: "jax", job: "jax/" + digest(v.uid(), at), id: at, agent: -1, run: "jax " + at}
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

// tpu reads what Cloud TPU and GKE give the workers of a slice (jax/_src/clusters/cloud_tpu_cluster.py): one process a host, or those of TPU_PROCESS_ADDRESSES;
// several slices are one run of Megascale's coordinator.
func tpu(v *view) claim {
	id, ok := v.number("TPU_WORKER_ID")
	list, hosts := v.env["TPU_WORKER_HOSTNAMES"], []string{}
	if task, several := v.number("CLOUD_TPU_TASK_ID"); several && v.env["TPU_PROCESS_ADDRESSES"] != "" {
		id, ok, list = task, true, v.env["TPU_PROCESS_ADDRESSES"]
	}
	if !ok || list == "" {
		return claim{}
	}
	cut := strings.HasSuffix(list, "…")
	for h := range strings.SplitSeq(list, ",") {
		if h = strings.TrimSpace(h); h != "" {
			hosts = append(hosts, hostOf(h))
		}
	}
	n := len(hosts)
	c := claim{rankStrength: tpuRank, strength: sharedRun, framework: "tpu", agent: -1, rank: id, local: -1, world: n}
	c.hosts = strings.Join(hosts, ",")
	c.id = hosts[0]
	parts := append([]string{v.uid()}, hosts...)
	if slices := v.size("MEGASCALE_NUM_SLICES"); slices > 1 {
		slice, ok := v.number("MEGASCALE_SLICE_ID")
		at := v.env["MEGASCALE_COORDINATOR_ADDRESS"]
		if !ok || slice >= slices || at == "" || n > MaxWorld/slices {
			return claim{}
		}
		parts = []string{v.uid(), "megascale", at}
		c.rank, c.world, c.id = slice*n+id, n*slices, at
	}
	if cut {
		c.world = 0
	}
	c.job = "tpu/" + digest(parts...)
	c.run = c.job
	if len(hosts) == 1 && isLoopback(strings.ToLower(hosts[0])) {
		c.strength, c.nodeLocal, c.runHere, c.hosts = localRun, true, true, ""
	}
	return c
}
