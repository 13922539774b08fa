package findings

import (
	"testing"
	"time"

	"foretop/fleet"
)

// TestHardwareFaultsAreTold shows that each fault of a simulated fleet's hardware is told of its node, under its rule, in time; that nothing else is; and that it ends.
func TestHardwareFaultsAreTold(t *testing.T) {
	t.Parallel()
	s := newSim(t, 64, 1, `
name: wear
faults:
  - {at: 0s, fault: old-driver, job: fsdp, member: 5}
  - {at: 20s, for: 80s, fault: pcie-narrow, job: fsdp, gpu: 4}
  - {at: 20s, for: 80s, fault: slow-clock, job: pretrain, member: 9, gpu: 2, factor: 1.5}
  - {at: 20s, for: 80s, fault: port-slow, job: srun, member: 1, port: 3}
  - {at: 20s, for: 100s, fault: wrong-nic, job: deepspeed}
  - {at: 20s, for: 80s, fault: clock-skew, node: 3}
  - {at: 20s, for: 80s, fault: memory-errors, node: 4}
  - {at: 20s, for: 80s, fault: fs-hung, node: 5}
  - {at: 20s, for: 80s, fault: disk-full, node: 6}
`)
	within := map[string]time.Duration{ // after the fault began
		"hw.differs": -10 * time.Second, "hw.pcie": 10 * time.Second, "hw.clock": 35 * time.Second, "hw.port-rate": 10 * time.Second, "waste.wrong-nic": 75 * time.Second,
		"hw.clock-skew": 35 * time.Second, "hw.memory": 60 * time.Second, "hw.fs-hung": 5 * time.Second, "hw.disk-full": 5 * time.Second,
	}
	first := map[string]time.Duration{}
	said := map[string]string{}
	var last map[string]bool
	for s.at < 170*time.Second {
		snap := s.step()
		last = map[string]bool{}
		note := func(rule, where, text string) {
			last[rule] = true
			if said[rule] == "" {
				first[rule], said[rule] = s.at-20*time.Second, where+": "+text
				t.Logf("after %s %s: %s", first[rule], rule, said[rule])
			}
		}
		for _, n := range snap.Nodes {
			for _, p := range n.Problems {
				if p.Severity < fleet.Warning && p.Rule != "hw.differs" {
					continue
				}
				if _, wanted := within[p.Rule]; !wanted {
					t.Fatalf("after %s: %s: %s: %s", s.at, n.Name, p.Rule, p.Text)
				}
				note(p.Rule, n.Name, p.Text)
			}
		}
		for _, j := range snap.Jobs {
			for _, v := range j.Findings {
				if v.Rule == "waste.wrong-nic" {
					note(v.Rule, j.Name, v.Text)
				}
			}
		}
	}
	node := func(job string, member int) string {
		for _, j := range s.fleet.Snapshot().Jobs {
			if j.Name == job {
				return j.Nodes[member]
			}
		}
		return "?"
	}
	for rule, want := range map[string]string{
		"hw.differs": node("gemma-9b-sft", 5) + ": differs from its peers: GPU driver 550.54.15, GPU firmware GSP 550.54.15", "hw.pcie": node("gemma-9b-sft", 0) + ": GPU4 PCIe ×8 of ×16",
		"hw.clock-skew": "gpu004: clock 4.0 s ahead of the other nodes'", "hw.disk-full": "gpu007: / 100 % full",
	} {
		if said[rule] != want {
			t.Errorf("%s: %q, wanted %q", rule, said[rule], want)
		}
	}
	for rule, limit := range within {
		if said[rule] == "" || first[rule] > limit {
			t.Errorf("%s told after %s: %q", rule, first[rule], said[rule])
		}
	}
	delete(last, "hw.memory") // it lasts for an hour
	delete(last, "hw.port-rate")
	if len(last) != 1 || !last["hw.differs"] {
		t.Errorf("afterwards: %v", last)
	}
}

// TestNothingIsUnlikeInAHealthyFleet: the comparison of nodes finds nothing, over seeds; under the race detector of one.
func TestNothingIsUnlikeInAHealthyFleet(t *testing.T) {
	t.Parallel()
	seeds := uint64(3)
	if slow && !soak() {
		seeds = 1
	}
	for seed := range seeds {
		s := newSim(t, 64, 40+seed, "name: healthy\nfaults: []\n")
		for range 60 {
			for _, n := range s.step().Nodes {
				if len(n.Problems) > 0 {
					t.Fatalf("seed %d after %s: %s: %v", seed, s.at, n.Name, say1(n.Problems))
				}
			}
		}
	}
}

// The benchmark's fleet has nothing wrong: what it measures is the usual case.
func TestHealthyPeersAreQuiet(t *testing.T) {
	s := peersOfKind(4)
	for _, n := range s.Nodes {
		if got := Node(n, noon, new(fleet.Memory)); len(got) > 0 {
			t.Error(say1(got))
		}
	}
	if got := (Set{}).Fleet(s, noon, new(fleet.Memory)); len(got) > 0 {
		t.Error(got)
	}
}
