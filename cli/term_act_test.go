package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// acting is the real program on real nodes of a real Slurm, in a real terminal.
type acting struct {
	*screen
	ctl   *testbed.SlurmBed
	audit string
}

func openActing(t *testing.T, args ...string) *acting {
	t.Helper()
	testbed.Need(t, "tmux")
	bed := testbed.Nodes(t, 4, testbed.On("node004", testbed.User("root")))
	ctl := testbed.Slurm(t, testbed.SlurmOptions{On: bed, GPUs: -1})
	home := t.TempDir()
	audit := filepath.Join(home, "audit.jsonl")
	cfg := filepath.Join(home, "config.yaml")
	if err := os.WriteFile(cfg, []byte(fmt.Sprintf("slurm: {login: node004}\nactions: {audit: %s}\n", audit)), 0o600); err != nil {
		t.Fatal(err)
	}
	const w, h = 120, 40
	argv := append([]string{foretopProgram(t), "--config", cfg, "-F", bed.SSHConfig}, append(args, "node001", "node002", "node003", "node004")...)
	s := &screen{testbed.NewTerm(t, w, h, []string{"HOME=" + home}, argv...), t, w, h}
	s.WaitFor(`4 live`, 60*time.Second)
	return &acting{s, ctl, audit}
}

// reasons are the nodes that are drained, as Slurm says.
func (a *acting) reasons() string {
	a.t.Helper()
	out, err := a.ctl.Run("root", "sinfo", "-h", "-R", "-p", "train", "-o", "%n|%E")
	must(a.t, err)
	return strings.TrimSpace(out)
}

// audited is what the audit file holds.
func (a *acting) audited() string {
	b, err := os.ReadFile(a.audit)
	if err != nil {
		return ""
	}
	return string(b)
}

// From the program's start to a drained node it takes four keys and the reason; Esc at every step, what is pasted, and keys that come too early change nothing.
func TestTermDrain(t *testing.T) {
	t.Parallel()
	a := openActing(t)
	a.press("2")
	a.WaitFor(`node001`, 10*time.Second)
	a.press("g")
	// Nothing by accident. The scheduler's word may still be on its way: only then is a node proven.
	for _, keys := range [][]string{{"D", "Escape"}, {"D", "x", "Enter", "Escape"}, {"D", "x", "Enter", "n"}, {"R", "Escape"}, {"!", "Escape"}, {"K", "Escape"}} {
		for _, k := range keys {
			a.press(k)
		}
		a.press("Escape")
	}
	a.Paste("D\ny\n")
	a.Keys("D", "x", "Enter", "y", "1", "Enter") // all at once, as where a terminal brackets nothing
	a.press("Escape")
	a.press("Escape")
	a.press("Escape")
	if got := a.reasons(); got != "" || a.audited() != "" {
		t.Fatalf("drained by accident: %s\n%s", got, a.audited())
	}
	a.press("2")
	a.press("g")
	a.press("F") // nothing is wrong with it
	a.WaitFor(`F tags the nodes that have the finding`, 10*time.Second)
	var question string
	for range 60 { // until Slurm has told its nodes
		a.press("D")
		a.Type("fan \"broken\" $(id)")
		a.press("Enter")
		if question = a.WaitFor(`do it\?|it cannot be done`, 10*time.Second); strings.Contains(question, "do it?") {
			break
		}
		a.press("Escape")
		time.Sleep(500 * time.Millisecond)
	}
	for _, want := range []string{"drain 1 node: node001", "slurm bed", "NodeName=node001", "slurm bed (1 node): no new job starts there; jobs that run go on to their end"} {
		if !strings.Contains(question, want) {
			t.Errorf("no %q in\n%s", want, question)
		}
	}
	time.Sleep(time.Second) // it is read
	a.press("y")
	a.WaitFor(`1 done`, 60*time.Second)
	if got := a.reasons(); got != `node001|fan "broken" $(id)` {
		t.Errorf("sinfo -R: %s", got)
	}
	if lines := strings.Count(a.audited(), "\n"); lines != 2 {
		t.Errorf("%d audit lines:\n%s", lines, a.audited())
	}
	// z takes it back.
	a.press("z")
	a.WaitFor(`do it\?`, 10*time.Second)
	time.Sleep(time.Second)
	a.press("y")
	a.WaitFor(`1 done`, 60*time.Second)
	if got := a.reasons(); got != "" {
		t.Errorf("after the undo: %s", got)
	}
	a.press("Escape")
	a.WaitFor(`2 Nodes`, 10*time.Second)
	a.press("q")
	a.left(0)
}

// A shell on the node, in the program's own terminal: what runs there has the terminal's size and keys, and the screen is back when it ends.
func TestTermShell(t *testing.T) {
	t.Parallel()
	testbed.Need(t, "vim", "htop")
	a := openActing(t)
	a.press("2")
	a.press("g")
	a.press("s")
	a.Type("hostname; tput cols; stty size")
	a.press("Enter")
	a.WaitFor(`(?s)node001.*120.*40 120`, 30*time.Second)
	a.Type("vim -u NONE -n")
	a.press("Enter")
	a.WaitFor(`(?m)^~`, 30*time.Second)
	a.Type("ihello from vim")
	a.press("Escape")
	a.WaitFor(`hello from vim`, 10*time.Second)
	a.Type(":q!")
	a.press("Enter")
	a.Type("htop")
	a.press("Enter")
	a.WaitFor(`Load average`, 30*time.Second)
	a.press("q")
	a.Type("sleep 1000")
	a.press("Enter")
	a.press("C-c")
	a.Type("echo back=$((6*7))")
	a.press("Enter")
	a.WaitFor(`back=42`, 30*time.Second)
	a.Type("exit")
	a.press("Enter")
	a.WaitFor(`(?s)1 Jobs.*node001`, 30*time.Second)
	a.whole("the shell")
	a.press("q")
	a.left(0)
}
