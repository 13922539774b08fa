package collectors

import (
	"os"
	"syscall"

	"foretop/collectors/kernfs"
)

// beModest gives way to the work of the node: less of the CPU, and the first to go when memory runs out. Where that is not allowed, the rest still works.
func beModest() {
	// Niceness is a thread's own on Linux; threads to come inherit it.
	tasks, _ := kernfs.Root("").Names("proc/self/task")
	for _, t := range tasks {
		if tid, ok := kernfs.ParseUint([]byte(t)); ok {
			syscall.Setpriority(syscall.PRIO_PROCESS, int(tid), niceness)
		}
	}
	os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}
