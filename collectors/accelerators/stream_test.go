package accelerators

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"foretop/telemetry/facts"
)

// heard gathers lines.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) take(b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, string(b))
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.lines...)
}

func (h *heard) count() int { return len(h.all()) }

// newTestStream follows a program as the readers do, but with less patience.
func newTestStream(t *testing.T, h *heard, start func(context.Context, string, ...string) (Program, error), command ...string) *stream {
	s := &stream{start: start, name: command[0], commands: func() [][]string { return [][]string{command} }, take: h.take, maxLine: 64 << 10,
		patience: patience{silence: 20 * time.Second, first: 5 * time.Millisecond, most: 200 * time.Millisecond, dying: 50 * time.Millisecond}}
	t.Cleanup(s.end)
	return s
}

// A program that dies is told with its last words, and started again.
func TestStreamDies(t *testing.T) {
	dir := t.TempDir()
	script(t, "tool", fmt.Sprintf(`[ -e %s/well ] && { echo again; exec sleep 1000; }
echo one; echo two; echo "cannot open /dev/x" >&2; exit 3`, dir))
	var h heard
	s := newTestStream(t, &h, startReal, "tool")
	s.begin(background)
	soon(t, "its end is told", func() bool {
		c := s.trouble()
		return c != nil && strings.Contains(c.Text, "exit status 3: cannot open /dev/x")
	})
	if got := h.all(); len(got) < 2 || got[0] != "one" || got[1] != "two" {
		t.Errorf("heard %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "well"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	soon(t, "it speaks again", func() bool { got := h.all(); return got[len(got)-1] == "again" && s.trouble() == nil })
}

// A program that is not there is told as that, and found when it comes.
func TestStreamMissing(t *testing.T) {
	dir := t.TempDir()
	var h heard
	s := newTestStream(t, &h, startReal, filepath.Join(dir, "tool"))
	s.begin(background)
	soon(t, "it is missing", func() bool { c := s.trouble(); return c != nil && c.State == facts.SourceState_SOURCE_UNSUPPORTED })
	if err := os.WriteFile(filepath.Join(dir, "new"), []byte("#!/bin/sh\necho here; exec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "tool")); err != nil {
		t.Fatal(err)
	}
	soon(t, "it speaks", func() bool { return h.count() == 1 && s.trouble() == nil })
}

// A program that hangs is ended, its children with it, and started again.
func TestStreamHangs(t *testing.T) {
	dir := t.TempDir()
	script(t, "tool", fmt.Sprintf("echo x >>%s/starts; echo hello; sleep 1000", dir))
	var h heard
	s := newTestStream(t, &h, startReal, "tool")
	s.patience.silence = 500 * time.Millisecond
	s.begin(background)
	soon(t, "it was started three times", func() bool { return h.count() >= 3 })
	soon(t, "it says why", func() bool { c := s.trouble(); return c != nil && strings.Contains(c.Text, errSilent.Error()) })
}

// A program that does not end although it was killed is stuck: there is never a second one, not even when the stream is let go and begun anew.
func TestStreamStuck(t *testing.T) {
	start, started := playPrograms()
	var h heard
	s := newTestStream(t, &h, start, "tool")
	s.patience.silence = 20 * time.Millisecond
	s.begin(background)
	p := <-started
	<-p.killed
	soon(t, "it is stuck", func() bool {
		c := s.trouble()
		return c != nil && c.State == facts.SourceState_SOURCE_STUCK && c.Stuck > 0
	})
	s.end()
	s.begin(background)
	time.Sleep(50 * time.Millisecond)
	if len(started) != 0 {
		t.Fatal("a second program was started")
	}
	p.say.(io.Closer).Close()
	p.ended <- errors.New("killed")
	soon(t, "the stream can begin anew", func() bool { s.begin(background); return len(started) == 1 })
	(<-started).ended <- nil
}

// A program that floods is slowed down by its pipe, and its endless line is left out.
func TestStreamFloods(t *testing.T) {
	start, started := playPrograms()
	var h heard
	s := newTestStream(t, &h, start, "tool")
	s.begin(background)
	p := <-started
	var sent atomic.Int64
	go func() {
		chunk := []byte(strings.Repeat("x", 64<<10))
		for range 100 {
			n, err := p.say.Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
		io.WriteString(p.say, "\nshort\n")
	}()
	began := time.Now()
	time.Sleep(500 * time.Millisecond)
	if n, took := sent.Load(), time.Since(began); float64(n) > bytesPerSecond*(1+took.Seconds())+256<<10 {
		t.Errorf("%d bytes were taken in %v", n, took)
	}
	soon(t, "the line after it", func() bool { return h.count() == 1 })
	if got := h.all()[0]; got != "short" {
		t.Errorf("heard %.40q", got)
	}
	p.ended <- nil
}

// A fault of ours in taking a line costs the program, not the collector.
func TestStreamFault(t *testing.T) {
	script(t, "tool", "echo hello; exec sleep 1000")
	var h heard
	s := newTestStream(t, &h, startReal, "tool")
	s.take = func([]byte) { panic("no such line") }
	s.begin(background)
	soon(t, "it is told", func() bool {
		c := s.trouble()
		return c != nil && strings.Contains(c.Text, "fault in the collector: no such line")
	})
}

func TestTakeLines(t *testing.T) {
	long := strings.Repeat("y", 100)
	for in, want := range map[string]string{
		"":                             "",
		"a\nb\n":                       "a|b",
		"a\n\n\nb":                     "a|b",
		"a\n" + long + "\nb\n":         "a|b",
		long + long + long + "\nb\nc":  "b|c",
		"a\n" + long:                   "a",
		strings.Repeat("0123456\n", 9): strings.TrimSuffix(strings.Repeat("0123456|", 9), "|"),
	} {
		for _, piece := range []int{1, 3, 1000} {
			var h heard
			if err := takeLines(background, &pieces{in, piece}, 32, h.take); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(h.all(), "|"); got != want {
				t.Errorf("%.20q in pieces of %d: %q, want %q", in, piece, got, want)
			}
		}
	}
}

// pieces reads a text in pieces.
type pieces struct {
	text string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(p.size, len(p.text))])
	p.text = p.text[n:]
	return n, nil
}

// A question is answered once, bounded in time and size; while one is out there is no other.
func TestQuestion(t *testing.T) {
	script(t, "tool", `case $1 in
fine) echo answer;;
fails) echo "no device" >&2; exit 2;;
floods) exec yes;;
hangs) sleep 1000;;
esac`)
	q := question{start: startReal, most: 4096, deadline: 20 * time.Second}
	put := func(arg string) (string, error) {
		t.Helper()
		if !q.ask(background, "tool", arg) {
			t.Fatal("not asked")
		}
		if q.ask(background, "tool", "fine") {
			t.Fatal("two at a time")
		}
		var out []byte
		var err error
		soon(t, "an answer to "+arg, func() (ok bool) { out, err, ok = q.fetch(); return ok })
		if _, _, again := q.fetch(); again || q.out() != 0 {
			t.Errorf("%s: answered twice, or still out", arg)
		}
		return string(out), err
	}
	if out, err := put("fine"); out != "answer\n" || err != nil {
		t.Errorf("%q %v", out, err)
	}
	if out, err := put("fails"); out != "" || err == nil || !strings.Contains(err.Error(), "exit status 2: no device") {
		t.Errorf("%q %v", out, err)
	}
	if out, err := put("floods"); len(out) != 4096 || err != nil {
		t.Errorf("%d bytes %v", len(out), err)
	}
	q.deadline = 50 * time.Millisecond
	if out, err := put("hangs"); out != "" || err != errSlow {
		t.Errorf("%q %v", out, err)
	}
	q.ask(background, "no-such-tool-anywhere")
	soon(t, "an answer", func() bool { _, err, ok := q.fetch(); return ok && isMissing(err) })
}
