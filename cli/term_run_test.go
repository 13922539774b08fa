package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// openRunning is the real program on real nodes, in a real terminal, with the audit file of a person who acts.
func openRunning(t *testing.T, w, h int, args ...string) (s *screen, audit string) {
	t.Helper()
	testbed.Need(t, "tmux", "python3")
	bed := testbed.Nodes(t, 4)
	home := t.TempDir()
	audit = filepath.Join(home, "state", "foretop", "audit.jsonl")
	env := []string{"HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state")}
	s = &screen{testbed.NewTerm(t, w, h, env, append([]string{foretopProgram(t), "-F", bed.SSHConfig, "node[001-004]"}, args...)...), t, w, h}
	s.WaitFor(`4 live`, 60*time.Second)
	return s, audit
}

// onAll runs a line on all four nodes.
func (s *screen) onAll(line string) {
	s.t.Helper()
	s.press("2")
	s.press("U")
	s.press("g")
	for range 4 {
		s.press("Space")
	}
	s.press("!")
	s.WaitFor(`command:`, 10*time.Second)
	s.press(line)
	s.WaitFor(`goes on to the question`, 10*time.Second)
	s.press("Enter")
	s.WaitFor(`do it\? type 4`, 10*time.Second)
	time.Sleep(time.Second) // what is typed before the question has settled does not count
	s.press("4")
	s.press("Enter")
}

// A command on real nodes: equal outputs once, what failed first, each node's own time; nothing that they print reaches the terminal; the run comes back at a key.
func TestTermRun(t *testing.T) {
	t.Parallel()
	s, audit := openRunning(t, 100, 30)
	s.onAll(`case $(hostname) in node003) exit 7;; node004) seq 30;; esac; printf 'a\tb\033[31m\033]0;owned\007\n'`)
	s.WaitFor(`4 of 4 ended in`, 30*time.Second)
	text := s.whole("a run")
	for _, want := range []string{"3 done, 1 failed", "node003 ", "exit 7  no output", "node[001-002]", "2 nodes  exit 0  1 line", "a       b", "31 lines"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	s.press("/")
	s.press("30")
	s.press("Enter")
	s.WaitFor(`▸ +30`, 10*time.Second) // it was hidden
	s.press("Tab")
	s.WaitFor(`node003 +✖ failed +7`, 10*time.Second)
	s.press("Escape")
	s.press("1")
	s.press("5")
	s.WaitFor(`4 of 4 ended in`, 10*time.Second)
	b, err := os.ReadFile(audit)
	must(t, err)
	if n := strings.Count(string(b), "\n"); n != 8 {
		t.Errorf("%d lines in the audit file:\n%s", n, b)
	}
	s.press("q")
	s.left(0)
}

// Stacks of real ranks, without and with stopping them; both are in the audit file, and a run that is stopped starts nothing more.
func TestTermStacks(t *testing.T) {
	t.Parallel()
	s, audit := openRunning(t, 120, 40)
	s.onAll(`[ $(hostname) = node002 ] || exit 0; cd /; for r in 0 1; do RANK=$r WORLD_SIZE=2 LOCAL_RANK=$r MASTER_ADDR=node002 MASTER_PORT=29500 setsid python3 -c 'import time; time.sleep(3000)' </dev/null >/dev/null 2>&1 & done`)
	s.WaitFor(`4 of 4 ended in`, 30*time.Second)
	s.press("1")
	s.WaitFor(`2/2`, 60*time.Second)
	s.press("S")
	s.WaitFor(`2 ranks 0-1 in \S+`, 30*time.Second)
	s.press("B")
	s.WaitFor(`py-spy stops each process while it reads it`, 10*time.Second)
	s.WaitFor(`do it\? type 2`, 10*time.Second)
	s.press("Escape")
	s.WaitFor(`2 ranks 0-1 in \S+`, 10*time.Second)
	s.press("B")
	s.WaitFor(`do it\? type 2`, 10*time.Second)
	time.Sleep(time.Second)
	s.press("2")
	s.press("Enter")
	s.WaitFor(`each stopped while it was read`, 30*time.Second)
	s.WaitFor(`2 ranks 0-1 in \S+`, 30*time.Second)
	b, err := os.ReadFile(audit)
	must(t, err)
	for _, want := range []string{`"py-spy dump --nonblocking, else /proc, of 2 processes"],"state":"done"`, `"py-spy dump, else /proc, of 2 processes"],"state":"done"`} {
		if strings.Count(string(b), want) != 1 {
			t.Errorf("no %s in\n%s", want, b)
		}
	}
	s.press("q")
	s.press("q")
	s.left(0)
}
