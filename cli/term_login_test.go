package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// Slurm is asked through a login node, which is unknown and opens for a locked key: the screen asks for both, and then has what Slurm says.
func TestTermLoginAsked(t *testing.T) {
	t.Parallel()
	testbed.Need(t, "tmux")
	bed := testbed.Nodes(t, 3, testbed.On("node003", testbed.UnknownHostKey()))
	testbed.Slurm(t, testbed.SlurmOptions{On: bed, GPUs: -1})
	home := t.TempDir()
	ssh := lockedConfig(t, bed, home)
	cfg := filepath.Join(home, "config.yaml")
	must(t, os.WriteFile(cfg, []byte("slurm: {login: node003}\n"), 0o600))
	const w, h = 100, 24
	s := &screen{testbed.NewTerm(t, w, h, []string{"HOME=" + home}, foretopProgram(t), "--slurm", "train", "-F", ssh, "--config", cfg), t, w, h}
	s.WaitFor(`1 question: press Q`, 60*time.Second)
	s.press("Q")
	s.WaitFor(`unknown  [0-9.]+  ED25519 SHA256:`, 10*time.Second)
	s.press("Enter")
	s.WaitFor(`accept it\?`, 10*time.Second)
	time.Sleep(time.Second) // it is read
	s.press("y")
	s.WaitFor(`(?s)passphrase of the key.*1 node waits`, 30*time.Second)
	time.Sleep(time.Second)
	s.Type("open sesame")
	s.press("Enter")
	s.WaitFor(`nothing more is asked`, 30*time.Second)
	s.press("Escape")
	s.press("2")
	if got := s.WaitFor(`(?s)3 live.*node001`, 4*time.Minute); strings.Contains(got, "does not answer") {
		t.Errorf("Slurm answers, and it is said that it does not:\n%s", got)
	}
	s.press("q")
	s.left(0)
}

// lockedConfig is a bed's ssh configuration for a person who is to be asked: the bed's key under the passphrase "open sesame", unknown host keys a question.
func lockedConfig(t *testing.T, bed *testbed.Bed, home string) string {
	t.Helper()
	key := filepath.Join(home, "id_locked")
	plain, err := os.ReadFile(bed.Key)
	must(t, err)
	must(t, os.WriteFile(key, plain, 0o600))
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	config, err := os.ReadFile(bed.SSHConfig)
	must(t, err)
	text := strings.NewReplacer("IdentityFile "+bed.Key, "IdentityFile "+key, "StrictHostKeyChecking yes", "StrictHostKeyChecking ask", "BatchMode yes", "BatchMode no").Replace(string(config))
	file := filepath.Join(home, "ssh_config")
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}
