package simfleet

import (
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
)

// TestPictures shows that what the played schedulers know is what the nodes run: every job of theirs, where it runs, at every moment of the demo.
func TestPictures(t *testing.T) {
	m, err := NewModel(ModelOptions{Nodes: 64, Seed: 1, Scenario: Demo(), Epoch: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[schedulers.Condition]bool{}
	phases := map[schedulers.Phase]bool{}
	for at := time.Duration(0); at < 6*time.Minute; at += 5 * time.Second {
		pictures := m.Pictures(at)
		if len(pictures) != 2 || pictures[0].Kind != "slurm" || pictures[1].Kind != "kubernetes" {
			t.Fatalf("%d pictures", len(pictures))
		}
		running := map[string][]string{} // by Slurm's number: nodes
		for _, n := range m.nodes {
			_, list := n.Processes(at)
			for _, p := range list {
				if id := p.Env["SLURM_JOB_ID"]; id != "" && !slices.Contains(running["slurm/"+id], n.name) {
					running["slurm/"+id] = append(running["slurm/"+id], n.name)
				}
			}
		}
		for _, p := range pictures {
			if !slices.IsSortedFunc(p.Jobs, func(a, b schedulers.Job) int { return strings.Compare(a.Key, b.Key) }) || !slices.IsSortedFunc(p.Nodes, func(a, b schedulers.Node) int { return strings.Compare(a.Name, b.Name) }) {
				t.Fatal("not in order")
			}
			for _, n := range p.Nodes {
				seen[n.Condition] = true
			}
		}
		for _, j := range pictures[0].Jobs {
			phases[j.Phase] = true
			for _, node := range running[j.Key] {
				if j.Phase != schedulers.Running || !slices.Contains(j.Nodes, node) {
					t.Fatalf("at %s: %s runs on %s, and is %s on %v", at, j.Key, node, j.Phase, j.Nodes)
				}
			}
			delete(running, j.Key)
		}
		for key := range running {
			t.Fatalf("at %s: Slurm does not know of %s", at, key)
		}
		for _, j := range pictures[1].Jobs {
			if len(j.Pods) != len(j.Nodes) || !strings.HasPrefix(j.Key, "kubernetes/") {
				t.Fatalf("%+v", j)
			}
		}
	}
	for _, c := range []schedulers.Condition{schedulers.Usable, schedulers.Draining, schedulers.Drained, schedulers.Unreachable} {
		if !seen[c] {
			t.Errorf("no node is ever %s", c)
		}
	}
	for _, p := range []schedulers.Phase{schedulers.Pending, schedulers.Running, schedulers.Ended} {
		if !phases[p] {
			t.Errorf("no job is ever %s", p)
		}
	}
}

// TestLog shows that a log goes on while its job does, and stands still with it.
func TestLog(t *testing.T) {
	m, err := NewModel(ModelOptions{Nodes: 64, Seed: 1, Scenario: Demo(), Epoch: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	path := m.jobs[0].logFile()
	text, before, ok := m.Log(path, 5*time.Second)
	if !ok || !strings.Contains(text, "loss: ") || strings.Count(text, "\n") != logSteps {
		t.Fatalf("%q", text)
	}
	_, hung, _ := m.Log(path, 30*time.Second) // its GPU is lost at 8 s
	_, still, _ := m.Log(path, 90*time.Second)
	if hung.Before(before) || !still.Equal(hung) {
		t.Fatalf("written at %s, %s, %s", before, hung, still)
	}
	if _, _, ok := m.Log("/etc/passwd", 0); ok {
		t.Fatal("another file")
	}
}
