package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/actions"
	"foretop/simfleet"
	"foretop/sshpool"
)

// Each command has its two audit lines; without the first nothing is run.
func TestRunAudit(t *testing.T) {
	fleet, err := simfleet.Start(t.Context(), simfleet.Options{Nodes: 3, Seed: 1, Scenario: simfleet.Healthy()})
	must(t, err)
	defer fleet.Close()
	var names []string
	for _, n := range fleet.Nodes() {
		names = append(names, n.Name)
	}
	sink := newReach(names)
	pool := sshpool.New(sshpool.Config{Home: t.TempDir()}, sink)
	defer pool.Close()
	for _, target := range simTargets(fleet.Nodes(), fleet.Signer()) {
		pool.Add(target)
	}
	path := filepath.Join(t.TempDir(), "audit")
	run := func(line, path string) (string, string, error) {
		var out, errs bytes.Buffer
		audit := actions.OpenAudit(path, nil)
		defer audit.Close()
		r := &runner{names: names, line: line, merge: true, connect: time.Minute, width: 2, limit: 1 << 10, out: &out, errs: &errs, text: asItIs, errText: asItIs, audit: audit, user: "ann", from: "desk", id: "x1"}
		err := r.run(t.Context(), pool, sink.await)
		return out.String(), errs.String(), err
	}
	out, errs, err := run("hostname", path)
	if err != nil || strings.Count(out, "---------------\n") != 6 || errs != "" {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	out, errs, err = run("reboot", path)
	if exitCode(err) != codeFailed || out != "" || !strings.Contains(errs, "(3): exited with exit code 127\n") {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	count := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var l actions.Line
		must(t, json.Unmarshal([]byte(line), &l))
		if l.User != "ann" || l.ID != "x1" || l.Action != actions.Command || l.Time.IsZero() {
			t.Errorf("%s", line)
		}
		count[strings.Join(append(l.Command, l.State, l.Words), " ")]++
	}
	for what, n := range map[string]int{"hostname starts ": 3, "hostname done ": 3, "reboot starts ": 3, "reboot failed exited with exit code 127": 3} {
		if count[what] != n {
			t.Errorf("%q: %d of %v", what, count[what], count)
		}
	}
	if out, errs, err = run("hostname", t.TempDir()); exitCode(err) != codeNotLive || out != "" || !strings.Contains(errs, "nothing was done: the audit file cannot be written") {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
}

// Whatever pieces output comes in, its lines are whole, and nothing beyond the limit is written.
func TestLabelled(t *testing.T) {
	write := func(room int, pieces ...string) string {
		var out bytes.Buffer
		l := &labelled{mu: new(sync.Mutex), to: &out, label: "n", text: forTerminal, room: &room}
		for _, p := range pieces {
			if n, err := l.Write([]byte(p)); n != len(p) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		must(t, l.end())
		return out.String()
	}
	for _, c := range []struct {
		room   int
		pieces []string
		want   string
	}{
		{100, []string{"a", "b\nc", "\n\nd"}, "n: ab\nn: c\nn: \nn: d\n"},
		{4, []string{"ab\n", "cdef\n"}, "n: ab\nn: c\n"},
		{0, []string{"ab\n"}, ""},
		{100, []string{"a\tb\r\n\x1b[2J\x07é\xff\n"}, "n: a\tb\nn: \ufffd[2J\ufffdé\ufffd\n"},
		{1 << 20, []string{strings.Repeat("x", maxLineBytes), "y\n"}, "n: " + strings.Repeat("x", maxLineBytes) + "\nn: y\n"},
	} {
		if got := write(c.room, c.pieces...); got != c.want {
			t.Errorf("%.80q: %.80q", c.pieces, got)
		}
	}
	room := 10
	l := &labelled{mu: new(sync.Mutex), to: fullPlace{}, label: "n", text: asItIs, room: &room}
	if _, err := l.Write([]byte("a\n")); !errors.Is(err, errFull) {
		t.Error(err)
	}
}

var errFull = errors.New("full")

type fullPlace struct{}

func (fullPlace) Write([]byte) (int, error) { return 0, errFull }

func FuzzForTerminal(f *testing.F) {
	f.Add("a\tb\r\n\x1b[2J")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range forTerminal(s) {
			if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				t.Errorf("%q lets %q through", s, r)
			}
		}
	})
}
