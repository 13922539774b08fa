package cli

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"foretop/config"
	"foretop/fleet"
	"foretop/recording"
	"foretop/simfleet"
	"foretop/sshpool"
)

// The black box behind a screen, and a file beside it, show over real streams what was there a moment ago; what is recorded of a fleet that is watched over SSH can be replayed.
func TestBlackBoxOverSSH(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.foretop")
	w, err := recording.Create(path, recording.About{Title: "sim"}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	sim, err := simfleet.Start(t.Context(), simfleet.Options{Nodes: 4, Seed: 1, Scenario: simfleet.Healthy()})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	box := newBlackBox(config.Default(), w, false, "sim", nil)
	s := openRecorded(config.Default(), box, fleet.Options{}, sshpool.Config{}, simTargets(sim.Nodes(), sim.Signer()))
	live := s.settle(t.Context(), time.Minute)
	for i := 0; i < 20 || during(live); i++ {
		time.Sleep(50 * time.Millisecond)
		live = s.Publish()
	}
	shown, err := s.past.At(context.Background(), live.At)
	if err != nil {
		t.Fatal(err)
	}
	if from, to, kept, ok := s.past.Span(); !ok || to.Before(from) || kept != "up to 15 min at full rate" {
		t.Errorf("span: %v to %v, %q, %t", from, to, kept, ok)
	}
	alike(t, "in memory", live, shown)
	if got := s.past.History(live.At, fleet.Query{Node: live.Nodes[0].Name, GPU: 0, Series: fleet.SeriesPower, Span: time.Minute, Points: 60}); len(got) != 60 {
		t.Errorf("history of %d points", len(got))
	}
	s.Close()
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := recording.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := f.Past(replayOf(config.Default(), 0))
	defer p.Close()
	if shown, err = p.At(context.Background(), live.At); err != nil {
		t.Fatal(err)
	}
	alike(t, "in the file", live, shown)
	if _, err := lastMoment(t.Context(), p); err != nil {
		t.Error(err)
	}
}

// during says that some node told something while the picture was made: it may be in it or not.
func during(s *fleet.Snapshot) bool {
	for _, n := range s.Nodes {
		if !n.LastFrame.Before(s.At) {
			return true
		}
	}
	return false
}

// alike compares the heart of two pictures.
func alike(t *testing.T, where string, live, shown *fleet.Snapshot) {
	t.Helper()
	if len(shown.Nodes) != len(live.Nodes) || len(shown.Jobs) != len(live.Jobs) || shown.Totals != live.Totals {
		t.Fatalf("%s: %d nodes, %d jobs, %+v; live %d, %d, %+v", where, len(shown.Nodes), len(shown.Jobs), shown.Totals, len(live.Nodes), len(live.Jobs), live.Totals)
	}
	for i, n := range live.Nodes {
		m := shown.Nodes[i]
		if m.Name != n.Name || m.State != n.State || len(m.GPUs) != len(n.GPUs) || len(m.Processes) != len(n.Processes) || n.LastData.Sub(m.LastData).Abs() > time.Millisecond {
			t.Errorf("%s: %s %v, data of %v; live %v, %v", where, m.Name, m.State, m.LastData, n.State, n.LastData)
		}
		for g := range n.GPUs {
			if a, b := n.GPUs[g].PowerW, m.GPUs[g].PowerW; a != b {
				t.Errorf("%s: %s GPU%d %v W, live %v", where, n.Name, g, b, a)
			}
		}
	}
}
