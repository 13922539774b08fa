package telemetry

import (
	"unicode"
	"unicode/utf8"
)

// Clean makes text from a node fit to be shown: valid UTF-8 without anything that a terminal obeys or that hides or reorders text, and
// at most max bytes. Whatever is taken out leaves one U+FFFD in its place, tabs and line ends leave a space; a cut leaves "…" at the end.
//
// It is the one choke point: what passes it may be drawn, what did not may not.
func Clean(s string, max int) string {
	if max <= 0 {
		return ""
	}
	if len(s) <= max && isClean(s) {
		return s
	}
	out := make([]byte, 0, min(len(s), max)+8)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			r = ' '
		case r == utf8.RuneError || !printable(r):
			r = utf8.RuneError
		}
		if len(out)+utf8.RuneLen(r)+len("…") > max {
			if max >= len("…") {
				out = append(out, "…"...)
			}
			break
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

// IsClean says whether Clean would leave text of any length as it is.
func IsClean(s []byte) bool { return isClean(s) }

func isClean[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == 0x7f {
			return false
		} else if c >= utf8.RuneSelf {
			for _, r := range string(s[i:]) {
				if r == utf8.RuneError || !printable(r) {
					return false
				}
			}
			return true
		}
	}
	return true
}

// printable excludes C0, DEL and C1 controls, format characters (bidirectional overrides, zero-width marks, tags), line and paragraph
// separators, surrogates, private use and unassigned code points, and variation selectors and combining marks, whose width terminals dispute.
func printable(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 0x20 && r < 0x7f
	}
	return unicode.IsPrint(r) && !unicode.Is(unicode.M, r)
}
