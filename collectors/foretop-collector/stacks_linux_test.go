package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"foretop/scripts/testbed"
)

const trainPy = `
import sys, threading, time
def load():
    time.sleep(1000)
def all_reduce():
    time.sleep(1000)
threading.Thread(target=load, name="data loader", daemon=True).start()
print("on", flush=True)
all_reduce()
`

// trainer is a Python process of a user that stands in all_reduce.
func trainer(t *testing.T, uid uint32, python string) (key string) {
	t.Helper()
	cmd := exec.Command(python, "-c", trainPy, "--token=hunter2")
	cmd.Dir, cmd.SysProcAttr, cmd.Env = "/", asUser(uid), []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	return keyOf(t, cmd.Process.Pid)
}

// told is a line that stacks says.
type told struct {
	PID     int
	Source  string
	Why     string
	Threads []struct {
		ID, Name, State, Wchan, Syscall string
		Frames                          []string
	}
}

func (l told) thread(name string) []string {
	for _, th := range l.Threads {
		if th.Name == name {
			return append(slices.Clone(th.Frames), "in "+th.Wchan)
		}
	}
	return nil
}

// Stacks of real processes, as root and as an ordinary user: by py-spy where it is, else by the kernel; and of what may not be read, why.
func TestStacks(t *testing.T) {
	testbed.NeedRoot(t)
	testbed.Need(t, "python3")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	spy := filepath.Join(cache, "foretop-tests", "venv-py-spy", "bin", "py-spy")
	if _, err := os.Stat(spy); err != nil {
		testbed.Require(t, "py-spy is not there (scripts/launchers.sh py-spy installs it)")
	}
	place := part(t, "spy", func(out string) *exec.Cmd { // where every user may run it
		return exec.Command("sh", "-c", `mkdir -p "$2" && cp "$1" "$2/py-spy" && chmod 755 "$2" "$2/py-spy"`, "sh", spy, out)
	})
	stacks := func(uid uint32, path string, args ...string) ([]told, int) {
		t.Helper()
		cmd := exec.Command(collectorFor(t, arch), append([]string{"stacks"}, args...)...)
		cmd.Dir, cmd.SysProcAttr, cmd.Env = "/", asUser(uid), []string{"PATH=" + path}
		out, err := cmd.Output()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "hunter2") {
			t.Errorf("a secret: %s", out)
		}
		var lines []told
		for line := range strings.Lines(string(out)) {
			var l told
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%v: %q", err, line)
			}
			lines = append(lines, l)
		}
		return lines, cmd.ProcessState.ExitCode()
	}
	own, roots := trainer(t, ordinary, "/usr/bin/python3"), trainer(t, 0, "/usr/bin/python3")
	bin := "/usr/bin:/bin"
	inAllReduce := func(frames []string) bool { return len(frames) > 1 && strings.HasPrefix(frames[0], "all_reduce (") }

	for _, uid := range []uint32{0, ordinary} {
		_, code := stacks(uid, place+":"+bin, own, "--blocking")
		if code != 2 {
			t.Errorf("--blocking as a process: %d", code)
		}
		var lines []told
		for _, args := range [][]string{{own}, {"--blocking", own}} {
			if lines, code = stacks(uid, place+":"+bin, args...); code != 0 || len(lines) != 1 || lines[0].Source != "py-spy" || !inAllReduce(lines[0].thread("MainThread")) || !strings.HasPrefix(strings.Join(lines[0].thread("data loader"), " "), "load (") {
				t.Errorf("user %d, %v: %d, %+v", uid, args, code, lines)
			}
		}
		// Without py-spy.
		lines, code = stacks(uid, bin, own)
		if code != 0 || len(lines) != 1 || lines[0].Source != "kernel" || len(lines[0].Threads) != 2 || !strings.HasPrefix(lines[0].Why, "no py-spy on this node") {
			t.Errorf("user %d: %d, %+v", uid, code, lines)
		} else if th := lines[0].Threads[0]; th.Wchan == "" || th.Syscall == "" || (len(th.Frames) > 0) != (uid == 0) || strings.Contains(lines[0].Why, "stack is not permitted: it needs root") != (uid != 0) {
			t.Errorf("user %d: %+v", uid, lines[0])
		}
	}
	// Another's: the reason is said, and those that can be read are.
	lines, code := stacks(ordinary, place+":"+bin, roots, own, own+"0")
	if code != 1 || len(lines) != 3 || lines[0].Source != "kernel" || !strings.Contains(lines[0].Why, "py-spy: not permitted: needs root") || !strings.Contains(lines[0].Why, "stack and syscall are not permitted") || lines[1].Source != "py-spy" || len(lines[2].Threads) > 0 || lines[2].Why != "another process now" {
		t.Errorf("%d, %+v", code, lines)
	}
	// One that is in the user's own environment is found there; root runs nobody else's programs.
	env := part(t, "env", func(out string) *exec.Cmd {
		return exec.Command("sh", "-c", `mkdir -p "$1/bin" && cp /usr/bin/python3 "$1/bin/python" && cp "$2/py-spy" "$1/bin/" && chmod -R a+rX "$1"`, "sh", out, place)
	})
	inEnv := trainer(t, ordinary, env+"/bin/python")
	if lines, code = stacks(ordinary, bin, inEnv); code != 0 || lines[0].Source != "py-spy" {
		t.Errorf("%d, %+v", code, lines)
	}
	if lines, code = stacks(0, bin, inEnv); code != 0 || lines[0].Source != "kernel" || lines[0].Why != "no py-spy on this node" {
		t.Errorf("%d, %+v", code, lines)
	}
}
