package cli

import (
	"os"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// From an unknown host key and a locked key to three live nodes, by the real program in a real terminal. The passphrase is seen nowhere.
func TestTermQuestions(t *testing.T) {
	t.Parallel()
	testbed.Need(t, "tmux")
	bed := testbed.Nodes(t, 4, testbed.On("node002", testbed.UnknownHostKey()), testbed.On("node004", testbed.ChangedHostKey()))
	home := t.TempDir()
	ssh := lockedConfig(t, bed, home)
	const w, h = 80, 24
	s := &screen{testbed.NewTerm(t, w, h, []string{"HOME=" + home}, foretopProgram(t), "-F", ssh, "node001", "node002", "node003", "node004"), t, w, h}
	s.WaitFor(`2 questions: press Q`, 60*time.Second)

	s.press("Q")
	s.WaitFor(`CHANGED`, 10*time.Second)
	s.WaitFor(`unknown  [0-9.]+  ED25519 SHA256:`, 10*time.Second)
	s.press("Enter") // the changed one is under the cursor
	s.WaitFor(`never accepted here`, 10*time.Second)
	s.press("G")
	s.press("Enter")
	s.WaitFor(`accept it\?`, 10*time.Second)
	time.Sleep(time.Second) // it is read
	s.press("y")
	s.WaitFor(`1 host key accepted`, 10*time.Second)
	known, err := os.ReadFile(bed.KnownHosts)
	must(t, err)
	if addr := bed.Node("node002").Addr; !strings.Contains(string(known), addr+" ssh-ed25519 ") {
		t.Errorf("known_hosts has no line of %s:\n%s", addr, known)
	}

	s.WaitFor(`(?s)passphrase of the key.*3 nodes wait`, 20*time.Second)
	time.Sleep(time.Second)
	s.Type("open sesamy")
	s.press("Enter")
	s.WaitFor(`that was not the passphrase`, 20*time.Second)
	time.Sleep(time.Second)
	s.Type("open sesame")
	if got := s.Screen(); strings.Contains(got, "sesam") {
		t.Errorf("what is typed shows:\n%s", got)
	}
	s.press("Enter")
	s.WaitFor(`nothing more is asked`, 30*time.Second)
	s.press("Escape")
	s.press("2")
	if got := s.WaitFor(`(?s)3 live.*node003`, 60*time.Second); strings.Contains(got, "press Q") {
		t.Errorf("still asked:\n%s", got)
	}
	s.press("q")
	s.left(0)
}
