package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Term is a real program in a real terminal: one tmux pane on a private server, without a status line.
type Term struct {
	t      testing.TB
	socket string
	env    []string
}

// ambient are variables of the person who runs the tests that would change what a program draws.
var ambient = []string{"TMUX", "TMUX_PANE", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "FORCE_COLOR", "TERM_PROGRAM", "LANG", "LC_ALL", "LC_CTYPE"}

// NewTerm starts a program in a pane of w columns and h lines, with env (KEY=VALUE) beside this process's environment;
// LANG is C.UTF-8 unless env says otherwise. The pane outlives the program, so that its last screen can be read.
func NewTerm(t testing.TB, w, h int, env []string, argv ...string) *Term {
	t.Helper()
	require(t, missingPrograms("tmux"))
	// Not t.TempDir: a socket's path is limited to 107 bytes.
	dir, err := os.MkdirTemp("", "foretop-tmux-")
	if err != nil {
		t.Fatal(err)
	}
	m := &Term{t: t, socket: filepath.Join(dir, "s"), env: plainEnv()}
	t.Cleanup(func() {
		// No server, no error: the program may have been its last pane.
		_ = m.command("kill-server").Run()
		os.RemoveAll(dir)
	})
	conf := filepath.Join(dir, "conf")
	// Set before the pane exists: the program sees the right TERM, and even one that ends at once leaves its screen.
	lines := "set -g default-terminal tmux-256color\nset -g remain-on-exit on\nset -g status off\n" +
		"set -g window-size manual\nset -g history-limit 5000\nset -sg escape-time 0\n"
	if err := os.WriteFile(conf, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-f", conf, "new-session", "-d", "-x", strconv.Itoa(w), "-y", strconv.Itoa(h)}
	for _, kv := range append([]string{"LANG=C.UTF-8"}, env...) {
		args = append(args, "-e", kv)
	}
	m.tmux(append(append(args, "--"), argv...)...)
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
	pid, err := strconv.Atoi(m.show("#{pane_pid}"))
	if err != nil {
		m.t.Fatal(err)
	}
	return pid
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

// WaitExit waits for the program's end and returns its exit status (128 and more: a signal, as shells count).
func (m *Term) WaitExit(within time.Duration) int {
	m.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		var dead, status, signal int
		// A program that ended by a signal has no status, and the other way round: tmux then prints nothing.
		words := strings.Split(m.show("#{pane_dead}/#{pane_dead_status}/#{pane_dead_signal}"), "/")
		for i, p := range []*int{&dead, &status, &signal} {
			*p, _ = strconv.Atoi(words[i])
		}
		if dead == 1 && signal > 0 {
			return 128 + signal
		}
		if dead == 1 {
			return status
		}
		if time.Now().After(end) {
			m.t.Fatalf("the program did not end within %v:\n%s", within, m.Screen())
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

func (m *Term) command(args ...string) *exec.Cmd {
	cmd := exec.Command("tmux", append([]string{"-u", "-S", m.socket}, args...)...)
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
func (m *Term) String() string { return fmt.Sprintf("tmux -S %s attach", m.socket) }
