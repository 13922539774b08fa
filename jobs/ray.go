package jobs

import (
	"path"
	"strings"
)

// ray finds a Ray cluster in the command lines of its raylets, one a node, which name the cluster's store (--gcs-address), and in the environment that KubeRay gives a
// pod. A worker writes its title, ray::CLASS.METHOD, over its environment, so that it is known as its raylet's child; only before that its own command line names
// the store (src/ray/raylet/worker_pool.cc). The job is the cluster: which of the cluster's own jobs a worker serves (RAY_JOB_ID) is destroyed too.
//
// Ray Train tells a worker its rank through its memory alone: promoteRay says where it can be told all the same.
func ray(v *view) claim {
	command := v.p.GetCommand()
	title, isWorker := strings.CutPrefix(command, "ray::")
	isRaylet := v.p.GetComm() == "raylet" || strings.HasPrefix(command, "/") && path.Base(firstWord(command)) == "raylet"
	if !isWorker && !isRaylet && !strings.Contains(command, "default_worker.py") {
		return claim{}
	}
	c := claim{framework: "ray", agent: -1, launched: !isRaylet, name: v.env["RAY_CLUSTER_NAME"]}
	if isWorker {
		class, _, _ := strings.Cut(firstWord(title), ".")
		c.task = class
	}
	at := optionValue(command, "gcs-address")
	if at == "" {
		at = v.env["RAY_ADDRESS"]
	}
	switch {
	case c.name != "":
		c.strength, c.job, c.id = sharedRun, "ray/"+digest(v.uid(), "cluster", c.name), c.name
	case at != "":
		c.strength, c.job, c.id = sharedRun, "ray/"+digest(v.uid(), strings.ToLower(at)), at
		if isLoopback(strings.ToLower(hostOf(at))) {
			c.strength, c.nodeLocal, c.runHere = localRun, true, true
		}
	}
	return c
}

// isRayTrain says whether a process's title is that of a worker of Ray Train: RayTrainWorker, or _RayTrainWorker__execute as older versions call it.
func isRayTrain(task string) bool { return strings.Contains(task, "RayTrainWorker") }
