package ui

import (
	"fmt"
	"strings"
	"testing"

	"foretop/actions"
)

// copied is what a key hands to the clipboard.
func copied(t *testing.T, d *driver) string {
	t.Helper()
	cmd := d.copy()
	if cmd == nil {
		t.Fatalf("nothing is copied: %s", d.notice)
	}
	return fmt.Sprint(cmd())
}

// TestCopyRun copies what is listed, without anything that a terminal obeys when it is pasted, and no more than a clipboard takes.
func TestCopyRun(t *testing.T) {
	d, _ := runOn(t, 120, 40, Options{}, mixed, eightNodes...)
	text := copied(t, d)
	for _, want := range []string{"nvidia-smi -L on 8 nodes", "gpu[003-004] (2)  exit 127\n    bash: nvidia-smi: command not found\n", "gpu[001-002,007] (3)  exit 0\n    GPU 0: H100\n            UUID: GPU-1\n", "gpu006 (1)  exit 0\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "a line") {
		t.Error("what is not shown was copied")
	}
	d.keys("tab")
	if text := copied(t, d); !strings.Contains(text, "gpu003  failed  ") || strings.Contains(text, "command not found") {
		t.Error(text)
	}
	for _, hostile := range []string{"\x1b]52;c;eA==\x07", "\r\x1b[2K$(reboot)", "\u202e"} {
		d, _ := runOn(t, 80, 24, Options{}, func(string, []string) (actions.Output, error) { return actions.Output{Text: hostile + "\n"}, nil }, "gpu001")
		if text := copied(t, d); strings.ContainsAny(text, "\x1b\x07\r\u202e") || !strings.Contains(text, "gpu001 (1)") {
			t.Errorf("%q", text)
		}
	}
	d, _ = runOn(t, 80, 24, Options{}, func(string, []string) (actions.Output, error) {
		return actions.Output{Text: strings.Repeat(strings.Repeat("x", 99)+"\n", 4000)}, nil
	}, "gpu001")
	d.keys("enter")
	if text := copied(t, d); len(text) > maxCopy+4<<10 || !strings.Contains(d.notice, "copied the first") {
		t.Errorf("%d bytes, %s", len(text), d.notice)
	}
}
