package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/config"
	"foretop/fleet"
	"foretop/recording"
	"foretop/report"
	"foretop/simfleet"
	"foretop/sshpool"

	"github.com/spf13/cobra"
)

// TestFindingsAndReportOfAFleet reads a simulated fleet over real connections, and records it: a board that its maker replaces makes exit code 4, and the reports of the running job and of
// the recording are whole.
func TestFindingsAndReportOfAFleet(t *testing.T) {
	ctx := context.Background()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	scenario, err := simfleet.Parse("test", []byte("name: bad\nfaults:\n  - {at: 0s, fault: sram-threshold, job: fsdp, member: 0, gpu: 5}\n"))
	if err != nil {
		t.Fatal(err)
	}
	sim, err := simfleet.Start(ctx, simfleet.Options{Nodes: 16, Seed: 1, Scenario: scenario})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	recorded := filepath.Join(t.TempDir(), "night.foretop")
	w, err := recording.Create(recorded, recording.About{Title: "test"}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	box := newBlackBox(config.Default(), w, false, "test", nil)
	s := openRecorded(config.Default(), box, fleet.Options{IdleAfter: demoIdleAfter}, sshpool.Config{}, simTargets(sim.Nodes(), sim.Signer()))
	closed := false
	defer func() {
		if !closed {
			s.Close()
		}
	}()
	s.publish(ctx, 200*time.Millisecond, func(*fleet.Snapshot) {}, func(err error) { t.Error(err) })
	snap := s.settle(ctx, 2*time.Minute)
	f := findingsFlags{on: true, severity: fleet.Critical}
	for deadline := time.Now().Add(2 * time.Minute); !snap.Alarms() && time.Now().Before(deadline); {
		f.watch = time.Second
		snap = f.look(ctx, s, snap)
	}
	other := errors.New("another")
	var failed *failure
	if err := f.alarmed(snap, other); !errors.As(err, &failed) || failed.code != codeCritical {
		t.Fatalf("%v: %+v", err, snap.Stated(fleet.Warning))
	}
	if err := (&findingsFlags{}).alarmed(snap, other); err != other {
		t.Errorf("without --findings: %v", err)
	}
	var text strings.Builder
	if err := f.print(&text, snap, "text", time.Second); err != nil || !strings.Contains(text.String(), "replace it") || strings.Contains(text.String(), "notice  ") {
		t.Errorf("%v: %s", err, text.String())
	}

	var bad *fleet.Job
	for _, j := range snap.Jobs {
		for i := range j.GPUs {
			if n := snap.Node(j.GPUs[i].Node); j.GPUs[i].Index == 5 && n.Worst() != nil && strings.Contains(n.Worst().Text, "replace it") {
				bad = j
			}
		}
	}
	if bad == nil {
		t.Fatal("no job has the bad board")
	}
	flags := reportFlags{format: "html", file: filepath.Join(t.TempDir(), "report.html")}
	if err := flags.check(); err != nil {
		t.Fatal(err)
	}
	if err := flags.write(ctx, nil, config.Default(), s.watched(ctx, snap, 3*time.Second), report.Options{Job: bad.ID}); err != nil {
		t.Fatal(err)
	}
	wholeReport(t, flags.file, bad)

	s.Close()
	closed = true
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--job", bad.ID, "--from", "-1h"}} {
		out := filepath.Join(t.TempDir(), "recorded.html")
		root := newRoot()
		root.SetArgs(append([]string{"report", recorded, "-o", out}, args...))
		if err := root.Execute(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		wholeReport(t, out, bad)
	}
}

// wholeReport fails where the page of a report lacks the bad board, or a part.
func wholeReport(t *testing.T, path string, bad *fleet.Job) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{bad.Name, "replace it", bad.Nodes[0] + " GPU5", "<path class=\"c", "Power", "</html>"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%q is not in the report", want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	if err := writeNew(path, []byte("first"), false); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(path, []byte("second"), false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("%v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "first" {
		t.Errorf("%s", b)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(path, []byte("third"), true); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 5 {
		t.Errorf("%v, %v", info, err)
	}
	// A link that somebody laid there is not followed.
	target := filepath.Join(dir, "target")
	if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(filepath.Join(dir, "link"), []byte("x"), false); err == nil {
		t.Error("a link was followed")
	}
	if err := writeNew(filepath.Join(dir, "link"), []byte("x"), true); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("a link was followed")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".foretop-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestParseMoment(t *testing.T) {
	end := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"": {}, "-30m": end.Add(-30 * time.Minute), "11:59": end.Add(-time.Minute), "12:00:01": end.Add(time.Second).AddDate(0, 0, -1), "2026-02-01 03:04": time.Date(2026, 2, 1, 3, 4, 0, 0, time.Local),
		"2026-02-01T03:04:05Z": time.Date(2026, 2, 1, 3, 4, 5, 0, time.UTC), "2026-02-01": time.Date(2026, 2, 1, 0, 0, 0, 0, time.Local),
	} {
		if got, err := parseMoment(text, end); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"noon", "25:00", "--3m", "-x", "2026-13-01"} {
		if got, err := parseMoment(text, end); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestTheReportsFormat follows the file's name.
func TestTheReportsFormat(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{"a.md": "markdown", "a.Markdown": "markdown", "a.html": "html", "a": "html"} {
		f := reportFlags{file: filepath.Join(dir, name)}
		if err := f.check(); err != nil || f.format != want {
			t.Errorf("%s: %s, %v", name, f.format, err)
		}
	}
	cmd := &cobra.Command{}
	f := findingsFlags{}
	f.add(cmd)
	format := "table"
	if err := f.check(cmd, &format); err != nil || format != "table" {
		t.Errorf("%v, %s", err, format)
	}
}
