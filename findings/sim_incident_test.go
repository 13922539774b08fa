package findings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
)

// seedsOf are how many seeds a test goes through: a few, or all.
func seedsOf(few, all uint64) uint64 {
	if os.Getenv("FORETOP_SOAK") != "" {
		return all
	}
	return few
}

// A GPU that falls off its bus, and the hang of its job, are one incident, whose root is the GPU; it stays the same from its first second to its last.
func TestALostGPUAndItsHangAreOneIncident(t *testing.T) {
	for seed := range seedsOf(1, 20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, 40, seed, "name: gpu-lost\nfaults:\n  - {at: 40s, for: 90s, fault: gpu-lost, job: pretrain, member: 16, gpu: 3}\n")
			id, hung := "", false
			for s.at < 150*time.Second {
				snap := s.scheduled()
				var here []*fleet.Incident
				for i := range snap.Incidents {
					if in := &snap.Incidents[i]; in.Severity >= fleet.Warning {
						here = append(here, in)
					}
				}
				if s.at <= 40*time.Second {
					if len(here) > 0 {
						t.Fatalf("after %s: %s", s.at, titles(snap.Incidents))
					}
					continue
				}
				if len(here) > 1 {
					t.Fatalf("after %s, %d incidents:\n%s", s.at, len(here), titles(snap.Incidents))
				}
				if len(here) == 0 {
					continue
				}
				in := here[0]
				if id == "" {
					id = in.ID
					if s.at > 45*time.Second {
						t.Errorf("found only after %s", s.at-40*time.Second)
					}
				}
				if in.ID != id {
					t.Fatalf("after %s: id %q, was %q", s.at, in.ID, id)
				}
				if root := in.Root(); root.Subject.Node != "gpu017" || root.Subject.GPU != 3 || root.Subject.UUID == "" {
					t.Fatalf("after %s: root %s %s", s.at, root.Where(), root.Text)
				}
				if !hung && strings.Contains(in.Title, "→ probably why job ") && strings.Contains(in.Title, "no progress") {
					hung = true
					t.Logf("after %s: %s", s.at-40*time.Second, in.Title)
				}
			}
			if id == "" || !hung {
				t.Errorf("id %q, hang folded: %t", id, hung)
			}
		})
	}
}

// The nodes of a leaf that die together are one incident, and its jobs' trouble is in it.
func TestALeafThatDiesIsOneIncident(t *testing.T) {
	for seed := range seedsOf(1, 20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			text.WriteString("name: leaf\nfaults:\n")
			for i := 16; i < 32; i++ {
				fmt.Fprintf(&text, "  - {at: %dms, for: 60s, fault: node-dies, node: %d}\n", 30_000+i*200, i)
			}
			s := newSim(t, 64, seed, text.String())
			id := ""
			for s.at < 120*time.Second {
				snap := s.scheduled()
				if s.at < 45*time.Second {
					continue // they die one after another
				}
				open := 0
				for i := range snap.Incidents {
					if in := &snap.Incidents[i]; in.Fold != "" {
						if id == "" {
							id = in.ID
							t.Log(in.Title)
						}
						if in.ID != id || !strings.HasPrefix(in.Title, "leaf02: 16 of 16 nodes lost within ") {
							t.Fatalf("after %s: %q %s", s.at, in.ID, in.Title)
						}
						continue
					} else if in.Severity == fleet.Critical && in.Until.IsZero() {
						open++
					}
				}
				if open > 0 {
					t.Fatalf("after %s, beside it:\n%s", s.at, titles(snap.Incidents))
				}
			}
			if id == "" {
				t.Error("not found")
			}
		})
	}
}

// Of each scenario that is there the incidents are few and keep their IDs: an ID that was seen goes only with its incident, and none comes twice.
func TestIncidentsOfEveryScenarioAreStable(t *testing.T) {
	files, err := filepath.Glob("../testdata/scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if os.Getenv("FORETOP_SOAK") == "" && name != "storm" && name != "link-flap" {
			continue // a sample
		}
		for seed := range seedsOf(1, 3) {
			t.Run(fmt.Sprintf("%s/%d", name, seed+1), func(t *testing.T) {
				t.Parallel()
				isStable(t, newSim(t, 64, seed+1, string(text)))
			})
		}
	}
}

// isStable plays a fleet and holds what must be true of its incidents at any moment.
func isStable(t *testing.T, s *sim) {
	t.Helper()
	since := map[string]time.Time{}
	for s.at < 80*time.Second {
		snap := s.scheduled()
		seen := map[string]bool{}
		for i := range snap.Incidents {
			in := &snap.Incidents[i]
			if seen[in.ID] {
				t.Fatalf("after %s: two of ID %q:\n%s", s.at, in.ID, titles(snap.Incidents))
			}
			seen[in.ID] = true
			if len(in.Members) == 0 || in.Title == "" || in.Severity < fleet.Warning || in.Since.IsZero() {
				t.Fatalf("after %s: %+v", s.at, in)
			}
			if at, ok := since[in.ID]; ok && in.Since.After(at) {
				t.Fatalf("after %s: %q began at %s, at %s before", s.at, in.ID, in.Since, at)
			}
			since[in.ID] = in.Since
		}
	}
	if len(since) > 12 {
		t.Errorf("%d incidents: %v", len(since), since)
	}
	t.Log(len(since), "incidents:\n", titles(s.fleet.Snapshot().Incidents))
}
