package jobs

import "strings"

// kubernetes finds a pod's uid in the cgroup: kubepods[-CLASS]-podUID.slice with "_" for "-" (systemd driver) or kubepods/CLASS/podUID
// (cgroupfs driver). Names of pods and their owners are not known on the node.
func kubernetes(v *view) claim {
	uid := podUID(v.p.GetCgroup())
	if uid == "" {
		return claim{}
	}
	return claim{strength: onePod, scheduler: "kubernetes", job: "pod/" + uid, id: uid[:8], run: "pod"}
}

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
