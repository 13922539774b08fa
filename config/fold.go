package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Fold writes names as node sets, as short as it can exactly: gpu001 … gpu064 is one set gpu[001-064]. Names that
// differ in several numbers fold in each where every combination is there (r[1-4]n[01-08]); user and port are never
// folded. The sets come in the order of their smallest names, each set's numbers ascending, whatever the order of
// the names; repeats are left out. Expanding them gives the same names. Names are as Expand gives them; joined with
// commas the result is one set again.
func Fold(names []string) []string {
	shapes := map[string][]spelled{}
	for _, name := range names {
		s := spell(name)
		shapes[s.shape] = append(shapes[s.shape], s)
	}
	var sets []folded
	for _, members := range shapes {
		slices.SortFunc(members, func(a, b spelled) int { return slices.CompareFunc(a.numbers, b.numbers, compareNumbers) })
		members = slices.CompactFunc(members, func(a, b spelled) bool { return a.name == b.name })
		sets = append(sets, foldFrom(members, 0)...)
	}
	slices.SortFunc(sets, func(a, b folded) int {
		return cmp.Or(CompareNames(a.first, b.first), cmp.Compare(a.text, b.text))
	})
	texts := make([]string, len(sets))
	for i, set := range sets {
		texts[i] = set.text
	}
	return texts
}

// spelled is a name taken apart: texts[0] numbers[0] texts[1] … texts[len(numbers)]. Names of one shape have the
// same texts.
type spelled struct {
	name, shape    string
	texts, numbers []string
}

// folded is a set and the smallest of its names.
type folded struct{ text, first string }

// spell takes a name apart at the numbers of its host. User, port, addresses with colons, and numbers too long for a
// range stay text.
func spell(name string) spelled {
	begin := strings.IndexByte(name, '@') + 1
	end := len(name)
	if colon := strings.IndexByte(name[begin:], ':'); colon >= 0 {
		end = begin + colon
		if strings.IndexByte(name[end+1:], ':') >= 0 {
			end = begin // an IPv6 address
		}
	}
	s := spelled{name: name}
	textFrom := 0
	for i := begin; i < end; {
		if !isDigit(name[i]) {
			i++
			continue
		}
		j := digitsEnd(name[:end], i)
		if j-i <= maxDigits {
			s.texts = append(s.texts, name[textFrom:i])
			s.numbers = append(s.numbers, name[i:j])
			textFrom = j
		}
		i = j
	}
	s.texts = append(s.texts, name[textFrom:])
	s.shape = strings.Join(s.texts, "\x00")
	return s
}

// foldFrom folds members of one shape, ascending and without repeats, that agree in the numbers before the d-th. What
// it gives lacks what stands before texts[d].
func foldFrom(members []spelled, d int) []folded {
	text := members[0].texts[d]
	if d == len(members[0].numbers) {
		return []folded{{text, text}}
	}
	if tail := members[0].texts[d+1]; d+1 == len(members[0].numbers) { // most names have one number: no map for them
		values := make([]string, len(members))
		for i, member := range members {
			values[i] = member.numbers[d]
		}
		return []folded{{text + formatNumbers(values) + tail, text + values[0] + tail}}
	}
	type product struct {
		tail   folded
		values []string // the d-th numbers that this tail stands behind, ascending
	}
	var products []*product
	byTail := map[string]*product{}
	for n := 0; len(members) > 0; members = members[n:] {
		value := members[0].numbers[d]
		for n = 1; n < len(members) && members[n].numbers[d] == value; n++ {
		}
		for _, tail := range foldFrom(members[:n], d+1) {
			p := byTail[tail.text]
			if p == nil {
				p = &product{tail: tail}
				byTail[tail.text] = p
				products = append(products, p)
			}
			p.values = append(p.values, value)
		}
	}
	sets := make([]folded, len(products))
	for i, p := range products {
		sets[i] = folded{text + formatNumbers(p.values) + p.tail.text, text + p.values[0] + p.tail.first}
	}
	return sets
}

// formatNumbers writes ascending numbers as the inside of brackets with them, or as the plain number when it is one.
func formatNumbers(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	out := []byte{'['}
	for i := 0; i < len(values); {
		j := i
		for j+1 < len(values) && follows(values[j], values[j+1], len(values[i])) {
			j++
		}
		if i > 0 {
			out = append(out, ',')
		}
		if out = append(out, values[i]...); j > i {
			out = append(append(out, '-'), values[j]...)
		}
		i = j + 1
	}
	return string(append(out, ']'))
}

// follows says whether next is the number after n, written with width.
func follows(n, next string, width int) bool {
	v, _ := strconv.ParseInt(n, 10, 64)
	var buf [maxDigits + 2]byte
	return string(appendPadded(buf[:0], v+1, width)) == next
}

// CompareNames orders names as a person does: gpu2 before gpu10. It is a total order: numbers of one value go by
// their width, gpu1 before gpu01.
func CompareNames(a, b string) int {
	for i, j := 0, 0; ; {
		switch {
		case i == len(a) || j == len(b):
			return cmp.Compare(len(a)-i, len(b)-j)
		case isDigit(a[i]) && isDigit(b[j]):
			m, n := digitsEnd(a, i), digitsEnd(b, j)
			if c := compareNumbers(a[i:m], b[j:n]); c != 0 {
				return c
			}
			i, j = m, n
		case a[i] != b[j]:
			return cmp.Compare(a[i], b[j])
		default:
			i, j = i+1, j+1
		}
	}
}

func compareNumbers(a, b string) int {
	x, y := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y), cmp.Compare(len(a), len(b)))
}

func digitsEnd(s string, i int) int {
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
