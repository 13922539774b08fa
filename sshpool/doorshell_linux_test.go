package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"

	"foretop/sshpool/payload"
)

// terminalDoor runs commands on terminals of this machine. Like a container runtime it leaves a command alone whose caller is gone.
func terminalDoor(t *testing.T) func(context.Context, string, string, func() (int, int, bool), io.Reader, io.Writer) (int, error) {
	return func(ctx context.Context, _, command string, sizes func() (int, int, bool), stdin io.Reader, stdout io.Writer) (int, error) {
		cmd := exec.Command("/bin/sh", "-c", command)
		f, err := pty.Start(cmd)
		if err != nil {
			return -1, err
		}
		sized := make(chan struct{})
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-sized; f.Close() })
		go func() {
			defer close(sized)
			for {
				columns, lines, ok := sizes()
				if !ok {
					return
				}
				_ = pty.Setsize(f, &pty.Winsize{Cols: uint16(columns), Rows: uint16(lines)})
			}
		}()
		go func() { _, _ = io.Copy(f, stdin) }()
		ended := make(chan error, 1)
		go func() {
			_, _ = io.Copy(stdout, f)
			_, _ = io.Copy(io.Discard, f)
			ended <- cmd.Wait()
		}()
		select {
		case err = <-ended:
		case <-ctx.Done():
			return -1, ctx.Err()
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			return exit.ExitCode(), nil
		}
		return 0, err
	}
}

// behind is a pool with one node, behind a door.
func behind(t *testing.T, door *Door) (*Pool, *recorder) {
	t.Helper()
	at := newPlace(t)
	t.Setenv("FT", at.local)
	t.Setenv("HOME", at.home)
	p, rec := newTestPool(t, deployConfig(t, payload.Of(&payload.Bundle{Platform: payload.Here(), Collector: payload.FromBytes("fake", fakeBytes(t)), Args: "collect"})))
	p.Add(Target{Name: "behind", Door: door})
	rec.reached("behind", Live, 0)
	return p, rec
}

// vanishes waits until a process is no more.
func vanishes(t *testing.T, pid string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %s goes on", pid)
		}
	}
}

// A shell behind a door is like one of sshd: size, language, account and place; what it leaves behind when its terminal is gone is told so, for no door does that.
func TestDoorShell(t *testing.T) {
	shells := terminalDoor(t)
	var lost atomic.Pointer[context.CancelCauseFunc]
	var refuses atomic.Pointer[DoorError]
	door := &Door{Name: "test", Run: shellDoor, Shell: func(ctx context.Context, node, command string, sizes func() (int, int, bool), stdin io.Reader, stdout io.Writer) (int, error) {
		if err := refuses.Load(); err != nil {
			return -1, err
		}
		ctx, cut := context.WithCancelCause(ctx)
		lost.Store(&cut)
		exit, err := shells(ctx, node, command, sizes, stdin, stdout)
		var cause *DoorError
		if errors.As(context.Cause(ctx), &cause) {
			err = cause
		}
		return exit, err
	}}
	p, _ := behind(t, door)
	shell := shellsOn(t, p, "behind")
	t.Run("a terminal", func(t *testing.T) {
		s, resized := shell(ShellAt{})
		w := onTerminal(t, s)
		w.keys("stty size; echo \"<$TERM $LANG $USER $PWD>\"\r")
		w.sees(`[\r\n]30 100\r\n`)
		w.sees(`<xterm-256color C.UTF-8 \S+ /\S*>`)
		w.resize(131, 47)
		resized <- struct{}{}
		w.keys("while [ \"$(stty size)\" != '47 131' ]; do sleep .1; done; echo res''ized\r")
		w.sees("resized")
		w.keys("sleep 1000\r")
		time.Sleep(100 * time.Millisecond)
		w.keys("\x03")
		w.keys("echo inter''rupted; exit 7\r")
		w.sees("interrupted")
		if err := w.ended(); err != nil {
			t.Error(err)
		}
		if w.raw() {
			t.Error("the terminal is raw still")
		}
	})
	t.Run("where a process is", func(t *testing.T) {
		dir := t.TempDir()
		cmd := exec.Command("sleep", "1000")
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		at := ShellAt{PID: cmd.Process.Pid, Start: startTicks(t, cmd.Process.Pid), Enter: true}
		s, _ := shell(at)
		w := onTerminal(t, s)
		w.keys("echo \"<$PWD>\"; exit\r")
		w.sees("<" + dir + ">")
		if err := w.ended(); err != nil {
			t.Error(err)
		}
		at.Start++
		s, _ = shell(at)
		w = onTerminal(t, s)
		if err := w.ended(); !errors.Is(err, ErrNotStarted) {
			t.Error(err)
		}
		w.sees("foretop: the process is another one now")
	})
	for what, leave := range map[string]func(w *shown, cancel func()) string{
		"left by ~.": func(w *shown, _ func()) string { w.keys("\r~."); return ErrShellLeft.Error() },
		"ctx ends":   func(_ *shown, cancel func()) string { cancel(); return context.Canceled.Error() },
		"the door is lost": func(*shown, func()) string {
			(*lost.Load())(&DoorError{Cause: "the API server closed the connection", Remedy: "look at it"})
			return "shell on behind: the connection was lost: its end is not known: the API server closed the connection (look at it)"
		},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, _ := shell(ShellAt{})
			s.ctx = ctx
			w := onTerminal(t, s)
			w.keys("echo \"<$$>\"; sleep 1000 & echo \"[$!]\"; stty -echo; echo rea''dy; exec sh -c 'echo \"{$$}\"; exec sleep 2000'\r")
			w.sees("ready")
			top, child := strings.Trim(w.sees(`<\d+>`), "<>"), strings.Trim(w.sees(`\{\d+\}`), "{}")
			if top != child {
				t.Errorf("the shell %s, its successor %s", top, child)
			}
			want := leave(w, cancel)
			if err := w.ended(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
			w.sees(`\x1b\[\?1049l`)
			if w.raw() {
				t.Error("the terminal is raw still")
			}
			vanishes(t, top)
		})
	}
	t.Run("refused", func(t *testing.T) {
		refuses.Store(&DoorError{Cause: "no pod on behind", Remedy: "apply it", Refused: true})
		defer refuses.Store(nil)
		s, _ := shell(ShellAt{})
		w := onTerminal(t, s)
		if err := w.ended(); !errors.Is(err, ErrNotStarted) || fmt.Sprint(err) != "shell on behind: not started: no pod on behind (apply it)" {
			t.Error(err)
		}
	})
}

type writes func(b []byte) (int, error)

func (f writes) Write(b []byte) (int, error) { return f(b) }

// A door that gives no terminal says so; one through which a command is to be stopped has it told, though no signal goes through.
func TestDoorStops(t *testing.T) {
	left := func(ctx context.Context, node, command string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
		ended := make(chan struct{})
		var exit int
		var err error
		go func() {
			defer close(ended)
			exit, err = shellDoor(context.WithoutCancel(ctx), node, command, stdin, stdout, stderr)
		}()
		select {
		case <-ended:
			return exit, err
		case <-ctx.Done():
			return -1, ctx.Err()
		}
	}
	p, _ := behind(t, &Door{Name: "test", Run: left})
	s := p.Shell(t.Context(), "behind", ShellAt{})
	s.SetStdin(strings.NewReader(""))
	s.SetStdout(io.Discard)
	if err := s.Run(); !errors.Is(err, ErrNotStarted) || !strings.Contains(err.Error(), "the door test gives no terminal (open one") {
		t.Error(err)
	}
	for what, line := range map[string]string{"it ends": "", "it minds no TERM": "trap '' TERM;"} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			said := make(chan string, 1)
			out := writes(func(b []byte) (int, error) {
				select {
				case said <- strings.TrimSpace(string(b)):
				default:
				}
				return len(b), nil
			})
			done := make(chan error, 1)
			go func() {
				_, err := p.Exec(ctx, "behind", Command{Line: line + "echo $$; while :; do sleep .1; done", Stdout: out})
				done <- err
			}()
			pid := <-said
			cancel()
			err := <-done
			if !errors.Is(err, context.Canceled) || line != "" && !errors.Is(err, ErrEndUnknown) {
				t.Error(err)
			}
			if line == "" {
				vanishes(t, pid)
				return
			}
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			process, err := os.FindProcess(n)
			if err != nil {
				t.Fatal(err)
			}
			_ = process.Kill()
		})
	}
	var out strings.Builder
	exit, err := p.Exec(t.Context(), "behind", Command{Line: `echo "it's $0 !"; exit 3`, Stdout: &out})
	if err != nil || exit.Code != 3 || out.String() != "it's /bin/sh !\n" {
		t.Errorf("%+v, %v, %q", exit, err, out.String())
	}
}
