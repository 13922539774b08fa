package export

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"

	"github.com/google/go-cmp/cmp"
)

// faulty is the small fleet whose faults are told with all that rules say of them.
func faulty() *fleet.Snapshot {
	s := snapshot()
	s.Nodes[0].Scheduled = nil // in service
	p := &s.Nodes[0].Problems[0]
	p.Rule, p.Evidence, p.Remedy, p.Cause = "hw.xid", []string{"NVRM: Xid (PCI:0000:1c:00): 79, GPU has fallen off the bus"}, "drain it, then reboot it", fleet.Hardware
	s.Jobs[0].Findings[0].Rule = "job.nodes"
	s.Incidents = []fleet.Incident{{
		ID: "hw.xid 79@GPU-1", Title: "GPU1 on gpu001 fell off the bus → job 8123 lost a node", Severity: fleet.Critical, Since: noon.Add(-time.Minute), Nodes: []string{"gpu001"},
		Members: []fleet.Finding{{Rule: "hw.xid", Subject: fleet.Subject{Node: "gpu001", GPU: 1, UUID: "GPU-1", Port: -1}, Severity: fleet.Critical, Text: "fell off the bus"}},
		Mark:    fleet.Mark{Kind: fleet.Acknowledged, By: "ann"},
	}}
	s.Nodes[2].Problems = []fleet.Problem{{Severity: fleet.Warning, Text: "evil \x1b[2J\u202e line", GPU: -1, Port: -1}}
	return s
}

func TestFindingsJSON(t *testing.T) {
	var b bytes.Buffer
	if err := FindingsJSON(&b, faulty(), FindingsOptions{Watched: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.json", b.Bytes())
}

func TestFindingsText(t *testing.T) {
	defer func(l *time.Location) { time.Local = l }(time.Local)
	time.Local = time.UTC
	var b bytes.Buffer
	if err := FindingsText(&b, faulty(), FindingsOptions{Watched: 2 * time.Minute}, 0); err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.txt", b.Bytes())
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Error("what a terminal obeys is written as it is")
	}
}

func TestFindingsAreOfASeverityAtLeast(t *testing.T) {
	var b bytes.Buffer
	if err := FindingsJSON(&b, faulty(), FindingsOptions{Least: fleet.Critical}); err != nil {
		t.Fatal(err)
	}
	var d findingsDocRead
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Findings) != 2 || d.Findings[0].Severity != "critical" || d.Findings[1].Severity != "critical" {
		t.Errorf("%s", b.String())
	}
}

type findingsDocRead struct {
	Findings []struct{ Severity string }
}

// TestDrainedNodesAlarmNobody holds what the exit code is made of.
func TestDrainedNodesAlarmNobody(t *testing.T) {
	s := snapshot() // its first node is draining
	for _, f := range s.Stated(fleet.Critical) {
		if f.Node == "gpu001" && (f.Alarms() || !f.KnownBad) {
			t.Errorf("%+v", f)
		}
	}
	if d := statedDocument(s, FindingsOptions{}); d.Counts.OutOfService != 2 || d.Counts.Critical != 1 {
		t.Errorf("%+v", d.Counts)
	}
}

func TestFindingsPage(t *testing.T) {
	var fields []string
	written(t, "", reflect.TypeFor[findingsDoc](), &fields)
	fields = slices.DeleteFunc(fields, func(f string) bool { return strings.HasPrefix(f, "incidents[]") }) // are SNAPSHOT.md's
	page := documented(t, "FINDINGS.md")
	slices.Sort(fields)
	slices.Sort(page)
	if diff := cmp.Diff(fields, page); diff != "" {
		t.Errorf("-code +FINDINGS.md:\n%s", diff)
	}
}
