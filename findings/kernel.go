package findings

import (
	"strings"

	"foretop/fleet"
	"foretop/telemetry"
)

// ClassifyKernel says what a line of the kernel log means: the zero class for an ordinary one. Text begins with the subject up to ": ", so
// that a line which says that all is well again (Severity Fine, Kind set) names the same subject as the one before.
//
// Formats are the kernel's and the drivers' own (kernel source; open-gpu-kernel-modules). Lines are matched from their beginning wherever the
// format allows, for a process may choose its own name.
func ClassifyKernel(text string) fleet.KernelClass {
	line := stripPrefix(text)
	if len(line) < 8 {
		return fleet.KernelClass{}
	}
	for _, read := range [...]func(string) (fleet.KernelClass, bool){xid, sxid, nvrm, memory, stuck, machine, pcie, storage, remote, network} {
		if c, ok := read(line); ok {
			c.Text = telemetry.Clean(c.Text, 120)
			return c
		}
	}
	return fleet.KernelClass{}
}

// stripPrefix takes off what dmesg or syslog put before a line: "[   12.345678] [ T1946] ", "kernel: ".
func stripPrefix(s string) string {
	for range 4 {
		s = strings.TrimLeft(s, " ")
		switch {
		case strings.HasPrefix(s, "kernel: "):
			s = s[len("kernel: "):]
		case strings.HasPrefix(s, "["):
			end := strings.IndexByte(s, ']')
			if end < 0 || strings.Trim(s[1:end], " .0123456789TC") != "" {
				return s
			}
			s = s[end+1:]
		default:
			return s
		}
	}
	return s
}

// say makes a class.
func say(s fleet.Severity, kind, text string) (fleet.KernelClass, bool) {
	return fleet.KernelClass{Severity: s, Kind: kind, Text: text}, true
}

// sayAt is say with the first PCI address of the line.
func sayAt(s fleet.Severity, kind, text, line string) (fleet.KernelClass, bool) {
	return fleet.KernelClass{Severity: s, Kind: kind, Text: text, PCI: firstPCI(line)}, true
}

func no() (fleet.KernelClass, bool) { return fleet.KernelClass{}, false }

// between is what stands between two marks, shortened; "" when one is missing.
func between(s, from, to string) string {
	_, s, ok := strings.Cut(s, from)
	if !ok {
		return ""
	}
	s, _, ok = strings.Cut(s, to)
	if !ok {
		return ""
	}
	return short(s, 60)
}

// short cuts a part of a line to a bearable length, at a character's edge.
func short(s string, n int) string { return telemetry.Clean(strings.TrimSpace(s), n) }

// firstPCI finds the first dddd:bb:dd.f in a line.
func firstPCI(line string) string {
	for s := line; ; {
		i := strings.IndexByte(s, ':')
		if i < 0 {
			return ""
		}
		if i >= 4 {
			end := min(len(s), i+8)
			if a := pciAddress(s[i-4 : end]); a != "" && strings.Contains(a, ".") {
				return a
			}
		}
		s = s[i+1:]
	}
}

// pciAddress normalises DDDD[DDDD]:bb:dd[.f] to dddd:bb:dd.f in lower case, ".0" where the driver leaves the function out. "" if it is none.
func pciAddress(s string) string {
	s = strings.ToLower(s)
	bus, function, ok := strings.Cut(s, ".")
	if !ok {
		function = "0"
	}
	if len(bus) < 10 || len(bus) > 14 || len(function) != 1 || function[0] < '0' || function[0] > '7' {
		return ""
	}
	domain, rest := bus[:len(bus)-6], bus[len(bus)-6:]
	if rest[0] != ':' || rest[3] != ':' || !isHex(domain) || !isHex(rest[1:3]) || !isHex(rest[4:6]) {
		return ""
	}
	return domain[len(domain)-4:] + rest + "." + function
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
