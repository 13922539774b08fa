//go:build !linux

package collectors

import "foretop/collectors/kernfs"

// listProcesses lists /proc, where there is one.
func listProcesses(root kernfs.Root, list []procEntry) ([]procEntry, error) {
	names, err := root.Names("proc")
	if err != nil {
		return list, err
	}
	for _, n := range names {
		if pid, ok := kernfs.ParseUint([]byte(n)); ok && pid > 0 && pid < 1<<31 {
			list = append(list, procEntry{pid: int32(pid)})
		}
	}
	return list, nil
}
