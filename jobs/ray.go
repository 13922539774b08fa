package jobs

import (
	"path"
	"strings"
)

// ray finds a Ray cluster in the command lines of its raylets, one a node, which name the cluster's store (--gcs-address), and in the environment that KubeRay gives a
// pod. A worker writes its title, ray::CLASS.METHOD, over its command line, in older versions over its environment as well, so that it is known as its raylet's child; only
// before that its own command line names the store (src/ray/raylet/worker_pool.cc). The job is the cluster: which of the cluster's own jobs a worker serves is not
// known, for Ray starts workers ahead (RAY_JOB_ID=ffffffff in 2.60).
//
// What a worker's environment says of ranks is its raylet's, which srun may have started and counted, unless it is RANK and the raylet has another or none: programs
// give their actors that through their runtime environment.
//
// Ray Train tells a worker its rank through its memory alone: promoteRay says where it can be told all the same.
func ray(v *view) claim {
	command := v.p.GetCommand()
	title, isWorker := strings.CutPrefix(command, "ray::")
	isRaylet := v.p.GetComm() == "raylet" || strings.HasPrefix(command, "/") && path.Base(firstWord(command)) == "raylet"
	if !isWorker && !isRaylet && !strings.Contains(command, "default_worker.py") {
		return claim{}
	}
	c := claim{ties: ties{framework: "ray", agent: -1, launched: !isRaylet, name: v.env["RAY_CLUSTER_NAME"]}}
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

// isRayWorker says whether a raylet started the process.
func isRayWorker(v *view) bool {
	return v.env["RAY_RAYLET_PID"] != "" || strings.HasPrefix(v.p.GetCommand(), "ray::")
}

// ownRank says whether a worker of Ray was given the RANK in its environment for itself: its raylet, which must be seen, has another.
func ownRank(v *view) bool {
	if v.byPID == nil || !isRayWorker(v) {
		return false
	}
	up := v.byPID(v.p.GetPpid())
	if up == nil || isUnread(up) || up.GetComm() != "raylet" {
		return false
	}
	return up.GetEnv()["RANK"] != v.env["RANK"]
}

// isRayTrain says whether a process's title is that of a worker of Ray Train: RayTrainWorker, or _RayTrainWorker__execute as older versions call it.
func isRayTrain(task string) bool { return strings.Contains(task, "RayTrainWorker") }
