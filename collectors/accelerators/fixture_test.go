package accelerators

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/rogpeppe/go-internal/txtar"
)

// extractHost lays out one of testdata/host's machines in a folder of the test.
func extractHost(t testing.TB, name string) kernfs.Root {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "host", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	return layOut(t, string(b))
}

// layOut writes the files of a txtar archive, of which "a -> b" is a link, in a folder of the test.
func layOut(t testing.TB, archive string) kernfs.Root {
	t.Helper()
	root := kernfs.Root(t.TempDir())
	for _, f := range txtar.Parse([]byte(archive)).Files {
		if file, target, isLink := strings.Cut(f.Name, " -> "); isLink {
			link(t, root, file, target)
		} else {
			put(t, root, f.Name, string(f.Data))
		}
	}
	return root
}

func put(t testing.TB, root kernfs.Root, name, text string) {
	t.Helper()
	path := root.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, root kernfs.Root, name, target string) {
	t.Helper()
	path := root.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, root kernfs.Root, name string) {
	t.Helper()
	if err := os.RemoveAll(root.Path(name)); err != nil {
		t.Fatal(err)
	}
}

// recorded is one of testdata/accelerators' files.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "accelerators", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// clock is a played monotonic clock.
type clock struct{ ms atomic.Int64 }

func (c *clock) machine(root kernfs.Root) Machine {
	if c.ms.Load() == 0 {
		c.ms.Store(1000)
	}
	return Machine{Root: root, Mono: c.ms.Load, Start: startReal}
}

func (c *clock) pass(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// conditionOf is what a read said.
func conditionOf(t testing.TB, err error) Condition {
	t.Helper()
	if err == nil {
		return Condition{State: facts.SourceState_SOURCE_OK}
	}
	var c *Condition
	if !errors.As(err, &c) {
		t.Fatalf("a reader said %v, which is no condition", err)
	}
	return *c
}

// column words a metric's readings, "-" for the absent.
func column(r *Reading, m telemetry.Metric) string {
	n := len(r.GPUs)
	if m.Scope() == telemetry.ScopeGPUPart {
		n = len(r.Parts)
	}
	var b bytes.Buffer
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		if v := r.State.Get(m, i); v == telemetry.Absent {
			b.WriteByte('-')
		} else {
			b.WriteString(formatInt(v))
		}
	}
	return b.String()
}

func wantColumns(t testing.TB, r *Reading, want map[telemetry.Metric]string) {
	t.Helper()
	for m, w := range want {
		d, _ := telemetry.Lookup(m)
		if got := column(r, m); got != w {
			t.Errorf("%s: %s, want %s", d.Name, got, w)
		}
	}
}

// soon waits until something is so.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

var background = context.Background()
