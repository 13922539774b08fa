package findings

import (
	"strings"

	"foretop/fleet"
	"foretop/telemetry"
)

const maxKernelText = 120 // of a class's text

// ClassifyKernel says what a line of the kernel log means: the zero class for an ordinary one. Text begins with the subject up to ": ", so
// that a line which says that all is well again (Severity Fine, Kind set) names the same subject as the one before.
//
// Formats are the kernel's and the drivers' own (kernel source; open-gpu-kernel-modules; lustre). What they mean stands in tables: see [rule]. Lines are
// matched from their beginning, for a process may choose its own name: the few that begin with one are held against the words after it, which it cannot choose.
func ClassifyKernel(text string) fleet.KernelClass {
	line := stripPrefix(text)
	if len(line) < 8 {
		return fleet.KernelClass{}
	}
	c, _ := matcher().classify(line)
	if len(c.Text) > maxKernelText || !telemetry.IsClean([]byte(c.Text)) {
		c.Text = telemetry.Clean(c.Text, maxKernelText)
	}
	return c
}

// stripPrefix takes off what dmesg, syslog or journalctl put before a line: "[   12.345678] [ T1946] ", "kernel: ", "Nov 23 03:00:00 gpu017 kernel: ".
func stripPrefix(s string) string {
	for range 4 {
		s = strings.TrimLeft(s, " ")
		if s == "" {
			return s
		}
		switch c := s[0]; {
		case c == '<' && len(s) > 2: // the level, as dmesg -r writes it
			end := strings.IndexByte(s[:min(len(s), 6)], '>')
			if end < 0 || strings.Trim(s[1:end], "0123456789") != "" {
				return s
			}
			s = s[end+1:]
		case c == 'k' && strings.HasPrefix(s, "kernel: "):
			s = s[len("kernel: "):]
		case c == '[':
			end := strings.IndexByte(s, ']')
			if end < 0 || strings.Trim(s[1:end], " .0123456789TC") != "" {
				return s
			}
			s = s[end+1:]
		case c >= 'A' && c <= 'S' && len(s) > 16 && s[3] == ' ' && s[6] == ' ' && s[9] == ':' && s[12] == ':', // Nov 23 03:00:00
			c == '2' && len(s) > 20 && s[4] == '-' && s[7] == '-' && s[10] == 'T' && s[13] == ':': // 2026-11-23T03:00:00.000000+01:00
			_, rest, ok := strings.Cut(s, " kernel: ")
			if !ok || strings.Count(s[:len(s)-len(rest)], " ") > 6 {
				return s
			}
			s = rest
		default:
			return s
		}
	}
	return s
}

// short cuts a part of a line to a bearable length, at a character's edge.
func short(s string, n int) string { return telemetry.Clean(strings.TrimSpace(s), n) }

// pciAddress normalises DDDD[DDDD]:bb:dd[.f] to dddd:bb:dd.f in lower case, ".0" where the driver leaves the function out. "" if it is none.
func pciAddress(s string) string {
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
	return strings.ToLower(domain[len(domain)-4:] + rest + "." + function)
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return s != ""
}
