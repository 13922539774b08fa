package accelerators

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

func formatInt(v int64) string { return strconv.FormatInt(v, 10) }

// startReal starts programs as package collectors does.
func startReal(ctx context.Context, name string, args ...string) (Program, error) {
	cmd := exec.Command(name, args...)
	var last bytes.Buffer
	cmd.Stderr = &last
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Program{}, err
	}
	if err := cmd.Start(); err != nil {
		return Program{}, fmt.Errorf("start %s: %w", name, err)
	}
	var once sync.Once
	kill := func() { once.Do(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) }
	forget := context.AfterFunc(ctx, kill)
	return Program{Out: out, Kill: kill, End: func() error {
		forget()
		kill()
		err := cmd.Wait()
		if err != nil && last.Len() > 0 {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(last.Bytes()))
		}
		return err
	}}, nil
}

// script makes a shell script that stands for a vendor's program, and puts its folder first on PATH.
func script(t testing.TB, name, text string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	if s, ok := t.(interface{ Setenv(string, string) }); ok {
		s.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	}
}

// playedProgram is a program that a test plays: what it says is written into a pipe.
type playedProgram struct {
	say    io.Writer
	killed chan struct{}
	ended  chan error // its end, as the test gives it
}

// playPrograms gives programs that the test plays, in the order in which they are started.
func playPrograms() (start func(context.Context, string, ...string) (Program, error), started <-chan *playedProgram) {
	list := make(chan *playedProgram, 64)
	return func(ctx context.Context, name string, args ...string) (Program, error) {
		in, out := io.Pipe()
		p := &playedProgram{say: out, killed: make(chan struct{}), ended: make(chan error, 1)}
		var once sync.Once
		kill := func() { once.Do(func() { close(p.killed) }) }
		context.AfterFunc(ctx, kill)
		list <- p
		return Program{Out: in, Kill: kill, End: func() error { return <-p.ended }}, nil
	}, list
}
