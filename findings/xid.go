package findings

import (
	_ "embed"
	"strconv"
	"strings"

	"foretop/fleet"
)

// xidCSV is the Xid table: code, name in our words, severity, likely cause, what to do. Codes, classes and actions follow NVIDIA's Xid catalogue
// (https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html) and, beyond it, the driver's own list (nverror.h). What an application does to
// itself (13, 31, 43, 45) is a notice; of the codes without a published action those that name lost data or a dead link (167, 171, 172, 173) are critical.
// The cause is ours, from the catalogue's words; codes that it calls unused belong to GPUs before Ampere.
//
//go:embed xid.csv
var xidCSV string

// Xid is what an Xid code means.
type Xid struct {
	Code     int
	Name     string // "fell off the bus"
	Severity fleet.Severity
	Cause    fleet.Cause
	Action   string // "reboot the node"; "none"
}

// LookupXid finds a code's meaning; false for one that neither NVIDIA's catalogue nor its driver lists.
func LookupXid(code int) (Xid, bool) {
	x, ok := xidTable()[code]
	return x, ok
}

var xidTable = embedded("Xid", xidCSV, parseXids)

func parseXids(text string) (map[int]Xid, error) {
	return codeTable(text, func(code int, r []string) (Xid, bool) {
		s, ok := severityNamed(r[2])
		cause, known := causeNamed(r[3])
		return Xid{Code: code, Name: r[1], Severity: s, Cause: cause, Action: r[4]}, ok && known
	})
}

func severityNamed(word string) (fleet.Severity, bool) {
	for s := fleet.Notice; s <= fleet.Critical; s++ {
		if s.String() == word {
			return s, true
		}
	}
	return 0, false
}

func causeNamed(word string) (fleet.Cause, bool) {
	for c := fleet.CauseUnknown; c <= fleet.Environment; c++ {
		if c.String() == word {
			return c, true
		}
	}
	return 0, false
}

// readXid reads the driver's report (open-gpu-kernel-modules, src/nvidia/src/kernel/gpu/rc/kernel_rc.c, krcReportXid):
//
//	NVRM: Xid (PCI:0000:3b:00 GPU-I:01 GPU-CI:00): 79, pid=1234, name=python, GPU has fallen off the bus.
//
// Old drivers leave out "PCI:", pid and name. No process can have a name that reads so: it has no room for the address.
func readXid(f *found, c *fleet.KernelClass) bool {
	where, what, ok := strings.Cut(f.rest[len("NVRM: Xid ("):], "): ")
	if !ok {
		return false
	}
	where, instance, _ := strings.Cut(strings.TrimPrefix(where, "PCI:"), " ")
	digits := what[:len(what)-len(strings.TrimLeft(what, "0123456789"))]
	code, err := strconv.Atoi(digits)
	if c.PCI = pciAddress(where); c.PCI == "" || err != nil || code == 0 || code > 9999 || len(what) > len(digits) && what[len(digits)] != ',' {
		return false
	}
	what = strings.TrimPrefix(strings.TrimPrefix(what[len(digits):], ","), " ")
	if mig, ok := strings.CutPrefix(instance, "GPU-I:"); ok {
		mig, part, _ := strings.Cut(mig, " GPU-CI:")
		c.MIG, c.MIGPart = instanceOf(mig), instanceOf(part)
	}
	x, known := LookupXid(code)
	if !known {
		x = Xid{Code: code, Name: "unknown to us", Severity: fleet.Warning, Action: "look the code up in NVIDIA's Xid catalogue"}
	}
	c.Xid, c.Severity, c.Cause, c.Action = code, x.Severity, x.Cause, x.Action
	what = readXidProcess(what, c)
	switch {
	case code == 13:
		readException(what, c)
	case code == 31:
		if _, kind, ok := strings.Cut(what, " Fault is of type "); ok {
			c.Detail = short(kind, 60)
		}
	case code == 154:
		x.Name, c.Severity, c.Action = recoveryAction(what)
	case code == 45:
		if _, previous, ok := strings.Cut(what, " caused by previous Xid "); ok {
			c.Detail = "caused by previous Xid " + short(previous, 5)
		}
	case code >= 144 && code <= 150:
		readLink(what, c)
	}
	c.Text = "Xid " + digits + ": " + x.Name
	if c.Unit != "" {
		c.Text += ", " + c.Unit
	}
	if c.MIG > 0 {
		c.Text += " (MIG " + strconv.Itoa(c.MIG-1) + ")"
	}
	return true
}

// readException reads what a kernel did wrong. One fault is many lines: for each SM "Graphics SM Warp Exception on (GPC 1, TPC 4, SM 0): Misaligned Address" and one of its registers,
// at the end one of the channel, which with R580 is the only one that names the process (seen on an H100).
func readException(what string, c *fleet.KernelClass) {
	c.Follows = true
	if _, kind, ok := strings.Cut(what, " Exception on ("); ok {
		if _, kind, ok = strings.Cut(kind, "): "); ok {
			c.Detail = short(kind, 60)
		}
	}
}

// instanceOf is the number of a MIG instance plus one; 0 for none.
func instanceOf(s string) int {
	if n, err := strconv.ParseUint(s, 10, 8); err == nil {
		return int(n) + 1
	}
	return 0
}

// readXidProcess takes "pid=1234, name=python, " off; older drivers write '<unknown>' where they do not know.
func readXidProcess(what string, c *fleet.KernelClass) string {
	rest, ok := strings.CutPrefix(what, "pid=")
	if !ok {
		return what
	}
	pid, rest, _ := strings.Cut(rest, ", ")
	if n, err := strconv.ParseInt(strings.Trim(pid, "'"), 10, 32); err == nil {
		c.PID = int32(n)
	}
	if name, ok := strings.CutPrefix(rest, "name="); ok {
		name, rest, _ = strings.Cut(name, ", ")
		if !strings.HasPrefix(name, "<unknown>") {
			c.Process = short(name, 32)
		}
	}
	return rest
}

// recoveryAction reads Xid 154, the driver's verdict: "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)" (gpu.c).
func recoveryAction(what string) (name string, s fleet.Severity, action string) {
	at := strings.LastIndex(what, " (")
	if at < 0 || !strings.HasSuffix(strings.TrimRight(what, "."), ")") {
		return "recovery action changed", fleet.Warning, "see the line"
	}
	verdict := strings.TrimRight(what[at+2:], ".)")
	if verdict == "None" {
		return "nothing to be done any more", fleet.Notice, "none"
	}
	name = "driver asks: " + short(strings.ToLower(verdict), 40)
	switch verdict {
	case "GPU Reset Required":
		action = "drain the node and reset the GPU"
	case "Node Reboot Required", "System Reboot":
		action = "drain and reboot the node"
	case "Drain and Reset":
		action = "let jobs end, then reset the GPU"
	case "Drain P2P":
		action = "let jobs that use peer-to-peer end; the GPU works on alone"
	case "Recover IMEX Domain":
		action = "restart IMEX on the domain's nodes"
	default:
		action = "do as the line says"
	}
	return name, fleet.Critical, action
}
