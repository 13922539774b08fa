package sshpool

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/sshpool/payload"
)

const patience = time.Minute

// recorder is a Sink that remembers.
type recorder struct {
	t  testing.TB
	mu sync.Mutex

	changed  chan struct{}
	statuses map[string][]Status
	lines    map[string][]string
	stdin    map[string]io.Writer
	serve    func(node string, r io.Reader) error // in place of reading lines
}

func newRecorder(t testing.TB) *recorder {
	return &recorder{t: t, changed: make(chan struct{}), statuses: make(map[string][]Status), lines: make(map[string][]string),
		stdin: make(map[string]io.Writer)}
}

func (r *recorder) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) Status(node string, s Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statuses[node] = append(r.statuses[node], s)
	r.wake()
}

func (r *recorder) Serve(ctx context.Context, node string, stdout io.Reader, stdin io.Writer) error {
	r.mu.Lock()
	r.stdin[node] = stdin
	serve := r.serve
	r.wake()
	r.mu.Unlock()
	if serve != nil {
		return serve(node, stdout)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		r.mu.Lock()
		r.lines[node] = append(r.lines[node], lines.Text())
		r.wake()
		r.mu.Unlock()
	}
	return lines.Err()
}

// until waits for a condition on what was recorded.
func (r *recorder) until(what string, f func() bool) {
	r.t.Helper()
	limit := time.After(patience)
	for {
		r.mu.Lock()
		ok, changed := f(), r.changed
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			r.mu.Lock()
			defer r.mu.Unlock()
			var all strings.Builder
			for node, list := range r.statuses {
				for _, s := range list {
					fmt.Fprintf(&all, "%s: %v %q remedy %q next %v notes %q\n", node, s.State, s.Cause, s.Remedy, !s.NextTry.IsZero(), s.Notes)
				}
			}
			r.t.Fatalf("no %s in %v; statuses:\n%s", what, patience, all.String())
		}
	}
}

// reached waits until a node is reported in a state, from the nth report on, and gives the report and the number of reports up to it.
func (r *recorder) reached(node string, state State, from int) (Status, int) {
	r.t.Helper()
	var found Status
	at := 0
	r.until(node+" "+state.String(), func() bool {
		for i, s := range r.statuses[node] {
			if i >= from && s.State == state {
				found, at = s, i+1
				return true
			}
		}
		return false
	})
	return found, at
}

// line waits for a stream's line that begins with prefix, from the nth line on.
func (r *recorder) line(node, prefix string) string {
	r.t.Helper()
	var found string
	r.until("line "+prefix, func() bool {
		for _, l := range r.lines[node] {
			if strings.HasPrefix(l, prefix) {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

func (r *recorder) send(node, line string) {
	r.t.Helper()
	var w io.Writer
	r.until("stdin of "+node, func() bool {
		w = r.stdin[node]
		return w != nil
	})
	if _, err := io.WriteString(w, line+"\n"); err != nil {
		r.t.Fatal(err)
	}
}

// testFolder names, in the environment, the folder that TestMain makes and removes.
const testFolder = "FORETOP_TEST_FOLDER"

// fakeCollector builds the played collector, once.
var fakeCollector = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(testFolder), "fakecollector")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, "./testdata/fakecollector")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build fake collector: %w\n%s", err, out)
	}
	return path, nil
})

// fakeBytes is the played collector as a program without a path, so that it has to be sent.
func fakeBytes(t testing.TB) []byte {
	t.Helper()
	path, err := fakeCollector()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fakeSet(t testing.TB) *payload.Set {
	t.Helper()
	return payload.Of(&payload.Bundle{Platform: payload.Here(), Collector: payload.FromBytes("fake", fakeBytes(t))})
}

// quick is timing for tests: waits that a test sits through are short, deadlines stay generous.
func quick() Timing {
	return Timing{BackoffMin: 50 * time.Millisecond, BackoffMax: 200 * time.Millisecond, BackoffNear: 100 * time.Millisecond,
		BackoffLong: time.Hour}
}

func newTestPool(t testing.TB, cfg Config) (*Pool, *recorder) {
	t.Helper()
	rec := newRecorder(t)
	if cfg.Timing == (Timing{}) {
		cfg.Timing = quick()
	}
	if cfg.Home == "" {
		cfg.Home = t.TempDir()
	}
	p := New(cfg, rec)
	t.Cleanup(p.Close)
	return p, rec
}

func TestMain(m *testing.M) {
	if os.Getenv(benchServer) != "" {
		serveBench()
		return
	}
	if os.Getenv(frontEnd) != "" {
		playFront()
	}
	dir, err := os.MkdirTemp("", "foretop-test")
	if err != nil {
		panic(err)
	}
	os.Setenv(testFolder, dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
