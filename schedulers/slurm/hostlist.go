package slurm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	maxDigits   = 18      // of a number in a name that is counted
	maxBrackets = 8       // in one item
	maxList     = 1 << 20 // bytes of a list
)

// Expand names the nodes of a host list as Slurm writes it: "gpu[001-032,40],login1", several brackets in a name ("r[1-2]n[1-4]-ib") included, in the list's
// order. More than max names, or what is no host list, is an error and no name at all.
func Expand(list string, max int) ([]string, error) {
	if len(list) > maxList {
		return nil, fmt.Errorf("host list %s: longer than %d bytes", quoted(list), maxList)
	}
	var out []string
	for rest := list; rest != ""; {
		item, after, err := cutItem(rest)
		if err != nil {
			return nil, fmt.Errorf("host list %s: %w", quoted(list), err)
		}
		rest = after
		if item == "" {
			continue
		}
		if strings.Count(item, "[") > maxBrackets {
			return nil, fmt.Errorf("host list %s: more than %d brackets in a name", quoted(list), maxBrackets)
		}
		if out, err = expandItem(out, "", item, max); err != nil {
			return nil, fmt.Errorf("host list %s: %w", quoted(list), err)
		}
	}
	return out, nil
}

// cutItem cuts a list at its first comma outside brackets.
func cutItem(list string) (item, rest string, err error) {
	open := false
	for i := range len(list) {
		switch c := list[i]; {
		case c == '[' && open:
			return "", "", errors.New("a bracket in a bracket")
		case c == '[':
			open = true
		case c == ']' && !open:
			return "", "", errors.New("a bracket closes that was not open")
		case c == ']':
			open = false
		case c == ',' && !open:
			return list[:i], list[i+1:], nil
		}
	}
	if open {
		return "", "", errors.New("a bracket is not closed")
	}
	return list, "", nil
}

// expandItem appends the names of one item, whose brackets are known to be in order, after what stands before them.
func expandItem(out []string, before, item string, max int) ([]string, error) {
	text, rest, brackets := strings.Cut(item, "[")
	before += text
	if !brackets {
		if len(out) >= max {
			return nil, fmt.Errorf("more than %d nodes", max)
		}
		return append(out, before), nil
	}
	ranges, rest, _ := strings.Cut(rest, "]")
	for r := range strings.SplitSeq(ranges, ",") {
		first, last, isRange := strings.Cut(r, "-")
		if !isRange {
			last = first
		}
		lo, err1 := number(first)
		hi, err2 := number(last)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if hi < lo {
			return nil, fmt.Errorf("%s runs backwards", quoted(r))
		}
		if hi-lo >= int64(max) {
			return nil, fmt.Errorf("more than %d nodes", max)
		}
		for n := lo; n <= hi; n++ {
			digits := strconv.FormatInt(n, 10)
			if pad := len(first) - len(digits); pad > 0 {
				digits = strings.Repeat("0", pad) + digits
			}
			var err error
			if out, err = expandItem(out, before+digits, rest, max); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func number(s string) (int64, error) {
	if s == "" || len(s) > maxDigits || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%s is no number", quoted(s))
	}
	return strconv.ParseInt(s, 10, 64)
}

func quoted(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strconv.Quote(s)
}

// counted is a node's name around its last number.
type counted struct {
	before, after string
	width         int // digits of the number; 0: it has none
	number        int64
}

// ranged is a run of names that differ in their number.
type ranged struct {
	counted
	last      int64
	lastWidth int
}

// Fold writes host names as a host list: sorted, each once, names that differ in their last number folded into one item. Expand undoes it.
func Fold(names []string) string {
	all := make([]counted, 0, len(names))
	for _, name := range names {
		if name != "" {
			all = append(all, count(name))
		}
	}
	slices.SortFunc(all, func(a, b counted) int {
		return cmp.Or(strings.Compare(a.before, b.before), strings.Compare(a.after, b.after), cmp.Compare(a.width, b.width), cmp.Compare(a.number, b.number))
	})
	var runs []ranged
	for i, c := range all {
		if i > 0 && c == all[i-1] {
			continue
		}
		if n := len(runs); n > 0 && follows(runs[n-1], c) {
			runs[n-1].last, runs[n-1].lastWidth = c.number, c.width
			continue
		}
		runs = append(runs, ranged{c, c.number, c.width})
	}
	var out strings.Builder
	for i := 0; i < len(runs); {
		j := i + 1
		for j < len(runs) && runs[j].width > 0 && runs[i].width > 0 && runs[j].before == runs[i].before && runs[j].after == runs[i].after {
			j++
		}
		if out.Len() > 0 {
			out.WriteByte(',')
		}
		writeItem(&out, runs[i:j])
		i = j
	}
	return out.String()
}

func count(name string) counted {
	end := strings.LastIndexAny(name, "0123456789") + 1
	start := end
	for start > 0 && name[start-1] >= '0' && name[start-1] <= '9' {
		start--
	}
	n, err := number(name[start:end])
	if err != nil {
		return counted{before: name}
	}
	return counted{name[:start], name[end:], end - start, n}
}

// follows says whether a name continues a run: the next number, in as many digits or, where none is padded, in one more.
func follows(r ranged, c counted) bool {
	if c.width == 0 || r.width == 0 || r.before != c.before || r.after != c.after || c.number != r.last+1 {
		return false
	}
	return c.width == r.lastWidth || len(strconv.FormatInt(r.number, 10)) == r.width && len(strconv.FormatInt(c.number, 10)) == c.width
}

func writeItem(out *strings.Builder, runs []ranged) {
	first := runs[0]
	out.WriteString(first.before)
	if first.width == 0 {
		return
	}
	if len(runs) == 1 && first.number == first.last {
		fmt.Fprintf(out, "%0*d%s", first.width, first.number, first.after)
		return
	}
	for i, r := range runs {
		out.WriteByte("[,"[min(i, 1)])
		fmt.Fprintf(out, "%0*d", r.width, r.number)
		if r.last > r.number {
			fmt.Fprintf(out, "-%0*d", r.lastWidth, r.last)
		}
	}
	out.WriteString("]" + first.after)
}
