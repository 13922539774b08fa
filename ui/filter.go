package ui

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"foretop/config"
	"foretop/fleet"
)

// filter chooses rows of type T. All its terms must hold.
type filter[T any] struct{ terms []term[T] }

type term[T any] struct {
	match match
	not   bool
	any   func(T, *match) bool
}

// field is a thing of T that a filter can name. A field of which a row has several (gpu.temp) holds where one of them does.
type field[T any] struct {
	name string
	kind fieldKind
	any  func(T, *match) bool
	// plain says that words without a field are looked for here too.
	plain bool
}

type fieldKind uint8

const (
	wordField fieldKind = iota
	numberField
	bytesField // a number; k M G T stand for powers of 1024, without one it is bytes
)

// match is what a term asks of a value.
type match struct {
	op     string // = != < > <= >=, or "" for containing
	text   string // lower case
	number float64
}

// word says whether a word is what was asked for: equal but for case, with * and ? as in shells.
func (m *match) word(s string) bool {
	if m.op == "" {
		return containsFold(s, m.text)
	}
	if len(s) == len(m.text) && strings.EqualFold(s, m.text) {
		return true
	}
	if !strings.ContainsAny(m.text, "*?[") {
		return false
	}
	ok, err := path.Match(m.text, strings.ReplaceAll(strings.ToLower(s), "/", "\x00"))
	return ok && err == nil
}

// num says whether a number is what was asked for. An absent one never is.
func (m *match) num(r fleet.Reading) bool {
	v := float64(r)
	switch m.op {
	case "=":
		return v == m.number
	case "<":
		return v < m.number
	case ">":
		return v > m.number
	case "<=":
		return v <= m.number
	case ">=":
		return v >= m.number
	}
	return false
}

// containsFold looks for lower, which is in lower case, in s.
func containsFold(s, lower string) bool {
	if len(lower) == 0 {
		return true
	}
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

// parseFilter reads what a person typed: words, which must occur somewhere, !words, which must not, and terms such as user=ann, util<10, gpu.temp>85.
// A term that is not finished yet ("user=") chooses everything.
func parseFilter[T any](s string, fields []field[T]) (filter[T], error) {
	var f filter[T]
	words, err := splitWords(s)
	if err != nil {
		return f, err
	}
	for _, w := range words {
		t, ok, err := parseTerm(w, fields)
		if err != nil {
			return filter[T]{}, err
		}
		if ok {
			f.terms = append(f.terms, t)
		}
	}
	return f, nil
}

// holds says whether a row is chosen.
func (f *filter[T]) holds(row T) bool {
	for i := range f.terms {
		if t := &f.terms[i]; t.any(row, &t.match) == t.not {
			return false
		}
	}
	return true
}

func parseTerm[T any](w string, fields []field[T]) (t term[T], ok bool, err error) {
	name, op, value := splitTerm(w)
	if op == "" {
		return parseWord(w, fields)
	}
	i := indexField(fields, name)
	if i < 0 {
		return t, false, unknownField(name, fields)
	}
	fd := &fields[i]
	t.any, t.match = fd.any, match{op: op, text: strings.ToLower(value)}
	if op == "!=" {
		t.not, t.match.op = true, "="
	}
	if value == "" {
		return t, false, nil
	}
	if fd.kind == wordField {
		if op != "=" && op != "!=" {
			return t, false, fmt.Errorf("%s is a word: write %s=%s", name, name, value)
		}
		return t, true, nil
	}
	if t.match.number, err = parseNumber(value, fd.kind); err != nil {
		return t, false, fmt.Errorf("%s is a number: %w", name, err)
	}
	return t, true, nil
}

// parseWord makes a term of a word without a field.
func parseWord[T any](w string, fields []field[T]) (t term[T], ok bool, err error) {
	text, not := strings.CutPrefix(w, "!")
	if text == "" {
		return t, false, nil
	}
	t.match, t.not = match{text: strings.ToLower(text)}, not
	t.any = func(row T, m *match) bool {
		for i := range fields {
			if fields[i].plain && fields[i].any(row, m) {
				return true
			}
		}
		return false
	}
	return t, true, nil
}

// splitTerm takes name, operator and value apart; op is "" where w is no term.
func splitTerm(w string) (name, op, value string) {
	i := strings.IndexAny(w, "=<>!")
	if i < 1 {
		return "", "", ""
	}
	name, value = strings.ToLower(w[:i]), w[i+1:]
	op = w[i : i+1]
	if strings.HasPrefix(value, "=") {
		op, value = op+"=", value[1:]
	}
	switch op {
	case "==":
		op = "="
	case "!":
		return "", "", ""
	}
	return name, op, value
}

// splitWords cuts at blanks, except within double quotes.
func splitWords(s string) ([]string, error) {
	var words []string
	var b strings.Builder
	quoted, started := false, false
	for _, r := range s {
		switch {
		case r == '"':
			quoted, started = !quoted, true
		case r == ' ' && !quoted:
			if started {
				words = append(words, b.String())
			}
			b.Reset()
			started = false
		default:
			b.WriteRune(r)
			started = true
		}
	}
	if quoted {
		return nil, errors.New(`a " is not closed`)
	}
	if started {
		words = append(words, b.String())
	}
	return words, nil
}

// parseNumber reads 85, 10%, 85C, 700W, 60G.
func parseNumber(s string, kind fieldKind) (float64, error) {
	base := 1000.0
	if kind == bytesField {
		base = 1024
	}
	digits := strings.TrimRight(s, "%°CWBb/siI")
	factor := 1.0
	if n := len(digits); n > 1 {
		if power := strings.IndexByte("kmgt", digits[n-1]|0x20); power >= 0 {
			digits = digits[:n-1]
			for range power + 1 {
				factor *= base
			}
		}
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || v != v {
		return 0, fmt.Errorf("%q is none", s)
	}
	return v * factor, nil
}

func indexField[T any](fields []field[T], name string) int {
	for i := range fields {
		if fields[i].name == name {
			return i
		}
	}
	return -1
}

func unknownField[T any](name string, fields []field[T]) error {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].name
	}
	if near, ok := config.Nearest(name, names); ok {
		return fmt.Errorf("no field %q: did you mean %s?", name, near)
	}
	return fmt.Errorf("no field %q: there are %s", name, strings.Join(names, " "))
}
