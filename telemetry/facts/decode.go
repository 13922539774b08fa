package facts

import (
	"unicode/utf8"

	"foretop/telemetry"
)

// What can be wrong with a message.
const (
	cutShort = "field cut short"
	tooMany  = "too many fields"
	tooDeep  = "nested too deep"
	tooLong  = "list too long"
	tooLarge = "more than its bytes warrant"
	notUTF8  = "text that is not UTF-8"
)

// What things take of memory, roughly and rather too much.
const (
	fieldMemory = 16 // a field of a message; only a list takes 24
	mapMemory   = 400
	entryMemory = 64
)

// decoder takes one payload apart.
type decoder struct {
	fields int // that may still come
	memory int // bytes of it that may still be taken
	groups int // within which it is
	words  words
}

// field is one as it came: a number, or a body; neither for a type that no message of ours has.
type field struct {
	n, wire int
	number  uint64
	body    []byte
}

// next cuts a field off b. wrong says what is wrong with it, "" for nothing.
func (d *decoder) next(b []byte) (f field, rest []byte, wrong string) {
	if d.fields--; d.fields < 0 {
		return f, nil, tooMany
	}
	if f.n, f.wire, rest = takeTag(b); rest == nil {
		return f, nil, cutShort
	}
	switch f.wire {
	case wireVarint:
		f.number, rest = takeVarint(rest)
	case wireBytes:
		f.body, rest = takeBytes(rest)
	case wire4Bytes:
		rest = take(rest, 4)
	case wire8Bytes:
		rest = take(rest, 8)
	case wireGroup:
		return d.group(f, rest)
	case wireEndOf:
	default:
		rest = nil
	}
	if rest == nil {
		return f, nil, cutShort
	}
	return f, rest, ""
}

// group skips what is in a group that has begun, and its end.
func (d *decoder) group(f field, b []byte) (_ field, rest []byte, wrong string) {
	if d.groups++; d.groups > maxDepth {
		return f, nil, tooDeep
	}
	defer func() { d.groups-- }()
	for {
		inner, rest, wrong := d.next(b)
		switch {
		case wrong != "":
			return f, nil, wrong
		case inner.wire == wireEndOf && inner.n != f.n:
			return f, nil, cutShort
		case inner.wire == wireEndOf:
			return f, rest, ""
		}
		b = rest
	}
}

// message fills m, and returns what is wrong in words of the message where it is, "" for nothing.
func (d *decoder) message(b []byte, m Message, depth int) (wrong string) {
	name, fields := m.shape()
	if depth == 0 {
		return name + ": " + tooDeep
	}
	if d.memory -= fieldMemory * (fields + 1); d.memory < 0 { // one for its place in a list
		return name + ": " + tooLarge
	}
	for len(b) > 0 {
		var f field
		f, b, wrong = d.next(b)
		switch {
		case wrong == "" && f.wire == wireEndOf:
			wrong = cutShort
		case wrong == "" && f.wire == wireVarint:
			setNumber(m.field(f.n, false), f.number)
		case wrong == "" && f.wire == wireBytes:
			switch v := m.field(f.n, true).(type) {
			case list:
				if wrong = d.message(f.body, v.add(), depth-1); wrong != "" {
					return wrong
				}
			case Message:
				if wrong = d.message(f.body, v, depth-1); wrong != "" {
					return wrong
				}
			default:
				wrong = d.value(f.body, v, depth)
			}
		}
		if wrong != "" {
			return name + ": " + wrong
		}
	}
	return ""
}

// value puts a body that is no message where it belongs; where none does, it is dropped.
func (d *decoder) value(body []byte, where any, depth int) (wrong string) {
	switch v := where.(type) {
	case *string:
		*v, wrong = d.text(body, maxString)
	case *[]int32:
		if len(body) > maxElements {
			return tooLong
		}
		for len(body) > 0 {
			x, rest := takeVarint(body)
			if rest == nil {
				return cutShort
			}
			*v, body = append(*v, int32(x)), rest
		}
	case *map[string]string:
		if depth == 1 {
			return tooDeep
		}
		if *v == nil {
			d.memory -= mapMemory
			*v = make(map[string]string)
		}
		if d.memory -= entryMemory; d.memory < 0 {
			return tooLarge
		}
		return d.entry(body, *v)
	}
	return wrong
}

// entry takes a key and a value. A key that is not clean is dropped: no real one is.
func (d *decoder) entry(b []byte, m map[string]string) (wrong string) {
	var key, value string
	isClean := true
	for len(b) > 0 {
		var f field
		switch f, b, wrong = d.next(b); {
		case wrong == "" && f.wire == wireEndOf:
			wrong = cutShort
		case wrong == "" && f.wire == wireBytes && f.n == 1:
			key, wrong = d.text(f.body, telemetry.MaxEnvValueBytes)
			isClean = key == string(f.body)
		case wrong == "" && f.wire == wireBytes && f.n == 2:
			value, wrong = d.text(f.body, telemetry.MaxEnvValueBytes)
		}
		if wrong != "" {
			return wrong
		}
	}
	if isClean {
		m[key] = value
	}
	return ""
}

func (d *decoder) text(b []byte, limit int) (text, wrong string) {
	switch isClean := telemetry.IsClean(b); {
	case isClean && len(b) <= limit:
		return d.words.text(b), ""
	case isClean || utf8.Valid(b):
		return telemetry.Clean(string(b), limit), ""
	}
	return "", notUTF8
}
