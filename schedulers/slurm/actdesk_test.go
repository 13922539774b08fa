package slurm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/actions"
	"foretop/fleet"
	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// Many orders at once, several a node: none is lost.
func TestLiveActMany(t *testing.T) {
	l := act(t, testbed.SlurmOptions{Nodes: 4})
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			o := schedulers.Order{Verb: schedulers.Drain, Node: l.bed.Nodes[i/10], Reason: fmt.Sprintf("reason %02d", i), Append: true}
			if err := l.root.Do(t.Context(), o, func(string) {}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i, line := range l.sinfoR() {
		reasons := strings.Split(line[strings.LastIndexByte(line, '|')+1:], "; ")
		slices.Sort(reasons)
		if len(reasons) != 10 || reasons[0] != fmt.Sprintf("reason %02d", 10*i) || reasons[9] != fmt.Sprintf("reason %02d", 10*i+9) {
			t.Errorf("%s", line)
		}
	}
	l.sinfoSaysSo()
}

// Eight drains at a desk, and the controller stops at some moment of them and comes back: what each is said to be is what sinfo -R prints, and the audit file has
// the beginning and the end of each.
func TestLiveActDesk(t *testing.T) {
	l := act(t, testbed.SlurmOptions{Nodes: 8, Conf: []string{"MessageTimeout=2"}})
	f := fleet.New(fleet.Options{})
	for _, name := range l.bed.Nodes {
		f.Add(name)
	}
	s := f.Publish()
	for _, n := range s.Nodes {
		n.State = fleet.Live
		n.Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Cluster: "bed", Node: &schedulers.Node{Name: n.Name}, Proof: fleet.ProofHost}}
	}
	planner := &actions.Planner{User: "ann", Actor: func(string, string) schedulers.Actor { return l.root }}
	audit := actions.OpenAudit(filepath.Join(t.TempDir(), "audit"), nil)
	defer audit.Close()
	lines := 0
	ends := map[actions.State]int{}
	for round, after := range []time.Duration{20 * time.Millisecond, 90 * time.Millisecond, 140 * time.Millisecond, 200 * time.Millisecond} {
		// Here Do has always seen scontrol end: that it has no effect any more need not be waited for in full.
		start := time.Now()
		desk := &actions.Desk{Audit: audit, User: "ann", From: "here", Now: func() time.Time { return start.Add(10 * time.Since(start)) }, Pause: func(int) time.Duration { return 200 * time.Millisecond }}
		p := planner.Preview(s, actions.Intent{Kind: actions.Drain, Nodes: l.bed.Nodes, Reason: fmt.Sprintf("round %d", round), WhenIdle: true})
		job, err := desk.Start(t.Context(), p, "8")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(after)
		if err := l.bed.StopController(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if err := l.bed.StartController(); err != nil {
			t.Fatal(err)
		}
		<-job.Done()
		l.until("all nodes are back", func(p *schedulers.Picture) bool {
			return !slices.ContainsFunc(p.Nodes, func(n schedulers.Node) bool { return !slices.Contains(n.Flags, "IDLE") })
		})
		reasons := strings.Join(l.sinfoR(), "\n") + "\n"
		results, _ := job.Results()
		for _, r := range results {
			lines += 2
			ends[r.State]++
			is := strings.Contains(reasons, r.Target+"|") && strings.Contains(reasons, "round "+fmt.Sprint(round))
			if r.State != actions.Done && r.State != actions.Failed || (r.State == actions.Done) != is {
				t.Errorf("%s is said to be %s (%s); sinfo -R:\n%s", r.Target, r.State, r.Words, reasons)
			}
			if strings.Contains(r.Words, "found out later") {
				lines++
			}
		}
		l.sinfoSaysSo()
		for _, line := range l.sinfoR() {
			node, _, _ := strings.Cut(line, "|")
			l.must(schedulers.Order{Verb: schedulers.Resume, Node: node}, "resumed")
		}
	}
	t.Logf("how they ended: %v", ends)
	text, err := os.ReadFile(audit.Path())
	if err != nil || strings.Count(string(text), "\n") != lines || strings.Count(string(text), `"state":"starts"`) != 32 {
		t.Errorf("%d lines in the audit file, not %d: %v", strings.Count(string(text), "\n"), lines, err)
	}
}
