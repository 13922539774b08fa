package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// sleeper is a process that waits to be signalled; key is "PID:START".
func sleeper(t *testing.T, uid uint32) (cmd *exec.Cmd, key string) {
	t.Helper()
	cmd = exec.Command("sleep", "1000")
	cmd.Dir = "/"
	cmd.SysProcAttr = asUser(uid)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, keyOf(t, cmd.Process.Pid)
}

// keyOf reads when a process started, as a front end was told by the collector's stream.
func keyOf(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	return fmt.Sprintf("%d:%s", pid, words[19])
}

// tool runs the collector as a user and gives what it said and its exit status.
func tool(t *testing.T, uid uint32, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(collectorFor(t, arch), args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = asUser(uid)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// A signal reaches the very process that was meant, and no other: not the one that has its number now, not another user's, not one that has ended.
func TestSignal(t *testing.T) {
	testbed.NeedRoot(t)
	for _, uid := range []uint32{0, ordinary} {
		t.Run(fmt.Sprint("as user ", uid), func(t *testing.T) {
			own, key := sleeper(t, ordinary)
			pid := own.Process.Pid
			other, foreign := sleeper(t, 0)
			expect := func(code int, words string, args ...string) {
				t.Helper()
				if out, got := tool(t, uid, append([]string{"signal"}, args...)...); got != code || out != words {
					t.Errorf("%v: %d, %q; want %d, %q", args, got, out, code, words)
				}
			}
			expect(0, fmt.Sprintf("pid %d: there\n", pid), "0", key)
			expect(1, fmt.Sprintf("pid %d: another process now\n", pid), "KILL", key+"0")
			expect(0, fmt.Sprintf("pid %d: sent STOP\n", pid), "SIGSTOP", key)
			expect(0, fmt.Sprintf("pid %d: sent CONT\n", pid), "cont", key)
			expect(0, fmt.Sprintf("pid %d: there\n", other.Process.Pid), "0", foreign)
			if uid != 0 {
				expect(1, fmt.Sprintf("pid %d: sent TERM\npid %d: not permitted: needs root or its owner\n", pid, other.Process.Pid), "TERM", key, foreign)
			} else {
				expect(0, fmt.Sprintf("pid %d: sent TERM\n", pid), "TERM", key)
			}
			// It has ended, and its parent has not looked: it is gone already.
			waitZombie(t, pid)
			expect(1, fmt.Sprintf("pid %d: gone\n", pid), "0", key)
			expect(1, fmt.Sprintf("pid %d: gone\n", pid), "KILL", key)
			_ = own.Wait()
			if s := own.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGTERM {
				t.Errorf("it ended by %v", s.Signal())
			}
			expect(1, fmt.Sprintf("pid %d: gone\n", pid), "0", key)
			if err := other.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("the other one: %v", err)
			}
			expect(2, "foretop-collector: signal: no such signal: \"NONE\"\n", "NONE", key)
		})
	}
	// A process that /proc hides is another's, not gone.
	_, foreign := sleeper(t, 0)
	testbed.Need(t, "unshare", "setpriv", "mount")
	out, err := exec.Command("unshare", "-m", "--", "sh", "-c", `mount -t proc -o hidepid=invisible proc /proc && exec setpriv --reuid=20100 --regid=20100 --clear-groups "$1" signal TERM "$2"`, "sh", collectorFor(t, arch), foreign).CombinedOutput()
	if err == nil || !strings.HasSuffix(string(out), ": not permitted: needs root or its owner\n") {
		t.Errorf("%v: %s", err, out)
	}
}

func waitZombie(t *testing.T, pid int) {
	t.Helper()
	eventually(t, "its end", func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return strings.Contains(string(b), ") Z ")
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}
