package kernfs

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

// The parsers work on bytes and allocate nothing: what they read comes once a second.

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// Trim takes off the blanks at both ends.
func Trim(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// Line cuts the first line off.
func Line(b []byte) (first, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// Field cuts the first word off, blanks before it skipped; empty at the end.
func Field(b []byte) (word, rest []byte) {
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

// Leading cuts the first word off and reads it as a decimal number.
func Leading(b []byte) (v uint64, rest []byte, ok bool) {
	w, rest := Field(b)
	v, ok = ParseUint(w)
	return v, rest, ok
}

// ParseUint reads a decimal number without sign; anything else, and what does not fit, is not ok.
func ParseUint(b []byte) (uint64, bool) {
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

// ParseMilli reads a decimal fraction such as 12.34 as thousandths.
func ParseMilli(b []byte) (uint64, bool) {
	whole, frac, _ := bytes.Cut(b, []byte{'.'})
	v, ok := ParseUint(whole)
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

// Natural orders names with numbers in them as people do: mlx5_2 before mlx5_10.
func Natural(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if n := strings.Compare(x, y); n != 0 {
				return n
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) (n int) {
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// Gone says that a read failed because the device, or its file, is not there any more.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}
