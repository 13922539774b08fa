//go:build unix

package sshpool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

type locked struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(b)
}

func TestExec(t *testing.T) {
	p, _, s := liveNode(t, shell("/bin/sh"))
	run := func(line string) (string, string, Exit, error) {
		var out, errs bytes.Buffer
		exit, err := p.Exec(t.Context(), "n", Command{"do: " + line, &out, &errs})
		return out.String(), errs.String(), exit, err
	}
	if out, errs, exit, err := run("echo one; echo two >&2; exit 3"); err != nil || out != "one\n" || errs != "two\n" || exit.Code != 3 {
		t.Errorf("%q, %q, %v, %v", out, errs, exit, err)
	}
	if out, _, exit, err := run("cat"); err != nil || out != "" || exit.Code != 0 {
		t.Errorf("its input does not end: %q, %v, %v", out, exit, err)
	}
	// Both streams into one: nothing is lost.
	var both bytes.Buffer
	if _, err := p.Exec(t.Context(), "n", Command{"do: seq 1 20000; seq 1 20000 >&2", &both, &both}); err != nil || strings.Count(both.String(), "\n") != 40000 {
		t.Errorf("%d lines, %v", strings.Count(both.String(), "\n"), err)
	}
	// What is written on stderr without end is the command's own business, not the stream's.
	if _, errs, exit, err := run("head -c 3000000 /dev/zero >&2"); err != nil || len(errs) != 3000000 || exit.Code != 0 {
		t.Errorf("%d bytes, %v, %v", len(errs), exit, err)
	}
	if _, err := p.Exec(t.Context(), "m", Command{Line: "true"}); !errors.Is(err, ErrNotStarted) || !errors.Is(err, ErrNotConnected) || errors.Is(err, ErrEndUnknown) {
		t.Errorf("an unknown node: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	before := len(s.execs)
	if _, err := p.Exec(ended, "n", Command{Line: "do: true"}); !errors.Is(err, ErrNotStarted) || !errors.Is(err, context.Canceled) || len(s.execs) != before {
		t.Errorf("cancelled before it began: %v", err)
	}
	full := errors.New("no more room")
	if _, err := p.Exec(t.Context(), "n", Command{Line: "do: yes", Stdout: failing{full}}); !errors.Is(err, full) || !errors.Is(err, ErrEndUnknown) {
		t.Errorf("output that nobody takes: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Of a command during which the connection dies nobody says that it did or did not run; and one that its node refused was not started.
func TestExecCutOff(t *testing.T) {
	t.Run("the connection dies", func(t *testing.T) {
		p, _, s := liveNode(t, func(r *request) { _, _ = io.WriteString(r, "on\n") })
		began := make(chan struct{})
		var once sync.Once
		go func() {
			<-began
			s.stop()
		}()
		_, err := p.Exec(t.Context(), "n", Command{Line: "do: x", Stdout: writer(func([]byte) { once.Do(func() { close(began) }) })})
		if !errors.Is(err, ErrEndUnknown) || errors.Is(err, ErrNotStarted) {
			t.Error(err)
		}
	})
	t.Run("a node that never answers a close", func(t *testing.T) {
		p, _, _ := liveNode(t, func(r *request) { _, _ = io.WriteString(r, "on\n") })
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		_, err := p.Exec(ctx, "n", Command{Line: "do: x", Stdout: writer(func([]byte) { cancel() })})
		if !errors.Is(err, ErrEndUnknown) || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if took := time.Since(begun); took > patience {
			t.Errorf("returned after %v", took)
		}
	})
	t.Run("a second session is refused", func(t *testing.T) {
		p, _, s := liveNode(t, shell("/bin/sh"))
		s.refuse.Store(true)
		_, err := p.Exec(t.Context(), "n", Command{Line: "do: true"})
		if !errors.Is(err, ErrNotStarted) || errors.Is(err, ErrEndUnknown) || !strings.Contains(err.Error(), "no more sessions") {
			t.Error(err)
		}
	})
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}

// A real sshd passes a TERM on: the command and its children end, and it is known how. Its collector is found for other work.
func TestExecSSHD(t *testing.T) {
	d := startSSHD(t, "")
	for _, account := range []string{"ftsh", "ftfish", "fttcsh"} {
		t.Run(account, func(t *testing.T) {
			p, rec := d.pool(t, Timing{})
			p.Add(Target{Name: account + "@127.0.0.1"})
			rec.reached(account+"@127.0.0.1", Live, 0)
			node := account + "@127.0.0.1"
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var out locked
			saw := make(chan struct{})
			var once sync.Once
			exit, err := p.Exec(ctx, node, Command{Line: Quote("sh", "-c", "echo $$; sleep 1000; echo over"), Stdout: writer(func(b []byte) {
				out.Write(b)
				if bytes.IndexByte(b, '\n') >= 0 {
					once.Do(func() { close(saw); cancel() })
				}
			})})
			<-saw
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v, %v", exit, err)
			}
			number := strings.TrimSpace(out.String())
			if _, bad := strconv.Atoi(number); bad != nil {
				t.Fatalf("%q", number)
			}
			for limit := time.Now().Add(patience); processThere(number); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(limit) {
					t.Fatalf("process %s is there still: %v, %v", number, exit, err)
				}
			}
			var tool, errs locked
			exit, err = p.Tool(t.Context(), node, []string{"told", "41:7"}, &tool, &errs)
			if err != nil || exit.Code != 0 || !strings.Contains(tool.String(), "told 41:7") {
				t.Errorf("%v, %v: %q %q", exit, err, tool.String(), errs.String())
			}
			if _, err := p.Tool(t.Context(), node, []string{"a b"}, &tool, nil); !errors.Is(err, ErrNotStarted) {
				t.Error(err)
			}
			// What was thrown away in the meantime is said to be, and nothing else is run in its place.
			if _, err := p.Exec(t.Context(), node, Command{Line: "rm -rf " + d.root + "/tmp/foretop-" + uidOf(account) + " " + d.root + "/" + account + "/.cache"}); err != nil {
				t.Fatal(err)
			}
			if exit, err := p.Tool(t.Context(), node, []string{"told"}, &tool, nil); !errors.Is(err, ErrNotStarted) {
				t.Errorf("%v, %v", exit, err)
			}
		})
	}
}

func processThere(pid string) bool {
	_, err := os.Stat("/proc/" + pid)
	return err == nil
}

func uidOf(name string) string {
	for _, a := range accounts {
		if a.name == name {
			return strconv.Itoa(a.uid)
		}
	}
	return ""
}

func TestExecLocal(t *testing.T) {
	c := newLocalCarrier()
	defer c.Close()
	var out bytes.Buffer
	exit, err := execOn(t.Context(), c, Command{Line: "echo a; echo b >&2; kill -KILL $$", Stdout: &out, Stderr: &out})
	if err != nil || exit.Code != -1 || exit.Signal != "killed" || len(out.String()) != 4 {
		t.Errorf("%v, %v, %q", exit, err, out.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	exit, err = execOn(ctx, c, Command{Line: "echo; sleep 1000 & wait", Stdout: writer(func([]byte) { cancel() })})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrEndUnknown) || exit.Signal == "" {
		t.Errorf("%v, %v", exit, err)
	}
}
