package testbed

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 20 * time.Second

func TestTermShowsWhatARealTerminalWould(t *testing.T) {
	program := `trap 'printf "\033[2;1Hnow $(stty size)"' WINCH
printf '\033[?1049h\033[?25l\033[2J\033[H\033[31mred\033[0m %s %s %s\n' "$LANG" "$OWN" "$TERM"
while :; do read -r word && printf '\033[3;1Hgot <%s>' "$word"; done`
	m := NewTerm(t, 70, 10, []string{"OWN=mine"}, "bash", "-c", program)
	screen := m.WaitFor(`red`, patience)
	if !strings.HasPrefix(screen, "red C.UTF-8 mine tmux-256color\n") {
		t.Errorf("screen:\n%s", screen)
	}
	if lines := strings.Split(screen, "\n"); len(lines) != 10 {
		t.Errorf("%d lines, want 10", len(lines))
	}
	if !strings.Contains(m.ScreenANSI(), "\x1b[31mred") {
		t.Errorf("no red on the screen: %q", m.ScreenANSI())
	}
	if !m.AltScreen() || m.CursorShown() {
		t.Errorf("alternate screen %v, cursor %v", m.AltScreen(), m.CursorShown())
	}
	m.Type("Enter -l")
	m.Keys("Enter")
	m.WaitFor(`got <Enter -l>`, patience)
	m.Resize(120, 40)
	// bash runs the trap when its read is over.
	m.Keys("x", "Enter")
	m.WaitFor(`now 40 120`, patience)
	if lines := strings.Split(m.Screen(), "\n"); len(lines) != 40 {
		t.Errorf("%d lines after the change of size, want 40", len(lines))
	}
	must(t, syscall.Kill(m.PID(), syscall.SIGKILL))
	if got := m.WaitExit(patience); got != 128+9 {
		t.Errorf("exit status %d, want 137", got)
	}
}

func TestTermKeepsTheLastScreen(t *testing.T) {
	m := NewTerm(t, 40, 5, []string{"LANG=C"}, "sh", "-c", "echo last words in $LANG; exit 7")
	if got := m.WaitExit(patience); got != 7 {
		t.Errorf("exit status %d, want 7", got)
	}
	if got := m.Screen(); got != "last words in C\n\n\n\n" {
		t.Errorf("screen %q", got)
	}
}

func TestTermEndsWithTheTest(t *testing.T) {
	var pid int
	var socket string
	t.Run("inner", func(t *testing.T) {
		m := NewTerm(t, 40, 5, nil, "sleep", "1000")
		pid, socket = m.PID(), m.socket()
	})
	within(t, patience, "the end of the program", func() bool { return syscall.Kill(pid, 0) != nil })
	if _, err := os.Stat(socket); err == nil {
		t.Errorf("%s is still there", socket)
	}
}
