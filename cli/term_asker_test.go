package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// Commands that open no screen ask on their terminal, whatever their streams are: an unknown host key, then the passphrase, once for all nodes. With --batch, and without a
// terminal, they ask for nothing.
func TestTermCommandsAsk(t *testing.T) {
	t.Parallel()
	testbed.Need(t, "tmux")
	bed := testbed.Nodes(t, 3, testbed.On("node002", testbed.UnknownHostKey()))
	home := t.TempDir()
	ssh := lockedConfig(t, bed, home)
	const w, h = 120, 30
	s := &screen{testbed.NewTerm(t, w, h, []string{"HOME=" + home, "PS1=$ "}, "sh"), t, w, h}
	foretop := foretopProgram(t)
	s.Type(foretop + " run -F " + ssh + " 'node[001-003]' -- hostname </dev/null >" + home + "/out 2>" + home + "/errs; echo ended $?")
	s.press("Enter")
	const key, secret = `(?m)fingerprint: *$`, `passphrase of the key`
	answers := []struct{ asked, answer string }{{key, "yes"}, {secret, "open sesame"}}
	if strings.Contains(s.WaitFor(key+"|"+secret, 2*time.Minute), secret) { // which comes first depends on who answers first
		answers[0], answers[1] = answers[1], answers[0]
	}
	for _, a := range answers {
		s.WaitFor(a.asked, 2*time.Minute)
		s.Type(a.answer)
		s.press("Enter")
	}
	if got := s.WaitFor(`ended \d`, 2*time.Minute); !strings.Contains(got, "ended 0") || strings.Contains(got, "sesame") {
		t.Errorf("%s", got)
	}
	out, err := os.ReadFile(filepath.Join(home, "out"))
	must(t, err)
	for _, name := range bed.Names() {
		if !strings.Contains(string(out), name) {
			t.Errorf("%s was not run on:\n%s", name, out)
		}
	}
	s.Type("clear; " + foretop + " run --batch -F " + ssh + " node001 -- hostname; echo ended $?")
	s.press("Enter")
	if got := s.WaitFor(`ended \d`, 60*time.Second); !strings.Contains(got, "ended 3") || !strings.Contains(got, "locked by a passphrase") {
		t.Errorf("--batch:\n%s", got)
	}
	s.Type("clear; setsid -w " + foretop + " snapshot -F " + ssh + " node001 </dev/null; echo ended $?")
	s.press("Enter")
	if got := s.WaitFor(`ended \d`, 60*time.Second); !strings.Contains(got, "ended 3") || !strings.Contains(got, "locked by a passphrase") {
		t.Errorf("without a terminal:\n%s", got)
	}
	s.Type("clear; " + foretop + " snapshot -F " + ssh + " node001; echo ended $?")
	s.press("Enter")
	s.WaitFor(`passphrase of the key.*:`, 60*time.Second)
	time.Sleep(6 * time.Second) // longer than --wait
	s.Type("open sesame")
	s.press("Enter")
	if got := s.WaitFor(`ended \d`, 60*time.Second); !strings.Contains(got, "ended 0") {
		t.Errorf("a snapshot:\n%s", got)
	}
}
