package jobs

import (
	"slices"
	"strconv"
	"strings"
)

// tensorflow reads TF_CONFIG (tensorflow/python/distribute/cluster_resolver/tfconfig_cluster_resolver.py). Every task is given the same cluster, so that it names
// the run. Chief and workers are numbered one after the other, as MultiWorkerMirroredStrategy does (multi_worker_util.id_in_cluster); parameter servers and
// evaluators belong to the job and are no ranks.
func tensorflow(v *view) claim {
	text := v.env["TF_CONFIG"]
	if text == "" {
		return claim{}
	}
	t := parseTFConfig(text)
	if len(t.tasks) == 0 {
		return claim{}
	}
	c := claim{ties: ties{strength: sharedRun, framework: "tensorflow", agent: -1}}
	roles := make([]string, 0, len(t.tasks))
	for role := range t.tasks {
		roles = append(roles, role)
	}
	slices.Sort(roles)
	parts, hosts, local := []string{v.uid()}, []string{}, true
	for _, role := range roles {
		parts = append(parts, role)
		for _, address := range t.tasks[role] {
			parts = append(parts, strings.ToLower(address))
			host := hostOf(address)
			local = local && isLoopback(strings.ToLower(host))
			hosts = append(hosts, host)
		}
	}
	c.job = "tensorflow/" + digest(parts...)
	c.run = c.job
	slices.Sort(hosts)
	c.hosts = strings.Join(slices.Compact(hosts), ",")
	if local {
		c.strength, c.nodeLocal, c.runHere, c.hosts = localRun, true, true, ""
	}
	chiefs := len(t.tasks["chief"]) + len(t.tasks["master"])
	for _, role := range []string{"chief", "master", "worker", "ps"} {
		if len(t.tasks[role]) > 0 {
			c.id = t.tasks[role][0]
			break
		}
	}
	if t.role == "" || t.index < 0 {
		return c
	}
	c.task = t.role + " " + strconv.Itoa(t.index)
	c.world = chiefs + len(t.tasks["worker"])
	if t.cut {
		c.world = 0 // the list of workers may go on
	}
	c.local = -1
	switch {
	case t.role == "ps" || t.role == "evaluator":
		c.server = true
		return c
	case t.index >= len(t.tasks[t.role]) && !t.cut:
		return c
	case t.role == "chief" || t.role == "master":
		c.rank = t.index
	case t.role == "worker":
		c.rank = chiefs + t.index
	default:
		return c
	}
	c.rankStrength = tensorflowRank
	return c
}
