package fleet

import (
	"slices"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/telemetry/facts"
)

func statedSnapshot(seconds string) *Snapshot {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	n := &Node{Name: "gpu017", GPUs: []GPU{{Index: 2, Info: &facts.GPU{Uuid: "GPU-c"}}}, Ports: []Port{{Name: "mlx5_0"}}, Problems: []Problem{
		{Severity: Critical, Text: "Xid 79 GPU2: fell off the bus", GPU: 2, Port: -1, Since: at, Rule: "hw.xid", Evidence: []string{"NVRM: Xid"}, Remedy: "drain it"},
		{Severity: Critical, Text: "Xid 48 GPU2: double bit error", GPU: 2, Port: -1, Since: at, Rule: "hw.xid"},
		{Severity: Warning, Text: "mlx5_0 down " + seconds, GPU: -1, Port: 0, Since: at.Add(-time.Minute)},
		{Severity: Notice, Text: "kernel log: not checked", GPU: -1, Port: -1},
		{Severity: Fine, Text: "not told", GPU: -1, Port: -1},
	}}
	out := &Node{Name: "gpu018", Scheduled: []ScheduledNode{{Node: &schedulers.Node{Condition: schedulers.Drained}}}, Problems: []Problem{{Severity: Critical, Text: "lost", GPU: -1, Port: -1}}}
	hung := &Job{Key: "slurm/8123", ID: "8123", Name: "llama3", Findings: []Verdict{{Severity: Warning, Text: "no progress " + seconds + " · rank 131?", Rule: "job.hang"}, {State: JobRunning, Text: "running"}}}
	ended := &Job{Key: "slurm/8", ID: "8", State: JobEnded, Severity: Warning, StateText: "ended " + seconds + " ago: FAILED"}
	return &Snapshot{Nodes: []*Node{n, out}, Jobs: []*Job{hung, ended}}
}

func TestStatedListsFindingsWorstFirst(t *testing.T) {
	var got []string
	for _, f := range statedSnapshot("9 s").Stated(Fine) {
		got = append(got, f.Severity.String()+" "+f.Subject()+" | "+f.Line())
	}
	want := []string{
		"critical gpu017 GPU2 | gpu017: Xid 48 GPU2: double bit error",
		"critical gpu017 GPU2 | gpu017: Xid 79 GPU2: fell off the bus",
		"warning gpu017 mlx5_0 | gpu017: mlx5_0 down 9 s",
		"warning job 8 | job 8: ended 9 s ago: FAILED",
		"warning job 8123 | job 8123 llama3: no progress 9 s · rank 131?",
		"notice gpu017 | gpu017: kernel log: not checked",
		"critical gpu018 | gpu018: lost",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := statedSnapshot("9 s").Stated(Critical); len(got) != 3 || got[0].GPUUUID != "GPU-c" || !got[0].Alarms() || got[2].Alarms() {
		t.Errorf("%+v", got)
	}
}

func TestAFindingIsKnownAgain(t *testing.T) {
	ids := func(s *Snapshot) (out []string) {
		for _, f := range s.Stated(Fine) {
			out = append(out, f.ID)
		}
		return out
	}
	before, after := ids(statedSnapshot("9 s")), ids(statedSnapshot("41.5 s"))
	if !slices.Equal(before, after) {
		t.Errorf("%q, then %q", before, after)
	}
	if want := []string{"hw.xid-48@gpu017/GPU2", "hw.xid-79@gpu017/GPU2"}; !slices.Equal(before[:2], want) || before[4] != "job.hang@job/slurm/8123" {
		t.Errorf("%q", before)
	}
	// One rule, one subject, two statements.
	n := &Node{Name: "a", Problems: []Problem{{Severity: Warning, Text: "x is low", Rule: "hw.x", GPU: -1, Port: -1}, {Severity: Warning, Text: "y is low", Rule: "hw.x", GPU: -1, Port: -1}, {Severity: Warning, Text: "y is low", Rule: "hw.x", GPU: -1, Port: -1}}}
	seen := map[string]bool{}
	for _, f := range (&Snapshot{Nodes: []*Node{n}}).Stated(Fine) {
		if seen[f.ID] {
			t.Errorf("%s twice", f.ID)
		}
		seen[f.ID] = true
	}
}

func TestParseSeverity(t *testing.T) {
	for _, w := range SeverityWords() {
		if s, err := ParseSeverity(w); err != nil || s.String() != w {
			t.Errorf("%s: %v, %v", w, s, err)
		}
	}
	if _, err := ParseSeverity("fine"); err == nil {
		t.Error("fine is no severity of a finding")
	}
}
