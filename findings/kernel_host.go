package findings

import (
	"strings"

	"foretop/fleet"
)

// memory reads the OOM killer's lines. A kill is three of them; the last one says who died, and only it is a problem.
func memory(line string) (fleet.KernelClass, bool) {
	switch {
	case strings.HasPrefix(line, "Memory cgroup out of memory: Killed process "):
		return say(fleet.Warning, "oom", "OOM kill: "+victim(line)+" (its cgroup's limit)")
	case strings.HasPrefix(line, "Out of memory: Killed process "), strings.HasPrefix(line, "Out of memory (oom_kill_allocating_task): Killed process "):
		return say(fleet.Warning, "oom", "OOM kill: "+victim(line)+" (node out of memory)")
	case strings.HasPrefix(line, "oom-kill:constraint="):
		group := between(line, "oom_memcg=", ",")
		if i := strings.Index(group, "job_"); i >= 0 {
			group, _, _ = strings.Cut(group[i:], "/")
		}
		return say(fleet.Notice, "oom_detail", "OOM: "+group)
	case strings.Contains(line, " invoked oom-killer: gfp_mask="):
		return say(fleet.Notice, "oom_detail", "OOM killer called")
	}
	return no()
}

// victim of "… Killed process 2254956 (python3) total-vm:…" is "python3".
func victim(line string) string {
	_, line, _ = strings.Cut(line, " (")
	if strings.HasPrefix(line, "oom_kill_allocating_task)") {
		_, line, _ = strings.Cut(line, " (")
	}
	if i := strings.LastIndex(line, ") total-vm:"); i >= 0 {
		return short(line[:i], 32)
	}
	name, _, _ := strings.Cut(line, ")")
	return short(name, 32)
}

// stuck reads the watchdogs of tasks and CPUs, and the kernel's own failures.
func stuck(line string) (fleet.KernelClass, bool) {
	switch {
	case strings.HasPrefix(line, "INFO: task ") && strings.Contains(line, " blocked for more than "):
		task := between(line, "INFO: task ", " blocked for more than ")
		if i := strings.LastIndexByte(task, ':'); i > 0 {
			task = task[:i]
		}
		return say(fleet.Warning, "hung_task", "hung task: "+short(task, 32))
	case strings.Contains(line, "BUG: soft lockup - CPU#"):
		return say(fleet.Warning, "lockup", "soft lockup: CPU "+between(line, "CPU#", " "))
	case strings.Contains(line, "detected stall"), strings.Contains(line, "self-detected stall on CPU"):
		if strings.HasPrefix(line, "rcu") || strings.HasPrefix(line, "INFO: rcu") {
			return say(fleet.Warning, "lockup", "RCU: stall")
		}
	case strings.HasPrefix(line, "Kernel panic - not syncing"):
		return say(fleet.Critical, "panic", "kernel: panic")
	case strings.HasPrefix(line, "kernel BUG at "), strings.HasPrefix(line, "BUG: unable to handle "), strings.HasPrefix(line, "Oops: "):
		return say(fleet.Critical, "panic", "kernel: bug")
	case strings.Contains(line, ": segfault at ") && strings.Contains(line, " in libnccl.so"):
		return say(fleet.Warning, "nccl", "NCCL: crash in libnccl")
	}
	return no()
}

// machine reads machine checks, memory errors and heat.
func machine(line string) (fleet.KernelClass, bool) {
	switch {
	case strings.HasPrefix(line, "mce: [Hardware Error]: "):
		if strings.Contains(line, "Machine Check Exception") || strings.Contains(line, ": Machine Check: ") {
			return say(fleet.Critical, "mce", "machine check: exception")
		}
		if strings.Contains(line, "Machine check events logged") {
			return say(fleet.Warning, "mce", "machine check: events logged")
		}
	case strings.Contains(line, "Hardware error from APEI"):
		return say(fleet.Warning, "mce", "hardware error: reported by the firmware")
	case strings.HasPrefix(line, "EDAC MC"):
		where, what, _ := strings.Cut(line[len("EDAC "):], ": ")
		switch {
		case strings.Contains(" "+what, " UE "):
			return say(fleet.Critical, "edac", "memory "+short(where, 8)+": uncorrectable error")
		case strings.Contains(" "+what, " CE "):
			return say(fleet.Notice, "edac", "memory "+short(where, 8)+": correctable error")
		}
	case strings.HasPrefix(line, "CPU") || strings.HasPrefix(line, "mce: CPU"):
		if strings.Contains(line, "emperature above threshold") || strings.Contains(line, "emperature is above threshold") {
			return say(fleet.Notice, "cpu_heat", "CPU: too hot, throttled")
		}
	}
	return no()
}
