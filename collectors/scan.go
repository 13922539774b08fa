package collectors

import "bytes"

// The parsers work on bytes and allocate nothing: what they read comes once a second.

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func trim(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// line cuts the first line off.
func line(b []byte) (first, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// field cuts the first word off, blanks before it skipped; empty at the end.
func field(b []byte) (word, rest []byte) {
	i := 0
	for i < len(b) && blank(b[i]) {
		i++
	}
	j := i
	for j < len(b) && !blank(b[j]) {
		j++
	}
	return b[i:j], b[j:]
}

// number cuts the first word off and reads it as a decimal number.
func number(b []byte) (v uint64, rest []byte, ok bool) {
	w, rest := field(b)
	v, ok = parseUint(w)
	return v, rest, ok
}

// parseUint reads a decimal number without sign; anything else, and what does not fit, is not ok.
func parseUint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || v > (1<<64-1-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

// parseMilli reads a decimal fraction such as 12.34 as thousandths.
func parseMilli(b []byte) (uint64, bool) {
	whole, frac, _ := bytes.Cut(b, []byte{'.'})
	v, ok := parseUint(whole)
	if !ok || v > 1<<50 {
		return 0, false
	}
	v *= 1000
	for scale := uint64(100); len(frac) > 0 && scale > 0; scale, frac = scale/10, frac[1:] {
		d := uint64(frac[0] - '0')
		if d > 9 {
			return 0, false
		}
		v += d * scale
	}
	return v, true
}
