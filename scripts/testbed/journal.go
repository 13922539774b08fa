package testbed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Journal is a real systemd-journald, in a mount namespace with a /run of its own: it knows nothing of this machine's journal, nor that of it.
type Journal struct {
	Socket string // where it takes lines, as this machine sees it
	PID    int    // of the daemon: whoever enters its mount namespace has it as the system's journal

	t    testing.TB
	root string
}

const journald = "/lib/systemd/systemd-journald"

// journalInit becomes the daemon.
const journalInit = `set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/log
mkdir -p /run/systemd/journal /run/log/journal
exec ` + journald

// StartJournal starts one that ends with the test.
func StartJournal(t testing.TB) *Journal {
	t.Helper()
	NeedRoot(t)
	missing := missingPrograms("unshare", "mount", "journalctl")
	if _, err := os.Stat(journald); err != nil {
		missing = append(missing, journald+" is not installed")
	}
	require(t, missing)
	cmd := exec.Command("unshare", "--mount", "/bin/sh", "-c", journalInit)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	root := fmt.Sprintf("/proc/%d/root", cmd.Process.Pid)
	j := &Journal{Socket: root + "/run/systemd/journal/socket", PID: cmd.Process.Pid, t: t, root: root}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		// A file of it: it takes lines by then, and none is looked for in the journal of this machine.
		if files, _ := filepath.Glob(root + "/run/log/journal/*/system.journal"); len(files) > 0 {
			return j
		}
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("systemd-journald does not start: %s", said.String())
		}
	}
}

// Entry is one line of a journal: a field that is there several times is a list, one that is no text a list of bytes.
type Entry map[string]any

// Lines are those that a journal has of one sender, as journalctl reads them.
func (j *Journal) Lines(identifier string) []Entry {
	j.t.Helper()
	cmd := exec.Command("journalctl", "--quiet", "--directory="+j.root+"/run/log/journal", "--output=json", "--all", "SYSLOG_IDENTIFIER="+identifier)
	out, err := output(cmd)
	if err != nil {
		j.t.Fatal(err)
	}
	var lines []Entry
	for dec := json.NewDecoder(bytes.NewReader([]byte(out))); dec.More(); {
		var e Entry
		if err := dec.Decode(&e); err != nil {
			j.t.Fatal(err)
		}
		lines = append(lines, e)
	}
	return lines
}
