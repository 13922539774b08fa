package jobs

import (
	"strconv"
	"strings"
)

// expandHosts names the hosts of a list as Slurm writes it, "gpu[001-032,40],login1", in its order: as far as it can be read, and max of them. n is how many the
// list has, though more than max.
func expandHosts(list string, max int) (hosts []string, n int) {
	for list != "" && n < MaxWorld {
		item := list
		depth := 0
		for i := range len(list) {
			if list[i] == '[' {
				depth++
			} else if list[i] == ']' {
				depth--
			} else if list[i] == ',' && depth <= 0 {
				item = list[:i]
				break
			}
		}
		list = strings.TrimPrefix(list[len(item):], ",")
		if item = strings.TrimSpace(item); item == "" || len(item) > 1<<12 || strings.Contains(item, "…") {
			continue
		}
		hosts, n = expandItem(hosts, n, "", item, max, 0)
	}
	return hosts, n
}

// expandItem adds the names of one item, "r[1-2]n[01-04]-ib". What is no list of numbers in brackets adds nothing.
func expandItem(hosts []string, n int, before, item string, max, depth int) ([]string, int) {
	head, rest, ok := strings.Cut(item, "[")
	if !ok {
		if n++; len(hosts) < max {
			hosts = append(hosts, before+item)
		}
		return hosts, n
	}
	ranges, tail, ok := strings.Cut(rest, "]")
	if !ok || depth == 4 || len(before)+len(item) > 1<<12 {
		return hosts, n
	}
	var room [8]byte
	name := make([]byte, 0, len(before)+len(head)+len(room))
	for part := range strings.SplitSeq(ranges, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		lo, ok := parseIndex(from)
		hi, ok2 := parseIndex(to)
		if !ok || !ok2 || hi < lo || hi-lo >= 1<<16 {
			continue
		}
		for i := lo; i <= hi && n < 1<<17; i++ {
			if len(hosts) >= max && tail == "" {
				n += hi - i + 1
				break
			}
			digits := strconv.AppendInt(room[:0], int64(i), 10)
			name = append(append(name[:0], before...), head...)
			for pad := len(digits); from[0] == '0' && pad < len(from); pad++ {
				name = append(name, '0')
			}
			hosts, n = expandItem(hosts, n, string(append(name, digits...)), tail, max, depth+1)
		}
	}
	return hosts, n
}

// hostOf is the host of an address: "h:2222", "[::1]:2222", "::1" and "h" alone.
func hostOf(address string) string {
	if rest, ok := strings.CutPrefix(address, "["); ok {
		host, _, _ := strings.Cut(rest, "]")
		return host
	}
	if host, _, ok := strings.Cut(address, ":"); ok && strings.Count(address, ":") == 1 {
		return host
	}
	return address
}
