package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// The whole program where the system's journal is a real one, and where there is none: with actions.journal it has both lines of a command, or the command is not begun.
func TestBedJournal(t *testing.T) {
	t.Parallel()
	journal := testbed.StartJournal(t)
	bed := testbed.Nodes(t, 1)
	home := t.TempDir()
	must(t, os.WriteFile(filepath.Join(home, "config.yaml"), []byte("actions: {journal: true}\n"), 0o600))
	run := func(before ...string) (string, string, int) {
		argv := append(before, foretopProgram(t), "--config", filepath.Join(home, "config.yaml"), "run", "-F", bed.SSHConfig, "node001", "--", "echo on")
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_STATE_HOME=", "SSH_AUTH_SOCK=")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	if out, errs, code := run("nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", journal.PID)); code != 0 || out != "node001: on\n" || errs != "" {
		t.Fatalf("exit %d, %q, %q", code, out, errs)
	}
	eventually(t, time.Minute, func() string {
		var got []string
		for _, e := range journal.Lines("foretop") {
			got = append(got, fmt.Sprint(e["FORETOP_ACTION"], " ", e["FORETOP_TARGET"], " ", e["FORETOP_COMMAND"], " ", e["FORETOP_STATE"]))
		}
		if strings.Join(got, ", ") != "run node001 echo on starts, run node001 echo on done" {
			return fmt.Sprintf("%q", got)
		}
		return ""
	})
	out, errs, code := run("unshare", "--mount", "sh", "-c", `mount -t tmpfs tmpfs /run && exec "$@"`, "sh")
	if code != codeNotLive || out != "" || !strings.Contains(errs, "foretop: node001: nothing was done: systemd's journal takes no line") || !strings.Contains(errs, "actions.journal") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}
