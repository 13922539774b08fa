//go:build unix

package hooks

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/config"
)

// script is a real program.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestACommandGetsWordsAndTheEvent(t *testing.T) {
	dir := t.TempDir()
	hostile := `--config=/etc/passwd $(touch ` + dir + `/owned) ; touch ` + dir + "/owned `id` \"x\" 'y' \n* ~"
	program := script(t, `for a in "$@"; do printf '%s\n' "$a"; done >`+dir+`/args.new; cat >`+dir+`/in; mv `+dir+`/args.new `+dir+`/args`)
	s := open(t, "", config.Hook{Name: "a", Command: []string{program, "--text", "{{.Text}}", "id={{.ID}}", "", "{{.Remedy}}"}})
	snap := wrong("gpu017")
	snap.Nodes[0].Problems[0].Text = hostile
	snap.Nodes[0].Problems[0].Remedy = ""
	s.Look(snap)
	eventually(t, "it was run", func() bool { _, err := os.Stat(dir + "/args"); return err == nil })
	args, err := os.ReadFile(dir + "/args")
	if err != nil {
		t.Fatal(err)
	}
	want := "--text\n " + strings.ReplaceAll(hostile, "\n", " ") + "\nid=hw.gpu.lost@gpu017/GPU3\n\n\n"
	if string(args) != want {
		t.Errorf("%q, want %q", args, want)
	}
	in, err := os.ReadFile(dir + "/in")
	var e Event
	if err != nil || json.Unmarshal(in, &e) != nil || e.Node != "gpu017" {
		t.Errorf("%s, %v", in, err)
	}
	if _, err := os.Stat(dir + "/owned"); err == nil {
		t.Error("a shell read it")
	}
}

func TestACommandThatHangsIsEndedWithAllThatItStarted(t *testing.T) {
	dir := t.TempDir()
	program := script(t, `sleep 600 & echo $! >`+dir+`/child.new; mv `+dir+`/child.new `+dir+`/child; wait`)
	s := open(t, "", config.Hook{Name: "a", Command: []string{program}, Timeout: time.Second})
	s.Look(wrong("gpu017"))
	eventually(t, "it is said", func() bool { return strings.Contains(s.said.text(), "did not end in time") })
	text, err := os.ReadFile(dir + "/child")
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "its child is gone", func() bool { return syscall.Kill(child, 0) != nil || zombie(child) })
}

// zombie says that a process has ended, and nobody has asked for its end yet.
func zombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	return ok && strings.HasPrefix(rest, "Z")
}

func TestACommandThatFails(t *testing.T) {
	program := script(t, `echo "no queue \033[2J cluster" >&2; exit 3`)
	s := open(t, "", config.Hook{Name: "a", Command: []string{program}})
	s.Look(wrong("gpu017"))
	eventually(t, "it is said", func() bool { return s.said.text() != "" })
	if said := s.said.text(); !strings.Contains(said, "hook a: exit status 3: no queue") || strings.Contains(said, "\x1b") || !strings.Contains(said, "gpu017: GPU3 lost") {
		t.Errorf("%q", said)
	}
}
