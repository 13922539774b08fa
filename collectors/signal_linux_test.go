package collectors

import (
	"bytes"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"foretop/collectors/kernfs"
)

// Where there are no pidfds the process is looked at all the same before it is signalled by its number, and that is said.
func TestSignalByNumber(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := processID{pid: cmd.Process.Pid, start: startOf(t, cmd.Process.Pid)}
	if _, err := sendByNumber(processID{id.pid, id.start + 1}, syscall.SIGKILL, syscall.ENOSYS); !errors.Is(err, errOther) {
		t.Error(err)
	}
	how, err := sendByNumber(id, syscall.SIGTERM, syscall.ENOSYS)
	if err != nil || !strings.Contains(how, "no pidfd here (function not implemented)") {
		t.Errorf("%q, %v", how, err)
	}
	_ = cmd.Wait()
	if s := cmd.ProcessState.String(); s != "signal: terminated" {
		t.Error(s)
	}
	if _, err := sendByNumber(id, syscall.SIGTERM, syscall.ENOSYS); !errors.Is(err, errGone) {
		t.Error(err)
	}
}

func startOf(t *testing.T, pid int) uint64 {
	t.Helper()
	b, err := kernfs.Root("/").Read("proc/"+strconv.Itoa(pid)+"/stat", nil)
	var s procStat
	if err != nil || !parseProcStat(b, &s) {
		t.Fatalf("%q, %v", b, err)
	}
	return s.startTicks
}

// Arguments that are wrong in one place send nothing to any.
func TestSignalArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"TERM"}, {"9", "4:4"}, {"TERM", "4"}, {"TERM", "-4:4"}, {"TERM", "0:4"}, {"TERM", "1:4"}, {"TERM", "4:x"}, {"TERM", "4294967297:4"}, {"TERM", "4:4", ""},
		append([]string{"TERM"}, make([]string, maxTargets+1)...)} {
		var out, errs bytes.Buffer
		if code := mainSignal(args, &out, &errs); code != 2 || out.Len() > 0 || !strings.HasPrefix(errs.String(), "foretop-collector: signal: ") {
			t.Errorf("%.60q: %d, %q, %q", args, code, out.String(), errs.String())
		}
	}
}

func FuzzProcessID(f *testing.F) {
	for _, s := range []string{"4123:98765", ":", "1:1", "-1:5", "4:4:4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := parseProcessID(s)
		if err == nil && (id.pid < 2 || id.pid > 1<<31-1) {
			t.Errorf("%q is %v", s, id)
		}
	})
}
