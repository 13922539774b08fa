package collectors

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// kernelStacks is where the kernel says that a process's threads are: /proc/PID/task/TID/stack (root only), wchan and syscall (who may trace it), proc(5).
func kernelStacks(root kernfs.Root, id processID) stackTrace {
	dir := "proc/" + strconv.Itoa(id.pid) + "/task"
	names, err := root.Names(dir)
	if err != nil {
		return stackTrace{why: "its threads may not be listed"}
	}
	t := stackTrace{source: "kernel"}
	denied := map[string]bool{}
	read := func(path, what string) string {
		b, err := root.Read(path, nil)
		if errors.Is(err, fs.ErrPermission) {
			denied[what] = true
		}
		return string(b)
	}
	main := strconv.Itoa(id.pid)
	for _, tid := range append([]string{main}, names...) {
		if tid == main && len(t.threads) > 0 {
			continue
		}
		if len(t.threads) == maxThreads {
			t.more++
			continue
		}
		at := dir + "/" + tid + "/"
		b, err := root.Read(at+"stat", nil)
		var s procStat
		if err != nil || !parseProcStat(b, &s) {
			continue // ended
		}
		th := threadTrace{id: tid, name: telemetry.Clean(string(s.comm), 64), state: telemetry.Clean(string(rune(s.state)), 4)}
		if w := strings.TrimSpace(read(at+"wchan", "wchan")); w != "0" { // runs, or hidden
			th.wchan = telemetry.Clean(w, 64)
		}
		th.syscall = parseSyscall(read(at+"syscall", "syscall"))
		th.frames = parseKernelStack(read(at+"stack", "stack"))
		t.threads = append(t.threads, th)
	}
	switch {
	case denied["syscall"]:
		t.why = "stack and syscall are not permitted: they need root or its owner"
	case denied["stack"]:
		t.why = "stack is not permitted: it needs root"
	}
	return t
}

// parseSyscall gives the number of the call of /proc/PID/syscall; "" for a thread that is in none.
func parseSyscall(s string) string {
	number, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	if n, err := strconv.Atoi(number); err != nil || n < 0 {
		return ""
	}
	return number
}

// parseKernelStack gives the functions of /proc/PID/stack, the innermost first: of "[<0>] futex_wait+0xb5/0x130" the name.
func parseKernelStack(s string) (frames []string) {
	for line := range strings.Lines(s) {
		_, name, ok := strings.Cut(line, "] ")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(strings.TrimSpace(name), "+")
		if name = telemetry.Clean(name, 64); name != "" && len(frames) < maxFrames {
			frames = append(frames, name)
		}
	}
	return frames
}
