package cli

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// command runs the program as a script does, with the walk's configuration, and returns its exit code and all that it prints.
func (a *acting) command(args ...string) (code int, printed string) {
	a.t.Helper()
	cmd := exec.Command(foretopProgram(a.t), append([]string{"--config", a.config}, args...)...)
	cmd.Env = append(cmd.Environ(), "HOME="+a.dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		a.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// Where nothing may be done every key that acts says so, and why; the screen and the command line alike.
func walkReadOnly(t *testing.T, b *actBed) {
	const name = "node004"
	for rank := range 2 {
		_, err := b.Node(name).StartRank(map[string]string{"RANK": "01"[rank : rank+1], "WORLD_SIZE": "2", "LOCAL_RANK": "01"[rank : rank+1], "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": name, "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "looked-at"},
			"/usr/bin/python3", actFiles+"/train.py")
		must(t, err)
	}
	custom := "  custom:\n  - {name: note, key: X, scope: node, command: [touch, /tmp/ran]}\n  - {name: look, key: W, scope: job, here: true, quiet: true, command: [echo, '{job}']}\n"
	for how, o := range map[string]opening{"flag": {args: []string{"--readonly"}, actions: custom}, "configuration": {config: "readonly: true\n", actions: custom}} {
		before := b.state(t, name)
		a := b.open(t, o, name)
		a.WaitFor(`looked-at`, actWithin)
		for _, at := range []struct{ place, keys string }{{"1", "DRKC!sSaXW"}, {"2", "DRK!saX"}} {
			a.do(at.place, "g")
			for _, key := range strings.Split(at.keys, "") {
				a.do("Up") // takes the last answer away
				a.eventually("the last answer is gone", func() bool { return !strings.Contains(a.Screen(), "nothing can be done") })
				a.do(key)
				a.WaitFor(`nothing can be done: started with --readonly, or readonly: true`, 20*time.Second)
				a.do("Escape") // where it lists what could be done
			}
		}
		a.whole(how)
		if after := b.state(t, name); after != before || a.audited() != "" {
			t.Errorf("%s: before:\n%s\nafter:\n%s\n%s", how, before, after, a.audited())
		}
		a.press("q")
		a.left(0)
		if o.config == "" {
			continue // commands that only act have no such flag
		}
		for _, args := range [][]string{{"drain", name, "--reason", "x", "--yes"}, {"resume", name, "--yes"}, {"run", name, "--", "touch", "/tmp/ran"}} {
			if code, printed := a.command(append([]string{"-F", b.SSHConfig}, args...)...); code == codeOK || !strings.Contains(printed, "nothing can be done") {
				t.Errorf("%s: %v: exit code %d: %s", how, args, code, printed)
			}
		}
	}
	if out, err := b.Node(name).Exec("sh", "-c", "ls /tmp/ran 2>/dev/null || :"); err != nil || out != "" {
		t.Errorf("a command has run: %s %v", out, err)
	}
}

// An audit file that cannot be written, or does not answer, refuses all that acts, with the reason; the screen goes on as if nothing were wrong.
func walkAudit(t *testing.T, b *actBed) {
	const name = "node007"
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	full := t.TempDir()
	must(t, syscall.Mount("foretop-full", full, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() {
		if err := syscall.Unmount(full, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", full, err)
		}
	})
	must(t, os.WriteFile(filepath.Join(full, "audit.jsonl"), nil, 0o600))
	_ = os.WriteFile(filepath.Join(full, "rest"), make([]byte, 128<<10), 0o600) // until there is no room
	var cases sync.WaitGroup
	defer cases.Wait()
	for what, c := range map[string]struct {
		path func(t *testing.T) (string, func())
		why  string
	}{
		"frozen": {func(t *testing.T) (string, func()) {
			held := testbed.MountHeld(t, t.TempDir())
			held.Hold("")
			return filepath.Join(held.Dir, "audit.jsonl"), held.Release
		}, "does not answer"},
		"full":     {func(*testing.T) (string, func()) { return filepath.Join(full, "audit.jsonl"), nil }, "no space left on device"},
		"a pipe":   {func(*testing.T) (string, func()) { return pipe, nil }, "no regular file"},
		"a device": {func(*testing.T) (string, func()) { return "/dev/full", nil }, "no regular file"},
	} {
		cases.Go(func() {
			t.Run(what, func(t *testing.T) {
				before := b.state(t, name)
				path, release := c.path(t)
				a := b.open(t, opening{audit: path}, name)
				a.pick(name)
				for _, way := range [][]string{{"D", "C-u", "=fan", "Enter"}, {"!", "=touch /tmp/ran", "Enter"}} {
					a.asks(way...)
					a.answer("y")
					a.says("nothing was done: the audit file cannot be written")
					a.says(c.why)
					a.home()
					a.pick(name)
				}
				a.do("s")
				a.WaitFor(`the shell on `+name+` ended: the audit file cannot be written`, actWithin)
				a.do("?") // keys are heeded
				a.WaitFor(`› help`, 20*time.Second)
				a.do("Escape")
				if what != "frozen" { // a file system that hangs hangs a command too: see there
					code, printed := a.command("-F", b.SSHConfig, "run", name, "--", "touch", "/tmp/ran")
					if code == codeOK || !strings.Contains(printed, "nothing was done: the audit file cannot be written") {
						t.Errorf("run: exit code %d: %s", code, printed)
					}
					code, printed = a.command("-F", b.SSHConfig, "drain", name, "--reason", "fan", "--yes")
					if code == codeOK || !strings.Contains(printed, "nothing was done: the audit file cannot be written") {
						t.Errorf("drain: exit code %d: %s", code, printed)
					}
				}
				if after := b.state(t, name); after != before {
					t.Errorf("before:\n%s\nafter:\n%s", before, after)
				}
				if out, err := b.Node(name).Exec("sh", "-c", "ls /tmp/ran 2>/dev/null || :"); err != nil || out != "" {
					t.Errorf("a command has run: %s %v", out, err)
				}
				a.press("q")
				if release != nil {
					release() // the kernel lets no process go that waits for such a file system
				}
				a.left(0)
			})
		})
	}
}

// Who may not give orders is told so in Slurm's own words, with what it takes; also on a small screen.
func walkRefused(t *testing.T, b *actBed) {
	const name = "node007"
	a := b.open(t, opening{login: name, w: 80, h: 24}, name)
	a.pick(name)
	a.asks("D", "C-u", "=fan", "Enter")
	a.answer("y")
	screen := a.WaitFor(`(?m)^ *1 failed`, actWithin)
	words := strings.Join(strings.Fields(screen), " ")
	for _, want := range []string{"Invalid user id", "needs a Slurm operator", "slurm.sudo"} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, screen)
		}
	}
	if got := b.reason(t, name); got != "" {
		t.Errorf("drained: %s", got)
	}
	if !strings.Contains(a.audited(), "Invalid user id") {
		t.Errorf("audit file:\n%s", a.audited())
	}
	code, printed := a.command("-F", b.SSHConfig, "drain", name, "--reason", "fan", "--yes")
	if code != codeNotLive || !strings.Contains(printed, "Invalid user id") || !strings.Contains(printed, "needs a Slurm operator") {
		t.Errorf("exit code %d: %s", code, printed)
	}
	a.home()
	a.press("q")
	a.left(0)
}
