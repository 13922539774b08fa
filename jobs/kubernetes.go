package jobs

import (
	"strconv"
	"strings"
)

// kubernetes finds a pod's uid in the cgroup: kubepods[-CLASS]-podUID.slice with "_" for "-" (systemd driver) or kubepods/CLASS/podUID
// (cgroupfs driver). Names of pods and their owners are not known on the node: the API tells them (Known). Without it, the pods of a run are joined by the run; those of
// a LeaderWorkerSet's group by the name of their leader, which holds the namespace; the rest stand alone.
//
// A process of any other container says which one it is in, and nothing of a job.
func kubernetes(v *view) claim {
	container := containerID(v.p.GetCgroup())
	uid := podUID(v.p.GetCgroup())
	if uid == "" {
		return claim{ties: ties{container: container}}
	}
	c := claim{ties: ties{strength: onePod, scheduler: "kubernetes", job: "pod/" + uid, id: uid[:8], pod: uid, container: container}}
	if leader := v.env["LWS_LEADER_ADDRESS"]; leader != "" && len(leader) <= 256 {
		c.strength, c.job, c.hostsN = sharedRun, "lws/"+digest(leader), v.size("LWS_GROUP_SIZE")
		c.id, _, _ = strings.Cut(leader, ".")
	}
	for _, k := range []string{"LWS_WORKER_INDEX", "JOB_COMPLETION_INDEX", "VC_TASK_INDEX"} {
		if i, ok := v.number(k); ok {
			c.task = "pod " + strconv.Itoa(i)
			break
		}
	}
	return c
}

// containerID finds the id of a container, 64 hexadecimal digits, in a cgroup path: cri-containerd-ID.scope, crio-ID.scope, docker-ID.scope, libpod-ID.scope,
// kubepods-…:cri-containerd:ID, /docker/ID, /kubepods/…/ID. The innermost counts.
func containerID(path string) string {
	const size = 64
	for end := len(path); end >= size; end-- {
		n := 0
		for n < end && n <= size && isHex(path[end-1-n]) {
			n++
		}
		if n == size {
			return path[end-size : end]
		}
		end -= n
	}
	return ""
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// podUID returns the uid with dashes; 32 hexadecimal digits without any are a static pod's.
func podUID(path string) string {
	if !strings.Contains(path, "kubepods") && !strings.Contains(path, "/pod") {
		return ""
	}
	for {
		i := strings.Index(path, "pod")
		if i < 0 {
			return ""
		}
		path = path[i+len("pod"):]
		n := 0
		for n < len(path) && isUIDByte(path[n]) {
			n++
		}
		uid := strings.ReplaceAll(path[:n], "_", "-")
		if len(uid) == 32 && !strings.Contains(uid, "-") || len(uid) == 36 && dashed(uid) {
			return uid
		}
	}
}

func isUIDByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c == '-' || c == '_'
}

func dashed(uid string) bool {
	for i := range len(uid) {
		if (uid[i] == '-') != (i == 8 || i == 13 || i == 18 || i == 23) {
			return false
		}
	}
	return true
}
