package cli

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/actions"
	"foretop/config"
	"foretop/fleet"
	"foretop/schedulers"
	"foretop/simfleet"
)

// What the demo's screen asks for is done to the simulation, and nowhere else: previews say so, the schedulers' next word and the screen agree, and the audit file is one of
// its own that goes with it.
func TestDemoHands(t *testing.T) {
	d, stop, err := openDemo(t.Context(), simfleet.Options{Nodes: 64, Seed: 1, Scenario: simfleet.Healthy(), Speed: 5})
	must(t, err)
	defer stop()
	d.publish(t.Context(), 100*time.Millisecond, func(*fleet.Snapshot) {}, func(err error) { t.Error(err) })
	cfg := config.Default()
	cfg.Actions.Audit = t.TempDir() + "/real" // the person's own
	h := newDemoHands(t.Context(), cfg, d)
	defer h.Close()
	until := func(what string, holds func(*fleet.Snapshot) bool) {
		t.Helper()
		eventually(t, time.Minute, func() string {
			if holds(d.Snapshot()) {
				return ""
			}
			return "not yet: " + what
		})
	}
	drained := []string{"gpu060", "gpu001", "gpu053"}
	until("all nodes are live and told by their schedulers", func(s *fleet.Snapshot) bool {
		return len(s.Schedulers) == 2 && len(s.Nodes) == 64 && !slices.ContainsFunc(s.Nodes, func(n *fleet.Node) bool {
			known := func(at fleet.ScheduledNode) bool { return at.Why == "" } // a scheduler may have answered before the node did
			return n.State != fleet.Live || !n.ProcessesTold || slices.Contains(drained, n.Name) && !slices.ContainsFunc(n.Scheduled, known)
		})
	})
	do := func(in actions.Intent) []actions.Result {
		t.Helper()
		p := h.Preview(d.Snapshot(), in)
		for i := range p.Steps {
			if !strings.HasPrefix(p.Steps[i].Where, "demo ") {
				t.Errorf("%s: asked at %q", p.Title, p.Steps[i].Where)
			}
		}
		j, err := h.Start(p, p.Answer())
		if err != nil {
			t.Fatalf("%+v: %v", in, err)
		}
		select {
		case <-j.Done():
		case <-time.After(time.Minute):
			t.Fatal("it goes on and on")
		}
		results, _ := j.Results()
		return results
	}
	condition := func(node string, want schedulers.Condition) {
		t.Helper()
		until(node+" is "+want.String(), func(s *fleet.Snapshot) bool {
			at := s.Node(node).Scheduled
			return len(at) == 1 && at[0].Node != nil && at[0].Node.Condition == want
		})
	}
	for _, c := range []struct {
		node string
		then schedulers.Condition
	}{{"gpu060", schedulers.Drained}, {"gpu001", schedulers.Draining}, {"gpu053", schedulers.Drained}} {
		if r := do(actions.Intent{Kind: actions.Drain, Nodes: []string{c.node}, Reason: "fan"}); r[0].State != actions.Done {
			t.Errorf("%+v", r)
		}
		condition(c.node, c.then)
	}
	do(actions.Intent{Kind: actions.Resume, Nodes: []string{"gpu060"}})
	condition("gpu060", schedulers.Usable)

	job := d.Snapshot().Jobs[slices.IndexFunc(d.Snapshot().Jobs, func(j *fleet.Job) bool { return j.Name == "gemma-9b-sft" })]
	var ranks []actions.Process
	for i := range job.Ranks {
		r := &job.Ranks[i]
		ranks = append(ranks, actions.Process{Node: r.Node, PID: r.PID, StartTicks: r.StartTicks, Rank: r.Rank, User: job.User})
	}
	dump := h.Preview(d.Snapshot(), actions.Intent{Kind: actions.Dump, Job: job.Key, Title: "job", Processes: ranks})
	if stacks, err := h.Stacks(dump, "y", func(int) {}); err != nil || len(stacks) != 64 || slices.ContainsFunc(stacks, func(s actions.Stack) bool { return s.Source != "py-spy" }) {
		t.Errorf("stacks: %s", actions.StackSummary(stacks))
	}
	if r := do(actions.Intent{Kind: actions.Signal, Job: job.Key, Signal: "USR1", Processes: ranks[:1]}); r[0].State != actions.Failed || !strings.Contains(r[0].Words, "TERM, INT and KILL only") {
		t.Errorf("%+v", r)
	}
	if r := do(actions.Intent{Kind: actions.Signal, Job: job.Key, Signal: "TERM", Processes: ranks[:1]}); r[0].State != actions.Done {
		t.Errorf("%+v", r)
	}
	until("the job has ended", func(s *fleet.Snapshot) bool { j := s.Job(job.Key); return j == nil || !j.Ended.IsZero() })

	r := do(actions.Intent{Kind: actions.Command, Nodes: []string{"gpu002", "gpu003"}, Argv: []string{"sh", "-c", "hostname"}})
	if r[0].Output.Text != "gpu002\n"+playedWords || r[1].State != actions.Done {
		t.Errorf("%+v", r)
	}
	if r = do(actions.Intent{Kind: actions.Command, Nodes: []string{"gpu002"}, Argv: []string{"ls"}}); r[0].State != actions.Failed || !strings.Contains(r[0].Output.Text, "this node is simulated") {
		t.Errorf("%+v", r)
	}
	here := h.Preview(d.Snapshot(), actions.Intent{Kind: actions.Custom, Nodes: []string{"gpu002"}, Argv: []string{"touch", t.TempDir() + "/x"}, Here: true, Title: "touch"})
	if here.Ready() != 0 || !strings.Contains(here.Trouble, "the demo runs nothing on this machine") {
		t.Errorf("%+v", here)
	}
	if err := h.Shell("gpu002", nil).Run(); err == nil || !strings.Contains(err.Error(), "they have no shell") {
		t.Error(err)
	}

	own := h.desk.Audit.Path()
	lines, err := readAudit(own)
	if err != nil || len(lines) < 16 || slices.ContainsFunc(lines, func(l actions.Line) bool { return !strings.HasPrefix(l.Where, "demo ") }) {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	h.Close()
	for _, path := range []string{own, h.folder, cfg.Actions.Audit} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
	cfg.ReadOnly = true
	h = newDemoHands(t.Context(), cfg, d)
	defer h.Close()
	if _, err := h.Start(here, "y"); err == nil || !strings.Contains(err.Error(), "--readonly") {
		t.Error(err)
	}
}
