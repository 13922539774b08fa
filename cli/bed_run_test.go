package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"foretop/actions"
	"foretop/schedulers"
	"foretop/scripts/testbed"
	"foretop/sshpool"

	"github.com/google/go-cmp/cmp"
)

// foretopOn runs the whole program on a bed.
func foretopOn(t *testing.T, bed *testbed.Bed, args ...string) (out, errs string, code int) {
	t.Helper()
	return foretopFed(t, "", append([]string{"run", "-F", bed.SSHConfig}, args...)...)
}

// foretopFed runs the whole program with something on its standard input.
func foretopFed(t *testing.T, in string, args ...string) (out, errs string, code int) {
	t.Helper()
	cmd := exec.Command(foretopProgram(t), args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "KUBECONFIG=")
	cmd.Stdin = strings.NewReader(in)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// `foretop run` against real sshd nodes: what it prints and ends with, and that the one node that is down costs the others nothing.
func TestBedRun(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 4)
	if _, err := bed.Node("node004").Signal("sshd", syscall.SIGKILL); err != nil { // the node is up and refuses
		t.Fatal(err)
	}
	three, all := "node[001-003]", "node[001-004]"
	sorted := func(s string) string {
		lines := strings.SplitAfter(s, "\n")
		slices.Sort(lines)
		return strings.Join(lines, "")
	}
	for _, c := range []struct {
		name      string
		args      []string
		out, errs string // errs: what it begins with
		code      int
	}{
		{"lines", []string{three, "--", "echo one; echo two; printf three"}, "node001: one\nnode001: three\nnode001: two\nnode002: one\nnode002: three\nnode002: two\nnode003: one\nnode003: three\nnode003: two\n", "", 0},
		{"words", []string{"node001", "--", "echo", "a  b", "$HOME", "it's", "`id`;id"}, "node001: a  b $HOME it's `id`;id\n", "", 0},
		{"errors", []string{"node001", "--", "echo bad >&2; exit 7"}, "", "foretop: node001: exited with exit code 7\nnode001: bad\n", 1},
		{"merged", []string{"-b", three, "--", "echo same; [ $(hostname) != node002 ] || exit 3"}, "---------------\nnode[001,003] (2)\n---------------\nsame\n---------------\nnode002\n---------------\nsame\n", "foretop: node002: exited with exit code 3\n", 1},
		{"worst", []string{"-bS", three, "--", "[ $(hostname) = node003 ] || exit 9"}, "", "foretop: node[001-002] (2): exited with exit code 9\n", 9},
		{"one is down", []string{"-b", all, "--", "echo x"}, "---------------\nnode[001-003] (3)\n---------------\nx\n", "foretop: node004: lost: connection refused by ", 3},
		{"one is down, worst", []string{"-b", "--worst", all, "--", "true"}, "", "foretop: node004: lost: connection refused by ", 255},
		{"timeout", []string{"-b", "-u", "1s", three, "--", "echo begun; [ $(hostname) != node001 ] || sleep 1000"}, "---------------\nnode[002-003] (2)\n---------------\nbegun\n---------------\nnode001\n---------------\nbegun\n", "foretop: node001: command timeout\n", 1},
		{"limit", []string{"--limit", "4", "node001", "--", "echo 123456789"}, "node001: 1234\n", "foretop: node001: more than 4 bytes of output: the rest is not printed (--limit)\n", 0},
		{"signal", []string{"node002", "--", "kill -TERM $$"}, "", "foretop: node002: ended by signal TERM\n", 1},
		{"input", []string{"node002", "--", "cat; echo end"}, "node002: end\n", "", 0},
		{"no dashes", []string{three, "uptime"}, "", "foretop: write -- between", 2},
		{"no command", []string{three, "--"}, "", "foretop: no command behind --", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := foretopOn(t, bed, c.args...)
			if c.name == "lines" || c.name == "errors" {
				out, errs = sorted(out), sorted(errs)
			}
			if code != c.code || !strings.HasPrefix(errs, c.errs) || c.errs == "" && errs != "" {
				t.Errorf("exit %d, want %d; stderr %q, want %q", code, c.code, errs, c.errs)
			}
			if diff := cmp.Diff(c.out, out); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("json", func(t *testing.T) {
		out, errs, code := foretopOn(t, bed, "--json", "--limit", "100", all, "--", `printf 'a"\033[2J'; hostname >&2; [ $(hostname) != node002 ] || exit 5`)
		var got []jsonLine
		for line := range strings.Lines(out) {
			var l jsonLine
			must(t, json.Unmarshal([]byte(line), &l))
			if l.ExitCode != nil && l.Seconds <= 0 {
				t.Errorf("%s took no time", l.Node)
			}
			l.Seconds = 0
			if l.Error != "" {
				l.Error, _, _ = strings.Cut(l.Error, " by ")
			}
			if len(l.Output) != len("a\"\033[2Jnode001\n") && l.ExitCode != nil || strings.Contains(line, "\033") {
				t.Errorf("%q", line)
			}
			l.Output = "" // the order of two streams is not known
			got = append(got, l)
		}
		slices.SortFunc(got, func(a, b jsonLine) int { return strings.Compare(a.Node, b.Node) })
		zero, five := 0, 5
		if diff := cmp.Diff([]jsonLine{{Node: "node001", ExitCode: &zero}, {Node: "node002", ExitCode: &five}, {Node: "node003", ExitCode: &zero}, {Node: "node004", Error: "lost: connection refused"}}, got); diff != "" || code != 3 || errs != "" {
			t.Errorf("%d %q %s", code, errs, diff)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		cmd := exec.Command(foretopProgram(t), "run", "-F", bed.SSHConfig, three, "--", "echo begun; exec sleep 4321")
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=")
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		begun := 0
		for buf := make([]byte, 256); begun < 3; {
			n, err := out.Read(buf)
			must(t, err)
			begun += strings.Count(string(buf[:n]), "begun\n")
		}
		must(t, cmd.Process.Signal(syscall.SIGINT))
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != codeInterrupted {
			t.Errorf("exit %d", code)
		}
		for _, name := range []string{"node001", "node002", "node003"} {
			eventually(t, 20*time.Second, func() string {
				if ps := processes(t, bed.Node(name), "sleep 4321"); len(ps) > 0 {
					return name + " goes on: " + list(ps)
				}
				return ""
			})
		}
	})
}

// The door of actions, on real nodes: a signal reaches its process through the collector that the stream runs; a command during which the network goes is not
// known to have failed, and one for a node that is not there was not sent.
func TestBedDoor(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 2)
	o := observe(t, sshpool.Config{ConfigFile: bed.SSHConfig}, named(bed.Names()...)...)
	o.allLive(60*time.Second, bed.Names()...)
	d, ctx := door{o.pool}, t.Context()

	out, err := d.Run(ctx, "node001", []string{"sh", "-c", "echo a; echo b >&2; exit 4"}, 100)
	if err != nil || out.Code != 4 || len(out.Text) != 4 || out.Cut {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err = d.Run(ctx, "node001", []string{"seq", "1000"}, 10); err != nil || out.Code != 0 || out.Text != "1\n2\n3\n4\n5\n" || !out.Cut {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := d.Run(ctx, "node009", []string{"true"}, 10); !errors.Is(err, actions.ErrNotSent) {
		t.Error(err)
	}

	n := bed.Node("node001")
	out, err = d.Run(ctx, "node001", []string{"sh", "-c", "sleep 2345 >/dev/null 2>&1 & read x </proc/$!/stat; set -- ${x##*)}; echo $! ${20}"}, 100)
	var pid, start int
	if _, bad := fmt.Sscan(out.Text, &pid, &start); err != nil || bad != nil {
		t.Fatalf("%q, %v", out.Text, err)
	}
	tool := func(code int, words string, args ...string) {
		t.Helper()
		if out, err := d.Tool(ctx, "node001", args, 1000); err != nil || out.Code != code || out.Text != words {
			t.Errorf("%v: %+v, %v", args, out, err)
		}
	}
	tool(0, fmt.Sprintf("pid %d: there\n", pid), "signal", "0", fmt.Sprintf("%d:%d", pid, start))
	tool(1, fmt.Sprintf("pid %d: another process now\n", pid), "signal", "TERM", fmt.Sprintf("%d:%d", pid, start+1))
	tool(0, fmt.Sprintf("pid %d: sent TERM\n", pid), "signal", "TERM", fmt.Sprintf("%d:%d", pid, start))
	eventually(t, 20*time.Second, func() string { return list(processes(t, n, "sleep 2345")) })

	// The node dies in the middle of a command.
	began := make(chan struct{})
	var once sync.Once
	type answer struct {
		exit sshpool.Exit
		err  error
	}
	ended := make(chan answer, 1)
	go func() {
		exit, err := o.pool.Exec(context.Background(), "node001", sshpool.Command{Line: "echo on; sleep 1000", Stdout: writes(func() { once.Do(func() { close(began) }) })})
		ended <- answer{exit, doorError(err)}
	}()
	<-began
	must(t, n.Kill())
	if a := <-ended; !errors.Is(a.err, schedulers.ErrUnsure) || errors.Is(a.err, actions.ErrNotSent) {
		t.Errorf("%v, %v", a.exit, a.err)
	}
	// And without a word: the pool's watch finds that nobody answers, and the command's error says so.
	ended = make(chan answer, 1)
	began, once = make(chan struct{}), sync.Once{}
	go func() {
		exit, err := o.pool.Exec(context.Background(), "node002", sshpool.Command{Line: "echo on; sleep 1000", Stdout: writes(func() { once.Do(func() { close(began) }) })})
		ended <- answer{exit, doorError(err)}
	}()
	<-began
	// So does a shell: it gives the terminal back, with the cause.
	sh := o.pool.Shell(ctx, "node002", sshpool.ShellAt{})
	typed, keys := io.Pipe()
	shows := make(chan struct{})
	var onceShown sync.Once
	sh.SetStdin(typed)
	sh.SetStdout(writes(func() { onceShown.Do(func() { close(shows) }) }))
	shell := make(chan error, 1)
	go func() { shell <- sh.Run() }()
	defer keys.Close()
	<-shows
	must(t, bed.Node("node002").PowerOff())
	if err := <-shell; !errors.Is(err, sshpool.ErrEndUnknown) || !strings.Contains(err.Error(), "no answer for") {
		t.Errorf("the shell: %v", err)
	}
	if a := <-ended; !errors.Is(a.err, schedulers.ErrUnsure) || !strings.Contains(a.err.Error(), "no answer for") {
		t.Errorf("%v, %v", a.exit, a.err)
	}
}

type writes func()

func (w writes) Write(b []byte) (int, error) {
	w()
	return len(b), nil
}
