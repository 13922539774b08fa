package overview

import (
	"math"
	"slices"
	"strings"

	"foretop/telemetry"
)

// word is text as shared by all that say the same.
func (s *Source) word(text []byte) string {
	if word, ok := s.words[string(text)]; ok {
		return word
	}
	word := telemetry.Clean(string(text), 128)
	if len(s.words) < maxNames {
		s.words[string(text)] = word
	}
	return word
}

func get(labels []label, name string) []byte {
	for i := range labels {
		if string(labels[i].name) == name {
			return labels[i].value
		}
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// host is what names a node in an address: without the port.
func host(value []byte) []byte {
	if len(value) > 0 && value[0] == '[' { // IPv6
		if end := slices.Index(value, ']'); end > 0 {
			return value[1:end]
		}
	}
	at := slices.Index(value, ':')
	if at < 0 || slices.Index(value[at+1:], ':') >= 0 {
		return value
	}
	return value[:at]
}

func isAddress(value []byte) bool {
	for _, c := range value {
		if !(c >= '0' && c <= '9' || c == '.' || c == ':') {
			return false
		}
	}
	return true
}

// isHost says that ssh may be given the name: that it is one word of what names are made of, and no option.
func isHost(value []byte) bool {
	if len(value) == 0 || len(value) > 253 || strings.IndexByte("-.", value[0]) >= 0 {
		return false
	}
	for _, c := range value {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' || c == ':') {
			return false
		}
	}
	return true
}
