package findings

import (
	"fmt"
	"testing"
	"time"

	"foretop/fleet"
)

// Of the ranks that NCCL calls gone only those are accused that may be: not one that only tells of another, nor one that was cut off before the job stood still, or takes part.
func TestHangAccusesNoVictim(t *testing.T) {
	end := noon.Add(time.Minute)
	dead := fleet.RASRank{Rank: 11, Node: "b", State: "unresponsive", Since: end}
	for name, tt := range map[string]struct {
		gone []fleet.RASRank
		want string // suspects
	}{
		"who tells of another":       {[]fleet.RASRank{{Rank: 2, Node: "a", State: "reported Remote process error", Since: end}, dead}, "[rank 11]"},
		"who is no rank":             {[]fleet.RASRank{{Rank: -1, Node: "a", Host: "10.0.0.1", PID: 7, State: "dead", Since: end}, dead}, "[rank 11]"},
		"who takes part":             {[]fleet.RASRank{{Rank: 2, Node: "a", State: "dead", Seen: true, GoesOn: true, Since: end}, dead}, "[rank 11]"},
		"who was cut off before":     {[]fleet.RASRank{{Rank: 2, Node: "a", State: "dead", Seen: true, Since: noon.Add(-time.Hour)}, dead}, "[rank 11]"},
		"who is cut off since":       {[]fleet.RASRank{{Rank: 2, Node: "a", State: "dead", Seen: true, Since: end}}, "[rank 2]"},
		"nobody, but there is proof": {[]fleet.RASRank{{Rank: 2, Node: "a", State: "reported remote process exited or there was a network error", Since: end}}, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			w, m := newWorld(), new(fleet.Memory)
			w.work(noon, m)
			w.each(spin)
			w.job.RAS = &fleet.RAS{Node: "a", At: end, Gone: tt.gone}
			var got fleet.Verdict
			for at := noon; !at.After(end); at = at.Add(time.Second) {
				got = w.judge(at, m)
			}
			if got.Rule != "job.hang" || got.Severity != fleet.Critical || fmt.Sprint(got.Suspects) != tt.want {
				t.Errorf("%s %s: suspects %v, want %s; %q", got.Rule, got.Severity, got.Suspects, tt.want, got.Evidence)
			}
		})
	}
}

// Ranks that share a GPU wait for one another too, as those of one machine do in a test; a process that has its GPU alone waits for nobody.
func TestHangOnASharedGPU(t *testing.T) {
	for world, want := range map[int]string{4: "job.hang", 1: ""} {
		w, m := newWorld(), new(fleet.Memory)
		w.job.GPUs, w.job.World = w.job.GPUs[:1], world
		w.job.Ranks = w.job.Ranks[:world]
		w.job.Nodes = w.job.Nodes[:1]
		w.work(noon, m)
		w.each(spin)
		var got fleet.Verdict
		for at := noon; at.Before(noon.Add(2 * time.Minute)); at = at.Add(time.Second) {
			got = w.judge(at, m)
		}
		if got.Rule != want {
			t.Errorf("%d ranks: %q %q, want %q", world, got.Rule, got.Text, want)
		}
	}
}
