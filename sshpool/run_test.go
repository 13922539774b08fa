//go:build unix

package sshpool

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// live gives a pool with one live node, whose commands a shell runs.
func liveNode(t *testing.T, command func(*request)) (*Pool, *recorder, *server) {
	t.Helper()
	key := newSigner(t)
	s := newServer(t, func(r *request) {
		if strings.Contains(r.command, "do: ") {
			_, r.command, _ = strings.Cut(r.command, "do: ")
			command(r)
			return
		}
		collect(r)
	}, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	if !p.AwaitLive(t.Context(), "n", 10*time.Second) {
		t.Fatal("not live")
	}
	return p, rec, s
}

func TestRun(t *testing.T) {
	p, rec, _ := liveNode(t, shell("/bin/sh"))
	run := func(command string, limit int) (string, error) {
		out, err := p.Run(t.Context(), "n", "do: "+command, limit)
		return string(out), err
	}
	if out, err := run("echo one; echo two >&2; echo three", 100); err != nil || out != "one\nthree\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run("cat", 100); err != nil || out != "" {
		t.Errorf("its input does not end: %q, %v", out, err)
	}
	var failed *ExitError
	if out, err := run("echo said; echo 'slurm_load_jobs error: x\033[2J' >&2; exit 3", 100); !errors.As(err, &failed) || failed.Code != 3 || out != "said\n" || !strings.Contains(failed.Words, "exit 3: slurm_load_jobs error: x") || strings.Contains(failed.Words, "\033") {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run("yes", 1000); !errors.Is(err, ErrTooLong) || len(out) != 1000 {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	if _, err := p.Run(t.Context(), "m", "true", 10); !errors.Is(err, ErrNotConnected) {
		t.Errorf("an unknown node: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Run(ctx, "n", "do: sleep 30", 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command that does not end: %v", err)
	}
	// Nothing of this cost the stream anything.
	rec.mu.Lock()
	before := len(rec.lines["n"])
	rec.mu.Unlock()
	rec.until("more of the stream", func() bool { return len(rec.lines["n"]) > before+3 })
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if last := rec.statuses["n"][len(rec.statuses["n"])-1]; last.State != Live {
		t.Errorf("the node is %v: %s", last.State, last.Cause)
	}
}

// Words reach a program as they are, through each kind of login shell.
func TestQuote(t *testing.T) {
	words := []string{"plain", "", "two words", "it's", `back\slash\\`, "$HOME `id` $(id) ;|&<>*?[a]{b,c}~", "=ls", "~", "#x", `"quoted"`, "wow!!", "-n", "ünï", "a=b", "%self"}
	for _, sh := range []string{"sh", "bash", "dash", "zsh", "mksh", "tcsh", "fish"} {
		path, err := exec.LookPath(sh)
		if err != nil {
			testbed.Require(t, sh+" is not installed")
		}
		out, err := exec.Command(path, "-c", Quote(append([]string{"printf", `<%s>\n`}, words...)...)).CombinedOutput()
		if want := "<" + strings.Join(words, ">\n<") + ">\n"; err != nil || string(out) != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", sh, err, out, want)
		}
	}
}
