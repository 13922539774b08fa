package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/actions"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// actsThroughDoor does on a node without SSH what is done on others: commands, signals, stacks, a shell where a process is.
func actsThroughDoor(t *testing.T, o *observed, node *testbed.Node) {
	t.Helper()
	d, ctx := door{o.pool}, t.Context()
	out, err := d.Run(ctx, "gpu001", []string{"sh", "-c", "echo \"it's $0\"; hostname; echo b >&2; exit 4"}, 100)
	if err != nil || out.Code != 4 || out.Cut || len(out.Text) != len("it's sh\n"+node.Name+"\nb\n") {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := d.Run(ctx, "gpu002", []string{"true"}, 10); !errors.Is(err, actions.ErrNotSent) {
		t.Error(err)
	}
	out, err = d.Run(ctx, "gpu001", []string{"sh", "-c", "cd /usr; exec >/dev/null 2>&1; setsid sleep 2345 & "}, 100)
	if err != nil || out.Code != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	var pid, start int
	eventually(t, time.Minute, func() string {
		out, err := d.Run(ctx, "gpu001", []string{"sh", "-c", "p=$(pgrep -f '^sleep 2345') && read x </proc/$p/stat && set -- ${x##*)} && echo $p ${20}"}, 100)
		if _, bad := fmt.Sscan(out.Text, &pid, &start); err != nil || bad != nil {
			return fmt.Sprintf("%+v, %v", out, err)
		}
		return ""
	})
	p := actions.Process{Node: "gpu001", PID: int32(pid), StartTicks: uint64(start)}
	s := actions.Stacks(ctx, d, []actions.Process{p}, false, func(int) {})
	if len(s) != 1 || s[0].Source != "kernel" || len(s[0].Threads) != 1 {
		t.Errorf("stacks: %+v", s)
	}

	// A shell where the process is, and one at home.
	for _, c := range []struct {
		at   sshpool.ShellAt
		want string
	}{{sshpool.ShellAt{PID: pid, Start: uint64(start), Enter: true}, "/usr " + node.Name + " 33 121"}, {sshpool.ShellAt{}, "/root " + node.Name + " 33 121"}} {
		w := typeInto(t, o.pool.Shell(ctx, "gpu001", c.at))
		w.keys("echo \"<$PWD $(hostname) $(stty size) $TERM>\"; exit 3\r")
		w.sees("<" + c.want + " vt220>")
		if err := w.ended(); err != nil {
			t.Error(err)
		}
	}
	if out, err := d.Tool(ctx, "gpu001", []string{"signal", "TERM", fmt.Sprintf("%d:%d", pid, start+1)}, 1000); err != nil || out.Code != 1 || out.Text != fmt.Sprintf("pid %d: another process now\n", pid) {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := d.Tool(ctx, "gpu001", []string{"signal", "TERM", fmt.Sprintf("%d:%d", pid, start)}, 1000); err != nil || out.Code != 0 || out.Text != fmt.Sprintf("pid %d: sent TERM\n", pid) {
		t.Errorf("%+v, %v", out, err)
	}
	eventually(t, time.Minute, func() string { return list(processes(t, node, "sleep 2345")) })

	// Left by "~.": what ran there is told that its terminal is gone.
	w := typeInto(t, o.pool.Shell(ctx, "gpu001", sshpool.ShellAt{}))
	w.keys("echo rea''dy; sleep 2346\r")
	w.sees("ready")
	eventually(t, time.Minute, func() string {
		if len(processes(t, node, "^sleep 2346")) == 0 {
			return "no sleep"
		}
		return ""
	})
	w.keys("\r~.")
	if err := w.ended(); !errors.Is(err, sshpool.ErrShellLeft) {
		t.Error(err)
	}
	eventually(t, time.Minute, func() string { return list(processes(t, node, "sleep 2346|FORETOP_RUN")) })
}

// leftShell is a shell in which a command runs.
func leftShell(t *testing.T, o *observed) *inShell {
	t.Helper()
	w := typeInto(t, o.pool.Shell(t.Context(), "gpu001", sshpool.ShellAt{}))
	w.keys("echo rea''dy; sleep 3456\r")
	w.sees("ready")
	return w
}

// lost says that the grid is back, and why.
func (w *inShell) lost() {
	w.t.Helper()
	if err := w.ended(); !errors.Is(err, sshpool.ErrEndUnknown) || !strings.HasPrefix(fmt.Sprint(err), "shell on gpu001: the connection was lost: ") {
		w.t.Error(err)
	}
}

// runsThroughDoor is the whole program, told by its configuration that nodes are reached so.
func runsThroughDoor(t *testing.T, k *testbed.Kube) {
	t.Helper()
	home := t.TempDir()
	must(t, os.WriteFile(filepath.Join(home, "config.yaml"), []byte("kubernetes: {exec: true}\n"), 0o600))
	run := func(args ...string) (string, string, int) {
		cmd := exec.Command(foretopProgram(t), append([]string{"--config", filepath.Join(home, "config.yaml")}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "KUBECONFIG="+k.Kubeconfig)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	out, errs, code := run("run", "gpu[001-002]", "--", "echo", "it's", "$HOME")
	if code != codeNotLive || out != "gpu001: it's $HOME\n" || !strings.Contains(errs, "foretop: gpu002: refused: no pod of foretop's DaemonSet on gpu002") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	out, errs, code = run("run", "-u", "1s", "gpu001", "--", "echo on; sleep 4567")
	if code != codeFailed || out != "gpu001: on\n" || !strings.Contains(errs, "command timeout") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}

	// Nodes that are named are dialled, and reached through the cluster where SSH does not lead there: these names are nobody's.
	out, errs, code = run("snapshot", "--wait", "60s", "--format", "json", "gpu001")
	if code != codeOK || !strings.Contains(strings.ReplaceAll(out, " ", ""), `"state":"live"`) {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	// doctor walks the way that it is told, and names the other where that fails.
	out, errs, code = run("doctor", "-v", "--kube", "admin", "gpu[001-002]")
	for _, want := range []string{"gpu001", "the door kubernetes admin: no SSH", "collector", "source cpu", "gpu002: refused", "no pod of foretop's DaemonSet on gpu002"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor says nothing of %q:\n%s%s", want, out, errs)
		}
	}
	if code != codeNotLive {
		t.Errorf("exit %d", code)
	}
	out, _, code = run("doctor", "gpu001")
	if code != codeNotLive || !strings.Contains(strings.Join(strings.Fields(out), " "), "doctor --kube CONTEXT walks the way through the cluster") {
		t.Errorf("exit %d: %s", code, out)
	}
	if _, errs, code = run("doctor", "--kube", "nowhere", "gpu001"); code != codeError || !strings.Contains(errs, "no kubeconfig has such a context") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// inShell is a shell that is typed into, and what it shows.
type inShell struct {
	t    *testing.T
	typi *io.PipeWriter
	done chan error
	mu   sync.Mutex
	text strings.Builder
}

func typeInto(t *testing.T, s *sshpool.Shell) *inShell {
	t.Helper()
	keys, typing := io.Pipe()
	w := &inShell{t: t, typi: typing, done: make(chan error, 1)}
	s.SetStdin(keys)
	s.SetStdout(w)
	s.Size = func() (int, int, error) { return 121, 33, nil }
	s.Getenv = func(name string) string { return map[string]string{"TERM": "vt220"}[name] }
	t.Cleanup(func() { typing.Close() })
	go func() { w.done <- s.Run() }()
	return w
}

func (w *inShell) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *inShell) keys(s string) {
	w.t.Helper()
	_, err := io.WriteString(w.typi, s)
	must(w.t, err)
}

func (w *inShell) sees(what string) {
	w.t.Helper()
	eventually(w.t, time.Minute, func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		if strings.Contains(w.text.String(), what) {
			return ""
		}
		return fmt.Sprintf("no %q in %q", what, w.text.String())
	})
}

func (w *inShell) ended() error {
	w.t.Helper()
	select {
	case err := <-w.done:
		return err
	case <-time.After(time.Minute):
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t.Fatalf("the shell does not end; it shows %q", w.text.String())
		return nil
	}
}
