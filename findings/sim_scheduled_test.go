package findings

import (
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"
)

// scheduled lets a second pass, and a picture of each scheduler come four times a minute.
func (s *sim) scheduled() *fleet.Snapshot {
	if s.at%(15*time.Second) == 0 {
		for _, p := range s.model.Pictures(s.at) {
			s.fleet.Scheduled(p)
		}
	}
	return s.step()
}

// disagreements are what scheduler rules say of a snapshot beyond what is known to be so.
func disagreements(s *fleet.Snapshot) (out []string) {
	for _, j := range s.Jobs {
		for _, f := range j.Findings {
			for _, w := range []string{"left over", "no process of it holds", "are gone for", "not watched", "completing"} {
				if strings.Contains(f.Text, w) {
					out = append(out, j.ID+": "+f.Text)
				}
			}
		}
	}
	for _, n := range s.Nodes {
		for _, p := range n.Problems {
			for _, w := range []string{"with no job of", "though it is live", "nodes here say"} {
				if strings.Contains(p.Text, w) {
					out = append(out, n.Name+": "+p.Text)
				}
			}
		}
	}
	return out
}

// TestSchedulersAndProcessesAgree plays a healthy fleet and its schedulers, whose pictures are always a little old: nothing is found in what they say.
func TestSchedulersAndProcessesAgree(t *testing.T) {
	t.Parallel()
	s, seconds := newSim(t, 64, 1, "name: healthy\nfaults: []\n"), 200
	if slow && !soak() {
		seconds = 100
	}
	for range seconds {
		snap := s.scheduled()
		if found := disagreements(snap); len(found) > 0 {
			t.Fatalf("after %s: %q", s.at, found)
		}
	}
	snap := s.fleet.Snapshot()
	joined, pods := 0, false
	for _, j := range snap.Jobs {
		if j.Asked == fleet.AskedKnown && j.Ended.IsZero() {
			joined++
			pods = pods || j.Scheduler == "kubernetes" && len(j.Nodes) == 2 && len(j.Ranks) == 16
		}
	}
	if joined < 8 || !pods || snap.Totals.Drained != 1 || len(snap.Users) < 6 {
		t.Fatalf("%d jobs joined, pods' job %t, %d drained, %d users", joined, pods, snap.Totals.Drained, len(snap.Users))
	}
}

// TestSchedulersInTroubledTimes plays the demo's faults: jobs that are queued again keep their row, and what is told of schedulers is told only where they and the
// processes truly disagree for long.
func TestSchedulersInTroubledTimes(t *testing.T) {
	t.Parallel()
	m, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: 64, Seed: 1, Scenario: simfleet.Demo(), Epoch: noon})
	if err != nil {
		t.Fatal(err)
	}
	s := playing(t, m)
	requeued, seconds := false, 380
	if slow && !soak() {
		seconds = 200
	}
	var draining int
	for range seconds {
		snap := s.scheduled()
		for _, d := range disagreements(snap) {
			if !strings.Contains(d, "are gone for") {
				t.Fatalf("after %s: %s", s.at, d)
			}
		}
		big := 0
		for _, j := range snap.Jobs {
			if j.Key == "slurm/8123" {
				big++
			}
			requeued = requeued || strings.HasPrefix(j.StateText, "queued again")
		}
		if s.at > 20*time.Second && big != 1 {
			t.Fatalf("after %s: %d rows of the big job", s.at, big)
		}
		draining = max(draining, snap.Totals.Drained)
	}
	if !requeued || draining < 2 {
		t.Fatalf("queued again: %t, drained at most %d", requeued, draining)
	}
}
