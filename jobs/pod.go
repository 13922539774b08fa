package jobs

// PodUID is the uid of the Kubernetes pod that a process is in, with hyphens as the API writes it, by the process's cgroup; "" for none.
func PodUID(cgroup string) string { return podUID(cgroup) }
