package nvml

import "strings"

// badField is the name in `Field "NAME" is not a valid field to query.`, "" where the line says no such thing.
func badField(line string) string {
	for {
		_, after, found := strings.Cut(line, `Field "`)
		name, rest, closed := strings.Cut(after, `"`)
		if !found || !closed {
			return ""
		}
		if name != "" && len(name) <= 64 && strings.HasPrefix(rest, " is not a valid field") {
			return name
		}
		line = after
	}
}

// pciIn is the first PCI address in a line, as it is written there: 00000000:3B:00.0 or 0000:3b:00.0; "" for none.
func pciIn(line string) string {
	for at := 0; at < len(line); at++ {
		if at > 0 && isWord(line[at-1]) {
			continue
		}
		if n := pciLength(line[at:]); n > 0 {
			return line[at : at+n]
		}
	}
	return ""
}

// pciLength is how long the PCI address is with which s begins, 0 where it does not.
func pciLength(s string) int {
	domain := 0
	for domain < len(s) && isHex(s[domain]) {
		domain++
	}
	n := domain + len(":3b:00.0")
	if domain < 4 || domain > 8 || len(s) < n || len(s) > n && isWord(s[n]) {
		return 0
	}
	rest := s[domain:n]
	if rest[0] != ':' || !isHex(rest[1]) || !isHex(rest[2]) || rest[3] != ':' || !isHex(rest[4]) || !isHex(rest[5]) || rest[6] != '.' || rest[7] < '0' || rest[7] > '7' {
		return 0
	}
	return n
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_'
}
