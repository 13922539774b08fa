package jobs

import "strings"

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
	if n == 0 {
		return claim{}
	}
	c := claim{ties: ties{rankStrength: tpuRank, strength: sharedRun, framework: "tpu", agent: -1, world: n}, rank: id, local: -1}
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
