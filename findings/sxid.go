package findings

import (
	_ "embed"
	"strconv"
	"strings"

	"foretop/fleet"
)

// sxidCSV lists the codes of NVSwitch errors: the driver's name (open-gpu-kernel-modules, nvswitch error header) and the class that the Fabric Manager
// guide gives it: always_fatal, potentially_fatal, non_fatal; empty where it gives none.
//
//go:embed sxid.csv
var sxidCSV string

// SXid is what an NVSwitch error code is called, and its class.
type SXid struct {
	Code  int
	Name  string // the driver's, in lower case without what all have
	Class string
}

// LookupSXid finds a code; false for one that the driver does not list.
func LookupSXid(code int) (SXid, bool) {
	x, ok := sxidTable()[code]
	return x, ok
}

var sxidTable = embedded("SXid", sxidCSV, parseSXids)

func parseSXids(text string) (map[int]SXid, error) {
	return codeTable(text, func(code int, r []string) (SXid, bool) {
		switch r[2] {
		case "", "always_fatal", "potentially_fatal", "non_fatal":
		default:
			return SXid{}, false
		}
		name := strings.TrimPrefix(strings.TrimPrefix(r[1], "NVSWITCH_ERR_HW_"), "NVSWITCH_ERR_")
		return SXid{Code: code, Name: strings.ToLower(strings.ReplaceAll(name, "_", " ")), Class: r[2]}, true
	})
}

// readSXid reads an NVSwitch's report. Each is three lines; the first tells what it is, and only it counts.
//
//	nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)
func readSXid(f *found, c *fleet.KernelClass) bool {
	code, err := strconv.Atoi(f.n)
	if err != nil || code == 0 || code > 99_999 {
		return false
	}
	x, known := LookupSXid(code)
	c.SXid = code
	word, what, _ := strings.Cut(f.x, ", ")
	switch {
	case word == "Non-fatal":
		c.Severity = fleet.Warning
	case word == "Fatal":
		c.Severity = fleet.Critical
	case strings.HasPrefix(word, "Severity "), strings.HasPrefix(word, "Data "), strings.HasPrefix(word, "Data"):
		c.Severity, c.Detail = fleet.Notice, short(f.x, 60)
		c.Follows, c.Action = true, ""
		return true
	default: // some codes have no such word
		what = f.x
		if c.Severity = fleet.Warning; x.Class == "always_fatal" {
			c.Severity = fleet.Critical
		}
	}
	if x.Class == "always_fatal" {
		c.Severity = fleet.Critical
	}
	if what == "" && known {
		what = x.Name
	}
	c.Text = "NVSwitch SXid " + f.n + ": " + short(what, 60)
	c.Detail = strings.ReplaceAll(x.Class, "_", " ")
	switch {
	case c.Severity == fleet.Critical:
		c.Action = "drain the node; reset its GPUs and NVSwitches together, or reboot it"
	case x.Class == "potentially_fatal":
		c.Action = "restart jobs that fail; reset GPUs and NVSwitches together if it comes again"
	default:
		c.Action = "none; watch the count of that link"
	}
	return true
}
