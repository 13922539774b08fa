package findings

import (
	"strconv"
	"strings"

	"foretop/fleet"
)

// readOOM reads a victim's sizes: "total-vm:…kB, anon-rss:…kB, file-rss:…kB, shmem-rss:…kB, UID:1000 pgtables:…".
func readOOM(f *found, c *fleet.KernelClass) bool {
	c.Follows = true
	_, sizes, _ := strings.Cut(f.rest[strings.LastIndex(f.rest, ") total-vm:"):], ", ")
	var parts []string
	for _, s := range []struct{ key, word string }{{"anon-rss:", "anonymous"}, {"file-rss:", "of files"}, {"shmem-rss:", "shared"}} {
		if kb, err := strconv.ParseUint(between(sizes, s.key, "kB"), 10, 50); err == nil && kb > 0 {
			parts = append(parts, sizeWords(kb<<10)+" "+s.word)
		}
	}
	if uid := between(sizes, "UID:", " "); uid != "" {
		parts = append(parts, "uid "+short(uid, 12))
	}
	c.Detail = strings.Join(parts, ", ")
	return true
}

// readConstraint reads what the kill was for: "constraint=CONSTRAINT_MEMCG,nodemask=…,oom_memcg=/a,task_memcg=/a/b,task=python3,pid=123,uid=1000".
func readConstraint(f *found, c *fleet.KernelClass) bool {
	c.Follows = true
	group := between(f.rest, ",oom_memcg=", ",task_memcg=")
	what := "limit of " + jobOf(group)
	if group == "" {
		group, what = between(f.rest, ",task_memcg=", ",task="), "no memory left on the node"
	}
	c.Cgroup, c.Detail = short(group, 200), what
	c.Text = "OOM: " + jobOf(group)
	tail := f.rest[max(0, strings.LastIndex(f.rest, ",pid=")):]
	if pid, err := strconv.ParseInt(between(tail, ",pid=", ","), 10, 32); err == nil {
		c.PID = int32(pid)
	}
	if _, task, ok := strings.Cut(f.rest, ",task="); ok {
		if end := strings.LastIndex(task, ",pid="); end >= 0 {
			c.Process = short(task[:end], 32)
		}
	}
	return true
}

// readInvoked: who called the OOM killer is not its victim.
func readInvoked(_ *found, c *fleet.KernelClass) bool {
	c.Detail, c.Process = "called for by "+c.Process, ""
	return true
}

// jobOf is a cgroup from its job on: "job_8123/step_0".
func jobOf(group string) string {
	if i := strings.LastIndex(group, "/job_"); i >= 0 {
		group = group[i+1:]
		if job, rest, ok := strings.Cut(group, "/"); ok {
			step, _, _ := strings.Cut(rest, "/")
			group = job + "/" + step
		}
	} else if i := strings.Index(group, "/kubepods"); i >= 0 {
		group = group[i+1:]
	}
	return short(group, 60)
}

// between is what stands between two marks; "" when one is missing.
func between(s, from, to string) string {
	_, s, ok := strings.Cut(s, from)
	if !ok {
		return ""
	}
	s, _, ok = strings.Cut(s, to)
	if !ok {
		return ""
	}
	return s
}

func sizeWords(bytes uint64) string {
	unit, v := " MiB", float64(bytes)/(1<<20)
	if v >= 10<<10 {
		unit, v = " GiB", v/1024
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + unit
}

func readCPU(f *found, c *fleet.KernelClass) bool {
	c.Detail = "CPU " + f.n
	return true
}

// readWhere: "kernel/sched/core.c:1234 try_to_wake_up+0x…".
func readWhere(f *found, c *fleet.KernelClass) bool {
	c.Detail = short(f.x, 80)
	return true
}

// readBank reads a machine check's status: bit 61 says that the error was not corrected (Intel SDM, IA32_MCi_STATUS; AMD's is the same).
func readBank(f *found, c *fleet.KernelClass) bool {
	c.Detail = "CPU " + f.n + ", bank " + short(f.x, 4)
	status := f.rest[strings.LastIndexByte(f.rest, ' ')+1:]
	if v, err := strconv.ParseUint(status, 16, 64); err == nil && v>>61&1 == 1 && c.Severity < fleet.Critical {
		c.Severity, c.Text = fleet.Critical, "machine check: uncorrected"
		c.Action = "drain the node; see the BMC's log, replace what it names"
	}
	return true
}

// readDIMM: "memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0 …)".
func readDIMM(f *found, c *fleet.KernelClass) bool {
	if label, _, _ := strings.Cut(between(f.x+" ", " on ", " ("), " "); label != "" {
		c.Detail = short(label, 60)
	}
	return strings.HasPrefix(c.Device, "MC")
}

// severityOf says how bad a PCIe error is by the kernel's words, which have changed over time.
func severityOf(words string) fleet.Severity {
	switch {
	case strings.Contains(words, "(Non-Fatal)"):
		return fleet.Warning
	case strings.Contains(words, "(Fatal)"):
		return fleet.Critical
	}
	return fleet.Notice
}

var pcieWords = map[fleet.Severity][2]string{
	fleet.Notice:   {"PCIe: correctable error", "none; watch the count: slot, riser or cable when it grows"},
	fleet.Warning:  {"PCIe: uncorrectable error", "check seating, riser and cable; a job on the device may have failed"},
	fleet.Critical: {"PCIe: fatal error", doReseat},
}

// readAER reads the first line of a report: "Multiple Corrected error received: 0000:81:00.0", "Uncorrectable (Fatal) error message received from 0000:81:00.0".
func readAER(f *found, c *fleet.KernelClass) bool {
	at := strings.Index(f.rest, " received")
	if at < 0 || !strings.Contains(f.rest[:at], " error") {
		return false
	}
	c.Severity = severityOf(f.rest[:at])
	c.Text, c.Action = pcieWords[c.Severity][0], pcieWords[c.Severity][1]
	if source := pciAddress(strings.TrimRight(f.rest[strings.LastIndexByte(f.rest, ' ')+1:], ".")); source != "" {
		c.PCI, c.Device = source, ""
	}
	return true
}

func readBusError(f *found, c *fleet.KernelClass) bool {
	c.Severity = severityOf(f.x)
	c.Text, c.Action, c.Follows = pcieWords[c.Severity][0], pcieWords[c.Severity][1], true
	c.Detail = short(between(f.rest, ", type=", ","), 40)
	if f.driver != "pcieport" {
		c.Detail = strings.TrimPrefix(c.Detail+", driver "+f.driver, ", ")
	}
	return true
}

// readIOMMU: the device is "3b:00.0" or "0000:3b:00.0".
func readIOMMU(f *found, c *fleet.KernelClass) bool {
	x := f.x
	if len(x) == len("3b:00.0") {
		x = "0000:" + x
	}
	c.PCI = pciAddress(x)
	return true
}

// readAMDReset: a reset that ended with 0 ended well.
func readAMDReset(f *found, c *fleet.KernelClass) bool {
	if !strings.HasSuffix(f.rest, "= 0") {
		return true
	}
	c.Severity, c.Text, c.Action = fleet.Notice, "", ""
	return follows(f, c)
}

// readServer: the name is one word.
func readServer(f *found, _ *fleet.KernelClass) bool { return f.x != "" && !strings.Contains(f.x, " ") }

// readLustre takes what the target is called: "fs-OST0001-osc-ffff8a3c" is fs-OST0001. Before it may stand the place in the source or a message's number.
func readLustre(f *found, c *fleet.KernelClass) bool {
	name := f.x[strings.LastIndexByte(f.x, ' ')+1:]
	for _, mark := range []string{"-osc-", "-mdc-", "-osp-", "-mgc-"} {
		if i := strings.Index(name, mark); i > 0 {
			name = name[:i]
		}
	}
	if !isName(name) {
		return false
	}
	_, what, _ := strings.Cut(c.Text, ": ")
	c.Text = "Lustre " + short(name, 48) + ": " + what
	return true
}

// readFatal tells "fatal" from "non-fatal".
func readFatal(f *found, c *fleet.KernelClass) bool {
	if !strings.Contains(f.rest, "non-fatal") {
		c.Severity = fleet.Critical
	}
	return true
}
