//go:build unix

package sshpool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// shown is a shell on a real terminal: what is typed into it and what is shown.
type shown struct {
	t    *testing.T
	tty  *os.File // the far end
	pty  *os.File
	mu   sync.Mutex
	text bytes.Buffer
	done chan error
}

// onTerminal runs a shell on a pseudo terminal, as Bubble Tea does when it has let go of its own.
func onTerminal(t *testing.T, s *Shell) *shown {
	t.Helper()
	ptmx, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	w := &shown{t: t, tty: tty, pty: ptmx, done: make(chan error, 1)}
	t.Cleanup(func() { ptmx.Close(); tty.Close() })
	w.resize(100, 30)
	s.SetStdin(tty)
	s.SetStdout(tty)
	s.SetStderr(tty)
	go func() {
		for buf := make([]byte, 4096); ; {
			n, err := ptmx.Read(buf)
			w.mu.Lock()
			w.text.Write(buf[:n])
			w.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() { w.done <- s.Run() }()
	return w
}

func (w *shown) resize(columns, lines uint16) {
	w.t.Helper()
	if err := pty.Setsize(w.pty, &pty.Winsize{Cols: columns, Rows: lines}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *shown) keys(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w.pty, s); err != nil {
		w.t.Fatal(err)
	}
}

// sees waits until something that matches is shown, and gives it.
func (w *shown) sees(what string) string {
	w.t.Helper()
	re := regexp.MustCompile(what)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		text := w.text.String()
		w.mu.Unlock()
		if found := re.FindString(text); found != "" {
			return found
		}
		if time.Now().After(end) {
			w.t.Fatalf("no %q in %q", what, text)
		}
	}
}

// ended gives what Run returned.
func (w *shown) ended() error {
	w.t.Helper()
	select {
	case err := <-w.done:
		return err
	case <-time.After(patience):
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t.Fatalf("the shell does not end; shown: %q", w.text.String())
		return nil
	}
}

// raw says whether the terminal passes keys on as they are.
func (w *shown) raw() bool {
	out, err := exec.Command("stty", "-F", w.tty.Name(), "-a").Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Contains(string(out), "-icanon")
}

// A shell of a real sshd, over the connection that the stream has: nobody logs in again. Sizes, colours, Ctrl-C and the arrows' bytes pass; the terminal is left as it was.
func TestShellSSHD(t *testing.T) {
	d := startSSHD(t, "AcceptEnv LANG LC_*")
	node := "ftbash@127.0.0.1"
	p, rec := d.pool(t, Timing{})
	p.Add(Target{Name: node})
	rec.reached(node, Live, 0)
	shell := shellsOn(t, p, node)
	t.Run("a terminal", func(t *testing.T) {
		s, resized := shell(ShellAt{})
		w := onTerminal(t, s)
		w.keys("stty size; echo \"<$TERM $LANG>\"; tty; shopt -q login_shell && echo log''in\r")
		w.sees(`[\r\n]30 100\r\n`)
		w.sees(`<xterm-256color C.UTF-8>\r\n/dev/pts/\d+`)
		w.sees(`[\r\n]login\r\n`)
		if !w.raw() {
			t.Error("the terminal is not raw")
		}
		w.resize(131, 47)
		resized <- struct{}{}
		w.keys("sleep 0.2; stty size\r")
		w.sees(`[\r\n]47 131\r\n`)
		w.keys("printf '\\033[31mred\\033[0m'\r")
		w.sees(`\x1b\[31mred\x1b\[0m`)
		w.keys("echo in''side; cat -v\r")
		w.sees(`[\r\n]inside\r\n`)
		w.keys("\x1b[A\r")
		w.sees(`\r\n\^\[\[A\r\n`)
		w.keys("\x03")
		w.sees(`\^C\r\n`)
		w.keys("echo st''ill here $?\r") // cat ended by it
		w.sees(`still here 130`)
		// An editor, full screen.
		w.keys("busybox vi note\r")
		w.sees(`\x1b\[\?1049h[^\n]*\x1b\[46;1H~[^\n]*note`) // as high as the terminal is now
		w.keys("ihello from here")
		w.sees(`from here`)
		w.keys("\x1b")
		time.Sleep(100 * time.Millisecond) // an Esc, not the begin of a key
		w.keys(":wq\r")
		w.sees(`\x1b\[\?1049l`)
		w.keys("echo \"<$(cat note)>\"\r")
		w.sees(`[\r\n]<hello from here>`)
		w.keys("exit 7\r")
		if err := w.ended(); err != nil {
			t.Error(err)
		}
		if w.raw() {
			t.Error("the terminal is raw still")
		}
		// A key that is typed afterwards is whose terminal it is.
		w.keys("z\r")
		b := make([]byte, 10)
		if n, err := w.tty.Read(b); err != nil || string(b[:n]) != "z\n" {
			t.Errorf("%q, %v", b[:n], err)
		}
	})
	t.Run("where a process is", func(t *testing.T) {
		dir := d.root + "/tmp/a dir; with $words"
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		at := sleeping(t, d, dir, "setpriv", "--reuid=61002", "--regid=61002", "--clear-groups")
		s, _ := shell(at)
		w := onTerminal(t, s)
		w.keys("echo \"<$PWD>\"; exit\r")
		w.sees(`<` + regexp.QuoteMeta(dir) + `>`)
		if err := w.ended(); err != nil {
			t.Error(err)
		}
		at.Enter = true // its namespaces are the shell's own: nothing is entered
		s, _ = shell(at)
		w = onTerminal(t, s)
		w.keys("echo \"<$PWD>\"; exit\r")
		w.sees(`<` + regexp.QuoteMeta(dir) + `>`)
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
	t.Run("in a process's namespaces", func(t *testing.T) {
		foreign := sleeping(t, d, "/", "unshare", "--uts")
		foreign.Enter = true
		s, _ := shell(foreign)
		w := onTerminal(t, s)
		if err := w.ended(); !errors.Is(err, ErrNotStarted) {
			t.Error(err)
		}
		w.sees("foretop: its namespaces may not be looked at: needs root or its owner")
		p.Add(Target{Name: "root@127.0.0.1"})
		rec.reached("root@127.0.0.1", Live, 0)
		at := sleeping(t, d, d.root, "unshare", "--uts", "sh", "-c", `hostname inside; exec "$@"`, "sh")
		at.Enter = true
		s = p.Shell(t.Context(), "root@127.0.0.1", at)
		w = onTerminal(t, s)
		w.keys("echo \"<$(hostname) $PWD>\"; exit\r")
		w.sees("<inside " + d.root + ">")
		if err := w.ended(); err != nil {
			t.Error(err)
		}
	})
	t.Run("left by ~.", func(t *testing.T) {
		s, _ := shell(ShellAt{})
		w := onTerminal(t, s)
		w.keys("stty raw -echo; echo rea''dy; exec sleep 1000\r")
		w.sees("ready")
		w.keys("\r~.")
		if err := w.ended(); !errors.Is(err, ErrShellLeft) {
			t.Error(err)
		}
		if w.raw() {
			t.Error("the terminal is raw still")
		}
	})
	t.Run("ctx ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := p.Shell(ctx, node, ShellAt{})
		w := onTerminal(t, s)
		w.keys("echo rea''dy\r")
		w.sees("ready")
		cancel()
		if err := w.ended(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	// sshd says "Accepted publickey" once: all shells went over one connection. Then that dies.
	if n := strings.Count(d.logged(), "Accepted publickey for ftbash"); n != 1 {
		t.Errorf("%d logins", n)
	}
	t.Run("the connection dies", func(t *testing.T) {
		s, _ := shell(ShellAt{})
		w := onTerminal(t, s)
		w.keys("printf '\\033[?1049h'; echo rea''dy\r")
		w.sees("ready")
		w.keys("kill -9 $(ps -o ppid= -p $PPID) $PPID\r")
		err := w.ended()
		if !errors.Is(err, ErrEndUnknown) || !strings.Contains(fmt.Sprint(err), "shell on "+node+": the connection was lost") {
			t.Error(err)
		}
		w.sees(`\x1b\[\?1049l`)
		if w.raw() {
			t.Error("the terminal is raw still")
		}
	})
}

// sleeping is a process in a folder, where the server sees it; it is started by the words before.
func sleeping(t *testing.T, d *sshd, dir string, before ...string) ShellAt {
	t.Helper()
	cmd := exec.Command("nsenter", append(append([]string{"-t", strconv.Itoa(d.cmd.Process.Pid), "-m", "--wd=" + dir}, before...), "sh", "-c", "echo; exec sleep 1000")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return ShellAt{PID: cmd.Process.Pid, Start: startTicks(t, cmd.Process.Pid)}
}

func startTicks(t *testing.T, pid int) (n uint64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if _, err := fmt.Sscan(strings.Fields(text[strings.LastIndexByte(text, ')')+1:])[19], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What leaves a shell is what leaves ssh.
func TestTyped(t *testing.T) {
	for _, c := range []struct {
		keys, sent string
		left       bool
	}{
		{"ls\r", "ls\r", false}, {"~.", "", true}, {"a~.", "a~.", false}, {"a\r~.b", "a\r", true}, {"~~.", "~.", false}, {"~x~.", "~x~.", false}, {"\r~\r~.", "\r~\r", true}, {"~", "", false},
	} {
		for _, piece := range []int{1, 100} {
			k := &typed{line: true}
			var sent []byte
			left := false
			for rest := []byte(c.keys); len(rest) > 0 && !left; {
				n := min(piece, len(rest))
				sent, left = k.take(sent, rest[:n])
				rest = rest[n:]
			}
			if string(sent) != c.sent || left != c.left {
				t.Errorf("%q in pieces of %d: %q, %v", c.keys, piece, sent, left)
			}
		}
	}
}

// A shell that cannot be had is not begun.
func TestShellRefused(t *testing.T) {
	p, _, _ := liveNode(t, shell("/bin/sh")) // its server knows no pty-req
	s := p.Shell(t.Context(), "n", ShellAt{})
	s.SetStdin(strings.NewReader(""))
	s.SetStdout(io.Discard)
	if err := s.Run(); !errors.Is(err, ErrNotStarted) || !strings.Contains(err.Error(), "gives no terminal") {
		t.Error(err)
	}
	if err := p.Shell(t.Context(), "m", ShellAt{}).Run(); !errors.Is(err, ErrNotConnected) {
		t.Error(err)
	}
}

// shellsOn opens shells on a node, on a terminal of a known kind; what is sent to the channel is heard as its change of size.
func shellsOn(t *testing.T, p *Pool, node string) func(at ShellAt) (*Shell, chan struct{}) {
	return func(at ShellAt) (*Shell, chan struct{}) {
		s := p.Shell(t.Context(), node, at)
		resized := make(chan struct{}, 1)
		s.Resized = resized
		s.Getenv = func(name string) string { return map[string]string{"TERM": "xterm-256color", "LANG": "C.UTF-8"}[name] }
		return s, resized
	}
}
