package testbed

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// mode is a state of the terminal that a program switches on and must switch off again.
type mode struct{ what, on, off string }

var modes = []mode{
	{"the alternate screen", "\x1b[?1049h", "\x1b[?1049l"},
	{"a hidden cursor", "\x1b[?25l", "\x1b[?25h"},
	{"bracketed paste", "\x1b[?2004h", "\x1b[?2004l"},
	{"mouse clicks", "\x1b[?1000h", "\x1b[?1000l"},
	{"mouse drags", "\x1b[?1002h", "\x1b[?1002l"},
	{"mouse moves", "\x1b[?1003h", "\x1b[?1003l"},
	{"SGR mouse reports", "\x1b[?1006h", "\x1b[?1006l"},
	{"focus reports", "\x1b[?1004h", "\x1b[?1004l"},
	{"synchronised output", "\x1b[?2026h", "\x1b[?2026l"},
}

// Restored says what the program, which has ended (WaitExit), left changed on the terminal: settings, or modes that its
// output switched on and not off. Nil when the terminal is as it was.
func (s *SlowTerm) Restored() error {
	s.t.Helper()
	var errs []error
	if after := s.settings(); after != s.before {
		errs = append(errs, fmt.Errorf("settings changed: %s", changedWords(s.before, after)))
	}
	return errors.Join(append(errs, leftOn(s.Output()))...)
}

// leftOn names the modes whose last switch in the output is on.
func leftOn(output []byte) error {
	var errs []error
	for _, m := range modes {
		if bytes.LastIndex(output, []byte(m.on)) > bytes.LastIndex(output, []byte(m.off)) {
			errs = append(errs, fmt.Errorf("left on: %s", m.what))
		}
	}
	return errors.Join(errs...)
}

// changedWords are the words of stty's output that are in one text only.
func changedWords(before, after string) string {
	was := map[string]bool{}
	for _, w := range strings.Fields(before) {
		was[w] = true
	}
	var changed []string
	for _, w := range strings.Fields(after) {
		if !was[w] {
			changed = append(changed, w)
		}
	}
	return strings.Join(changed, " ")
}
