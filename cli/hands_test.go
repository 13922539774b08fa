package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/actions"
	"foretop/config"
	"foretop/fleet"
)

// What stands in an audit file is read, whatever else stands there, and gives the reasons that are offered.
func TestAuditFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "audit.jsonl")
	a := actions.OpenAudit(path, nil)
	for _, reason := range []string{"fan", "memory \"errors\"\n\x1b[31m", "fan"} {
		if err := a.Append(actions.Line{Time: time.Unix(1, 0), ID: "x", User: "ann", Action: actions.Drain, Target: "gpu001", Command: []string{"scontrol update"}, Reason: reason, State: actions.Starts}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("{\"id\":\"cut\nnonsense\n[]\n\x1b[2J"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	a.Close()
	b := actions.OpenAudit(path, nil)
	defer b.Close()
	if err := b.Append(actions.Line{ID: "y", Action: actions.Drain, Target: "gpu002", State: "done", Words: "ok"}); err != nil {
		t.Fatal(err)
	}
	lines, err := readAudit(path)
	if err != nil || len(lines) != 4 || lines[3].Target != "gpu002" {
		t.Fatalf("%d lines, %v: %+v", len(lines), err, lines)
	}
	var out strings.Builder
	if err := printAudit(&out, lines, false); err != nil || strings.Contains(out.String(), "\x1b") || strings.Count(out.String(), "\n") != 4 || !strings.Contains(out.String(), "ann  drain  gpu001  starts  \"fan\"  scontrol update") {
		t.Errorf("%v: %q", err, out.String())
	}
	h := &hands{}
	h.remember(path)
	if got := h.Reasons(); len(got) != 2 || got[0] != "fan" {
		t.Errorf("reasons %q", got)
	}
}

// An audit file's path that does not answer costs nobody more than that nothing is done.
func TestNoPlaceForTheAuditFile(t *testing.T) {
	for what, path := range map[string]string{"a file as folder": "/dev/null/audit", "a device": "/dev/full", "a folder": t.TempDir()} {
		a := actions.OpenAudit(path, nil)
		if err := a.Append(actions.Line{ID: "x"}); err == nil {
			t.Errorf("%s: it was written", what)
		}
		a.Close()
	}
}

// What may not be done is refused before anything is opened.
func TestReadOnly(t *testing.T) {
	cfg := config.Default()
	cfg.ReadOnly = true
	cfg.Actions.Audit = filepath.Join(t.TempDir(), "audit")
	h := newHands(t.Context(), cfg, &chosen{station: &station{}})
	defer h.Close()
	p := &actions.Preview{Steps: []actions.Step{{Target: "gpu001"}}}
	if _, err := h.Start(p, "y"); err == nil || !strings.Contains(err.Error(), "--readonly") || h.Refusal() == "" {
		t.Errorf("%v, refusal %q", err, h.Refusal())
	}
	if stacks, err := h.Stacks(h.Preview(&fleet.Snapshot{}, actions.Intent{Kind: actions.Dump, Title: "job 7"}), "y", nil); stacks != nil || err == nil || !strings.Contains(err.Error(), "--readonly") {
		t.Errorf("stacks: %v, %v", stacks, err)
	}
	if _, err := os.Stat(cfg.Actions.Audit); err == nil {
		t.Error("an audit file was made")
	}
}
