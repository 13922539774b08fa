package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/telemetry"
)

const nonce = "0123456789abcdef"

// started is a collector at work, whose stream begins with the line that the front end waits for.
type started struct {
	*exec.Cmd
	in     io.WriteCloser
	frames *telemetry.FrameReader
	errors *bytes.Buffer
}

func start(t *testing.T, program string) *started {
	t.Helper()
	s := &started{Cmd: exec.Command(program), errors: &bytes.Buffer{}}
	s.Env = append(os.Environ(), telemetry.NonceVar+"="+nonce)
	s.Stderr = s.errors
	var err error
	if s.in, err = s.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Process.Kill() })
	in := bufio.NewReader(out)
	if line, err := in.ReadString('\n'); err != nil || line != telemetry.StreamLine(nonce) {
		t.Fatalf("the stream begins with %q, %v", line, err)
	}
	s.frames = telemetry.NewFrameReader(in, telemetry.MaxFrameBytes)
	for kind := telemetry.Kind(0); kind != telemetry.KindSample; {
		if kind, _, err = s.frames.Read(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// wait gives the exit status, after all output was read.
func (s *started) wait(t *testing.T) int {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		for {
			if _, _, err := s.frames.Read(); err != nil {
				break
			}
		}
		done <- s.Wait()
	}()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return s.ProcessState.ExitCode()
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
		return 0
	}
}

func TestProgram(t *testing.T) {
	program := collectorFor(t, runtime.GOARCH)
	t.Run("ends with its input", func(t *testing.T) {
		s := start(t, program)
		s.in.Close()
		if code := s.wait(t); code != 0 || s.errors.Len() > 0 {
			t.Errorf("status %d, says %q", code, s.errors)
		}
	})
	t.Run("ends at a signal", func(t *testing.T) {
		s := start(t, program)
		s.Process.Signal(syscall.SIGTERM)
		if code := s.wait(t); code != 0 {
			t.Errorf("status %d, says %q", code, s.errors)
		}
	})
	t.Run("broken control", func(t *testing.T) {
		s := start(t, program)
		s.in.Write([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
		if code := s.wait(t); code != 1 || !strings.Contains(s.errors.String(), "malformed") {
			t.Errorf("status %d, says %q", code, s.errors)
		}
	})
	t.Run("is modest", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("told by /proc")
		}
		s := start(t, program)
		proc := fmt.Sprintf("/proc/%d/", s.Process.Pid)
		if b, err := os.ReadFile(proc + "oom_score_adj"); err != nil || string(b) != "1000\n" {
			t.Errorf("oom_score_adj %q, %v", b, err)
		}
		if d, err := os.Readlink(proc + "cwd"); err != nil || d != "/" {
			t.Errorf("works in %q, %v", d, err)
		}
		tasks, err := filepath.Glob(proc + "task/*/stat")
		if err != nil || len(tasks) == 0 {
			t.Fatal(err)
		}
		for _, task := range tasks {
			b, err := os.ReadFile(task)
			if err != nil {
				continue // a thread that ended
			}
			if f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])); f[16] != "10" {
				t.Errorf("a thread of niceness %s", f[16])
			}
		}
	})
	t.Run("wrong use", func(t *testing.T) {
		out, err := exec.Command(program, "--listen").CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "--listen") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// What is put on a node over a slow link stays small.
func TestSize(t *testing.T) {
	info, err := os.Stat(collectorFor(t, runtime.GOARCH))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 5<<20 {
		t.Errorf("%d bytes", info.Size())
	}
}
