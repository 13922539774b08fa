package collectors

import (
	"os"
	"runtime"
	"strings"
	"syscall"

	"foretop/collectors/kernfs"

	"golang.org/x/sys/unix"
)

// lazy is how late timers may be. The Go runtime's watching thread naps 20 µs at a time while anything runs, and pays more for each nap than a reading costs;
// with this slack it naps once.
const lazy = 10e6 // ns

// beLean starts the program anew under conditions that can only be set before its first thread: a timer slack, which threads and programs to come inherit
// (PR_SET_TIMERSLACK, prctl(2)), and a runtime made for one CPU, which else holds memory for each CPU of the node. It returns where that is so already, or
// cannot be.
func beLean() {
	const one = "GOMAXPROCS="
	if os.Getenv("GOMAXPROCS") == "1" {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	env := []string{one + "1"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, one) {
			env = append(env, v)
		}
	}
	runtime.LockOSThread() // the slack is this thread's
	defer runtime.UnlockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, lazy, 0, 0, 0)
	syscall.Exec(self, os.Args, env)
}

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
