package actions

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// ranksOn is a fleet with a job of a rank on each of n nodes, of whom the last is not connected and the one before has another process by now.
func ranksOn(t *testing.T, n int) (*fleet.Snapshot, Intent) {
	s := fleetOf(t, n)
	j := &fleet.Job{Key: "slurm/7", ID: "7", User: "bob"}
	in := Intent{Kind: Dump, Title: "job 7", Job: j.Key}
	for i, node := range s.Nodes {
		p := rankOn(i, node.Name)
		p.User = "bob"
		in.Processes = append(in.Processes, p)
		ticks := p.StartTicks
		if i == n-2 {
			ticks += 1000
		}
		node.Processes = []*fleet.Process{{Process: &facts.Process{Pid: p.PID, StartTicks: ticks}}}
		j.Nodes, node.Jobs = append(j.Nodes, node.Name), []string{j.Key}
	}
	s.Nodes[n-1].State = fleet.Lost
	s.Jobs = []*fleet.Job{j}
	return s, in
}

// Stacks are asked where that can be, say why not elsewhere, and are one question in the audit file.
func TestDump(t *testing.T) {
	s, in := ranksOn(t, 6)
	asked := make(chan string, 8)
	l := &Planner{User: "ann", Door: stackDoor(func(node, key string) string {
		asked <- node
		pid, start, _ := strings.Cut(key, ":")
		return fmt.Sprintf(`{"pid":%s,"start":%s,"source":"py-spy","threads":[{"id":"1","frames":["all_reduce (c10d.py:1)"]}]}`+"\n", pid, start)
	})}
	p := l.Preview(s, in)
	if p.Count != 0 || p.Trouble != "" || p.Title != "stacks of job 7: 6 processes" || p.Ready() != 4 {
		t.Fatalf("%+v", p)
	}
	path := filepath.Join(t.TempDir(), "audit")
	audit := OpenAudit(path, nil)
	defer audit.Close()
	d := &Desk{Audit: audit, User: "ann", From: "login1"}
	var answered atomic.Int64
	got, err := d.Stacks(t.Context(), p, "y", func(n int) { answered.Add(int64(n)) })
	if err != nil || len(got) != 6 || answered.Load() != 4 || len(asked) != 4 {
		t.Fatalf("%v, %d of %d answered, %d asked", err, answered.Load(), len(got), len(asked))
	}
	for i := range got {
		if got[i].Process != in.Processes[i] {
			t.Errorf("%d is %v", i, got[i].Process)
		}
	}
	if got[4].Why != "it is not seen any more" || got[5].Why != "gpu0006 is lost: there is no connection to it" {
		t.Errorf("%q, %q", got[4].Why, got[5].Why)
	}
	var lines []string
	for _, l := range auditLines(t, path) {
		lines = append(lines, fmt.Sprintf("%s %s, %s: %s: %s %s", l.Action, l.Target, l.Where, strings.Join(l.Command, ";"), l.State, l.Words))
	}
	if want := []string{"stacks job 7, 6 nodes: py-spy dump --nonblocking, else /proc, of 4 processes: starts ",
		"stacks job 7, 6 nodes: py-spy dump --nonblocking, else /proc, of 4 processes: done 4 ranks in all_reduce (c10d.py), 2 not read: 4, 5"}; !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	if _, err := d.Start(t.Context(), p, "y"); err == nil {
		t.Error("it was started as a job")
	}
}

// Where processes are stopped for it, their number is typed, and who is affected is named; what was not confirmed, or cannot be written down, asks nobody.
func TestDumpBlocking(t *testing.T) {
	s, in := ranksOn(t, 6)
	in.Blocking = true
	asked := make(chan string, 8)
	l := &Planner{User: "ann", Door: stackDoor(func(node, _ string) string {
		asked <- node
		return ""
	})}
	p := l.Preview(s, in)
	if p.Count != 4 || !slices.Equal(p.Affected.Others, []string{"bob"}) || len(p.Warnings) != 2 || !strings.Contains(p.Warnings[0], "stops each process") || strings.Contains(p.Steps[0].Commands[0], "nonblocking") {
		t.Fatalf("%+v", p)
	}
	audit := OpenAudit(filepath.Join(t.TempDir(), "audit"), nil)
	defer audit.Close()
	nowhere := OpenAudit("/dev/null/audit", nil)
	defer nowhere.Close()
	for want, d := range map[string]*Desk{"not confirmed": {Audit: audit}, "no audit file": {}, "read only": {Audit: audit, ReadOnly: "read only"}, "cannot be written": {Audit: nowhere}} {
		answer := "4"
		if want == "not confirmed" {
			answer = "y"
		}
		if got, err := d.Stacks(t.Context(), p, answer, nil); err == nil || !strings.Contains(err.Error(), want) || got != nil || len(asked) > 0 {
			t.Errorf("%s: %v, %d asked", want, err, len(asked))
		}
	}
	got, err := (&Desk{Audit: audit}).Stacks(t.Context(), p, "4", nil)
	if err != nil || len(got) != 6 || len(asked) != 8 { // stackDoor takes the option for a process, too
		t.Errorf("%v, %d asked, %v", err, len(asked), got)
	}
	if p := l.Preview(s, Intent{Kind: Dump, Title: "gpu0006", Processes: in.Processes[5:]}); p.Trouble != "rank 5, pid 1005 on gpu0006: gpu0006 is lost: there is no connection to it" {
		t.Errorf("%q", p.Trouble)
	}
}
