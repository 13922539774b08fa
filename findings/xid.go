package findings

import (
	_ "embed"
	"encoding/csv"
	"strconv"
	"strings"
	"sync"

	"foretop/fleet"
)

// xidCSV is the Xid table: code, name in our words, severity, what to do. Codes, classes and actions follow NVIDIA's Xid catalogue
// (https://docs.nvidia.com/deploy/xid-errors/); codes that it calls unused are left out. What an application does to itself (13, 31, 43, 45)
// is a notice; of the codes without a published action those that name lost data or a dead link (167, 171, 172, 173) are critical.
//
//go:embed xid.csv
var xidCSV string

// Xid is what an Xid code means.
type Xid struct {
	Code     int
	Name     string // "fell off the bus"
	Severity fleet.Severity
	Action   string // "reboot the node"; "none"
}

// LookupXid finds a code's meaning; false for one that NVIDIA's catalogue does not list.
func LookupXid(code int) (Xid, bool) {
	x, ok := xidTable()[code]
	return x, ok
}

var xidTable = sync.OnceValue(func() map[int]Xid {
	table, err := parseXids(xidCSV)
	if err != nil {
		panic("embedded Xid table: " + err.Error()) // a test reads it
	}
	return table
})

func parseXids(text string) (map[int]Xid, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	severities := map[string]fleet.Severity{}
	for s := fleet.Notice; s <= fleet.Critical; s++ {
		severities[s.String()] = s
	}
	table := make(map[int]Xid, len(rows))
	for _, r := range rows[1:] {
		code, err := strconv.Atoi(r[0])
		if err != nil {
			return nil, err
		}
		s, ok := severities[r[2]]
		if !ok {
			return nil, strconv.ErrSyntax
		}
		table[code] = Xid{Code: code, Name: r[1], Severity: s, Action: r[3]}
	}
	return table, nil
}

// xid reads the driver's report (open-gpu-kernel-modules, src/nvidia/src/kernel/gpu/rc/kernel_rc.c, krcReportXid):
//
//	NVRM: Xid (PCI:0000:3b:00 GPU-I:01 GPU-CI:00): 79, pid=1234, name=python, GPU has fallen off the bus.
//
// Old drivers leave out "PCI:", pid and name.
func xid(line string) (fleet.KernelClass, bool) {
	rest, ok := strings.CutPrefix(line, "NVRM: Xid (")
	if !ok {
		return fleet.KernelClass{}, false
	}
	where, what, ok := strings.Cut(rest, "): ")
	if !ok {
		return fleet.KernelClass{}, false
	}
	digits := what[:len(what)-len(strings.TrimLeft(what, "0123456789"))]
	code, err := strconv.Atoi(digits)
	if err != nil || code > 9999 {
		return fleet.KernelClass{}, false
	}
	where, _, _ = strings.Cut(strings.TrimPrefix(where, "PCI:"), " ")
	x, known := LookupXid(code)
	if !known {
		x = Xid{Code: code, Name: "unknown to us", Severity: fleet.Warning}
	}
	c := fleet.KernelClass{Kind: "xid", Xid: code, Severity: x.Severity, PCI: pciAddress(where)}
	switch {
	case code == 154:
		x.Name, c.Severity = recoveryAction(what)
	case code >= 144 && code <= 150 && strings.Contains(what, "Nonfatal"):
		c.Severity = fleet.Warning
	}
	c.Text = "Xid " + digits + ": " + x.Name
	return c, true
}

// recoveryAction reads Xid 154, the driver's verdict: "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)".
func recoveryAction(what string) (string, fleet.Severity) {
	at := strings.LastIndex(what, " (")
	if at < 0 || !strings.HasSuffix(strings.TrimRight(what, "."), ")") {
		return "recovery action changed", fleet.Warning
	}
	action := strings.TrimRight(what[at+2:], ".)")
	if action == "None" {
		return "nothing to be done any more", fleet.Notice
	}
	return "driver asks: " + strings.ToLower(action), fleet.Critical
}

// sxid reads an NVSwitch's report. Each is three lines; the first tells what it is.
//
//	nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)
func sxid(line string) (fleet.KernelClass, bool) {
	if !strings.HasPrefix(line, "nvidia-nvswitch") {
		return fleet.KernelClass{}, false
	}
	_, rest, ok := strings.Cut(line, ": SXid (PCI:")
	if !ok {
		return fleet.KernelClass{}, false
	}
	where, what, _ := strings.Cut(rest, "): ")
	code, what, _ := strings.Cut(what, ", ")
	c := fleet.KernelClass{Kind: "sxid", PCI: pciAddress(where)}
	switch {
	case strings.HasPrefix(what, "Non-fatal"):
		c.Severity = fleet.Warning
	case strings.HasPrefix(what, "Fatal"):
		c.Severity = fleet.Critical
	default: // its severity and data follow on lines of their own
		return c, true
	}
	_, what, _ = strings.Cut(what, ", ")
	c.Text = "NVSwitch SXid " + short(code, 8) + ": " + short(what, 60)
	return c, true
}
