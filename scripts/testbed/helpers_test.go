package testbed

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// sshTo prepares the real ssh client, with the bed's configuration.
func sshTo(bed *Bed, node, command string) *exec.Cmd {
	return exec.Command("ssh", "-F", bed.SSHConfig, "-o", "ConnectTimeout=10", node, command)
}

// login runs a command over ssh and fails the test when that fails.
func login(t *testing.T, bed *Bed, node, command string) string {
	t.Helper()
	out, err := output(sshTo(bed, node, command))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// exec runs a command on a node past ssh.
func execOn(t *testing.T, n *Node, argv ...string) string {
	t.Helper()
	out, err := n.Exec(argv...)
	must(t, err)
	return out
}

// within polls until the condition holds.
func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// session is an ssh connection over which a node counts, ten lines a second.
type session struct {
	lines atomic.Int64
	ended atomic.Bool
}

func openSession(t *testing.T, bed *Bed, node string) *session {
	t.Helper()
	cmd := sshTo(bed, node, "while :; do echo tick; sleep 0.1; done")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	s := &session{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for in := bufio.NewScanner(out); in.Scan(); {
			s.lines.Add(1)
		}
		_ = cmd.Wait()
		s.ended.Store(true)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	within(t, 10*time.Second, "the session's first line", func() bool { return s.lines.Load() > 0 })
	return s
}

// goesOn waits for lines that were not there yet.
func (s *session) goesOn(t *testing.T) {
	t.Helper()
	from := s.lines.Load()
	within(t, 30*time.Second, "further lines", func() bool { return s.lines.Load() > from+3 })
}

// silent waits for a second without a line, on a connection that is still open.
func (s *session) silent(t *testing.T) {
	t.Helper()
	within(t, 20*time.Second, "a second without a line", func() bool {
		from := s.lines.Load()
		time.Sleep(time.Second)
		return s.lines.Load() == from
	})
	if s.ended.Load() {
		t.Fatal("the connection ended; it should hang")
	}
}

// leftovers lists what this bed left on the machine outside its namespaces, and whether its processes live.
func leftovers(dir string, third string, spaces []string) []string {
	var found []string
	for _, pattern := range []string{dir, "/sys/class/net/ftb" + third, "/sys/class/net/ft" + third + "n*"} {
		paths, _ := filepath.Glob(pattern)
		found = append(found, paths...)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			found = append(found, "mount "+line)
		}
	}
	return append(found, processesIn(spaces)...)
}

// processesIn lists this machine's processes in any of the PID namespaces.
func processesIn(spaces []string) []string {
	var found []string
	links, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, link := range links {
		space, err := os.Readlink(link)
		for _, s := range spaces {
			if err == nil && s == space {
				found = append(found, "process "+link)
			}
		}
	}
	return found
}
