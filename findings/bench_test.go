package findings

import (
	"syscall"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"
)

// BenchmarkRules is one second of all rules over 1,000 nodes of 8 GPUs at work, with the noise of real readings: every node and every job is judged once.
func BenchmarkRules(b *testing.B) {
	m, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: 1000, Seed: 1, Scenario: simfleet.Healthy(), Epoch: noon})
	if err != nil {
		b.Fatal(err)
	}
	s := playing(b, m)
	var seconds []*fleet.Snapshot
	for s.at < 12*time.Second {
		if snap := s.step(); s.at > 4*time.Second {
			seconds = append(seconds, snap)
		}
	}
	rules, memory := newWatches(Set{}), map[string]*fleet.Memory{}
	at := seconds[len(seconds)-1].At
	of := func(key string) *fleet.Memory {
		if memory[key] == nil {
			memory[key] = new(fleet.Memory)
		}
		return memory[key]
	}
	var one fleet.Job
	second := func(snap *fleet.Snapshot) (gpus int) {
		at = at.Add(time.Second)
		for _, n := range snap.Nodes {
			Node(n, at, of(n.Name))
		}
		for _, j := range snap.Jobs {
			one = *j
			rules.job(&one, snap.Node, at, of(j.Key))
			gpus += len(j.GPUs)
		}
		return gpus
	}
	for i := range 60 {
		second(seconds[i%len(seconds)])
	}
	b.ReportAllocs()
	b.ResetTimer()
	gpus, before := 0, processorTime()
	for i := range b.N {
		gpus = second(seconds[i%len(seconds)])
	}
	b.ReportMetric((processorTime()-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(gpus), "GPUs")
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
