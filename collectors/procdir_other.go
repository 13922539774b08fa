//go:build !linux

package collectors

// listProcesses lists /proc, where there is one.
func listProcesses(root Root, list []procEntry) ([]procEntry, error) {
	names, err := root.names("proc")
	if err != nil {
		return list, err
	}
	for _, n := range names {
		if pid, ok := parseUint([]byte(n)); ok && pid > 0 && pid < 1<<31 {
			list = append(list, procEntry{pid: int32(pid)})
		}
	}
	return list, nil
}
