package testbed

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestTwoBedsAtOnce(t *testing.T) {
	var beds [2]*Bed
	var errs [2]error
	if missing := Missing(); len(missing) > 0 {
		require(t, missing)
	}
	var group sync.WaitGroup
	for i := range beds {
		group.Go(func() { beds[i], errs[i] = Start(t.Context(), 2) })
	}
	group.Wait()
	for i, bed := range beds {
		must(t, errs[i])
		defer bed.Close()
	}
	if beds[0].Nodes[0].Addr == beds[1].Nodes[0].Addr {
		t.Fatalf("both beds have %s", beds[0].Nodes[0].Addr)
	}
	login(t, beds[0], "node001", "touch mine")
	if got := login(t, beds[1], "node001", "ls"); got != "" {
		t.Errorf("the other bed's node has %q", got)
	}
	must(t, beds[0].Close())
	login(t, beds[1], "node002", "true")
}

func TestCloseLeavesNothing(t *testing.T) {
	require(t, Missing())
	bed, err := Start(t.Context(), 2, SharedHome("x"))
	must(t, err)
	var spaces []string
	for _, n := range bed.Nodes {
		pid, err := n.pid()
		must(t, err)
		space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
		must(t, err)
		spaces = append(spaces, space)
		if _, err := n.StartRank(nil, "sleep", "1000"); err != nil {
			t.Error(err)
		}
	}
	openSession(t, bed, "node001")
	dir, third := bed.Dir, fmt.Sprint(bed.network.third)
	if up := leftovers(dir, third, spaces); len(up) < 8 {
		t.Fatalf("a bed that is up shows only %q", up)
	}
	must(t, bed.Close())
	if left := leftovers(dir, third, spaces); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	must(t, bed.Close())
}

// A run that is killed takes its nodes along; what it cannot take, the next run removes.
func TestKilledRunLeavesNothingAfterTheNext(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			require(t, Missing())
			cmd, config := startCommand(t)
			space := firstProcessOf(t, cmd.Process.Pid)
			dir := filepath.Dir(config)
			host, err := output(exec.Command("ssh", "-F", config, "node001", "echo ${SSH_CONNECTION##*213.}"))
			must(t, err)
			third, _, _ := strings.Cut(host, ".")
			if up := leftovers(dir, third, []string{space}); len(up) < 5 {
				t.Fatalf("a command that is up shows only %q", up)
			}
			must(t, cmd.Process.Signal(sig))
			err = cmd.Wait()
			if sig == syscall.SIGINT && err != nil {
				t.Errorf("ended by Ctrl-C: %v", err)
			}
			if sig == syscall.SIGKILL {
				within(t, 10*time.Second, "the end of the nodes", func() bool { return len(processesIn([]string{space})) == 0 })
				reap()
			}
			if left := leftovers(dir, third, []string{space}); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// startCommand builds and starts the command for people and returns it with the path that it prints.
func startCommand(t *testing.T) (cmd *exec.Cmd, config string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "testbed")
	_, err := output(exec.Command("go", "build", "-o", program, "./cmd"))
	must(t, err)
	cmd = exec.Command(program, "-n", "1")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return cmd, strings.TrimSpace(line)
}

// firstProcessOf returns the PID namespace of the only child of a process.
func firstProcessOf(t *testing.T, parent int) string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, path := range paths {
		if p, ppid, err := readProcess(path); err == nil && ppid == parent {
			space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", p.HostPID))
			must(t, err)
			return space
		}
	}
	t.Fatalf("process %d has no child", parent)
	return ""
}

func TestOwnerGone(t *testing.T) {
	for name, want := range map[string]bool{
		ownerPrefix() + "123":               false,
		ownerWord + "1-0-123":               true, // process 1 started, but not at 0
		ownerWord + "999999999-5-1":         true,
		"foretop-bedroom":                   false,
		ownerWord:                           false,
		ownerWord + "x-y-z":                 false,
		"somebody-elses-folder-999999999-1": false,
	} {
		if got := ownerGone(name); got != want {
			t.Errorf("ownerGone(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, n := range []int{0, MaxNodes + 1} {
		if _, err := Start(t.Context(), n); err == nil {
			t.Errorf("a bed of %d nodes started", n)
		}
	}
	require(t, Missing())
	if _, err := Start(t.Context(), 1, User("nobody-of-ours")); err == nil || !strings.Contains(err.Error(), "root, ann or bob") {
		t.Errorf("unknown user: %v", err)
	}
}

// A node that cannot boot says why, and nothing of it stays.
func TestFailedStartSaysWhy(t *testing.T) {
	require(t, Missing())
	_, err := Start(t.Context(), 1, SSHD("NoSuchKeyword yes"))
	if err == nil || !strings.Contains(err.Error(), "NoSuchKeyword") {
		t.Errorf("a server with a broken configuration: %v", err)
	}
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), ownerPrefix()+"*"))
	if len(dirs) > 0 {
		t.Errorf("left behind: %q", dirs)
	}
}
