package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/fleet"
)

// TestLogCommand runs the command that reads a log on files of every kind, through the shells that people have here.
func TestLogCommand(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	old := write("it's $HOME `x` \"q\" *.out", "step 1 loss: 2.5\nstep 2 loss: 2.25\n")
	when := time.Now().Add(-90 * time.Second)
	if err := os.Chtimes(old, when, when); err != nil {
		t.Fatal(err)
	}
	shells := []string{"/bin/sh"}
	for _, s := range []string{"/bin/bash", "/bin/dash", "/usr/bin/zsh", "/usr/bin/fish", "/bin/tcsh"} {
		if _, err := os.Stat(s); err == nil {
			shells = append(shells, s)
		}
	}
	logs := newJobLogs(fleet.New(fleet.Options{}), nil)
	for _, shell := range shells {
		for _, c := range []struct {
			name, path string
			bytes      int
			lines      int
			err        string
		}{
			{"a log", old, 1000, 2, ""}, {"its end", old, 20, 1, ""}, {"its age only", old, 0, 0, ""}, {"none", dir + "/none", 100, 0, "no such file"},
			{"a folder", dir, 100, 0, "no regular file"}, {"a pipe", pipe, 100, 0, "no regular file"}, {"empty", write("empty", ""), 100, 0, ""},
		} {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			out, err := exec.CommandContext(ctx, shell, "-c", logCommand(c.path, c.bytes)).Output()
			cancel()
			if err != nil {
				t.Fatalf("%s, %s: %v", shell, c.name, err)
			}
			l := &fleet.LogTail{Node: "n", At: time.Now()}
			parseLog(l, out, c.bytes, logs.patterns)
			if !strings.Contains(l.Error, c.err) || c.err == "" && l.Error != "" || len(l.Lines) != c.lines {
				t.Errorf("%s, %s: %+v", shell, c.name, l)
			}
			if c.path == old {
				if age := l.At.Sub(l.ModTime); age < 80*time.Second || age > 10*time.Minute {
					t.Errorf("%s, %s: %s old", shell, c.name, age)
				}
			}
			if c.name == "a log" && (len(l.Numbers) != 2 || l.Numbers[1].Text != "2.25") {
				t.Errorf("%s: numbers %+v", shell, l.Numbers)
			}
		}
	}
	for _, bad := range []string{"relative", "", "/a\nb", `/a\b`, "/a!b"} {
		if c := logCommand(bad, 1); c != "" {
			t.Errorf("%q became %s", bad, c)
		}
	}
}

func FuzzParseLog(f *testing.F) {
	f.Add([]byte("ok 12 1700000000 1700000005\nstep 1\n"), 100)
	f.Add([]byte("ok - - 1\n"), 0)
	f.Fuzz(func(t *testing.T, out []byte, bytes int) {
		l := &fleet.LogTail{At: time.Unix(1_700_000_000, 0)}
		parseLog(l, out, bytes, nil)
		if l.ModTime.After(l.At) {
			t.Fatal("written in the future")
		}
	})
}
