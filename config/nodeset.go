package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// Bounds of what a node set may ask for. They hold before anything is allocated for it, so a mistyped or hostile
// range costs an error and no memory.
const (
	MaxNodes     = 100_000 // names that all sets given together may stand for, repeats counted
	MaxNameBytes = 512     // bytes of one name: user, host and port
	maxDigits    = 18      // digits of one number in a range: they fit an int64
)

// Groups are the named node sets of the configuration; `@name` stands for the set of that name.
type Groups map[string]string

// Expand gives the names that node sets stand for, in the order written, repeats left out. See Groups.Expand.
func Expand(sets ...string) ([]string, error) { return Groups(nil).Expand(sets...) }

// Expand gives the names that node sets stand for, in the order written, repeats left out.
//
// A set is a list of pieces separated by commas or white space. A piece is a name as ssh takes it (alias, host,
// user@host, host:port, [v6]:port), a name with numbers in brackets (gpu[001-064,070], r[1-4]n[01-08], [0-10/2]),
// or @group. Several brackets stand for every combination, the last one running fastest. A number written with
// leading zeros keeps its width.
//
// An error names the piece and what to write instead. No name that is returned begins with "-" or holds white
// space, a control character or a character that ssh refuses in a host name, so each is safe as one argument of ssh.
func (g Groups) Expand(sets ...string) ([]string, error) {
	e := expansion{groups: g, seen: map[string]struct{}{}}
	for _, set := range sets {
		if err := e.set(set, nil); err != nil {
			return nil, err
		}
	}
	return e.names, nil
}

// expansion gathers names; total counts them before repeats are dropped.
type expansion struct {
	groups Groups
	names  []string
	seen   map[string]struct{}
	total  int
}

// set adds the names of one list; within are the groups that it stands in, outermost first.
func (e *expansion) set(set string, within []string) error {
	pieces, err := splitPieces(set)
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		if strings.HasPrefix(piece, "@") {
			err = e.group(piece, within)
		} else {
			err = e.piece(piece)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *expansion) group(piece string, within []string) error {
	name := piece[1:]
	set, ok := e.groups[name]
	if !ok {
		return fmt.Errorf("node set %q: there is no such group: %s", piece, e.groups.hint(name))
	}
	for _, outer := range within {
		if outer == name {
			return fmt.Errorf("node set %q: the group holds itself (@%s): take it out of its own list",
				piece, strings.Join(append(within, name), " → @"))
		}
	}
	if err := e.set(set, append(within, name)); err != nil {
		return fmt.Errorf("group @%s: %w", name, err)
	}
	return nil
}

func (e *expansion) piece(piece string) error {
	if literal, err := isAddress(piece); err != nil {
		return err
	} else if literal {
		return e.add(piece)
	}
	texts, ranges, err := parsePiece(piece)
	if err != nil {
		return err
	}
	count, width := 1, 0
	for _, text := range texts {
		width += len(text)
	}
	for _, r := range ranges {
		widest, n := r.extent()
		width += widest
		if n > MaxNodes || count*n > MaxNodes {
			return fmt.Errorf("node set %q: more than %d names: name fewer nodes", short(piece), MaxNodes)
		}
		count *= n
	}
	if width > MaxNameBytes {
		return fmt.Errorf("node set %q: its names are longer than %d bytes", short(piece), MaxNameBytes)
	}
	if e.total+count > MaxNodes {
		return fmt.Errorf("node set %q: more than %d names in all: name fewer nodes", short(piece), MaxNodes)
	}
	return e.product(make([]byte, 0, width), piece, texts, ranges)
}

// product adds every combination of the ranges from here on to the name begun in buf.
func (e *expansion) product(buf []byte, piece string, texts []string, ranges []rangeList) error {
	buf = append(buf, texts[0]...)
	if len(ranges) == 0 {
		if err := checkName(piece, string(buf)); err != nil {
			return err
		}
		return e.add(string(buf))
	}
	for _, s := range ranges[0] {
		for i, v := 0, s.first; i < s.count; i, v = i+1, v+s.step {
			if err := e.product(appendPadded(buf, v, s.width), piece, texts[1:], ranges[1:]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *expansion) add(name string) error {
	if e.total++; e.total > MaxNodes {
		return fmt.Errorf("node set: more than %d names in all: name fewer nodes", MaxNodes)
	}
	if _, again := e.seen[name]; !again {
		e.seen[name] = struct{}{}
		e.names = append(e.names, name)
	}
	return nil
}

// splitPieces cuts a list at the commas and white space that stand outside brackets.
func splitPieces(set string) ([]string, error) {
	var pieces []string
	depth, begin := 0, 0
	afterComma := true // a piece must come: at the start and after a comma
	cut := func(end int) {
		if begin < end {
			pieces, afterComma = append(pieces, set[begin:end]), false
		}
		begin = end + 1
	}
	for i := 0; i < len(set); i++ {
		switch c := set[i]; {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth > 0:
		case c == ',':
			if cut(i); afterComma {
				return nil, fmt.Errorf("node set %q: nothing before a comma: take the comma out", short(set))
			}
			afterComma = true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			cut(i)
		}
	}
	if cut(len(set)); len(pieces) == 0 {
		return nil, fmt.Errorf("node set %q: it is empty: name a node, such as gpu[001-064]", set)
	}
	if afterComma {
		return nil, fmt.Errorf("node set %q: nothing after the last comma: take the comma out", short(set))
	}
	return pieces, nil
}

// isAddress says whether a piece is a plain IPv6 address, in brackets or not, rather than a set of numbers.
func isAddress(piece string) (bool, error) {
	_, host, found := strings.Cut(piece, "@")
	if !found {
		host = piece
	}
	if !strings.HasPrefix(host, "[") {
		if address, err := netip.ParseAddr(host); err != nil || !address.Is6() {
			return false, nil
		}
		return true, checkName(piece, piece)
	}
	inner, after, closed := strings.Cut(host[1:], "]")
	if !strings.Contains(inner, ":") {
		return false, nil
	}
	if !closed {
		return false, fmt.Errorf(`node set %q: "[" is never closed: write [address]:port`, short(piece))
	}
	address, err := netip.ParseAddr(inner)
	if err != nil || !address.Is6() {
		return false, fmt.Errorf("node set %q: %q is not an IPv6 address", short(piece), inner)
	}
	if port, has := strings.CutPrefix(after, ":"); after != "" && (!has || !isPort(port)) {
		return false, fmt.Errorf("node set %q: after the address comes a port: write [%s]:22", short(piece), inner)
	}
	return true, checkName(piece, strings.TrimSuffix(piece, host)+inner+after)
}

// checkName refuses what ssh would refuse, or could take for an option.
func checkName(piece, name string) error {
	user, host, hasUser := strings.Cut(name, "@")
	if !hasUser {
		user, host = "", name
	}
	switch {
	case strings.HasPrefix(name, "-"), strings.HasPrefix(host, "-"):
		return fmt.Errorf(`node set %q: a node's name cannot begin with "-"`, short(piece))
	case host == "", hasUser && user == "":
		return fmt.Errorf("node set %q: user and host are both needed around @: write user@host", short(piece))
	case len(name) > MaxNameBytes:
		return fmt.Errorf("node set %q: the name is longer than %d bytes", short(piece), MaxNameBytes)
	}
	for _, r := range name {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar || strings.ContainsRune("'`\"$\\/;&<>|(){}[]!*?#,", r) {
			return fmt.Errorf("node set %q: %q cannot stand in a node's name", short(piece), r)
		}
	}
	if _, port, has := strings.Cut(host, ":"); has && strings.Count(host, ":") == 1 && !isPort(port) {
		return fmt.Errorf("node set %q: %q is not a port: write a number from 1 to 65535", short(piece), port)
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && len(s) <= 5
}

// short keeps an error readable when the set is not.
func short(s string) string {
	if len(s) <= 80 {
		return s
	}
	return s[:60] + "…" + s[len(s)-16:]
}
