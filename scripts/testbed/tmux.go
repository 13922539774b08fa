package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Term is a real program in a real terminal: one tmux pane on a private server, without a status line. The pane outlives
// the program and shows what it left.
type Term struct {
	t   testing.TB
	dir string // the server's socket, and what keeper says
	env []string
}

// keeper runs the program and holds the pane open behind it: tmux loses the last words of a program that takes its
// terminal along, at times its exit status too. The program has its own process number and the default signals.
const keeper = `trap : INT QUIT TERM
exec 3>&2 2>/dev/null
sh -c 'echo $$ >"$0/pid"; exec "$@" 2>&3 3>&-' "$@"
echo $? >"$1/status.new"; mv "$1/status.new" "$1/status"
exec sleep 1000000`

// ambient are variables of the person who runs the tests that would change what a program draws.
var ambient = []string{"TMUX", "TMUX_PANE", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "FORCE_COLOR", "TERM_PROGRAM", "LANG", "LC_ALL", "LC_CTYPE"}

// NewTerm starts a program in a pane of w columns and h lines, with env (KEY=VALUE) beside this process's environment;
// LANG is C.UTF-8 unless env says otherwise.
func NewTerm(t testing.TB, w, h int, env []string, argv ...string) *Term {
	t.Helper()
	require(t, missingPrograms("tmux"))
	// Not t.TempDir: a socket's path is limited to 107 bytes.
	dir, err := os.MkdirTemp("", "foretop-tmux-")
	if err != nil {
		t.Fatal(err)
	}
	m := &Term{t: t, dir: dir, env: plainEnv()}
	t.Cleanup(func() {
		// The program first: one that ignores the hang-up of its terminal would stay.
		if pid, err := m.number("pid"); err == nil {
			if _, err := m.number("status"); err != nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		// No server, no error: the program may have killed it.
		_ = m.command("kill-server").Run()
		os.RemoveAll(dir)
	})
	conf := filepath.Join(dir, "conf")
	lines := "set -g default-terminal tmux-256color\nset -g status off\nset -g history-limit 5000\nset -sg escape-time 0\n"
	if err := os.WriteFile(conf, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-f", conf, "new-session", "-d", "-x", strconv.Itoa(w), "-y", strconv.Itoa(h)}
	for _, kv := range append([]string{"LANG=C.UTF-8"}, env...) {
		args = append(args, "-e", kv)
	}
	m.tmux(append(append(args, "--", "sh", "-c", keeper, "sh", dir), argv...)...)
	return m
}

// Keys presses keys by tmux's names: "j", "Enter", "Escape", "C-c", "Space", "PgDn".
func (m *Term) Keys(keys ...string) {
	m.t.Helper()
	m.tmux(append([]string{"send-keys", "--"}, keys...)...)
}

// Type types the text as it is.
func (m *Term) Type(text string) {
	m.t.Helper()
	m.tmux("send-keys", "-l", "--", text)
}

// Paste pastes the text as a terminal does: in brackets, where the program asked for them.
func (m *Term) Paste(text string) {
	m.t.Helper()
	m.tmux("set-buffer", "-b", "pasted", "--", text)
	m.tmux("paste-buffer", "-p", "-d", "-b", "pasted")
}

// Screen is what the pane shows: h lines without trailing blanks.
func (m *Term) Screen() string {
	m.t.Helper()
	return m.tmux("capture-pane", "-p")
}

// ScreenANSI is Screen with the escape sequences that set its colours.
func (m *Term) ScreenANSI() string {
	m.t.Helper()
	return m.tmux("capture-pane", "-p", "-e")
}

// Record writes all that the pane's program prints from now on to a file, as it is printed.
func (m *Term) Record(path string) {
	m.t.Helper()
	m.tmux("pipe-pane", "exec cat >'"+path+"'")
}

// WaitFor waits until the screen matches the regular expression and returns that screen; the test fails when it does
// not within the time.
func (m *Term) WaitFor(pattern string, within time.Duration) string {
	m.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		screen := m.Screen()
		if re.MatchString(screen) {
			return screen
		}
		if time.Now().After(end) {
			m.t.Fatalf("no %q on the screen within %v:\n%s", pattern, within, screen)
		}
	}
}

// Resize gives the pane another size; the program gets SIGWINCH.
func (m *Term) Resize(w, h int) {
	m.t.Helper()
	m.tmux("resize-window", "-x", strconv.Itoa(w), "-y", strconv.Itoa(h))
}

// PID is the program's process id.
func (m *Term) PID() int {
	m.t.Helper()
	return m.waitNumber("pid", 10*time.Second)
}

// AltScreen says whether the program has the alternate screen.
func (m *Term) AltScreen() bool {
	m.t.Helper()
	return m.show("#{alternate_on}") == "1"
}

// CursorShown says whether the cursor is visible.
func (m *Term) CursorShown() bool {
	m.t.Helper()
	return m.show("#{cursor_flag}") == "1"
}

// WaitExit waits for the program's end and for its last output, and returns its exit status (128 and more: a signal, as
// shells count).
func (m *Term) WaitExit(within time.Duration) int {
	m.t.Helper()
	status := m.waitNumber("status", within)
	for before := ""; ; {
		screen := m.ScreenANSI()
		if screen == before {
			return status
		}
		before = screen
		time.Sleep(100 * time.Millisecond)
	}
}

// number is what keeper wrote to a file.
func (m *Term) number(file string) (int, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, file))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

func (m *Term) waitNumber(file string, within time.Duration) int {
	m.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		if n, err := m.number(file); err == nil {
			return n
		}
		if time.Now().After(end) {
			m.t.Fatalf("no %s of the program within %v:\n%s", file, within, m.Screen())
		}
	}
}

func (m *Term) show(format string) string {
	m.t.Helper()
	return strings.TrimSpace(m.tmux("display-message", "-p", format))
}

func (m *Term) tmux(args ...string) string {
	m.t.Helper()
	cmd := m.command(args...)
	out, err := output(cmd)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

func (m *Term) socket() string { return filepath.Join(m.dir, "s") }

func (m *Term) command(args ...string) *exec.Cmd {
	cmd := exec.Command("tmux", append([]string{"-u", "-S", m.socket()}, args...)...)
	cmd.Env = m.env
	return cmd
}

// plainEnv is this process's environment without what its own terminal put there.
func plainEnv() []string {
	var out []string
	for _, kv := range os.Environ() {
		keep := true
		for _, name := range ambient {
			keep = keep && !strings.HasPrefix(kv, name+"=")
		}
		if keep {
			out = append(out, kv)
		}
	}
	return out
}

// String names the terminal by its tmux command, for a person who wants to attach to it.
func (m *Term) String() string { return fmt.Sprintf("tmux -S %s attach", m.socket()) }
