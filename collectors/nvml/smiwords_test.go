package nvml

import (
	"regexp"
	"testing"
)

// FuzzSMIWords holds the two searches against the expressions that they stand for.
func FuzzSMIWords(f *testing.F) {
	for _, line := range []string{
		`Field "temperature.memory" is not a valid field to query.`, `Field "a" Field "b" is not a valid field`, `Field "" is not a valid field`, `Field "x is not`,
		"Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.", "GPU 00000000:3B:00.0 requires a reset", "x0000:3b:00.0 123:3b:00.0 123456789:3b:00.0",
		"ab0000:3b:00.0_ 0000:3b:00.8 0000:3b:00.7", "0000:3b:00.0", "ffff:ffff:3b:00.1", "é0000:3b:00.0é",
	} {
		f.Add(line)
	}
	field := regexp.MustCompile(`Field "([^"]{1,64})" is not a valid field`)
	pci := regexp.MustCompile(`\b[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]\b`)
	f.Fuzz(func(t *testing.T, line string) {
		line = clean(line, maxText)
		want := ""
		if m := field.FindStringSubmatch(line); m != nil {
			want = m[1]
		}
		if got := badField(line); got != want && len(want) <= 64 {
			t.Errorf("field %q, want %q", got, want)
		}
		if got, want := pciIn(line), pci.FindString(line); got != want {
			t.Errorf("PCI %q, want %q", got, want)
		}
	})
}
