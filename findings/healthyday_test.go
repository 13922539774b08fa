package findings

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"
)

// healthyDay is a day, or a part of it, in which nothing is wrong: jobs of all kinds evaluate, compile, save, some of it by one rank alone, and start anew.
func healthyDay(seed uint64, length time.Duration) string {
	r := rand.New(rand.NewPCG(seed, 24))
	between := func(low, high time.Duration) time.Duration {
		return (low + time.Duration(r.Int64N(int64(high-low)))).Round(time.Second)
	}
	var b strings.Builder
	b.WriteString("faults: []\nphases:\n")
	phases := []struct {
		word      string
		low, high time.Duration
	}{
		{"evaluation", 40 * time.Second, 4 * time.Minute}, {"solo-evaluation", 20 * time.Second, 3 * time.Minute}, {"compilation", 20 * time.Second, 2 * time.Minute},
		{"checkpoint", 15 * time.Second, 70 * time.Second}, {"solo-checkpoint", 15 * time.Second, 60 * time.Second}, {"away", 20 * time.Second, 5 * time.Minute},
	}
	for _, job := range []string{"pretrain", "fsdp", "srun", "jax", "deepspeed", "mpi", "k8s", "finetune", "sweep", "eval"} {
		for at := between(time.Minute, 12*time.Minute); at < length; {
			p := phases[r.IntN(len(phases))]
			if strings.HasPrefix(p.word, "solo") && (job == "eval" || job == "sweep") {
				p = phases[0]
			}
			d := between(p.low, p.high)
			fmt.Fprintf(&b, "  - {at: %s, for: %s, phase: %s, job: %s}\n", at, d, p.word, job)
			at += d + between(4*time.Minute, 25*time.Minute)
		}
	}
	return b.String()
}

// TestHealthyDay hears nothing above a notice in a day of 64 nodes on which nothing is wrong; in its short form, half an hour of a part of them, and less under the race detector.
func TestHealthyDay(t *testing.T) {
	t.Parallel()
	length, seed := 30*time.Minute, uint64(7)
	switch {
	case soak():
		length = 24 * time.Hour
	case slow:
		length = 8 * time.Minute
	}
	s, err := simfleet.Parse("healthy-day", []byte(healthyDay(seed, length)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: 64, Seed: seed, Scenario: s, Epoch: noon})
	if err != nil {
		t.Fatal(err)
	}
	some := map[string]bool{}
	for _, a := range m.Aims() {
		for _, n := range a.Nodes {
			some[n] = soak() || len(a.Nodes) < 8
		}
	}
	played := playingSome(t, m, func(name string) bool { return soak() || some[name] })
	said := map[string]bool{}
	for played.at < length {
		for _, c := range claims(played.step(), played.at) {
			if c.severity > fleet.Notice && !said[c.key()] {
				said[c.key()] = true
				t.Errorf("after %s: %s%s %s (%s)", c.at, c.node, c.job, c.text, c.rule)
			}
		}
		if len(said) > 100 {
			t.Fatal("too much is said")
		}
	}
	t.Logf("%s of virtual time on %d nodes, %d phases: %d false alarms", length, len(played.nodes), len(s.Faults), len(said))
}
