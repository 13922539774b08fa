package collectors

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const nobody = 65534

// An ordinary user is told what was not looked at: a denied source with its remedy, foreign environments, never a zero.
func TestUnprivileged(t *testing.T) {
	if os.Getenv("FORETOP_TEST_AS_USER") != "" {
		asUser(t)
		return
	}
	if os.Getuid() != 0 {
		asUser(t)
		return
	}
	dir, err := os.MkdirTemp("/tmp", "foretop-user")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	program := filepath.Join(dir, "test")
	out, err := os.OpenFile(program, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, self); err != nil {
		t.Fatal(err)
	}
	out.Close()
	c := exec.Command(program, "-test.run=^TestUnprivileged$", "-test.v")
	c.Dir = dir
	c.Env = append(os.Environ(), "FORETOP_TEST_AS_USER=1", "TMPDIR="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	text, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if !strings.Contains(string(text), "PASS: TestUnprivileged") {
		t.Errorf("it did not run: %s", text)
	}
}

func asUser(t *testing.T) {
	f := startFront(t, Options{Every: quick})
	f.start("", 0)
	f.await("what there is for everyone", func() bool {
		return f.get(telemetry.CPUUserMS, 0) > 0 && f.get(telemetry.MemTotalBytes, 0) > 0 && f.note("process").GetRemedy() != ""
	})
	f.mu.Lock()
	if f.hello.Uid == 0 {
		t.Error("it is root")
	}
	f.mu.Unlock()
	if b, err := os.ReadFile("/proc/sys/kernel/dmesg_restrict"); err != nil || strings.TrimSpace(string(b)) != "1" {
		return // this kernel shows its log to everyone
	}
	f.await("a denied kernel log", func() bool { return f.note("kernel_log").GetState() == facts.SourceState_SOURCE_DENIED })
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.note("kernel_log"); n.Remedy != kernelRemedy || n.Text == "" {
		t.Errorf("got %v", n)
	}
	if len(f.kernel) > 0 {
		t.Errorf("kernel records: %v", f.kernel)
	}
}
