package sshpool

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"foretop/sshpool/payload"
)

// shellDoor runs commands on this machine, as a door to it.
func shellDoor(ctx context.Context, _, command string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Dir = "/"
	in, err := cmd.StdinPipe()
	if err != nil {
		return -1, err
	}
	go func() {
		_, _ = io.Copy(in, stdin)
		_ = in.Close()
	}()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// A node behind a door is deployed to, streams, ends and comes back like any other.
func TestDoor(t *testing.T) {
	at := newPlace(t)
	t.Setenv("FT", at.local)
	t.Setenv("HOME", at.home)
	p, rec := newTestPool(t, deployConfig(t, payload.Of(&payload.Bundle{Platform: payload.Here(), Collector: payload.FromBytes("fake", fakeBytes(t)), Args: "collect"})))
	p.Add(Target{Name: "behind", Door: &Door{Name: "test", Run: shellDoor}})
	_, seen := rec.reached("behind", Live, 0)
	rec.line("behind", "hello cwd=/ ")
	rec.line("behind", "tick 2")
	rec.send("behind", "err gone fishing")
	rec.send("behind", "exit 4")
	st, seen := rec.reached("behind", Lost, seen)
	if !strings.Contains(st.Cause, "exit 4: gone fishing") {
		t.Errorf("cause %q", st.Cause)
	}
	rec.reached("behind", Live, seen)
	p.Remove("behind")
}

// Why a door does not open is told in its words; whether it is tried again soon is its word too.
func TestDoorRefuses(t *testing.T) {
	var open atomic.Bool
	var tries atomic.Int32
	door := &Door{Name: "test", Run: func(ctx context.Context, node, command string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
		tries.Add(1)
		if open.Load() {
			return shellDoor(ctx, node, command, stdin, stdout, stderr)
		}
		return -1, &DoorError{Cause: "no pod on \x1b" + node, Remedy: "apply it", Refused: true}
	}}
	at := newPlace(t)
	t.Setenv("FT", at.local)
	t.Setenv("HOME", at.home)
	p, rec := newTestPool(t, deployConfig(t, payload.Of(&payload.Bundle{Platform: payload.Here(), Collector: payload.FromBytes("fake", fakeBytes(t)), Args: "collect"})))
	p.Add(Target{Name: "behind", Door: door})
	st, seen := rec.reached("behind", Refused, 0)
	if st.Cause != "no pod on \ufffdbehind" || st.Remedy != "apply it" {
		t.Errorf("cause %q, remedy %q", st.Cause, st.Remedy)
	}
	open.Store(true)
	p.Retry("behind")
	rec.reached("behind", Live, seen)
}

// A command that nobody reads from, or that is given no more input, ends with its carrier.
func TestDoorCarrierEnds(t *testing.T) {
	c := newDoorCarrier(t.Context(), &Door{Name: "test", Run: shellDoor}, "behind")
	p, err := c.run(t.Context(), order{command: "yes"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.probe(); err != nil {
		t.Errorf("probe: %v", err)
	}
	c.Close()
	p.exit.wait(patience)
	if _, err := p.stdin.Write([]byte("x")); err == nil {
		t.Error("stdin takes more")
	}
	if _, err := io.Copy(io.Discard, p.stdout); err == nil {
		t.Error("output ends as if all were well")
	}
	if _, err := c.run(t.Context(), order{command: "true"}); err == nil {
		t.Error("a closed carrier runs commands")
	}
	if err := c.probe(); err == nil {
		t.Error("a closed carrier answers")
	}
}
